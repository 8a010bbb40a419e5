"""The kinds that ship with us, each compiled once."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.kind import Kind, build_kind, digest_of
from frontend_agent.formats.tables import exists, names, table, text


@dataclass(frozen=True)
class Gap:
    """A kind that the standard names and whose body nobody has published: declared, never made."""

    code: str
    name_zh: str
    name_en: str
    standard: str
    part: str
    template_id: str
    confidence: str
    gap_zh: str
    gap_en: str


@cache
def load_kind(code: str) -> Kind:
    """The kind of this code (`C0007`), compiled; ConfigurationError if we have none such or its body is not known."""
    if gap := gaps().get(code):
        raise ConfigurationError(f"{code} {gap.name_zh} cannot be made: {gap.gap_en}")
    if not exists(f"{code}.xml"):
        raise ConfigurationError(f"no kind of document '{code}' (known: {', '.join(kind_codes())})")
    document = next(row for row in table("documents.csv") if row["code"] == code)
    return build_kind(code, text(f"{code}.xml"), table(f"{code}.fields.csv"), document)


@cache
def kind_digest(code: str) -> str:
    """The digest of a kind that ships with us, without compiling it."""
    document = next(row for row in table("documents.csv") if row["code"] == code)
    return digest_of(text(f"{code}.xml"), table(f"{code}.fields.csv"), document)


def kind_with(code: str, texts: Mapping[str, str]) -> Kind:
    """The kind, with these files (`C0007.xml`, `C0007.fields.csv`, `documents.csv`) in the place of the ones that ship with us."""
    template = texts.get(f"{code}.xml") or text(f"{code}.xml")
    fields = _rows(texts, f"{code}.fields.csv")
    documents = _rows(texts, "documents.csv")
    document = next((row for row in documents if row["code"] == code), None)
    return build_kind(code, template, fields, document or next(r for r in table("documents.csv") if r["code"] == code))


def _rows(texts: Mapping[str, str], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(texts[name]))) if name in texts else table(name)


def load_kinds() -> dict[str, Kind]:
    """Every kind that ships with us, by code."""
    return {code: load_kind(code) for code in kind_codes()}


def message_codes() -> list[str]:
    """The codes of the kinds that are messages of the national services, not CDA documents."""
    return [row["kind"] for row in table("interactions.csv")]


def kind_codes() -> list[str]:
    """The codes of the kinds that ship with us."""
    return [name.removesuffix(".xml") for name in names(".xml")]


@cache
def gaps() -> dict[str, Gap]:
    """The kinds whose bodies are not known, by code."""
    return {row["code"]: Gap(**row) for row in table("gaps.csv")}

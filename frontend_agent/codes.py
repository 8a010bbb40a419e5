"""Code maps: what a site's local code is in the national table.

    # mappings/<system>/codes/sex.toml
    value_set = "2.16.156.10011.2.3.3.4"      # GB/T 2261.1
    [map]
    "1" = "1"
    [names]                                   # optional: what the local codes are called there
    "1" = "男"

or the same as `codes/sex.csv`, as a department keeps it (and as `terms export` writes it): columns `code`, `target`, and
as far as known `name`, `value_set`, `by`, `reason`. A local code that is in no map is a finding (MAP001), never a guess.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.shipped import did_you_mean, only_known_keys, toml_of

KEYS = ("value_set", "title", "map", "names", "decided", "accepted")
COLUMNS = MappingProxyType(  # what a person may call the columns of a CSV map
    {
        "table": "table", "对照表": "table",
        "value_set": "value_set", "值域": "value_set",
        "code": "code", "本地代码": "code",
        "name": "name", "本地名称": "name",
        "target": "target", "标准代码": "target",
        "target_name": "target_name", "标准名称": "target_name",
        "by": "by", "决定人": "by",
        "at": "at", "时间": "at",
        "reason": "reason", "理由": "reason",
    }
)  # fmt: skip


class CodeTable(msgspec.Struct, frozen=True):
    """One map: local code -> standard code, and the value set the standard codes belong to.

    `names` is what the local codes are called, `decided` who decided on a code and why (`*`: on all of them), `accepted`
    which doubts (`TERM-RH`, or `TERM-NAME 3` for one code) somebody has looked at, and what they say.
    """

    name: str
    path: str
    value_set: str
    codes: Mapping[str, str]
    names: Mapping[str, str] = {}
    decided: Mapping[str, str] = {}
    accepted: Mapping[str, str] = {}
    title: str = ""
    approved: frozenset[str] = frozenset()  # local codes that a person approved on this machine

    @property
    def id(self) -> str:
        """`demo_his/sex`: the system (the folder of its mappings) and the map's own name."""
        return f"{PurePosixPath(self.path).parent.parent.name}/{self.name}"

    def standard(self, local: str) -> str | None:
        return self.codes.get(local)


class Approved(msgspec.Struct, frozen=True):
    """A person's word on one local code."""

    target: str
    decided: str  # by whom and why


Overlay = Mapping[str, Mapping[str, Approved]]  # map id -> local code -> what a person approved


class Approvals(msgspec.Struct, frozen=True):
    """Everything that people approved, as of one decision. Packed: it travels with every order to a worker."""

    revision: int = 0
    packed: bytes = b"{}"

    def overlay(self) -> Overlay:
        return _OVERLAY.decode(self.packed)


_OVERLAY = msgspec.json.Decoder(dict[str, dict[str, Approved]])


def parse_code_table(name: str, path: str, text: str) -> CodeTable:
    """Read one map's text, TOML or CSV by the ending of its path."""
    table = _from_csv(name, path, text) if path.endswith(".csv") else _from_toml(name, path, text)
    for local, standard in table.codes.items():
        if not local:
            raise ConfigurationError(f"{path}: an empty local code is mapped to '{standard}'")
    return table


def _from_toml(name: str, path: str, text: str) -> CodeTable:
    table = toml_of(text, path)
    only_known_keys(table, KEYS, path)
    codes = table.get("map")
    if not isinstance(codes, dict) or not codes:
        raise ConfigurationError(f'{path}: needs a table [map] of local code = standard code, e.g. "男" = "1"')
    for local, standard in codes.items():
        if not isinstance(standard, str) or not standard:
            raise ConfigurationError(f'{path}: [map] "{local}": the standard code must be text in quotes, e.g. "1"')
    value_set = table.get("value_set", "")
    if not isinstance(value_set, str):
        raise ConfigurationError(f"{path}: value_set must be text in quotes (an OID)")
    decided = table.get("decided", "")
    if not isinstance(decided, str):
        raise ConfigurationError(f"{path}: decided must be text in quotes: who decided, and why")
    return CodeTable(
        name=name,
        path=path,
        value_set=value_set,
        codes={k.strip(): v for k, v in codes.items()},
        names=_texts(table, "names", path),
        decided={"*": decided} if decided else {},
        accepted=_texts(table, "accepted", path),
        title=str(table.get("title", "")),
    )


def _texts(table: Mapping[str, Any], key: str, path: str) -> dict[str, str]:
    found = table.get(key, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ConfigurationError(f'{path}: [{key}] must be a table of texts in quotes, e.g. "1" = "…"')
    return {name.strip(): value for name, value in found.items()}


def _from_csv(name: str, path: str, text: str) -> CodeTable:
    codes: dict[str, str] = {}
    names: dict[str, str] = {}
    decided: dict[str, str] = {}
    value_sets: set[str] = set()
    for line, row in csv_rows(text, path, ("code", "target")):
        code, target = row["code"], row["target"]
        if row.get("table", name) not in ("", name) and not row["table"].endswith(f"/{name}"):
            raise ConfigurationError(f"{path}: line {line}: is for the map '{row['table']}', not '{name}'")
        if not target:
            raise ConfigurationError(f"{path}: line {line}: local code '{code}' has no standard code")
        if codes.setdefault(code, target) != target:
            raise ConfigurationError(
                f"{path}: line {line}: local code '{code}' is mapped twice: '{codes[code]}', '{target}'"
            )
        if row.get("name"):
            names[code] = row["name"]
        if row.get("by") or row.get("reason"):
            decided[code] = " ".join(part for part in (row.get("by"), row.get("reason")) if part)
        value_sets.add(row.get("value_set", ""))
    value_sets.discard("")
    if len(value_sets) > 1:
        raise ConfigurationError(f"{path}: names more than one value set: {', '.join(sorted(value_sets))}")
    if not codes:
        raise ConfigurationError(
            f"{path}: maps no code; under the line of columns (code,target) comes one line per code"
        )
    return CodeTable(name, path, "".join(value_sets), codes, names, decided)


def csv_rows(text: str, path: str, needed: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by our column names (English or Chinese headings), each with its line; empty rows are none."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    heading = [word.strip() for word in next(reader, [])]
    for word in heading:
        if word and word not in COLUMNS:
            raise ConfigurationError(f"{path}: unknown column '{word}'{did_you_mean(word, COLUMNS)}")
    columns = [COLUMNS.get(word, "") for word in heading]
    for word in needed:
        if word not in columns:
            raise ConfigurationError(
                f"{path}: has no column '{word}' (its first line names the columns: code,target,…)"
            )
    rows = []
    for values in reader:
        row = {column: bare_cell(value.strip()) for column, value in zip(columns, values, strict=False) if column}
        if any(row.values()):
            rows.append((reader.line_num, {**dict.fromkeys(columns, ""), **row}))
    return rows


_FORMULA = ("=", "+", "-", "@")


def safe_cell(text: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula: `-` is a code here, and stays one."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def bare_cell(text: str) -> str:
    """What `safe_cell` was made of."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def with_approved(tables: Mapping[str, CodeTable], overlay: Overlay) -> dict[str, CodeTable]:
    """The maps (by field) as they are with what people approved on this machine laid over the files."""
    made: dict[str, CodeTable] = {}  # by map: fields that share one go on sharing it
    return {
        field: made.setdefault(table.id, _laid_over(table, overlay[table.id])) if overlay.get(table.id) else table
        for field, table in tables.items()
    }


def _laid_over(table: CodeTable, approved: Mapping[str, Approved]) -> CodeTable:
    return msgspec.structs.replace(
        table,
        codes={**table.codes, **{code: one.target for code, one in approved.items()}},
        decided={**table.decided, **{code: one.decided for code, one in approved.items()}},
        approved=frozenset(approved),
    )


def overlay_digest(codes_digest: str, tables: Mapping[str, CodeTable]) -> str:
    """The digest of maps that something was approved for: what the files said, and what people said."""
    said = sorted({(table.id, code, table.codes[code]) for table in tables.values() for code in table.approved})
    if not said:
        return codes_digest
    return hashlib.sha256(msgspec.json.encode([codes_digest, said])).hexdigest()


def must_differ(tables: Iterable[CodeTable]) -> None:
    """Refuse two files that are one map by name: an approval could not say which of them it is for."""
    paths: dict[str, str] = {}
    for table in tables:
        if paths.setdefault(table.id, table.path) != table.path:
            raise ConfigurationError(
                f"{table.path}: is the code map '{table.id}' like {paths[table.id]}; rename the folder of one of the mappings"
            )

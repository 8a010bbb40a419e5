"""Codes against a hospital's or a region's own catalogue: there, membership decides, and the name must be the code's."""

from collections.abc import Mapping
from typing import Any, Protocol

from frontend_agent.checks.dated import document_day
from frontend_agent.checks.registry import CAT_CODE, CAT_NAME, Rule
from frontend_agent.model import Record
from frontend_agent.terms.catalogues import Catalogue, Shelf, has_code


class Say(Protocol):
    """How a finding is made: the rule, where, the value there, what the text wants to say."""

    def __call__(self, rule: Rule, path: str, value: str, said: tuple[str, ...]) -> None: ...


class CatalogueChecks:
    """The fields of one kind that a catalogue decides about."""

    def __init__(self, kind: Any, shelves: Mapping[str, Shelf]) -> None:
        known = {field.name for field in kind.fields}
        self._single: list[tuple[str, str, Shelf]] = []
        self._groups: dict[str, list[tuple[str, str, Shelf]]] = {}
        for field in kind.fields:
            shelf = shelves.get(field.name)
            if shelf is None:
                continue
            beside = _name_beside(field.name, known)
            if field.group:
                key, name = field.key, beside.removeprefix(f"{field.group}.")
                self._groups.setdefault(field.group, []).append((key, name, shelf))
            else:
                self._single.append((field.name, beside, shelf))

    def __bool__(self) -> bool:
        return bool(self._single or self._groups)

    def __call__(self, record: Record, say: Say) -> None:
        day = document_day(record)
        for code, name, shelf in self._single:
            _look(record, code, name, shelf.on(day), "", say)
        for group, fields in self._groups.items():
            for at, row in enumerate(record.get(group, ())):
                for code, name, shelf in fields:
                    _look(row, code, name, shelf.on(day), f"{group}[{at}].", say)


def _look(row: Mapping[str, str], code: str, name: str, catalogue: Catalogue | None, place: str, say: Say) -> None:
    value = row.get(code)
    if value is None or catalogue is None:  # no version that we have speaks of that day
        return
    if not has_code(catalogue, value):
        say(CAT_CODE, f"{place}{code}", value, (catalogue.name, catalogue.version or "–"))
    elif name and name in row and not catalogue.is_called(value, row[name]):
        names = catalogue.names(value) or ("–",)
        say(CAT_NAME, f"{place}{name}", row[name], (value, names[0], catalogue.name))


def _name_beside(code: str, known: set[str]) -> str:
    """`diagnoses.name` for `diagnoses.code`, `drug_name` for `drug_code`: what the code is called in the record itself."""
    name = f"{code.removesuffix('code')}name"
    return name if code.endswith("code") and name in known else ""

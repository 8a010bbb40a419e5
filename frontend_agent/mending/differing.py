"""In which elements two documents of one record differ, and how often: values in, values out; no value is told."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from frontend_agent.formats import Kind
from frontend_agent.model import Record

ADDED, REMOVED, CHANGED = "added", "removed", "changed"


def differing(before: Record, after: Record) -> Iterator[tuple[str, str]]:
    """(field, how) of each element that is not the same, once per document; `items.unit` where any row differs."""
    told: set[tuple[str, str]] = set()
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, list) or isinstance(new, list):
            told.update(_of_rows(name, old or [], new or []))
        else:
            told.add((name, _how(old, new)))
    yield from sorted(told)


def _of_rows(name: str, old: list[dict[str, str]], new: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    if len(old) != len(new):
        yield name, ADDED if len(new) > len(old) else REMOVED
        return
    for one, other in zip(old, new, strict=True):
        for key in one.keys() | other.keys():
            if one.get(key) != other.get(key):
                yield f"{name}.{key}", _how(one.get(key), other.get(key))


def _how(old: Any, new: Any) -> str:
    return ADDED if old is None else REMOVED if new is None else CHANGED


class Differences:
    """Counts over many documents: how many differ, in which elements, with an example of each."""

    def __init__(self, kind: Kind) -> None:
        self._names = {field.name: (field.de, field.name_zh, field.name_en) for field in kind.fields}
        self._names |= {name: ("", group.name_zh, group.name_en) for name, group in kind.groups.items()}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[str, str] = {}
        self.documents = 0

    def add(self, document_id: str, before: Record, after: Record) -> bool:
        """Whether they differ."""
        found = list(differing(before, after))
        self.documents += bool(found)
        self._counts.update(found)
        for field, _ in found:
            self._examples.setdefault(field, document_id)
        return bool(found)

    def told(self) -> list[dict[str, Any]]:
        """The elements, those that differ most often first."""
        fields = dict.fromkeys(field for (field, _), _ in self._counts.most_common())
        return [self._told(field) for field in fields]

    def _told(self, field: str) -> dict[str, Any]:
        element, name_zh, name_en = self._names.get(field, ("", "", ""))
        counts = {how: self._counts[field, how] for how in (ADDED, REMOVED, CHANGED)}
        name = {"zh": name_zh, "en": name_en}
        return {"field": field, "element": element, "name": name, **counts, "example": self._examples[field]}

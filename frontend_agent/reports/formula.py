"""A region's own formula for the score of an evaluation: a file that is read, never run.

    title  = { zh = "…", en = "…" }
    source = "where it comes from"
    mark   = "single-source"                  # verified | single-source | from-memory | ours
    full   = 100.0                            # the best that there is; the groups' caps add up to it

    [[groups]]
    name = { zh = "…", en = "…" }
    cap  = 40.0                               # never more than this
    mode = "earn"                             # earn: points are added up; deduct: points are taken from the cap

    [[groups.items]]
    name      = "…"                           # or { zh, en }
    points    = 10.0
    measure   = "fill"                        # what is measured, a share of 0…1:
                                              #   fill     elements there, of those that apply
                                              #   correct  the same, less what a rule held or warned of
                                              #   pass     documents, of what was judged
                                              #   timely   documents with a receipt within `within` of their event
                                              #   kinds    of `kinds`, those with at least `at_least` documents
    kind      = "C0032"                       # not for kinds; without it: all kinds together
    fields    = ["main_diagnosis.code"]       # of fill and correct; without it: all that the region profile asks for
    within    = "24h"
    threshold = 0.95                          # from here on all of the points
    floor     = 0.60                          # up to here none; between them in proportion

What cannot be measured (no documents of the kind, no element that answers to it) gets no points, and says so. An element
that applied to nobody has no fault: all of its points. A group of which nothing can be measured is worth nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from frontend_agent.config import duration
from frontend_agent.errors import ConfigurationError
from frontend_agent.reports.figures import UNTIL_RECEIPT, Delays, Figures
from frontend_agent.shipped import only_known_keys, toml_of

Measure = Literal["fill", "correct", "pass", "timely", "kinds"]
MARKS = ("verified", "single-source", "from-memory", "ours")
_FORMULA = ("title", "source", "mark", "full", "note", "groups")
_GROUP = ("name", "cap", "mode", "items")
_ITEM = (
    "name",
    "points",
    "measure",
    "kind",
    "fields",
    "within",
    "threshold",
    "floor",
    "kinds",
    "at_least",
    "class",
    "note",
)

Named = Mapping[str, str]  # zh, en


@dataclass(frozen=True)
class Item:
    name: Named
    points: float
    measure: str
    kind: str = ""
    fields: tuple[str, ...] | None = None  # None: all that are asked for; empty: nothing answers to it
    within: float = 0.0  # seconds
    threshold: float = 1.0
    floor: float = 0.0
    kinds: tuple[str, ...] = ()
    at_least: int = 1
    class_: str = ""
    note: str = ""


@dataclass(frozen=True)
class Group:
    name: Named
    cap: float
    mode: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Formula:
    title: Named
    source: str
    mark: str
    full: float
    note: Named
    groups: tuple[Group, ...]


# --- reading ----------------------------------------------------------------------------------------------------------

Fields = Callable[[str], frozenset[str] | None]  # the fields of a kind; None for a kind that is not one


def read_formula(text: str, path: str, fields_of: Fields) -> Formula:
    """The formula, or a ConfigurationError that names file, place and mend."""
    table = toml_of(text, path)
    only_known_keys(table, _FORMULA, path)
    mark = table.get("mark", "ours")
    if mark not in MARKS:
        raise ConfigurationError(f"{path}: mark = {mark!r}: must be one of {', '.join(MARKS)}")
    groups = table.get("groups")
    if not isinstance(groups, list) or not groups:
        raise ConfigurationError(f"{path}: there is no [[groups]] table")
    read = tuple(_group(group, f"{path}: groups[{n}]", fields_of) for n, group in enumerate(groups))
    full = _number(table, "full", path, sum(group.cap for group in read))
    caps = sum(group.cap for group in read)
    if abs(full - caps) > 1e-6:
        raise ConfigurationError(f"{path}: full = {full:g}, but the groups' caps add up to {caps:g}")
    note = _named(table["note"], f"{path}: note") if "note" in table else {"zh": "", "en": ""}
    return Formula(_named(table.get("title"), f"{path}: title"), str(table.get("source", "")), mark, full, note, read)


def _group(table: Any, where: str, fields_of: Fields) -> Group:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: must be a table")
    only_known_keys(table, _GROUP, where)
    mode = table.get("mode", "earn")
    if mode not in ("earn", "deduct"):
        raise ConfigurationError(f'{where}: mode = {mode!r}: must be "earn" or "deduct"')
    items = table.get("items", [])
    if not isinstance(items, list) or not items:
        raise ConfigurationError(f"{where}: there is no [[groups.items]] table")
    read = tuple(_item(item, f"{where}.items[{n}]", fields_of) for n, item in enumerate(items))
    cap = _number(table, "cap", where, sum(item.points for item in read))
    return Group(_named(table.get("name"), f"{where}.name"), cap, mode, read)


def _item(table: Any, where: str, fields_of: Fields) -> Item:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: must be a table")
    only_known_keys(table, _ITEM, where)
    measure = table.get("measure", "fill")
    if measure not in MEASURES:
        raise ConfigurationError(f"{where}: measure = {measure!r}: must be one of {', '.join(MEASURES)}")
    item = Item(
        name=_named(table.get("name"), f"{where}.name"),
        points=_number(table, "points", where),
        measure=measure,
        kind=str(table.get("kind", "")),
        fields=_texts(table["fields"], f"{where}.fields") if "fields" in table else None,
        within=_seconds(table.get("within"), where) if measure == "timely" else 0.0,
        threshold=_number(table, "threshold", where, 1.0),
        floor=_number(table, "floor", where, 0.0),
        kinds=_texts(table.get("kinds", []), f"{where}.kinds"),
        at_least=int(_number(table, "at_least", where, 1.0)),
        class_=str(table.get("class", "")),
        note=str(table.get("note", "")),
    )
    if not 0 <= item.floor < item.threshold <= 1:
        raise ConfigurationError(f"{where}: 0 ≤ floor < threshold ≤ 1, not {item.floor:g} and {item.threshold:g}")
    if measure == "kinds" and not item.kinds:
        raise ConfigurationError(f'{where}: measure "kinds" needs kinds = ["C0002", …]')
    for kind in (*item.kinds, *([item.kind] if item.kind else [])):
        known = fields_of(kind)
        if known is None:
            raise ConfigurationError(f"{where}: {kind!r} is no kind that we know")
        for name in item.fields or () if kind == item.kind else ():
            if known and name not in known:
                raise ConfigurationError(f"{where}: the kind {kind} has no element {name!r} (kinds show {kind})")
    if item.fields and not item.kind:
        raise ConfigurationError(f"{where}: fields need a kind")
    return item


def _named(value: Any, where: str) -> Named:
    if isinstance(value, str) and value:
        return {"zh": value, "en": value}
    if isinstance(value, dict) and isinstance(value.get("zh"), str):
        return {"zh": value["zh"], "en": str(value.get("en", value["zh"]))}
    raise ConfigurationError(f'{where} must be a text, or {{ zh = "…", en = "…" }}')


def _number(table: Mapping[str, Any], key: str, where: str, otherwise: float | None = None) -> float:
    value = table.get(key, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ConfigurationError(f"{where}: {key} must be a number from 0 up")
    return float(value)


def _seconds(value: object, where: str) -> float:
    try:
        return duration(value).total_seconds()
    except ValueError as error:
        raise ConfigurationError(f"{where}: within must be {error}") from None


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConfigurationError(f"{where} must be a list of texts")
    return tuple(value)


# --- measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """A share and what it was counted from: `part` of `whole`; no whole is nothing to measure, for a `reason`."""

    part: int
    whole: int
    reason: Literal["", "no documents", "nothing answers", "applied to nobody"] = ""

    @property
    def share(self) -> float | None:
        if self.reason == "applied to nobody":
            return 1.0
        return self.part / self.whole if self.whole else None


def _fill(figures: Figures, item: Item) -> Measured:
    return _elements(figures, item, correct=False)


def _correct(figures: Figures, item: Item) -> Measured:
    return _elements(figures, item, correct=True)


def _elements(figures: Figures, item: Item, correct: bool) -> Measured:
    if item.fields is not None and not item.fields:
        return Measured(0, 0, "nothing answers")
    if not _judged(figures, item.kind):
        return Measured(0, 0, "no documents")
    if item.fields is None:
        numbers = [of for kind, of in figures.by(lambda place: place.kind).items() if item.kind in ("", kind)]
        wrong = sum(n.severities["hold"] + n.severities["warn"] for n in numbers) if correct else 0
        filled, wanted = sum(n.outcomes.filled for n in numbers), sum(n.outcomes.wanted for n in numbers)
    else:
        found = [figures.elements[item.kind, name] for name in item.fields if (item.kind, name) in figures.elements]
        wanted = sum(element.wanted for element in found)
        # A missing value is a finding too: it is not filled, and does not count a second time.
        filled = sum(element.filled for element in found)
        wrong = sum(
            max(element.severities["hold"] + element.severities["warn"] - (element.wanted - element.filled), 0)
            for element in found
        ) if correct else 0  # fmt: skip
    if not wanted:
        return Measured(0, 0, "applied to nobody")
    return Measured(max(filled - wrong, 0), wanted)


def _pass(figures: Figures, item: Item) -> Measured:
    documents = held = 0
    for place, numbers in figures.places.items():
        if item.kind in ("", place.kind):
            documents += numbers.outcomes.documents
            held += numbers.outcomes.held
    return Measured(documents, documents + held, "" if documents + held else "no documents")


def _timely(figures: Figures, item: Item) -> Measured:
    """Of all documents that have a receipt and a time of their event."""
    delays = Delays()
    for (kind, _, leg), found in figures.routes.items():
        if leg == UNTIL_RECEIPT and item.kind in ("", kind):
            delays.add(found)
    within = delays.within(item.within)
    return Measured(round((within or 0) * len(delays)), len(delays), "" if len(delays) else "no documents")


def _kinds(figures: Figures, item: Item) -> Measured:
    numbers = figures.by(lambda place: place.kind)
    enough = [kind for kind in item.kinds if kind in numbers and numbers[kind].outcomes.documents >= item.at_least]
    return Measured(len(enough), len(item.kinds))


def _judged(figures: Figures, kind: str) -> int:
    return sum(numbers.outcomes.final for place, numbers in figures.places.items() if kind in ("", place.kind))


MEASURES: Mapping[str, Callable[[Figures, Item], Measured]] = {
    "fill": _fill, "correct": _correct, "pass": _pass, "timely": _timely, "kinds": _kinds,
}  # fmt: skip


# --- the score --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One item's way to its points."""

    group: Group
    item: Item
    measured: Measured
    achieved: float  # 0…1, after threshold and floor
    points: float  # earned, or kept


@dataclass(frozen=True)
class Score:
    total: float
    groups: Sequence[tuple[Group, float]]
    lines: Sequence[Line]


def evaluate(formula: Formula, figures: Figures) -> Score:
    """The score, with every line that it came from."""
    lines: list[Line] = []
    groups: list[tuple[Group, float]] = []
    for group in formula.groups:
        own = [_line(group, item, MEASURES[item.measure](figures, item)) for item in group.items]
        if group.mode == "earn":
            points = min(sum(line.points for line in own), group.cap)
        elif all(line.measured.share is None for line in own):
            points = 0.0  # nothing was measured: a cap that nothing was taken from is no achievement
        else:
            points = max(group.cap - sum(line.item.points - line.points for line in own), 0.0)
        lines += own
        groups.append((group, points))
    return Score(sum(points for _, points in groups), groups, lines)


def _line(group: Group, item: Item, measured: Measured) -> Line:
    share = measured.share
    if share is None:
        return Line(group, item, measured, 0.0, 0.0)
    achieved = min(max((share - item.floor) / (item.threshold - item.floor), 0.0), 1.0)
    return Line(group, item, measured, achieved, item.points * achieved)

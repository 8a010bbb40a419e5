"""A report: what it says of itself, tables and charts, in one language and no particular format.

    About      label and value
    Table      columns and rows; rows may come from an iterator that is read once, by whoever writes the table
    Chart      lines or bars over labels

Rates are 0…1, times are hours, days are dates. None is an empty cell: nothing to speak of.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from frontend_agent.measuring import BOUNDS, DAY, HOUR
from frontend_agent.model import Finding, Severity
from frontend_agent.reports.figures import (
    FROM_TAKEN,
    SEVERITIES,
    UNTIL_RECEIPT,
    UNTIL_TAKEN,
    Delays,
    Figures,
    Numbers,
    Row,
    ratio,
)
from frontend_agent.reports.names import Names
from frontend_agent.reports.texts import Texts
from frontend_agent.visits import VISIT

Kind = Literal["text", "count", "rate", "hours", "day", "score"]
Cell = str | int | float | date | None


@dataclass(frozen=True)
class Column:
    """A column's heading and what stands in it."""

    title: str
    kind: Kind = "text"
    width: int = 12


@dataclass(frozen=True)
class Table:
    """`rows` may be an iterator: it is read once. `notes` stand under the title."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]
    notes: Sequence[str] = ()
    long: bool = False  # a list of any length, not for a page
    count: int = 0  # how long it is, if that is known


@dataclass(frozen=True)
class Chart:
    """`rate` axes run from 0 to 100 %."""

    name: str
    title: str
    labels: Sequence[str]
    series: Sequence[tuple[str, Sequence[float | None]]]
    shape: Literal["lines", "bars"] = "lines"
    rate: bool = False


@dataclass(frozen=True)
class Report:
    title: str
    language: str
    about: Sequence[tuple[str, str]]
    tables: Sequence[Table]
    charts: Sequence[Chart] = ()
    charts_title: str = ""
    notes: Sequence[str] = ()
    cards: Sequence[tuple[str, str]] = field(default_factory=tuple)  # the few figures that one looks at first


@dataclass(frozen=True)
class Circumstances:
    """What a report says of itself besides the figures."""

    institution: str
    made: datetime  # with the zone of the institution
    since: datetime | None  # what was taken before is not in the statistics
    version: str
    log: str  # newest entry of the quality log: number and hash
    title: str = "report"


def build(
    figures: Figures, details: Iterable[Sequence[Row]], circumstances: Circumstances, names: Names, t: Texts
) -> Report:
    """The whole report. `details` are pages of findings as `Details` reads them."""
    return _Builder(figures, circumstances, names, t).report(details)


# --- lines of figures -------------------------------------------------------------------------------------------------

_Value = Callable[[Numbers], Cell]


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / HOUR


def _delay(leg: str, share: float) -> _Value:
    return lambda numbers: _hours(numbers.delays[leg].seconds(share)) if leg in numbers.delays else None


def _within_day(numbers: Numbers) -> float | None:
    return numbers.delays[UNTIL_RECEIPT].within(DAY) if UNTIL_RECEIPT in numbers.delays else None


# What every line of figures says, in this order.
LINE: tuple[tuple[str, Kind, _Value], ...] = (
    ("read", "count", lambda n: n.outcomes.read),
    ("final", "count", lambda n: n.outcomes.final),
    ("first", "count", lambda n: n.outcomes.first),
    ("documents", "count", lambda n: n.outcomes.documents),
    ("versions", "count", lambda n: n.outcomes.versions),
    ("void", "count", lambda n: n.outcomes.void),
    ("warned", "count", lambda n: n.outcomes.warned),
    ("held", "count", lambda n: n.outcomes.held),
    ("withheld", "count", lambda n: n.outcomes.withheld),
    ("mended", "count", lambda n: n.outcomes.mended),
    ("delivered", "count", lambda n: n.delivered),
    ("accepted", "count", lambda n: n.accepted),
    ("refused", "count", lambda n: n.refused),
    ("missed", "count", lambda n: n.missed),
    ("pass_rate", "rate", lambda n: n.pass_rate),
    ("first_pass_rate", "rate", lambda n: n.first_pass_rate),
    ("clean_rate", "rate", lambda n: n.clean_rate),
    ("completeness", "rate", lambda n: n.completeness),
    ("hold", "count", lambda n: n.severities["hold"]),
    ("warn", "count", lambda n: n.severities["warn"]),
    ("note", "count", lambda n: n.severities["note"]),
    ("receipt_median", "hours", _delay(UNTIL_RECEIPT, 0.5)),
    ("receipt_p95", "hours", _delay(UNTIL_RECEIPT, 0.95)),
    ("taken_median", "hours", _delay(UNTIL_TAKEN, 0.5)),
    ("sending_median", "hours", _delay(FROM_TAKEN, 0.5)),
    ("within_day", "rate", _within_day),
)

_CARDS = ("documents", "held", "delivered", "pass_rate", "completeness", "receipt_median")
_BARS = 12  # in a chart of bars


class _Builder:
    def __init__(self, figures: Figures, circumstances: Circumstances, names: Names, t: Texts) -> None:
        self._figures = figures
        self._of = circumstances
        self._names = names
        self._t = t
        self._total = figures.total()

    def report(self, details: Iterable[Sequence[Row]]) -> Report:
        t = self._t
        tables = (
            self._summary(), self._kinds(), self._departments(), self._rules(), self._elements(), self._timeliness(),
            self._trend(), self._months(), self._base(), self._findings(details),
        )  # fmt: skip
        notes = [t("about.judged"), t("about.completeness"), t("about.delays"), t("about.masked")]
        if self._of.since:
            notes.insert(0, t("about.partly"))
        if not self._total.outcomes.read:
            notes.insert(0, t("about.empty"))
        return Report(
            t(self._of.title),
            t.language,
            self._about(),
            tables,
            self._charts(),
            t("sheet.charts"),
            notes,
            self._cards(),
        )

    def _about(self) -> list[tuple[str, str]]:
        t, of, chosen = self._t, self._of, self._figures.chosen
        kinds = [f"{kind} {self._names.kind(kind)}" for kind in sorted(chosen.kinds)]
        since = [(t("about.since"), f"{of.since.astimezone(of.made.tzinfo):%Y-%m-%d %H:%M:%S}")] if of.since else []
        return [
            (t("about.institution"), of.institution),
            (t("about.period"), f"{chosen.period.first} – {chosen.period.last}"),
            (t("about.kinds"), t("of").join(kinds) or t("about.all")),
            (t("about.departments"), t("of").join(sorted(chosen.departments)) or t("about.all")),
            (t("about.made"), f"{of.made:%Y-%m-%d %H:%M:%S}"),
            (t("about.timezone"), str(of.made.tzinfo)),
            *since,
            (t("about.log"), of.log),
            (t("about.version"), of.version),
        ]

    def _cards(self) -> list[tuple[str, str]]:
        return [(self._t(name), shown(value(self._total), kind)) for name, kind, value in LINE if name in _CARDS]

    # --- tables -------------------------------------------------------------------------------------------------------

    def _table(self, name: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *notes: str) -> Table:
        return Table(name, self._t("sheet." + name), columns, rows, notes)

    def _columns(self, *own: Column) -> list[Column]:
        return [*own, *(Column(self._t(name), kind) for name, kind, _ in LINE)]

    def _column(self, name: str, kind: Kind = "text", width: int = 12) -> Column:
        return Column(self._t(name), kind, width)

    def _summary(self) -> Table:
        """Figure by figure: the value's column holds counts, rates and hours, each written as it is read."""
        rows = [(self._t(name), shown(value(self._total), kind)) for name, kind, value in LINE]
        return self._table("summary", [self._column("metric", width=34), self._column("value", width=18)], rows)

    def _kinds(self) -> Table:
        found = self._figures.by(lambda place: place.kind)
        rows = [(kind, self._names.kind(kind), *_line(found[kind])) for kind in sorted(found)]
        return self._table("kinds", self._columns(self._column("kind"), self._column("kind_name", width=24)), rows)

    def _departments(self) -> Table:
        found = self._figures.by(lambda place: place.department)
        rows = [(self._department(name), *_line(found[name])) for name in sorted(found)]
        return self._table("departments", self._columns(self._column("department", width=20)), rows)

    def _department(self, name: str) -> str:
        return name or self._t("no_department")

    def _rules(self) -> Table:
        columns = [
            self._column("rule", width=14), self._column("title", width=34), self._column("dimension"),
            self._column("severity"), self._column("findings", "count"), self._column("share", "rate"),
            self._column("in_kinds", "count"), self._column("in_departments", "count"),
            self._column("most", width=20), self._column("most_field", width=26), self._column("who", width=24),
        ]  # fmt: skip
        return self._table("rules", columns, list(self._rule_rows()))

    def _rule_rows(self) -> Iterator[Sequence[Cell]]:
        by_number = sorted(self._figures.rules.items(), key=lambda item: (-item[1].n, item[0]))
        for (rule, severity), spoken in by_number:
            named = self._names.rule(rule)
            yield (
                rule, named.title, named.dimension, self._t.known(severity, severity), spoken.n,
                ratio(spoken.n, self._total.outcomes.final), len(spoken.kinds), len(spoken.departments),
                self._department(_most(spoken.departments)), _most(spoken.fields), named.who,
            )  # fmt: skip

    def _elements(self) -> Table:
        columns = [
            self._column("kind"), self._column("data_element", width=18), self._column("field", width=28),
            self._column("element", width=26), self._column("filled", "count"), self._column("wanted", "count"),
            self._column("fill_rate", "rate"), self._column("hold", "count"), self._column("warn", "count"),
            self._column("note", "count"),
        ]  # fmt: skip
        rows = [
            (
                kind, element.data_element or self._names.data_element(kind, name), name,
                self._names.element(kind, name), element.filled, element.wanted, element.rate,
                *(element.severities[severity] for severity in SEVERITIES),
            )
            for (kind, name), element in sorted(self._figures.elements.items())
        ]  # fmt: skip
        notes = [self._t("about.element_departments")] if self._figures.chosen.departments else []
        return self._table("elements", columns, rows, *notes)

    def _timeliness(self) -> Table:
        columns = [
            self._column("leg", width=18), self._column("destination", width=16), self._column("kind"),
            self._column("kind_name", width=24), self._column("n", "count"), self._column("median", "hours"),
            self._column("p95", "hours"), self._column("within_1h", "rate"), self._column("within_24h", "rate"),
            self._column("within_72h", "rate"), self._column("early", "count"), self._column("beyond", "count"),
        ]  # fmt: skip
        return self._table("timeliness", columns, list(self._routes()))

    def _routes(self) -> Iterator[Sequence[Cell]]:
        """All kinds of a leg together, then each."""
        order = {UNTIL_TAKEN: 0, UNTIL_RECEIPT: 1, FROM_TAKEN: 2}
        together: dict[tuple[str, str], Delays] = {}
        for (_, destination, leg), delays in self._figures.routes.items():
            together.setdefault((leg, destination), Delays()).add(delays)
        for leg, destination in sorted(together, key=lambda key: (order[key[0]], key[1])):
            yield self._route(leg, destination, "", together[leg, destination])
            for kind, to, of in sorted(self._figures.routes):
                if (of, to) == (leg, destination):
                    yield self._route(leg, destination, kind, self._figures.routes[kind, to, of])

    def _route(self, leg: str, destination: str, kind: str, delays: Delays) -> Sequence[Cell]:
        return (
            self._t(f"leg.{leg}"), destination, kind or self._t("about.all"), self._names.kind(kind) if kind else "",
            len(delays), _hours(delays.seconds(0.5)), _hours(delays.seconds(0.95)), delays.within(HOUR),
            delays.within(DAY), delays.within(3 * DAY), delays.buckets[0], delays.buckets[len(BOUNDS)],
        )  # fmt: skip

    def _trend(self) -> Table:
        rows = [(day, *_line(numbers)) for day, numbers in self._figures.days()]
        return self._table("trend", self._columns(self._column("day", "day")), rows)

    def _months(self) -> Table:
        rows = [(month, *_line(numbers)) for month, numbers in self._figures.months()]
        return self._table("months", self._columns(self._column("month")), rows)

    def _base(self) -> Table:
        """The finest grain: everything else can be computed from it."""
        columns = self._columns(
            self._column("day", "day"), self._column("kind"), self._column("department", width=20)
        )  # fmt: skip
        rows = (
            (_date(place.day), place.kind, self._department(place.department), *_line(numbers))
            for place, numbers in sorted(self._figures.places.items())
        )
        return Table("base", self._t("sheet.base"), columns, rows, long=True)

    def _findings(self, details: Iterable[Sequence[Row]]) -> Table:
        columns = [
            self._column("day", "day"), self._column("kind"), self._column("department", width=18),
            self._column("id", width=40), self._column("state", width=14), self._column("rule", width=14),
            self._column("severity"), self._column("data_element", width=18), self._column("field", width=28),
            self._column("masked", width=18),
        ]  # fmt: skip
        rows = finding_rows(details, self._figures, self._t)
        return Table("findings", self._t("sheet.findings"), columns, rows, long=True, count=self._total.findings)

    # --- charts -------------------------------------------------------------------------------------------------------

    def _charts(self) -> list[Chart]:
        t = self._t
        days = self._figures.days()
        labels = [f"{day:%m-%d}" for day, _ in days]
        numbers = [of for _, of in days]
        charts = [
            Chart("volume", t("chart.volume"), labels, [
                (t("documents"), [of.outcomes.documents for of in numbers]),
                (t("held"), [of.outcomes.held for of in numbers]),
                (t("delivered"), [of.delivered for of in numbers]),
            ]),
            Chart("rates", t("chart.rates"), labels, [
                (t("pass_rate"), [of.pass_rate for of in numbers]),
                (t("completeness"), [of.completeness for of in numbers]),
            ], rate=True),
            Chart("delay", t("chart.delay"), labels, [
                (t("receipt_median"), [_hours(of.delays[UNTIL_RECEIPT].seconds(0.5)) if UNTIL_RECEIPT in of.delays else None
                                       for of in numbers]),
            ]),
        ]  # fmt: skip
        kinds = self._figures.by(lambda place: place.kind)
        charts.append(
            self._bars(
                "kinds",
                [(f"{k} {self._names.kind(k)}", of.completeness) for k, of in sorted(kinds.items()) if k != VISIT],
                "completeness",
            )
        )
        departments = self._figures.by(lambda place: place.department)
        largest = sorted(departments.items(), key=lambda item: (-item[1].outcomes.final, item[0]))[:_BARS]
        charts.append(
            self._bars("departments", [(self._department(d), of.pass_rate) for d, of in largest], "pass_rate")
        )
        rules: Counter[str] = Counter()
        for (rule, severity), spoken in self._figures.rules.items():
            if severity != Severity.NOTE:
                rules[rule] += spoken.n
        worst = [(f"{rule} {self._names.rule(rule).title}", n) for rule, n in rules.most_common(_BARS)]
        charts.append(self._bars("rules", worst, "findings", rate=False))
        return [chart for chart in charts if chart.labels]

    def _bars(self, name: str, bars: Sequence[tuple[str, float | None]], series: str, rate: bool = True) -> Chart:
        values = [value for _, value in bars]
        labels = [label for label, _ in bars]
        return Chart(name, self._t("chart." + name), labels, [(self._t(series), values)], "bars", rate)


def _line(numbers: Numbers) -> tuple[Cell, ...]:
    return tuple(value(numbers) for _, _, value in LINE)


def told(figures: Figures) -> dict[str, Any]:
    """The figures by their names, for programs: rates are fractions, times are hours."""

    def line(numbers: Numbers) -> dict[str, Cell]:
        return {name: value(numbers) for name, _, value in LINE}

    def lines(of: dict[str, Numbers]) -> dict[str, dict[str, Cell]]:
        return {name: line(of[name]) for name in sorted(of)}

    period = figures.chosen.period
    return {
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "total": line(figures.total()),
        "kinds": lines(figures.by(lambda place: place.kind)),
        "departments": lines(figures.by(lambda place: place.department)),
        "days": {day.isoformat(): line(numbers) for day, numbers in figures.days()},
        "rules": [
            {"rule": rule, "severity": severity, "findings": spoken.n}
            for (rule, severity), spoken in sorted(figures.rules.items())
        ],
        "elements": [
            {"kind": kind, "field": name, "filled": element.filled, "wanted": element.wanted}
            for (kind, name), element in sorted(figures.elements.items())
        ],
    }


def _most(counter: Counter[str]) -> str:
    """The commonest; of several, the first by name: a report says the same every time it is made."""
    return min(counter, key=lambda name: (-counter[name], name)) if counter else ""


def _date(day: int) -> date:
    return date(day // 10_000, day // 100 % 100, day % 100)


# --- findings one by one ----------------------------------------------------------------------------------------------

_DECODE = msgspec.json.Decoder(list[Finding]).decode


def finding_rows(details: Iterable[Sequence[Row]], figures: Figures, t: Texts) -> Iterator[Sequence[Cell]]:
    """One row per finding of what was chosen. A page's rows are (day, id, state, kind, department, findings as JSON)."""
    chosen = figures.chosen
    days: dict[int, date] = {}
    words = {severity: t(severity) for severity in SEVERITIES}
    for page in details:
        for day, named, state, kind, department, findings in page:
            if not chosen.has(kind, department):
                continue
            at = days.get(day) or days.setdefault(day, _date(day))
            told, where = t.known(f"state.{state}", state), department or t("no_department")
            for finding in _DECODE(findings):
                yield (
                    at, kind, where, named, told, finding.rule, words[finding.severity], finding.data_element,
                    finding.field, finding.value,
                )  # fmt: skip


def shown(value: Cell, kind: Kind) -> str:
    """A value as text."""
    if value is None:
        return "–"
    if kind == "rate" and isinstance(value, float | int):
        return f"{value:.2%}"
    if kind in ("hours", "score") and isinstance(value, float | int):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

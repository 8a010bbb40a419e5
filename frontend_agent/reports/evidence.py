"""Evidence for an evaluation (互联互通): volumes and fill rates by data set, the region's score line by line, samples."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from heapq import nsmallest
from typing import Any, NamedTuple, Protocol

from frontend_agent.reports.datasets import Wanted, wanted
from frontend_agent.reports.figures import Element, Figures, Numbers, Row, ratio
from frontend_agent.reports.formula import Formula, Line, Score, evaluate
from frontend_agent.reports.names import Names
from frontend_agent.reports.report import Cell, Chart, Circumstances, Column, Kind, Report, Table, shown
from frontend_agent.reports.texts import Texts
from frontend_agent.visits import VISIT


class FieldLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def de(self) -> str: ...
    @property
    def name_zh(self) -> str: ...


FieldsOf = Callable[[str], Sequence[FieldLike]]  # of a kind; nothing, for one that is not made here


class Sample(NamedTuple):
    """One document, as the auditor asked to see it. `problem` says why its contents are not here."""

    document_id: str
    kind: str
    department: str
    day: int
    sha256: str
    delivered: str
    problem: str
    values: Sequence[Sequence[str]]  # (section, label, field, data element, value)


@dataclass(frozen=True)
class Samples:
    """What was chosen, and how: anybody who asks the same way sees the same."""

    how: str
    chosen: Sequence[Sample]
    consent: str = ""  # who sees the values whole, and by whose leave; empty: they are masked


# --- choosing ---------------------------------------------------------------------------------------------------------


def draw(pages: Iterable[Sequence[Row]], number: int, seed: str, chosen: Callable[[str, str], bool]) -> list[str]:
    """So many documents by lot, the same for the same seed and documents, whatever order they come in.

    Each document's lot is the hash of the seed and its id: nobody can steer it, and one more document in the period changes
    one place of the sample at most. Pages hold (day, document, kind, department, void); withdrawals are not drawn.
    """
    documents = (
        document
        for page in pages
        for _, document, kind, department, void in page
        if not void and chosen(kind, department)
    )
    return nsmallest(number, documents, key=lambda document: sha256(f"{seed}\n{document}".encode()).digest())


# --- elements of data sets --------------------------------------------------------------------------------------------


def answering(line: Wanted, fields: Sequence[FieldLike]) -> list[str]:
    """The fields of a kind that carry a data set's element.

    One data element stands for many things in a document (every person's name is DE02.01.039.00): where several fields have
    it, those of the same name are meant; where none has, all of them, and the line says that there are several.
    """
    found = [field for field in fields if field.de == line.data_element]
    if len(found) < 2:
        return [field.name for field in found]
    for fits in (_same, _within):
        named = [field.name for field in found if fits(_plain(field.name_zh), _plain(line.name))]
        if named:
            return named
    return [field.name for field in found]


def _plain(name: str) -> str:
    return "".join(c for c in name if c.isalnum())


def _same(one: str, other: str) -> bool:
    return one == other


def _within(one: str, other: str) -> bool:
    return one in other or other in one


# --- the report -------------------------------------------------------------------------------------------------------


def build(
    figures: Figures,
    fields_of: FieldsOf,
    formula: Formula | None,
    samples: Samples | None,
    circumstances: Circumstances,
    names: Names,
    t: Texts,
) -> Report:
    """All the evidence in one report."""
    score = evaluate(formula, figures) if formula else None
    made = _Evidence(figures, fields_of, names, t)
    tables = [made.summary(formula, score, samples), made.datasets(), made.fill()]
    if formula and score:
        tables.append(made.score(formula, score))
    if samples:
        tables += [made.samples(samples), made.contents(samples)]
    period = figures.chosen.period
    kinds = [f"{kind} {names.kind(kind)}" for kind in sorted(figures.chosen.kinds)]
    about = [
        (t("about.institution"), circumstances.institution),
        (t("about.period"), f"{period.first} – {period.last}"),
        (t("about.kinds"), t("of").join(kinds) or t("about.all")),
        (t("about.made"), f"{circumstances.made:%Y-%m-%d %H:%M:%S}"),
        (t("about.timezone"), str(circumstances.made.tzinfo)),
        (t("about.log"), circumstances.log),
        (t("about.version"), circumstances.version),
    ]
    notes = [t("evidence.datasets"), t("about.completeness")]
    if circumstances.since:
        notes.insert(0, t("about.partly"))
    charts = made.charts(score)
    return Report(t("evidence"), t.language, about, tables, charts, t("sheet.charts"), notes, made.cards(score))


class _Evidence:
    def __init__(self, figures: Figures, fields_of: FieldsOf, names: Names, t: Texts) -> None:
        self._figures = figures
        self._fields_of = fields_of
        self._names = names
        self._t = t
        self._kinds = {kind: of for kind, of in figures.by(lambda place: place.kind).items() if kind != VISIT}
        self._total = figures.total()
        self._lines = [line for line in wanted() if not figures.chosen.kinds or line.kind in figures.chosen.kinds]
        self._fields: Mapping[str, Sequence[FieldLike]] = {
            kind: fields_of(kind) for kind in {line.kind for line in self._lines}
        }

    def _column(self, name: str, kind: Kind = "text", width: int = 12) -> Column:
        return Column(self._t(name), kind, width)

    def _table(self, name: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]], *notes: str) -> Table:
        return Table(name, self._t("sheet." + name), columns, rows, notes)

    def summary(self, formula: Formula | None, score: Score | None, samples: Samples | None) -> Table:
        total, t = self._total, self._t
        rows: list[tuple[str, str]] = [
            (t("evidence.kinds"), f"{sum(1 for of in self._kinds.values() if of.outcomes.documents):,}"),
            (t("documents"), f"{total.outcomes.documents:,}"),
            (t("held"), f"{total.outcomes.held:,}"),
            (t("delivered"), f"{total.delivered:,}"),
            (t("accepted"), f"{total.accepted:,}"),
            (t("pass_rate"), shown(total.pass_rate, "rate")),
            (t("completeness"), shown(total.completeness, "rate")),
        ]
        if formula and score:
            rows.append((t("evidence.score"), f"{score.total:.2f} / {formula.full:g}"))
            rows.append((t("evidence.formula"), formula.title[t.language]))
        if samples:
            rows.append((t("evidence.sampling"), samples.how))
            rows.append((t("evidence.shown"), samples.consent or t("evidence.masked")))
        return self._table("summary", [self._column("metric", width=34), self._column("value", width=60)], rows)

    def cards(self, score: Score | None) -> list[tuple[str, str]]:
        total = self._total
        found = [
            (self._t("documents"), f"{total.outcomes.documents:,}"),
            (self._t("pass_rate"), shown(total.pass_rate, "rate")),
            (self._t("completeness"), shown(total.completeness, "rate")),
        ]
        return [*found, (self._t("evidence.score"), f"{score.total:.2f}")] if score else found

    # --- data sets ----------------------------------------------------------------------------------------------------

    def datasets(self) -> Table:
        columns = [
            self._column("dataset", width=18), self._column("dataset_name", width=30), self._column("kind"),
            self._column("kind_name", width=24), self._column("elements", "count"), self._column("slots", "count"),
            self._column("used", "count"), self._column("fill_rate", "rate"), self._column("documents", "count"),
            self._column("held", "count"), self._column("delivered", "count"), self._column("pass_rate", "rate"),
        ]  # fmt: skip
        return self._table("datasets", columns, list(self._dataset_rows()))

    def _dataset_rows(self) -> Iterator[Sequence[Cell]]:
        sets: dict[tuple[str, str, str], list[Wanted]] = {}
        for line in self._lines:
            sets.setdefault((line.dataset, line.dataset_name, line.kind), []).append(line)
        for (dataset, name, kind), lines in sorted(sets.items(), key=lambda item: (item[0][2] or "~", item[0])):
            found = [self._element(line) for line in lines]
            numbers = self._kinds.get(kind) or Numbers()
            filled, asked = sum(one.filled for one, _ in found), sum(one.wanted for one, _ in found)
            yield (
                dataset, name, kind or self._t("evidence.no_document"), self._names.kind(kind) if kind else "",
                len(lines), sum(bool(fields) for _, fields in found), sum(one.filled > 0 for one, _ in found),
                ratio(filled, asked), numbers.outcomes.documents, numbers.outcomes.held, numbers.delivered,
                numbers.pass_rate,
            )  # fmt: skip

    def _element(self, line: Wanted) -> tuple[Element, list[str]]:
        """What is known of a data set's element, over all fields that carry it."""
        together = Element()
        fields = answering(line, self._fields.get(line.kind, ())) if line.kind else []
        for name in fields:
            found = self._figures.elements.get((line.kind, name))
            if found:
                together.filled += found.filled
                together.wanted += found.wanted
                together.severities.update(found.severities)
        return together, fields

    def fill(self) -> Table:
        columns = [
            self._column("dataset", width=18), self._column("dataset_name", width=28), self._column("kind"),
            self._column("position", "count", 6), self._column("data_element", width=18),
            self._column("element", width=28), self._column("format", width=12), self._column("field", width=30),
            self._column("filled", "count"), self._column("wanted", "count"), self._column("fill_rate", "rate"),
            self._column("hold", "count"), self._column("warn", "count"), self._column("note", "count"),
            self._column("remark", width=30), self._column("confidence", width=14),
        ]  # fmt: skip
        return self._table("fill", columns, list(self._fill_rows()))

    def _fill_rows(self) -> Iterator[Sequence[Cell]]:
        for line in self._lines:
            element, fields = self._element(line)
            yield (
                line.dataset, line.dataset_name, line.kind, line.position, line.data_element, line.name, line.format,
                ", ".join(fields), element.filled, element.wanted, element.rate, element.severities["hold"],
                element.severities["warn"], element.severities["note"], self._remark(line, fields, element),
                line.confidence,
            )  # fmt: skip

    def _remark(self, line: Wanted, fields: Sequence[str], element: Element) -> str:
        if not line.kind:
            return self._t("evidence.no_document")
        if line.kind not in self._kinds:
            return self._t("evidence.no_kind")
        if not fields:
            return self._t("evidence.no_slot")
        if not element.wanted:
            return self._t("evidence.not_applicable")
        return self._t("evidence.several") if len(fields) > 1 else ""

    # --- score --------------------------------------------------------------------------------------------------------

    def score(self, formula: Formula, score: Score) -> Table:
        columns = [
            self._column("group", width=18), self._column("item", width=28), self._column("class", width=6),
            self._column("kind"), self._column("measure", width=12), self._column("field", width=30),
            self._column("part", "count"), self._column("whole", "count"), self._column("share_measured", "rate"),
            self._column("worth", "score"), self._column("points", "score"), self._column("how", width=60),
            self._column("remark", width=40),
        ]  # fmt: skip
        t = self._t
        notes = [
            t(
                "evidence.by",
                title=formula.title[t.language],
                source=formula.source or "–",
                mark=t("mark." + formula.mark),
            ),
            *([formula.note[t.language]] if formula.note[t.language] else []),
        ]
        rows = [*self._score_lines(score), *self._score_sums(formula, score)]
        return self._table("score", columns, rows, *notes)

    def _score_lines(self, score: Score) -> Iterator[Sequence[Cell]]:
        t = self._t
        for line in score.lines:
            item, measured = line.item, line.measured
            yield (
                line.group.name[t.language], item.name[t.language], item.class_, item.kind, t("measure." + item.measure),
                ", ".join(item.fields or item.kinds), measured.part, measured.whole, measured.share, item.points,
                line.points, self._how(line), item.note,
            )  # fmt: skip

    def _how(self, line: Line) -> str:
        """The line's arithmetic in words."""
        t, item, measured = self._t, line.item, line.measured
        if measured.reason == "no documents":
            return t("how.no_documents")
        if measured.reason == "nothing answers":
            return t("how.nothing_answers")
        if measured.reason == "applied to nobody":
            return t("how.applied_to_nobody", points=f"{item.points:g}")
        said = f"{measured.part:,} ÷ {measured.whole:,} = {shown(measured.share, 'rate')}"
        if (item.floor, item.threshold) != (0.0, 1.0):
            said += t(
                "how.between", floor=f"{item.floor:.0%}", threshold=f"{item.threshold:.0%}",
                achieved=f"{line.achieved:.2%}",
            )  # fmt: skip
        said += f" × {item.points:g} = {line.points:.3f}"
        return said if line.group.mode == "earn" else said + t("how.lost", lost=f"{item.points - line.points:.3f}")

    def _score_sums(self, formula: Formula, score: Score) -> Iterator[Sequence[Cell]]:
        t, blank = self._t, (None,) * 6
        for group, points in score.groups:
            own = [line for line in score.lines if line.group is group]
            earned = sum(line.points for line in own)
            lost = sum(line.item.points - line.points for line in own)
            how = t("how.earned", cap=f"{group.cap:g}", sum=f"{earned:.3f}")
            if group.mode == "deduct":
                how = t("how.deducted", cap=f"{group.cap:g}", sum=f"{lost:.3f}")
            yield (group.name[t.language], t("evidence.sum"), "", *blank, group.cap, points, how, "")
        yield (t("evidence.score"), "", "", *blank, formula.full, score.total, t("how.total"), "")

    # --- samples ------------------------------------------------------------------------------------------------------

    def samples(self, samples: Samples) -> Table:
        columns = [
            self._column("id", width=44), self._column("kind"), self._column("kind_name", width=24),
            self._column("department", width=18), self._column("day", width=12), self._column("sha256", width=66),
            self._column("delivered", width=40), self._column("remark", width=40),
        ]  # fmt: skip
        rows = [
            (
                one.document_id, one.kind, self._names.kind(one.kind), one.department,
                f"{one.day // 10_000}-{one.day // 100 % 100:02}-{one.day % 100:02}" if one.day else "", one.sha256,
                one.delivered, one.problem,
            )
            for one in samples.chosen
        ]  # fmt: skip
        return self._table("samples", columns, rows, samples.how, samples.consent or self._t("evidence.masked"))

    def contents(self, samples: Samples) -> Table:
        columns = [
            self._column("id", width=44), self._column("section", width=24), self._column("element", width=28),
            self._column("field", width=30), self._column("data_element", width=18), self._column("value", width=50),
        ]  # fmt: skip
        rows: list[Sequence[Any]] = [(one.document_id, *value) for one in samples.chosen for value in one.values]
        return self._table("sample", columns, rows)

    def charts(self, score: Score | None) -> list[Chart]:
        t = self._t
        kinds = [(f"{kind} {self._names.kind(kind)}", of) for kind, of in sorted(self._kinds.items())]
        found = [
            Chart("volumes", t("chart.volumes"), [name for name, _ in kinds],
                  [(t("documents"), [of.outcomes.documents for _, of in kinds])], "bars"),
            Chart("kinds", t("chart.kinds"), [name for name, _ in kinds],
                  [(t("completeness"), [of.completeness for _, of in kinds])], "bars", True),
        ]  # fmt: skip
        if score:
            labels = [group.name[t.language] for group, _ in score.groups]
            shares = [points / group.cap if group.cap else None for group, points in score.groups]
            found.append(Chart("score", t("chart.score"), labels, [(t("evidence.score"), shares)], "bars", True))
        return [chart for chart in found if chart.labels]

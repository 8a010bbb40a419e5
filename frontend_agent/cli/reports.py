"""`frontend-agent qc report`: what an auditor and a department head read about the quality of a period."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO
from zoneinfo import ZoneInfo

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Ask, Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.reports.evidence import Samples
    from frontend_agent.reports.figures import Figures, Period
    from frontend_agent.reports.formula import Formula
    from frontend_agent.reports.report import Report

FORMATS = (".xlsx", ".html", ".csv")
FORMULAS = "frontend_agent.reports.formulas"
MOST = 500  # samples of one report
LONGEST = 3 * 366  # days of one report


def add_to(group: typer.Typer, t: Texts) -> None:
    """Register the command in the group `qc`."""

    @group.command("report", help=t("qc.report"))
    def report(
        context: typer.Context,
        first: Annotated[str | None, typer.Option("--from", metavar="DAY", help=t("qc.report.from"))] = None,
        last: Annotated[str | None, typer.Option("--to", metavar="DAY", help=t("qc.report.to"))] = None,
        month: Annotated[str | None, typer.Option("--month", metavar="MONTH", help=t("qc.report.month"))] = None,
        kind: Annotated[list[str] | None, typer.Option("--kind", metavar="KIND", help=t("qc.report.kind"))] = None,
        department: Annotated[
            list[str] | None, typer.Option("--department", metavar="NAME", help=t("qc.report.department"))
        ] = None,
        out: Annotated[list[Path] | None, typer.Option("--out", "-o", metavar="FILE", help=t("qc.report.out"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        files = formats_of(out or [], FORMATS)
        settings: Settings = context.obj[0]
        with settings.asking("report_figures") as ask:
            asked = Asked(ask, t)
            figures = asked.figures(asked.period(first, last, month), known_kinds(kind or []), department or [])
            for file in files:
                write(asked.report(figures), file)
                if not json:
                    output.say(t("said.written_report", path=file))
            if json:
                output.as_json(asked.told(figures))
            elif not files:
                _show(asked.report(figures), t)


def add_evidence(group: typer.Typer, t: Texts) -> None:
    """Register `qc evidence`."""

    @group.command("evidence", help=t("qc.evidence"))
    def evidence(
        context: typer.Context,
        who: Annotated[str, typer.Option(help=t("qc.evidence.who"), default_factory=this_user)],
        out: Annotated[list[Path], typer.Option("--out", "-o", metavar="FILE", help=t("qc.report.out"))],
        first: Annotated[str | None, typer.Option("--from", metavar="DAY", help=t("qc.report.from"))] = None,
        last: Annotated[str | None, typer.Option("--to", metavar="DAY", help=t("qc.report.to"))] = None,
        month: Annotated[str | None, typer.Option("--month", metavar="MONTH", help=t("qc.report.month"))] = None,
        kind: Annotated[list[str] | None, typer.Option("--kind", metavar="KIND", help=t("qc.report.kind"))] = None,
        formula: Annotated[str | None, typer.Option(metavar="FILE", help=t("qc.evidence.formula"))] = None,
        sample: Annotated[list[str] | None, typer.Option(metavar="ID", help=t("qc.evidence.sample"))] = None,
        random: Annotated[int | None, typer.Option(metavar="N", min=1, max=MOST, help=t("qc.evidence.random"))] = None,
        seed: Annotated[str, typer.Option(help=t("qc.evidence.seed"))] = "1",
        show: Annotated[bool, typer.Option("--show", help=t("qc.evidence.show"))] = False,
        consent: Annotated[str, typer.Option(metavar="TEXT", help=t("qc.evidence.consent"))] = "",
    ) -> None:
        files = formats_of(out, FORMATS)
        if show != bool(consent.strip()) or (show and not (sample or random)):
            raise typer.BadParameter(t("said.consent"))
        if len(sample or ()) > MOST:
            raise typer.BadParameter(f"--sample: {len(sample or ())} > {MOST}")
        settings: Settings = context.obj[0]
        questions = ("report_figures", "report_sample") if sample or random else ("report_figures",)
        with settings.asking(*questions) as ask:
            asked = Asked(ask, t)
            read = asked.formula(formula) if formula else None
            figures = asked.figures(asked.period(first, last, month), known_kinds(kind or []))
            samples = None
            if sample or random:
                samples = asked.samples(figures, sample or [], random or 0, seed, who, consent.strip())
            for file in files:
                write(asked.evidence(figures, read, samples), file)
                output.say(t("said.written_report", path=file))


def formats_of(files: Iterable[Path], formats: Sequence[str]) -> list[Path]:
    """The files, each of a form that we write."""
    for file in files:
        if file.suffix.lower() not in formats:
            raise typer.BadParameter(f"{file}: {' | '.join(formats)}")
    return list(files)


def known_kinds(kinds: Iterable[str]) -> list[str]:
    from frontend_agent.config import unknown

    known = known_codes()
    for kind in kinds:
        if kind not in known:
            raise typer.BadParameter(unknown("kind", kind, known))
    return list(kinds)


def known_codes() -> list[str]:
    from frontend_agent.formats.tables import table

    return [row["code"] for row in table("documents.csv")]


class Asked:
    """Answers of the agent, as the parts of a report."""

    def __init__(self, ask: Ask, t: Texts) -> None:
        from frontend_agent.reports.names import Names
        from frontend_agent.reports.texts import Texts as ReportTexts

        self._ask = ask
        self.about: dict[str, Any] = ask("report_about")
        self.zone = ZoneInfo(self.about["timezone"])
        self.texts = ReportTexts(t.language)
        self.names = Names(t.language)

    def now(self) -> datetime:
        return datetime.now(self.zone)

    def period(self, first: str | None, last: str | None, month: str | None) -> "Period":
        """What was asked for; nothing means yesterday."""
        from frontend_agent.reports.figures import Period

        if month is not None:
            if first or last:
                raise typer.BadParameter("--month | --from --to")
            begin = day_of(f"{month}-01" if "-" in month else f"{month}01")
            return Period(begin, (begin + timedelta(days=31)).replace(day=1) - timedelta(days=1))
        yesterday = self.now().date() - timedelta(days=1)
        begin = day_of(first) if first else day_of(last) if last else yesterday
        period = Period(begin, day_of(last) if last else max(begin, yesterday))
        if period.first > period.last:
            raise typer.BadParameter(f"--from {period.first} > --to {period.last}")
        if (period.last - period.first).days > LONGEST:
            raise typer.BadParameter(f"--from {period.first} --to {period.last}: > {LONGEST} d")
        return period

    def figures(self, period: "Period", kinds: Iterable[str] = (), departments: Iterable[str] = ()) -> "Figures":
        from frontend_agent.reports.figures import Chosen, Figures

        figures = Figures(Chosen(period, frozenset(kinds), frozenset(departments)))
        first, last = days_of(period)
        for page in self._ask("report_figures", first=first, last=last) or ():
            figures.add(page["table"], page["rows"])
        return figures

    def report(self, figures: "Figures") -> "Report":
        from frontend_agent.reports import report

        period = figures.chosen.period
        title = "report.daily" if period.first == period.last else "report.monthly" if is_month(period) else "report"
        return report.build(figures, self._details(period), self.circumstances(title), self.names, self.texts)

    def told(self, figures: "Figures") -> dict[str, Any]:
        from frontend_agent.reports.report import told

        return {"about": self.about, **told(figures)}

    def circumstances(self, title: str) -> Any:
        from frontend_agent.reports.report import Circumstances

        since = datetime.fromisoformat(self.about["since"]) if self.about["since"] else None
        return Circumstances(
            institution=self.about["institution"],
            made=self.now(),
            since=since,
            version=self.about["version"],
            log=self.about["log"],
            title=title,
        )

    # --- evidence -----------------------------------------------------------------------------------------------------

    def formula(self, name: str) -> "Formula":
        """A file of the region's, or one that ships with us."""
        from frontend_agent.config import unknown
        from frontend_agent.errors import ConfigurationError
        from frontend_agent.formats import kind_codes, load_kind
        from frontend_agent.reports.formula import read_formula
        from frontend_agent.shipped import is_site_file, read_file, read_shipped, shipped_names, text_of

        def fields_of(code: str) -> frozenset[str] | None:
            if code in kind_codes():
                kind = load_kind(code)
                return frozenset(field.name for field in kind.fields) | frozenset(kind.groups)
            return frozenset() if code in dict.fromkeys(known_codes()) else None

        if is_site_file(name):
            return read_formula(text_of(read_file, name, "--formula"), name, fields_of)
        shipped = shipped_names(FORMULAS)
        if name not in shipped:
            raise ConfigurationError(unknown("formula", name, [*shipped, "FILE.toml"]))
        return read_formula(read_shipped(FORMULAS)(f"{name}.toml"), f"{name}.toml", fields_of)

    def samples(
        self, figures: "Figures", named: list[str], number: int, seed: str, who: str, consent: str
    ) -> "Samples":
        """Those that were named, and those that the lot adds. Shown whole only after that was written down."""
        from frontend_agent.reports.evidence import Sample, Samples, draw

        words, how, chosen = self.texts, [], list(dict.fromkeys(named))
        if named:
            how.append(words("evidence.named"))
        if number:
            first, last = days_of(figures.chosen.period)
            pages = self._ask("report_documents", first=first, last=last) or ()
            chosen += [one for one in draw(pages, number, seed, figures.chosen.has) if one not in chosen]
            how.append(words("evidence.random", n=number, seed=seed))
        if consent:
            self._ask("report_consent", documents=chosen, who=who, consent=consent)
        shown = [Sample(**self._ask("report_sample", document=one, whole=bool(consent))) for one in chosen]
        whole = words("evidence.whole", consent=consent, who=who) if consent else ""
        return Samples(words("of").join(how), shown, whole)

    def evidence(self, figures: "Figures", formula: "Formula | None", samples: "Samples | None") -> "Report":
        from frontend_agent.formats import kind_codes, load_kind
        from frontend_agent.reports.evidence import build

        known = frozenset(kind_codes())

        def fields_of(code: str) -> Any:
            return load_kind(code).fields if code in known else ()

        about = self.circumstances("evidence")
        return build(figures, fields_of, formula, samples, about, self.names, self.texts)

    def _details(self, period: "Period") -> Iterator[Any]:
        """Asked for when they are written: a page report never does."""
        first, last = days_of(period)
        yield from self._ask("report_details", first=first, last=last) or ()


def day_of(text: str) -> date:
    """`2026-09-30` or `20260930`."""
    try:
        return datetime.strptime(text.replace("-", ""), "%Y%m%d").date()
    except ValueError:
        raise typer.BadParameter(f"{text!r}: 2026-09-30 | 20260930") from None


def is_month(period: "Period") -> bool:
    return (
        period.first.day == 1 and (period.last + timedelta(days=1)).day == 1 and (period.last - period.first).days < 31
    )


def days_of(period: "Period") -> tuple[int, int]:
    return int(f"{period.first:%Y%m%d}"), int(f"{period.last:%Y%m%d}")


# --- writing ----------------------------------------------------------------------------------------------------------


def write(report: "Report", path: Path) -> None:
    """Write the report in the form that the file's name asks for; a file of that name is replaced when it is complete."""
    form = path.suffix.lower()
    if form == ".xlsx":
        from frontend_agent.reports import excel

        with replaced(path) as file:
            excel.write(report, file, str(path.absolute().parent))
    elif form == ".html":
        from frontend_agent.reports.page import page
        from frontend_agent.reports.texts import Texts as ReportTexts

        with replaced(path) as file:
            _pieces(file, page(report, ReportTexts("zh" if report.language == "zh" else "en")))
    else:
        from frontend_agent.reports.separated import lines

        # The first file is the finest grain; each other table stands in a file of its own beside it.
        finest = "base" if any(table.name == "base" for table in report.tables) else "fill"
        for table in report.tables:
            beside = path if table.name == finest else path.with_name(f"{path.stem}-{table.name}{path.suffix}")
            with replaced(beside) as file:
                _pieces(file, lines(table))


def _pieces(file: BinaryIO, pieces: Iterable[str]) -> None:
    for piece in pieces:
        file.write(piece.encode())


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file that is there whole, or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FrontendAgentError(f"{path}: {error.strerror}") from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _show(report: "Report", t: Texts) -> None:
    """Without a file: what one looks at first."""
    for label, value in report.about:
        output.say(f"{label}: {value}")
    for table in report.tables:
        if table.name == "summary":
            output.table(t, ("metric", "value"), table.rows)
    for note in report.notes:
        output.say(note)

"""Reports: every cell against a count made from the trace tables, in both languages and all forms."""

import csv
import json
import re
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import openpyxl
import pytest
from pipe import FakePlatform, feed
from test_statistics import measures

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import ConfigurationProblems, ReportsConfig, parse_config
from frontend_agent.intake import take_in
from frontend_agent.measuring import BOUNDS
from frontend_agent.model import Finding, Outcome, Receipt, RowSet, Severity, SourceRecord, SourceRows
from frontend_agent.operations import Operations
from frontend_agent.reporting import Order, Reporting, due, over
from frontend_agent.reports import excel
from frontend_agent.reports.figures import Chosen, Delays, Figures, Period
from frontend_agent.reports.report import LINE
from frontend_agent.reports.texts import TEXTS
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool, this_machine

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 9, 30, 12, 0, tzinfo=SHANGHAI)
ALL = 0, 99_999_999
CONFIG = """
[institution]
id = "330100-H1"
name = "测试医院"
[sources.his]
url = "sqlite:///nowhere.db"
[destinations.platform]
url = "http://127.0.0.1:1"
[[feeds]]
name = "lab_report"
source = "his"
mapping = "demo_lis/lab_report"
"""
EVIL = "=cmd|' /C calc'!A0<script>alert(1)</script>\x07 \ufffe"


def normalise(source: SourceRows) -> list[SourceRecord]:
    made = []
    for key, time, department, value in source.parent.rows:
        record = {"report_number": key, "author.time": time, "value": value}
        if department:
            record["department.name"] = department
        made.append(SourceRecord(key, record, f"{key}/{value}", value != "open", value == "void", columns={}))
    return made


def check(record: dict, columns: object, told: object = ()) -> list[Finding]:
    value = record["value"]
    found = [Finding("MAP001", Severity.NOTE, field="items[3].unit", data_element="DE04.30.010.00", value="mg")]
    if "odd" in value:
        found.append(Finding("DE-LENGTH", Severity.WARN, field="value", data_element="DE02.01.039.00", value="[9]"))
    if "bad" in value:
        found += [Finding("DE-MISSING", Severity.HOLD, field="patient.name", data_element="DE02.01.039.00")] * 2
    return found if value != "clean" else []


def plan(kind: str = "C0007", **more: object):
    return feed(
        name=f"feed_{kind}", kind=kind, normalise=normalise, check=check, timezone=SHANGHAI,
        complete=lambda record: (record, []), measures=measures(kind), **more,
    )  # fmt: skip


Rows = dict[str, tuple[str, str, str]]


def take(spool: Spool, values: Rows, now: datetime = NOW, **more: object) -> None:
    rows = SourceRows(
        RowSet(("report_number", "time", "department", "value"), [(k, *v) for k, v in values.items()]), {}
    )
    take_in(plan(**more), rows, None, spool, None, now)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a configuration, and a state of two kinds, four departments, seven days."""
    (tmp_path / "agent.toml").write_text(CONFIG, encoding="utf-8")
    with Spool(tmp_path / "state").open() as spool:
        spool.bind(this_machine())
        words = ("clean", "odd", "bad", "good", "odd bad")
        for kind in ("C0007", "C0004"):
            values: Rows = {
                f"{n}": (f"202609{20 + n % 7}{n % 24:02}1500", ("内科", "外科", "", EVIL)[n % 4], words[n % 5])
                for n in range(80 if kind == "C0007" else 33)
            }
            take(spool, values, kind=kind)
        take(spool, {"3": ("20260923031500", "", "void"), "1": ("20260921011500", "外科", "odd two")})
        take(spool, {"2": ("20260922021500", "", "good")})
        take(spool, {"a": ("20260831235959", "内科", "odd"), "b": ("20260901000000", "内科", "odd"),
                     "c": ("20260930235959", "内科", "odd"), "d": ("20261001000000", "内科", "odd")},
             now=NOW + timedelta(days=3))  # fmt: skip
        send_out(FakePlatform(), spool, NOW + timedelta(minutes=45))
        send_out(FakePlatform(), spool, NOW + timedelta(minutes=45))
    return tmp_path


def ask(place: Path, *arguments: str) -> int:
    return run(["--config", str(place / "agent.toml"), "--state", str(place / "state"), *arguments])


def workbook(place: Path, *arguments: str, lang: str = "zh"):
    out = place / "out.xlsx"
    assert ask(place, "--lang", lang, "qc", "report", *arguments, "--out", str(out)) == 0
    return openpyxl.load_workbook(out)


def table(sheet) -> list[dict[str, object]]:
    """The rows under the heading: the one row with a bold first cell of many."""
    rows = list(sheet.iter_rows())
    top = next(n for n, row in enumerate(rows) if sum(c.value is not None for c in row) > 1 and row[0].font.bold)
    heading = [cell.value for cell in rows[top]]
    return [dict(zip(heading, [cell.value for cell in row], strict=True)) for row in rows[top + 1 :]]


# --- an independent count, from the trace tables ----------------------------------------------------------------------


def traced(place: Path, first: int = 20260901, last: int = 20260930) -> list[dict[str, object]]:
    """Every document and every held record of the period, one by one, as trace and quarantine show them."""
    found: list[dict[str, object]] = []
    with Spool(place / "state").open() as spool:
        rows = spool._database._connection.execute(
            "SELECT s.set_id, d.version, d.day, c.department FROM document d JOIN series s ON s.id = d.series JOIN scope c ON c.id = d.scope"
        ).fetchall()
        for set_id, version, day, department in rows:
            trace = spool.trace(f"{set_id}-{version}")
            assert trace
            delivered = [d for d in trace.deliveries if d.state == "delivered"]
            found.append({"id": trace.document_id, "kind": trace.kind, "day": day, "department": department,
                          "findings": trace.findings, "document": True, "version": version, "void": trace.void,
                          "delivered": len(delivered)})  # fmt: skip
        cases = spool._database._connection.execute(
            "SELECT q.id, q.day, c.department, c.kind, q.findings, q.state FROM quarantine q JOIN scope c ON c.id = q.scope"
        ).fetchall()
        for number, day, department, kind, findings, state in cases:
            found.append({"id": f"Q{number}", "kind": kind, "day": day, "department": department, "document": False,
                          "findings": msgspec.json.decode(findings, type=list[Finding]), "state": state})  # fmt: skip
    return [one for one in found if first <= int(str(one["day"])) <= last]


def by_hand(traces: list[dict]) -> dict[str, object]:
    documents = [one for one in traces if one["document"]]
    severities = Counter(finding.severity.value for one in traces for finding in one["findings"])
    return {
        "判定数": len(traces),
        "生成文档": len(documents),
        "隔离": len(traces) - len(documents),
        "其中更正版本": sum(one["version"] > 1 for one in documents),
        "其中作废": sum(one["void"] for one in documents),
        "带警告文档": sum(any(f.severity == "warn" for f in one["findings"]) for one in documents),
        "送达": sum(one["delivered"] for one in documents),
        "通过率": len(documents) / len(traces) if traces else None,
        "隔离级": severities["hold"],
        "警告级": severities["warn"],
        "提示级": severities["note"],
    }


def department_in(cell: str) -> str:
    return {"（未注明）": ""}.get(cell, cell)


def escaped(text: str) -> str:
    """How a workbook holds characters that XML does not know; openpyxl gives the escapes back as they are, or decoded."""
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda m: chr(int(m[1], 16)), text)


# --- the workbook, cell by cell ---------------------------------------------------------------------------------------


def test_every_line_agrees_with_the_trace_tables(place: Path) -> None:
    traces = traced(place)
    book = workbook(place, "--month", "2026-09")
    assert [sheet.title for sheet in book] == [
        "总览", "按文档类型", "按科室", "按规则", "按数据元", "及时性", "趋势", "按月", "日×类型×科室", "明细", "图表"
    ]  # fmt: skip
    compared = 0

    def agrees(row: dict, chosen: list[dict]) -> None:
        nonlocal compared
        for name, value in by_hand(chosen).items():
            assert row[name] == pytest.approx(value) if value is not None else row[name] is None, (name, row)
            compared += 1

    kinds = table(book["按文档类型"])
    assert [row["类型"] for row in kinds] == ["C0004", "C0007"]
    for row in kinds:
        agrees(row, [one for one in traces if one["kind"] == row["类型"]])
    departments = table(book["按科室"])
    assert len(departments) == 4
    for row in departments:
        agrees(row, [one for one in traces if one["department"] == department_in(escaped(row["科室"]))])
    days = table(book["趋势"])
    assert [row["日期"].date() for row in days] == [date(2026, 9, n) for n in range(1, 31)]
    for row in days:
        agrees(row, [one for one in traces if one["day"] == int(f"{row['日期']:%Y%m%d}")])
    (month,) = table(book["按月"])
    agrees(month, traces)
    base = table(book["日×类型×科室"])
    assert sum(row["判定数"] for row in base) == len(traces)
    for row in base:
        place_ = int(f"{row['日期']:%Y%m%d}"), row["类型"], department_in(escaped(row["科室"]))
        agrees(row, [one for one in traces if (one["day"], one["kind"], one["department"]) == place_])
    assert compared > 500


def test_what_was_only_accepted_is_not_delivered(tmp_path: Path) -> None:
    """A foreign yes proves no storage (law 5): a column of its own, and a sample says of what was confirmed who said so."""
    (tmp_path / "agent.toml").write_text(CONFIG, encoding="utf-8")
    with Spool(tmp_path / "state").open() as spool:
        spool.bind(this_machine())
        values: Rows = {f"{n}": (f"2026092{n}101500", "内科", "clean") for n in range(3)}
        take(spool, values, destinations=("region",))
        claimed = [one.document.document_id for one in spool.claim("region", now=NOW)]
        spool.settle("region", [Receipt(one, Outcome.ACCEPTED) for one in claimed], now=NOW)
        spool.accepted.confirm("region", claimed[:1], "seen there", NOW)

    book = workbook(tmp_path, "--month", "2026-09")
    (month,) = table(book["按月"])
    assert (month["送达"], month["已接受未证实"], month["生成文档"]) == (1, 2, 3)
    assert not [row for row in table(book["及时性"]) if row["目的地"] == "region"]  # no receipt: no time to one

    app = App(parse_config(CONFIG, folder=tmp_path), tmp_path / "state", alone=True).open_state()
    try:
        confirmed, accepted = (Operations(app).report_sample(one)["delivered"] for one in claimed[:2])
    finally:
        app.close()
    assert confirmed.startswith("region ")
    assert confirmed.endswith(" confirmed")
    assert accepted == ""


def test_the_summary_is_the_sum(place: Path) -> None:
    summary = {row["指标"]: row["值"] for row in table(workbook(place, "--month", "2026-09")["总览"])}
    counted = by_hand(traced(place))
    for name, value in counted.items():
        assert summary[name] == (f"{value:.2%}" if name == "通过率" else f"{value:,}"), name
    assert summary["隔离后修复"] == "1"


def test_rules_elements_and_the_findings_themselves(place: Path) -> None:
    traces = traced(place)
    book = workbook(place, "--month", "2026-09")
    spoken = Counter((f.rule, f.severity.value) for one in traces for f in one["findings"])
    words = {"隔离级": "hold", "警告级": "warn", "提示级": "note"}
    rules = table(book["按规则"])
    assert {(row["规则"], words[row["级别"]]): row["问题数"] for row in rules} == spoken
    assert all(row["占判定数"] == pytest.approx(row["问题数"] / len(traces)) for row in rules)
    assert [row["问题数"] for row in rules] == sorted((row["问题数"] for row in rules), reverse=True)
    elements = {(row["类型"], row["字段"]): row for row in table(book["按数据元"])}
    at = Counter((one["kind"], f.field.replace("[3]", ""), f.severity.value) for one in traces for f in one["findings"])
    for (kind, field, severity), n in at.items():
        column = {word: name for name, word in words.items()}[severity]
        assert elements[kind, field][column] == n
    lines = Counter(
        (
            f"{row['日期']:%Y%m%d}",
            row["文档／条目"],
            row["规则"],
            words[row["级别"]],
            row["数据元"],
            row["字段"],
            row["值（脱敏）"] or "",
        )
        for row in table(book["明细"])
    )
    expected = Counter(
        (str(one["day"]), one["id"], f.rule, f.severity.value, f.data_element, f.field, f.value)
        for one in traces for f in one["findings"]
    )  # fmt: skip
    assert lines == expected
    assert len(lines) > 100


def test_a_period_begins_and_ends_at_local_midnight(place: Path) -> None:
    for first, last, keys in (
        ("2026-08-31", "2026-08-31", 1),
        ("2026-09-01", "20260901", 1),
        ("2026-08-31", "2026-10-01", None),
    ):
        rows = table(workbook(place, "--from", first, "--to", last)["趋势"])
        assert sum(row["判定数"] for row in rows) == (keys or len(traced(place, 20260831, 20261001)))


def test_kinds_and_departments_can_be_chosen(place: Path) -> None:
    chosen = [one for one in traced(place) if one["kind"] == "C0007" and one["department"] in ("内科", "外科")]
    book = workbook(place, "--month", "2026-09", "--kind", "C0007", "--department", "内科", "--department", "外科")
    (row,) = table(book["按文档类型"])
    assert {name: row[name] for name in ("判定数", "隔离")} == {
        "判定数": len(chosen), "隔离": sum(not one["document"] for one in chosen)
    }  # fmt: skip
    assert len(table(book["明细"])) == sum(len(one["findings"]) for one in chosen)
    assert any("全院" in str(cell.value) for cell in book["按数据元"]["A"])


def test_more_rows_than_a_sheet_holds_go_on_in_the_next(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [tuple(row.values()) for row in table(workbook(place, "--month", "2026-09")["明细"])]
    monkeypatch.setattr(excel, "ROWS", 51)
    book = workbook(place, "--month", "2026-09")
    parts = [sheet for sheet in book if sheet.title.startswith("明细")]
    assert [sheet.title for sheet in parts] == ["明细", *(f"明细 {n}" for n in range(2, len(parts) + 1))]
    assert [sheet.max_row for sheet in parts[:-1]] == [51] * (len(parts) - 1)
    assert [tuple(row.values()) for sheet in parts for row in table(sheet)] == whole
    monkeypatch.setattr(excel, "ROWS", len(whole) + 1)
    assert "明细 2" not in workbook(place, "--month", "2026-09").sheetnames


def test_a_month_with_nothing_is_a_report_of_zeros(place: Path) -> None:
    book = workbook(place, "--month", "2025-02")
    assert [row["判定数"] for row in table(book["趋势"])] == [0] * 28
    assert all(row["通过率"] is None for row in table(book["趋势"]))
    assert "本期间没有数据。" in [cell.value for cell in book["总览"]["A"]]
    assert table(book["明细"]) == table(book["按规则"]) == []


def test_english_is_the_same_in_other_words(place: Path) -> None:
    zh, en = workbook(place, "--month", "2026-09"), workbook(place, "--month", "2026-09", lang="en")
    assert en.sheetnames[:3] == ["Summary", "By kind", "By department"]
    for theirs, ours in zip(zh, en, strict=True):
        assert (theirs.max_row, theirs.max_column) == (ours.max_row, ours.max_column)

    def numbers(book):
        return [c.value for s in book for row in s.iter_rows() for c in row if isinstance(c.value, int | float)]

    assert numbers(zh) == numbers(en)
    assert not re.search("[一-鿿]", "".join(str(c.value) for c in en["By rule"][1]))


def test_no_text_is_missing_in_a_language() -> None:
    assert all(zh and en and zh != "" for zh, en in TEXTS.values())
    assert {name for name, _, _ in LINE} <= set(TEXTS)


def test_what_a_hospital_writes_is_no_formula_and_no_markup(place: Path) -> None:
    book = workbook(place, "--month", "2026-09")
    cells = [c for sheet in book for row in sheet.iter_rows() for c in row]
    assert not any(c.data_type == "f" for c in cells)
    assert any("<script>" in str(c.value) for c in cells)
    out = place / "out.html"
    assert ask(place, "qc", "report", "--month", "2026-09", "--out", str(out)) == 0
    html = out.read_text("utf-8")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "http:" not in html.replace("http://127", "")
    assert not re.search(r"""(src|href)=["'](?!#)""", html)


# --- the other forms --------------------------------------------------------------------------------------------------


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_and_workbook_say_the_same(place: Path) -> None:
    assert ask(place, "--lang", "zh", "qc", "report", "--month", "2026-09", "--out", str(place / "q.csv")) == 0
    traces = traced(place)
    assert sum(int(row["判定数"]) for row in read_csv(place / "q.csv")) == len(traces)
    findings = read_csv(place / "q-findings.csv")
    assert len(findings) == sum(len(one["findings"]) for one in traces)
    assert not any(value.startswith(("=", "+", "-", "@")) for row in findings for value in row.values())
    assert {row["科室"][:5] for row in findings} >= {"'=cmd"}
    for name in ("kinds", "departments", "rules", "elements", "timeliness", "trend", "months", "summary"):
        assert read_csv(place / f"q-{name}.csv")


def test_json_for_programs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(place, "qc", "report", "--month", "2026-09", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["total"]["final"] == len(traced(place)) == sum(day["final"] for day in told["days"].values())
    assert told["from"] == "2026-09-01"


def test_a_file_is_whole_or_not_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = place / "q.html"
    out.write_text("before")

    def breaks(*_: object) -> object:
        raise RuntimeError("half way")
        yield ""

    monkeypatch.setattr("frontend_agent.reports.page.page", breaks)
    assert ask(place, "qc", "report", "--month", "2026-09", "--out", str(out)) == 1
    assert out.read_text() == "before"
    assert not list(place.glob("*.part"))


@pytest.mark.parametrize(
    "arguments",
    [("--month", "2026-13"), ("--from", "yesterday"), ("--from", "2026-09-02", "--to", "2026-09-01"), ("--kind", "C9999"),
     ("--out", "report.pdf"), ("--month", "2026-09", "--to", "2026-09-30"), ("--from", "19990101", "--to", "20260101")],
)  # fmt: skip
def test_wrong_use_is_told(place: Path, arguments: tuple[str, ...]) -> None:
    assert ask(place, "qc", "report", *arguments) == 2


def test_a_folder_that_is_not_there_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(place, "qc", "report", "--month", "2026-09", "--out", str(place / "no" / "q.xlsx")) == 1
    assert "No such file" in capsys.readouterr().err


# --- figures ----------------------------------------------------------------------------------------------------------


def test_median_and_p95_lie_in_the_bucket_of_the_true_ones() -> None:
    delays = sorted((n * n) % 90_000 for n in range(1, 1_000))
    counted = Delays(Counter(sum(bound <= seconds for bound in BOUNDS) for seconds in delays))
    for share in (0.5, 0.95):
        true = delays[int(len(delays) * share)]
        found = counted.seconds(share)
        assert found is not None
        below = max(bound for bound in BOUNDS if bound <= true)
        above = min(bound for bound in BOUNDS if bound > true)
        assert below <= found <= above
    assert counted.within(3_600) == sum(seconds < 3_600 for seconds in delays) / len(delays)
    assert counted.within(3_601) == counted.within(3_600)
    assert Delays().seconds(0.5) is None
    assert Delays().within(60) is None
    assert Delays({0: 3, len(BOUNDS): 1}).seconds(0.99) == BOUNDS[-1]


def test_all_ways_of_adding_up_agree(place: Path) -> None:
    figures = Figures(Chosen(Period(date(2026, 8, 1), date(2026, 10, 31))))
    with Spool(place / "state").open() as spool:
        for name in ("outcomes", "findings", "fill", "delays", "deliveries"):
            figures.add(name, getattr(spool.statistics, name)(*ALL))
    total = figures.total()
    for parts in (
        figures.by(lambda at: at.kind),
        figures.by(lambda at: at.department),
        dict(figures.days()),
        dict(figures.months()),
    ):
        assert sum(part.outcomes.final for part in parts.values()) == total.outcomes.final
        assert sum(part.delivered for part in parts.values()) == total.delivered
        assert sum(part.findings for part in parts.values()) == total.findings
    assert len(figures.months()) == 3


# --- by themselves ----------------------------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def names(orders: list[Order]) -> list[str]:
    return [order.name for order in orders]


def test_what_is_due_is_what_is_not_there() -> None:
    config = ReportsConfig(formats=("xlsx",))
    orders = due(config, at("2026-10-03 02:30"), set())
    assert names(orders) == [
        *(f"daily-2026-{d}" for d in ("10-02", "10-01", "09-30", "09-29", "09-28", "09-27", "09-26")),
        "monthly-2026-09",
    ]
    assert orders[-1][1:] == (date(2026, 9, 1), date(2026, 9, 30))
    made = {f"{order.name}.xlsx" for order in orders}
    assert due(config, at("2026-10-03 02:31"), made) == []
    assert names(due(config, at("2026-10-04 02:29"), made)) == []
    assert names(due(config, at("2026-10-04 02:30"), made)) == ["daily-2026-10-03"]
    assert names(due(ReportsConfig(formats=("xlsx", "html"), daily=False), at("2026-10-04 03:00"), made)) == [
        "monthly-2026-09"
    ]
    assert "monthly-2026-08" in names(due(config, at("2026-10-03 02:29"), set()))
    assert names(due(ReportsConfig(daily=False), at("2026-01-02 03:00"), set())) == ["monthly-2025-11"]


def test_only_our_own_old_files_are_dropped() -> None:
    there = {
        "daily-2025-01-01.xlsx",
        "daily-2026-10-01.html",
        "monthly-2024-12.xlsx",
        "daily-notes.txt",
        "monthly-report.docx",
        "x",
    }
    assert over(ReportsConfig(), date(2026, 10, 3), there) == ["daily-2025-01-01.xlsx", "monthly-2024-12.xlsx"]


def test_reports_are_made_by_themselves_and_a_failure_is_only_said(place: Path) -> None:
    config = ReportsConfig(monthly=False, formats=("html",))
    reporting = Reporting(config, place / "state", SHANGHAI, place / "agent.toml")
    reporting.folder.mkdir()
    for day in range(20, 26):
        (reporting.folder / f"daily-2026-09-{day}.html").touch()
    (reporting.folder / "daily-2020-01-01.html").touch()
    reporting.work(at("2026-09-27 06:00"))
    assert "数据质量日报" in (reporting.folder / "daily-2026-09-26.html").read_text("utf-8")
    assert not (reporting.folder / "daily-2020-01-01.html").exists()
    broken = Reporting(config, place / "state", SHANGHAI, place / "none.toml")
    broken.work(at("2026-09-28 06:00"))
    assert not (reporting.folder / "daily-2026-09-27.html").exists()
    nowhere = place / "file"
    nowhere.touch()
    Reporting(config, nowhere, SHANGHAI, place / "agent.toml").work(at("2026-09-28 06:00"))


@pytest.mark.parametrize(
    ("line", "says"),
    [('at = "25:00"', "reports: at"), ('folder = "/tmp"', "inside of the state"), ('folder = "../x"', "inside of the state"),
     ('keep = "1h"', "keep"), ("formats = []", "formats"), ('formats = ["pdf"]', "formats"), ('language = "fr"', "language")],
)  # fmt: skip
def test_bad_configuration_is_refused(line: str, says: str) -> None:
    with pytest.raises(ConfigurationProblems, match=says) as problem:
        parse_config(CONFIG + f"\n[reports]\n{line}\n")
    assert problem.value.exit_code == 78

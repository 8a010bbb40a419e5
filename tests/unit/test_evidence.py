"""Evidence for evaluations: data sets, the region's formula, samples and who may see them whole."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from pipe import FakePlatform, feed
from records import clean
from test_reports import CONFIG, ask, table
from test_statistics import measures

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import kind_codes, load_kind
from frontend_agent.intake import take_in
from frontend_agent.measuring import Outcomes
from frontend_agent.model import RowSet, SourceRecord, SourceRows
from frontend_agent.profiles import load_profile
from frontend_agent.reports.datasets import Wanted, wanted
from frontend_agent.reports.evidence import answering, draw
from frontend_agent.reports.figures import Chosen, Figures, Period
from frontend_agent.reports.formula import Formula, evaluate, read_formula
from frontend_agent.sending import send_out
from frontend_agent.shipped import read_shipped, shipped_names
from frontend_agent.spool import Spool, this_machine
from frontend_agent.wire.frames import compressor

NOW = datetime(2026, 9, 30, 12, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
SECRET = "欧阳修远"
SEPTEMBER = Period(date(2026, 9, 1), date(2026, 9, 30))


# --- the formula ------------------------------------------------------------------------------------------------------

FIELDS = {
    "C0002": frozenset({"patient.name", "chief_complaint"}),
    "C0032": frozenset({"fee.total"}),
    "C0099": frozenset(),
}


def formula(text: str) -> Formula:
    head = 'title = "试行公式"\nsource = "区域文件 2026-3"\n'
    return read_formula(head + text, "region.toml", FIELDS.get)


def figures() -> Figures:
    """10 judged of C0002 (8 documents, 2 held), 4 documents of C0032, delays of 1 minute and 2 days."""
    made = Figures(Chosen(SEPTEMBER))

    def outcome(**values: int) -> list[int]:
        of = Outcomes(**values)
        return [getattr(of, name) for name in Outcomes.__struct_fields__]

    made.add("outcomes", [
        (20260901, "f", "C0002", "i", "内科", *outcome(final=10, documents=8, held=2, wanted=50, filled=40)),
        (20260902, "f", "C0032", "i", "", *outcome(final=4, documents=4, wanted=10, filled=10)),
    ])  # fmt: skip
    made.add("fill", [(20260901, "i", "C0002", "patient.name", 9, 10), (20260901, "i", "C0002", "chief_complaint", 5, 10),
                      (20260902, "i", "C0032", "fee.total", 4, 4)])  # fmt: skip
    made.add("findings", [
        (20260901, "f", "C0002", "i", "内科", "R", "warn", "patient.name", "", 3),
        (20260901, "f", "C0002", "i", "内科", "R", "note", "patient.name", "", 5),
        (20260901, "f", "C0002", "i", "内科", "M", "hold", "chief_complaint", "", 5),
    ])  # fmt: skip
    made.add(
        "delays",
        [
            (20260901, "f", "C0002", "i", "内科", "platform", 0, 3, 6),
            (20260901, "f", "C0002", "i", "内科", "platform", 0, 24, 2),
        ],
    )
    return made


def score_of(item: str, mode: str = "earn", cap: str = "") -> tuple[float, float]:
    read = formula(f'[[groups]]\nname = "g"\nmode = "{mode}"\n{cap}\n[[groups.items]]\nname = "i"\npoints = 10\n{item}')
    found = evaluate(read, figures())
    return found.lines[0].points, found.total


@pytest.mark.parametrize(
    ("item", "points"),
    [
        ('measure = "fill"\nkind = "C0002"\nfields = ["patient.name"]', 9.0),
        ('measure = "fill"\nkind = "C0002"\nfields = ["patient.name", "chief_complaint"]', 7.0),
        ('measure = "fill"\nkind = "C0002"', 8.0),
        ('measure = "fill"', 10 * 50 / 60),
        ('measure = "correct"\nkind = "C0002"\nfields = ["patient.name"]', 7.0),  # 9 there, 3 warned of; 1 of them not there
        ('measure = "correct"\nkind = "C0002"\nfields = ["chief_complaint"]', 5.0),  # the five held are the five missing
        ('measure = "pass"\nkind = "C0002"', 8.0),
        ('measure = "pass"', 10 * 12 / 14),
        ('measure = "timely"\nwithin = "24h"', 7.5),
        ('measure = "timely"\nwithin = "30d"', 10.0),
        ('measure = "kinds"\nkinds = ["C0002", "C0032", "C0099"]\nat_least = 5', 10 / 3),
        ('measure = "fill"\nkind = "C0002"\nfields = ["patient.name"]\nthreshold = 0.9', 10.0),
        ('measure = "fill"\nkind = "C0002"\nfields = ["patient.name"]\nthreshold = 1.0\nfloor = 0.8', 5.0),
        ('measure = "fill"\nkind = "C0002"\nfields = ["patient.name"]\nfloor = 0.95', 0.0),
        ('measure = "fill"\nkind = "C0099"', 0.0),
        ('measure = "fill"\nkind = "C0032"\nfields = []', 0.0),
    ],
)  # fmt: skip
def test_each_measure_by_hand(item: str, points: float) -> None:
    assert score_of(item) == (pytest.approx(points), pytest.approx(points))


def test_groups_add_up_or_are_taken_from() -> None:
    filled = 'measure = "fill"\nkind = "C0002"\nfields = ["patient.name"]'
    assert score_of(filled, cap="cap = 6") == (pytest.approx(9.0), 6.0)
    assert score_of(filled, "deduct", "cap = 6") == (pytest.approx(9.0), pytest.approx(5.0))
    assert score_of('measure = "fill"\nkind = "C0099"', "deduct", "cap = 30") == (0.0, 0.0)
    assert score_of('measure = "pass"\nkind = "C0002"', "deduct", "cap = 1")[1] == 0.0


def test_an_element_that_applied_to_nobody_has_no_fault() -> None:
    found = figures()
    found.add("fill", [(20260901, "i", "C0032", "fee.total", 0, 0)])
    del found.elements["C0032", "fee.total"]
    read = formula('[[groups]]\nname="g"\n[[groups.items]]\nname="i"\npoints=4\nkind="C0032"\nfields=["fee.total"]')
    line = evaluate(read, found).lines[0]
    assert (line.points, line.measured.reason) == (4.0, "applied to nobody")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no \\[\\[groups\\]\\]"),
        ('[[groups]]\nname = "g"', "groups.items"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"', "points must be a number"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = "__import__(\'os\')"', "points must be a number"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1\nmeasure = "eval"', "measure"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1\nexpression = "1+1"', "expression"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1\nkind = "C1234"', "no kind"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1\nkind = "C0002"\nfields = ["nmae"]', "nmae"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1\nfields = ["patient.name"]', "need a kind"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1\nthreshold = 0.5\nfloor = 0.5', "threshold"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1\nmeasure = "timely"', "within"),
        ('[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1\nmeasure = "kinds"', "needs kinds"),
        ('full = 90\n[[groups]]\nname = "g"\ncap = 10\n[[groups.items]]\nname = "i"\npoints = 1', "add up to 10"),
        ('mark = "sure"\n[[groups]]\nname = "g"\n[[groups.items]]\nname = "i"\npoints = 1', "mark"),
        ('[[groups]]\nname = "g"\nmode = "multiply"\n[[groups.items]]\nname = "i"\npoints = 1', "mode"),
    ],
)  # fmt: skip
def test_a_wrong_formula_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as problem:
        formula(text)
    assert "region.toml" in str(problem.value)
    assert problem.value.exit_code == 78


def test_the_example_is_the_76_items_and_says_how_sure_it_is() -> None:
    assert shipped_names("frontend_agent.reports.formulas") == ["frontpage_2016"]
    text = read_shipped("frontend_agent.reports.formulas")("frontpage_2016.toml")
    kind = load_kind("C0032")
    known = {"C0032": frozenset(field.name for field in kind.fields) | frozenset(kind.groups)}
    read = read_formula(text, "frontpage_2016.toml", known.get)
    assert read.mark == "single-source"
    assert (read.full, [group.cap for group in read.groups]) == (100.0, [18.0, 26.0, 50.0, 6.0])
    items = [item for group in read.groups for item in group.items]
    assert len(items) == 76
    by_class = {"A": 4.0, "B": 2.0, "C": 1.0, "D": 0.5}
    assert all(item.points == by_class[item.class_] for item in items)
    assert all(item.fields for item in items)


# --- data sets --------------------------------------------------------------------------------------------------------


def test_the_table_of_data_sets_is_whole_and_keeps_its_marks() -> None:
    lines = wanted()
    assert (len(lines), len({line.dataset for line in lines})) == (1_787, 58)
    marks = [line.confidence for line in lines]
    assert (marks.count("verified"), marks.count("single-source")) == (1_554, 233)


def test_elements_that_share_a_data_element_are_told_apart_by_name() -> None:
    fields = load_kind("C0007").fields
    line = Wanted("s", "n", "C0007", 1, "DE02.01.039.00", "姓名", "A..50", "yes", "verified")
    of_all = {field.name for field in fields if field.de == "DE02.01.039.00"}
    assert "patient.name" in of_all
    assert len(of_all) > 1
    named = next(field for field in fields if field.name == "patient.name").name_zh
    assert answering(line._replace(name=named), fields) == ["patient.name"]
    assert answering(line._replace(data_element="DE99.99.999.00"), fields) == []


def test_nine_in_ten_elements_of_a_kind_have_their_place() -> None:
    for code in ("C0002", "C0004", "C0007"):
        lines = [line for line in wanted() if line.kind == code and line.in_document == "yes"]
        placed = sum(bool(answering(line, load_kind(code).fields)) for line in lines)
        assert placed >= 0.85 * len(lines), code


# --- samples ----------------------------------------------------------------------------------------------------------


def pages(documents: list[str], void: tuple[str, ...] = ()) -> Iterator[list[tuple]]:
    for start in range(0, len(documents), 7):
        yield [(20260901, one, "C0002", "内科", one in void) for one in documents[start : start + 7]]


def everything(kind: str, department: str) -> bool:
    return True


def test_a_lot_is_drawn_the_same_again_whatever_the_order() -> None:
    documents = [f"C0002-{n:05}-1" for n in range(1_000)]
    drawn = draw(pages(documents), 20, "4711", everything)
    shuffled = documents.copy()
    Random(1).shuffle(shuffled)
    assert draw(pages(shuffled), 20, "4711", everything) == drawn
    assert len(set(drawn)) == 20
    assert set(draw(pages(documents), 20, "4712", everything)) != set(drawn)
    assert len(set(draw(pages([*documents, "C0002-new-1"]), 20, "4711", everything)) & set(drawn)) >= 19
    assert draw(pages(documents), 5_000, "1", everything) != documents
    assert drawn[0] not in draw(pages(documents, void=(drawn[0],)), 20, "4711", everything)
    assert draw(pages(documents), 5, "1", lambda kind, _: kind == "C0007") == []


def test_a_lot_is_fair() -> None:
    documents = [f"D{n}" for n in range(40)]
    counts = dict.fromkeys(documents, 0)
    for seed in range(400):
        for one in draw(pages(documents), 10, str(seed), everything):
            counts[one] += 1
    assert 60 < min(counts.values()) <= max(counts.values()) < 145


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Twelve real laboratory reports, sent."""
    (tmp_path / "agent.toml").write_text(CONFIG, encoding="utf-8")
    kind, profile = load_kind("C0007"), load_profile("regional")

    def normalise(rows: SourceRows) -> list[SourceRecord]:
        return [SourceRecord(key, clean("C0007", report_number=key), key, columns={}) for (key,) in rows.parent.rows]

    plan = feed(
        normalise=normalise, check=lambda *_: [], complete=lambda record: profile.complete(kind, record),
        render=kind.renderer(profile.absences(kind)), compress=compressor(kind.dictionary).compress,
        dictionary=kind.dictionary_sha256, measures=measures("C0007"), timezone=ZoneInfo("Asia/Shanghai"),
    )  # fmt: skip
    with Spool(tmp_path / "state").open() as spool:
        spool.bind(this_machine())
        keys = RowSet(("report_number",), [(f"R{n}",) for n in range(12)])
        take_in(plan, SourceRows(keys, {}), None, spool, None, NOW)
        send_out(FakePlatform(), spool, NOW + timedelta(minutes=1))
    return tmp_path


def evidence(place: Path, *arguments: str, lang: str = "zh"):
    out = place / "evidence.xlsx"
    assert ask(place, "--lang", lang, "qc", "evidence", "--month", "2026-09", "--out", str(out), *arguments) == 0
    return openpyxl.load_workbook(out)


def cells(book) -> str:
    return "\n".join(str(c.value) for sheet in book for row in sheet.iter_rows() for c in row if c.value is not None)


def documents_of(place: Path) -> list[str]:
    with Spool(place / "state").open() as spool:
        return [row[1] for page in spool.statistics.documents(0, 99_999_999) for row in page]


def shown_entries(place: Path) -> list[dict]:
    with Spool(place / "state").open() as spool:
        return [body for entry in spool.log_entries() if (body := json.loads(entry.body))["event"] == "shown"]


def test_fill_rates_of_a_data_set_are_those_of_the_spool(place: Path) -> None:
    book = evidence(place)
    assert book.sheetnames == ["总览", "数据集", "数据元填充率", "图表"]
    with Spool(place / "state").open() as spool:
        kept = {row[3]: row[4:] for row in spool.statistics.fill(0, 99_999_999)}
    compared = 0
    for row in table(book["数据元填充率"]):
        if row["类型"] == "C0007" and row["字段"]:
            fields = row["字段"].split(", ")
            assert row["已填"] == sum(kept[name][0] for name in fields if name in kept)
            assert row["应填"] == sum(kept[name][1] for name in fields if name in kept)
            compared += 1
    assert compared > 20
    (lab,) = (row for row in table(book["数据集"]) if row["类型"] == "C0007")
    assert (lab["生成文档"], lab["送达"], lab["数据元数"]) == (12, 12, 32)
    assert len(table(book["数据元填充率"])) == 1_787


def test_samples_are_masked_unless_somebody_consents(place: Path) -> None:
    book = evidence(place, "--random", "3", "--seed", "9")
    assert SECRET not in cells(book)
    assert "欧阳*" in cells(book)
    assert len(table(book["抽样"])) == 3
    again = evidence(place, "--random", "3", "--seed", "9")
    assert [row["文档／条目"] for row in table(again["抽样"])] == [row["文档／条目"] for row in table(book["抽样"])]
    assert shown_entries(place) == []

    one = documents_of(place)[4]
    book = evidence(place, "--sample", one, "--show", "--consent", "现场审计，李主任同意", "--who", "王审计")
    assert SECRET in cells(book)
    assert "李主任同意" in cells(book)
    (entry,) = shown_entries(place)
    assert (entry["documents"], entry["who"], entry["consent"]) == ([one], "王审计", "现场审计，李主任同意")
    (row,) = table(book["抽样"])
    with Spool(place / "state").open() as spool:
        trace = spool.trace(one)
        assert spool.verify_log().ok
    assert trace
    assert (row["SHA-256"], row["送达"][:8]) == (trace.sha256, "platform")


@pytest.mark.parametrize(
    "arguments",
    [("--random", "3", "--show"), ("--random", "3", "--show", "--consent", "  "), ("--consent", "x"), ("--show", "--consent", "x"),
     ("--random", "0"), ("--random", "501")],
)  # fmt: skip
def test_nothing_is_shown_whole_without_consent(place: Path, arguments: tuple[str, ...]) -> None:
    assert ask(place, "qc", "evidence", "--month", "2026-09", "--out", str(place / "e.xlsx"), *arguments) == 2
    assert not (place / "e.xlsx").exists()
    assert shown_entries(place) == []


def test_a_sample_whose_bytes_are_gone_says_so(place: Path) -> None:
    with Spool(place / "state").open() as spool:
        assert spool.retire(timedelta(0), NOW + timedelta(days=1)) == 12
    (row,) = table(evidence(place, "--random", "1", lang="en")["Samples"])
    assert "no longer kept here" in row["Remark"]


def test_an_unknown_sample_and_an_unknown_formula_are_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("--out", str(place / "e.xlsx"), "--month", "2026-09")
    assert ask(place, "qc", "evidence", *out, "--sample", "C0007-none-1") == 1
    assert "C0007-none-1" in capsys.readouterr().err
    assert ask(place, "qc", "evidence", *out, "--formula", "frontpage") == 78
    assert "frontpage_2016" in capsys.readouterr().err
    assert ask(place, "qc", "evidence", *out, "--formula", str(place / "none.toml")) == 78


def test_the_regions_own_file_is_explained_line_by_line(place: Path) -> None:
    (place / "region.toml").write_text(
        'title = { zh = "本区公式", en = "Ours" }\nsource = "区域文件 3"\nfull = 100\n'
        '[[groups]]\nname = "文档"\ncap = 60\n'
        '[[groups.items]]\nname = "检验报告患者姓名"\npoints = 30\nkind = "C0007"\nfields = ["patient.name"]\n'
        '[[groups.items]]\nname = "通过率"\npoints = 30\nmeasure = "pass"\nthreshold = 0.9\n'
        '[[groups]]\nname = "覆盖"\ncap = 40\n'
        '[[groups.items]]\nname = "必需类型"\npoints = 40\nmeasure = "kinds"\nkinds = ["C0007", "C0002"]\n',
        encoding="utf-8",
    )
    for lang, total in (("zh", "总分"), ("en", "Score")):
        book = evidence(place, "--formula", str(place / "region.toml"), lang=lang)
        rows = [list(row.values()) for row in table(book[{"zh": "评分", "en": "Score"}[lang]])]
        assert [row[10] for row in rows] == [30, 30, 20, 60, 20, 80]
        assert rows[-1][0] == total
        assert rows[2][11] == "1 ÷ 2 = 50.00% × 40 = 20.000"
        assert rows[0][11] == "12 ÷ 12 = 100.00% × 30 = 30.000"
    out = place / "e.html"
    assert ask(place, "qc", "evidence", "--month", "2026-09", "--out", str(out), "--formula", "frontpage_2016") == 0
    assert "single" in out.read_text("utf-8") or "单一来源" in out.read_text("utf-8")


def test_every_kind_of_the_data_sets_that_we_make_is_looked_up(place: Path) -> None:
    made = {line.kind for line in wanted()} & set(kind_codes())
    remarks = {row["类型"]: row["备注"] for row in table(evidence(place)["数据元填充率"])}
    assert all(remarks[kind] == "本期无此类文档" for kind in made - {"C0007"})

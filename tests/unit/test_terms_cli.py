"""`frontend-agent terms`, and the spreadsheet that goes to a department and comes back."""

import csv
import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from frontend_agent.cli.main import run
from frontend_agent.codes import bare_cell, parse_code_table, safe_cell
from frontend_agent.terms.sheets import (
    APPROVE,
    CODES,
    COLUMNS,
    REJECT,
    SHEET,
    csv_bytes,
    read_lines,
    rows_of,
    to_csv,
    to_xlsx,
)
from tests.unit.term_site import FEED, SEX, app, change, make_hospital, make_site

WORDS = [word for word, _, _ in COLUMNS]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hospital(tmp_path_factory.mktemp("made"))


@pytest.fixture
def site(tmp_path: Path, hospital: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site whose laboratory was read once, with what is not mapped held."""
    made = make_site(tmp_path / "site", hospital)
    change(made / "mappings/ourlis/codes/patient_type.toml", '"JZ" = "2"\n', "")
    with app(made) as running:
        assert running.run_feed(FEED, threading.Event()).error is None
    monkeypatch.chdir(made)
    monkeypatch.setenv("LANG", "C.UTF-8")
    return made


class Said:
    """What a command printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self._capsys.readouterr()
        ended = run(["terms", *arguments])
        captured = self._capsys.readouterr()
        assert ended == code, captured
        assert "Traceback" not in captured.err
        return captured.out if code == 0 else captured.out + captured.err

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def terms(capsys: pytest.CaptureFixture[str], site: Path) -> Said:
    return Said(capsys)


def test_the_worklist_is_for_people_and_for_programs(terms: Said) -> None:
    listed = terms.json("unmapped")
    assert [one["code"] for one in listed if one["table"] == SEX] == ["F"]
    assert listed == sorted(listed, key=lambda one: -one["count"])
    for language, word in (("zh", "本地代码"), ("en", "local code")):
        shown = terms("unmapped", "--table", SEX, "--lang", language)
        assert word in shown
        assert "2 女性 (98 name)" in shown
    assert terms.json("unmapped", "--table", "ourlis/none") == []


def test_approve_says_what_was_rebuilt_and_refuses_in_the_readers_language(terms: Said) -> None:
    assert "名为“女”" in terms("approve", SEX, "F", "1", "--reason", "字典", "--lang", "zh", code=1)
    assert "is called '女'" in terms("approve", SEX, "F", "1", "--reason", "字典", code=1)
    told = terms.json("approve", SEX, "F", "2", "--by", "王工", "--reason", "字典")
    assert told["approved"] == 1
    assert told["documents"] > 0
    shown = terms.json("show", SEX)
    assert {row["code"]: (row["target"], row["by"]) for row in shown["rows"]} == {
        "M": ("1", ""), "U": ("0", ""), "F": ("2", "王工"),
    }  # fmt: skip
    assert "王工" in terms("history", SEX)
    terms("undo", SEX, "F", "--reason", "误批")
    assert [one["action"] for one in terms.json("history", SEX, "F")] == ["undone", "approved"]


def test_reject_takes_a_code_off_the_list(terms: Said) -> None:
    terms("reject", SEX, "F", "--reason", "停用代码")
    assert [one for one in terms.json("unmapped") if one["table"] == SEX] == []
    assert [one["reason"] for one in terms.json("unmapped", "--all") if one["table"] == SEX] == ["停用代码"]


def test_the_tables_can_be_looked_at_without_a_hospital(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    terms = Said(capsys)
    rh = terms.json("show", "CV04.50.020")
    assert [(row["code"], row["name"], row["confidence"]) for row in rh["rows"]][:2] == [
        ("1", "阴性", "verified"), ("2", "阳性", "verified"),
    ]  # fmt: skip
    assert terms.json("show", "2.16.156.10011.2.3.1.16")["name"] == "饮酒频率代码"
    assert {one["id"] for one in terms.json("sets", "血型")} == {"CV04.50.005", "CV04.50.020"}
    assert "入院途径" in terms("sets", "入院途径", "--lang", "zh")
    assert "no such file" in terms("show", "ours/sex", code=78)


def test_check_finds_the_traps_in_the_files_and_ends_with_1(terms: Said, site: Path) -> None:
    assert terms.json("check") == []
    change(site / "mappings/ourlis/codes/sex.toml", '"M" = "1"', '"M" = "2"')
    assert run(["terms", "check", "--json"]) == 1
    shown = terms("check", "--lang", "zh", code=1)
    assert "TERM-NAME" in shown
    assert "本地名称与对照目标相反" in shown.replace("\n", "")


def test_the_map_with_its_approvals_goes_into_version_control(terms: Said, site: Path) -> None:
    terms("approve", SEX, "F", "2", "--by", "王工", "--reason", "字典")
    terms("export", "--table", SEX, "--csv", "sex.csv")
    exported = parse_code_table("sex", "/x/ourlis/codes/sex.csv", (site / "sex.csv").read_text("utf-8-sig"))
    assert exported.codes == {"M": "1", "U": "0", "F": "2"}
    assert exported.value_set == "2.16.156.10011.2.3.3.4"
    assert exported.decided["F"] == "王工 字典"
    codes = site / "mappings/ourlis/codes"
    (site / "sex.csv").rename(codes / "sex.csv")
    (codes / "sex.toml").unlink()
    assert {row["code"] for row in terms.json("show", SEX)["rows"]} == {"M", "U", "F"}
    assert terms.json("check") == []


def test_a_file_is_never_overwritten(terms: Said, site: Path) -> None:
    (site / "w.csv").write_text("mine")
    assert "exists already" in terms("export", "--csv", "w.csv", code=1)
    terms("export", code=2)
    terms("export", "--xlsx", "a.xlsx", "--csv", "b.csv", code=2)
    terms("export", "--xlsx", "a.xlsx", "--table", SEX, code=2)


# --- the round trip


def fill(path: Path, **lines: dict[str, Any]) -> None:
    """Write into the lines of these local codes, as a person does."""
    book = load_workbook(path)
    sheet = book[SHEET]
    for row in sheet.iter_rows(min_row=2):
        for word, value in lines.get(str(row[WORDS.index("code")].value), {}).items():
            row[WORDS.index(word)].value = value
    book.save(path)


def test_a_workbook_goes_out_with_drop_downs_and_comes_back_as_decisions(terms: Said, site: Path) -> None:
    terms("export", "--xlsx", "w.xlsx")
    book = load_workbook(site / "w.xlsx")
    sheet = book[SHEET]
    rows = {row[WORDS.index("code")]: row for row in sheet.iter_rows(min_row=2, values_only=True)}
    assert rows["F"][WORDS.index("name")] == "女"
    assert rows["F"][WORDS.index("target")] == "2 女性"  # proposed, and not decided by that
    lists = {v.formula1: str(v.sqref) for v in sheet.data_validations.dataValidation}
    assert any(formula.startswith(f"'{CODES}'!") for formula in lists)
    assert f'"{APPROVE},{REJECT}"' in lists
    assert "2 女性" in {cell for (cell, *_) in book[CODES].iter_rows(values_only=True)} | {
        cell for row in book[CODES].iter_rows(values_only=True) for cell in row
    }

    fill(site / "w.xlsx", F={"decision": APPROVE, "by": "检验科李"}, JZ={"decision": REJECT, "reason": "停用"})
    assert "2 decisions are good" in terms("import", "w.xlsx", "--dry-run")
    assert terms.json("history") == []
    told = terms.json("import", "w.xlsx", "--by", "信息科")
    assert (told["approved"], told["rejected"]) == (1, 1)
    assert told["documents"] > 0
    history = {one["code"]: (one["action"], one["who"], one["reason"]) for one in terms.json("history")}
    assert history == {"F": ("approved", "检验科李", "import w.xlsx"), "JZ": ("rejected", "信息科", "停用")}


def test_an_undecided_sheet_changes_nothing(terms: Said) -> None:
    terms("export", "--xlsx", "w.xlsx")
    assert "0 decisions are good" in terms("import", "w.xlsx")
    assert terms.json("history") == []


def test_every_problem_of_a_sheet_is_told_with_its_cell_and_nothing_is_taken(terms: Said, site: Path) -> None:
    terms("export", "--xlsx", "w.xlsx")
    fill(
        site / "w.xlsx",
        F={"decision": "maybe", "target": "1"},
        JZ={"decision": APPROVE, "target": "8 不知道", "code": "J2"},
    )
    for language, words in (
        ("zh", ("未作改动；共 3 个问题", "不是有效的决定", "不在“患者类型代码”中", "不在待对照清单中")),
        (
            "en",
            ("nothing was changed; 3 problems", "is no decision", "8 is not in 患者类型代码", "is not in the worklist"),
        ),
    ):
        said = terms("import", "w.xlsx", "--by", "信息科", "--lang", language, code=1)
        assert all(word in said for word in words), said
        cells = [line.split(":")[0].removeprefix("w.xlsx!") for line in said.splitlines()[1:]]
        assert {cell[0] for cell in cells} == {"J", "I", "C"}
    assert terms.json("history") == []


def test_the_same_round_trip_as_csv(terms: Said, site: Path) -> None:
    terms("export", "--csv", "w.csv")
    text = (site / "w.csv").read_text("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    for row in rows[1:]:
        if row[WORDS.index("code")] == "F":
            row[WORDS.index("decision")] = "批准"
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    (site / "w.csv").write_text(out.getvalue(), "utf-8-sig")
    assert terms.json("import", "w.csv", "--by", "信息科")["approved"] == 1


@pytest.mark.parametrize("name", ["x.xlsx", "x.csv"])
def test_what_is_no_sheet_is_one_line(terms: Said, site: Path, name: str) -> None:
    (site / name).write_bytes(b"\xff\xfe\x00\xd8 no sheet")
    assert f"{name}: the file is n" in terms("import", name, code=1)
    assert "No such file" in terms("import", "none.xlsx", code=1)


# --- the sheet alone

LINE = {
    "table": "his/unit",
    "value_set": "",
    "value_set_name": "",
    "code": "=1+1",
    "name": "@SUM",
    "count": 3,
    "examples": ["f:1"],
    "first_seen": "2026-09-30T08:15:00Z",
    "proposals": [{"code": "01", "name": "甲", "score": 99, "why": "name"}],
}


def test_no_cell_is_a_formula_and_no_code_becomes_a_number() -> None:
    content = to_xlsx(rows_of([LINE, {**LINE, "code": "01"}]), {"his/unit": [["01", "甲"], ["1", "乙"]]})
    sheet = load_workbook(io.BytesIO(content))[SHEET]
    cells = [sheet.cell(row, WORDS.index("code") + 1) for row in (2, 3)]
    assert [(cell.value, cell.data_type) for cell in cells] == [("=1+1", "s"), ("01", "s")]
    lines = to_csv(rows_of([LINE])).decode("utf-8-sig").splitlines()
    assert "'=1+1" in lines[1]
    assert "'@SUM" in lines[1]


@pytest.mark.parametrize("code", ["+", "-", "=1", "@a", "01", "'", "'x"])
def test_a_code_survives_the_way_through_csv(code: str) -> None:
    assert bare_cell(safe_cell(code)) == code
    text = csv_bytes(("code", "target"), [(code, "1")]).decode("utf-8-sig")
    assert parse_code_table("x", "/s/h/codes/x.csv", text).codes == {code: "1"}


@pytest.mark.parametrize(
    ("row", "cell", "said"),
    [
        (["t", "c", "1", "perhaps", ""], "D2", "is no decision"),
        (["t", "c", "", "approve", ""], "C2", "no standard code is given"),
        (["t", "c", "1", "", "王工"], "D2", "but no decision"),
        (["", "c", "1", "approve", ""], "A2", "the code map is empty"),
        (["t", "", "1", "approve", ""], "B2", "the local code is empty"),
    ],
)
def test_a_line_that_cannot_be_meant_is_told_with_its_cell(row: list[str], cell: str, said: str) -> None:
    lines, problems = read_lines(csv_bytes(("table", "code", "target", "decision", "by"), [row]), is_csv=True)
    assert lines == []
    assert [one.cell for one in problems] == [cell]
    assert said in problems[0].text["en"]


def test_a_sheet_without_its_columns_says_which() -> None:
    _, problems = read_lines(csv_bytes(("table", "本地代码"), [("t", "c")]), is_csv=True)
    assert "标准代码 target, 决定 decision" in problems[0].text["en"]
    assert read_lines(b"", is_csv=True)[1][0].text["zh"] == "文件为空"

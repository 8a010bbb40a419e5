"""A hospital's own tables: read from its files, in force on a day, deciding about codes and names."""

import csv
import gzip
import io
import re
import threading
import tracemalloc
from datetime import date
from pathlib import Path

import pytest
from openpyxl import Workbook

from frontend_agent.app import App
from frontend_agent.checks import compile_checks
from frontend_agent.config import CatalogueConfig, ConfigurationProblems, load_config, parse_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import load_kind
from frontend_agent.profiles import load_profile
from frontend_agent.terms.catalogues import Catalogue, Catalogues, Shelf, has_code
from frontend_agent.terms.loading import load_catalogues
from tests.unit.records import clean
from tests.unit.term_site import AGENT, FEED, app, asked, make_hospital, make_site

ICD = "2.16.156.10011.2.3.3.11.3"
ROWS = [("I10.x00", "特发性(原发性)高血压"), ("I10.x00x002", "原发性高血压"), ("E11.900", "2型糖尿病"), ("A17.0+", "结核性脑膜炎"),
        ("G01*", "分类于他处的细菌性疾病引起的脑膜炎"), ("E11.900", "2型糖尿病［非胰岛素依赖型］")]  # fmt: skip


# --- in memory


def test_a_catalogue_knows_its_codes_and_all_their_names() -> None:
    icd = Catalogue("icd10", ROWS)
    assert len(icd) == 6
    assert icd.names("I10.x00") == ("特发性(原发性)高血压",)
    assert set(icd.names("E11.900") or ()) == {"2型糖尿病", "2型糖尿病［非胰岛素依赖型］"}
    assert icd.names("I10") is None
    assert "I10.x00x002" in icd
    assert "" not in icd
    assert "\ud800" not in icd
    assert [code for code, _ in icd] == sorted({code for code, _ in ROWS})


def test_every_code_of_a_long_table_is_found_and_nothing_else() -> None:
    rows = [(f"X{number:05d}", f"名{number}") for number in range(0, 3_000, 3)]
    found = Catalogue("x", reversed(rows))
    assert all(found.names(code) == (name,) for code, name in rows)
    assert not any(f"X{number:05d}" in found for number in range(1, 3_000, 3))
    assert found.digest == Catalogue("x", rows).digest != Catalogue("x", rows[1:]).digest


def test_a_dagger_pair_is_known_by_its_parts() -> None:
    icd = Catalogue("icd10", ROWS)
    assert has_code(icd, "A17.0+G01*")
    assert has_code(icd, "A17.0+")
    assert not has_code(icd, "A17.0+G02*")
    assert not has_code(icd, "+")


@pytest.mark.parametrize(
    ("code", "name", "so"),
    [
        ("E11.900", "2型糖尿病", True),
        ("E11.900", "２型糖尿病", True),
        ("E11.900", "2型糖尿病(非胰岛素依赖型)", True),
        ("E11.900", "高血压", False),
        ("I10.x00", "特发性高血压", True),
        ("Z99.9", "不在目录", True),
    ],
)
def test_a_name_is_the_codes_up_to_width_and_brackets(code: str, name: str, so: bool) -> None:
    assert Catalogue("icd10", ROWS).is_called(code, name) is so


def test_as_a_value_set_it_can_be_proposed_from() -> None:
    known = Catalogue("icd10", ROWS, "2.0").value_set(ICD, "诊断代码表")
    assert known.complete
    assert known.name("I10.x00x002") == "原发性高血压"
    assert "I99" not in known
    assert len(list(known)) == 5


# --- in force, and what it decides


def shelves(*catalogues: Catalogue) -> Catalogues:
    return Catalogues({ICD: Shelf(catalogues)})


def findings(record: dict[str, object], kind: str, *catalogues: Catalogue, fields: str = "") -> list[tuple[str, str]]:
    declared = load_kind(kind)
    known = Catalogues({}, {fields: Shelf(catalogues)}) if fields else shelves(*catalogues)
    check = compile_checks(declared, load_profile("national"), date(2026, 10, 1), known.in_kind(declared))
    return [(one.rule, one.field) for one in check(record) if one.rule.startswith("CAT-")]


def visit(*diagnoses: tuple[str, str]) -> dict[str, object]:
    return clean("C0002") | {"diagnoses": [{"code": code, "name": name} for code, name in diagnoses]}


def field_of_diagnoses() -> str:
    return next(f.value_set for f in load_kind("C0002").fields if f.name == "diagnoses.code")


def test_membership_and_name_decide() -> None:
    record = visit(("I10.x00x002", "原发性高血压"), ("I99.999", "没有的病"), ("E11.900", "高血压"))
    assert findings(record, "C0002", Catalogue("icd10", ROWS, "2.0"), fields="diagnoses.code") == [
        ("CAT-CODE", "diagnoses[1].code"),
        ("CAT-NAME", "diagnoses[2].name"),
    ]


def test_the_value_set_of_the_field_chooses_the_catalogue() -> None:
    oid = field_of_diagnoses()
    declared = load_kind("C0002")
    known = Catalogues({oid: Shelf([Catalogue("icd10", ROWS)])})
    assert "diagnoses.code" in known.in_kind(declared)
    assert Catalogues({"1.2.3": Shelf([Catalogue("icd10", ROWS)])}).in_kind(declared) == {}


def test_a_document_is_held_against_the_edition_of_its_own_day() -> None:
    old = Catalogue("icd10", [("I10.x00", "高血压")], "1", "", "20211231")
    new = Catalogue("icd10", [("I10.x00x002", "原发性高血压")], "2", "20220101", "20261231")
    record = visit(("I10.x00", "高血压"))
    assert findings(record | {"author.time": "20211231080000"}, "C0002", old, new, fields="diagnoses.code") == []
    assert findings(record | {"author.time": "20220101080000"}, "C0002", old, new, fields="diagnoses.code") == [
        ("CAT-CODE", "diagnoses[0].code")
    ]
    assert findings(record | {"author.time": "20270101080000"}, "C0002", old, new, fields="diagnoses.code") == []


def test_a_regions_table_stands_in_for_the_national_one() -> None:
    kind = load_kind("C0004")
    (form,) = (f for f in kind.fields if f.name == "drugs.route")
    known = Catalogues({form.value_set: Shelf([Catalogue("forms", [("9901", "区域剂型")])])})
    record = clean("C0004")
    record["drugs"] = [{**row, "route": "9901"} for row in record["drugs"]]
    plain = compile_checks(kind, load_profile("national"), date(2026, 10, 1))
    regional = compile_checks(kind, load_profile("national"), date(2026, 10, 1), known.in_kind(kind))
    assert "DE-CODE" in {one.rule for one in plain(record)}
    assert not {"DE-CODE", "CAT-CODE"} & {one.rule for one in regional(record)}


# --- the files


def write_csv(path: Path, heading: tuple[str, ...], rows: list[tuple[str, ...]], encoding: str = "utf-8") -> None:
    out = io.StringIO()
    csv.writer(out).writerows([heading, *rows])
    path.write_bytes(out.getvalue().encode(encoding))


def write_xlsx(path: Path, heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    book = Workbook()
    book.active.title = "说明"
    sheet = book.create_sheet("目录")
    for row in (heading, *rows):
        sheet.append(row)
    book.save(path)


@pytest.mark.parametrize("how", ["utf-8", "utf-8-sig", "gb18030", "xlsx"])
def test_a_table_is_read_as_the_hospital_keeps_it(tmp_path: Path, how: str) -> None:
    path = tmp_path / ("icd.xlsx" if how == "xlsx" else "icd.csv")
    if how == "xlsx":
        write_xlsx(path, ("序号", "编码", "名称"), [("1", code, name) for code, name in ROWS])
    else:
        write_csv(path, ("序号", "编码", "名称"), [("1", code, name) for code, name in ROWS], how)
    options = CatalogueConfig(
        path=str(path), value_sets=(ICD,), code="编码", name="名称", sheet="目录" if how == "xlsx" else ""
    )
    shelf = load_catalogues({"icd10": options}).of("diagnoses.code", ICD)
    assert shelf is not None
    assert shelf.newest.names("I10.x00x002") == ("原发性高血压",)
    assert len(shelf.newest) == len(ROWS)


def test_a_changed_file_is_read_anew_and_an_unchanged_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "icd.csv"
    write_csv(path, ("code", "name"), ROWS[:1])
    options = {"icd10": CatalogueConfig(path=str(path), value_sets=(ICD,))}
    first = load_catalogues(options).of("", ICD)
    assert first is not None
    assert load_catalogues(options).of("", ICD).newest is first.newest  # type: ignore[union-attr]
    write_csv(path, ("code", "name"), ROWS)
    again = load_catalogues(options).of("", ICD)
    assert again is not None
    assert len(again.newest) == len(ROWS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": "icd_cod"}, "its first line has no column 'icd_cod' (did you mean 'icd_code'?)"),
        ({"path": "none.csv"}, "none.csv: No such file"),
        ({"path": "empty.csv"}, "has no row with a code"),
        ({"path": "wrong.xlsx"}, "is no workbook"),
        ({"path": "book.xlsx", "sheet": "目綠"}, "has no sheet '目綠' (there: 说明, 目录)"),
    ],
)
def test_a_mistake_is_one_line_naming_file_and_mend(tmp_path: Path, change: dict[str, str], said: str) -> None:
    write_csv(tmp_path / "icd.csv", ("icd_code", "name"), ROWS[:1])
    write_csv(tmp_path / "empty.csv", ("icd_code", "name"), [("", "无")])
    (tmp_path / "wrong.xlsx").write_text("no workbook")
    write_xlsx(tmp_path / "book.xlsx", ("icd_code", "name"), [])
    options = {"path": "icd.csv", "code": "icd_code"} | change
    options["path"] = str(tmp_path / options["path"])
    with pytest.raises(ConfigurationError) as error:
        load_catalogues({"icd10": CatalogueConfig(value_sets=(ICD,), **options)})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('path = "a.txt"\nvalue_sets = ["1.2"]', "path must be a .csv or an .xlsx"),
        ('path = "a.csv"', "says for what it is neither by value_sets"),
        (
            'path = "a.csv"\nfields = ["drugs.code"]\nvalid_from = "2022-13-01"',
            "valid_from must be a day like 2022-01-01",
        ),
        ('path = "a.csv"\nfields = ["x"]\nvalid_from = "2022-01-02"\nvalid_to = "2022-01-01"', "valid_to is before"),
        ('path = "a.csv"\nfeilds = ["x"]', "unknown key 'feilds' (did you mean 'fields'?"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_starts(text: str, said: str) -> None:
    with pytest.raises(ConfigurationProblems) as error:
        parse_config(AGENT.format(workers=0) + f"[catalogues.icd10]\n{text}\n")
    assert said in "\n".join(error.value.problems)


def test_a_path_is_meant_from_the_files_own_folder(tmp_path: Path) -> None:
    made = parse_config(
        AGENT.format(workers=0) + '[catalogues.d]\npath = "tables/drugs.csv"\nfields = ["drugs.code"]\n',
        folder=tmp_path,
    )
    assert made.catalogues["d"].path == str(tmp_path / "tables" / "drugs.csv")


# --- in the agent


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hospital(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_agent_holds_codes_that_are_not_in_its_catalogue(tmp_path: Path, hospital: Path, workers: int) -> None:
    site = make_site(tmp_path / "site", hospital, workers)
    known = codes_sent(site)
    assert len(known) > 3
    left_out = sorted(known)[0]
    write_csv(site / "items.csv", ("code", "name"), [(code, name) for code, name in known.items() if code != left_out])
    before = digests(site)
    with (site / "agent.toml").open("a", encoding="utf-8") as file:
        file.write('[catalogues.items]\npath = "items.csv"\nfields = ["items.code"]\nversion = "2026"\n')
    with app(site) as running:
        assert running.run_feed(FEED, threading.Event()).error is None
        said = {
            (one["rule"], one["value"], tuple(one.get("arguments", ())))
            for case in asked(running).quarantine_list(rule="CAT-CODE")
            for one in case["findings"]
            if one["rule"].startswith("CAT-CODE")
        }
    assert said == {("CAT-CODE", left_out, ("items", "2026"))}
    assert digests(site) != before


def codes_sent(site: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    with app(site) as running:
        feed = running.feeds[FEED]
        page = next(running.sources["lis"].changed(feed.mapping.queries, None, feed.config.overlap, 1000))
        for record in feed.plan.normalise(running.rows_of(feed, page.keys)):
            found |= {row["code"]: row.get("name", "") for row in record.record.get("items", ()) if "code" in row}
    return found


def digests(site: Path) -> str:
    with App(load_config(site / "agent.toml"), site / "state", alone=True) as running:
        return running.feeds[FEED].plan.digests


def test_a_code_map_onto_a_catalogue_must_map_to_its_codes(tmp_path: Path, hospital: Path) -> None:
    site = make_site(tmp_path / "site", hospital)
    write_csv(site / "sex.csv", ("code", "name"), [("1", "男性"), ("2", "女性")])
    with (site / "agent.toml").open("a", encoding="utf-8") as file:
        file.write('[catalogues.sex]\npath = "sex.csv"\nfields = ["patient.sex"]\n')
    with pytest.raises(ConfigurationError, match=r"patient\.sex: not in the catalogue sex: 0"):
        app(site).open()


# --- as large as they come


def table_of(realdata: Path, table: str) -> list[list[str]]:
    """The rows of one table of a real HIS's dump, as texts; nothing of it is kept here."""
    dump = realdata / "his-zainzhao-mysql" / "his.sql.gz"
    if not dump.is_file():
        pytest.skip("the dump with real catalogues is not here (set FRONTEND_AGENT_SHARED)")
    rows: list[list[str]] = []
    inside = False
    with gzip.open(dump, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("INSERT INTO"):
                inside = line.startswith(f"INSERT INTO `{table}` ")
            elif inside and line.startswith("("):
                fields = next(csv.reader([line.strip().rstrip(",;")[1:-1]], quotechar="'", escapechar="\\"))
                rows.append(fields)
            elif rows and not inside:
                break
    return rows


def test_a_real_hospitals_diagnoses_are_small_and_fast(realdata: Path, tmp_path: Path) -> None:
    rows = table_of(realdata, "dms_dise")
    assert len(rows) > 29_000
    write_csv(tmp_path / "icd.csv", ("ICD", "name"), [(row[4], row[3]) for row in rows])
    options = {"icd10": CatalogueConfig(path=str(tmp_path / "icd.csv"), value_sets=(ICD,), code="ICD")}
    tracemalloc.start()
    shelf = load_catalogues(options).of("", ICD)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shelf is not None
    icd = shelf.newest
    assert icd.bytes_used() < 3 << 20
    assert kept < 8 << 20
    codes = [row[4] for row in rows if row[4]]
    assert all(code in icd for code in codes[::7])
    assert "A00.0510" not in icd


def test_a_real_hospitals_drugs_have_many_names_for_a_code(realdata: Path, tmp_path: Path) -> None:
    rows = table_of(realdata, "dms_drug")
    assert len(rows) > 2_900
    drugs = Catalogue("drugs", [(row[1], row[2]) for row in rows])
    assert all(drugs.is_called(row[1], row[2]) for row in rows)
    assert not drugs.is_called(rows[0][1], "不在目录中的药")
    assert re.fullmatch(r"[0-9a-f]{64}", drugs.digest)

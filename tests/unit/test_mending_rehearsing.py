"""After a mend: what a past period would come to, what is released, and what rows of a file become."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.demo.hospital import HOSPITAL_CODE, HOSPITAL_NAME, LIS, create_hospital
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import Feed
from frontend_agent.mending.differing import differing
from frontend_agent.operations import NotFound, Operations

AGENT = """
workers = 0
[institution]
id = "{code}"
name = "{name}"
[sources.lis]
url = "sqlite:///{lis}"
[destinations.platform]
url = "http://127.0.0.1:9"
[[feeds]]
name = "lab_report"
source = "lis"
mapping = "demo_lis/lab_report.toml"
profile = "site.toml"
"""
PROFILE = 'extends = "regional"\n[severity]\n{severity}\n'
EVER = {"low": "2000-01-01", "high": "2100-01-01"}


class WithoutPlatform(App):
    """An agent whose state is the first of its hospital: there is nothing to ask the platform."""

    def _heads(self, feed: Feed) -> None:
        return None


@dataclass
class Site:
    """A small hospital's LIS, and an agent whose mapping is the site's own."""

    folder: Path

    def app(self) -> App:
        config = parse_config((self.folder / "agent.toml").read_text("utf-8"), folder=self.folder)
        return WithoutPlatform(config, self.folder / "state", clock=lambda: datetime(2027, 1, 1, tzinfo=UTC))

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    def severity(self, line: str) -> None:
        (self.folder / "site.toml").write_text(PROFILE.format(severity=line), "utf-8")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    create_hospital(folder, 40, seed=5)
    return folder


@pytest.fixture
def site(tmp_path: Path, hospital: Path) -> Site:
    with resources.as_file(resources.files("mappings") / "demo_lis") as shipped:
        shutil.copytree(shipped, tmp_path / "demo_lis")
    toml = AGENT.format(code=HOSPITAL_CODE, name=HOSPITAL_NAME, lis=hospital / LIS)
    (tmp_path / "agent.toml").write_text(toml, "utf-8")
    made = Site(tmp_path)
    made.severity("")
    return made


@pytest.fixture
def taken(site: Site) -> Iterator[tuple[Site, App, Operations]]:
    """Everything is read once; the code map knows no women."""
    code = _code_of_women(site)
    site.replace(code[0], code[1], "")
    with site.app() as app:
        app.run_feed("lab_report", _Never())
        yield site, app, Operations(app)


def _code_of_women(site: Site) -> tuple[str, str]:
    file = next(path for path in sorted((site.folder / "demo_lis" / "codes").iterdir()) if path.stem == "sex")
    line = next(line for line in file.read_text("utf-8").splitlines(keepends=True) if '"2"' in line or ",2" in line)
    return f"demo_lis/codes/{file.name}", line


class _Never:
    """An event that is never set."""

    def is_set(self) -> bool:
        return False


def result(rows: Iterator[dict[str, Any]]) -> dict[str, Any]:
    *_, last = rows
    found: dict[str, Any] = last["result"]
    return found


def women(asked: Operations) -> dict[str, Any]:
    groups = asked.quarantine_groups(rule="MAP001")["groups"]
    return next(group for group in groups if group["field"] == "patient.sex")


def test_after_a_mend_of_a_code_map_its_group_is_released_and_rebuilt(taken: tuple[Site, App, Operations]) -> None:
    site, app, asked = taken
    group = women(asked)
    assert group["actor"] == "mapping"
    assert group["text"]["zh"]
    assert group["mend"]["en"]
    documents = app.spool.counts().documents
    shutil.copy(_shipped_codes(), site.folder / "demo_lis" / "codes")
    told = result(asked.quarantine_release([], "wang", groups=[group["id"]]))
    assert (told["cases"], told["waiting"], told["problem"]) == (group["count"], 0, "")
    assert told["documents"] == app.spool.counts().documents - documents > 0
    assert told["documents"] + told["held"] == told["cases"]
    assert all(again["rule"] != "MAP001" for again in told["held_by"])
    with pytest.raises(NotFound):
        asked.quarantine_group(group["id"])
    assert asked.quarantine_released(told["id"])["documents"] == told["documents"]


def _shipped_codes() -> Path:
    with resources.as_file(resources.files("mappings") / "demo_lis" / "codes") as folder:
        return next(path for path in folder.iterdir() if path.stem == "sex")


def test_without_a_mend_they_are_held_again_and_the_result_says_why(taken: tuple[Site, App, Operations]) -> None:
    _, app, asked = taken
    group = women(asked)
    told = result(asked.quarantine_release([], "wang", groups=[group["id"]]))
    assert (told["documents"], told["held"]) == (0, group["count"])
    assert {"MAP001"} <= {again["rule"] for again in told["held_by"]}
    assert women(asked)["id"] == group["id"]
    assert app.spool.counts().held == asked.quarantine_groups()["records"]


def test_of_closed_months_nothing_is_released_unless_somebody_says_why(taken: tuple[Site, App, Operations]) -> None:
    site, app, asked = taken
    group = women(asked)
    shutil.copy(_shipped_codes(), site.folder / "demo_lis" / "codes")
    app.spool.closing.close(202603, "li", "上报完成", app.clock())
    told = result(asked.quarantine_release([], "wang", groups=[group["id"]]))
    assert (told["cases"], told["closed"], told["documents"]) == (0, group["count"], 0)
    told = result(asked.quarantine_release([], "wang", groups=[group["id"]], reason="漏报"))
    assert (told["cases"], told["closed"]) == (group["count"], 0)
    assert told["documents"] > 0
    assert app.spool.closing.listed()[0].late == told["documents"]


def test_a_mistake_in_the_mended_file_is_told_before_anything_is_released(taken: tuple[Site, App, Operations]) -> None:
    site, _, asked = taken
    (site.folder / "site.toml").write_text("extends = 'nothing'", "utf-8")
    with pytest.raises(ConfigurationError, match=r"site\.toml"):
        result(asked.quarantine_release([], "wang", groups=[women(asked)["id"]]))
    assert women(asked).get("released", 0) == 0


def test_a_severity_alone_frees_what_it_held_and_would_hold_what_it_lets_pass(site: Site) -> None:
    site.replace("demo_lis/codes/result.toml", '"H" = ', '"other" = ')
    with site.app() as app:
        app.run_feed("lab_report", _Never())
        asked = Operations(app)
        (group,) = asked.quarantine_groups(rule="MAP001")["groups"]
        assert (group["field"], group["value"]) == ("items.result_code", "H")
        site.severity('"MAP001" = "warn"')
        told = result(asked.quarantine_release([], "wang", groups=[group["id"]]))
        assert told["documents"] > 0
        assert told["documents"] + told["held"] == group["count"]
        assert "MAP001" not in {again["rule"] for again in told["held_by"]}
        site.severity('"MAP001" = "hold"')
        rehearsed = result(asked.rehearse("lab_report", **EVER))
        assert rehearsed["counts"]["newly_held"] == told["documents"]
        assert rehearsed["counts"]["held_as_now"] == app.spool.counts().held
        assert group["count"] == next(one["count"] for one in rehearsed["causes"] if one["rule"] == "MAP001")


def test_a_value_that_every_document_needs_holds_the_record_by_the_finding_that_says_why_it_is_not_there(
    site: Site,
) -> None:
    """However lightly the profile weighs it: the code map is to be mended, not the program (law 7)."""
    site.replace(*_code_of_women(site), "")
    site.severity('"MAP001" = "warn"')
    with site.app() as app:
        app.run_feed("lab_report", _Never())
        asked = Operations(app)
        groups = {(one["rule"], one["field"], one["actor"]) for one in asked.quarantine_groups()["groups"]}
        assert ("MAP001", "patient.sex", "mapping") in groups
        assert "AGT002" not in {rule for rule, *_ in groups}
        (record,) = asked.preview(
            "lab_report", next(case.key for case in app.spool.cases() if case.findings[0].rule == "MAP001")
        )["records"]
        told = {(one["rule"], one.get("field")): one["severity"] for one in record["findings"]}
        assert told["MAP001", "patient.sex"] == "hold"


def test_a_rehearsal_of_what_was_just_taken_finds_nothing_new(taken: tuple[Site, App, Operations]) -> None:
    _, app, asked = taken
    before = (app.spool.counts(), app.spool.log_head(), app.spool.watermark("lab_report"))
    told = result(asked.rehearse("lab_report", **EVER))
    counts = told["counts"]
    assert sum(counts.values()) == told["read"]
    assert counts["unchanged"] == app.spool.counts().documents
    assert counts["held_as_now"] == app.spool.counts().held
    assert (told["would_send"], told["elements"]) == (0, [])
    waiting = {(g["rule"], g.get("field"), g.get("value")): g["count"] for g in asked.quarantine_groups()["groups"]}
    assert {(g["rule"], g.get("field"), g.get("value")): g["count"] for g in told["causes"]} == waiting
    assert (app.spool.counts(), app.spool.log_head(), app.spool.watermark("lab_report")) == before


def test_a_changed_mapping_is_told_by_the_elements_in_which_documents_differ(
    taken: tuple[Site, App, Operations],
) -> None:
    site, app, asked = taken
    site.replace("demo_lis/lab_report.sql", "b.jylb ", "b.jylb || '！' ")
    told = result(asked.rehearse("lab_report", **EVER))
    documents = app.spool.counts().documents
    assert told["documents_differ"] == told["counts"]["changed"] == told["would_send"] == documents > 0
    assert [(one["field"], one["changed"], one["added"]) for one in told["elements"]] == [("category", documents, 0)]
    assert told["elements"][0]["name"]["zh"]
    assert app.spool.trace(told["elements"][0]["example"]) is not None


def test_another_code_map_is_no_new_version_and_told_all_the_same(taken: tuple[Site, App, Operations]) -> None:
    site, _, asked = taken
    site.replace("demo_lis/codes/result.toml", '"N" = "1"', '"N" = "2"')
    told = result(asked.rehearse("lab_report", **EVER))
    assert told["counts"]["differ"] == told["documents_differ"] > 0
    assert told["would_send"] == 0
    assert [one["field"] for one in told["elements"]] == ["items.result_code"]


def test_what_is_not_kept_any_more_is_said_to_be_not_comparable(taken: tuple[Site, App, Operations]) -> None:
    site, app, asked = taken
    app.spool._database.execute("DELETE FROM frame")
    site.replace("demo_lis/lab_report.sql", "b.jylb ", "b.jylb || '！' ")
    told = result(asked.rehearse("lab_report", **EVER))
    assert (told["not_compared"], told["documents_differ"]) == (app.spool.counts().documents, 0)


def test_a_rehearsal_under_another_mapping_leaves_the_feed_its_own(taken: tuple[Site, App, Operations]) -> None:
    site, app, asked = taken
    other = site.folder / "other"
    shutil.copytree(site.folder / "demo_lis", other / "demo_lis")
    text = (other / "demo_lis" / "lab_report.toml").read_text("utf-8")
    (other / "demo_lis" / "lab_report.toml").write_text(text.replace('"items.result_code" = "result"\n', ""), "utf-8")
    before = app.feeds["lab_report"].plan.digests
    told = result(asked.rehearse("lab_report", **EVER, mapping=str(other / "demo_lis" / "lab_report.toml")))
    assert told["mapping"].startswith(str(other))
    assert app.feeds["lab_report"].plan.digests == before


def test_the_newest_rows_are_previewed_the_newest_first(taken: tuple[Site, App, Operations]) -> None:
    _, _, asked = taken
    told = asked.preview("lab_report", newest=3)
    assert len({record["key"] for record in told["records"]}) == 3


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": "1"}, {"a": "1"}, []),
        ({"a": "1"}, {"a": "2", "b": "x"}, [("a", "changed"), ("b", "added")]),
        ({"items": [{"x": "1"}, {"x": "2"}]}, {"items": [{"x": "1"}, {"x": "3", "y": "4"}]}, [("items.x", "changed"), ("items.y", "added")]),
        ({"items": [{"x": "1"}]}, {}, [("items", "removed")]),
        ({"items": [{"x": "1"}]}, {"items": [{"x": "1"}, {"x": "1"}]}, [("items", "added")]),
    ],
)  # fmt: skip
def test_documents_differ_in_elements(before: Any, after: Any, told: list[tuple[str, str]]) -> None:
    assert list(differing(before, after)) == told


# -- rows of a file ---------------------------------------------------------------------------------------------------

PARENT = {
    "report_number": "L1", "patient.outpatient_number": "M1", "patient.type": "MZ", "patient.name": "张三", "patient.sex": "M",
}  # fmt: skip


def test_rows_of_a_file_become_what_they_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.json").write_text(
        json.dumps({"parent": [PARENT], "items": [{"report_number": "L1", "code": "K", "value": "4.1"}]}), "utf-8"
    )
    code = run(["try", "demo_lis/lab_report", "--rows", str(tmp_path / "rows.json"), "--json"])
    (told,) = json.loads(capsys.readouterr().out)
    assert (code, told["would"], told["key"]) == (1, "held", "L1")  # no reviewer, no specimen, …
    assert told["record"]["items"] == [{"code": "K", "value": "4.1"}]
    assert {"DE-MISSING"} <= {finding["rule"] for finding in told["findings"]}


def test_rows_may_be_csv_one_file_for_each_query(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "parent.csv").write_text("report_number,patient.sex,patient.name\nL1,M,\nL2,x,李四\n", "utf-8")
    (tmp_path / "items.csv").write_text("report_number,code,value\nL2,K,4.1\nL2,Na,140\n", "utf-8")
    rows = ["--rows", str(tmp_path / "parent.csv"), "--rows", f"items={tmp_path / 'items.csv'}"]
    assert run(["try", "demo_lis/lab_report", *rows, "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert "patient.name" not in first["record"]
    assert first["record"]["patient.sex"] == "1"
    assert "MAP001" in {finding["rule"] for finding in second["findings"]}
    assert [item["code"] for item in second["record"]["items"]] == ["K", "Na"]
    assert run(["try", "demo_lis/lab_report", *rows]) == 1
    assert "李四" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("report_numbr\nL1\n", "did you mean|no 'report_number'"),
        ('{"itms": []}', "has no query 'itms'"),
        ("[1]", "list of objects"),
        ("{", "not JSON"),
    ],
)
def test_mistakes_in_a_file_of_rows_are_one_line_and_exit_78(
    content: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    (tmp_path / "rows").write_text(content, "utf-8")
    assert run(["try", "demo_lis/lab_report", "--rows", str(tmp_path / "rows")]) == 78
    said = capsys.readouterr().err
    assert re.search(says, said)
    assert said.count("\n") == 1


def test_try_wants_rows_or_a_period(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["try", "lab_report"]) == 2
    assert run(["try", "lab_report", "--from", "2026-04-01", "--to", "2026-03-01"]) == 2
    assert run(["try", "lab_report", "--rows", "x", "--from", "2026-01-01"]) == 2
    assert "--rows" in capsys.readouterr().err

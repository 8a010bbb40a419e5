"""Feeds of messages: what waits in the inbox becomes documents, in order, each version once, and nothing waits behind what is broken."""

from datetime import timedelta
from pathlib import Path

import pytest

from frontend_agent.errors import ConfigurationError
from frontend_agent.identity import document_id
from frontend_agent.mending.previewing import set_of
from frontend_agent.operations import Operations
from tests.messages_kit import NOW, Site, report, run

HELD = {"patient.id_number": "110105194912310021"}  # its check digit is wrong


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def states(app, inlet="lis"):
    return app.spool.inbox.counts().get(inlet, {})


def head(app, key, feed="lab_report"):
    named = set_of(app.feeds[feed], key)
    return app.spool.series([named]).get(named)


def made(app, key):
    """The newest document of a report, as text."""
    compiled = app.feeds["lab_report"]
    return Operations(app).document(document_id(set_of(compiled, key), head(app, key).version))


@pytest.mark.parametrize("workers", [0, 2])
def test_messages_become_documents_and_are_taken(tmp_path: Path, workers: int) -> None:
    site = Site(tmp_path, workers=workers)
    with site.app(alone=not workers) as app:
        site.push(app, *(report(f"R{n}") for n in range(250)))
        assert run(app)["documents"] == 250
        assert states(app) == {"taken": 250}
        assert run(app) == {}
        assert "R17" in made(app, "R17")


def test_results_of_a_report_are_versions_of_one_document(site: Site) -> None:
    with site.app() as app:
        site.push(app, report("R1", "P"))
        assert run(app) == {"not_final": 1}
        assert head(app, "R1") is None
        site.push(app, report("R1", "F"))
        assert run(app) == {"documents": 1}
        site.push(app, report("R1", "C", report_result="更正：未见异常"))
        assert run(app) == {"documents": 1}
        assert (head(app, "R1").version, head(app, "R1").void) == (2, False)
        assert "更正" in made(app, "R1")
        site.push(app, report("R1", "X"))
        run(app)
        assert (head(app, "R1").version, head(app, "R1").void) == (3, True)


@pytest.mark.parametrize("workers", [0, 2])
def test_all_versions_that_wait_together_are_made_in_their_order(tmp_path: Path, workers: int) -> None:
    site = Site(tmp_path, workers=workers)
    with site.app(alone=not workers) as app:
        for n in range(6):
            site.push(app, *(report(f"R{k}", "F" if n == 0 else "C", report_result=f"第{n}版") for k in range(4)))
        run(app)
        for key in range(4):
            assert head(app, f"R{key}").version == 6
            assert "第5版" in made(app, f"R{key}")


def test_one_that_cannot_be_read_is_set_aside_with_all_reasons_and_nothing_waits_behind_it(site: Site) -> None:
    broken = [
        b"not HL7 at all",
        "MSH|^~\\&|LIS||||||ORU^R01|1|P|2.5\rPID|||\xb0".encode("latin-1"),
        report("").replace(b"||||", b"||||"),
    ]
    with site.app() as app:
        site.push(app, report("R1"), *broken, report("R2"))
        assert run(app)["documents"] == 2
        assert states(app) == {"taken": 2, "unreadable": 3}
        told = app.spool.inbox.listed("lis", "unreadable")
        assert all(one.problem for one in told)
        assert "report_number: a record without its key" in told[0].problem


def test_what_no_feed_wants_is_kept_and_counted(site: Site) -> None:
    with site.app() as app:
        site.push(app, b"MSH|^~\\&|LIS||||20260930||ADT^A01|1|P|2.5\rPID|||1\r", report("R1"))
        run(app)
        assert states(app) == {"unwanted": 1, "taken": 1}
        assert app.spool.inbox.listed("lis", "unwanted")[0].problem == ()


ADT = """
[[feeds]]
name = "admissions"
source = "lis"
mapping = "adt.toml"
"""
ADT_MAPPING = """
kind = "C0007"
key = "report_number"
[message]
format = "hl7v2"
when = { "MSH-9.1" = "ADT" }
[message.fields]
"report_number" = "PV1-19"
"patient.name" = "PID-5.1"
"""


def second_feed(folder: Path) -> Site:
    (folder / "adt.toml").write_text(ADT_MAPPING, encoding="utf-8")
    return Site(folder, more=ADT)


def adt(visit: str) -> bytes:
    return f"MSH|^~\\&|HIS||||20260930||ADT^A01|1|P|2.5\rPID|||1||王五\rPV1|{'|' * 18}{visit}\r".encode()


def test_several_feeds_read_one_inlet_each_at_its_own_pace(tmp_path: Path) -> None:
    site = second_feed(tmp_path)
    with site.app() as app:
        site.push(app, report("R1"), adt("V1"), b"MSH|^~\\&|HIS||||20260930||ZZZ^A01|1|P|2.5\r")
        run(app)
        assert states(app) == {"taken": 1, "new": 2}  # the other feed has not seen them yet
        assert run(app, "admissions")["held"] == 1
        assert states(app) == {"taken": 2, "unwanted": 1}


def test_what_one_feed_cannot_read_waits_for_a_person_whatever_the_other_makes_of_it(
    tmp_path: Path,
) -> None:
    site = second_feed(tmp_path)
    with site.app() as app:
        site.push(app, adt(""))
        run(app, "admissions")
        run(app)
        assert states(app) == {"unreadable": 1}


def test_a_person_has_it_read_again_and_older_words_do_not_undo_newer_ones(site: Site) -> None:
    with site.app() as app:
        asked = Operations(app)
        site.push(app, report("R1", "F", report_result="旧"), report("R1", "C", report_result="新"), b"nonsense")
        run(app)
        assert head(app, "R1").version == 2
        assert asked.inlet_read("lis", [1, 3], "li") == {"read": 2}
        run(app)
        assert head(app, "R1").version == 2
        assert "新" in made(app, "R1")
        assert states(app) == {"taken": 2, "unreadable": 1}
        assert run(app) == {}  # once


def test_a_conflict_goes_on_when_a_person_says_so(site: Site) -> None:
    from connectors.arrivals import Arrived
    from frontend_agent.spool.inbox import parcel

    with site.app() as app:
        for body in (report("R1"), report("R2")):
            app.spool.inbox.keep([parcel(Arrived(inlet="lis", body=body, received_at=NOW, control_id="same"))])
        assert run(app) == {"documents": 1}
        assert states(app) == {"taken": 1, "conflict": 1}
        Operations(app).inlet_read("lis", [2], "li")
        assert run(app) == {"documents": 1}
        assert states(app) == {"taken": 2}


def test_a_person_discards_what_is_not_to_be_read(site: Site) -> None:
    with site.app() as app:
        site.push(app, b"nonsense", report("R1"))
        run(app)
        assert Operations(app).inlet_discard("lis", [1, 2], "li", "a test of theirs") == {
            "discarded": 1
        }  # what is taken stays
        assert states(app) == {"taken": 1, "discarded": 1}
        assert app.spool.inbox.one(1).problem == ("li: a test of theirs",)


def test_released_records_are_read_again_from_their_newest_message(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.app() as app:
        mapping = tmp_path / "lab.toml"
        mended = mapping.read_text("utf-8")
        mapping.write_text(mended.replace('"reviewer.name" =', '# "reviewer.name" ='), "utf-8")
        app.refresh("lab_report")
        site.push(app, report("R1", report_result="旧"), report("R1", "C", report_result="新"), report("R2"))
        assert run(app) == {"held": 3}
        cases = [case.id for case in app.spool.quarantine_list()]
        mapping.write_text(mended, "utf-8")
        *_, last = Operations(app).quarantine_release(cases, "li", wait=False)
        assert (last["result"]["documents"], last["result"]["held"]) == (2, 0)
        assert "新" in made(app, "R1")
        assert states(app) == {"taken": 3}


def test_a_released_record_whose_message_is_gone_waits_for_a_person_again(site: Site) -> None:
    with site.app() as app:
        site.push(app, report("R1", **HELD))
        run(app)
        app.spool._database.execute("DELETE FROM inbox_body")
        (case,) = app.spool.quarantine_list()
        *_, last = Operations(app).quarantine_release([case.id], "li", wait=False)
        assert last["result"]["returned"]
        assert app.spool.finding.doubts("lab_report") == []  # no database has to be searched for it


def test_a_held_record_keeps_its_newest_message_beyond_its_term(site: Site) -> None:
    with site.app() as app:
        site.push(app, report("R1", **HELD), report("R2"))
        run(app)
        app.clock = lambda: NOW + timedelta(days=31)
        app.retire()
        assert [(one.id, one.is_here) for one in app.spool.inbox.listed("lis")] == [(2, False), (1, True)]


def test_what_one_of_its_feeds_has_not_read_yet_is_kept_beyond_its_term(tmp_path: Path) -> None:
    site = second_feed(tmp_path)
    with site.app() as app:
        site.push(app, report("R1"), report("R2"))
        run(app)
        app.clock = lambda: NOW + timedelta(days=31)
        app.retire()  # the other feed rests, since long
        assert [one.is_here for one in app.spool.inbox.listed("lis")] == [True, True]
        run(app, "admissions")
        app.retire()
        assert [one.is_here for one in app.spool.inbox.listed("lis")] == [False, False]


def test_preview_and_trace_work_from_the_messages(site: Site) -> None:
    with site.app() as app:
        asked = Operations(app)
        site.push(app, report("R1"), report("R2"))
        run(app)
        assert asked.preview("lab_report", "R1")["records"][0]["would"] == "unchanged"
        assert {one["key"] for one in asked.preview("lab_report", newest=2)["records"]} == {"R1", "R2"}
        traced = asked.trace_key("lab_report", "R1")
        assert [one["id"] for one in traced["messages"]] == [1]
        element = asked.trace_element(traced["document_id"], "patient.name")
        assert element


def test_a_past_period_is_rehearsed_from_the_messages(site: Site) -> None:
    with site.app() as app:
        site.push(app, *(report(f"R{n}") for n in range(5)))
        run(app)
        *_, last = Operations(app).rehearse("lab_report", "2026-09-30T00:00:00", "2026-10-01T00:00:00")
        assert last["result"]["read"] == 5


@pytest.mark.parametrize(
    "ask",
    [
        lambda asked: list(asked.backfill_plan("lab_report", "2026-01-01", "2026-02-01")),
        lambda asked: list(asked.reconcile("lab_report", "2026-09-30", "2026-09-30", "li")),
    ],
)
def test_what_needs_a_database_says_so(site: Site, ask) -> None:
    with site.app() as app, pytest.raises(ConfigurationError, match="hears messages"):
        ask(Operations(app))


def test_a_feed_begins_where_its_table_says(tmp_path: Path) -> None:
    site = Site(tmp_path, feed='start = "now"')
    with site.app() as app:
        site.push(app, report("OLD"), at=NOW - timedelta(days=1))
        assert run(app) == {}
        site.push(app, report("NEW"), at=NOW + timedelta(seconds=1))
        assert run(app) == {"documents": 1}
        assert head(app, "OLD") is None


def test_a_mapping_must_fit_where_its_feed_reads(tmp_path: Path) -> None:
    site = Site(tmp_path)
    wrong = site.config().replace('mapping = "lab.toml"', 'mapping = "demo_lis/lab_report"')
    from frontend_agent.app import App
    from frontend_agent.config import parse_config

    with pytest.raises(ConfigurationError, match=r"needs a mapping with \[message\]"):
        App(parse_config(wrong), tmp_path / "state", alone=True).open()


def test_a_feed_that_is_far_behind_pays_no_more_for_a_page(site: Site) -> None:
    """Claimed by number: what waits costs nothing. Counted in SQLite's own steps, no clock is asked."""
    from test_spool_scale import instructions

    from connectors.arrivals import Arrived
    from frontend_agent.spool.inbox import parcel

    body = report("R1")

    def fill(app, first, count):
        for start in range(first, first + count, 1000):
            app.spool.inbox.keep(
                [
                    parcel(Arrived(inlet="lis", body=body, received_at=NOW, control_id=str(n)))
                    for n in range(start, start + 1000)
                ]
            )

    with site.app() as app:
        inbox = app.spool.inbox
        fill(app, 0, 1_000)
        few = instructions(app.spool, lambda: inbox.next("lis", 0, inbox.newest("lis"), 100))
        fill(app, 1_000, 20_000)
        many = instructions(app.spool, lambda: inbox.next("lis", 0, inbox.newest("lis"), 100))
        keep = instructions(app.spool, lambda: fill(app, 50_000, 1_000))
        assert many <= few * 1.2
        assert keep <= 1_000 * 400


def test_the_tap_shows_structure_and_no_values() -> None:
    from frontend_agent.tapping import masked

    told = masked(report("R1"))
    text = str(told)
    assert told["type"].startswith("ORU^R01")
    assert any(line.startswith("PID ") for line in told["lines"])
    for secret in ("张小满", "11010519491231002X", "M0000001", "李卫东", "12.6", "R1"):
        assert secret not in text
    xml = masked("<a><姓名 id='7'>张三</姓名><n>12345</n></a>".encode())
    assert "张三" not in str(xml)
    assert "12345" not in str(xml)
    assert masked(b'{"name": "Zhang", "440101199001010000": [1, null, "x"]}')["format"] == "json"
    assert "440101199001010000" not in str(masked(b'{"440101199001010000": 1}'))
    assert masked(b"\x00\xff")["format"] == "bytes"
    assert masked(b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>")["problem"]

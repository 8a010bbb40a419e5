"""Taking in: what becomes a document, a version, a held record, or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pipe import COLUMNS, FEED, INSTITUTION, KIND, NOW, FakePlatform, feed, id_of, normalise, rows

from frontend_agent.config import load_config
from frontend_agent.errors import DestinationUnreachable
from frontend_agent.feeds import compile_feed
from frontend_agent.identity import set_id
from frontend_agent.intake import FeedPlan, Step, next_step, take_in
from frontend_agent.model import Blame, RowSet, SeriesHead, Severity, SourceRecord, SourceRows, Watermark
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool, Taken

MARK = Watermark("2026-09-30T08:00:00", "k")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def take(spool: Spool, *given_rows: tuple[str, str] | tuple[str, str, str], plan: FeedPlan | None = None) -> Taken:
    return take_in(plan or feed(), rows(*given_rows), MARK, spool, None, NOW)


def ids(taken: Taken) -> list[str]:
    return [document.document_id for document in taken.documents]


def set_of(key: str) -> str:
    return set_id(INSTITUTION, "1", KIND, key)


# --- documents --------------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_document_whose_bytes_are_fixed(spool: Spool) -> None:
    (document,) = take(spool, ("a", "1")).documents
    whole = zstandard.decompress(document.frame)
    assert document.sha256 == sha256(whole).hexdigest()
    assert document.size == len(whole)
    assert b"at='20260930161500'" in whole  # 08:15 UTC, as the institution's clock shows it
    assert (document.document_id, document.version, document.replaces_id) == (id_of("a"), 1, "")
    assert spool.watermark(FEED) == MARK
    (delivery,) = spool.claim("platform", now=NOW)
    assert delivery.document.frame == document.frame


def test_the_same_content_again_is_nothing_new(spool: Spool) -> None:
    take(spool, ("a", "1"))
    again = take(spool, ("a", "1"))
    assert (ids(again), again.skipped.unchanged) == ([], 1)
    assert ids(take(spool, ("a", "1"), plan=feed(digests="digests-2"))) == []  # new rules make no version


def test_changed_content_is_the_next_version_and_names_the_one_before(spool: Spool) -> None:
    take(spool, ("a", "1"))
    (document,) = take(spool, ("a", "2")).documents
    assert (document.document_id, document.replaces_id) == (id_of("a", 2), id_of("a", 1))
    assert ids(take(spool, ("a", "1"))) == [id_of("a", 3)]  # back again is also a change


def test_what_is_not_final_waits_for_its_time(spool: Spool) -> None:
    assert take(spool, ("a", "1", "open")).skipped.not_final == 1
    assert ids(take(spool, ("a", "1"))) == [id_of("a")]


def test_lawful_absence_is_written_and_noted(spool: Spool) -> None:
    taken = take(spool, ("a", "nothing"))
    assert "无".encode() in zstandard.decompress(taken.documents[0].frame)
    trace = spool.trace(id_of("a"))
    assert trace
    assert [(finding.rule, finding.severity) for finding in trace.findings] == [("TST003", Severity.NOTE)]


def test_the_steps_are_told_as_they_end(spool: Spool) -> None:
    laps: list[str] = []
    take_in(feed(), rows(("a", "1")), None, spool, None, NOW, lap=laps.append)
    assert laps == ["normalise", "compare", "check", "render", "compress", "commit"]


def test_an_order_of_its_own_is_kept(spool: Spool) -> None:
    plan = feed(order=lambda record: "patient-1")
    take(spool, ("a", "1"), ("b", "2"), plan=plan)
    assert [delivery.document.key for delivery in spool.claim("platform", now=NOW)] == ["a"]


# --- voiding ----------------------------------------------------------------------------------------------------------


def test_what_was_sent_and_is_void_becomes_a_void_version(spool: Spool) -> None:
    take(spool, ("a", "1"))
    (document,) = take(spool, ("a", "1 void", "void")).documents
    assert (document.void, document.version, document.replaces_id) == (True, 2, id_of("a"))
    assert ids(take(spool, ("a", "1 void", "void"))) == []
    assert ids(take(spool, ("a", "1 void again", "void"))) == []  # it is void already
    assert [document.void for document in take(spool, ("a", "2")).documents] == [False]


def test_what_was_never_sent_and_is_void_is_nothing(spool: Spool) -> None:
    taken = take(spool, ("a", "1", "void"))
    assert (ids(taken), taken.skipped.withdrawn) == ([], 1)


def test_a_held_record_that_is_withdrawn_waits_no_longer(spool: Spool) -> None:
    take(spool, ("a", "bad"))
    take(spool, ("a", "bad", "void"))
    assert spool.quarantine_list() == []
    assert spool.counts().held == 0


def test_voiding_is_told_to_the_region_even_when_the_record_is_bad(spool: Spool) -> None:
    take(spool, ("a", "1"))
    taken = take(spool, ("a", "bad", "void"))
    assert [document.void for document in taken.documents] == [True]
    trace = spool.trace(id_of("a", 2))
    assert trace
    assert trace.findings[0].rule == "TST001"


# --- held records -----------------------------------------------------------------------------------------------------


def test_a_held_record_does_not_hold_its_neighbours(spool: Spool) -> None:
    taken = take(spool, ("a", "1"), ("b", "bad"), ("c", "odd"), ("d", "4"))
    assert ids(taken) == [id_of("a"), id_of("c"), id_of("d")]
    (case,) = spool.quarantine_list()
    assert (case.key, case.findings[0].rule) == ("b", "TST001")
    assert spool.quarantine_show(case.id) == (case, {"report_number": "b", "value": "bad"})


def test_a_correction_supersedes_its_held_predecessor(spool: Spool) -> None:
    take(spool, ("a", "bad"))
    assert ids(take(spool, ("a", "good"))) == [id_of("a", 1)]
    assert spool.quarantine_list() == []
    assert spool.series([set_of("a")])[set_of("a")].held is False


def test_a_held_record_is_not_held_again_while_nothing_changed(spool: Spool) -> None:
    take(spool, ("a", "bad"))
    assert take(spool, ("a", "bad")).skipped.unchanged == 1
    take(spool, ("a", "bad"), plan=feed(digests="digests-2"))  # new rules are worth another look
    assert len(spool.quarantine_list()) == 1
    assert spool.quarantine_list()[0].digests == "digests-2"


def test_new_rules_may_let_a_held_record_go(spool: Spool) -> None:
    take(spool, ("a", "bad"))
    assert ids(take(spool, ("a", "bad"), plan=feed(digests="digests-2", check=lambda r, c, f: []))) == [id_of("a")]
    assert spool.quarantine_list() == []


def test_a_bad_correction_is_held_beside_the_good_document_and_going_back_ends_it(spool: Spool) -> None:
    take(spool, ("a", "1"))
    take(spool, ("a", "bad"))
    head = spool.series([set_of("a")])[set_of("a")]
    assert (head.version, head.held) == (1, True)
    back = take(spool, ("a", "1"))
    assert (ids(back), back.skipped.returned) == ([], 1)
    assert spool.quarantine_list() == []
    assert take(spool, ("a", "1")).skipped.unchanged == 1


def test_a_released_record_is_judged_by_the_rules_of_today(spool: Spool) -> None:
    take(spool, ("a", "bad"), ("b", "bad"))
    assert spool.quarantine_release([case.id for case in spool.quarantine_list()], "wang", NOW).keys == [
        (FEED, "a"),
        (FEED, "b"),
    ]
    assert sorted(spool.again(FEED)) == ["a", "b"]
    lenient = feed(check=lambda record, columns, told: [])
    taken = take_in(lenient, rows(("a", "bad")), None, spool, None, NOW, asked=["a", "b"])
    assert ids(taken) == [id_of("a")]
    assert spool.again(FEED) == []
    (case,) = spool.quarantine_list()  # b is not at the source any more: a person should know
    assert (case.key, case.state, case.note) == ("b", "open", "not found at the source")


def test_a_release_survives_a_crash_before_the_record_is_read_again(spool: Spool) -> None:
    take(spool, ("a", "bad"))
    spool.quarantine_release([spool.quarantine_list()[0].id], "wang", NOW)
    spool.close()
    with Spool(spool.path).open() as opened:
        assert opened.again(FEED) == ["a"]
        take_in(feed(), rows(("a", "bad")), None, opened, None, NOW, asked=["a"])
        assert opened.again(FEED) == []
        assert [case.state for case in opened.quarantine_list()] == ["open"]


# --- faults of our own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "kind"), [("render fails", "RuntimeError"), ("check fails", "KeyError")])
def test_a_failure_on_one_record_holds_that_record_alone(spool: Spool, value: str, kind: str) -> None:
    taken = take(spool, ("a", "1"), ("b", value), ("c", "3"))
    assert ids(taken) == [id_of("a"), id_of("c")]
    finding = spool.quarantine_list()[0].findings[-1]
    assert (finding.blame, finding.arguments) == (Blame.AGENT, (kind,))
    assert "张三" not in repr(finding)


def test_the_field_that_could_not_be_written_is_named(spool: Spool) -> None:
    class Unbound(Exception):
        field = "patient.name"

    def fail(*_: object) -> bytes:
        raise Unbound("张三")

    take(spool, ("a", "1"), plan=feed(render=fail))
    assert spool.quarantine_list()[0].findings[0].field == "patient.name"


def test_rows_that_cannot_be_read_are_held_by_key_and_the_others_go_on(spool: Spool) -> None:
    taken = take(spool, ("a", "1"), ("b", "unreadable"), ("c", "3"))
    assert ids(taken) == [id_of("a"), id_of("c")]
    (case,) = spool.quarantine_list()
    assert (case.key, case.findings[0].rule, case.findings[0].blame) == ("b", "AGT001", Blame.MAPPING)
    assert take(spool, ("b", "unreadable")).skipped.unchanged == 1
    assert ids(take(spool, ("b", "2"))) == [id_of("b")]


def test_details_stay_with_their_record_when_rows_are_read_one_by_one(spool: Spool) -> None:
    seen: dict[str, list[str]] = {}

    def reading(source: SourceRows) -> list[SourceRecord]:
        for row in source.parent.rows:
            seen[row[0]] = [detail[1] for detail in source.details["items"].rows]
        return normalise(source)

    details = {"items": RowSet(("report_number", "code"), [("a", "x"), ("b", "y"), ("a", "z")])}
    parent = RowSet(COLUMNS, [("a", "1", ""), ("b", "unreadable", "")])
    take_in(feed(normalise=reading), SourceRows(parent, details), None, spool, None, NOW)
    assert seen == {"a": ["x", "z"], "b": ["y"]}


def test_the_same_row_twice_is_one_document(spool: Spool) -> None:
    assert ids(take(spool, ("a", "1"), ("a", "1"))) == [id_of("a")]


def test_two_different_records_under_one_key_are_held_and_never_take_turns(spool: Spool) -> None:
    assert ids(take(spool, ("a", "1"), ("a", "2"), ("b", "3"))) == [id_of("b")]
    (case,) = spool.quarantine_list()
    assert (case.key, case.findings[0].rule, case.findings[0].blame) == ("a", "AGT003", Blame.SOURCE)
    assert take(spool, ("a", "2"), ("a", "1")).skipped.unchanged == 1
    assert ids(take(spool, ("a", "2"))) == [id_of("a")]


def test_when_the_commit_fails_nothing_was_taken(spool: Spool) -> None:
    spool._database.execute("CREATE TEMP TRIGGER t BEFORE INSERT ON main.log BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="no"):
        take(spool, ("a", "1"))
    assert spool.watermark(FEED) is None
    spool._database.execute("DROP TRIGGER t")
    assert ids(take(spool, ("a", "1"))) == [id_of("a")]


# --- a lost state -----------------------------------------------------------------------------------------------------


class Memory:
    """What the platform knows: the heads of what it stored."""

    def __init__(self) -> None:
        self.heads: dict[str, SeriesHead] = {}
        self.asked: list[list[str]] = []

    def learn(self, taken: Taken) -> None:
        for d in taken.documents:
            self.heads[d.set_id] = SeriesHead(d.set_id, d.version, d.source_hash, d.document_id, void=d.void)

    def __call__(self, set_ids: Sequence[str]) -> Mapping[str, SeriesHead]:
        self.asked.append(list(set_ids))
        return {named: self.heads[named] for named in set_ids if named in self.heads}


def test_a_lost_state_is_read_again_without_a_second_effect(tmp_path: Path) -> None:
    platform, memory = FakePlatform(), Memory()
    with Spool(tmp_path / "first").open() as spool:
        for batch in ([("a", "1"), ("b", "1"), ("v", "1")], [("a", "2"), ("v", "1", "void")]):
            memory.learn(take_in(feed(), rows(*batch), None, spool, None, NOW))  # type: ignore[arg-type]
            while send_out(platform, spool, NOW):
                pass
    before = list(platform.received)
    with Spool(tmp_path / "second").open() as spool:
        source = rows(("a", "2"), ("b", "changed meanwhile"), ("c", "new"), ("v", "1", "void"))
        taken = take_in(feed(), source, MARK, spool, memory, NOW)
        assert ids(taken) == [id_of("b", 2), id_of("c", 1)]
        assert taken.skipped.unchanged == 2
        while send_out(platform, spool, NOW):
            pass
        assert platform.second_effects == []
        assert platform.received == [*before, id_of("b", 2), id_of("c", 1)]
        take_in(feed(), source, MARK, spool, memory, NOW)
        assert len(memory.asked) == 1  # what was learnt or made is not asked again


def test_without_the_platform_a_lost_state_assigns_no_version(spool: Spool) -> None:
    def unreachable(_: Sequence[str]) -> Mapping[str, SeriesHead]:
        raise DestinationUnreachable("no route")

    with pytest.raises(DestinationUnreachable):
        take_in(feed(), rows(("a", "1")), MARK, spool, unreachable, NOW)
    assert spool.watermark(FEED) is None
    assert spool.counts().documents == 0


def test_an_adopted_state_counts_on_from_what_the_platform_has(spool: Spool) -> None:
    take(spool, ("a", "1"))
    memory = Memory()
    memory.heads[set_of("a")] = SeriesHead(set_of("a"), 5, "another hash", id_of("a", 5))
    spool.meta.bind("m")
    spool.adopt("m", "wang", NOW)
    taken = take_in(feed(), rows(("a", "2")), MARK, spool, memory, NOW)
    assert ids(taken) == [id_of("a", 6)]


def test_a_known_state_does_not_ask(spool: Spool) -> None:
    spool.meta.heads_known = True
    memory = Memory()
    take_in(feed(), rows(("a", "1")), MARK, spool, memory, NOW)
    assert memory.asked == []


# --- deciding ---------------------------------------------------------------------------------------------------------

HASHES = st.sampled_from(["1", "2", "3"])


@given(
    head=st.none() | st.builds(
        SeriesHead, set_id=st.just("S"), version=st.integers(0, 3), source_hash=HASHES, held=st.booleans(),
        void=st.booleans(), digests=st.sampled_from(["", "d1", "d2"]), document_hash=st.sampled_from(["", "1", "2"]),
    ),
    record=st.builds(
        SourceRecord, key=st.just("k"), record=st.just({}), source_hash=HASHES, final=st.booleans(), void=st.booleans()
    ),
)  # fmt: skip
def test_every_combination_has_one_answer_that_keeps_the_laws(head: SeriesHead | None, record: SourceRecord) -> None:
    step = next_step(head, record, "d1")
    if head is None and record.final and not record.void:
        assert step is Step.MAKE  # nothing new is lost
    if step is Step.MAKE and record.void:
        assert head is not None
        assert head.version > 0  # nothing is voided that was never sent
    if head and not head.held and record.source_hash == head.source_hash and record.void == head.void and head.version:
        assert step is not Step.MAKE or head.document_hash not in ("", record.source_hash)


def test_the_clock_is_the_callers(spool: Spool) -> None:
    taken = take_in(feed(), rows(("a", "1")), None, spool, None, datetime(2030, 1, 1, 23, 30, tzinfo=UTC))
    assert taken.documents[0].made_at == "2030-01-01T23:30:00.000+00:00"
    assert b"at='20300102073000'" in zstandard.decompress(taken.documents[0].frame)


def test_feeds_of_one_kind_share_no_compressor() -> None:
    """Feeds are read by threads of their own, and zstd's contexts are not safe to share between threads."""
    config = load_config(Path(__file__).parents[2] / "agent.toml")
    one, other = (compile_feed(config, config.feeds[0], date.today).plan for _ in range(2))
    assert one.compress.__self__ is not other.compress.__self__  # type: ignore[attr-defined]
    assert one.compress(b"x" * 99) == other.compress(b"x" * 99)

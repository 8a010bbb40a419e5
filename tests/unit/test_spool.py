"""The spool: one commit, claim and settle, order, what survives, what is refused."""

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import apsw
import pytest
from pipe import NOW, FakePlatform, SignedReply, document, feed, fill, held, id_of, later, rows, taken

from frontend_agent.delivery import Event, State
from frontend_agent.errors import StateError
from frontend_agent.identity import set_id
from frontend_agent.intake import take_in
from frontend_agent.model import Finding, Outcome, Receipt, SeriesHead, Severity, Watermark
from frontend_agent.sending import send_out
from frontend_agent.spool import Run, Skipped, Spool, SpoolFull
from frontend_agent.spool.database import MIGRATIONS

DAY = timedelta(days=1)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        yield opened


def reopened(spool: Spool, **options: int) -> Spool:
    spool.close()
    return Spool(spool.path, **options).open()


def claimed(spool: Spool, limit: int = 100, destination: str = "platform", now=NOW) -> list[str]:
    return [delivery.document.document_id for delivery in spool.claim(destination, limit, now=now)]


def stored(*document_ids: str, spool: Spool) -> list[Receipt]:
    found = [spool.trace(document_id) for document_id in document_ids]
    return [
        Receipt(trace.document_id, Outcome.STORED, trace.sha256, (), "r1", n) for n, trace in enumerate(found) if trace
    ]


def state(spool: Spool, document_id: str, destination: str = "platform") -> State:
    trace = spool.trace(document_id)
    assert trace
    return next(delivery.state for delivery in trace.deliveries if delivery.destination == destination)


def counted(spool: Spool) -> dict[str, int]:
    return {name: n for name, n in spool.counts().deliveries["platform"].items() if n}


# --- one commit -------------------------------------------------------------------------------------------------------


def test_what_was_committed_is_claimed_byte_for_byte_after_reopening(spool: Spool) -> None:
    made = [
        document("a"),
        document("b", size=15_000),
        document("c", frame=os.urandom(5_000)),
        document("d", frame=bytes(99)),
    ]
    spool.commit(taken(*made, watermark=Watermark("2026-09-30", "b")))
    spool = reopened(spool)

    assert spool.watermark("lab_report") == Watermark("2026-09-30", "b")
    back = [delivery.document for delivery in spool.claim("platform", now=NOW)]
    assert [(d.document_id, d.frame, d.sha256, d.size, d.source_hash) for d in back] == [
        (d.document_id, d.frame, d.sha256, d.size, d.source_hash) for d in made
    ]
    assert back[0].key == "a"
    assert back[0].digests == "digests-1"
    assert back[0].made_at == "2026-09-30T08:15:00.000+00:00"


TABLES = ["series", "document", "frame", "delivery", "quarantine", "log", "feed", "rule", "tally"]


@pytest.mark.parametrize("table", TABLES)
def test_a_commit_that_fails_anywhere_leaves_nothing(spool: Spool, table: str) -> None:
    fill(spool, ["before"])
    before = (spool.counts(), spool.log_head(), spool.watermark("lab_report"))
    spool._database.execute(f"CREATE TEMP TRIGGER t BEFORE INSERT ON main.{table} BEGIN SELECT RAISE(ABORT, 'no'); END")
    batch = taken(document("a"), held=[held("h")], watermark=Watermark("x", "y"))

    with pytest.raises(apsw.ConstraintError):
        spool.commit(batch)
    after = (spool.counts(), spool.log_head(), spool.watermark("lab_report"))
    assert after[1:] == before[1:]
    assert (after[0].documents, after[0].held, after[0].deliveries) == (before[0].documents, 0, before[0].deliveries)
    assert spool.trace(id_of("a")) is None

    spool._database.execute("DROP TRIGGER t")
    spool.commit(batch)
    assert spool.counts().documents == 2
    assert spool.verify_log().ok


def test_the_same_version_twice_is_refused_as_a_whole(spool: Spool) -> None:
    fill(spool, ["a"])
    with pytest.raises(StateError, match="made meanwhile"):
        spool.commit(taken(document("b"), document("a")))
    assert spool.counts().documents == 1


def test_an_idle_batch_moves_the_watermark_and_says_nothing_in_the_log(spool: Spool) -> None:
    spool.commit(taken(watermark=Watermark("1", "k"), skipped=Skipped(unchanged=3)))
    assert spool.watermark("lab_report") == Watermark("1", "k")
    assert spool.log_head()[0] == 0
    assert spool.counts().feeds["lab_report"] == {"unchanged": 3, "records": 3}


def test_findings_are_kept_with_their_document_and_counted_by_rule(spool: Spool) -> None:
    made = document("a")
    noted = (
        Finding("LAB1", Severity.WARN, field="items[3].unit"),
        Finding("LAB1", Severity.WARN, field="items[4].unit"),
    )
    spool.commit(taken(made, findings={made.document_id: noted}))
    trace = spool.trace(made.document_id)
    assert trace
    assert trace.findings == noted
    assert spool.rules() == [("lab_report", "LAB1", "warn", "items.unit", 2)]


def test_a_frame_of_more_than_a_megabyte_is_a_file_beside_the_spool(spool: Spool) -> None:
    big = document("big", frame=os.urandom(3 << 20))
    spool.commit(taken(document("a"), big, document("b")))
    assert len(list((spool.path / "bodies").iterdir())) == 1
    spool = reopened(spool)
    back = {delivery.document.key: delivery.document for delivery in spool.claim("platform", now=NOW)}
    assert back["big"].frame == big.frame
    assert set(back) == {"a", "big", "b"}
    assert spool.frame(big.document_id) == big.frame


def test_a_document_that_comes_twice_does_not_cost_the_first_one_its_file(spool: Spool) -> None:
    big = document("big", frame=os.urandom(2 << 20))
    spool.commit(taken(big))
    with pytest.raises(StateError, match="already"):
        spool.commit(taken(big))
    assert spool.frame(big.document_id) == big.frame


def test_files_of_a_commit_that_failed_are_gone_and_orphans_of_a_crash_are_swept(spool: Spool) -> None:
    fill(spool, ["a"])
    with pytest.raises(StateError):
        spool.commit(taken(document("big", frame=os.urandom(2 << 20)), document("a")))
    bodies = spool.path / "bodies"
    assert list(bodies.iterdir()) == []
    (bodies / f"{id_of('crashed')}.zst").write_bytes(b"x")
    (bodies / f"{id_of('torn')}.part").write_bytes(b"x")
    reopened(spool).close()
    assert list(bodies.iterdir()) == []


def test_the_state_is_readable_by_its_owner_only(spool: Spool) -> None:
    fill(spool, ["a"])
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.path.iterdir()} == {0o600}


# --- claiming and settling --------------------------------------------------------------------------------------------


def test_a_claim_takes_the_oldest_up_to_its_limits_and_nobody_else_gets_them(spool: Spool) -> None:
    ids = fill(spool, "abcdefg")
    assert claimed(spool, 3) == ids[:3]
    assert claimed(spool, 3) == ids[3:6]
    assert claimed(spool) == ids[6:]
    assert claimed(spool) == []
    assert spool.pending("platform") == 7


def test_a_claim_is_bounded_in_bytes_and_takes_at_least_one(spool: Spool) -> None:
    spool.commit(taken(*[document(key, frame=os.urandom(1_000)) for key in "abc"]))
    assert len(spool.claim("platform", max_bytes=2_500, now=NOW)) == 2
    assert len(spool.claim("platform", max_bytes=10, now=NOW)) == 1


def test_backfill_goes_after_what_is_new(spool: Spool) -> None:
    spool.commit(taken(document("old"), urgency=1))
    spool.commit(taken(document("new")))
    assert claimed(spool) == [id_of("new"), id_of("old")]


def test_every_destination_has_its_own_deliveries(spool: Spool) -> None:
    ids = fill(spool, "ab", destinations=("city", "county"))
    assert claimed(spool, destination="city") == ids
    spool.settle("city", stored(*ids, spool=spool), now=NOW)
    assert (spool.pending("city"), spool.pending("county")) == (0, 2)
    assert claimed(spool, destination="county") == ids


def test_each_document_is_settled_by_its_own_receipt(spool: Spool) -> None:
    a, b, c, d = fill(spool, "abcd")
    claimed(spool)
    digest = {name: trace.sha256 for name in (a, b, c, d) if (trace := spool.trace(name))}
    settled = spool.settle(
        "platform",
        [
            Receipt(a, Outcome.STORED, digest[a], (), "r1", 0),
            Receipt(b, Outcome.DUPLICATE, digest[b], (), "r1", 1),
            Receipt(c, Outcome.REFUSED, digest[c], ("wrong birth date", "no title"), "r1", 2),
            Receipt(d, Outcome.RETRY, reasons=("busy",)),
        ],
        [SignedReply("r1", b"the signed reply", 1, "ab" * 32, b"evidence")],
        now=later(seconds=3),
    )
    assert settled == 3
    assert [state(spool, name) for name in (a, b, c, d)] == ["delivered", "delivered", "refused", "waiting"]
    trace = spool.trace(c)
    assert trace
    journey = trace.deliveries[0]
    assert journey.reasons == ("wrong birth date", "no title")
    assert (journey.reply, journey.position, journey.reply_body) == ("r1", 2, b"the signed reply")
    assert (journey.claimed_at, journey.settled_at) == (NOW, later(seconds=3))
    assert [(kept.document_id, kept.outcome) for kept in spool.receipts()] == [
        (a, "stored"), (b, "duplicate"), (c, "refused")
    ]  # fmt: skip
    assert spool.heads()[0].evidence == b"evidence"
    assert claimed(spool) == []
    assert claimed(spool, now=later(minutes=10)) == [d]


def test_a_receipt_for_other_bytes_proves_nothing(spool: Spool) -> None:
    (a,) = fill(spool, "a")
    claimed(spool)
    assert spool.settle("platform", [Receipt(a, Outcome.STORED, "00" * 32)], now=NOW) == 0
    assert state(spool, a) == "uncertain"


def test_a_receipt_for_a_document_that_is_not_ours_is_ignored(spool: Spool) -> None:
    strangers = [Receipt("C0007-NOBODY-1", Outcome.STORED, "00" * 32), Receipt("nonsense", Outcome.STORED)]
    assert spool.settle("platform", strangers, now=NOW) == 0


def test_a_proof_that_comes_late_still_counts(spool: Spool) -> None:
    (a,) = fill(spool, "a")
    claimed(spool)
    assert claimed(spool, now=later(minutes=11)) == [a]  # the lease lapsed: it goes again
    spool.put_back("platform", [a], Outcome.UNREACHABLE, now=NOW)
    assert spool.settle("platform", stored(a, spool=spool), now=NOW) == 1
    assert state(spool, a) == "delivered"


def test_a_lapsed_lease_is_uncertain(spool: Spool) -> None:
    (a,) = fill(spool, "a")
    spool.claim("platform", now=NOW, lease=timedelta(seconds=30))
    assert claimed(spool, now=later(seconds=29)) == []
    (again,) = spool.claim("platform", now=later(seconds=30))
    assert (again.document.document_id, again.attempts) == (a, 2)


def test_what_was_being_sent_when_we_died_goes_again_at_once(spool: Spool) -> None:
    ids = fill(spool, "ab")
    claimed(spool)
    spool = reopened(spool)
    assert state(spool, ids[0]) == "uncertain"
    assert claimed(spool) == ids


def test_nothing_that_never_arrived_counts_against_a_document(spool: Spool) -> None:
    (a,) = fill(spool, "a")
    for event in (Outcome.UNREACHABLE, Event.NOT_SENT):
        claimed(spool)
        assert spool.put_back("platform", [a], event, now=NOW) == 0
    (again,) = spool.claim("platform", now=NOW)
    assert again.attempts == 1


@pytest.mark.parametrize("event", [Outcome.UNREACHABLE, Outcome.UNANSWERED, Event.NOT_SENT])
def test_a_document_that_is_spoken_of_twice_moves_and_counts_once(spool: Spool, event: Outcome | Event) -> None:
    fill(spool, "a")
    lease = timedelta(seconds=1)
    claims = [spool.claim("platform", now=later(seconds=n), lease=lease) for n in range(2)]
    both = [delivery.document.document_id for claim in claims for delivery in claim]
    spool.put_back("platform", both, event, now=later(seconds=1))
    assert counted(spool) == {"uncertain" if event is Outcome.UNANSWERED else "ready": 1}
    assert spool.pending("platform") == 1


@pytest.mark.parametrize("first", [Outcome.STORED, Outcome.REFUSED, Outcome.RETRY])
def test_a_platform_that_repeats_itself_counts_once_and_a_proof_is_what_stands(spool: Spool, first: Outcome) -> None:
    spool.commit(taken(document("a", 1), document("a", 2)))
    (a,) = claimed(spool)
    (proof,) = stored(a, spool=spool)
    said = [Receipt(a, first, proof.sha256), proof, Receipt(a, Outcome.REFUSED, "", ("no",)), proof]
    assert spool.settle("platform", said, now=NOW) == 1
    assert state(spool, a) == "delivered"
    assert counted(spool) == {"ready": 1, "delivered": 1}
    assert claimed(spool) == [id_of("a", 2)]


def test_suspects_go_last_and_few_at_a_time(spool: Spool) -> None:
    ids = fill(spool, [f"k{n}" for n in range(20)])
    suspects = claimed(spool, 10)
    spool.put_back("platform", suspects, Event.NOT_SENT, now=NOW, suspect=True)
    first = spool.claim("platform", 8, now=NOW)
    assert [delivery.suspect for delivery in first] == [False] * 4 + [True] * 4
    assert [delivery.document.document_id for delivery in first] == ids[10:14] + ids[:4]


# --- order ------------------------------------------------------------------------------------------------------------


def test_a_version_never_overtakes_the_one_before(spool: Spool) -> None:
    spool.commit(taken(document("a", 1), document("b"), document("a", 2)))
    spool.commit(taken(document("a", 3)))
    assert claimed(spool) == [id_of("a", 1), id_of("b")]
    assert claimed(spool) == []
    spool.settle("platform", stored(id_of("a", 1), id_of("b"), spool=spool), now=NOW)
    assert claimed(spool) == [id_of("a", 2)]
    spool.settle("platform", [Receipt(id_of("a", 2), Outcome.RETRY)], now=NOW)
    assert claimed(spool) == []
    assert claimed(spool, now=later(hours=1)) == [id_of("a", 2)]
    spool.settle("platform", [Receipt(id_of("a", 2), Outcome.REFUSED, "", ("no",))], now=NOW)
    assert claimed(spool) == [id_of("a", 3)]  # the correction of what was refused


def test_documents_of_one_order_go_one_after_another(spool: Spool) -> None:
    spool.commit(taken(*[document(key, order_key="patient-1") for key in "abc"], document("x", order_key="patient-2")))
    spool.commit(taken(document("d", order_key="patient-1")))
    sent = []
    for _ in range(4):
        batch = claimed(spool)
        sent += batch
        spool.settle("platform", stored(*batch, spool=spool), now=NOW)
    assert sent == [id_of(key) for key in "axbcd"]
    spool.commit(taken(document("e", order_key="patient-1")))
    assert claimed(spool) == [id_of("e")]


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_damaged_body_is_set_aside_alone(spool: Spool) -> None:
    ids = fill(spool, "abc", destinations=("platform", "city"))
    spool._database.execute("UPDATE frame SET bytes = zeroblob(length(bytes)) WHERE document = 2")
    assert claimed(spool) == [ids[0], ids[2]]
    assert state(spool, ids[1]) == "damaged"
    assert state(spool, ids[1], "city") == "damaged"
    assert spool.frame(ids[1]) is None
    cases = spool.quarantine_list()
    assert {(case.document_id, case.state) for case in cases} == {(ids[1], "damaged")}
    assert '"damaged"' in spool.log_newest(1)[0].body.decode()


@pytest.mark.parametrize("damage", ["missing row", "missing file", "shortened", "lengthened"])
def test_a_body_that_is_missing_or_of_another_length_is_set_aside_alone(spool: Spool, damage: str) -> None:
    spool.commit(taken(document("a"), document("b", frame=os.urandom(2 << 20)), document("c"), document("d")))
    if damage == "missing row":
        spool._database.execute("DELETE FROM frame WHERE document = 3")
    elif damage == "missing file":
        next((spool.path / "bodies").iterdir()).unlink()
    elif damage == "shortened":
        spool._database.execute("UPDATE frame SET bytes = substr(bytes, 2) WHERE document = 3")
    else:
        spool._database.execute("UPDATE frame SET bytes = CAST(bytes || x'00' AS BLOB) WHERE document = 3")
    spoiled = "b" if damage == "missing file" else "c"
    assert claimed(spool) == [id_of(key) for key in "abcd" if key != spoiled]


def test_a_page_that_cannot_be_read_costs_only_its_own_documents(spool: Spool) -> None:
    made = [document(f"k{n}", frame=os.urandom(30_000)) for n in range(10)]  # several pages each
    spool.commit(taken(*made))
    spool.close()
    file = spool.path / "spool.db"
    content = file.read_bytes()
    place = content.index(made[4].frame[9_000:9_100])  # in an overflow page of the fifth
    page = place // 8192 * 8192
    file.write_bytes(content[:page] + b"\xff" * 8192 + content[page + 8192 :])

    with Spool(spool.path).open() as opened:
        assert claimed(opened) == [d.document_id for d in made if d is not made[4]]
        assert state(opened, made[4].document_id) == "damaged"


def test_releasing_a_damaged_document_reads_its_record_again(spool: Spool) -> None:
    take_in(feed(), rows(("a", "1")), None, spool, None, NOW)
    spool._database.execute("UPDATE frame SET bytes = x'00'")
    assert claimed(spool) == []
    (case,) = spool.quarantine_list()
    assert spool.quarantine_release([case.id], "wang", NOW).keys == [("lab_report", "a")]
    assert spool.again("lab_report") == ["a"]
    take_in(feed(), rows(("a", "1")), None, spool, None, NOW, asked=["a"])
    (again,) = spool.claim("platform", now=NOW)
    assert again.document.version == 2
    assert spool.again("lab_report") == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"this is not a database, it is a letter home" * 100)
    with pytest.raises(StateError, match="damaged"):
        Spool(tmp_path).open()


# --- whose state ------------------------------------------------------------------------------------------------------


def test_a_second_opening_is_refused_while_the_first_lasts(spool: Spool) -> None:
    with pytest.raises(StateError, match="in use"):
        Spool(spool.path).open()
    reopened(spool).close()


@pytest.mark.parametrize("place", ["a file", "a file/below"])
def test_a_place_that_cannot_hold_a_state_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").write_text("x")
    with pytest.raises(StateError, match="a file"):
        Spool(tmp_path / place).open()


def test_damage_outside_of_documents_is_told_and_not_gone_round_in_circles(spool: Spool) -> None:
    fill(spool, [f"k{n}" for n in range(200)])
    root = spool._database._connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'delivery_ready'").get
    spool.close()
    file = spool.path / "spool.db"
    content = file.read_bytes()
    file.write_bytes(content[: (root - 1) * 8192] + b"\xff" * 8192 + content[root * 8192 :])
    with Spool(spool.path).open() as opened, pytest.raises(StateError, match="damaged"):
        claimed(opened)


def test_a_clock_that_is_set_back_strands_nothing(spool: Spool) -> None:
    a, b = fill(spool, "ab")
    spool.claim("platform", now=later(days=30))
    spool.settle("platform", [Receipt(a, Outcome.RETRY)], now=later(days=30))
    assert claimed(spool) == [a, b]
    spool.put_back("platform", [a, b], Event.NOT_SENT, now=NOW)
    spool.failed("platform", later(days=30), "gone", "network", now=NOW)
    assert send_out(FakePlatform(), spool, NOW) == 2


def test_a_state_from_a_newer_version_is_refused_and_left_alone(spool: Spool) -> None:
    fill(spool, ["a"])
    later = len(MIGRATIONS) + 1  # which no earlier version can work with: it did more than add
    spool._database.execute(f"PRAGMA user_version = {later}")
    spool._database.execute(f"PRAGMA application_id = {later}")
    spool.close()
    with pytest.raises(StateError, match="newer version"):
        Spool(spool.path).open()


def test_a_migration_happens_whole_or_not_at_all(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(spool, ["a"])
    spool.close()
    number = len(MIGRATIONS) + 1
    monkeypatch.setitem(MIGRATIONS, f"migration {number}", "CREATE TABLE fresh (x); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(apsw.SQLError):
        Spool(spool.path).open()
    monkeypatch.setitem(MIGRATIONS, f"migration {number}", "CREATE TABLE fresh (x);")
    with Spool(spool.path).open() as opened:
        assert opened.counts().documents == 1
        opened._database.execute("INSERT INTO fresh VALUES (1)")


def test_a_state_knows_its_machine_and_its_folder(spool: Spool, tmp_path: Path) -> None:
    spool.bind("machine-a")
    instance = spool.meta.instance
    spool = reopened(spool)
    spool.bind("machine-a")
    assert spool.meta.instance == instance
    with pytest.raises(StateError, match="on another machine"):
        spool.bind("machine-b")
    spool.close()
    shutil.copytree(spool.path, tmp_path / "copy")
    with (
        Spool(tmp_path / "copy").open() as copy,
        pytest.raises(StateError, match="in another folder of this machine"),
    ):
        copy.bind("machine-a")


def test_a_folder_that_was_only_renamed_is_still_ours(spool: Spool, tmp_path: Path) -> None:
    spool.bind("machine-a")
    spool.close()
    spool.path.rename(tmp_path / "renamed")
    with Spool(tmp_path / "renamed").open() as opened:
        opened.bind("machine-a")


def test_an_adopted_state_is_a_new_instance_and_trusts_none_of_its_versions(spool: Spool) -> None:
    spool.bind("machine-a")
    spool.meta.heads_known = True
    fill(spool, ["a"])
    named = set_id("330100-H1", "1", "C0007", "a")
    assert spool.unsure([named]) == []
    before = spool.meta.instance
    instance = spool.adopt("machine-b", "wang", NOW)
    assert instance != before
    spool.bind("machine-b")
    assert not spool.meta.heads_known
    assert spool.unsure([named]) == [named]
    assert spool.verify_log().ok
    assert instance in spool.log_newest(1)[0].body.decode()


def test_what_the_platform_taught_us_is_not_asked_again(spool: Spool) -> None:
    head = SeriesHead("C0007-X", 3, "hash-3", "C0007-X-3")
    assert spool.unsure(["C0007-X"]) == ["C0007-X"]
    spool.commit(taken(learned=[("x", head)]))
    assert spool.unsure(["C0007-X"]) == []
    assert spool.series(["C0007-X"])["C0007-X"].version == 3


# --- room -------------------------------------------------------------------------------------------------------------


def test_a_full_spool_stops_taking_in_and_resumes_alone(tmp_path: Path) -> None:
    platform = FakePlatform()

    def fill_up(spool: Spool) -> None:
        for number in range(1_000):
            made = [document(f"{number}-{n}", frame=os.urandom(20_000)) for n in range(10)]
            spool.commit(taken(*made, watermark=Watermark(str(number), "")))

    with Spool(tmp_path / "s", quota=5_000_000).open() as spool:
        with pytest.raises(SpoolFull, match="full"):
            fill_up(spool)
        kept = spool.counts().documents
        number = kept // 10
        assert spool.watermark("lab_report") == Watermark(str(number - 1), "")  # what was not kept was not passed over
        with pytest.raises(SpoolFull):
            spool.room()
        while send_out(platform, spool, NOW):
            pass
        assert spool.pending("platform") == 0
        assert spool.retire(DAY, later(hours=23)) == 0  # its term is not over
        assert spool.retire(DAY, later(hours=25)) == kept > 0
        spool.room()
        spool.commit(taken(document("again")))


def test_the_disk_keeps_its_reserve(tmp_path: Path) -> None:
    with Spool(tmp_path / "s", reserve=1 << 60).open() as spool, pytest.raises(SpoolFull, match="disk"):
        fill(spool, ["a"])


def test_a_disk_that_is_full_in_the_middle_of_a_commit_is_a_full_spool(spool: Spool) -> None:
    pages = spool._database._connection.pragma("page_count")
    spool._database.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(SpoolFull):
        fill(spool, [f"k{n}" for n in range(2_000)])
    assert spool.counts().documents == 0
    spool._database.execute("PRAGMA max_page_count = 1000000")
    fill(spool, ["a"])


# --- retention --------------------------------------------------------------------------------------------------------


def test_frames_go_after_their_term_and_receipts_stay(spool: Spool) -> None:
    big = document("big", frame=os.urandom(2 << 20))
    spool.commit(taken(document("a"), big, document("waits"), destinations=("platform", "city")))
    for destination in ("platform", "city"):
        claimed(spool, destination=destination)
    spool.settle("platform", stored(id_of("a"), big.document_id, id_of("waits"), spool=spool), now=NOW)
    assert spool.retire(DAY, later(days=2)) == 0  # the city has nothing yet
    spool.settle("city", stored(id_of("a"), big.document_id, spool=spool), now=later(days=2))
    assert spool.retire(DAY, later(days=2)) == 0
    assert spool.retire(DAY, later(days=3)) == 2
    assert list((spool.path / "bodies").iterdir()) == []
    trace = spool.trace(id_of("a"))
    assert trace
    assert not trace.kept
    assert [delivery.outcome for delivery in trace.deliveries] == ["stored", "stored"]
    assert spool.frame(id_of("a")) is None
    assert spool.frame(id_of("waits")) is not None
    assert spool.verify_log().ok


# --- quarantine -------------------------------------------------------------------------------------------------------


def test_a_held_record_waits_with_its_findings_and_its_record(spool: Spool) -> None:
    spool.commit(taken(held=[held("h")]))
    (case,) = spool.quarantine_list()
    assert (case.key, case.state, case.findings[0].rule) == ("h", "open", "TST001")
    assert spool.quarantine_show(case.id) == (case, {"patient.name": "x"})
    assert spool.counts().held == 1
    assert spool.quarantine_list(feed="another") == []


def test_a_newer_held_record_supersedes_the_older(spool: Spool) -> None:
    spool.commit(taken(held=[held("h", source_hash="1")]))
    spool.commit(taken(held=[held("h", source_hash="2")]))
    (case,) = spool.quarantine_list()
    assert case.source_hash == "2"
    assert spool.counts().held == 1
    assert spool.quarantine_show("Q1") is not None
    assert spool.quarantine_show("Q1")[1] == {}  # type: ignore[index]  # its record is gone with it


def test_discarding_is_remembered_for_this_content_only(spool: Spool) -> None:
    take_in(feed(), rows(("a", "bad 1")), None, spool, None, NOW)
    (case,) = spool.quarantine_list()
    assert spool.quarantine_discard([case.id], "wang", "test patient", NOW) == 1
    assert spool.quarantine_discard([case.id], "wang", "again", NOW) == 0
    assert (spool.counts().held, spool.quarantine_list()) == (0, [])
    take_in(feed(), rows(("a", "bad 1")), None, spool, None, NOW)
    assert spool.quarantine_list() == []
    take_in(feed(), rows(("a", "bad 2")), None, spool, None, NOW)
    assert len(spool.quarantine_list()) == 1


def test_a_refused_document_waits_for_a_person_who_can_send_it_again(spool: Spool) -> None:
    (a,) = fill(spool, "a")
    claimed(spool)
    spool.settle("platform", [Receipt(a, Outcome.REFUSED, "", ("no such hospital",))], now=NOW)
    (case,) = spool.quarantine_list()
    assert (case.document_id, case.destination, case.reasons) == (a, "platform", ("no such hospital",))
    assert spool.quarantine_show(case.id) == (case, {})
    assert spool.quarantine_release([case.id], "wang", NOW).keys == []
    assert claimed(spool) == [a]
    assert spool.quarantine_list() == []


def test_a_refused_document_may_be_discarded(spool: Spool) -> None:
    (a,) = fill(spool, "a")
    claimed(spool)
    spool.settle("platform", [Receipt(a, Outcome.REFUSED, "", ("no",))], now=NOW)
    assert spool.quarantine_discard([spool.quarantine_list()[0].id], "wang", "a test", NOW) == 1
    assert state(spool, a) == "discarded"
    assert claimed(spool) == []


@pytest.mark.parametrize("nonsense", ["", "Q", "Q9", "D1@platform", "D@", "Dx@y", "../../etc", "Q१"])
def test_cases_that_do_not_exist_are_told_apart_from_those_that_do(spool: Spool, nonsense: str) -> None:
    assert spool.quarantine_show(nonsense) is None
    assert spool.quarantine_release([nonsense], "wang", NOW).keys == []
    assert spool.quarantine_discard([nonsense], "wang", "", NOW) == 0


# --- looking things up ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unknown", ["", "x", "C0007-NOBODY-1", "C0007-NOBODY-x", "-1", "a-999999999999999999999"])
def test_what_is_unknown_is_not_found(spool: Spool, unknown: str) -> None:
    assert spool.trace(unknown) is None
    assert spool.frame(unknown) is None


def test_runs_are_remembered_newest_first(spool: Spool) -> None:
    for n in range(3):
        spool.record_run(Run("lab_report", later(minutes=n), later(minutes=n, seconds=1), {"documents": n}, ""))
    assert [run.counts["documents"] for run in spool.runs(2)] == [2, 1]


def test_counts_are_what_is_there(spool: Spool) -> None:
    ids = fill(spool, "abcd")
    claimed(spool, 2)
    spool.settle("platform", stored(ids[0], spool=spool), now=NOW)
    assert counted(spool) == {"ready": 2, "sending": 1, "delivered": 1}


def test_threads_take_turns(spool: Spool) -> None:
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for n in range(15):
                fill(spool, [f"{name}-{n}"])
                batch = claimed(spool, 5)
                spool.settle("platform", stored(*batch, spool=spool), now=NOW)
        except BaseException as error:  # noqa: BLE001  told to the test below
            problems.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert spool.counts().deliveries["platform"]["delivered"] + spool.pending("platform") == 45
    assert spool.verify_log().ok

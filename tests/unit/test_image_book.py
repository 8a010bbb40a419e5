"""The book of studies: what came is kept once, judged whole or not at all, sent, proven, and only then dropped."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.arrivals import InboxFull
from connectors.arrivals import Kept as Said
from connectors.instances import InstanceRefused
from frontend_agent.delivery import State
from frontend_agent.dicom.part10 import meta
from frontend_agent.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from frontend_agent.imaging.model import Expected, Order, Rewritten, Settled, Study, StudyState, Want
from frontend_agent.instance_files import Written
from frontend_agent.model import Finding, Severity
from tests.study_kit import CT, NOW, SETTLED, Kept, data_set

ONE, TWO = "1.2.3.1", "1.2.3.2"
LEASE = timedelta(minutes=5)
BIG = 1 << 40


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Kept(tmp_path) as kept:
        yield kept


def study(kept: Kept, uid: str = ONE) -> Study:
    found = kept.book.study_of(uid)
    assert found is not None
    return found


def claim(kept: Kept, destination: str = "region", limit: int = 100, **said: object) -> list[int]:
    delivery = kept.book.claim(destination, kept.clock(), limit=limit, max_bytes=BIG, lease=LEASE, **said)  # type: ignore[arg-type]
    return [one.id for one in delivery.instances] if delivery else []


def settle(kept: Kept, instances: list[int], state: State, destination: str = "region", **said: object) -> int:
    return kept.book.settle(destination, [Settled(one, state, **said) for one in instances], kept.clock())  # type: ignore[arg-type]


def passed(kept: Kept, slices: int = 3, *destinations: str) -> Study:
    """A study that came and passed."""
    for number in range(1, slices + 1):
        kept.send(ONE, number)
    kept.clock.now += SETTLED
    (found,) = kept.book.due(kept.clock())
    assert kept.checked(found, *(destinations or ("region",)))
    return study(kept)


def files(kept: Kept) -> list[Path]:
    return sorted(kept.book.files.root.rglob("*.dcm"))


# --- what comes -------------------------------------------------------------------------------------------------------


def test_an_instance_lies_on_disk_as_it_came_when_it_is_acknowledged(kept: Kept) -> None:
    said = kept.send(ONE, 1)

    assert said.kept is Said.KEPT
    (file,) = files(kept)
    assert file.name == f"{said.sha256}.dcm"
    body = data_set(ONE, 1)
    assert file.read_bytes() == meta(CT, f"{ONE}.1.1", EXPLICIT_LE) + body
    (one,) = kept.book.instances(study(kept).id)
    assert one.header.patient_name == "测试"
    assert (one.sender, one.size, one.sent_sha256) == ("PACS@127.0.0.1", file.stat().st_size, said.sha256)
    assert kept.book.path(one) == file


def test_the_same_again_has_no_second_effect(kept: Kept) -> None:
    kept.send(ONE, 1)
    assert kept.send(ONE, 1).kept is Said.DUPLICATE
    assert (study(kept).instances, len(files(kept))) == (1, 1)


def test_other_bytes_under_the_same_uid_are_kept_for_a_person_and_never_sent(kept: Kept) -> None:
    kept.send(ONE, 1)
    assert kept.send(ONE, 1, name="别人").kept is Said.CONFLICT
    assert kept.send(ONE, 1, name="别人").kept is Said.CONFLICT, "again: the same answer, and no third file"
    found = study(kept)
    assert (found.instances, len(files(kept))) == (1, 2)
    assert [one.is_conflict for one in kept.book.instances(found.id)] == [False, True]

    assert kept.checked(found, "region")
    assert len(claim(kept)) == 1


def test_what_came_twice_in_one_commit_is_one(kept: Kept) -> None:
    writers = [kept.desk.begin("pacs", CT, f"{ONE}.1.1", EXPLICIT_LE, sender="A@1") for _ in range(4)]
    for writer in writers:
        writer.write(data_set(ONE, 1))
    answers = [writer.keep() for writer in writers]
    assert sorted(future.result(10).kept for future in answers) == [*[Said.DUPLICATE] * 3, Said.KEPT]
    assert study(kept).instances == 1


def test_a_data_set_that_is_not_what_was_said_of_it_is_refused_with_all_reasons(kept: Kept) -> None:
    writer = kept.desk.begin("pacs", f"{CT}.9", f"{ONE}.1.2", EXPLICIT_LE, sender="A@1")
    writer.write(data_set(ONE, 1))
    with pytest.raises(InstanceRefused) as refused:
        writer.keep().result(10)
    assert len(refused.value.reasons) == 2
    assert not list(kept.book.files.incoming_folder.iterdir())


@pytest.mark.parametrize("cut", [0, 7, 100, -10])
def test_a_data_set_that_is_cut_off_is_refused_and_leaves_nothing(kept: Kept, cut: int) -> None:
    writer = kept.desk.begin("pacs", CT, f"{ONE}.1.1", EXPLICIT_LE, sender="A@1")
    writer.write(data_set(ONE, 1)[:cut])
    with pytest.raises(InstanceRefused):
        writer.keep().result(10)
    assert not list(kept.book.files.incoming_folder.iterdir())
    assert kept.book.study_of(ONE) is None


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2\0.3", "1.2/3", "", "1" * 65, "1..2"])
def test_what_is_no_uid_never_becomes_a_name(kept: Kept, uid: str) -> None:
    with pytest.raises(InstanceRefused):
        kept.desk.begin("pacs", CT, uid, EXPLICIT_LE, sender="A@1")


def test_a_larger_instance_than_its_inlet_takes_is_refused_while_it_comes(kept: Kept) -> None:
    writer = kept.desk.begin("pacs", CT, f"{ONE}.1.1", EXPLICIT_LE, sender="A@1", largest=1000)
    writer.write(b"x" * 1000)
    with pytest.raises(InstanceRefused, match="larger than"):
        writer.write(b"x")
    assert not list(kept.book.files.incoming_folder.iterdir())


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("head", ["part 10", "without preamble", "bare"])
def test_a_file_becomes_the_same_instance_as_its_data_set_over_an_association(
    kept: Kept, head: str, chunk: int
) -> None:
    over_association = kept.send(ONE, 1)
    body = data_set(ONE, 1)
    foreign = b"MZ" + bytes(126) + b"DICM" + meta(CT, f"{ONE}.1.1", EXPLICIT_LE)[132:]  # threat D7: their preamble goes
    whole = {"part 10": foreign + body, "without preamble": foreign[128:] + body, "bare": body}[head]
    writer = kept.desk.begin_file("folder", sender="a.dcm")
    for at in range(0, len(whole), chunk):
        writer.write(whole[at : at + chunk])
    said = writer.keep().result(10)
    assert (said.kept, said.sha256) == (Said.DUPLICATE, over_association.sha256)


def test_what_is_no_dicom_is_refused(kept: Kept) -> None:
    for body in (b"", b"%PDF-1.4 not DICOM", bytes(4096), b"\xff\xd8\xff\xe0" * 100):
        writer = kept.desk.begin_file("folder", sender="a.pdf")
        writer.write(body)
        with pytest.raises(InstanceRefused):
            writer.keep().result(10)


def fill(kept: Kept) -> None:
    """Send until nothing more is taken."""
    try:
        for number in range(1, 100):
            kept.send(ONE, number, size=1 << 20)
    except InboxFull as full:
        assert "quota" in str(full)  # noqa: PT017
        return
    raise AssertionError("it was never full")


# --- room -------------------------------------------------------------------------------------------------------------


def test_the_disk_never_holds_more_than_the_quota_and_arrivals_leave_room_for_their_change(tmp_path: Path) -> None:
    quota = 40 << 20
    with Kept(tmp_path, quota=quota) as kept:
        fill(kept)
        assert 10 << 20 < kept.book.used() < quota / 2
        assert not list(kept.book.files.incoming_folder.iterdir())
        assert kept.checked(study(kept), "region"), "what is here is judged and goes, however full it is"


def test_what_does_not_fit_is_refused_while_it_is_written_and_gives_its_room_back(tmp_path: Path) -> None:
    with Kept(tmp_path, quota=16 << 20, may_change=False) as kept:
        writer = kept.desk.begin("pacs", CT, f"{ONE}.1.1", EXPLICIT_LE, sender="A@1")
        for _ in range(15):
            writer.write(bytes(1 << 20))
        with pytest.raises(InboxFull):
            writer.write(bytes(1 << 20))
        writer.abort()
        assert kept.send(ONE, 1).kept is Said.KEPT
        kept.desk.stop()
        assert kept.book.room.reserved == 0


# --- looking ----------------------------------------------------------------------------------------------------------


def test_a_study_is_due_once_nothing_came_for_as_long_as_it_settles(kept: Kept) -> None:
    kept.send(ONE, 1)
    kept.clock.now += timedelta(minutes=1)
    kept.send(ONE, 2)
    assert not kept.book.due(kept.clock() + timedelta(minutes=1))
    (due,) = kept.book.due(kept.clock() + timedelta(minutes=2))
    assert (due.study_instance_uid, due.state, due.instances, due.series) == (ONE, StudyState.COLLECTING, 2, 1)


def test_what_was_seen_is_overtaken_by_what_came_meanwhile(kept: Kept) -> None:
    kept.send(ONE, 1)
    seen = kept.book.instances(study(kept).id)[-1].id
    kept.send(ONE, 2)
    file = kept.book.begin()
    file.write(b"changed")
    written = file.finish()
    anew = [Rewritten(seen, written.token, written.sha256, written.size)]
    assert not kept.checked(study(kept), "region", seen=seen, rewritten=anew)
    assert not list(kept.book.files.incoming_folder.iterdir())
    assert not claim(kept)


def test_a_study_that_waits_is_looked_at_again_then(kept: Kept) -> None:
    kept.send(ONE, 1)
    kept.clock.now += SETTLED
    later = kept.clock() + timedelta(hours=1)
    kept.book.expect(ONE, Expected(by="pacs", series={f"{ONE}.1": 2}, instances=2), kept.clock())
    assert kept.checked(study(kept), "region", wait_until=later)
    assert (study(kept).state, study(kept).due_at) == (StudyState.COLLECTING, later)
    assert study(kept).expected == Expected(by="pacs", series={f"{ONE}.1": 2}, instances=2)
    kept.send(ONE, 2)
    assert study(kept).due_at == kept.clock() + timedelta(minutes=2)


FINDING = Finding("IMG-SEX", Severity.HOLD, field="patient_sex")


def test_a_held_study_goes_nowhere_until_a_person_lets_it(kept: Kept) -> None:
    kept.send(ONE, 1)
    assert kept.checked(study(kept), "region", held=True, findings=(FINDING,))
    held = study(kept)
    assert (held.state, held.findings, claim(kept)) == (StudyState.HELD, (FINDING,), [])
    assert not kept.book.due(kept.clock() + timedelta(days=9))

    assert kept.book.release(held.id, "王工", kept.clock())
    (again,) = kept.book.due(kept.clock())
    assert again.let_go == ("IMG-SEX patient_sex",)
    assert kept.checked(again, "region", held=True, findings=(FINDING,)), "what was let go holds it no more"
    assert len(claim(kept)) == 1
    assert "released by 王工" in study(kept).note


def test_another_finding_holds_what_was_let_go_for_one(kept: Kept) -> None:
    kept.send(ONE, 1)
    assert kept.checked(study(kept), "region", held=True, findings=(FINDING,))
    assert kept.book.release(study(kept).id, "王工", kept.clock())
    other = Finding("IMG-DATE", Severity.HOLD)
    assert kept.checked(study(kept), "region", held=True, findings=(FINDING, other))
    assert study(kept).state is StudyState.HELD


def test_what_is_held_later_stops_what_has_not_gone_yet(kept: Kept) -> None:
    found = passed(kept, 3)
    first = claim(kept, limit=1)
    kept.send(ONE, 4)
    assert kept.checked(found, "region", held=True, findings=(FINDING,))
    assert settle(kept, first, State.ACCEPTED) == 1
    assert not claim(kept)
    assert kept.book.release(found.id, "王工", kept.clock())
    assert kept.checked(found, "region", held=True, findings=(FINDING,))
    assert len(claim(kept)) == 3


def test_a_changed_instance_is_sent_as_it_was_changed_and_kept_as_it_came(kept: Kept) -> None:
    kept.send(ONE, 1)
    (one,) = kept.book.instances(study(kept).id)
    file = kept.book.begin()
    file.write(b"changed")
    written = file.finish()
    assert kept.checked(
        study(kept), "region", rewritten=[Rewritten(one.id, written.token, written.sha256, written.size)]
    )
    (one,) = kept.book.instances(study(kept).id)
    sent, came = kept.book.path(one), kept.book.path(one, as_it_came=True)
    assert sent is not None
    assert came is not None
    assert (sent.read_bytes(), one.sent_size, sent != came) == (b"changed", 7, True)
    assert kept.book.used() == one.size + 7


def test_what_a_destination_may_have_never_becomes_other_bytes(kept: Kept) -> None:
    found = passed(kept, 2)
    gone, still = claim(kept, limit=1)[0], kept.book.instances(found.id)[1].id
    assert settle(kept, [gone], State.ACCEPTED) == 1
    assert kept.book.look_again(found.id, kept.clock())
    anew = []
    for number in (gone, still):
        file = kept.book.begin()
        file.write(b"changed %d" % number)
        written: Written = file.finish()
        anew.append(Rewritten(number, written.token, written.sha256, written.size))
    assert kept.checked(study(kept), "region", rewritten=anew)
    changed = {one.id: one.sent_sha256 != one.sha256 for one in kept.book.instances(found.id)}
    assert changed == {gone: False, still: True}
    assert not list(kept.book.files.incoming_folder.iterdir())


def test_new_words_of_ris_make_a_study_be_looked_at_again(kept: Kept) -> None:
    found = passed(kept, 1)
    assert found.state is StudyState.SENDING
    order = Order(key="E1", accession_number="A1", patient_id="P1")
    assert kept.book.put_orders([order], kept.clock()) == 1
    assert kept.book.put_orders([order], kept.clock()) == 0
    assert kept.book.find_order(accession_number="A1") == [order] == kept.book.find_order(key="E1")
    (again,) = kept.book.due(kept.clock())
    assert again.id == found.id


# --- sending ----------------------------------------------------------------------------------------------------------


def test_a_study_is_done_when_every_destination_has_proven_all_of_it(kept: Kept) -> None:
    passed(kept, 3, "region", "cloud")
    mine, theirs = claim(kept), claim(kept, "cloud")
    assert len(mine) == len(theirs) == 3
    assert settle(kept, mine, State.ACCEPTED) == 3
    assert settle(kept, mine, State.DELIVERED, proof="commitment 1.2") == 3
    assert study(kept).state is StudyState.SENDING
    assert settle(kept, theirs, State.DELIVERED, "cloud", proof="qido") == 3
    assert study(kept).state is StudyState.DONE
    assert kept.book.tallies()["studies"] == {"collecting": 0, "sending": 0, "done": 1}
    assert kept.book.tallies()["region"]["delivered"] == 3


def test_busy_studies_are_left_out_and_who_waits_goes_first(kept: Kept) -> None:
    for uid in (ONE, TWO, "1.2.3.3"):
        kept.send(uid, 1)
        assert kept.checked(study(kept, uid), "region")
    assert kept.book.want([Want(study_instance_uid=TWO, why="asked by 王工", since=NOW)]) == 1, (
        "nobody knows whether it is whole"
    )
    first = kept.book.claim("region", kept.clock(), limit=9, max_bytes=BIG, lease=LEASE)
    assert first is not None
    assert first.study.study_instance_uid == TWO
    second = kept.book.claim("region", kept.clock(), limit=9, max_bytes=BIG, lease=LEASE, busy=[study(kept, ONE).id])
    assert second is not None
    assert second.study.study_instance_uid == "1.2.3.3"


def test_a_claim_is_bounded_in_instances_and_bytes(kept: Kept) -> None:
    passed(kept, 5)
    assert len(claim(kept, limit=2)) == 2
    one = kept.book.claim("region", kept.clock(), limit=9, max_bytes=1, lease=LEASE)
    assert one is not None
    assert len(one.instances) == 1


def test_a_lapsed_lease_and_a_missing_answer_are_sent_again(kept: Kept) -> None:
    passed(kept, 2)
    first = claim(kept, limit=1)
    second = claim(kept, limit=1)
    settle(kept, second, State.UNCERTAIN)
    assert not claim(kept)
    kept.clock.now += timedelta(hours=1)
    assert claim(kept) == [*first, *second]


def test_what_was_not_sent_was_no_attempt(kept: Kept) -> None:
    passed(kept, 1)
    settle(kept, claim(kept), State.READY)
    delivery = kept.book.claim("region", kept.clock(), limit=9, max_bytes=BIG, lease=LEASE)
    assert delivery is not None
    assert delivery.attempts == 1


def test_what_was_accepted_is_asked_for_first_soon_then_now_and_then_and_no_more_in_the_end(kept: Kept) -> None:
    found = passed(kept, 3)
    settle(kept, claim(kept), State.ACCEPTED)
    ask = {"first": timedelta(seconds=30), "every": timedelta(minutes=5), "until": timedelta(days=1)}
    assert kept.book.claim_unproven("region", kept.clock(), **ask) is None
    kept.clock.now += timedelta(seconds=31)
    unproven = kept.book.claim_unproven("region", kept.clock(), **ask)
    assert unproven is not None
    assert unproven.unproven
    assert len(unproven.instances) == 3
    assert kept.book.claim_unproven("region", kept.clock(), **ask) is None
    kept.clock.now += timedelta(minutes=5)
    assert kept.book.claim_unproven("region", kept.clock(), **ask) is not None
    kept.clock.now += timedelta(days=2)
    assert kept.book.claim_unproven("region", kept.clock(), **ask) is None
    assert kept.book.unproven("region") == 3
    assert study(kept).id == found.id
    assert study(kept).state is StudyState.SENDING


def test_what_a_destination_has_lost_goes_again(kept: Kept) -> None:
    passed(kept, 1)
    sent = claim(kept)
    settle(kept, sent, State.DELIVERED, proof="qido")
    assert study(kept).state is StudyState.DONE
    settle(kept, sent, State.READY)
    assert study(kept).state is StudyState.SENDING
    kept.clock.now += timedelta(hours=1)
    assert claim(kept) == sent


def test_a_refused_instance_waits_for_a_person_and_holds_back_no_other(kept: Kept) -> None:
    found = passed(kept, 2)
    bad, good = claim(kept)
    settle(kept, [bad], State.REFUSED, reasons=("0xA900 Data Set does not match SOP Class",))
    settle(kept, [good], State.DELIVERED)
    assert kept.book.stuck() == [(found.id, "region", 1)]
    assert kept.book.reasons(found.id)[0][2:] == ("refused", ["0xA900 Data Set does not match SOP Class"])
    assert study(kept).state is StudyState.SENDING
    assert kept.book.send_again(found.id, ["region"], "王工", kept.clock()) == 2
    assert len(claim(kept)) == 2


def test_a_manifest_waits_until_its_images_are_there(tmp_path: Path) -> None:
    with Kept(tmp_path, after={"manifest": "region"}) as kept:
        passed(kept, 2, "region", "manifest")
        assert not claim(kept, "manifest")
        sent = claim(kept)
        settle(kept, sent, State.ACCEPTED)
        assert not claim(kept, "manifest")  # a yes proves nothing
        settle(kept, sent[:1], State.DELIVERED)
        assert not claim(kept, "manifest")
        settle(kept, sent[1:], State.DELIVERED)
        assert len(claim(kept, "manifest")) == 2


def test_a_manifest_goes_by_the_yes_of_who_never_proves_anything(tmp_path: Path) -> None:
    with Kept(tmp_path, after={"manifest": "region"}, never_prove=frozenset({"region"})) as kept:
        passed(kept, 2, "region", "manifest")
        settle(kept, claim(kept), State.ACCEPTED)
        assert len(claim(kept, "manifest")) == 2


def test_a_manifest_goes_on_when_a_person_decides_about_what_was_not_taken(tmp_path: Path) -> None:
    with Kept(tmp_path, after={"manifest": "region"}) as kept:
        found = passed(kept, 2, "region", "manifest")
        bad, good = claim(kept)
        settle(kept, [bad], State.REFUSED, reasons=("no",))
        settle(kept, [good], State.DELIVERED)
        assert not claim(kept, "manifest")
        assert kept.book.discard_stuck(found.id, "region", "li", "not needed", kept.clock()) == 1
        assert len(claim(kept, "manifest")) == 2


def test_a_manifest_waits_again_when_all_is_sent_again(tmp_path: Path) -> None:
    with Kept(tmp_path, after={"manifest": "region"}) as kept:
        found = passed(kept, 2, "region", "manifest")
        settle(kept, claim(kept), State.DELIVERED)
        settle(kept, claim(kept, "manifest"), State.ACCEPTED, "manifest")
        assert kept.book.send_again(found.id, ["manifest", "region"], "li", kept.clock()) == 4
        assert not claim(kept, "manifest")
        settle(kept, claim(kept), State.DELIVERED)
        assert len(claim(kept, "manifest")) == 2


def test_a_late_slice_goes_alone(kept: Kept) -> None:
    passed(kept, 2)
    settle(kept, claim(kept), State.DELIVERED)
    kept.send(ONE, 3)
    assert study(kept).state is StudyState.COLLECTING
    assert kept.checked(study(kept), "region")
    assert len(claim(kept)) == 1


def test_a_lost_file_waits_for_a_person_and_the_others_go(kept: Kept) -> None:
    found = passed(kept, 2)
    path = kept.book.path(kept.book.instances(found.id)[0])
    assert path is not None
    path.unlink()
    assert len(claim(kept)) == 1
    assert kept.book.tallies()["region"]["damaged"] == 1


# --- the end of it ----------------------------------------------------------------------------------------------------


def retire(kept: Kept, days: int) -> int:
    return kept.book.retire(timedelta(days=7), timedelta(days=400), kept.clock() + timedelta(days=days))


def test_files_go_only_after_their_term_and_what_was_known_stays(kept: Kept) -> None:
    found = passed(kept, 2)
    assert retire(kept, 100) == 0, "nothing is proven"
    settle(kept, claim(kept), State.DELIVERED)
    assert retire(kept, 6) == 0
    assert retire(kept, 8) == 1
    assert (files(kept), kept.book.used()) == ([], 0)
    assert not study(kept).has_files
    assert kept.book.counts(ONE) == {f"{ONE}.1": 2}
    assert retire(kept, 500) == 0
    assert kept.book.study(found.id) is None
    assert kept.book.tallies()["studies"]["done"] == 0


def test_what_was_retired_can_be_fetched_and_sent_again(kept: Kept) -> None:
    found = passed(kept, 2)
    settle(kept, claim(kept), State.DELIVERED)
    retire(kept, 8)
    assert kept.book.send_again(found.id, ["region"], "platform", kept.clock()) == 2
    assert not claim(kept), "nothing of it is here"
    assert kept.book.want([Want(study_instance_uid=ONE, why="platform region", since=NOW)]) == 1
    assert [kept.send(ONE, number).kept for number in (1, 2)] == [Said.KEPT, Said.KEPT]
    assert kept.send(ONE, 1).kept is Said.DUPLICATE
    assert kept.checked(study(kept), "region")
    settle(kept, claim(kept), State.DELIVERED)
    assert (study(kept).state, study(kept).instances) == (StudyState.DONE, 2)


def test_what_is_accepted_and_never_proven_has_its_own_term(tmp_path: Path) -> None:
    with Kept(tmp_path, kept_unproven={"region": timedelta(days=90)}) as kept:
        passed(kept, 2)
        settle(kept, claim(kept), State.ACCEPTED)
        assert retire(kept, 89) == 0
        assert retire(kept, 91) == 0
        assert study(kept).state is StudyState.DONE
        assert "never proved" in study(kept).note
        assert retire(kept, 91 + 8) == 1


def test_a_discarded_study_is_not_sent_and_can_be_taken_back_within_its_term(kept: Kept) -> None:
    found = passed(kept, 2)
    assert kept.book.discard(found.id, "王工", "a phantom", kept.clock())
    assert not claim(kept)
    assert kept.book.waiting("region") == 0
    assert kept.book.look_again(found.id, kept.clock())
    assert study(kept).state is StudyState.COLLECTING
    assert kept.book.discard(found.id, "王工", "a phantom", kept.clock())
    assert retire(kept, 8) == 1
    assert not kept.book.look_again(found.id, kept.clock())


# --- what is wanted ---------------------------------------------------------------------------------------------------


def test_wants_go_by_urgency_and_are_taken_once(kept: Kept) -> None:
    wants = [
        Want(study_instance_uid=ONE, why="backfill 1", urgency=2, since=NOW),
        Want(accession_number="A7", why="order E7", urgency=1, since=NOW),
        Want(inlet="other", study_instance_uid=TWO, why="poll", urgency=0, since=NOW),
    ]
    assert kept.book.want(wants) == 3
    assert kept.book.want(wants) == 0
    first = kept.book.next_want("pacs", NOW, LEASE)
    assert first is not None
    assert first.accession_number == "A7"
    second = kept.book.next_want("pacs", NOW, LEASE)
    assert second is not None
    assert second.study_instance_uid == ONE
    assert kept.book.next_want("pacs", NOW, LEASE) is None
    kept.book.want_done(first.id, NOW)
    kept.book.want_done(second.id, NOW, "not there", retry_at=NOW + timedelta(minutes=1))
    again = kept.book.next_want("pacs", NOW + timedelta(minutes=2), LEASE)
    assert again is not None
    assert (again.id, again.attempts, again.problem) == (second.id, 2, "not there")
    kept.book.want_done(again.id, NOW, "no such study")
    assert kept.book.want(wants[:2]) == 0, "it was asked for; only a person asks once more"
    assert kept.book.want([Want(study_instance_uid=ONE, why="asked by 王工", since=NOW)]) == 1


def test_what_is_whole_is_asked_for_again_only_where_somebody_waits_for_it(kept: Kept) -> None:
    kept.send(ONE, 1)
    kept.book.expect(ONE, Expected("pacs", {}, 1), NOW)
    for why, urgency in (("poll", 1), ("order 7", 1), ("backfill 1", 2)):
        assert kept.book.want([Want(study_instance_uid=ONE, why=why, urgency=urgency, since=NOW)]) == 0
    for why in ("asked by 王工", "platform region"):
        assert kept.book.want([Want(study_instance_uid=ONE, why=why, since=NOW)]) == 1
        wanted = kept.book.next_want("pacs", NOW, LEASE)
        assert wanted is not None
        assert wanted.why == why
        kept.book.want_done(wanted.id, NOW)
    grown = Expected("pacs", {}, 2)  # and by itself where the PACS is known to have more
    assert kept.book.want([Want(study_instance_uid=ONE, why="poll", urgency=1, since=NOW, expected=grown)]) == 1


def test_a_study_takes_the_urgency_of_who_wants_it(kept: Kept) -> None:
    kept.book.want([Want(study_instance_uid=ONE, why="backfill 1", urgency=2, since=NOW)])
    kept.send(ONE, 1)
    assert study(kept).urgency == 2


def test_marks_outlive_a_restart(tmp_path: Path) -> None:
    with Kept(tmp_path) as kept:
        assert kept.book.mark("poll pacs") == ""
        kept.book.put_mark("poll pacs", "20260305")
    with Kept(tmp_path) as kept:
        assert kept.book.mark("poll pacs") == "20260305"


# --- after any ending -------------------------------------------------------------------------------------------------


def test_a_start_sweeps_what_no_row_knows_and_keeps_what_one_does(tmp_path: Path) -> None:
    with Kept(tmp_path) as kept:
        kept.send(ONE, 1)
        known = files(kept)[0]
        (known.parent / f"{'ab' * 32}.dcm").write_bytes(b"placed, and never committed")
        elsewhere = kept.book.files.path(TWO, "cd" * 32)
        elsewhere.parent.mkdir(parents=True)
        elsewhere.write_bytes(b"of a study without rows")
        (kept.book.files.incoming_folder / "half").write_bytes(b"was being written")
    with Kept(tmp_path) as kept:
        assert files(kept) == [known]
        assert not elsewhere.parent.exists()
        assert not list(kept.book.files.incoming_folder.iterdir())
        assert kept.book.used() == known.stat().st_size


def test_what_was_being_sent_when_we_died_is_sent_again(tmp_path: Path) -> None:
    with Kept(tmp_path) as kept:
        passed(kept, 2)
        sent = claim(kept)
    with Kept(tmp_path) as kept:
        assert kept.book.tallies()["region"] == {"ready": 0, "sending": 0, "uncertain": 2}
        assert claim(kept) == sent


def test_the_log_says_what_was_judged_and_what_became_of_it_without_a_value(kept: Kept) -> None:
    passed(kept, 2)
    settle(kept, claim(kept), State.DELIVERED, proof="commitment 1.2")
    said = b"".join(entry.body for entry in kept.spool.log_newest())
    assert b"study judged" in said
    assert b"instances settled" in said
    assert ONE.encode() in said
    assert "测试".encode() not in said
    assert b"P1" not in said
    assert kept.spool.verify_log().first_bad == 0


def test_a_bare_data_set_in_implicit_vr_is_told_by_its_first_element(kept: Kept) -> None:
    from io import BytesIO

    from pydicom import dcmread
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    one = dcmread(BytesIO(meta(CT, f"{ONE}.1.1", EXPLICIT_LE) + data_set(ONE, 1)))
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, True
    write_dataset(out, one)
    writer = kept.desk.begin_file("folder", sender="bare")
    writer.write(out.getvalue())
    assert writer.keep().result(10).header.transfer_syntax_uid == IMPLICIT_LE

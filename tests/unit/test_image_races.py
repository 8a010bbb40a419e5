"""What meets in the book of studies: arrivals, looks, senders and retirement, and a disk that loses or refuses something."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.arrivals import InboxFull
from connectors.arrivals import Kept as Said
from connectors.instances import KeptInstance
from frontend_agent.delivery import State
from frontend_agent.dicom.uids import EXPLICIT_LE
from frontend_agent.imaging.model import Order, Rewritten, StudyState, Want
from tests.study_kit import CT, NOW, SETTLED, Kept, data_set
from tests.unit.test_image_book import FINDING, ONE, claim, files, passed, retire, settle, study


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Kept(tmp_path) as kept:
        yield kept


def arriving(kept: Kept, number: int) -> "Future[KeptInstance]":
    """An instance that is handed over while something else goes on."""
    writer = kept.desk.begin("pacs", CT, f"{ONE}.1.{number}", EXPLICIT_LE, sender="PACS@127.0.0.1")
    writer.write(data_set(ONE, number))
    return writer.keep()


def after(kept: Kept, monkeypatch: pytest.MonkeyPatch, query: str, then: Any) -> None:
    """Something happens as soon as this query was answered the first time."""
    rows, done = kept.book._database.rows, []

    def rows_and(name: str, **values: Any) -> list[tuple[Any, ...]]:
        found = rows(name, **values)
        if name == query and not done:
            done.append(then())
        return found

    monkeypatch.setattr(kept.book._database, "rows", rows_and)


def test_an_instance_that_comes_while_its_study_is_retired_is_not_lost(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed(kept, 2)
    settle(kept, claim(kept), State.DELIVERED)
    kept.clock.now += timedelta(days=8)
    came: list[Future[KeptInstance]] = []

    def comes() -> None:
        came.append(arriving(kept, 3))
        with suppress(TimeoutError):
            came[0].result(0.5)

    after(kept, monkeypatch, "image.over", comes)
    kept.book.retire(timedelta(days=7), timedelta(days=400), kept.clock())
    assert came[0].result(10).kept is Said.KEPT
    late = next(one for one in kept.book.instances(study(kept).id) if one.header.instance_number == "3")
    assert kept.book.path(late) is not None, "it was acknowledged"
    assert study(kept).state is StudyState.COLLECTING


def test_what_our_disk_lost_is_kept_again_when_it_comes_again_and_goes(kept: Kept) -> None:
    found = passed(kept, 2)
    path = kept.book.path(kept.book.instances(found.id)[0])
    assert path is not None
    path.unlink()
    assert len(claim(kept)) == 1
    used = kept.book.used()
    assert kept.book.want([Want(study_instance_uid=ONE, why="asked by 王工", urgency=0, since=NOW)]) == 1
    assert kept.send(ONE, 1).kept is Said.KEPT
    assert path.exists(), "it was acknowledged"
    assert kept.book.used() == used
    assert kept.checked(study(kept), "region")
    assert len(claim(kept)) == 1
    assert kept.book.tallies()["region"]["damaged"] == 0


def test_an_order_that_comes_while_its_study_is_looked_at_is_not_overlooked(kept: Kept) -> None:
    kept.send(ONE, 1)
    kept.clock.now += SETTLED
    (looked_at,) = kept.book.due(kept.clock())
    kept.book.put_orders([Order(key="E1", accession_number="A1", patient_id="P1")], kept.clock())
    held: dict[str, Any] = {"held": True, "findings": (FINDING,)}
    assert not kept.checked(looked_at, "region", due_at=looked_at.due_at, **held), "it was judged without its order"
    (again,) = kept.book.due(kept.clock())
    assert kept.checked(again, "region", due_at=again.due_at)
    assert study(kept).state is StudyState.SENDING


def test_what_was_under_way_when_its_study_was_held_does_not_go_again(kept: Kept) -> None:
    found = passed(kept, 3)
    under_way = claim(kept)
    kept.send(ONE, 4)
    assert kept.checked(found, "region", held=True, findings=(FINDING,))
    settle(kept, under_way[:1], State.WAITING)
    settle(kept, under_way[1:2], State.UNCERTAIN)
    settle(kept, under_way[2:], State.READY)
    kept.clock.now += timedelta(hours=2)
    assert not claim(kept)
    assert kept.book.release(found.id, "王工", kept.clock())
    assert kept.checked(found, "region", held=True, findings=(FINDING,))
    assert len(claim(kept)) == 4


def changed(kept: Kept, number: int, text: bytes) -> Rewritten:
    file = kept.book.begin()
    file.write(text)
    written = file.finish()
    return Rewritten(number, written.token, written.sha256, written.size)


@pytest.mark.parametrize("how", ["uncertain", "sent again"])
def test_what_may_have_arrived_keeps_its_bytes_also_while_it_waits_to_go_again(kept: Kept, how: str) -> None:
    found = passed(kept, 2)
    first = claim(kept, limit=1)
    if how == "uncertain":
        settle(kept, first, State.UNCERTAIN)
        kept.clock.now += timedelta(hours=1)
        second = claim(kept, limit=1)  # the first is ready again by now
        settle(kept, second, State.READY)
    else:
        settle(kept, first, State.DELIVERED)
        assert kept.book.send_again(found.id, ["region"], "王工", kept.clock()) == 1
    before = {one.id: one.sent_sha256 for one in kept.book.instances(found.id)}
    assert kept.book.look_again(found.id, kept.clock())
    anew = [changed(kept, one, b"changed %d" % one) for one in before]
    assert kept.checked(study(kept), "region", rewritten=anew)
    now = {one.id: one.sent_sha256 for one in kept.book.instances(found.id)}
    assert now[first[0]] == before[first[0]], "the destination may have it"
    assert [one.left for one in kept.book.instances(found.id)] == [one == first[0] for one in now]


def test_what_comes_again_after_its_term_is_received_when_it_was(kept: Kept) -> None:
    """OriginalAttributesSequence says when: another time would be other bytes under the same UID, refused everywhere (law 6)."""
    found = passed(kept, 1)
    settle(kept, claim(kept), State.DELIVERED)
    (before,) = kept.book.instances(found.id)
    retire(kept, 8)
    (gone,) = kept.book.instances(found.id)
    kept.clock.now += timedelta(days=30)
    kept.send(ONE, 1)
    (again,) = kept.book.instances(found.id)
    assert (before.has_file, gone.has_file, again.has_file) == (True, False, True)
    assert again.received_at == before.received_at


def test_only_what_was_accepted_long_ago_ends_unproven(tmp_path: Path) -> None:
    with Kept(tmp_path, kept_unproven={"region": timedelta(days=90)}) as kept:
        passed(kept, 2)
        settle(kept, claim(kept), State.ACCEPTED)
        kept.clock.now += timedelta(days=91)
        kept.send(ONE, 3)
        assert kept.checked(study(kept), "region")
        late = claim(kept)
        settle(kept, late, State.ACCEPTED)
        retire(kept, 0)
        assert kept.book.tallies()["region"] == {"accepted": 1, "discarded": 2, "ready": 0, "sending": 0}
        assert study(kept).state is StudyState.SENDING
        settle(kept, late, State.DELIVERED, proof="commitment 1.2")
        assert study(kept).state is StudyState.DONE


def test_one_instance_that_cannot_be_committed_does_not_keep_out_the_others(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours with one of a group: the others are kept, and its sender is asked to come again."""
    add, groups = kept.book._add, []

    def breaks(parcels: Any, verdicts: Any) -> None:
        add(parcels, verdicts)
        groups.append(len(parcels))
        if any(one.header.instance_number == "2" for one in parcels):
            raise RuntimeError("a fault")

    monkeypatch.setattr(kept.book, "_add", breaks)
    with kept.book._placing:  # they gather while the desk waits
        first = arriving(kept, 9)
        three = [arriving(kept, number) for number in (1, 2, 3)]
    assert first.result(10).kept is Said.KEPT
    assert [three[0].result(10).kept, three[2].result(10).kept] == [Said.KEPT, Said.KEPT]
    with pytest.raises(InboxFull):
        three[1].result(10)
    assert max(groups) == 3, "they were one group"
    assert len(files(kept)) == 3
    assert kept.book.room.reserved == 0

"""Studies from an agent's sender to our own platform: signed receipts settle them, indexes go first, wishes bring the pixels."""

import base64
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from connectors.dicomweb.platform import PlatformEdge, platform_edge
from frontend_agent.config_images import StowOutlet
from frontend_agent.config_types import Count
from frontend_agent.delivery import State
from frontend_agent.errors import NotAllowed
from frontend_agent.imaging.indexing import study_index
from frontend_agent.imaging.model import ImageDelivery, Order
from frontend_agent.imaging.sending import StudySender
from frontend_agent.platform.store import Store
from frontend_agent.wire.images import StudyIndex
from tests.platform_kit import FileMemory, running
from tests.sending_kit import Book, Clock, Pauses, study_files

INSTITUTION = "45607654-1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "platform").open()


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with running(store) as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Book:
    folder = tmp_path / "book"
    folder.mkdir()
    return Book(folder, clock)


@pytest.fixture
def memory(tmp_path: Path) -> FileMemory:
    return FileMemory(tmp_path / "memory.json")


def edge(url: str, book: Book, memory: FileMemory, **options: Any) -> PlatformEdge:
    table = StowOutlet(type="stow", url=url, timeout=timedelta(seconds=20), **{"proof": "platform", **options})

    def index(delivery: ImageDelivery) -> StudyIndex:
        return study_index(book.studies[delivery.study.id], book.instances(delivery.study.id), "1")

    return platform_edge("region", table, lambda name: "", memory, INSTITUTION, index)


def sender(outlet: PlatformEdge, book: Book, clock: Clock, pauses: Pauses | None = None) -> StudySender:
    return StudySender("region", outlet.options, outlet, book, pauses or Pauses(), clock, "Asia/Shanghai")  # type: ignore[arg-type]


def test_signed_receipts_settle_instances_in_the_answer_itself(
    url: str, store: Store, book: Book, clock: Clock, memory: FileMemory
) -> None:
    study = book.add(study_files(12, series=2))
    outlet = edge(url, book, memory, at_once=Count(5))
    outlet.probe()
    pauses = Pauses()
    one = sender(outlet, book, clock, pauses)
    while one.send_once():
        pass
    assert set(book.states()) == {State.DELIVERED}
    assert all(proof.startswith("receipt ") for proof in book.proof.values())
    assert not pauses.by_name
    held = store.images.instances_by_uid(INSTITUTION, [one.header.sop_instance_uid for one in book.instances(study.id)])
    assert {uid: one.sha256 for uid, one in held.items()} == {
        one.header.sop_instance_uid: one.sha256 for one in book.instances(study.id)
    }


def test_receipts_asked_for_later_prove_what_was_only_accepted_and_say_what_is_absent(
    url: str, book: Book, clock: Clock, memory: FileMemory
) -> None:
    book.add(study_files(4))
    outlet = edge(url, book, memory)
    one = sender(outlet, book, clock)
    for number in (3, 4):
        book.state[number] = State.ACCEPTED
    one.send_once()
    book.state[1] = State.ACCEPTED  # as if its answer had been lost
    assert one.prove_once() == 3
    assert book.states() == [State.DELIVERED, State.DELIVERED, State.READY, State.READY]
    assert book.reasons[3] == ("the platform signs that it does not have it",)


def test_other_bytes_under_the_same_uid_are_refused_by_name(
    url: str, book: Book, clock: Clock, memory: FileMemory
) -> None:
    book.add(study_files(2))
    outlet = edge(url, book, memory)
    one = sender(outlet, book, clock)
    one.send_once()
    book.add(study_files(2, PatientName="SYNTHETIC^OTHER"))
    one.send_once()
    assert book.states() == [State.DELIVERED] * 2 + [State.REFUSED] * 2
    assert book.reasons[3]


def test_an_index_goes_alone_until_the_platform_wants_the_pixels(
    url: str, store: Store, book: Book, clock: Clock, memory: FileMemory
) -> None:
    study = book.add(study_files(3))
    order = Order(key="E1", accession_number="A00000001", report_key="R1")
    book.studies[1] = msgspec.structs.replace(study, order=order)
    one = sender(edge(url, book, memory, index_only=True), book, clock)
    one.send_once()
    assert set(book.states()) == {State.DELIVERED}
    assert set(book.proof.values()) == {"index"}
    uids = [each.header.sop_instance_uid for each in book.instances(1)]
    known = store.images.instances_by_uid(INSTITUTION, uids)
    assert len(known) == 3
    assert not any(each.held for each in known.values())

    wish = {"study_instance_uid": study.study_instance_uid, "why": "a doctor waits"}
    assert requests.post(f"{url}/v1/images/wishes", json=wish, timeout=10).json() == {"studies": 1}
    clock.forward(seconds=30)
    one.prove_once()
    assert book.sent_again == [(1, ("region",), "platform region")]
    one.send_once()
    assert all(proof.startswith("receipt ") for proof in book.proof.values())
    assert all(each.held for each in store.images.instances_by_uid(INSTITUTION, uids).values())


def test_a_study_that_is_not_here_any_more_is_wanted_of_its_pacs(
    url: str, book: Book, clock: Clock, memory: FileMemory
) -> None:
    study = book.add(study_files(2))
    one = sender(edge(url, book, memory, index_only=True), book, clock)
    one.send_once()
    book.gone |= {1, 2}
    requests.post(f"{url}/v1/images/wishes", json={"study_instance_uid": study.study_instance_uid}, timeout=10)
    for _ in range(3):
        clock.forward(seconds=30)
        one.prove_once()
    (want,) = book.wanted  # once, however often it is asked
    assert want.study_instance_uid == study.study_instance_uid
    assert want.why == "platform region"
    assert want.urgency == 0


def test_another_key_than_the_pinned_one_proves_nothing(
    url: str, book: Book, clock: Clock, memory: FileMemory, tmp_path: Path
) -> None:
    book.add(study_files(1))
    memory.put("images-key:region", base64.b64encode(os.urandom(32)).decode())
    outlet = edge(url, book, memory)
    with pytest.raises(NotAllowed, match="not the pinned one"):
        outlet.probe()
    sender(outlet, book, clock).send_once()
    assert book.states() == [State.UNCERTAIN]
    assert "prove nothing" in book.reasons[1][0]


def test_the_index_says_what_the_study_has_and_whose_report_speaks_of_it(book: Book) -> None:
    study = book.add(study_files(4, series=2))
    order = Order(key="E1", report_key="R1", id_number="110101199001011234")
    index = study_index(msgspec.structs.replace(study, order=order), book.instances(1), "1")
    assert [len(series.instances) for series in index.series] == [2, 2]
    assert index.report_set_id.startswith("C0006-")
    assert index.series[0].instances[0].sha256 == book.instances(1)[0].sha256
    assert msgspec.json.decode(msgspec.json.encode(index), type=StudyIndex) == index

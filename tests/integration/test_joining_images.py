"""Images to a platform that was joined: STOW-RS, receipts and indexes by the machine's certificate, also once it is renewed."""

from datetime import timedelta
from pathlib import Path

import pytest

from connectors.dicomweb.platform import PlatformEdge, platform_edge
from connectors.outlets.http import Tls
from frontend_agent.config_images import StowOutlet
from frontend_agent.delivery import State
from frontend_agent.errors import NotAllowed
from frontend_agent.imaging.indexing import study_index
from frontend_agent.imaging.model import ImageDelivery
from frontend_agent.imaging.sending import StudySender
from frontend_agent.renewing import Belonging, Renewing
from frontend_agent.spool.membership import Membership
from frontend_agent.wire.images import StudyIndex
from tests.joining_kit import region, utc_now
from tests.platform_kit import FileMemory
from tests.sending_kit import Book, Clock, Pauses, study_files

A, B = "45607654-1", "470000002"


def edge(member: Membership, state: Path, book: Book, institution: str) -> PlatformEdge:
    table = StowOutlet(type="stow", url=member.url, timeout=timedelta(seconds=20), proof="platform")

    def index(delivery: ImageDelivery) -> StudyIndex:
        return study_index(book.studies[delivery.study.id], book.instances(delivery.study.id), "1")

    belonging = Belonging(state, member.url, Tls(), utc_now)
    return platform_edge(
        "region", table, lambda name: "", FileMemory(state / "memory.json"), institution, index, belonging
    )


def sender(outlet: PlatformEdge, book: Book, clock: Clock, pauses: Pauses) -> StudySender:
    return StudySender("region", outlet.options, outlet, book, pauses, clock, "Asia/Shanghai")  # type: ignore[arg-type]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Book:
    (tmp_path / "book").mkdir()
    return Book(tmp_path / "book", clock)


def test_images_go_by_the_certificate_and_by_its_successor(tmp_path: Path, book: Book, clock: Clock) -> None:
    with region(tmp_path / "platform") as there:
        member = there.member(tmp_path / "agent", A)
        outlet = edge(member, tmp_path / "agent", book, A)
        outlet.probe()
        book.add(study_files(3))
        one = sender(outlet, book, clock, Pauses())
        one.send_once()
        assert set(book.states()) == {State.DELIVERED}

        assert Renewing(tmp_path / "agent", utc_now).renew(member, now=True)
        book.add(study_files(5, study=2))
        one.send_once()

        assert set(book.states()) == {State.DELIVERED}
        assert there.store.images.find(book.instances(1)[0].header.study_instance_uid, institution=A)
        assert outlet.wanted() == []
        outlet.close()


def test_images_for_another_hospital_are_refused(tmp_path: Path, book: Book) -> None:
    with region(tmp_path / "platform") as there:
        member = there.member(tmp_path / "agent", A)
        outlet = edge(member, tmp_path / "agent", book, B)
        with pytest.raises(NotAllowed, match="403"):
            outlet.wanted()
        outlet.close()

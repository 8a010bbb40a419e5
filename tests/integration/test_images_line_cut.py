"""The line to a region that is cut again and again in the middle of a study: complete at last, every instance once, and nobody blamed."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from connectors.dicom.links import links_of
from connectors.dicom.proving import FindProof
from connectors.dicom.sending import StoreEdge
from connectors.dicomweb.stow import qido_or_none
from frontend_agent.config_images import DicomOutlet, StowOutlet
from frontend_agent.config_types import Count
from frontend_agent.delivery import State
from frontend_agent.imaging.outlets import ImageOutlet
from frontend_agent.imaging.sending import StudySender, pause_name
from tests.orthanc_kit import Orthanc, needs_orthanc, orthanc
from tests.sending_kit import Book, Clock, Pauses, study_files

SLICES = 200
CUTS = 12

pytestmark = [pytest.mark.slow, needs_orthanc]


class CuttingLine:
    """Carries bytes to a port, and cuts each connection after so many of them, as often as it is told to."""

    def __init__(self, upstream: int, cuts: int, random: Random) -> None:
        self._upstream, self.cuts, self._random = upstream, cuts, random
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # close alone leaves its thread waiting for ever
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(("127.0.0.1", self._upstream))
                for line in (ours, theirs):
                    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                limit = 0
                if self.cuts:
                    self.cuts -= 1
                    limit = self._random.randrange(200, 400_000)
                threading.Thread(target=self._carry, args=(ours, theirs, limit), daemon=True).start()
                threading.Thread(target=self._carry, args=(theirs, ours, 0), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, limit: int) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := source.recv(16_384):
                carried += len(data)
                if limit and carried > limit:
                    target.sendall(data[: len(data) // 2])  # in the middle of something
                    break
                target.sendall(data)
        for line in (source, target):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


@contextmanager
def cut_line(upstream: int) -> Iterator[CuttingLine]:
    line = CuttingLine(upstream, CUTS, Random(6))
    try:
        yield line
    finally:
        line.close()


def by_c_store(pacs: Orthanc, port: int) -> ImageOutlet:
    url = f"dicom://{pacs.title}@127.0.0.1:{port}"
    options = DicomOutlet(type="dicom", url=url, proof="find", timeout=timedelta(seconds=20))
    return StoreEdge("region", options, links_of("region", options), FindProof("region", links_of("region", options)))


def by_stow(pacs: Orthanc, port: int) -> ImageOutlet:
    url = f"http://127.0.0.1:{port}/dicom-web"
    options = StowOutlet(type="stow", url=url, proof="qido", timeout=timedelta(seconds=20), at_once=Count(8))
    return qido_or_none("region", options, lambda name: "")


@pytest.mark.parametrize("way", ["C-STORE", "STOW-RS"])
def test_a_study_is_complete_after_many_cuts(tmp_path: Path, way: str) -> None:
    clock, pauses = Clock(), Pauses()
    book = Book(tmp_path, clock)
    files = study_files(SLICES, series=4, pixels=20_000)
    book.add(files)
    blamed = set()
    with orthanc() as pacs, cut_line(pacs.dicom_port if way == "C-STORE" else pacs.http_port) as line:
        outlet = (by_c_store if way == "C-STORE" else by_stow)(pacs, line.port)
        sender = StudySender("region", outlet.options, outlet, book, pauses, clock, "Asia/Shanghai")  # type: ignore[attr-defined,arg-type]
        for _ in range(400):
            sender.send_once()
            blamed.add(pauses.pause(pause_name("region")).blame)
            sender.prove_once()
            clock.forward(minutes=6)
            if set(book.states()) == {State.DELIVERED}:
                break
        outlet.close()
        assert line.cuts == 0
        assert set(book.states()) == {State.DELIVERED}
        assert pacs.count() == SLICES
        if way == "STOW-RS":  # kept as the files that they were
            assert set(pacs.files().values()) == {sha256(body).hexdigest() for body in files}
    assert blamed <= {"", "network"}
    assert not [one for one in book.settles if one.state in (State.REFUSED, State.BLOCKED)]

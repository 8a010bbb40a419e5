"""A listener over files alone, and a peer that says whatever a test wants: for what a polite program would never send."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.dicom.listener import DicomListener
from frontend_agent.config_images import DicomInlet
from frontend_agent.dicom.commands import Command, c_store, read_command, written
from frontend_agent.dicom.negotiation import (
    AssociateRequest,
    Information,
    proposed,
    written_request,
)
from frontend_agent.dicom.pdus import Pdu, PduReader, Piece, joined, p_data
from frontend_agent.dicom.uids import EXPLICIT_LE
from frontend_agent.imaging.reports import CommitmentReports
from tests.dicom_kit import CT, FilesDesk

TITLE = "FRONTEND"


@contextmanager
def listening(folder: Path, room: int = 1 << 62, **options: Any) -> Iterator[tuple[DicomListener, FilesDesk]]:
    """An inlet of type dicom, started, over files in `folder`; it must end by itself."""
    desk = FilesDesk(folder, room)
    inlet = DicomListener(
        "pacs", DicomInlet(type="dicom", port=0, **options), desk, CommitmentReports(), lambda: datetime.now(UTC)
    )
    inlet.start()
    try:
        yield inlet, desk
    finally:
        inlet.stop(5)
        assert not inlet.is_alive()


def quick(**options: Any) -> dict[str, Any]:
    """Settings for tests of slowness."""
    return {"slowest": timedelta(seconds=1), "idle": timedelta(seconds=1), **options}


class Line:
    """A connection to a listener, byte by byte."""

    def __init__(self, port: int, source: str = "", timeout: float = 20) -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout, source_address=(source, 0) if source else None
        )
        self._reader = PduReader()
        self._found: list[Pdu | tuple[int, bool, bool, bytes]] = []

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def next(self) -> Pdu | tuple[int, bool, bool, bytes] | None:
        """A PDU, or (context, is command, is last, bytes); None where the peer has closed."""
        while not self._found:
            try:
                count = self.socket.recv_into(self._reader.space())
            except ConnectionError:
                return None
            if not count:
                return None
            for one in self._reader.received(count):
                self._found.append((*one[:3], bytes(one.data)) if isinstance(one, Piece) else one)
        return self._found.pop(0)

    def associate(self, contexts: Sequence[tuple[str, Sequence[str]]] = ((CT, (EXPLICIT_LE,)),), **about: Any) -> Pdu:
        """Ask for an association: the PDU that it is answered with."""
        self.send(asking(contexts, **about))
        found = self.next()
        assert isinstance(found, Pdu)
        return found

    def store(
        self, data: bytes, instance: str, *, sop_class: str = CT, message_id: int = 1, context: int = 1
    ) -> Command:
        """C-STORE, and its response."""
        self.send(storing(data, instance, sop_class=sop_class, message_id=message_id, context=context))
        return self.response()

    def response(self) -> Command:
        found = self.next()
        assert isinstance(found, tuple), f"no response but {found}"
        return read_command(found[3])

    def is_closed(self) -> bool:
        """Whether nothing more comes (perhaps an A-ABORT before it)."""
        found = self.next()
        return found is None or (isinstance(found, Pdu) and self.next() is None)


def asking(
    contexts: Sequence[tuple[str, Sequence[str]]] = ((CT, (EXPLICIT_LE,)),),
    *,
    called: str = TITLE,
    calling: str = "TEST",
    **about: Any,
) -> bytes:
    """A-ASSOCIATE-RQ."""
    return written_request(
        AssociateRequest(called=called, calling=calling, contexts=proposed(contexts), information=Information(**about))
    )


def storing(
    data: bytes, instance: str, *, sop_class: str = CT, message_id: int = 1, context: int = 1, max_length: int = 16_384
) -> bytes:
    """C-STORE-RQ and its data set."""
    command = c_store(message_id, sop_class, instance)
    return joined(p_data(context, written(command), max_length, is_command=True)) + joined(
        p_data(context, data, max_length)
    )


def until(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]

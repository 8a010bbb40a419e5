"""What the tests of fetching share: a shelf that keeps what is fetched, and a PACS of very many studies.

shelf = Shelf(tmp_path)         a desk (connectors/instances.py) over real files, which counts what is there
with sql_pacs(path) as port:    a PACS by pynetdicom over an SQLite file of synthetic studies; it counts what it is asked
"""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from connectors.arrivals import InboxFull, Kept
from connectors.instances import InstanceRefused, KeptInstance
from frontend_agent.dicom.header import Header, HeaderUnreadable, read_header
from frontend_agent.dicom.part10 import NoInstance, meta, read_meta
from frontend_agent.instance_files import InstanceFiles


class Shelf:
    """A desk without a book: one file for each instance, and what it is."""

    def __init__(self, folder: Path, *, room: int = 1 << 40) -> None:
        self.files = InstanceFiles(folder / "shelf").open()
        self.kept: dict[str, KeptInstance] = {}  # by SOP Instance UID
        self.senders: set[str] = set()
        self.room = room  # instances that it still takes

    def begin(
        self,
        inlet: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        *,
        sender: str,
        largest: int = 0,
    ) -> ShelfWriter:
        writer = self.begin_file(inlet, sender=sender, largest=largest)
        writer.write(meta(sop_class_uid, sop_instance_uid, transfer_syntax_uid))
        return writer

    def begin_file(self, inlet: str, *, sender: str, largest: int = 0) -> ShelfWriter:
        if self.room <= 0:
            raise InboxFull("the shelf is full")
        self.senders.add(sender)
        return ShelfWriter(self, largest)

    def counts(self, study_instance_uid: str) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for one in list(self.kept.values()):
            if one.header.study_instance_uid == study_instance_uid:
                found[one.header.series_instance_uid] = found.get(one.header.series_instance_uid, 0) + 1
        return found

    def content(self, sop_instance_uid: str) -> bytes:
        """The file of an instance."""
        one = self.kept[sop_instance_uid]
        return self.files.path(one.header.study_instance_uid, one.sha256).read_bytes()

    def data_set(self, sop_instance_uid: str) -> bytes:
        """Its data set, as it came."""
        content = self.content(sop_instance_uid)
        return content[read_meta(content).data_set_at :]

    @property
    def left_behind(self) -> list[Path]:
        """Files that were begun and never ended."""
        return list((self.files.root / "incoming").iterdir())


class ShelfWriter:
    """One instance on its way to the shelf."""

    def __init__(self, shelf: Shelf, largest: int) -> None:
        self._shelf, self._largest = shelf, largest
        self._incoming = shelf.files.begin()

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self._incoming.write(chunk)
        if self._largest and self._incoming.size > self._largest:
            raise InstanceRefused(f"it is larger than {self._largest} bytes")

    def keep(self) -> Future[KeptInstance]:
        found: Future[KeptInstance] = Future()
        written = self._incoming.finish()
        path = self._shelf.files.incoming(written.token)
        try:
            header = self._header(path.read_bytes())
        except (NoInstance, HeaderUnreadable) as error:
            path.unlink()
            found.set_exception(InstanceRefused(str(error)))
            return found
        there = self._shelf.kept.get(header.sop_instance_uid)
        if there is not None:
            path.unlink()
            kept = Kept.DUPLICATE if there.sha256 == written.sha256 else Kept.CONFLICT
            found.set_result(KeptInstance(kept, header, written.sha256, written.size))
            return found
        self._shelf.files.place([(header.study_instance_uid, written)])
        one = KeptInstance(Kept.KEPT, header, written.sha256, written.size)
        self._shelf.kept[header.sop_instance_uid] = one
        self._shelf.room -= 1
        found.set_result(one)
        return found

    def _header(self, content: bytes) -> Header:
        told = read_meta(content)
        return read_header(content, told.transfer_syntax_uid, told.data_set_at)

    def abort(self) -> None:
        self._incoming.abort()


@contextmanager
def cutting(port: int, after: int) -> Iterator[tuple[int, list[int]]]:
    """A line to a port at this machine that is cut once, when `after` bytes have come back over one connection. (its port, what passed)"""
    listening = socket.create_server(("127.0.0.1", 0))
    passed: list[int] = []
    cuts = [True]

    def carry(here: socket.socket, there: socket.socket, is_answer: bool) -> None:
        count = 0
        with suppress(OSError):
            while data := here.recv(65536):
                count += len(data)
                if is_answer and cuts and count > after:
                    cuts.clear()
                    break
                there.sendall(data)
        passed.append(count)
        for one in (here, there):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                here, _ = listening.accept()
                there = socket.create_connection(("127.0.0.1", port))
                for one in (here, there):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=carry, args=(here, there, False), daemon=True).start()
                threading.Thread(target=carry, args=(there, here, True), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1], passed
    finally:
        listening.close()


def million_studies(path: Path, count: int = 1_000_000) -> None:
    """An SQLite file of synthetic studies over ten years of working days, from eight to eight."""
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE study (day INTEGER, time INTEGER, uid TEXT, accession TEXT)")
    a_day = count // 3650
    first = date(2016, 1, 1)
    rows = (
        (
            int((first + timedelta(days=number // a_day)).strftime("%Y%m%d")),
            (8 + place * 12 // a_day) * 10_000 + (place * 37 % 60) * 100 + place % 60,
            f"1.2.826.0.1.3680043.9.9999.7.{number}",
            f"A{number:08d}",
        )
        for number in range(count)
        for place in (number % a_day,)
    )
    database.executemany("INSERT INTO study VALUES (?, ?, ?, ?)", rows)
    database.execute("CREATE INDEX study_at ON study (day, time)")
    database.commit()
    database.close()


@contextmanager
def sql_pacs(path: Path, title: str = "MILLION") -> Iterator[tuple[int, list[int]]]:
    """A PACS by pynetdicom that answers C-FIND of studies by date and time from that file: (its port, how many answers each question had)."""
    from pydicom.dataset import Dataset
    from pynetdicom import AE, _config, evt
    from pynetdicom.sop_class import (  # type: ignore[attr-defined]
        StudyRootQueryRetrieveInformationModelFind,
        Verification,
    )

    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    told: list[int] = []

    def found(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        days, times = str(asked.StudyDate or ""), str(asked.StudyTime or "")
        low, _, high = days.partition("-")
        begin, _, end = times.partition("-")
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        rows = database.execute(
            "SELECT uid, day, time, accession FROM study WHERE day BETWEEN ? AND ? AND time BETWEEN ? AND ?",
            (int(low), int(high or low), int(begin[:6] or 0), int(end[:6] or 240000)),
        )
        told.append(0)
        for uid, day, time, accession in rows:
            if event.is_cancelled:
                yield 0xFE00, None
                break
            one = Dataset()
            one.QueryRetrieveLevel = "STUDY"
            one.StudyInstanceUID, one.AccessionNumber = uid, accession
            one.StudyDate, one.StudyTime = str(day), f"{time:06d}"
            one.NumberOfStudyRelatedSeries, one.NumberOfStudyRelatedInstances = 1, 3
            told[-1] += 1
            yield 0xFF00, one
        database.close()

    ae = AE(title)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    ae.add_supported_context(Verification)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, found)])
    assert server is not None
    try:
        yield server.socket.getsockname()[1], told
    finally:
        server.shutdown()

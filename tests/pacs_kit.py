"""What the tests of fetching share: a shelf that keeps what is fetched, and a PACS of very many studies.

shelf = Shelf(tmp_path)         a desk (connectors/instances.py) over real files, which counts what is there
with sql_pacs(path) as port:    a PACS by pynetdicom over an SQLite file of synthetic studies; it counts what it is asked
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path

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


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()

"""One instance on its way in: written to disk as it comes, its header read from there. It is never in memory.

The file is written anew as `dicom/part10.py` writes it: whatever preamble, machine names or meta information came with it are
gone (threat D7), its data set stays byte for byte.
"""

import threading
from typing import NamedTuple, Protocol

import msgspec

from frontend_agent.dicom.elements import DataSetMalformed, walk
from frontend_agent.dicom.header import Header, HeaderUnreadable, read_header
from frontend_agent.dicom.part10 import MAGIC, PREAMBLE, Meta, NoInstance, meta, read_meta
from frontend_agent.dicom.uids import encoding_of, is_uid
from frontend_agent.instance_files import Incoming, Written

LARGEST_INSTANCE = 4 << 30  # bytes
LONGEST_META = 64 << 10  # bytes before the data set; and of a bare data set, those in which it must say what it is
_SOP_CLASS, _SOP_INSTANCE = 0x0008_0016, 0x0008_0018
_INFLATING = threading.Lock()  # deflated headers one at a time: each may take tens of megabytes (threat D4)


class Refused(Exception):
    """The instance cannot be stored, whoever sends it again: all reasons, without a value of it.

    `status` is the failure as PS3.4 B.2.3 and PS3.18 I.2.2 number it.
    """

    def __init__(self, status: int, *reasons: str):
        self.status = status
        self.reasons = reasons
        super().__init__("; ".join(reasons))


OUT_OF_RESOURCES = 0xA700  # later it may be taken
DOES_NOT_MATCH = 0xA900  # data set does not match SOP class
CANNOT_UNDERSTAND = 0xC000
# Not 0111 (duplicate SOP instance): senders rightly take that for stored, and these other bytes are not.
CONFLICT = 0xC111


class Arrived(NamedTuple):
    """A whole instance in incoming/, and what it says of itself."""

    institution: str
    sender: str
    header: Header
    written: Written


class Begin(Protocol):
    """Opens the file that it is written to."""

    def __call__(self) -> Incoming: ...


class Arriving:
    """`write` its bytes, then `finish`, or `abort` at any time. Of one thread at a time."""

    def __init__(
        self,
        begin: Begin,
        institution: str,
        sender: str,
        largest: int = LARGEST_INSTANCE,
        known: Meta | None = None,
        study_instance_uid: str = "",
    ):
        """`known`: what a peer said of it before its data set; without, the bytes are those of a file, which says it itself.
        `study_instance_uid`: the study that it must be of, if that was said."""
        self._begin = begin
        self._study = study_instance_uid
        self._institution = institution
        self._sender = sender
        self._largest = largest
        self._head = bytearray()  # of a file, until it is known what it is
        self._enough = PREAMBLE + 16  # bytes of it with which the next look is worth while
        self._file: Incoming | None = None
        self._meta_size = 0
        self.meta = known
        if known:
            self._open(known)

    @property
    def sop_instance_uid(self) -> str:
        """As far as it is known yet."""
        return self.meta.sop_instance_uid if self.meta else ""

    @property
    def sop_class_uid(self) -> str:
        return self.meta.sop_class_uid if self.meta else ""

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """The next bytes. Refused: it is too large, or no instance."""
        if self._file is None:
            self._head += chunk
            if len(self._head) >= self._enough:
                self._look(is_all=False)
            return
        if self._file.size + len(chunk) > self._largest:
            raise Refused(OUT_OF_RESOURCES, f"it is larger than {self._largest} bytes")
        self._file.write(chunk)

    def finish(self) -> Arrived:
        """All of it was written: sync it, and read its header. Refused: all reasons; nothing of it stays."""
        try:
            if self._file is None:
                self._look(is_all=True)
            assert self._file is not None
            assert self.meta is not None
            header = self._header(self._file, self.meta)
            header = (
                header
                if header.sop_class_uid
                else msgspec.structs.replace(header, sop_class_uid=self.meta.sop_class_uid)
            )
            return Arrived(self._institution, self._sender, header, self._file.finish())
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """It will not come: nothing of it stays."""
        self._head = bytearray()
        if self._file is not None:
            self._file.abort()

    # --- what it is ----------------------------------------------------------------------------------------------------

    def _look(self, is_all: bool) -> None:
        """Is it known from its first bytes what it is? As soon as it is, they go to disk."""
        if not is_all and (need := _needed(self._head)) > len(self._head):
            self._enough = need
            return
        head = bytes(self._head)
        try:
            found = _named(head, read_meta(head))
        except NoInstance as error:
            if not is_all and len(head) < LONGEST_META:
                self._enough = LONGEST_META
                return
            raise Refused(CANNOT_UNDERSTAND, str(error)) from None
        self.meta = found
        self._open(found)
        self._head = bytearray()
        self.write(memoryview(head)[found.data_set_at :])

    def _open(self, found: Meta) -> None:
        unnamed = [
            f"{name} is no UID, or missing"
            for name, uid in (("SOP Class UID", found.sop_class_uid), ("SOP Instance UID", found.sop_instance_uid))
            if not is_uid(uid)
        ]
        if unnamed or not is_uid(found.transfer_syntax_uid):
            raise Refused(CANNOT_UNDERSTAND, *unnamed or ("its transfer syntax is no UID",))
        begins = meta(found.sop_class_uid, found.sop_instance_uid, found.transfer_syntax_uid)
        self._file = self._begin()
        self._meta_size = len(begins)
        self._file.write(begins)

    def _header(self, file: Incoming, said: Meta) -> Header:
        if file.size == self._meta_size:
            raise Refused(CANNOT_UNDERSTAND, "it has no data set")
        try:
            with file.mapped() as data:
                if encoding_of(said.transfer_syntax_uid).is_deflated:
                    with _INFLATING:
                        header = read_header(data, said.transfer_syntax_uid, self._meta_size)
                else:
                    header = read_header(data, said.transfer_syntax_uid, self._meta_size)
        except HeaderUnreadable as error:
            raise Refused(CANNOT_UNDERSTAND, *str(error).split("; ")) from None
        differing = [
            f"{name} of the data set is another than that of its file, or of the request"
            for name, inside, outside in (
                ("SOP Class UID", header.sop_class_uid or said.sop_class_uid, said.sop_class_uid),
                ("SOP Instance UID", header.sop_instance_uid, said.sop_instance_uid),
                ("Study Instance UID", header.study_instance_uid, self._study or header.study_instance_uid),
            )
            if inside != outside
        ]
        if differing:
            raise Refused(DOES_NOT_MATCH, *differing)
        return header


def _needed(head: bytearray) -> int:
    """Bytes with which the file meta information of a common file is whole, by its group length (PS3.10 §7.1)."""
    at = PREAMBLE + 4
    if head[PREAMBLE:at] != MAGIC or head[at : at + 4] != b"\x02\x00\x00\x00":
        return LONGEST_META
    return min(at + 12 + int.from_bytes(head[at + 8 : at + 12], "little"), LONGEST_META)


def _named(head: bytes, found: Meta) -> Meta:
    """With the class and instance of the data set itself where the file meta information does not name them."""
    if found.sop_class_uid and found.sop_instance_uid:
        return found
    encoding = encoding_of(found.transfer_syntax_uid)
    said = {}
    if not encoding.is_deflated:
        try:
            for element in walk(head, encoding, found.data_set_at, until=_SOP_INSTANCE + 1):
                if element.tag in (_SOP_CLASS, _SOP_INSTANCE):
                    said[element.tag] = head[element.start : element.end].rstrip(b"\0 ").decode("ascii", "replace")
        except DataSetMalformed as error:
            raise NoInstance(str(error)) from None
    if not {_SOP_CLASS, _SOP_INSTANCE} <= said.keys():
        raise NoInstance(
            "neither its file meta information nor the beginning of its data set says which instance it is"
        )
    return found._replace(
        sop_class_uid=found.sop_class_uid or said[_SOP_CLASS],
        sop_instance_uid=found.sop_instance_uid or said[_SOP_INSTANCE],
    )

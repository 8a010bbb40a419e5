"""The DICOM upper layer's frames without I/O (PS3.8 §9.3): bytes in, control PDUs and pieces of P-DATA out; and P-DATA to be sent.

Pieces are given as they come, before their PDU is whole: what is held is one buffer, however long a PDU or a fragment says it is
(threat D1). A control PDU is held as far as it has come, and is at most LARGEST_CONTROL long.

    reader = PduReader(our_max_length)
    n = socket.recv_into(reader.space())
    for found in reader.received(n): …        # Pdu, or Piece
"""

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from frontend_agent.dicom.elements import InMemory

OUR_MAX_LENGTH = 131_072  # bytes of a P-DATA-TF's variable field that we take: what dcmtk sends at most
LARGEST_CONTROL = (
    1 << 20
)  # bytes of an A-ASSOCIATE PDU: 128 contexts with every transfer syntax there is stay below 300 kB
UNBOUNDED = 1 << 20  # bytes of a P-DATA-TF we send to a peer that names no maximum (0)
BUFFER = 256 * 1024  # bytes that one read brings at most
_PDU = struct.Struct(">BxI")  # type, reserved, length
_PDV = struct.Struct(">IBB")  # length, presentation context id, message control header
_HEAD = struct.Struct(">BxIIBB")  # both of a P-DATA-TF that holds one PDV
_IS_COMMAND, _IS_LAST = 1, 2  # bits of the message control header (PS3.8 E.2)


class PduType(IntEnum):
    A_ASSOCIATE_RQ = 1
    A_ASSOCIATE_AC = 2
    A_ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    A_RELEASE_RQ = 5
    A_RELEASE_RP = 6
    A_ABORT = 7


class PduMalformed(ValueError):
    """The peer's bytes are no PDU that may come here. Says what is wrong, and quotes nothing. The association is to be aborted."""


class Pdu(NamedTuple):
    """A control PDU, without its header of six bytes."""

    type: PduType
    body: bytes


class Piece(NamedTuple):
    """Some bytes of a presentation data value. `data` is a view of the reader's buffer: it holds until `received` is called again."""

    context: int  # presentation context id
    is_command: bool
    is_last: bool  # with this piece the command set, or the data set, is whole
    data: memoryview


class PduReader:
    """What a peer sends, taken apart as it comes. After PduMalformed it is of no more use."""

    def __init__(self, max_length: int = OUR_MAX_LENGTH, buffer: int = BUFFER) -> None:
        self._max_length = max_length
        self._buffer = bytearray(buffer)
        self._view = memoryview(self._buffer)
        self._end = 0  # bytes in the buffer that are not taken apart yet begin at 0
        self._type: PduType | None = None  # of the PDU that has begun
        self._left = 0  # of its bytes
        self._control = bytearray()
        self._pdv_left = 0
        self._context, self._flags = 0, 0

    @property
    def is_between(self) -> bool:
        """No PDU has begun."""
        return self._type is None and not self._end

    @property
    def held(self) -> int:
        """Bytes of a control PDU that is not whole yet."""
        return len(self._control)

    def space(self) -> memoryview:
        """Where the next bytes are to be read into; it is never empty."""
        return self._view[self._end :]

    def received(self, count: int) -> Iterator[Pdu | Piece]:
        """Take apart what was read into `space`. To be run to its end before the next. PduMalformed."""
        at, end = 0, self._end + count
        while True:
            if self._type is None:
                if end - at < _PDU.size:
                    break
                at = self._begin(at)
            kind = self._type
            assert kind is not None
            if kind is PduType.P_DATA_TF:
                if not self._pdv_left:
                    if end - at < _PDV.size:
                        break
                    at = self._begin_pdv(at)
                size = min(self._pdv_left, end - at)
                if not size and self._pdv_left:
                    break
                self._pdv_left -= size
                self._left -= size
                is_last = not self._pdv_left and bool(self._flags & _IS_LAST)
                if not self._left:
                    self._type = None
                yield Piece(self._context, bool(self._flags & _IS_COMMAND), is_last, self._view[at : at + size])
                at += size
            else:
                size = min(self._left, end - at)
                self._control += self._view[at : at + size]
                at += size
                self._left -= size
                if self._left:
                    break
                whole = Pdu(kind, bytes(self._control))
                self._type = None
                self._control.clear()
                yield whole
        rest = end - at  # fewer bytes than a header
        self._buffer[:rest] = self._buffer[at:end]
        self._end = rest

    def _begin(self, at: int) -> int:
        kind, length = _PDU.unpack_from(self._buffer, at)
        try:
            self._type = PduType(kind)
        except ValueError:
            raise PduMalformed(f"there is no PDU of type {kind}") from None
        most = self._max_length if self._type is PduType.P_DATA_TF else LARGEST_CONTROL
        if length > most:
            raise PduMalformed(f"{self._type.name} says it is {length} bytes long; {most} are taken")
        if self._type is PduType.P_DATA_TF and length < _PDV.size:
            raise PduMalformed("P_DATA_TF holds no presentation data value")
        self._left = length
        return at + _PDU.size

    def _begin_pdv(self, at: int) -> int:
        length, self._context, self._flags = _PDV.unpack_from(self._buffer, at)
        self._left -= _PDV.size
        self._pdv_left = length - 2
        # What remains in the PDU behind it must be room for another one, or nothing.
        rest = self._left - self._pdv_left
        if self._pdv_left < 0 or rest < 0 or 0 < rest < _PDV.size:
            raise PduMalformed("a presentation data value does not fit into its P_DATA_TF")
        return at + _PDV.size


def pdu(kind: PduType, body: bytes) -> bytes:
    """A control PDU as it is sent."""
    return _PDU.pack(kind, len(body)) + body


def p_data(
    context: int, data: InMemory, max_length: int, *, is_command: bool = False, is_last: bool = True
) -> Iterator[tuple[bytes, memoryview]]:
    """P-DATA-TFs of `data`, each as its head and a view of its bytes, to be written one after the other. None is longer than the
    peer takes (`max_length` of its A-ASSOCIATE, 0: no limit). `is_last`: the command set or data set ends with `data`."""
    most = (min(max_length, UNBOUNDED) if max_length else UNBOUNDED) - _PDV.size & ~1  # fragments of even length
    if most < 2:
        raise ValueError(f"a maximum length of {max_length} leaves no room for a fragment")
    view = memoryview(data)
    at, size = 0, len(view)
    while True:
        part = view[at : at + most]
        at += len(part)
        ends = at >= size
        flags = (_IS_COMMAND if is_command else 0) | (_IS_LAST if ends and is_last else 0)
        yield _HEAD.pack(PduType.P_DATA_TF, len(part) + _PDV.size, len(part) + 2, context, flags), part
        if ends:
            return


def joined(parts: Sequence[tuple[bytes, memoryview]] | Iterator[tuple[bytes, memoryview]]) -> bytes:
    """`p_data` as bytes: for what is short, such as a command set."""
    return b"".join(piece for part in parts for piece in part)

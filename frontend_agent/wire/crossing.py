"""What is inside of a bundle: what its maker has of the other direction, and pieces of requests or answers.

    length of the index, 4 bytes big-endian | index, JSON | piece | piece | …

A request is carried as it would be on the wire, and so is its answer; one that is longer than a bundle goes on in the next.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from struct import Struct as Layout
from struct import error as TooShort
from typing import Annotated, NamedTuple

import msgspec

from frontend_agent.wire.bundles import BundleRefused

MOST_MISSING = 1_000
MOST_PIECES = 1_000  # of a bundle
ROOM = 64 << 10  # of a bundle, for everything but its pieces
_LENGTH = Layout(">I")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Got(msgspec.Struct, frozen=True, kw_only=True):
    """What its maker has of the other direction: all up to `whole`, and which below a later one are missing."""

    stream: str = ""  # whose numbers these are; empty: nothing came yet
    whole: Count = 0
    missing: tuple[Count, ...] = ()
    last: Count = 0  # the highest number that came
    at: str = ""  # when that came first, by the clock of who has it


class Far(msgspec.Struct, frozen=True, kw_only=True):
    """How one platform fares, as the outer half sees it."""

    destination: str
    since: str = ""  # it cannot be reached since then, by the outer half's clock; empty: it answers
    problem: str = ""


class Piece(msgspec.Struct, frozen=True):
    """Some bytes of a request or answer; `ends`: its last ones."""

    length: Count
    ends: bool = True


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: when it was made, by its maker's clock. `asks`: it wants to be acknowledged soon."""

    at: str
    version: str = ""
    got: Got = Got()
    pieces: tuple[Piece, ...] = ()
    far: tuple[Far, ...] = ()
    waiting: Count = 0  # requests that the outer half still has to put
    stopped: str = ""  # why the maker takes nothing from us any more

    @property
    def made_at(self) -> datetime:
        return datetime.fromisoformat(self.at)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the inner half: to which destination, and what stands before its body."""

    id: str
    destination: str
    method: str
    path: str
    media_type: str = ""
    key: str = ""  # base64: the platform's pinned key, by which an answer about a part of a parcel is known


class Part(msgspec.Struct, frozen=True):
    """One answer of the platform about some documents of a parcel that it refused as a whole."""

    length: Count


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform said. `asked` and `answered`: by the outer half's clock."""

    id: str
    status: int = 0  # 0: the request could not be put, and `problem` says why
    asked: str = ""
    answered: str = ""
    problem: str = ""
    parts: tuple[Part, ...] = ()  # of a parcel refused whole: signed replies, end to end in the body
    alone: tuple[str, ...] = ()  # documents that were refused alone, while others were stored
    suspects: tuple[str, ...] = ()  # documents that were refused alone, with nothing to compare with


class Item(NamedTuple):
    """A request or an answer whole, as it travels."""

    head: bytes
    body: bytes

    @property
    def bytes(self) -> bytes:
        return b"".join((_LENGTH.pack(len(self.head)), self.head, self.body))


def request_item(request: Request, body: bytes) -> Item:
    return Item(msgspec.json.encode(request), body)


def answer_item(answer: Answer, body: bytes) -> Item:
    return Item(msgspec.json.encode(answer), body)


def _taken_apart(item: bytes) -> tuple[bytes, bytes]:
    if len(item) < _LENGTH.size:
        raise BundleRefused("content", "a request or answer without a head")
    (length,) = _LENGTH.unpack_from(item)
    return item[_LENGTH.size : _LENGTH.size + length], item[_LENGTH.size + length :]


def read_request(item: bytes) -> tuple[Request, bytes]:
    """BundleRefused: the other half is of a version that we do not understand."""
    head, body = _taken_apart(item)
    try:
        return msgspec.json.decode(head, type=Request), body
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleRefused("content", "a request that this version cannot read") from error


def read_answer(item: bytes) -> tuple[Answer, bytes]:
    head, body = _taken_apart(item)
    try:
        return msgspec.json.decode(head, type=Answer), body
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleRefused("content", "an answer that this version cannot read") from error


def into_bundles(items: Iterable[bytes], room: int) -> Iterator[list[tuple[bytes, bool]]]:
    """The pieces of each bundle, (bytes, whether they end an item), of at most `room` bytes together."""
    now: list[tuple[bytes, bool]] = []
    left = room
    for item in items:
        start = 0
        while True:
            if not left or len(now) >= MOST_PIECES:
                yield now
                now, left = [], room
            piece = item[start : start + left]
            start += len(piece)
            left -= len(piece)
            now.append((piece, start >= len(item)))
            if start >= len(item):
                break
    if now:
        yield now


def pack(index: Index, pieces: Sequence[tuple[bytes, bool]]) -> bytes:
    """The content of one bundle."""
    told = msgspec.json.encode(
        msgspec.structs.replace(index, pieces=tuple(Piece(len(piece), ends) for piece, ends in pieces))
    )
    return b"".join((_LENGTH.pack(len(told)), told, *(piece for piece, _ in pieces)))


def unpack(content: bytes) -> tuple[Index, list[tuple[bytes, bool]]]:
    """Index and pieces. BundleRefused: it was made by a version that we do not understand."""
    try:
        (length,) = _LENGTH.unpack_from(content)
        index = msgspec.json.decode(content[_LENGTH.size : _LENGTH.size + length], type=Index)
        index.made_at  # noqa: B018 - a time that is none is told here
    except (msgspec.DecodeError, ValueError, TooShort) as error:
        raise BundleRefused("content", "its content cannot be read by this version") from error
    start, pieces = _LENGTH.size + length, []
    for piece in index.pieces:
        pieces.append((content[start : start + piece.length], piece.ends))
        start += piece.length
    if start != len(content):
        raise BundleRefused("content", "its pieces do not fill it exactly")
    return index, pieces


def in_base64(raw: bytes | None) -> str:
    return base64.b64encode(raw).decode() if raw else ""

"""The parcel: many deliveries in one request (architecture §8).

    FEP1 | length of the index, 4 bytes big-endian | index, JSON | frame | frame | …

The frames stand end to end in the order of the index; their lengths must fill the body exactly. The platform writes the
body as it came, so this layout is also the layout of its parcel files.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct as Layout
from typing import Annotated, Literal

import msgspec

from frontend_agent.model import Document

MAGIC = b"FEP1"
CONTENT_TYPE = "application/vnd.frontend-agent.parcel"
LARGEST_PARCEL = 64 << 20
MOST_DOCUMENTS = 1_000
LARGEST_INDEX = 2 << 20
LARGEST_WHOLE = 256 << 20  # uncompressed bytes of all documents of one parcel

_HEAD = Layout(">4sI")

Short = Annotated[str, msgspec.Meta(max_length=200)]
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
HashOrNone = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]
Form = Literal["", "as-is"]  # as-is: somebody else's document, told apart by its own header
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class ParcelMalformed(ValueError):
    """The body is not a parcel. Nothing of it was looked at further."""


class ParcelTooLarge(ParcelMalformed):
    """The body, or what it would expand to, is over a limit. Half of it may be fine."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the index says about one document; the platform holds the document against it."""

    document_id: Short
    set_id: Short
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    kind: Short
    sha256: Hash
    size: Count
    length: Count
    dictionary: HashOrNone = ""
    source_hash: Short = ""
    replaces_id: Short = ""
    void: bool = False
    form: Form = ""
    day: Annotated[int, msgspec.Meta(ge=0, le=99_991_231)] = 0  # of the event, local, yyyymmdd
    department: Short = ""


class LogHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest entry of the agent's chained log; the platform's signature over it is what makes the log provable."""

    seq: Count
    hash: Hash


class Index(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who sends, with which rules, and what follows."""

    institution: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    instance: Short
    lease: Short
    documents: list[Entry]
    log_head: LogHead | None = None
    packs: dict[Short, Short] = {}  # rule pack, profile … -> digest: rule skew is seen before it rejects anything


class Parcel(msgspec.Struct, frozen=True):
    index: Index
    frames: list[memoryview]
    offsets: list[int]  # of each frame in the body


_DECODER = msgspec.json.Decoder(Index)


def entry(document: Document, placed: bool = False) -> Entry:
    """`placed`: with the day and department that the agent counts it for; only for a platform that takes them."""
    return Entry(
        document_id=document.document_id,
        set_id=document.set_id,
        version=document.version,
        kind=document.kind,
        sha256=document.sha256,
        size=document.size,
        length=len(document.frame),
        dictionary=document.dictionary,
        source_hash=document.source_hash,
        replaces_id=document.replaces_id,
        void=document.void,
        form="as-is" if document.as_is else "",
        day=document.day if placed else 0,
        department=document.department if placed else "",
    )


def pack(
    documents: Sequence[Document],
    institution: str,
    instance: str,
    lease: str,
    log_head: LogHead | None = None,
    packs: Mapping[str, str] | None = None,
    placed: Callable[[Document], bool] = lambda document: False,
) -> bytes:
    """The request body for documents of one institution. `placed`: which of them say their day and department."""
    index = Index(
        institution=institution,
        instance=instance,
        lease=lease,
        documents=[entry(document, placed(document)) for document in documents],
        log_head=log_head,
        packs=dict(packs or {}),
    )
    return assemble(index, (document.frame for document in documents))


def assemble(index: Index, frames: Iterable[bytes | memoryview]) -> bytes:
    head = msgspec.json.encode(index)
    return b"".join((_HEAD.pack(MAGIC, len(head)), head, *frames))


def unpack(body: bytes | memoryview) -> Parcel:
    """Take a body apart without copying its frames. Strict: what is not exactly a parcel is not a parcel."""
    if len(body) > LARGEST_PARCEL:
        raise ParcelTooLarge(f"a parcel of more than {LARGEST_PARCEL} bytes")
    view = memoryview(body)
    if len(view) < _HEAD.size:
        raise ParcelMalformed("shorter than a parcel's head")
    magic, length = _HEAD.unpack_from(view)
    if magic != MAGIC:
        raise ParcelMalformed("does not start with FEP1")
    if length > LARGEST_INDEX:
        raise ParcelTooLarge(f"an index of more than {LARGEST_INDEX} bytes")
    start = _HEAD.size + length
    if len(view) < start:
        raise ParcelMalformed("cut inside its index")
    index = _index(view[_HEAD.size : start])
    frames, offsets = [], []
    for document in index.documents:
        offsets.append(start)
        frames.append(view[start : start + document.length])
        start += document.length
    if start != len(view):
        raise ParcelMalformed("its frames do not fill it exactly: cut, or too long")
    return Parcel(index, frames, offsets)


def _index(text: memoryview) -> Index:
    try:
        index = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # msgspec names the field and the type it wanted, never the value.
        raise ParcelMalformed(f"its index cannot be read: {error}") from error
    if not index.documents and index.log_head is None:
        raise ParcelMalformed("it holds no document")
    if len(index.documents) > MOST_DOCUMENTS:
        raise ParcelTooLarge(f"more than {MOST_DOCUMENTS} documents")
    if sum(document.size for document in index.documents) > LARGEST_WHOLE:
        raise ParcelTooLarge(f"expands to more than {LARGEST_WHOLE} bytes")
    return index

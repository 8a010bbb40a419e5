"""A document's zstd frame: made once by the agent, opened with suspicion by the platform (laws 2 and 5).

The shared dictionary is raw content (the kind's own static text), so that both sides derive it from a declaration and
nothing trained has to be carried. Compressors and decompressors are costly to make and cheap to use: keep them.
They are not safe to share between threads.
"""

from hashlib import sha256

import zstandard

LEVEL = 1
LARGEST_DOCUMENT = 32 << 20  # uncompressed bytes of one document
LARGEST_RATIO = 400  # of one document above BIG_ENOUGH_TO_HARM; honest ones with a dictionary reach about 50
BIG_ENOUGH_TO_HARM = 1 << 20
LARGEST_WINDOW = 64 << 20


class FrameRefused(ValueError):
    """The frame is not what its index entry says. The text says why and never quotes the content."""


def compressor(dictionary: bytes = b"", level: int = LEVEL) -> zstandard.ZstdCompressor:
    """A compressor whose frames state their size: the platform refuses those that do not."""
    return zstandard.ZstdCompressor(level=level, dict_data=_dictionary(dictionary), write_content_size=True)


def decompressor(dictionary: bytes = b"") -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(dict_data=_dictionary(dictionary), max_window_size=LARGEST_WINDOW)


def _dictionary(content: bytes) -> zstandard.ZstdCompressionDict | None:
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if content else None


def dictionary_id(content: bytes) -> str:
    """How both sides name a dictionary: its SHA-256, and nothing for none."""
    return sha256(content).hexdigest() if content else ""


def stated_size(frame: bytes | memoryview) -> int:
    """The uncompressed size that the frame's own header states. Reads a few bytes, decompresses nothing."""
    try:
        size: int = zstandard.frame_content_size(frame)
    except zstandard.ZstdError as error:
        raise FrameRefused("not a zstd frame") from error
    if size < 0:
        raise FrameRefused("the frame does not state its size")
    return size


def open_frame(frame: bytes | memoryview, size: int, opener: zstandard.ZstdDecompressor) -> bytes:
    """The document's bytes, exactly `size` of them. A bomb is refused by its header, before any memory is given to it."""
    if stated_size(frame) != size:
        raise FrameRefused("the frame states another size than the index")
    if size > LARGEST_DOCUMENT:
        raise FrameRefused(f"a document of more than {LARGEST_DOCUMENT} bytes")
    if size > BIG_ENOUGH_TO_HARM and size > LARGEST_RATIO * len(frame):
        raise FrameRefused(f"the frame expands more than {LARGEST_RATIO} times")
    try:
        document = opener.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FrameRefused("the frame is damaged, or was made with another dictionary") from error
    if len(document) != size:
        raise FrameRefused("the frame holds another size than it states")
    return document

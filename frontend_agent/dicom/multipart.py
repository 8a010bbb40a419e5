"""multipart/related as DICOMweb uses it (RFC 2046 §5.1, RFC 2387, PS3.18 §8.6.1.2), without I/O: bytes in, pieces of parts out.

    reader = MultipartReader(boundary_of(content_type))
    for found in reader.receive(chunk): …        # PartBegins, PartData, PartEnds
    reader.is_whole                              # its closing boundary came

What is held is at most one chunk and a boundary, however large a part is.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

LARGEST_HEAD = 16 * 1024  # bytes of one part's headers
_PADDING = 1024  # bytes of white space that may stand behind a boundary (RFC 2046 §5.1.1); nobody sends any
# RFC 2046 says 70 characters at most; Orthanc, as a client, sends 73.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,199}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)', re.ASCII)


class MultipartMalformed(ValueError):
    """The body is no multipart as its header says. Says what is wrong, and quotes nothing."""


class PartBegins(NamedTuple):
    """`headers`: names in small letters."""

    headers: Mapping[str, str]


class PartData(NamedTuple):
    """The next bytes of the part. They hold until `receive` is called again."""

    data: memoryview


class PartEnds(NamedTuple):
    """The part is whole."""


def content_type(header: str) -> tuple[str, dict[str, str]]:
    """The media type and parameters of a Content-Type header, names in small letters."""
    kind, _, _ = header.partition(";")
    found = {}
    for name, value in _PARAMETER.findall(header):
        found[name.lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return kind.strip().lower(), found


def boundary_of(header: str) -> str:
    """The boundary of a multipart Content-Type. MultipartMalformed: it is another type, or names none."""
    kind, parameters = content_type(header)
    if not kind.startswith("multipart/"):
        raise MultipartMalformed("its media type is not multipart")
    boundary = parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartMalformed("its media type names no boundary that is one")
    return boundary


class MultipartReader:
    """One body, taken apart as it comes. After MultipartMalformed it is of no more use."""

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        # The first boundary may begin the body; every other one stands behind an end of line, which is its own.
        self._rest = b"\r\n"
        self._step = self._preamble
        self._is_done = False
        self.is_whole = False

    def receive(self, *data: bytes) -> Iterator[PartBegins | PartData | PartEnds]:
        """The next bytes, in one piece or several: they are put together once. To be run to its end before the next.
        MultipartMalformed."""
        buffer = b"".join((self._rest, *data))
        self._rest = b""
        at = 0
        while not self.is_whole:
            found, after = self._step(buffer, at)
            yield from found
            if after < 0:  # more is needed
                return
            at = after

    # Each step looks at the buffer from `at` and says what it found, and where the next begins: -1 where it needs more, what it has
    # not used being kept in `_rest`.

    def _preamble(self, buffer: bytes, at: int) -> tuple[list[PartBegins | PartData | PartEnds], int]:
        """What stands before the first boundary is nothing (RFC 2046 §5.1.1)."""
        found = buffer.find(self._delimiter, at)
        if found < 0:
            self._rest = buffer[max(at, len(buffer) - len(self._delimiter) + 1) :]
            return [], -1
        self._step = self._behind
        return [], found + len(self._delimiter)

    def _behind(self, buffer: bytes, at: int) -> tuple[list[PartBegins | PartData | PartEnds], int]:
        """Behind a boundary: two hyphens end the body, an end of line begins a part."""
        if buffer.startswith(b"--", at):
            self.is_whole = True
            return [], at + 2
        line = buffer.find(b"\r\n", at)
        if line < 0:
            if len(buffer) - at > _PADDING:
                raise MultipartMalformed("no end of line behind a boundary")
            self._rest = buffer[at:]
            return [], -1
        if buffer[at:line].strip(b" \t"):
            raise MultipartMalformed("something stands behind a boundary")
        self._step = self._head
        return [], line  # a part without headers has an empty line at once: its end of line is seen again

    def _head(self, buffer: bytes, at: int) -> tuple[list[PartBegins | PartData | PartEnds], int]:
        """The headers up to an empty line; `at` is at the end of line before them."""
        end = buffer.find(b"\r\n\r\n", at)
        if end < 0 or end - at > LARGEST_HEAD:
            if len(buffer) - at > LARGEST_HEAD:
                raise MultipartMalformed(f"a part's headers are longer than {LARGEST_HEAD} bytes")
            self._rest = buffer[at:]
            return [], -1
        self._step = self._first
        return [PartBegins(_headers(buffer[at:end]))], end + 2

    def _first(self, buffer: bytes, at: int) -> tuple[list[PartBegins | PartData | PartEnds], int]:
        """At the empty line behind the headers: it may be the beginning of the next boundary, of a part without a body."""
        begins = buffer[at : at + len(self._delimiter)]
        if begins == self._delimiter:
            self._step = self._behind
            return [PartEnds()], at + len(self._delimiter)
        if self._delimiter.startswith(begins):
            self._rest = buffer[at:]
            return [], -1
        self._step = self._body
        return [], at + 2

    def _body(self, buffer: bytes, at: int) -> tuple[list[PartBegins | PartData | PartEnds], int]:
        found = buffer.find(self._delimiter, at)
        if found >= 0:
            self._step = self._behind
            data = [PartData(memoryview(buffer)[at:found])] if found > at else []
            return [*data, PartEnds()], found + len(self._delimiter)
        # The last bytes may be the beginning of a boundary.
        safe = max(at, len(buffer) - len(self._delimiter) + 1)
        self._rest = buffer[safe:]
        return ([PartData(memoryview(buffer)[at:safe])] if safe > at else []), -1


def _headers(block: bytes) -> dict[str, str]:
    found = {}
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
        elif line.strip():
            raise MultipartMalformed("a part's header has no colon")
    return found

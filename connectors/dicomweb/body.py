"""The body of a STOW-RS request: instances' files one after the other, read while they are sent (PS3.18 §8.6.1.2, RFC 2387)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from connectors.bandwidth import Bandwidth
from frontend_agent.instance_reading import Content, InstanceFile, opened, path_of


class Part(NamedTuple):
    """One instance's file."""

    file: InstanceFile
    size: int  # bytes


class StowBody:
    """Of known length, and never more than one piece of it in memory. To be sent once."""

    def __init__(self, parts: Sequence[Part], boundary: str, bandwidth: Bandwidth) -> None:
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self.content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        self.sent = 0  # bytes that were taken from it
        self._length = sum(len(head) + part.size + 2 for part in parts) + len(boundary) + 6
        self._bandwidth = bandwidth
        self._pieces = self._read(parts, head, f"--{boundary}--\r\n".encode())
        self._rest = memoryview(b"")

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(self._bandwidth.piece):
            yield piece

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes, when the bandwidth lets them go."""
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        most = self._bandwidth.piece
        piece = bytes(self._rest[: most if size < 0 else min(size, most)])
        self._rest = self._rest[len(piece) :]
        if piece:
            self._bandwidth.take(len(piece))
            self.sent += len(piece)
        return piece

    def _read(self, parts: Sequence[Part], head: bytes, tail: bytes) -> Iterator[bytes]:
        before = head
        for part in parts:
            with opened(part.file) as file:
                yield from _pieces(file, part, before, self._bandwidth.piece)
            before = b"\r\n" + head
        yield b"\r\n" + tail


def _pieces(file: Content, part: Part, before: bytes, most: int) -> Iterator[bytes]:
    """What stands before the file with its first bytes, then the others; exactly as many as were promised."""
    left = part.size
    if file.size != left:
        raise OSError(f"{path_of(part.file).name} is not as long as it was")
    while left:
        piece = file.read(min(most, left))
        if not piece:
            raise OSError(f"{path_of(part.file).name} is cut off")
        left -= len(piece)
        yield before + piece if before else piece
        before = b""

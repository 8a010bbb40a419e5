"""Our side of the process that touches pixels."""

import threading
from importlib.util import find_spec

import msgspec

from frontend_agent.errors import ConfigurationError
from frontend_agent.processes import Child

SECONDS = 120.0  # of one question
_NEEDED = ("numpy", "PIL", "jpeg_ls", "openjpeg", "rle")


class Frame(msgspec.Struct, frozen=True, tag="frame"):
    """One native frame, little endian, to be compressed without loss: how it lies (PS3.3 C.7.6.3)."""

    transfer_syntax_uid: str
    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    pixel_representation: int
    planar_configuration: int = 0


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """A picture file (TIFF, PNG, JPEG), whose pages are wanted one after the other, from the first."""

    page: int = 0


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page. Its samples follow, compressed as `transfer_syntax_uid` says. `why`: there is none."""

    why: str = ""
    pages: int = 0
    rows: int = 0
    columns: int = 0
    samples_per_pixel: int = 1
    bits_allocated: int = 8


Question = Frame | Picture


class PixelsFailed(Exception):
    """It cannot be done, and why; nothing of the picture is quoted."""


class PixelProcess:
    """Asked one question after the other. Made when it is first asked; after a fault or a time-out, made anew."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._child: Child | None = None
        self._lock = threading.Lock()

    def frame(self, frame: Frame, samples: bytes | memoryview) -> bytes:
        """One compressed frame, whose decoding was compared with what came. PixelsFailed."""
        answer, content = self._ask(frame, samples)
        if answer.why:
            raise PixelsFailed(answer.why)
        return content

    def page(self, content: bytes, number: int) -> tuple[Page, bytes]:
        """A page of a picture file, its samples compressed by RLE. PixelsFailed."""
        page, samples = self._ask(Picture(number), content)
        if page.why:
            raise PixelsFailed(page.why)
        return page, samples

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, question: Question, content: bytes | memoryview) -> tuple[Page, bytes]:
        with self._lock:
            if self._child is None or not self._child.is_alive():
                require()
                from frontend_agent.imaging.pixels.working import work

                self._child = Child(work, "pixels")
            pipe = self._child.pipe
            try:
                pipe.send_bytes(msgspec.json.encode(question))
                pipe.send_bytes(content)
                if not pipe.poll(self._seconds):
                    self._end()
                    raise PixelsFailed(f"it took longer than {self._seconds:.0f} s")
                return msgspec.json.decode(pipe.recv_bytes(), type=Page), pipe.recv_bytes()
            except (EOFError, OSError):
                self._end()
                raise PixelsFailed("the process that read it ended: it is damaged, or too large") from None

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.close()
            self._child = None


def require() -> None:
    """ConfigurationError where what it needs is not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"pixels cannot be touched here: install the extra viewer (frontend-agent[viewer]; missing: {', '.join(missing)})"
        )

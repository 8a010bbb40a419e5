"""How a picture is wanted (PS3.18 §8.3.5): frame, window, viewport, media type. Pure.

Everything of it has bounds: a question never decides how much memory an answer takes.
"""

import math
import re
from collections.abc import Mapping

import msgspec

JPEG, PNG = "image/jpeg", "image/png"
MEDIA_TYPES = (JPEG, PNG)
PREVIEW = 256  # pixels on the longer side of a thumbnail, unless it is asked otherwise (PS3.18 §8.3.5.1.3)
LARGEST = 8192  # pixels of a side of what is answered
FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?", re.ASCII)


class NotUnderstood(ValueError):
    """The question cannot be answered: 400. Says which parameter and how it is to be."""


class NotOffered(ValueError):
    """No media type that is accepted can be given: 406."""


class Viewport(msgspec.Struct, frozen=True):
    """The picture fits into width x height. Of the source, the region that begins at `left`, `top`: a `wide` or `high` below zero mirrors it,
    zero is to the source's end."""

    width: int
    height: int
    left: float = 0.0
    top: float = 0.0
    wide: float = 0.0
    high: float = 0.0


class Window(msgspec.Struct, frozen=True):
    """In units of the modality (PS3.3 C.11.2)."""

    center: float
    width: float
    function: str = "LINEAR"


class Asked(msgspec.Struct, frozen=True):
    """One picture."""

    frame: int = 1
    media_type: str = JPEG
    viewport: Viewport | None = None
    window: Window | None = None
    quality: int = 90


def asked(query: Mapping[str, str], accept: str = "", *, frame: int = 1, thumbnail: bool = False) -> Asked:
    """From a request's parameters and its Accept header. NotUnderstood, NotOffered."""
    viewport = _viewport(query["viewport"], thumbnail) if query.get("viewport") else None
    return Asked(
        frame=frame,
        media_type=_media_type(query.get("accept", "") or accept),
        viewport=viewport or (Viewport(PREVIEW, PREVIEW) if thumbnail else None),
        window=_window(query["window"]) if query.get("window") else None,
        quality=_quality(query["quality"]) if query.get("quality") else 90,
    )


def frames_asked(text: str) -> list[int]:
    """`1,3,7` of an address (PS3.18 §10.4.1.1.6)."""
    parts = text.split(",")
    if len(parts) > 1000 or not all(re.fullmatch(r"[1-9][0-9]{0,8}", part, re.ASCII) for part in parts):
        raise NotUnderstood("frames are numbers from 1 on, with commas between them")
    return [int(part) for part in parts]


def _media_type(accept: str) -> str:
    """The first of the best that we make. `*/*`, image/* and nothing said are JPEG (PS3.18 §8.7.4)."""
    ranked: list[tuple[float, int, str]] = []
    for at, part in enumerate(accept.lower().split(",")):
        kind, *parameters = (word.strip() for word in part.split(";"))
        weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        if kind and re.fullmatch(r"[01](\.[0-9]{0,3})?", weight, re.ASCII) and float(weight) > 0:
            ranked.append((-float(weight), at, kind))
    if not ranked:
        return JPEG
    for _, _, kind in sorted(ranked):
        if kind in ("*/*", "image/*"):
            return JPEG
        if kind in MEDIA_TYPES:
            return kind
    raise NotOffered(f"pictures are given as {JPEG} and {PNG}")


def _viewport(text: str, thumbnail: bool) -> Viewport:
    parts = text.split(",")
    if len(parts) not in ((2,) if thumbnail else (2, 6)):
        raise NotUnderstood("viewport=WIDTH,HEIGHT or viewport=WIDTH,HEIGHT,X,Y,REGIONWIDTH,REGIONHEIGHT")
    width, height = (_number("viewport", part) for part in parts[:2])
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        raise NotUnderstood(f"viewport: width and height are 1 to {LARGEST} pixels")
    left, top, wide, high = (_number("viewport", part) if part else 0.0 for part in (*parts[2:], "", "", "", "")[:4])
    if left < 0 or top < 0:
        raise NotUnderstood("viewport: its region begins inside of the image")
    return Viewport(int(width), int(height), left, top, wide, high)


def _window(text: str) -> Window:
    center, width, function = (*text.split(","), "", "")[:3]
    name = FUNCTIONS.get(function.lower() or "linear")
    if name is None or text.count(",") > 2:
        raise NotUnderstood(f"window=CENTER,WIDTH,FUNCTION with one of {', '.join(FUNCTIONS)}")
    window = Window(_number("window", center), _number("window", width), name)
    if window.width < 1 if name == "LINEAR" else window.width <= 0:
        raise NotUnderstood("window: its width is at least 1 (linear), or more than 0")  # PS3.3 C.11.2.1.2
    return window


def _quality(text: str) -> int:
    quality = _number("quality", text)
    if not 1 <= quality <= 100 or quality != int(quality):
        raise NotUnderstood("quality is a whole number from 1 to 100")
    return int(quality)


def _number(what: str, text: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise NotUnderstood(f"{what}: not a number where one should be")
    value = float(text)
    if not math.isfinite(value) or abs(value) > 1e12:
        raise NotUnderstood(f"{what}: a number out of all bounds")
    return value

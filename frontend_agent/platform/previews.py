"""`rendered` and `thumbnail` of DICOMweb (PS3.18 §10.4.1): pictures of stored instances, for viewers and our own pages.

A picture is drawn in the confined child process (rendering/); a document that an instance encapsulates is handed out as it is.
"""

import mmap
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import BinaryIO
from uuid import uuid4

import anyio
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from frontend_agent.dicom.elements import DataSetMalformed, walk
from frontend_agent.dicom.nesting import Span
from frontend_agent.dicom.part10 import read_meta
from frontend_agent.dicom.uids import encoding_of, is_uid
from frontend_agent.errors import StateError
from frontend_agent.platform.api import Answering, Problem, translated
from frontend_agent.platform.images.catalogue import ImageCatalogue, Instance
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.peers import Refusal
from frontend_agent.platform.rendering.asked import (
    Asked,
    NotOffered,
    NotUnderstood,
    asked,
    frames_asked,
)
from frontend_agent.platform.rendering.renderer import Drawn, NotDrawn, Renderer
from frontend_agent.wire.images import DICOMWEB

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
PDF = "application/pdf"
_DOCUMENT, _DOCUMENT_LENGTH = 0x0042_0011, 0x0042_0015
MOST_PICTURES = 2_000  # of one answer for a whole series or study
PIECE = 1 << 20  # bytes of a document at a time
DRAWING = 4  # threads that wait for pictures; whoever else asks for one waits without, so that everything else is answered meanwhile

# Why there is no picture: status, and what is true (PS3.18 §8.5, table 10.4.3-2).
_WHY: Mapping[str, tuple[int, str]] = {
    "no-pixels": (406, "this instance holds no image"),
    "no-frame": (404, "the instance has no such frame"),
    "no-region": (400, "the viewport's region lies outside of the image"),
    "unsupported": (406, "no decoder for its transfer syntax or kind of pixels is here; the instance itself can be fetched"),
    "damaged": (406, "its pixels cannot be decoded: they are damaged or cut off"),
    "too-large": (406, "its pixels need more memory than a preview may take"),
    "too-slow": (406, "its pixels took longer to decode than a preview may"),
    "busy": (503, "too many previews are asked for; try again"),
    "missing": (501, "this platform was installed without previews"),
    "away": (404, "its pixels are at the hospital; they can be asked for"),
}  # fmt: skip


class Previews(Answering):
    def __init__(self, images: ImageCatalogue, renderer: Renderer, metrics: Metrics) -> None:
        super().__init__(metrics)
        self._images = images
        self._renderer = renderer
        self._drawing = anyio.CapacityLimiter(DRAWING)

    def operations(self) -> list[Operation]:
        return [
            one for base in (DICOMWEB, "/v1/institutions/{institution}" + DICOMWEB) for one in self._operations(base)
        ]

    def _operations(self, base: str) -> list[Operation]:
        study = base + "/studies/{study}"
        series = study + "/series/{series}"
        instance = series + "/instances/{instance}"
        frames = instance + "/frames/{frames}"
        how = {
            "viewport": "WIDTH,HEIGHT,X,Y,W,H: as large as fits; X and what follows name a region",
            "window": "CENTER,WIDTH,FUNCTION",
            "quality": "1 to 100, of JPEG",
            "accept": "image/jpeg or image/png, as the header",
        }
        small = {"viewport": "WIDTH,HEIGHT", "accept": "image/jpeg or image/png, as the header"}
        answers: dict[int, type[msgspec.Struct] | str] = {
            400: Problem,
            404: Problem,
            406: Problem,
            501: Problem,
            503: Problem,
        }
        one: dict[int, type[msgspec.Struct] | str] = {200: "JPEG or PNG", **answers}
        many: dict[int, type[msgspec.Struct] | str] = {
            200: "multipart/related of JPEG or PNG, one part a frame",
            **answers,
        }
        return [
            *(Operation("GET", place + "/thumbnail", self.thumbnail, "A small picture that stands for it; an icon where there is none", small, answers=one, media_type="image/jpeg") for place in (study, series, instance, frames)),
            *(Operation("GET", place + "/rendered", self.rendered, "Pictures of an instance, windowed and scaled; of an encapsulated PDF, the PDF", how, answers=one, media_type="image/jpeg") for place in (instance, frames)),
            *(Operation("GET", place + "/rendered", self.all_rendered, "Pictures of all its frames", how, answers=many, media_type="multipart/related") for place in (study, series)),
        ]  # fmt: skip

    @translated
    async def rendered(self, request: Request) -> Response:
        instance = await run_in_threadpool(self._one, request)
        if instance.sop_class_uid == ENCAPSULATED_PDF:
            return await run_in_threadpool(self._document, instance)
        frames = _understood(lambda: frames_asked(request.path_params.get("frames", "1")))
        wanted = [_question(request, frame=frame) for frame in frames]
        if len(wanted) > 1:
            return await self._multipart(iter([(instance, one) for one in wanted]), wanted[0].media_type)
        return _picture(await self._drawn(instance, wanted[0]))

    @translated
    async def all_rendered(self, request: Request) -> Response:
        instances = await run_in_threadpool(self._found, request)
        question = _question(request)
        places = [
            (one, Asked(frame, question.media_type, question.viewport, question.window, question.quality))
            for one in instances
            if one.held and one.has_pixel_data
            for frame in range(1, max(one.frames, 1) + 1)
        ]
        if not places:
            raise _refusal("no-pixels" if any(one.held for one in instances) else "away")
        if len(places) > MOST_PICTURES:
            raise Refusal(406, "too-many", f"{len(places)} frames; {MOST_PICTURES} of one answer at most")
        return await self._multipart(iter(places), question.media_type)

    @translated
    async def thumbnail(self, request: Request) -> Response:
        instances = await run_in_threadpool(self._found, request)
        frames = _understood(lambda: frames_asked(request.path_params.get("frames", "1")))
        pictures = [one for one in instances if one.held and one.has_pixel_data]
        if not pictures:
            return _icon("document" if any(one.held for one in instances) else "away")
        shown = pictures[len(pictures) // 2]  # the one in the middle stands for the others
        in_frames = "frames" in request.path_params
        frame = frames[0] if in_frames else (max(shown.frames, 1) + 1) // 2
        question = _question(request, frame=frame, thumbnail=True)
        try:
            return _picture(await self._drawn(shown, question))
        except Refusal as refusal:
            if refusal.status not in (406, 501):
                raise
            return _icon("broken")

    # --- finding and drawing -----------------------------------------------------------------------------------------

    def _found(self, request: Request) -> Sequence[Instance]:
        """What the address names; of all hospitals unless it names one."""
        uids = [str(request.path_params.get(name, "")) for name in ("study", "series", "instance")]
        if any(uid and not is_uid(uid) for uid in uids):
            raise Refusal(400, "malformed", "the address names no UIDs")
        found = self._images.find(*uids, institution=request.path_params.get("institution", ""))
        if not found:
            raise Refusal(404, "unknown", "no such study, series or instance is here")
        return found

    def _one(self, request: Request) -> Instance:
        found = self._found(request)
        return next((one for one in found if one.held), found[0])

    async def _drawn(self, instance: Instance, question: Asked) -> Drawn:
        return await anyio.to_thread.run_sync(self._draw, instance, question, limiter=self._drawing)

    def _draw(self, instance: Instance, question: Asked) -> Drawn:
        if not instance.held:
            raise _refusal("away")
        if not instance.has_pixel_data:
            raise _refusal("no-pixels")
        try:
            return self._renderer.draw(lambda: self._images.read(instance), question, instance.sha256)
        except NotDrawn as error:
            raise _refusal(error.why) from None

    async def _multipart(self, places: Iterator[tuple[Instance, Asked]], media_type: str) -> Response:
        """One after the other, never all in memory. A frame that cannot be drawn says so in its part's header."""
        # The first is drawn before the answer begins, so that what holds for all of them is a status.
        first = next(places)
        drawn = await self._drawn(*first)
        boundary = uuid4().hex

        async def parts() -> AsyncIterator[bytes]:
            yield _part(boundary, first[0], first[1], drawn)
            for instance, question in places:
                try:
                    yield _part(boundary, instance, question, await self._drawn(instance, question))
                except Refusal as refusal:
                    yield f"--{boundary}\r\nContent-Type: text/plain\r\n\r\n{refusal.detail}\r\n".encode()
                except StateError:
                    yield f"--{boundary}\r\nContent-Type: text/plain\r\n\r\nits file is missing\r\n".encode()
            yield f"--{boundary}--\r\n".encode()

        kind = f'multipart/related; type="{media_type}"; boundary={boundary}'
        return StreamingResponse(parts(), headers={"Content-Type": kind})

    def _document(self, instance: Instance) -> Response:
        if not instance.held:
            raise _refusal("away")
        with self._images.read(instance) as file:
            document = encapsulated(file)
            file.seek(document.start)
            if document.end - document.start < 4 or file.read(4) != b"%PDF":
                raise _refusal("damaged")
        headers = {
            "Content-Disposition": f'attachment; filename="{instance.sop_instance_uid}.pdf"',
            "Content-Length": str(document.end - document.start),
        }
        return StreamingResponse(self._piece_by_piece(instance, document), media_type=PDF, headers=headers)

    def _piece_by_piece(self, instance: Instance, document: Span) -> Iterator[bytes]:
        with self._images.read(instance) as file:
            file.seek(document.start)
            left = document.end - document.start
            while left and (piece := file.read(min(left, PIECE))):
                left -= len(piece)
                yield piece


def encapsulated(file: BinaryIO) -> Span:
    """Where the document within an instance lies in its file (PS3.3 C.24.2), without its padding. Empty: there is none that can be read."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        said = read_meta(data)
        encoding = encoding_of(said.transfer_syntax_uid)
        length, document = -1, Span(0, 0)
        try:
            for element in walk(data, encoding, said.data_set_at, until=_DOCUMENT_LENGTH + 1):
                if element.tag == _DOCUMENT and element.length >= 0:
                    document = Span(element.start, element.end)
                elif element.tag == _DOCUMENT_LENGTH and element.length == 4:
                    order = "big" if encoding.is_big_endian else "little"
                    length = int.from_bytes(data[element.start : element.end], order)  # type: ignore[arg-type]
        except DataSetMalformed:
            return Span(0, 0)
        if 0 <= length <= document.end - document.start:
            return Span(document.start, document.start + length)
        return document._replace(end=document.end - (data[document.end - 1 : document.end] == b"\0"))


def _understood(ask: Callable[[], list[int]]) -> list[int]:
    try:
        return ask()
    except NotUnderstood as error:
        raise Refusal(400, "malformed", str(error)) from None


def _question(request: Request, frame: int = 1, thumbnail: bool = False) -> Asked:
    accept = _inner(request.headers.get("accept", ""))
    try:
        return asked(request.query_params, accept, frame=frame, thumbnail=thumbnail)
    except NotUnderstood as error:
        raise Refusal(400, "malformed", str(error)) from None
    except NotOffered as error:
        raise Refusal(406, "media-type", str(error)) from None


def _inner(accept: str) -> str:
    """multipart/related; type="image/png" asks for PNG in its parts (PS3.18 §8.7.4)."""
    if "multipart/related" not in accept:
        return accept
    return next((kind for kind in ("image/png", "image/jpeg") if kind in accept), "")


def _refusal(why: str) -> Refusal:
    status, detail = _WHY[why]
    return Refusal(status, why, detail)


def _picture(drawn: Drawn) -> Response:
    return Response(drawn.content, media_type=drawn.media_type)


def _part(boundary: str, instance: Instance, question: Asked, drawn: Drawn) -> bytes:
    place = f"instances/{instance.sop_instance_uid}/frames/{question.frame}/rendered"
    head = f"--{boundary}\r\nContent-Type: {drawn.media_type}\r\nContent-Location: {place}\r\n\r\n"
    return head.encode() + drawn.content + b"\r\n"


_ICONS = {  # lines in a square of 100
    "document": "M30 18h28l14 14v50H30z M58 18v14h14 M38 46h26 M38 56h26 M38 66h18",
    "away": "M26 78V30l24-12 24 12v48z M44 78V62h12v16 M50 30v16 M42 38h16",
    "broken": "M20 26h60v48H20z M20 66l20-20 14 14 8-8 18 18 M30 20l40 60",
}


def _icon(name: str) -> Response:
    """What stands for what has no picture: a document, pixels that are at the hospital, pixels that cannot be shown."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect width="100" height="100" fill="#1c2529"/>'
        f'<path d="{_ICONS[name]}" fill="none" stroke="#8fa3a8" stroke-width="3" stroke-linejoin="round"/></svg>'
    )
    return Response(svg, media_type="image/svg+xml")

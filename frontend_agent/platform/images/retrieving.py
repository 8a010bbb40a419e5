"""Searching and retrieving over the web: QIDO-RS and WADO-RS (PS3.18 §10.4, §10.6), for all hospitals or for one.

Instances leave as their files lie, piece by piece. Where a study is known by its index alone, asking for its pixels makes the
hospital's agent send them: the answer is 503 with Retry-After until they are here.
"""

import contextlib
import functools
import mmap
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from frontend_agent.dicom.elements import Buffer, DataSetMalformed, Element
from frontend_agent.dicom.frames import Frames, NoFrames, frames_of
from frontend_agent.dicom.header import HeaderUnreadable, inflated, read_header
from frontend_agent.dicom.json_model import find, json_of, little_endian
from frontend_agent.dicom.nesting import vr_of
from frontend_agent.dicom.part10 import read_meta
from frontend_agent.dicom.uids import EXPLICIT_LE, Encoding, encoding_of, is_uid
from frontend_agent.platform.api import Answering, Problem, Refusal, translated
from frontend_agent.platform.images import accepting, qido
from frontend_agent.platform.images.catalogue import Instance
from frontend_agent.platform.images.store import ImageStore
from frontend_agent.platform.judging import is_institution
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation
from frontend_agent.wire.images import DICOMWEB, dicomweb_path

PIECE = 1 << 20  # bytes of an answer at a time
MOST_FRAMES = 1_000  # of one question
JSON = "application/dicom+json"
_INFLATED = threading.BoundedSemaphore(2)  # deflated data sets in memory at a time (threat D4)
AT_HOSPITAL = "its pixels are still at the hospital; its agent is asked for them, try again soon"


class Retrieval(Answering):
    """The endpoints. Files are read where they lie; in memory is a piece of an answer, or one frame."""

    def __init__(self, images: ImageStore, metrics: Metrics):
        super().__init__(metrics)
        self._images = images

    # --- searching -----------------------------------------------------------------------------------------------------

    @translated
    async def studies(self, request: Request) -> Response:
        query, base = self._query(request, qido.STUDIES), base_of(request)
        rows = await run_in_threadpool(self._images.asked_studies, query)
        return _results(query, [qido.study_json(one, base) for one in rows])

    @translated
    async def series(self, request: Request) -> Response:
        query, base = self._query(request, qido.SERIES), base_of(request)
        rows = await run_in_threadpool(self._images.asked_series, query)
        return _results(query, [qido.series_json(*one, base) for one in rows])

    @translated
    async def instances(self, request: Request) -> Response:
        query, base = self._query(request, qido.INSTANCES), base_of(request)
        rows = await run_in_threadpool(self._images.asked_instances, query)
        return _results(query, [qido.instance_json(*one, base) for one in rows])

    def _query(self, request: Request, level: str) -> qido.Query:
        if not accepting.takes_json(request.headers.get("accept", "")):
            raise Refusal(406, "not-acceptable", f"results are {JSON}")
        uids = {name: uid_of(request, name) for name in ("study", "series") if name in request.path_params}
        try:
            return qido.query_of(request.query_params.multi_items(), level, institution=institution_of(request), **uids)
        except qido.BadQuery as error:
            raise Refusal(400, "query", str(error)) from None

    # --- instances whole -----------------------------------------------------------------------------------------------

    @translated
    async def whole(self, request: Request) -> Response:
        """A study, a series or an instance, as files."""
        found, missing = await self._found(request)
        header = request.headers.get("accept", "")
        forms = {accepting.instance_form(header, one.transfer_syntax_uid) for one in found}
        if None in forms:
            stored = ", ".join(sorted({one.transfer_syntax_uid for one in found}))
            raise Refusal(
                406, "not-acceptable", f"instances leave as they are stored, in {stored}; nothing is transcoded"
            )
        self._metrics.instances_sent.inc(len(found))
        if forms == {"single"} and len(found) == 1:
            headers = {"Content-Length": str(found[0].size)}
            return StreamingResponse(self._file(found[0]), media_type=accepting.DICOM, headers=headers)
        parts = [
            (f"{accepting.DICOM}; transfer-syntax={one.transfer_syntax_uid}", one.size, self._reader(one))
            for one in found
        ]
        return _multipart(accepting.DICOM, parts, 206 if missing else 200)

    def _reader(self, instance: Instance) -> Callable[[], Iterator[bytes]]:
        return lambda: self._file(instance)

    def _file(self, instance: Instance) -> Iterator[bytes]:
        with self._images.read(instance) as file:
            while piece := file.read(PIECE):
                yield piece

    # --- metadata ------------------------------------------------------------------------------------------------------

    @translated
    async def metadata(self, request: Request) -> Response:
        """All attributes but the bulk, of every instance that is named."""
        if not accepting.takes_json(request.headers.get("accept", "")):
            raise Refusal(406, "not-acceptable", f"metadata are {JSON}")
        found, missing = await self._found(request)
        base = base_of(request)

        def objects() -> Iterator[bytes]:
            for number, one in enumerate(found):
                yield b"[" if number == 0 else b","
                yield msgspec.json.encode(self._metadata(one, base))
            yield b"]"

        return StreamingResponse(objects(), 206 if missing else 200, media_type=JSON)

    def _metadata(self, instance: Instance, base: str) -> dict[str, Any]:
        address = _address(base, instance)
        try:
            with self._images.read(instance) as file, _data_set(file) as (data, encoding, at, _):
                found = json_of(data, encoding, at, lambda path: f"{address}/bulkdata/{path}")
        except (
            Refusal
        ):  # sequences that cannot be taken apart: what the index knows, so that the others are not held up
            found = qido.known_json(instance)
        found["00083002"] = {"vr": "UI", "Value": [instance.transfer_syntax_uid]}  # AvailableTransferSyntaxUID
        return dict(sorted(found.items()))

    # --- frames and bulk data ------------------------------------------------------------------------------------------

    @translated
    async def frames(self, request: Request) -> Response:
        """Frames of an image, as they are stored: native pixels in little endian, or compressed."""
        instance = await self._one(request)
        form = accepting.frame_form(request.headers.get("accept", ""), instance.transfer_syntax_uid)
        if form is None:
            raise Refusal(
                406,
                "not-acceptable",
                f"frames leave as they are stored, in {instance.transfer_syntax_uid}: ask with transfer-syntax=*, or for "
                "what is rendered",
            )
        numbers = _frame_numbers(str(request.path_params["frames"]))
        frames = await run_in_threadpool(self._frames, instance, numbers)
        kind = f"{form.kind}; transfer-syntax={form.transfer_syntax}" if form.transfer_syntax else form.kind
        if not form.is_multipart:
            if len(frames) > 1:
                raise Refusal(406, "not-acceptable", "several frames are multipart/related")
            return Response(frames[0](), media_type=kind)
        return _multipart(form.kind, [(kind, -1, _just(frame)) for frame in frames], 200)

    def _frames(self, instance: Instance, numbers: Sequence[int]) -> list[Callable[[], bytes]]:
        with self._images.read(instance) as file, _data_set(file) as (data, _, at, syntax):
            frames = _frames(data, syntax, at)
            if any(number > len(frames) for number in numbers):
                raise Refusal(404, "no-frame", f"it has {len(frames)} frames")
        return [functools.partial(self._frame, instance, frames, number) for number in numbers]

    def _frame(self, instance: Instance, frames: Frames, number: int) -> bytes:
        with self._images.read(instance) as file, _data_set(file) as (data, _, _, _):
            return frames.read(data, number)

    @translated
    async def bulkdata(self, request: Request) -> Response:
        """The value that a BulkDataURI names."""
        instance = await self._one(request)
        form = accepting.bulk_form(request.headers.get("accept", ""))
        if form is None:
            raise Refusal(406, "not-acceptable", f"bulk data are {accepting.OCTETS}")
        path = str(request.path_params["path"])
        size = await run_in_threadpool(self._bulk_size, instance, path)
        pieces = functools.partial(self._bulk, instance, path)
        if form.is_multipart:
            return _multipart(form.kind, [(form.kind, size, pieces)], 200)
        return StreamingResponse(pieces(), media_type=form.kind, headers={"Content-Length": str(size)})

    def _bulk_size(self, instance: Instance, path: str) -> int:
        with self._images.read(instance) as file, _data_set(file) as (data, encoding, at, _):
            element, _ = _bulk_element(data, encoding, at, path)
            return element.end - element.start

    def _bulk(self, instance: Instance, path: str) -> Iterator[bytes]:
        with self._images.read(instance) as file, _data_set(file) as (data, encoding, at, _):
            element, encoding = _bulk_element(data, encoding, at, path)
            vr = vr_of(element)
            for start in range(element.start, element.end, PIECE):  # a whole number of words of any size
                yield little_endian(bytes(data[start : min(start + PIECE, element.end)]), vr, encoding)

    # --- what an address names -----------------------------------------------------------------------------------------

    async def _found(self, request: Request) -> tuple[list[Instance], int]:
        """The instances whose files are here, and how many are not. None of them: 404, or 503 while the hospital is asked."""
        study, series, instance = (uid_of(request, name, optional=True) for name in ("study", "series", "instance"))
        institution = institution_of(request)
        found = await run_in_threadpool(lambda: self._images.find(study, series, instance, institution=institution))
        if not found:
            raise Refusal(404, "unknown", "nothing of that address is here")
        here = _once([one for one in found if one.held])
        missing = len(found) - sum(one.held for one in found)
        if missing:
            await run_in_threadpool(self._images.want, study, institution, "retrieved")
        if not here:
            raise Refusal(503, "at-hospital", AT_HOSPITAL)
        return here, missing

    async def _one(self, request: Request) -> Instance:
        found, _ = await self._found(request)
        return found[0]

    def operations(self) -> list[Operation]:
        """At both bases, every endpoint with every answer it gives."""
        found = []
        for base in (DICOMWEB, "/v1/institutions/{institution}" + DICOMWEB):
            whose = "of one hospital" if "{" in base else "of all hospitals"
            study = base + "/studies/{study}"
            series = study + "/series/{series}"
            instance = series + "/instances/{instance}"
            searches: list[tuple[str, Callable[[Request], Any], str]] = [
                (base + "/studies", self.studies, "studies"),
                (base + "/series", self.series, "series"),
                (base + "/instances", self.instances, "instances"),
                (study + "/series", self.series, "a study's series"),
                (study + "/instances", self.instances, "a study's instances"),
                (series + "/instances", self.instances, "a series' instances"),
            ]
            found += [
                Operation(
                    "GET",
                    path,
                    endpoint,
                    f"QIDO-RS: {what} {whose}",
                    query={
                        "limit": f"results, {qido.USUAL} unless said, {qido.MOST} at most",
                        "offset": "results passed over",
                        "fuzzymatching": "answered literally, with a warning",
                        "includefield": "all that is indexed is answered anyway",
                        "PatientID": "and every other indexed attribute, by keyword or tag",
                    },
                    answers={
                        200: "results as DICOM JSON",
                        204: "there are none",
                        400: Problem,
                        406: Problem,
                        503: Problem,
                    },
                    media_type=JSON,
                )
                for path, endpoint, what in searches
            ]
            answers: Mapping[int, type[msgspec.Struct] | str] = {
                200: "as asked for", 206: "those that are here; the others are still at the hospital", 400: Problem,
                404: Problem, 406: Problem, 503: Problem,
            }  # fmt: skip
            for path, what in ((study, "a study"), (series, "a series"), (instance, "an instance")):
                found.append(
                    Operation(
                        "GET",
                        path,
                        self.whole,
                        f"WADO-RS: {what} {whose}, as stored",
                        answers=answers,
                        media_type="multipart/related; type=application/dicom",
                    )
                )
                found.append(
                    Operation(
                        "GET",
                        path + "/metadata",
                        self.metadata,
                        f"WADO-RS: metadata of {what} {whose}",
                        answers=answers,
                        media_type=JSON,
                    )
                )
            found.append(
                Operation(
                    "GET",
                    instance + "/frames/{frames}",
                    self.frames,
                    f"WADO-RS: frames {whose}, as stored",
                    answers=answers,
                    media_type="multipart/related; type=application/octet-stream",
                )
            )
            found.append(
                Operation(
                    "GET",
                    instance + "/bulkdata/{path:path}",
                    self.bulkdata,
                    f"WADO-RS: a value by its BulkDataURI {whose}",
                    answers=answers,
                    media_type="multipart/related; type=application/octet-stream",
                )
            )
        return found  # fmt: skip


# --- addresses --------------------------------------------------------------------------------------------------------------


def institution_of(request: Request) -> str:
    """The hospital of the address; "" for all."""
    name = str(request.path_params.get("institution", ""))
    if name and not is_institution(name):
        raise Refusal(404, "institution", "its institution is not a name")
    return name


def uid_of(request: Request, name: str, optional: bool = False) -> str:
    """A UID of the address; "" where it has none."""
    uid = str(request.path_params.get(name, ""))
    if (uid or not optional) and not is_uid(uid):
        raise Refusal(400, "malformed", f"{name} is no UID")
    return uid


def base_of(request: Request) -> str:
    """The DICOMweb base by which we were asked."""
    institution = str(request.path_params.get("institution", ""))
    path = dicomweb_path(institution) if institution else DICOMWEB
    return f"{request.url.scheme}://{request.url.netloc}{path}"


def _address(base: str, one: Instance) -> str:
    return f"{base}/studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances/{one.sop_instance_uid}"


def _once(found: Sequence[Instance]) -> list[Instance]:
    """The same file from two hospitals leaves once. Other bytes under one UID are two instances, and both leave."""
    seen = set()
    kept = []
    for one in found:
        key = (one.sop_instance_uid, one.sha256)
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept


def _frame_numbers(text: str) -> list[int]:
    numbers = text.split(",")
    if len(numbers) > MOST_FRAMES or not all(one.isdecimal() and one.isascii() and 0 < len(one) < 8 for one in numbers):
        raise Refusal(400, "malformed", f"frames are numbers from 1 on, apart by commas, {MOST_FRAMES} at most")
    if "0" in {one.lstrip("0") or "0" for one in numbers}:
        raise Refusal(400, "malformed", "frames are counted from 1")
    return [int(one) for one in numbers]


# --- files ------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _data_set(file: BinaryIO) -> Iterator[tuple[Buffer, Encoding, int, str]]:
    """The data set of a stored file: where it lies, how it is written, where it begins, its transfer syntax.

    A deflated one is inflated, up to a limit; its encoding is then explicit VR.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        said = read_meta(data)
        encoding = encoding_of(said.transfer_syntax_uid)
        try:
            if encoding.is_deflated:
                with _INFLATED:
                    yield inflated(data, said.data_set_at), Encoding(), 0, said.transfer_syntax_uid
            else:
                yield data, encoding, said.data_set_at, said.transfer_syntax_uid
        except (DataSetMalformed, HeaderUnreadable) as error:
            raise Refusal(422, "unreadable", f"its data set cannot be taken apart: {error}") from None


def _frames(data: Buffer, transfer_syntax: str, at: int) -> Frames:
    plain = EXPLICIT_LE if encoding_of(transfer_syntax).is_deflated else transfer_syntax
    try:
        return frames_of(data, read_header(data, plain, at), at)
    except NoFrames as error:
        raise Refusal(404, "no-frames", str(error)) from None


def _bulk_element(data: Buffer, encoding: Encoding, at: int, path: str) -> tuple[Element, Encoding]:
    found = find(data, encoding, at, path)
    if found is None:
        raise Refusal(404, "unknown", "there is no such value")
    return found


# --- answers ----------------------------------------------------------------------------------------------------------------


def _results(query: qido.Query, found: list[dict[str, Any]]) -> Response:
    warnings = [*query.warnings, *([qido.MORE] if len(found) > query.limit else [])]
    found = found[: query.limit]
    response = Response(msgspec.json.encode(found), media_type=JSON) if found else Response(status_code=204)
    for warning in warnings:
        response.headers.append("Warning", warning)
    return response


def _just(make: Callable[[], bytes]) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield make()

    return pieces


def _multipart(
    kind: str, parts: Sequence[tuple[str, int, Callable[[], Iterator[bytes]]]], status: int
) -> StreamingResponse:
    """Each part: its media type, its bytes (-1: not known), and what gives them, begun when its turn comes."""
    boundary = secrets.token_hex(16)
    heads = [f"--{boundary}\r\nContent-Type: {part}\r\n\r\n".encode() for part, _, _ in parts]
    tail = f"--{boundary}--\r\n".encode()

    def body() -> Iterator[bytes]:
        for head, (_, _, pieces) in zip(heads, parts, strict=True):
            yield head
            yield from pieces()
            yield b"\r\n"
        yield tail

    headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary={boundary}'}
    sizes = [size for _, size, _ in parts]
    if min(sizes, default=-1) >= 0:
        headers["Content-Length"] = str(sum(map(len, heads)) + sum(sizes) + 2 * len(parts) + len(tail))
    return StreamingResponse(body(), status, headers=headers)

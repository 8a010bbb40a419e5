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
from typing import Any, BinaryIO, Literal

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from frontend_agent.dicom.elements import Buffer, DataSetMalformed, Element
from frontend_agent.dicom.frames import Frames, NoFrames, frames_of, one_of
from frontend_agent.dicom.header import HeaderUnreadable, inflated, read_header
from frontend_agent.dicom.json_model import find, json_of, little_endian
from frontend_agent.dicom.nesting import vr_of
from frontend_agent.dicom.part10 import read_meta
from frontend_agent.dicom.uids import EXPLICIT_LE, Encoding, encoding_of, is_encapsulated, is_uid
from frontend_agent.errors import StateError
from frontend_agent.platform.api import Answering, Problem, translated
from frontend_agent.platform.images import accepting, qido
from frontend_agent.platform.images.catalogue import Instance
from frontend_agent.platform.images.store import ImageStore
from frontend_agent.platform.judging import is_institution
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.peers import Refusal, must_speak_for
from frontend_agent.wire.images import DICOMWEB, dicomweb_path

PIECE = 1 << 20  # bytes of an answer at a time
MOST_FRAMES = 1_000  # of one question
MOST_PARTS = 20_000  # frames of one instance's bulk data
PIXELS = "7FE00010"
JSON = "application/dicom+json"
_INFLATED = threading.BoundedSemaphore(2)  # deflated data sets in memory at a time (threat D4)
MISSING = "its file is not where the platform keeps it: a fault of the platform, which its administrator sees by a check of the store"
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
        # What is lost is said by a status as long as nothing has left; later the answer can only be cut off.
        await run_in_threadpool(self._must_be_there, found[0])
        self._metrics.instances_sent.inc(len(found))
        if forms == {"single"} and len(found) == 1:
            headers = {"Content-Length": str(found[0].size)}
            return StreamingResponse(self._file(found[0]), media_type=accepting.DICOM, headers=headers)
        parts = [
            (f"{accepting.DICOM}; transfer-syntax={one.transfer_syntax_uid}", one.size, self._reader(one))
            for one in found
        ]
        return _multipart(accepting.DICOM, parts, 206 if missing else 200)

    def _must_be_there(self, instance: Instance) -> None:
        try:
            self._images.read(instance).close()
        except (StateError, OSError):
            raise Refusal(503, "missing", MISSING) from None

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
        except (Refusal, StateError, OSError, ValueError):
            # Sequences that cannot be taken apart, or a file that is lost or damaged: what the index knows, so that the others are not
            # held up.
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
                _as_stored(instance),
            )
        numbers = _frame_numbers(str(request.path_params["frames"]))
        frames = await run_in_threadpool(self._frames, instance)
        if any(number > len(frames) for number in numbers):
            raise Refusal(404, "no-frame", f"it has {len(frames)} frames")
        return self._some_frames(instance, form, frames, numbers)

    def _some_frames(
        self, instance: Instance, form: accepting.Form, frames: Frames, numbers: Sequence[int]
    ) -> Response:
        kind = f"{form.kind}; transfer-syntax={form.transfer_syntax}" if form.transfer_syntax else form.kind
        parts = [
            (kind, frames.size(number), functools.partial(self._frame, instance, frames, number)) for number in numbers
        ]
        if form.is_multipart:
            return _multipart(form.kind, parts, 200)
        if len(parts) > 1:
            raise Refusal(406, "not-acceptable", "several frames are multipart/related")
        ((_, size, pieces),) = parts
        return StreamingResponse(pieces(), media_type=kind, headers={"Content-Length": str(size)})

    def _frames(self, instance: Instance, is_stream: bool = False) -> Frames:
        """Where its frames are; `is_stream`: all of them as one, where they cannot be told apart."""
        with self._images.read(instance) as file, _data_set(file) as (data, _, at, syntax):
            plain = EXPLICIT_LE if encoding_of(syntax).is_deflated else syntax
            header = read_header(data, plain, at)
            try:
                return frames_of(data, header, at)
            except NoFrames as error:
                if not is_stream:
                    raise Refusal(404, "no-frames", str(error)) from None
            try:
                return one_of(data, header, at)
            except NoFrames as error:
                raise Refusal(404, "no-frames", str(error)) from None

    def _frame(self, instance: Instance, frames: Frames, number: int) -> Iterator[bytes]:
        return self._pieces(instance, lambda data, *_: frames.pieces(data, number))

    def _pieces(self, instance: Instance, of: Callable[[Buffer, Encoding, int], Iterator[bytes]]) -> Iterator[bytes]:
        """Of a data set where it lies. Of a deflated one all at once: who reads slowly must not hold it in memory for long."""
        with self._images.read(instance) as file, _data_set(file) as (data, encoding, at, syntax):
            if not encoding_of(syntax).is_deflated:
                yield from of(data, encoding, at)
                return
            whole = b"".join(of(data, encoding, at))
        yield whole

    @translated
    async def bulkdata(self, request: Request) -> Response:
        """The value that a BulkDataURI names. Compressed pixels are their frames (PS3.18 §8.7.3.3): fragments are no value by themselves."""
        instance = await self._one(request)
        path = str(request.path_params["path"])
        header = request.headers.get("accept", "")
        if path == PIXELS and is_encapsulated(instance.transfer_syntax_uid):
            return await self._all_frames(instance, header)
        form = accepting.bulk_form(header)
        if form is None:
            raise Refusal(406, "not-acceptable", f"bulk data are {accepting.OCTETS}")
        size = await run_in_threadpool(self._bulk_size, instance, path)
        pieces = functools.partial(self._bulk, instance, path)
        if form.is_multipart:
            return _multipart(form.kind, [(form.kind, size, pieces)], 200)
        return StreamingResponse(pieces(), media_type=form.kind, headers={"Content-Length": str(size)})

    async def _all_frames(self, instance: Instance, header: str) -> Response:
        form = accepting.frame_form(header, instance.transfer_syntax_uid)
        if form is None:
            raise Refusal(406, "not-acceptable", _as_stored(instance))
        frames = await run_in_threadpool(self._frames, instance, True)
        if len(frames) > MOST_PARTS:
            raise Refusal(
                406, "too-many", f"it has {len(frames)} frames, {MOST_PARTS} of one answer at most: ask for frames"
            )
        return self._some_frames(instance, form, frames, range(1, len(frames) + 1))

    def _bulk_size(self, instance: Instance, path: str) -> int:
        with self._images.read(instance) as file, _data_set(file) as (data, encoding, at, _):
            element, _ = _bulk_element(data, encoding, at, path)
            return element.end - element.start

    def _bulk(self, instance: Instance, path: str) -> Iterator[bytes]:
        def value(data: Buffer, encoding: Encoding, at: int) -> Iterator[bytes]:
            element, encoding = _bulk_element(data, encoding, at, path)
            vr = vr_of(element)
            for start in range(element.start, element.end, PIECE):  # a whole number of words of any size
                yield little_endian(bytes(data[start : min(start + PIECE, element.end)]), vr, encoding)

        return self._pieces(instance, value)

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
            who: Literal["both", "people"] = "both" if "{" in base else "people"
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
                        404: Problem,
                        406: Problem,
                        503: Problem,
                    },
                    media_type=JSON,
                    who=who,
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
                        who=who,
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
                        who=who,
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
                    who=who,
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
                    who=who,
                )
            )
        return found  # fmt: skip


# --- addresses --------------------------------------------------------------------------------------------------------------


def institution_of(request: Request) -> str:
    """The hospital of the address; "" for all. Refusal: who is asking does not speak for it."""
    name = str(request.path_params.get("institution", ""))
    if name and not is_institution(name):
        raise Refusal(404, "institution", "its institution is not a name")
    must_speak_for(request, name)
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


def _as_stored(one: Instance) -> str:
    return f"frames leave as they are stored, in {one.transfer_syntax_uid}: ask with transfer-syntax=*, or for what is rendered"


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

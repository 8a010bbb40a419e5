"""What machines ask of the platform's images: DICOMweb, receipts, study indexes, and what is wanted.

DICOMweb (PS3.18) is answered at two bases: /dicom-web for all hospitals' studies, and /v1/institutions/{institution}/dicom-web
for one hospital's own, where it also stores.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import anyio
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from frontend_agent.dicom.multipart import MultipartMalformed, boundary_of, content_type
from frontend_agent.errors import StateError
from frontend_agent.model import Outcome
from frontend_agent.platform.api import Answering, Problem, answer, asked_for, translated
from frontend_agent.platform.images import accepting, stow
from frontend_agent.platform.images.retrieving import Retrieval, base_of, institution_of, uid_of
from frontend_agent.platform.images.store import Kept
from frontend_agent.platform.judging import is_institution
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.peers import Refusal, must_speak_for
from frontend_agent.platform.store import Store
from frontend_agent.wire import images as wire
from frontend_agent.wire.receipts import Leaf

PIECE = 512 << 10  # bytes of a body that are handed on at a time
MOST_CHUNKS = 256  # in a piece: each takes memory, however short it is
UPLOADS_AT_ONCE = (
    24  # bodies that are taken in at a time; others wait unread. With their pieces: the memory that uploads take
)
STALLED = 60  # seconds without a byte
SLOWEST = 10 << 10  # bytes a second of a body, after its first minute
SYNCING = 6  # files that are synced side by side
OWN = "/v1/institutions/{institution}" + wire.DICOMWEB

_log = logging.getLogger("frontend_agent.platform")


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A study whose pixels somebody asks for."""

    study_instance_uid: wire.Uid
    institution: wire.Short = ""
    why: wire.Short = ""


class Wished(msgspec.Struct, frozen=True):
    """How many studies of that UID are asked for now: 0 where all of it is here, or nothing is known of it."""

    studies: int


class ImageApi(Answering):
    """The endpoints. Nothing of a body is in memory but a piece; files are synced beside one another."""

    def __init__(self, store: Store, metrics: Metrics):
        super().__init__(metrics)
        self._store = store
        self._images = store.images
        self._retrieval = Retrieval(store.images, metrics)
        self._uploads = anyio.CapacityLimiter(UPLOADS_AT_ONCE)
        self._syncing = ThreadPoolExecutor(SYNCING, "sync")

    # --- storing -------------------------------------------------------------------------------------------------------

    @translated
    async def store_instances(self, request: Request) -> Response:
        institution = institution_of(request)
        if not accepting.takes_json(request.headers.get("accept", "")):
            raise Refusal(406, "not-acceptable", f"what became of each instance is answered as {stow.DICOM_JSON}")
        await self._must_speak(
            institution,
            request.headers.get(wire.INSTANCE_HEADER, ""),
            request.headers.get(wire.LEASE_HEADER, ""),
        )
        study = uid_of(request, "study", optional=True)
        storing = stow.Storing(self._images, self._syncing, institution, _sender(request), _boundary(request), study)
        async with self._uploads:
            kept = await self._stored(request, storing)
        self._metrics.kept(kept, "stow")
        stored = sum(one.is_stored for one in kept)
        _log.info("images.stored way=stow instances=%d not_stored=%d", stored, len(kept) - stored)
        receipts = self._receipts(institution, kept) if wire.RECEIPTS_HEADER in request.headers else b""
        base = base_of(request)
        status = stow.status_of(kept)
        response = Response(msgspec.json.encode(stow.answer(kept, base, receipts)), status, media_type=stow.DICOM_JSON)
        if status == 503:
            response.headers["Retry-After"] = "30"
        return response

    async def _stored(self, request: Request, storing: stow.Storing) -> list[Kept]:
        """Take the body in: while one piece is written, the next one comes."""
        writing: asyncio.Future[None] | None = None
        try:
            async for piece in _pieces(request):
                if writing is not None:
                    await writing
                writing = asyncio.ensure_future(run_in_threadpool(storing.receive, *piece))
            if writing is not None:
                await writing
            writing = None
            kept = await run_in_threadpool(storing.end)
            if not kept:
                raise Refusal(400, "malformed", "no instance is in the body")
            return kept
        except MultipartMalformed as error:
            stored = await run_in_threadpool(storing.give_up)
            raise Refusal(400, "malformed", f"{error}; {stored} instances before it are stored") from None
        except stow.TooManyParts as error:
            stored = await run_in_threadpool(storing.give_up)
            raise Refusal(413, "too-large", f"{error}; {stored} instances of this one are stored") from None
        except (
            OSError,
            StateError,
        ) as error:  # the disk is full, or fails: what came before it stays, and is to be said
            if writing is not None:
                await asyncio.wait([writing])
            stored = await run_in_threadpool(storing.give_up)
            if isinstance(error, TimeoutError):
                raise  # a line that is too slow
            detail = f"nothing more can be taken now; {stored} instances of this one are stored; try again later"
            raise Refusal(503, "unable", detail) from None
        except BaseException:  # also a request that is cut off: what has begun must not stay
            if writing is not None:
                await asyncio.wait([writing])
            await anyio.to_thread.run_sync(storing.give_up)
            raise

    def _receipts(self, institution: str, kept: Sequence[Kept]) -> bytes:
        named = [one for one in kept if one.sop_instance_uid]
        duplicates = [place for place, one in enumerate(named) if one.outcome == Outcome.DUPLICATE]
        return self._store.sealed(institution, "", [stow.leaf(one) for one in named], duplicates)

    # --- receipts, indexes, what is wanted -----------------------------------------------------------------------------

    @translated
    async def receipts(self, request: Request) -> Response:
        asked = await asked_for(request, wire.ReceiptsAsked)
        must_speak_for(request, asked.institution)
        await self._must_speak(asked.institution, asked.instance, asked.lease)
        if not asked.sop_instance_uids and not asked.study_instance_uid:
            raise Refusal(400, "malformed", "needs sop_instance_uids, or study_instance_uid")
        reply = await run_in_threadpool(self._sealed, asked)
        return Response(reply, media_type="application/json")

    def _sealed(self, asked: wire.ReceiptsAsked) -> bytes:
        if asked.sop_instance_uids:
            known = self._images.instances_by_uid(asked.institution, asked.sop_instance_uids)
        else:
            of_study = self._images.find(asked.study_instance_uid, institution=asked.institution)
            known = {one.sop_instance_uid: one for one in of_study}
        leaves: list[Leaf] = []
        for uid in asked.sop_instance_uids or known:
            one = known.get(uid)
            if one is not None and one.held:
                leaves.append(wire.stored_leaf(asked.institution, uid, one.study_instance_uid, one.sha256, one.size))
            elif asked.sop_instance_uids:
                leaves.append(wire.absent_leaf(asked.institution, uid))
        return self._store.sealed(asked.institution, asked.instance, leaves)

    @translated
    async def index(self, request: Request) -> Response:
        index = await asked_for(request, wire.StudyIndex, wire.LARGEST_INDEX)
        must_speak_for(request, index.institution)
        await self._must_speak(index.institution, index.instance, index.lease)
        if not is_institution(index.institution):
            raise Refusal(400, "malformed", "its institution is not a name")
        if sum(len(series.instances) for series in index.series) > wire.MOST_INDEXED:
            raise Refusal(413, "too-large", f"more than {wire.MOST_INDEXED} instances")
        indexed = await run_in_threadpool(self._images.put_index, index)
        _log.info(
            "images.indexed study=%s instances=%d held=%d", index.study_instance_uid, indexed.instances, indexed.held
        )
        return answer(indexed)

    @translated
    async def wanted(self, request: Request) -> Response:
        asked = await asked_for(request, wire.WantedAsked)
        must_speak_for(request, asked.institution)
        await self._must_speak(asked.institution, asked.instance, asked.lease)
        studies = await run_in_threadpool(self._images.wanted, asked.institution, asked.limit)
        return answer(
            wire.WantedStudies(
                [
                    wire.WantedStudy(
                        study_instance_uid=one.study_instance_uid,
                        accession_number=one.accession_number,
                        since=one.wanted_at,
                        why=one.wanted_why,
                    )
                    for one in studies
                ]
            )
        )

    @translated
    async def want(self, request: Request) -> Response:
        wish = await asked_for(request, Wish)
        studies = await run_in_threadpool(self._images.want, wish.study_instance_uid, wish.institution, wish.why)
        _log.info("images.wanted study=%s studies=%d", wish.study_instance_uid, studies)
        return answer(Wished(studies))

    async def _must_speak(self, institution: str, instance: str, lease: str) -> None:
        """Who says which agent it is proves it by its lease (law 14)."""
        if instance:
            await run_in_threadpool(self._store.must_speak, institution, instance, lease)

    # --- all of them ---------------------------------------------------------------------------------------------------

    def operations(self) -> list[Operation]:
        """Every endpoint with every answer it gives."""
        asked = {400: Problem, 409: Problem, 413: Problem, 415: Problem, 503: Problem}
        stored = "all are stored: the Store Instances Response Module as DICOM JSON"
        storing: dict[int, type[msgspec.Struct] | str] = {
            200: stored,
            202: "some are stored, the others are named with their reasons",
            400: Problem,
            404: Problem,
            406: Problem,
            408: Problem,
            409: "none is stored, each with its reasons; or a Problem: this agent may not speak for the institution",
            413: Problem,
            415: Problem,
            503: "nothing was stored; later it may be",
        }
        headers = f"headers {wire.RECEIPTS_HEADER}, {wire.INSTANCE_HEADER} and {wire.LEASE_HEADER}: frontend_agent/wire/images.py"
        return [
            *self._retrieval.operations(),
            Operation("POST", OWN + "/studies", self.store_instances, f"STOW-RS: store instances of any studies; {headers}", body="multipart/related; type=application/dicom", answers=storing, media_type=stow.DICOM_JSON, who="agents"),
            Operation("POST", OWN + "/studies/{study}", self.store_instances, "STOW-RS: store instances of one study", body="multipart/related; type=application/dicom", answers=storing, media_type=stow.DICOM_JSON, who="agents"),
            Operation("POST", wire.RECEIPTS, self.receipts, "Signed receipts of instances: stored with which SHA-256, or absent", body=wire.ReceiptsAsked, answers={200: "a signed reply; see `frontend_agent/wire/receipts.py`", **asked}, who="agents"),
            Operation("POST", wire.INDEX, self.index, "Say what a hospital has of a study, with or without its pixels", body=wire.StudyIndex, answers={200: wire.Indexed, **asked}, who="agents"),
            Operation("POST", wire.WANTED, self.wanted, "Which studies' pixels are asked for of this hospital", body=wire.WantedAsked, answers={200: wire.WantedStudies, **asked}, who="agents"),
            Operation("POST", "/v1/images/wishes", self.want, "Ask a study's hospital for its pixels", body=Wish, answers={200: Wished, **asked}),
        ]  # fmt: skip


async def _pieces(request: Request) -> AsyncIterator[list[bytes]]:
    """The body in pieces worth a thread, each as the chunks in which it came: the loop copies nothing. A line that stalls, or is far
    too slow, is given up."""
    piece: list[bytes] = []
    held = size = 0
    begun = asyncio.get_running_loop().time()
    more = True
    while more:
        async with asyncio.timeout(STALLED):
            message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "cut-off", "the request was cut off")
        more = message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        taken = asyncio.get_running_loop().time() - begun
        if taken > STALLED and size < SLOWEST * taken:
            raise TimeoutError
        if chunk:
            piece.append(chunk)
        held += len(chunk)
        if held >= PIECE or len(piece) >= MOST_CHUNKS:
            yield piece
            piece, held = [], 0
    if held:
        yield piece


def _boundary(request: Request) -> str:
    """Of a multipart body; "" for one instance by itself."""
    header = request.headers.get("content-type", "")
    kind, parameters = content_type(header)
    if kind == stow.DICOM:
        return ""
    if kind != "multipart/related" or parameters.get("type", stow.DICOM).lower() != stow.DICOM:
        raise Refusal(415, "media-type", f'send it as multipart/related; type="{stow.DICOM}", or one as {stow.DICOM}')
    try:
        return boundary_of(header)
    except MultipartMalformed as error:
        raise Refusal(400, "malformed", str(error)) from None


def _sender(request: Request) -> str:
    return request.client.host if request.client else ""

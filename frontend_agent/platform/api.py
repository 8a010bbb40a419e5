"""What agents and machines ask of the platform. Each endpoint is declared with all its answers in `OPERATIONS`, from
which both the routes and the description at /api are made: what is described is what is there.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import anyio
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from frontend_agent.errors import StateError
from frontend_agent.model import Outcome, SeriesHead
from frontend_agent.platform.judging import quality
from frontend_agent.platform.leases import LeaseRefused
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation, describe
from frontend_agent.platform.peers import Refusal, must_speak, must_speak_for, peer_of
from frontend_agent.platform.store import LARGEST_DICTIONARY, Store, StoreFull, UnknownDictionaries
from frontend_agent.wire.frames import LARGEST_DOCUMENT
from frontend_agent.wire.greeting import Hello
from frontend_agent.wire.heartbeat import PATH as HEARTBEAT
from frontend_agent.wire.heartbeat import Beat, Heard
from frontend_agent.wire.parcel import CONTENT_TYPE, ParcelMalformed, ParcelTooLarge
from frontend_agent.wire.reconciliation import (
    MOST_DAYS,
    SETS_AT_ONCE,
    Counts,
    CountsAsked,
    Said,
    Sets,
    SetsAsked,
    day_of,
)

UPLOAD_SECONDS = 120  # a body that takes longer is a stalled line: let it be repeated
LARGEST_QUESTION = 1 << 20
MOST_ASKED = 1_000
DOCUMENT_TYPES = ("application/xml", "text/xml", "application/hl7-cda+xml")

_log = logging.getLogger("frontend_agent.platform")
_T = TypeVar("_T")
_A = TypeVar("_A", bound="Answering")
Endpoint = Callable[[Request], Awaitable[Response]]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Every answer but a 2xx, as JSON."""

    error: str
    detail: str
    unknown_dictionaries: list[str] = []
    holder: dict[str, str] = {}  # who holds the lease instead


class HeadsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    institution: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    set_ids: Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(max_length=MOST_ASKED)]


class Heads(msgspec.Struct, frozen=True):
    heads: list[SeriesHead]


class Health(msgspec.Struct, frozen=True):
    status: str
    documents: int


class Observed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a quality rule says of a document that came by itself. Values are masked."""

    rule: str
    severity: str
    field: str = ""
    value: str = ""


class Answered(msgspec.Struct, frozen=True):
    """What became of one document that came by itself: everything that stands against it, and what it was held against."""

    outcome: str
    document_id: str
    kind: str
    form: str
    reasons: list[str]
    notes: list[str]
    findings: list[Observed]
    checked_with: list[str]
    receipt: msgspec.Raw  # the signed reply byte for byte; null when it was refused


class WrongMediaType(Exception):
    """Only what a browser cannot send from another site without asking is taken: no form, no text."""


def answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def problem(status: int, error: str, detail: str, **more: Any) -> Response:
    return answer(Problem(error, detail, **more), status)


def translated(
    endpoint: Callable[[_A, Request], Awaitable[Response]],
) -> Callable[[_A, Request], Awaitable[Response]]:
    """Turn what the store raises into the answer an agent understands. The one place where that is decided."""

    @functools.wraps(endpoint)
    async def translating(api: _A, request: Request) -> Response:
        try:
            return await endpoint(api, request)
        except Refusal as refusal:
            return api.refuse(refusal.status, refusal.error, refusal.detail)
        except ParcelTooLarge as error:
            return api.refuse(413, "too-large", str(error))
        except ParcelMalformed as error:
            return api.refuse(400, "malformed", str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return api.refuse(400, "malformed", str(error))
        except WrongMediaType as error:
            return api.refuse(415, "media-type", str(error))
        except LeaseRefused as error:
            holder = (
                {
                    "instance": error.holder.instance,
                    "machine": error.holder.machine,
                    "last_seen": error.holder.last_seen,
                }
                if error.holder
                else {}
            )
            return api.refuse(409, error.code, error.detail, holder=holder)
        except UnknownDictionaries as error:
            return api.refuse(424, "unknown-dictionary", "send the dictionaries first", unknown_dictionaries=error.ids)
        except (StoreFull, OSError, StateError) as error:
            _log.error("store.unable error=%s", type(error).__name__)
            return api.refuse(503, "unable", "nothing was taken; try again later")
        except TimeoutError:
            return api.refuse(408, "too-slow", f"the body did not arrive within {UPLOAD_SECONDS} s")

    return translating


class Answering:
    """What every part of the server has that machines ask."""

    def __init__(self, metrics: Metrics):
        self._metrics = metrics

    def refuse(self, status: int, error: str, detail: str, **more: Any) -> Response:
        self._metrics.requests.labels(error).inc()
        _log.warning("request.refused status=%d error=%s", status, error)  # never the detail: it may quote the request
        response = problem(status, error, detail, **more)
        if status == 503:
            response.headers["Retry-After"] = "30"
        return response


class Api(Answering):
    def __init__(self, store: Store, metrics: Metrics, beside: Sequence[Operation] = ()):
        """`beside`: what else the server answers, to be described with the rest."""
        super().__init__(metrics)
        self._store = store
        self._beside = beside
        # Writing is one at a time anyway; this keeps waiting parcels from taking the threads that pages need.
        self._one = anyio.CapacityLimiter(1)

    async def _writing(self, work: Callable[[], _T]) -> _T:
        return await anyio.to_thread.run_sync(work, limiter=self._one)

    @translated
    async def parcels(self, request: Request) -> Response:
        require(request, CONTENT_TYPE)
        peer = peer_of(request)
        upload = self._store.begin_upload()
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                async for chunk in request.stream():
                    upload.write(chunk)
            started = time.perf_counter()
            taken = await self._writing(lambda: self._store.take(upload, lambda one: must_speak(peer, one)))
        finally:
            upload.close()
        seconds = time.perf_counter() - started
        self._metrics.taken(taken)
        self._metrics.seconds.observe(seconds)
        _log.info(
            "parcel.taken stored=%d duplicates=%d refused=%d bytes=%d seconds=%.3f",
            taken.stored,
            taken.duplicates,
            taken.refused,
            upload.size,
            seconds,
        )
        return Response(taken.reply, media_type="application/json")

    @translated
    async def documents(self, request: Request) -> Response:
        """One CDA document of any sender, by itself."""
        require(request, *DOCUMENT_TYPES)
        content = await body_of(request, LARGEST_DOCUMENT)
        institution = request.query_params.get("institution", "")
        peer = peer_of(request)
        if peer is not None:
            institution = institution or peer.only  # never its custodian: a document says what it likes
            must_speak(peer, institution)
        answered, documents_bytes = await self._writing(lambda: self._post(content, institution))
        _log.info("document.posted outcome=%s kind=%s bytes=%d", answered.outcome, answered.kind, documents_bytes)
        return answer(answered, 422 if answered.outcome == Outcome.REFUSED else 200)

    def _post(self, content: bytes, institution: str) -> tuple[Answered, int]:
        posted = self._store.take_document(content, institution)
        examined = posted.examined
        findings = quality(examined, content) if examined.headline else []
        answered = Answered(
            outcome=str(posted.outcome),
            document_id=posted.document_id,
            kind=examined.kind,
            form=examined.form,
            reasons=list(posted.reasons),
            notes=list(examined.notes),
            findings=[Observed(one.rule, str(one.severity), one.field, one.value) for one in findings],
            checked_with=list(examined.checked_with),
            receipt=msgspec.Raw(posted.reply or b"null"),
        )
        return answered, len(content)

    @translated
    async def dictionaries(self, request: Request) -> Response:
        require(request, "application/octet-stream")
        content = await body_of(request, LARGEST_DICTIONARY)
        await self._writing(lambda: self._store.keep_dictionary(request.path_params["sha256"], content))
        return Response(status_code=204)

    @translated
    async def hello(self, request: Request) -> Response:
        require(request, "application/json")
        hello = msgspec.json.decode(await body_of(request, LARGEST_QUESTION), type=Hello)
        must_speak_for(request, hello.institution)
        welcome = await self._writing(lambda: self._store.hello(hello))
        _log.info("hello.welcomed institution=%s instance=%s", hello.institution, hello.instance)
        return Response(welcome, media_type="application/json")

    @translated
    async def heads(self, request: Request) -> Response:
        require(request, "application/json")
        asked = msgspec.json.decode(await body_of(request, LARGEST_QUESTION), type=HeadsAsked)
        must_speak_for(request, asked.institution)
        heads = await run_in_threadpool(self._store.heads, asked.institution, asked.set_ids)
        return answer(Heads(heads))

    @translated
    async def receipts(self, request: Request) -> Response:
        institution = request.query_params.get("institution", "")
        ids = request.query_params.getlist("document_id")
        if not institution or not ids or len(ids) > MOST_ASKED:
            raise ParcelMalformed(f"needs institution, and document_id once to {MOST_ASKED} times")
        must_speak_for(request, institution)
        reply = await run_in_threadpool(self._store.receipts, institution, ids)
        return Response(reply, media_type="application/json")

    @translated
    async def counts(self, request: Request) -> Response:
        asked = await asked_for(request, CountsAsked)
        must_speak_for(request, asked.institution)
        if not 0 <= _days_between(asked.first, asked.last) < MOST_DAYS:
            raise ParcelMalformed(f"needs first and last as yyyymmdd, of at most {MOST_DAYS} days")
        return answer(Counts(await run_in_threadpool(self._store.counted, asked)))

    @translated
    async def sets(self, request: Request) -> Response:
        asked = await asked_for(request, SetsAsked)
        must_speak_for(request, asked.institution)
        return answer(Sets(await run_in_threadpool(self._store.kept_sets, asked)))

    @translated
    async def heartbeat(self, request: Request) -> Response:
        beat = await asked_for(request, Beat)
        must_speak_for(request, beat.institution)
        require_times(beat)
        heard, offer = await self._writing(lambda: (self._store.keep_beat(beat), self._store.upgrades.heard(beat)))
        return answer(Heard(heard.isoformat(timespec="milliseconds"), offer))

    @translated
    async def said(self, request: Request) -> Response:
        said = await asked_for(request, Said)
        must_speak_for(request, said.institution)
        await self._writing(lambda: self._store.keep_said(said))
        _log.info("reconciliation.said institution=%s days=%d", said.institution, len(said.days))
        return Response(status_code=204)

    @translated
    async def key(self, request: Request) -> Response:
        return Response(self._store.public_key_text(), media_type="application/x-pem-file")

    @translated
    async def health(self, request: Request) -> Response:
        tallies = await run_in_threadpool(self._store.tallies)
        peer = peer_of(request)
        return answer(
            Health("ok", sum(one.documents for one in tallies if peer is None or one.institution in peer.institutions))
        )

    @translated
    async def metrics(self, request: Request) -> Response:
        return Response(await run_in_threadpool(self._metrics.text), media_type="text/plain; version=0.0.4")

    async def description(self, request: Request) -> Response:
        return answer(describe([*self.operations(), *self._beside]))

    def operations(self) -> list[Operation]:
        """Every endpoint with every answer it gives."""
        signed = "a signed reply; see `frontend_agent/wire/receipts.py`"
        return [
            Operation(
                "POST",
                "/v1/parcels",
                self.parcels,
                "Deliver a parcel: many documents, each with its receipt",
                body=CONTENT_TYPE,
                who="agents",
                answers={
                    200: signed,
                    400: Problem,
                    408: Problem,
                    409: Problem,
                    413: Problem,
                    415: Problem,
                    424: Problem,
                    503: Problem,
                },
            ),
            Operation(
                "POST",
                "/v1/documents",
                self.documents,
                "Deliver one CDA document of any sender: national kinds, C-CDA, others",
                body="application/xml",
                query={"institution": "who sends it; the document's custodian if left out"},
                who="agents",
                answers={
                    200: Answered,
                    400: Problem,
                    408: Problem,
                    413: Problem,
                    415: Problem,
                    422: Answered,
                    503: Problem,
                },
            ),
            Operation(
                "PUT",
                "/v1/dictionaries/{sha256}",
                self.dictionaries,
                "Send a zstd dictionary before its first use",
                body="application/octet-stream",
                who="agents",
                concerns=False,  # named by its own hash, the same for every hospital
                answers={204: "kept, or was here already", 400: Problem, 413: Problem, 415: Problem, 503: Problem},
            ),
            Operation(
                "POST",
                "/v1/hello",
                self.hello,
                "Say who one is, and get the next lease and the platform's key",
                body=Hello,
                who="agents",
                answers={
                    200: "a signed welcome; see `frontend_agent/wire/greeting.py`",
                    400: Problem,
                    409: Problem,
                    413: Problem,
                    415: Problem,
                    503: Problem,
                },
            ),
            Operation(
                "POST",
                "/v1/heads",
                self.heads,
                "The newest version of each set, for an agent that lost its state",
                body=HeadsAsked,
                who="agents",
                answers={200: Heads, 400: Problem, 413: Problem, 415: Problem, 503: Problem},
            ),
            Operation(
                "GET",
                "/v1/receipts",
                self.receipts,
                "Receipts by document id: stored, or absent",
                query={"institution": "whose documents", "document_id": "may be repeated"},
                who="agents",
                answers={200: signed, 400: Problem, 503: Problem},
            ),
            Operation(
                "POST",
                "/v1/reconciliation/counts",
                self.counts,
                "An agent's own newest documents of a kind: number and digest per day and department",
                body=CountsAsked,
                who="agents",
                answers={200: Counts, 400: Problem, 409: Problem, 413: Problem, 415: Problem, 503: Problem},
            ),
            Operation(
                "POST",
                "/v1/reconciliation/sets",
                self.sets,
                f"The sets of one day and department with version and SHA-256, {SETS_AT_ONCE} at a time",
                body=SetsAsked,
                who="agents",
                answers={200: Sets, 400: Problem, 409: Problem, 413: Problem, 415: Problem, 503: Problem},
            ),
            Operation(
                "POST",
                HEARTBEAT,
                self.heartbeat,
                "How an agent stands, every minute: figures and alarms, nothing of a patient; it hears our time, and what upgrade it is offered",
                body=Beat,
                who="agents",
                answers={
                    200: Heard,
                    400: Problem,
                    408: Problem,
                    409: Problem,
                    413: Problem,
                    415: Problem,
                    503: Problem,
                },
            ),
            Operation(
                "POST",
                "/v1/reconciliation/said",
                self.said,
                "What an agent's reconciliation found, for who looks after many hospitals",
                body=Said,
                who="agents",
                answers={204: "kept", 400: Problem, 409: Problem, 413: Problem, 415: Problem, 503: Problem},
            ),
            Operation(
                "GET",
                "/v1/key",
                self.key,
                "The public key that proves receipts",
                who="anyone",
                answers={200: "PEM", 503: Problem},
                media_type="application/x-pem-file",
            ),
            Operation(
                "GET",
                "/healthz",
                self.health,
                "Is it alive, and how much does it hold (of the asking agent's hospitals)",
                who="anyone",
                answers={200: Health, 503: Problem},
            ),
            Operation(
                "GET",
                "/metrics",
                self.metrics,
                "For Prometheus",
                answers={200: "text format 0.0.4", 503: Problem},
                media_type="text/plain",
                shows="hospitals",
            ),
            Operation("GET", "/api", self.description, "This description", who="anyone", answers={200: "OpenAPI 3.1"}),
        ]


def require(request: Request, *media_types: str) -> None:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() not in media_types:
        raise WrongMediaType(f"send it as {media_types[0]}")


def require_times(beat: Beat) -> None:
    """What is shown as a time must be one."""
    for text in (
        beat.at,
        *((beat.started,) if beat.started else ()),
        *((beat.upgrade.at,) if beat.upgrade and beat.upgrade.at else ()),
        *(at for one in beat.alarms for at in (one.since, one.began_at)),
    ):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise ParcelMalformed("a time that is none (ISO 8601)") from None


def _days_between(first: int, last: int) -> int:
    try:
        return (day_of(last) - day_of(first)).days
    except ValueError:
        return -1


async def asked_for(request: Request, kind: type[_T], largest: int = LARGEST_QUESTION) -> _T:
    """The question in a request's body, as JSON."""
    require(request, "application/json")
    return msgspec.json.decode(await body_of(request, largest), type=kind)


async def body_of(request: Request, limit: int) -> bytes:
    body = bytearray()
    async with asyncio.timeout(UPLOAD_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise ParcelTooLarge(f"more than {limit} bytes")
    return bytes(body)

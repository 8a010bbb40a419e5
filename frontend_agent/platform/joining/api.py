"""What a machine asks to join, and to stay: whom to trust, a certificate, the next one. See frontend_agent/wire/joining.py."""

import logging

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from frontend_agent.platform.api import Answering, Problem, answer, asked_for, translated
from frontend_agent.platform.joining.registry import JoiningRefused, Registry
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.peers import Refusal, peer_of
from frontend_agent.wire import joining as wire

LARGEST_REQUEST = 80 << 10  # bytes: a request for a certificate, and a little more
REVOKED = "/v1/authorities/revoked"
_log = logging.getLogger("frontend_agent.platform")


class JoiningApi(Answering):
    """The endpoints. Only at the door for agents."""

    def __init__(self, registry: Registry, metrics: Metrics):
        super().__init__(metrics)
        self._registry = registry

    @translated
    async def authorities(self, request: Request) -> Response:
        return answer(await run_in_threadpool(self._registry.list_of_trusted))

    @translated
    async def revoked(self, request: Request) -> Response:
        told = await run_in_threadpool(self._registry.list_of_trusted)
        return Response(told.revoked, media_type="application/x-pem-file")

    @translated
    async def enrol(self, request: Request) -> Response:
        asked = await asked_for(request, wire.EnrolmentAsked, LARGEST_REQUEST)
        try:
            enrolled = await run_in_threadpool(self._registry.enrol, asked, _address(request))
        except JoiningRefused as refused:
            raise Refusal(refused.status, refused.error, refused.detail) from None
        _log.info("agent.enrolled institutions=%s waits=%s", ",".join(enrolled.institutions), not enrolled.certificate)
        return answer(enrolled, 200 if enrolled.certificate else 202)

    @translated
    async def renew(self, request: Request) -> Response:
        asked = await asked_for(request, wire.RenewalAsked, LARGEST_REQUEST)
        peer = peer_of(request)
        if peer is None or not peer.sha256:
            raise Refusal(401, "certificate", "show the certificate that is to be renewed")
        try:
            enrolled = await run_in_threadpool(self._registry.renew, peer.sha256, asked.request, peer.address)
        except JoiningRefused as refused:
            raise Refusal(refused.status, refused.error, refused.detail) from None
        _log.info("agent.renewed institutions=%s", ",".join(enrolled.institutions))
        return answer(enrolled, 200 if enrolled.certificate else 202)

    def operations(self) -> list[Operation]:
        """Every endpoint with every answer it gives."""
        refused: dict[int, type[msgspec.Struct] | str] = {
            400: Problem, 401: Problem, 403: Problem, 408: Problem, 409: Problem, 413: Problem, 415: Problem, 429: Problem, 503: Problem,
        }  # fmt: skip
        given: dict[int, type[msgspec.Struct] | str] = {
            200: wire.Enrolled,
            202: "somebody has to approve it: ask again with the same key",
        }
        return [
            Operation("GET", wire.AUTHORITIES, self.authorities, "Whom to trust: roots, and what is revoked", answers={200: wire.Authorities, 503: Problem}, who="anyone"),
            Operation("GET", REVOKED, self.revoked, "Lists of revoked certificates", answers={200: "PEM", 503: Problem}, media_type="application/x-pem-file", who="anyone"),
            Operation("POST", wire.ENROLMENTS, self.enrol, "A certificate for a new machine, by a one-time token", body=wire.EnrolmentAsked, answers={**given, **refused}, who="anyone"),
            Operation("POST", wire.RENEWALS, self.renew, "The next certificate, by the present one", body=wire.RenewalAsked, answers={**given, **refused}, who="agents", concerns=False),
        ]  # fmt: skip


def _address(request: Request) -> str:
    return request.client.host if request.client else ""

"""Who is asking (threat C1): the institution comes from the client's certificate, and from nothing in the request.

The platform has two doors. Behind the one for agents every endpoint that concerns a hospital asks `speaks_for` before it
answers; one that forgot would answer 500 instead. Behind the door of people, on loopback, nobody shows a certificate, and no
agent is served there once there is a door for agents.

    Operation.who     at the door for agents                   at the door of people, beside a door for agents
    "people"          not there                                served
    "agents"          with a certificate                       not there
    "both"            with a certificate                       served
    "anyone"          without one as well                      served
"""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

PEER = "frontend_agent.peer"  # key of an ASGI scope: who is asking, at the door for agents


class Refusal(Exception):
    """A request that cannot be answered: status, a word for machines, a sentence for people that quotes nothing of a patient."""

    def __init__(self, status: int, error: str, detail: str):
        super().__init__(detail)
        self.status = status
        self.error = error
        self.detail = detail


class NotTheirs(Refusal):
    """A certificate asked for an institution that it does not speak for."""

    def __init__(self) -> None:
        super().__init__(403, "institution", "this certificate does not speak for that institution")


@dataclass
class Peer:
    """Who showed a certificate, for one request."""

    sha256: str  # of the certificate; "" where none was shown
    institutions: frozenset[str] = frozenset()
    address: str = ""
    has_asked: bool = field(default=False)  # whether this request was held against the certificate
    not_theirs: str = ""  # the institution that it asked for and does not speak for

    @property
    def only(self) -> str:
        """The one institution it speaks for; "" where they are several."""
        return next(iter(self.institutions)) if len(self.institutions) == 1 else ""


def peer_of(request: Request) -> Peer | None:
    """None at a door where nobody shows a certificate."""
    found: Peer | None = request.scope.get(PEER)
    return found


def must_speak_for(request: Request, institution: str) -> None:
    """NotTheirs, where who is asking does not speak for that institution."""
    must_speak(peer_of(request), institution)


def must_speak(peer: Peer | None, institution: str) -> None:
    if peer is None:
        return
    peer.has_asked = True
    if institution not in peer.institutions:
        peer.not_theirs = institution or "*"
        raise NotTheirs


def held_against_certificate(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint whose answer concerns a hospital: it must have asked for which, or its answer does not leave."""

    @functools.wraps(endpoint)
    async def asked(request: Request) -> Response:
        response = await endpoint(request)
        peer = peer_of(request)
        if peer is not None and not peer.has_asked and response.status_code < 400:
            raise RuntimeError("an endpoint answered without having asked for whom")
        return response

    return asked

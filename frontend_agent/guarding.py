"""Around every page of the console, and of the platform for people: who may call, by which name, from where; and the headers that tell a browser what never happens here.

A page that other sites could frame, post to, or read through a name that was made to point here (DNS rebinding) would let
them act as whoever is logged in: Host, Origin and a token of the form each stop that by themselves.
"""

import base64
import hmac
import ipaddress
from collections.abc import Mapping
from hashlib import sha256

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontend_agent.logs import failed

LONGEST_BODY = 1 << 20  # bytes of a form


def headers(script: bytes, tls: bool) -> dict[str, str]:
    """What each answer carries. One script of ours runs, by its digest; nothing else does, and nothing from elsewhere loads."""
    digest = base64.b64encode(sha256(script).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    always = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",  # without any, a form's Origin would be "null"
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "cache-control": "no-store",
    }
    return {**always, "strict-transport-security": "max-age=31536000"} if tls else always


def form_token(session: str) -> str:
    """What every form of this login carries: another site cannot know it."""
    return hmac.new(session.encode(), b"form", sha256).hexdigest()


class Guard:
    """ASGI middleware: Host, Origin, size of bodies, headers, and an answer to what nobody expected."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], always: Mapping[str, str], tls: bool) -> None:
        self._app = app
        self._hosts = hosts
        self._always = [(name.encode(), value.encode()) for name, value in always.items()]
        self._scheme = "https" if tls else "http"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = {name.lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in self._always if name not in own]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        refused = self._refusal(scope)
        if refused is not None:
            await PlainTextResponse(refused[1], refused[0])(scope, receive, with_headers)
            return
        try:
            await self._app(scope, receive, with_headers)
        except Exception as error:  # noqa: BLE001 - the last line: told by type and place, its text may quote a record
            told = failed("console.failed", error)
            if not started:
                await PlainTextResponse(f"{told}\n", 500)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        given: dict[bytes, bytes] = dict(scope["headers"])
        called = given.get(b"host", b"").decode("latin-1").lower()
        if host_of(called) not in self._hosts:
            return 421, "This page is not called by that name. Whoever serves it says by which names.\n"
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return 405, "GET or POST\n"
        if given.get(b"origin", b"").decode("latin-1").lower() != f"{self._scheme}://{called}":
            return 403, "This form was not sent from this page.\n"
        length = given.get(b"content-length", b"")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            return 413, "That is more than any form here.\n"
        return None


def host_of(called: str) -> str:
    """The name in a Host header, without port and brackets."""
    name = called[: called.rfind("]") + 1] if called.startswith("[") else called.partition(":")[0]
    bare = name.strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare

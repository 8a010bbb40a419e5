"""The door of the platform's pages for people who come over the network: who is let in, and what each is shown.

    browser ──TLS──▶ Host, Origin, size (guarding.py) ──▶ login ──▶ role ──▶ reason ──▶ one entry in the log ──▶ the page

What shows patients is for readers alone, and each document, each study and searching wants its reason, once in a login. Every look is
an entry of the platform's own log, on the disk before anything is shown: where the log takes none, nothing is (threats L4).
"""

import hmac
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from frontend_agent.guarding import Guard, form_token
from frontend_agent.passwords import MOST_TRIES, proof
from frontend_agent.platform.api import problem
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.own_log import LogNotWritten, OwnLog
from frontend_agent.platform.pages import VISITOR, Pages, language
from frontend_agent.platform.people.registry import People, Role
from frontend_agent.sessions import Sessions

COOKIE = "__Host-platform"
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)  # as of the console: nothing asked for, and in any case
SHORTEST_REASON, LONGEST_REASON = 2, 500  # characters
SEARCHING = "list"  # the subject of what shows many patients
ALWAYS = {  # beside what every page of the platform says
    "strict-transport-security": "max-age=31536000",
    "referrer-policy": "same-origin",  # without any, a form's Origin would be "null"
    "x-frame-options": "DENY",
}


class Visitor(msgspec.Struct, frozen=True):
    """Who is logged in. `changed_at`: of his account, when he came in: another password ends his logins."""

    name: str
    role: str
    changed_at: str

    def sees(self, part: str) -> bool:
        """`part`: an operation's `shows`."""
        return part == "hospitals" or (part == "patients" and self.role == Role.READER) or (
            part == "people" and self.role == Role.ADMINISTRATOR
        )  # fmt: skip


class Shown(msgspec.Struct, frozen=True):
    """What pages are told of who looks."""

    visitor: Visitor | None
    token: str = ""

    def sees(self, part: str) -> bool:
        return self.visitor is not None and self.visitor.sees(part)


class PeopleDoor:
    """One for a running platform."""

    def __init__(self, state: Path, pages: Pages, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._state = state
        self._pages = pages
        self._clock = clock
        self._people = People(state, clock)
        self._sessions = Sessions[Visitor](IDLE, LONGEST, lambda: secrets.token_urlsafe(32))
        self._reasons: dict[tuple[str, str], str] = {}  # (form token of a login, subject) -> reason
        self._looked: set[tuple[str, str]] = set()  # (form token, subject) whose pictures are in the log
        self._lock = threading.Lock()

    def application(self, operations: Sequence[Operation], hosts: frozenset[str]) -> Guard:
        """Everything that people may ask, behind this door."""
        theirs = [one for one in operations if one.who in ("people", "both")]
        routes = [
            Route("/login", self._form(self._login_page, self._login), methods=["GET", "POST"]),
            Route("/logout", self._behind(None, self._logout), methods=["POST"]),
            Route("/why", self._behind(None, self._why), methods=["POST"]),
            Route("/people/log", self._behind("people", self._log_page), methods=["GET"]),
            *(Route(one.path, self._guarded(one), methods=[one.method]) for one in theirs),
        ]
        return Guard(Starlette(routes=routes), hosts, ALWAYS, tls=True)

    # --- coming in and leaving -----------------------------------------------------------------------------------------

    def _form(self, shown: Callable[..., Response], sent: Callable[..., Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            request.scope[VISITOR] = Shown(None)
            if request.method == "GET":
                return await run_in_threadpool(shown, request, language(request))
            return await run_in_threadpool(sent, request, language(request), await _said(request))

        return endpoint

    def _login_page(
        self, request: Request, lang: str, wrong: str = "", status: int = 200, to: str = "", name: str = ""
    ) -> Response:
        to = to or request.query_params.get("to", "")
        to = _own_address(to) if to else ""  # without one, each role has its first page
        return self._pages.page(request, lang, "login.html", status, to=to, wrong=wrong, name=name)

    def _login(self, request: Request, lang: str, said: Mapping[str, str]) -> Response:
        """What was wrong is not told: one sentence for all of it."""
        name, address, to = said.get("name", "").strip()[:100], _address_of(request), said.get("to", "")
        with self._sessions.one_at_a_time:  # side by side they would all be tried before one is counted
            if self._people.tries(name, address) >= MOST_TRIES:
                return self._login_page(request, lang, "too_many_tries", 429, to, name)
            person = self._people.one(name)
            proofs = (person.password, person.totp, person.step) if person else ("", b"", 0)
            seconds = self._clock().timestamp()
            step = proof(*proofs, said.get("password", "")[:1000], said.get("code", "")[:20], seconds)
            if person is None or step is None or not self._people.entered(person, step):
                self._people.tried(name, address)
                # A name that is nobody's may be a password in the wrong field: it is not written down.
                self._write({"event": "people.refused", "who": name if person else "", "from": address})
                return self._login_page(request, lang, "wrong_login", 403, to, name if person else "")
        self._write({"event": "people.entered", "who": name, "role": person.role, "from": address})
        token = self._sessions.begin(Visitor(name, person.role, person.changed_at), self._clock())
        answer = RedirectResponse(_own_address(to) if to else "/" if person.role == Role.READER else "/hospitals", 303)
        answer.set_cookie(COOKIE, token, httponly=True, secure=True, samesite="strict", path="/")
        return answer

    def _logout(self, request: Request, lang: str, visitor: Visitor, said: Mapping[str, str]) -> Response:
        session = request.cookies.get(COOKIE, "")
        self._sessions.end(session)
        with self._lock:
            self._reasons = {key: why for key, why in self._reasons.items() if key[0] != form_token(session)}
            self._looked = {key for key in self._looked if key[0] != form_token(session)}
        self._write({"event": "people.left", "who": visitor.name, "role": visitor.role})
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
        return answer

    def _visitor(self, request: Request) -> Visitor | None:
        """Who is logged in with that cookie, if his account is still the one with which he came."""
        session = request.cookies.get(COOKIE, "")
        visitor = self._sessions.person(session, self._clock()) if session else None
        if visitor is None:
            return None
        person = self._people.one(visitor.name)
        if person is None or person.changed_at != visitor.changed_at:
            self._sessions.end_all(visitor.name)
            return None
        return visitor

    # --- what is behind it ---------------------------------------------------------------------------------------------

    def _behind(self, part: str | None, page: Callable[..., Response]) -> Callable[[Request], Any]:
        """A page of our own, for who is logged in."""

        async def endpoint(request: Request) -> Response:
            lang, said = language(request), await _said(request)
            visitor = await run_in_threadpool(self._visitor, request)
            refused = self._refused(request, lang, visitor, part, said)
            if refused is not None or visitor is None:
                return refused or RedirectResponse("/login", 303)
            return await run_in_threadpool(page, request, lang, visitor, said)

        return endpoint

    def _guarded(self, operation: Operation) -> Callable[[Request], Any]:
        """One of the platform's own answers, for whom it is."""

        async def endpoint(request: Request) -> Response:
            if operation.shows == "anything":  # the style sheet, the icon
                return await operation.endpoint(request)
            said = await _said(request)
            refused = await run_in_threadpool(self._admitted, request, operation, said)
            return refused if refused is not None else await operation.endpoint(request)

        return endpoint

    def _admitted(self, request: Request, operation: Operation, said: Mapping[str, str]) -> Response | None:
        lang, visitor = language(request), self._visitor(request)
        refused = self._refused(request, lang, visitor, operation.shows, said)
        if refused is not None or visitor is None:
            return refused
        if operation.shows != "patients":
            return None
        subject, key = subject_of(request), form_token(request.cookies[COOKIE])
        with self._lock:
            reason = self._reasons.get((key, subject), "")
            is_new = (key, subject) not in self._looked
        is_page = operation.media_type == "text/html"
        if not reason and operation.path.startswith("/viewer/"):
            return None  # the program itself, which shows nothing that it does not ask for
        if not reason and (not is_page or operation.method != "GET"):
            return problem(403, "reason", "say first why you look: open the page of this document or study")
        if not reason:
            address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return self._pages.page(
                request, lang, "why.html", 403, to=address, searching=subject == SEARCHING, wrong=""
            )
        if not is_page and "/documents/" not in operation.path and not is_new:
            return None  # pictures of a study come by hundreds: the first is said
        try:
            self._write({"event": "act", "act": _act(operation), "who": visitor.name, "role": visitor.role, "reason": reason,
                         "from": _address_of(request), "what": {"subject": subject, **_asked(request)}})  # fmt: skip
        except LogNotWritten:
            return problem(503, "log", "the platform's log takes no entry, so nothing is shown")
        with self._lock:
            self._looked.add((key, subject))
        return None

    def _refused(
        self, request: Request, lang: str, visitor: Visitor | None, part: str | None, said: Mapping[str, str]
    ) -> Response | None:
        token = form_token(request.cookies[COOKIE]) if visitor else ""
        request.scope[VISITOR] = Shown(visitor, token)
        if visitor is None:
            if request.method != "GET" or not _wants_page(request):
                return problem(401, "login", "nobody is logged in")
            address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?{urlencode({'to': address})}", 303)
        if part is not None and not visitor.sees(part):
            if not _wants_page(request):
                return problem(403, "role", "this is not for your role")
            return self._pages.page(request, lang, "forbidden.html", 403)
        is_form = request.headers.get("content-type", "").partition(";")[0] != "application/json"
        if (
            request.method == "POST"
            and is_form
            and not hmac.compare_digest(said.get("token", "").encode(), token.encode())
        ):
            return problem(403, "form", "this form is of another login, or of another site: load the page again")
        return None

    def _why(self, request: Request, lang: str, visitor: Visitor, said: Mapping[str, str]) -> Response:
        """Why he looks at one document, one study, or searches."""
        to, reason = _own_address(said.get("to", "")), " ".join(said.get("why", "").split())[:LONGEST_REASON]
        subject = _subject_in(urlsplit(to).path)
        if len(reason) < SHORTEST_REASON:
            return self._pages.page(
                request, lang, "why.html", 403, to=to, searching=subject == SEARCHING, wrong="no_reason"
            )
        with self._lock:
            self._reasons[form_token(request.cookies[COOKIE]), subject] = reason
        return RedirectResponse(to, 303)

    def _log_page(self, request: Request, lang: str, visitor: Visitor, said: Mapping[str, str]) -> Response:
        with OwnLog(self._state) as log:
            entries = log.newest(200)
        rows = [
            {"at": one["at"][:19], "who": one.get("who", ""), "act": one.get("act") or one["event"],
             "reason": one.get("reason", ""), "subject": (one.get("what") or {}).get("subject", ""), "seq": one["seq"]}
            for one in entries
        ]  # fmt: skip
        return self._pages.page(request, lang, "log.html", entries=rows)

    def _write(self, body: Mapping[str, Any]) -> None:
        with OwnLog(self._state, self._clock) as log:
            log.write(body)


def subject_of(request: Request) -> str:
    """Of what an answer speaks: one document, one study, or many patients."""
    found = request.path_params
    if "document_id" in found:
        return f"document {found['document_id']}"
    return f"study {found['study']}" if "study" in found else SEARCHING


def _subject_in(path: str) -> str:
    parts = path.strip("/").split("/")
    for kind, word in (("documents", "document"), ("studies", "study")):
        if len(parts) > 1 and parts[0] == kind:
            return f"{word} {parts[1]}"
    return SEARCHING


def _asked(request: Request) -> dict[str, Any]:
    """By what somebody searched: which fields, never what stood in them (law 9)."""
    fields = sorted(name for name, value in request.query_params.items() if value and name not in ("lang", "page"))
    return {"fields": fields[:20]} if fields else {}


def _act(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _own_address(text: str) -> str:
    """An address of this platform, and no other: where a login leads to must not be somebody else's choice."""
    parts = urlsplit(text)
    fits = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.netloc and text.isprintable()
    return text if fits and parts.path not in ("/login", "/logout", "/why") else "/"


async def _said(request: Request) -> dict[str, str]:
    """What a form said. The body is kept: whoever answers can read it again."""
    if request.method != "POST" or request.headers.get("content-type", "").partition(";")[0] == "application/json":
        return {}
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))

"""The console's pages: what the agent says, for people. Server-rendered in Chinese and English; a small script renews them.

Everything an agent tells is text to these pages: templates escape all of it. A page is offered to whom the daemon lets ask
its question; what somebody may not do has no button here, and is refused there.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from frontend_agent import __version__
from frontend_agent.config import Config
from frontend_agent.console.asking import Agent
from frontend_agent.console.words import ago, say, size, when, word
from frontend_agent.control import AnsweredError, ControlError, NoDaemon
from frontend_agent.errors import FrontendAgentError
from frontend_agent.guarding import form_token
from frontend_agent.signatures.words import of_receipt

LANGUAGES = ("zh", "en")
HTML = "text/html; charset=utf-8"
LANGUAGE_COOKIE = "console-lang"

_FILES = resources.files(__package__)
_PLATFORM = resources.files(
    "frontend_agent.platform"
)  # one house style: its sheet first, then what is the console's own
STYLE = _PLATFORM.joinpath("static/style.css").read_bytes() + _FILES.joinpath("static/console.css").read_bytes()
ICON = _PLATFORM.joinpath("static/icon.svg").read_bytes()
SCRIPT = _FILES.joinpath("static/console.js").read_bytes()


@dataclass(frozen=True)
class Visitor:
    """Who looks, in which language; `session` is empty for somebody who has not come in."""

    lang: str
    session: str = ""
    name: str = ""
    role: str = ""
    is_named: bool = True
    acts: frozenset[str] = frozenset()

    def may(self, act: str) -> bool:
        return act in self.acts


@dataclass(frozen=True)
class Called:
    """One request: by whom, what was asked, and what a form said."""

    request: Request
    visitor: Visitor
    form: Mapping[str, list[str]] = field(default_factory=dict)

    def asked(self, name: str) -> str:
        return self.request.query_params.get(name, "").strip()[:200]

    def said(self, name: str) -> str:
        return next(iter(self.form.get(name, [])), "").strip()

    def all_said(self, name: str) -> list[str]:
        return self.form.get(name, [])

    def part(self, name: str) -> str:
        return str(self.request.path_params[name])

    @property
    def address(self) -> str:
        client = self.request.client
        return client.host if client else ""


Page = Callable[[Called], Response]


class Refused(FrontendAgentError):
    """A form that is not one of ours, or that lacks something."""


# Where the navigation leads: word, address, and the question that whoever goes there must be allowed to ask.
PLACES = (
    ("overview", "/", "status"),
    ("quarantine", "/quarantine", "quarantine_groups"),
    ("terms", "/terms", "terms_unmapped"),
    ("sources", "/sources", "source_list"),
    ("images", "/images", "images_status"),
    ("alarms", "/alarms", "alarms"),
    ("log", "/log", "qc_log"),
    ("reports", "/reports", "report_figures"),
    ("trust", "/trust", "status"),
)


class Site:
    """What all pages share: the agent, the words, the door."""

    def __init__(self, agent: Agent, config: Config, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.agent = agent
        self.config = config
        self.zone = ZoneInfo(config.institution.timezone)
        self.clock = clock
        self.tls = bool(config.console.certificate)
        self.cookie = "__Host-console" if self.tls else "console"
        self.has_people = config.people.is_configured
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("frontend_agent.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["of_receipt"] = of_receipt

    # --- the door -----------------------------------------------------------------------------------------------------

    def page(self, page: Page, act: str = "status") -> Callable[[Request], Any]:
        """A page for whom has come in and may ask that question."""
        return self._endpoint(partial(self._guarded, page, act))

    def open_page(self, page: Page) -> Callable[[Request], Any]:
        """A page for everybody: the login."""
        return self._endpoint(page)

    def _endpoint(self, page: Page) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            form: dict[str, list[str]] = {}
            if request.method == "POST":
                for name, value in parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True):
                    form.setdefault(name, []).append(value)
            return await run_in_threadpool(self._answered, page, request, form)

        return endpoint

    def _answered(self, page: Page, request: Request, form: dict[str, list[str]]) -> Response:
        visitor = Visitor(language(request))
        try:
            visitor = self._visitor(request, visitor.lang)
            return page(Called(request, visitor, form))
        except NoDaemon:
            return self.show(Called(request, visitor), "stopped.html", 503)
        except (AnsweredError, ControlError, Refused) as error:
            return self.show(Called(request, visitor), "problem.html", 409, problem=str(error))

    def _visitor(self, request: Request, lang: str) -> Visitor:
        session = request.cookies.get(self.cookie, "")
        if not session:
            return Visitor(lang)
        is_there = "x-live" not in request.headers
        try:
            known = self.agent.ask("", "console_visitor", session=session, is_there=is_there)
        except AnsweredError:
            return Visitor(lang)
        return Visitor(lang, session, known["name"], known["role"], known["is_named"], frozenset(known["acts"]))

    def _guarded(self, page: Page, act: str, called: Called) -> Response:
        if not called.visitor.session:
            asked = called.request.url.path
            back = f"?{urlencode({'to': asked})}" if asked != "/" and called.request.method == "GET" else ""
            return RedirectResponse(f"/login{back}", 303)
        if not called.visitor.may(act):
            return self.show(called, "forbidden.html", 403)
        if called.request.method == "POST":
            token = called.said("token").encode()
            if not hmac.compare_digest(token, form_token(called.visitor.session).encode()):
                raise Refused(say(called.visitor.lang, "old_form"))
        return page(called)

    # --- what templates are given -------------------------------------------------------------------------------------

    def show(self, called: Called, template: str, code: int = 200, **values: Any) -> Response:
        visitor = called.visitor
        path = called.request.url.path
        text = self._templates.get_template(template).render(
            lang=visitor.lang,
            t=partial(say, visitor.lang),
            word=partial(word, visitor.lang),
            pick=lambda said: said.get(visitor.lang) or said.get("en", "") if isinstance(said, Mapping) else str(said),
            when=partial(when, self.zone, self.clock()),
            ago=partial(ago, visitor.lang, self.clock()),
            size=size,
            here=partial(here, called.request),
            visitor=visitor,
            may=visitor.may,
            token=form_token(visitor.session) if visitor.session else "",
            places=[(name, address) for name, address, act in PLACES if visitor.may(act)],
            place=max((address for _, address, _ in PLACES if f"{path}/".startswith(f"{address.rstrip('/')}/")), key=len),
            institution=self.config.institution,
            version=__version__,
            script=SCRIPT.decode(),
            style_version=sha256(STYLE).hexdigest()[:12],
            now=self.clock().isoformat(),
            **values,
        )  # fmt: skip
        return Response(text, code, media_type=HTML)

    def static(self, content: bytes, media_type: str) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return Response(content, media_type=media_type, headers={"Cache-Control": "public, max-age=86400"})

        return endpoint

    def said(self, called: Called, address: str, key: str, **values: str) -> Response:
        """Back to a page, with a word about what was done: a key of the texts and its figures."""
        return RedirectResponse(f"{address}{'&' if '?' in address else '?'}{urlencode({'said': key, **values})}", 303)


# -- Words and figures, pure ------------------------------------------------------------------------------------------


def language(request: Request) -> str:
    """What the address says, else what was chosen before, else what the browser prefers, else Chinese."""
    for chosen in (request.query_params.get("lang", ""), request.cookies.get(LANGUAGE_COOKIE, "")):
        if chosen in LANGUAGES:
            return chosen
    for preferred in request.headers.get("accept-language", "").lower().split(","):
        if (short := preferred.strip()[:2]) in LANGUAGES:
            return short
    return "zh"


def here(request: Request, **changes: str) -> str:
    """This page with some of its question changed; what was said of it is not said again."""
    asked = {name: value for name, value in {**request.query_params, **changes}.items() if value and name != "said"}
    return f"{request.url.path}?{urlencode(asked)}" if asked else request.url.path

"""The platform's pages: the list, a document, the hospitals (images: study_pages.py). Server-rendered, no script, Chinese and English.

Everything a hospital sent is text to these pages: templates escape all of it, ids in addresses are quoted, and nothing
of it decides what is loaded. What somebody searched for stays in the address and out of every log.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, partial
from hashlib import sha256
from importlib import resources
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from frontend_agent.errors import FrontendAgentError, StateError
from frontend_agent.formats.enclosed import KIND as ENCLOSED
from frontend_agent.formats.foreign_view import ForeignPage, content_of, foreign_page
from frontend_agent.formats.library import kind_codes, load_kind
from frontend_agent.formats.narrative import show_time
from frontend_agent.formats.view import view
from frontend_agent.formats.xml import parse
from frontend_agent.packs.skew import Skew, compared
from frontend_agent.platform.catalogue import COUNT_TO, PAGE, Listed, Search
from frontend_agent.platform.layout import Sheet, lay_out
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.store import Store
from frontend_agent.signatures.words import in_chinese
from frontend_agent.wire.receipts import prove

LANGUAGES = ("zh", "en")
HTML = "text/html; charset=utf-8"
ENDINGS = {"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png", "image/tiff": ".tif",
           "text/plain": ".txt", "text/rtf": ".rtf", "application/rtf": ".rtf"}  # fmt: skip
VISITOR = "frontend_agent.visitor"  # key of an ASGI scope: who looks, at the door for people
SEX = {"1": "male", "2": "female", "0": "sex_unknown", "9": "sex_unstated"}  # GB/T 2261.1

_FILES = resources.files(__package__)
_TEXTS: dict[str, dict[str, str]] = tomllib.loads(_FILES.joinpath("texts.toml").read_text("utf-8"))
_STYLE = _FILES.joinpath("static/style.css").read_bytes()
_ICON = _FILES.joinpath("static/icon.svg").read_bytes()
_STYLE_VERSION = sha256(_STYLE).hexdigest()[:12]

Page = Callable[[Request, str], Response]


class Pages:
    def __init__(self, store: Store, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._store = store
        self._clock = clock
        self._beside: Callable[[Listed], Mapping[str, Any]] = lambda listed: {}
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("frontend_agent.platform"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def show_beside(self, beside: Callable[[Listed], Mapping[str, Any]]) -> None:
        """What else stands on a document's page: its images."""
        self._beside = beside

    def operations(self) -> list[Operation]:
        page = {200: "a page", 503: "the store cannot be read"}
        one = {**page, 404: "no such document"}
        lang = {"lang": "zh or en"}
        return [
            Operation("GET", "/", self.in_thread(self.list), "The list of documents", {**lang, **dict.fromkeys(_ASKED, "search")}, answers=page, media_type="text/html"),
            Operation("GET", "/hospitals", self.in_thread(self.hospitals), "What each hospital has delivered", lang, answers=page, media_type="text/html", shows="hospitals"),
            Operation("GET", "/documents/{document_id}", self.in_thread(self.document), "One document, to be read", lang, answers=one, media_type="text/html"),
            Operation("GET", "/documents/{document_id}/xml", self.in_thread(self.xml), "The document's own bytes", answers={**one, 200: "CDA XML"}, media_type="application/xml", told_as="text/html"),
            Operation("GET", "/documents/{document_id}/content", self.in_thread(self.content), "What a document without an XML body carries", answers={**one, 200: "its bytes"}, media_type="application/octet-stream", told_as="text/html"),
            Operation("GET", "/documents/{document_id}/receipt", self.in_thread(self.receipt), "A proof of storage, verifiable offline", answers={**one, 200: "a signed receipt with its path"}, told_as="text/html"),
            Operation("GET", "/static/style.css", self.in_thread(self.style), "The style sheet", answers={200: "CSS"}, media_type="text/css", shows="anything"),
            Operation("GET", "/static/icon.svg", self.in_thread(self.icon), "The icon", answers={200: "SVG"}, media_type="image/svg+xml", shows="anything"),
        ]  # fmt: skip

    def in_thread(self, page: Page) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(page, request, language(request))

        return endpoint

    # --- pages -------------------------------------------------------------------------------------------------------

    def list(self, request: Request, lang: str) -> Response:
        asked = {name: cleaned(request.query_params.get(name, "")) for name in _ASKED}
        search, bad_date = _search(asked)
        count = self._store.count(search)
        last_page = max(1, -(-min(count, COUNT_TO) // PAGE))
        page = min(max(number_of(request.query_params.get("page", "")), 1), last_page)
        found = self._store.documents(search, page)
        return self.page(
            request, lang, "list.html",
            asked=asked, bad_date=bad_date, count=count, count_to=COUNT_TO, page=page, last_page=last_page, found=found,
            institutions=self._store.institutions(), kinds=self._store.kinds(), filtered=any(asked.values()),
        )  # fmt: skip

    def document(self, request: Request, lang: str) -> Response:
        listed = self._store.listed(request.path_params["document_id"])
        if listed is None:
            return self.missing(request, lang)
        try:
            content = self._store.document(listed.document_id)
        except StateError:
            return self.page(
                request, lang, "document.html", 503, listed=listed, sheet=None, foreign=None, damaged=True, versions=[],
                studies=[], key_notes=[], signature=self._store.signature(listed.document_id),
            )  # fmt: skip
        versions = self._store.versions(listed.institution, listed.set_id)
        sheet = _sheet(listed.kind, content or b"")
        foreign = _foreign(content or b"") if sheet is None else None
        return self.page(
            request, lang, "document.html",
            listed=listed, sheet=sheet, foreign=foreign, damaged=False, versions=versions, wrapped=listed.kind == ENCLOSED,
            signature=self._store.signature(listed.document_id),
            **{"studies": [], "key_notes": [], **self._beside(listed)},
        )  # fmt: skip

    def xml(self, request: Request, lang: str) -> Response:
        document_id = request.path_params["document_id"]
        try:
            content = self._store.document(document_id)
        except StateError:
            return self.page(request, lang, "missing.html", 503, title="documents", text="damaged")
        if content is None:
            return self.missing(request, lang)
        return Response(content, media_type="application/xml", headers=_attachment(f"{document_id}.xml"))

    def content(self, request: Request, lang: str) -> Response:
        """What a document without an XML body carries: always as a download, never as something a browser would run."""
        document_id = request.path_params["document_id"]
        try:
            document = self._store.document(document_id)
            held = content_of(parse(document)) if document else None
        except FrontendAgentError:
            return self.page(request, lang, "missing.html", 503, title="documents", text="damaged")
        if held is None:
            return self.missing(request, lang)
        ending = ENDINGS.get(held[0], ".bin")
        return Response(held[1], media_type="application/octet-stream", headers=_attachment(document_id + ending))

    def receipt(self, request: Request, lang: str) -> Response:
        listed = self._store.listed(request.path_params["document_id"])
        if listed is None:
            return self.missing(request, lang)
        reply = self._store.receipts(listed.institution, [listed.document_id])
        name = f"{listed.document_id}.receipt.json"
        return Response(prove(reply, 0), media_type="application/json", headers=_attachment(name))

    def hospitals(self, request: Request, lang: str) -> Response:
        tallies: dict[str, Any] = {}
        for tally in self._store.tallies():
            tallies.setdefault(tally.institution, []).append(tally)
        agents = {agent.institution: agent for agent in self._store.agents() if not agent.superseded_by}
        names = {**dict.fromkeys(agents, ""), **self._store.institutions()}
        return self.page(
            request, lang, "hospitals.html",
            names=names, tallies=tallies, agents=agents, disputes=self._store.disputed_logs(),
            packs=self._store.agents_packs(), skews=skews(self._store.agents_packs(), self._store.packs),
        )  # fmt: skip

    def missing(self, request: Request, lang: str) -> Response:
        return self.page(request, lang, "missing.html", 404, title="unknown_document", text="unknown_document_text")

    def style(self, request: Request, lang: str) -> Response:
        return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=86400"})

    def icon(self, request: Request, lang: str) -> Response:
        return Response(_ICON, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})

    # --- what templates are given ------------------------------------------------------------------------------------

    def page(self, request: Request, lang: str, template: str, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(template).render(
            lang=lang,
            asked_lang=request.query_params.get("lang", "") if request.query_params.get("lang") in LANGUAGES else "",
            t=partial(say, lang),
            link=partial(_link, request.query_params.get("lang", "")),
            here=partial(_here, request),
            pick=lambda label: getattr(label, lang) or label.zh,
            kind_name=partial(kind_name, lang),
            reason_in=in_chinese if lang == "zh" else str,
            ago=partial(_ago, lang, self._clock()),
            time=show_time,
            utc=_local,
            mask=mask,
            sex=lambda code: say(lang, SEX[code]) if code in SEX else code,
            state=_state,
            style_version=_STYLE_VERSION,
            shown=request.scope.get(VISITOR),  # None: at a door where nobody logs in
            **values,
        )
        return Response(text, status, media_type=HTML)


BEIJING = timezone(timedelta(hours=8))  # all of China, all year
_ASKED = ("institution", "patient", "kind", "first_day", "last_day", "all_versions")


def language(request: Request) -> str:
    """What the address says, else the first that the browser prefers and we speak, else Chinese."""
    asked = request.query_params.get("lang", "")
    if asked in LANGUAGES:
        return asked
    preferred = re.findall(r"(?:^|,)\s*(zh|en)\b[^,]*", request.headers.get("accept-language", "").lower())
    return str(preferred[0]) if preferred else "zh"


def say(lang: str, key: str, **values: Any) -> str:
    return _TEXTS[lang][key].format(**values)


@cache
def kind_name(lang: str, code: str) -> str:
    """The kind's name in words; the code itself for a kind that this platform does not know."""
    if code not in kind_codes():
        key = f"loinc_{code.removeprefix('loinc:')}" if code.startswith("loinc:") else f"kind_{code}"
        return _TEXTS[lang].get(key, code)
    kind = load_kind(code)
    return kind.name_zh if lang == "zh" else kind.name_en


def mask(number: str) -> str:
    """An identity number in a list: enough to tell two patients of one name apart."""
    return f"{number[:4]}{'*' * (len(number) - 8)}{number[-4:]}" if len(number) > 10 else number


def _sheet(kind: str, content: bytes) -> Sheet | None:
    """None for what was stored for a kind, or in a form, that this platform cannot lay out."""
    if kind not in kind_codes():
        return None
    try:
        return lay_out(view(load_kind(kind), load_kind(kind).reader(content)))
    except FrontendAgentError:
        return None


def _foreign(content: bytes) -> ForeignPage | None:
    """Somebody else's document by its own narrative; None if it is no CDA at all."""
    try:
        return foreign_page(content)
    except FrontendAgentError:
        return None


def _state(listed: Listed) -> str:
    return "void" if listed.void else "current" if listed.newest else "replaced"


def _search(asked: Mapping[str, str]) -> tuple[Search, bool]:
    """The search, and whether a date was left out because it is none."""
    days = {name: day_of(asked[name]) for name in ("first_day", "last_day")}
    bad = any(asked[name] and not day for name, day in days.items())
    search = Search(
        institution=asked["institution"],
        patient=asked["patient"],
        kind=asked["kind"],
        all_versions=bool(asked["all_versions"]),
        **days,
    )
    return search, bad


def day_of(text: str) -> str:
    for pattern in ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d"):
        try:
            return datetime.strptime(text, pattern).strftime("%Y%m%d")
        except ValueError:
            continue
    return ""


def cleaned(text: str) -> str:
    return text.strip()[:100]


def number_of(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else 1


def _link(lang: str, path: str, *parts: str, **query: str) -> str:
    """An address inside the platform; a language that was chosen by hand stays chosen."""
    address = path + "".join(f"/{quote(part, safe='')}" for part in parts)
    asked = {**{name: value for name, value in query.items() if value}, **({"lang": lang} if lang in LANGUAGES else {})}
    return f"{address}?{urlencode(asked)}" if asked else address


def _here(request: Request, **changes: str) -> str:
    """This page with some of its question changed."""
    asked = {name: value for name, value in {**request.query_params, **changes}.items() if value}
    return f"{quote(request.url.path)}?{urlencode(asked)}"


def skews(agents: Mapping[str, Mapping[str, str]], ours: Mapping[str, str]) -> dict[str, list[Skew]]:
    """Institution -> where its agent judges by other versions than this platform."""
    return {institution: found for institution, packs in agents.items() if (found := compared(ours, packs))}


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


def _local(stamp: str) -> str:
    """The platform's own times as the documents beside them tell theirs."""
    return datetime.fromisoformat(stamp).astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S") if stamp else ""


def _ago(lang: str, now: datetime, stamp: str) -> str:
    seconds = int((now - datetime.fromisoformat(stamp)).total_seconds())
    for unit, length in (("ago_days", 86400), ("ago_hours", 3600), ("ago_minutes", 60)):
        if seconds >= length:
            return say(lang, unit, n=seconds // length)
    return say(lang, "ago_now")

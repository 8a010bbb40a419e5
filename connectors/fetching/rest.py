"""`rest-poll`: a REST interface that is asked for what is new (RFC 9110; Link of RFC 8288)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
from requests.utils import parse_header_links

from connectors.fetching.answers import Found, Paths, Reader
from connectors.fetching.calling import Answer, Caller, ComeLater, Request, origin, place
from connectors.fetching.credentials import Credentials
from connectors.fetching.rounds import Page, Question, RoundOptions, Rounds
from connectors.fetching.templates import (
    as_it_is,
    check_template,
    filled,
    in_header,
    in_json,
    in_url,
    in_xml,
    new_uuid,
)
from frontend_agent.errors import ConfigurationError, SourceRefused, SourceUnreachable

MOST_REMEMBERED = 50  # addresses of which we know what the source called their state


@dataclass(frozen=True, kw_only=True)
class RestOptions:
    """What is sent. `parameters`, `form`, `body` and the url are templates."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "application/json; charset=utf-8"
    paging: str = "none"
    conditional: bool = True


class RestAsker:
    """Asks one REST interface."""

    def __init__(
        self,
        options: RestOptions,
        paths: Paths,
        rounds: RoundOptions,
        caller: Caller,
        credentials: Credentials,
        largest: int,
    ) -> None:
        self._options, self._inlet = options, rounds.inlet
        self._caller, self._credentials = caller, credentials
        self._reader = Reader(paths, largest)
        self._rounds = Rounds(rounds, self._ask)
        # One page alone: of several the first may be as it was, and the second not.
        self._is_conditional = options.conditional and options.method == "GET" and options.paging == "none"
        self._states: dict[str, Mapping[str, str]] = {}  # address -> what to send so that it need not be told again
        self._now_states: dict[str, Mapping[str, str]] = {}
        for where, template in self._templates():
            check_template(template, f"inlets.{self._inlet}.{where}")

    def pages(self, mark: str, now: datetime) -> Iterator[Page]:
        self._now_states = {}
        yield from self._rounds.pages(mark, now)
        # Only now: what was not kept must be told again.
        self._states |= self._now_states
        while len(self._states) > MOST_REMEMBERED:
            self._states.pop(next(iter(self._states)))

    def first(self, now: datetime) -> str:
        return self._rounds.first(now)

    def probe(self) -> None:
        """Put the first question of a round, and read its answer without keeping anything."""
        self._states = {}
        for _ in self._rounds.pages("", datetime.now(UTC)):
            return

    def close(self) -> None:
        self._caller.close()

    # -- one question

    def _ask(self, question: Question) -> Found:
        request = self._request(question)
        shown = self._credentials.shown(request)
        state = self._states.get(request.url, {}) if self._is_conditional else {}
        answer = self._caller.ask(msgspec.structs.replace(shown, headers={**shown.headers, **state}))
        if answer.status == 304 and state:
            return Found((), more=False)
        if answer.status in (204, 205):
            return Found(())
        judged(answer, self._inlet, self._credentials)
        found = self._reader.found(answer.body)
        self._now_states[request.url] = _state_of(answer)
        return msgspec.structs.replace(found, cursor=self._next(answer, found))

    def _request(self, question: Question) -> Request:
        options = self._options
        values = {**question.values, **self._credentials.names(), "uuid": new_uuid()}
        headers = {name: in_header(filled(value, values)) for name, value in options.headers.items()}
        if question.url:
            return Request("GET" if options.method == "GET" else "POST", question.url, headers, self._body(values))
        url = filled(options.url, values, in_url)
        query = [(name, filled(template, values, as_it_is)) for name, template in options.parameters.items()]
        query = [(name, value) for name, value in query if value]  # an empty cursor is none
        if query:
            url += ("&" if urlsplit(url).query else "?") + urlencode(query)
        body = self._body(values)
        if options.method == "POST":
            headers |= {"Content-Type": "application/x-www-form-urlencoded" if options.form else options.content_type}
        return Request(options.method, url, headers, body)

    def _body(self, values: Mapping[str, str]) -> bytes:
        options = self._options
        if options.form:
            return urlencode({name: filled(text, values, as_it_is) for name, text in options.form.items()}).encode()
        written = in_json if "json" in options.content_type else in_xml if "xml" in options.content_type else as_it_is
        return filled(options.body, values, written).encode()

    def _next(self, answer: Answer, found: Found) -> str:
        """The next page's cursor, or its address: at the same origin and nowhere else (threat C5)."""
        if self._options.paging == "link":
            links = parse_header_links(answer.headers.get("link", ""))
            named = next((link.get("url", "") for link in links if link.get("rel") == "next"), "")
        elif self._options.paging == "next":
            named = found.cursor
        else:
            return found.cursor
        return same_origin(named, answer.url, self._inlet) if named else ""

    def _templates(self) -> list[tuple[str, str]]:
        options = self._options
        return [
            ("url", options.url),
            ("body", options.body),
            *((f"parameters.{name}", text) for name, text in options.parameters.items()),
            *((f"form.{name}", text) for name, text in options.form.items()),
            *((f"headers.{name}", text) for name, text in options.headers.items()),
        ]


def same_origin(named: str, asked: str, inlet: str) -> str:
    """An address that an answer names, made whole; SourceRefused if it is at another origin."""
    url = urljoin(asked, named)
    try:
        ours = origin(url) == origin(asked)
    except ConfigurationError:
        ours = False
    if not ours:
        raise SourceRefused(
            f"inlet {inlet}: the answer names a next page that is not at {place(asked)}: it is not asked"
        )
    return url


def judged(answer: Answer, inlet: str, credentials: Credentials | None = None) -> None:
    """Raise what a status other than 2xx means."""
    status, where = answer.status, f"inlet {inlet}: {place(answer.url)}"
    if 200 <= status < 300:
        return
    if status == 401 and credentials is not None:
        credentials.refused()
    if status == 429 or (status == 503 and "retry-after" in answer.headers):
        raise ComeLater(
            f"{where} asks for patience (HTTP {status})", retry_after(answer.headers.get("retry-after", ""))
        )
    if 300 <= status < 400:
        raise SourceRefused(f"{where} redirects (HTTP {status}): name the right address, it is not followed")
    if status in (408, 425) or status >= 500:
        raise SourceUnreachable(f"{where} answers HTTP {status}")
    raise SourceRefused(f"{where} refuses (HTTP {status})")


def retry_after(text: str, now: datetime | None = None) -> float:
    """Seconds that Retry-After asks for (RFC 9110 10.2.3); 0 where it says nothing that can be read."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _state_of(answer: Answer) -> Mapping[str, str]:
    """The validators of an answer, as the next request shows them (RFC 9110 13.1)."""
    if tag := answer.headers.get("etag"):
        return {"If-None-Match": tag}
    if since := answer.headers.get("last-modified"):
        return {"If-Modified-Since": since}
    return {}

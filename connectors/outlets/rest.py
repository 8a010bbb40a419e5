"""A private REST interface (dialect D), by settings: what is asked, how it is signed, what the answers mean.

a pattern of [answer] matches       what it says: accepted, refused with its reasons, asked to come again
401, and there is a login           a new token, and the request once more: it was not looked at
401 403 404 405 407 3xx             NotAllowed: address, token or rights; no document is to blame
408 429 503                         retry
2xx without a match; 502 504, cut   unanswered: it may be there, and nobody guesses
400 413 500, anything else          RefusedWhole
"""

import hashlib
import hmac
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from connectors.outlets import LONGEST_ASKING, Around, DocumentUnreadable, Feedback, OpenedDocument, all_of
from connectors.outlets.http import Answer, HttpEdge, Tls, Unanswered
from connectors.outlets.templates import DOCUMENTS, CannotBeSaid, JsonTemplate, Scope, Text, XmlTemplate
from frontend_agent.answers import REST, Answered, compile_patterns, finder, walker
from frontend_agent.config_answers import AnswerConfig
from frontend_agent.config_outlets import RequestConfig, RestOutlet, SignConfig
from frontend_agent.delivery import SignedReply
from frontend_agent.errors import ConfigurationError, DestinationError, DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.model import Document, Outcome, Receipt

EARLY = timedelta(seconds=30)  # before a token ends it is not used any more
LONGEST_TOKEN = 16_384
NOT_ALLOWED = (401, 403, 404, 405, 407)
BUSY = (408, 429, 503)
NOT_KNOWN = (502, 504)


class _Ready(NamedTuple):
    """A request that only has to be sent."""

    method: str
    url: str
    body: bytes | None
    headers: dict[str, str]


class RestEdge:
    """One interface, one exchange at a time."""

    def __init__(self, name: str, options: RestOutlet, around: Around) -> None:
        self.name = name
        self.at_once = options.batch
        self._options = options
        self._around = around
        self._url = options.url.rstrip("/")
        self._zone = ZoneInfo(around.timezone)
        self._http = HttpEdge(name, Tls(options.certificate, options.key, options.ca), options.timeout)
        self._turn = threading.RLock()
        self._token = _Token()
        self.not_asked: frozenset[str] = frozenset()
        try:
            self._sending = self._request(options.request, "request")
            self._asking = self._request(options.confirm, "confirm") if options.confirm.url else None
            self._login = self._request(options.login, "login") if options.login.url else None
            self._answers = compile_patterns(options.answer, REST)
            self._later = compile_patterns(
                AnswerConfig(
                    success=options.confirm.stored,
                    failure=options.confirm.rejected,
                    retry=options.confirm.lost,
                    reason=options.confirm.reason,
                    charset=options.answer.charset,
                )
            )
            self._token_in = finder(options.login.token) if options.login.token else None
            self._lasts_in = finder(options.login.lasts_path) if options.login.lasts_path else None
            self._items = walker(options.items.each) if options.items.each else None
            self._item_id = finder(_beneath(options.items.id)) if options.items.id else None
        except ConfigurationError as error:
            raise ConfigurationError(f"destinations.{name}: {error}") from None

    # --- sending ------------------------------------------------------------------------------------------------------

    def send(self, documents: Sequence[Document], /) -> Sequence[Receipt]:
        """One request for all of them; what cannot be said of a document refuses that document alone."""
        with self._turn:
            receipts: list[Receipt] = []
            opened: list[OpenedDocument] = []
            for document in documents:
                try:
                    one = self._around.opened(document)
                    self._sending.check(self._scope([one]))
                    opened.append(one)
                except (DocumentUnreadable, CannotBeSaid) as error:
                    receipts += all_of([document], Outcome.REFUSED, str(error))
            if not opened:
                return receipts
            try:
                return [*receipts, *self._deliver(opened)]
            except DestinationError as error:
                if not receipts:
                    raise
                # What was refused here is known and must not be lost; the others are tried first next time.
                left = [one.document for one in opened]
                return [*receipts, *all_of(left, Outcome.UNREACHABLE, str(error))]

    def take_replies(self) -> Sequence[SignedReply]:
        """It signs nothing that we can prove."""
        return []

    def probe(self) -> None:
        """Whether somebody listens there, TLS holds, secrets are to be found, and the login lets us in. Sends no document."""
        with self._turn:
            self._secret(self._options.secret)
            self._secret(self._options.sign.secret)
            self._http.probe(self._url + "/")
            if self._login is not None:
                self._log_in()

    def _deliver(self, opened: Sequence[OpenedDocument]) -> list[Receipt]:
        documents = [one.document for one in opened]
        try:
            answer = self._ask(self._sending, self._scope(opened))
        except Unanswered as error:
            return all_of(documents, Outcome.UNANSWERED, str(error))
        except CannotBeSaid as error:  # of one alone it was looked at before
            if len(documents) > 1:
                raise RefusedWhole(f"{self.name}: no request can be made of {len(documents)}: {error}") from error
            return all_of(documents, Outcome.REFUSED, str(error))
        told = self._answers.read(answer.status, answer.body, answer.charset)
        if self._items is not None and told.outcome in (Outcome.ACCEPTED, None) and answer.status < 300:
            return list(self._each_of(opened, answer))
        if told.outcome is Outcome.REFUSED and len(documents) > 1:
            raise RefusedWhole(f"{self.name}: {'; '.join(told.reasons) or 'refused without a reason'}")
        return all_of(documents, told.outcome or self._unmatched(answer, told), *told.reasons)

    def _unmatched(self, answer: Answer, told: Answered) -> Outcome:
        """An answer that no pattern knows means what its protocol says, and never yes."""
        said = f"{self.name} answered {answer.status}: {told.reasons[0]}"
        if answer.status in NOT_ALLOWED or 300 <= answer.status < 400:
            raise NotAllowed(said)
        if answer.status in BUSY:
            return Outcome.RETRY
        if answer.status in NOT_KNOWN or answer.status < 300:
            return Outcome.UNANSWERED
        raise RefusedWhole(said)

    def _each_of(self, opened: Sequence[OpenedDocument], answer: Answer) -> Iterator[Receipt]:
        """Each document by its own answer; one that is not spoken of was not answered."""
        assert self._items is not None
        assert self._item_id is not None
        means = self._options.items.means
        named = {str(_look_up(means, self._scope([one]))): one.document for one in opened}
        for item in self._items(answer.body, answer.charset):
            ids = self._item_id(answer.status, item, "")
            document = named.pop(ids[0], None) if ids else None
            if document is not None:
                told = self._answers.read(answer.status, item)
                yield Receipt(document.document_id, told.outcome or Outcome.UNANSWERED, reasons=told.reasons)

    # --- asking -------------------------------------------------------------------------------------------------------

    @property
    def asks_every(self) -> timedelta | None:
        return self._options.confirm.every if self._asking is not None else None

    @property
    def asks_first(self) -> timedelta:
        return self._options.confirm.first

    @property
    def asks_until(self) -> timedelta:
        return self._options.confirm.until

    def ask(self, documents: Sequence[Document], /) -> Sequence[Feedback]:
        """One question for each. An answer that no pattern knows says nothing of it."""
        assert self._asking is not None
        with self._turn:
            found: list[Feedback] = []
            self.not_asked = frozenset()
            ends = time.monotonic() + LONGEST_ASKING
            for at, document in enumerate(documents):
                if time.monotonic() > ends:
                    self.not_asked = frozenset(one.document_id for one in documents[at:])
                    break
                try:
                    answer = self._ask(self._asking, self._scope([self._around.opened(document)]))
                except (Unanswered, DocumentUnreadable, CannotBeSaid):
                    continue
                if (
                    answer.status in NOT_ALLOWED
                    and not found
                    and self._later.read(answer.status, answer.body).outcome is None
                ):
                    raise NotAllowed(
                        f"{self.name}: the question what became of a document is answered with {answer.status}"
                    )
                told = self._later.read(answer.status, answer.body, answer.charset)
                if told.outcome is not None:
                    stored = told.outcome is Outcome.ACCEPTED
                    again = told.outcome is Outcome.RETRY
                    told_by = f"{self._asking.method} {self._asking.shown}"
                    found.append(Feedback(document.document_id, stored, told.reasons, again, told_by))
            return found

    def heard(self, told_by: str, /) -> None:
        """Nothing is moved away here."""

    # --- requests -----------------------------------------------------------------------------------------------------

    def _request(self, config: RequestConfig, what: str) -> "_Request":
        try:
            return _Request(config, self._options.sign, self._zone, self._options.codes)
        except ConfigurationError as error:
            raise ConfigurationError(f"{what}: {error}") from None

    def _ask(self, request: "_Request", scope: dict[str, Any]) -> Answer:
        answer = self._once(request, scope)
        if answer.status == 401 and self._login is not None:
            self._token = _Token()
            answer = self._once(request, scope)
        return answer

    def _once(self, request: "_Request", scope: dict[str, Any]) -> Answer:
        if self._login is not None:
            scope = {**scope, "token": self._log_in()}
        ready = request.made(self._url, {**scope, **self._secrets()}, self._signing)
        return self._http.ask(ready.method, ready.url, ready.body, ready.headers)

    def _log_in(self) -> str:
        """The token, asked for when there is none that lasts."""
        assert self._login is not None
        assert self._token_in is not None
        now = self._around.clock()
        if self._token.text and now < self._token.until - EARLY:
            return self._token.text
        ready = self._login.made(self._url, {**self._common(), **self._secrets()}, self._signing)
        try:
            answer = self._http.ask(ready.method, ready.url, ready.body, ready.headers)
        except Unanswered as error:
            raise DestinationUnreachable(f"{self.name}: no token: {error}") from error
        if answer.status in (*BUSY, *NOT_KNOWN, 500):
            raise DestinationUnreachable(f"{self.name}: no token: the login is answered with {answer.status}")
        found = [one.strip() for one in self._token_in(answer.status, answer.body, answer.charset) if one.strip()]
        if answer.status >= 300 or not found or len(found[0]) > LONGEST_TOKEN:
            raise NotAllowed(f"{self.name}: the login is answered with {answer.status} and no token")
        lasts = self._options.login.lasts
        if self._lasts_in is not None:
            seconds = [one for one in self._lasts_in(answer.status, answer.body, answer.charset) if one.isdigit()]
            lasts = timedelta(seconds=min(int(seconds[0][:9]), 86_400 * 30)) if seconds else lasts
        self._token = _Token(found[0], now + lasts)
        return found[0]

    def _signing(self, parts: Mapping[str, str], body: bytes | None, sorted_members: str) -> str:
        sign = self._options.sign
        key = self._secret(sign.secret or self._options.secret)
        scope = {
            **parts,
            "body": (body or b"").decode("utf-8", "surrogateescape"),
            "sorted": sorted_members,
            "secret": key,
        }
        text = Text(sign.text, self._zone, {}).fill(scope) or ""
        return _signed(sign, key.encode(), text.encode("utf-8", "surrogateescape"))

    def _secret(self, name: str) -> str:
        return self._around.secret(name) if name else ""

    def _secrets(self) -> dict[str, str]:
        return {"secret": self._secret(self._options.secret)} if self._options.secret else {}

    # --- values -------------------------------------------------------------------------------------------------------

    def _common(self) -> dict[str, Any]:
        now = self._around.clock()
        stamp = Text("{now|%s}" % self._options.sign.timestamp, self._zone, {}).fill({"now": now}) or ""  # noqa: UP031
        return {
            "now": now,
            "timestamp": stamp,
            "nonce": secrets.token_hex(16),
            "institution": {"id": self._around.institution, "name": self._around.institution_name},
        }

    def _scope(self, opened: Sequence[OpenedDocument]) -> dict[str, Any]:
        scope = {**self._common(), DOCUMENTS: [_of(one) for one in opened]}
        scope["batch"] = {
            "id": hashlib.sha256(" ".join(one.document.document_id for one in opened).encode()).hexdigest(),
            "size": str(len(opened)),
        }
        return {**scope, **_of(opened[0])} if len(opened) == 1 else scope


class _Token(NamedTuple):
    text: str = ""
    until: datetime = datetime.max


class _Request:
    """One kind of request, compiled."""

    def __init__(
        self, config: RequestConfig, sign: SignConfig, zone: ZoneInfo, codes: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.method = config.method
        self.shown = config.url.partition("?")[0]  # for who reads what was asked: names, no values
        self._sign = sign
        self._body = config.body
        self._url = _UrlText(config.url, zone, codes)
        self._headers = {name: Text(value, zone, codes) for name, value in config.headers.items()}
        self._fields = {
            name: (value.startswith("@"), Text(value.removeprefix("@"), zone, codes))
            for name, value in config.fields.items()
        }
        self._tree: JsonTemplate | XmlTemplate | None = None
        if config.template:
            make = JsonTemplate if config.body == "json" else XmlTemplate
            self._tree = make(_file(config.template), zone, codes, config.template)

    def check(self, scope: Scope) -> None:
        """Raise what of a document cannot be said, before anything is sent."""
        self._url.fill(scope)
        if self._tree is not None:
            self._tree.write(self._tree.fill(scope, _rows))
        for _, text in self._fields.values():
            text.fill(scope)
        for name, text in self._headers.items():
            _header(name, text.fill({**scope, "token": "t", "secret": "s", "signature": "s"}))

    def made(self, base: str, scope: dict[str, Any], signing: Callable[..., str]) -> _Ready:
        """Ready to be sent; signed as the settings say."""
        scope = dict(scope)
        kind, body, members = self._content(scope, "")
        if self._sign.algorithm:
            parts = {name: value for name, value in scope.items() if isinstance(value, str)}
            scope["signature"] = signing(parts, body, members)
            if self._sign.into:
                kind, body, _ = self._content(scope, scope["signature"])
        headers = {"Content-Type": kind} if kind else {}
        for name, text in self._headers.items():
            value = _header(name, text.fill(scope))
            if value is not None:
                headers[name] = value
        return _Ready(self.method, base + self._url.fill(scope), body, headers)

    def _content(self, scope: dict[str, Any], signature: str) -> tuple[str, bytes | None, str]:
        """Media type, bytes, and the members as they are signed: a=1&b=2 in the order of their names."""
        if self._body == "content":
            return "application/xml", scope["content"], ""
        if self._body == "":
            return "", None, ""
        if self._body in ("form", "multipart"):
            said = {name: (file, text.fill(scope)) for name, (file, text) in self._fields.items()}
            fields = {name: (file, value) for name, (file, value) in said.items() if value is not None}
            members = _sorted({name: value for name, (file, value) in fields.items() if not file})
            if signature:
                fields[self._sign.into] = (False, signature)
            if self._body == "form":
                written = urlencode({name: value for name, (_, value) in fields.items()})
                return "application/x-www-form-urlencoded", written.encode(), members
            return *_multipart(fields), members
        assert self._tree is not None
        tree = self._tree.fill(scope, _rows)
        members = ""
        if isinstance(tree, dict):
            members = _sorted({name: value for name, value in tree.items() if isinstance(value, str | int | float)})
            if signature:
                tree[self._sign.into] = signature
        return self._tree.media_type, self._tree.write(tree), members


class _UrlText:
    """What stands behind the host: each value of it percent-encoded, so that none can become another path."""

    def __init__(self, url: str, zone: ZoneInfo, codes: Mapping[str, Mapping[str, str]]) -> None:
        self._pieces = [Text(piece, zone, codes) for piece in _pieces(url)]
        self._names = [piece.names for piece in self._pieces]

    def fill(self, scope: Scope) -> str:
        written = []
        for names, piece in zip(self._names, self._pieces, strict=True):
            value = piece.fill(scope)
            if value is None:
                raise CannotBeSaid(f"{names[0]} is missing, and stands in the address")
            written.append(quote(value, safe="") if names else value)
        url = "".join(written)
        # Dots are never percent-encoded (RFC 3986 §2.3): who carries the request takes such a part for another folder.
        if {".", ".."} & set(url.partition("?")[0].split("/")):
            said = ", ".join(name for names in self._names for name in names)
            raise CannotBeSaid(f"the address cannot carry a value of it ({said})")
        return url


def _pieces(url: str) -> list[str]:
    """The url cut at its placeholders."""
    found, rest = [], url
    while "{" in rest:
        before, _, after = rest.partition("{")
        name, _, rest = after.partition("}")
        found += [before, "{" + name + "}"]
    return [piece for piece in [*found, rest] if piece]


def _of(one: OpenedDocument) -> dict[str, Any]:
    """The values of one document."""
    document = one.document
    return {
        "document": {
            "id": document.document_id,
            "set_id": document.set_id,
            "version": str(document.version),
            "replaces_id": document.replaces_id,
            "kind": document.kind,
            "kind_name": one.kind_name,
            "institution": document.institution,
            "key": document.key,
            "sha256": document.sha256,
            "size": str(document.size),
            "void": "1" if document.void else "0",
            "event_time": one.event_time,
            "made_at": datetime.fromisoformat(document.made_at),
            "department": document.department,
        },
        "record": one.record,
        "content": one.content,
    }


def _rows(group: str, scope: Scope) -> Sequence[Scope]:
    """The rows of a group of the record, or the documents of a batch."""
    if group == DOCUMENTS:
        return [{**scope, **one} for one in scope.get(DOCUMENTS, ())]
    found = (scope.get("record") or {}).get(group, ())
    return [{**scope, "item": row} for row in found]


def _look_up(name: str, scope: Scope) -> Any:
    first, _, rest = name.partition(".")
    value = scope.get(first)
    return value.get(rest) if rest and isinstance(value, Mapping) else value


def _header(name: str, value: str | None) -> str | None:
    """A value of a document may not become another header."""
    if value is None:
        return None
    if any(character < " " or character > "~" for character in value):
        raise CannotBeSaid(f"the header {name} cannot carry a value of it; send it |base64")
    return value


def _sorted(members: Mapping[str, Any]) -> str:
    """As such platforms sign them: by name, empty ones left out, unescaped."""
    said = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in members.items()}
    return "&".join(f"{name}={value}" for name, value in sorted(said.items()) if value)


def _signed(sign: SignConfig, key: bytes, text: bytes) -> str:
    family, _, of = sign.algorithm.partition("-")
    digest = hmac.new(key, text, of).digest() if family == "hmac" else hashlib.new(sign.algorithm, text).digest()
    if sign.write == "base64":
        return b64encode(digest).decode()
    return digest.hex().upper() if sign.write == "HEX" else digest.hex()


def _multipart(fields: Mapping[str, tuple[bool, str]]) -> tuple[str, bytes]:
    """multipart/form-data (RFC 7578). The boundary is drawn until no part holds it."""
    boundary = secrets.token_hex(16)
    while any(boundary in value for _, value in fields.values()):
        boundary = secrets.token_hex(16)
    body = bytearray()
    for name, (file, value) in fields.items():
        disposition = f'form-data; name="{_quoted(name)}"' + (f'; filename="{_quoted(name)}"' if file else "")
        kind = "application/octet-stream" if file else "text/plain; charset=utf-8"
        body += f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n".encode()
        body += value.encode() + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", bytes(body)


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _file(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"template {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"template {path}: not UTF-8") from None


def _beneath(path: str) -> str:
    return path if path.startswith(("json ", "xml ", "text ")) else f"json {path}"

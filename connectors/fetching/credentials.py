"""Who asks: what each kind of credentials adds to a request. Secrets come by name and are never told.

basic · bearer · token (header or parameter) · signature (of time, nonce, path and body) · oauth2 (client credentials).
WS-Security's UsernameToken stands in the envelope: `soap.py` writes it.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from connectors.fetching.calling import Answer, Request, place
from connectors.fetching.templates import (
    NAMES,
    SIGNING,
    as_it_is,
    check_template,
    filled,
    in_header,
    new_uuid,
    written_time,
)
from frontend_agent.errors import ConfigurationError, SourceRefused

EARLY = 30.0  # seconds before its end that a token is fetched anew


class Settings(Protocol):
    """[inlets.NAME.credentials] as it was read."""

    @property
    def kind(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def secret(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def in_(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def signed(self) -> str: ...
    @property
    def encoding(self) -> str: ...
    @property
    def beside(self) -> Mapping[str, str]: ...
    @property
    def timestamp(self) -> str: ...
    @property
    def token_url(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def digest(self) -> bool: ...


class Credentials:
    """What one inlet shows. `asks` calls the address of the tokens, where there is one."""

    def __init__(
        self,
        settings: Settings,
        secret: str,
        asks: Callable[[Request], Answer],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._secret, self._asks = settings, secret, asks
        self._clock, self._monotonic = clock, monotonic
        self._token, self._until = "", 0.0
        if settings.kind == "signature":
            check_template(settings.signed, "credentials.signed", {*NAMES, *SIGNING})
            for name, template in settings.beside.items():
                check_template(template, f"credentials.beside.{name}", {*NAMES, *SIGNING})

    def names(self) -> dict[str, str]:
        """What `{user}` and `{secret}` stand for in templates."""
        return {"user": self._settings.user, "secret": self._secret}

    def shown(self, request: Request) -> Request:
        """The request with what shows who asks."""
        settings = self._settings
        match settings.kind:
            case "basic":
                return _with_header(request, "Authorization", _basic(settings.user, self._secret))
            case "bearer":
                return _with_header(request, "Authorization", f"Bearer {self._secret}")
            case "token":
                return self._put(request, {settings.name: settings.prefix + self._secret})
            case "signature":
                return self._signed(request)
            case "oauth2":
                return _with_header(request, "Authorization", f"Bearer {self._bearer()}")
        return request

    def refused(self) -> None:
        """What was shown was not believed: a token is fetched anew the next time."""
        self._token = ""

    def _put(self, request: Request, values: Mapping[str, str]) -> Request:
        for name, value in values.items():
            if self._settings.in_ == "query":
                joint = "&" if urlsplit(request.url).query else "?"
                request = msgspec.structs.replace(request, url=request.url + joint + urlencode({name: value}))
            else:
                request = _with_header(request, name, value)
        return request

    def _signed(self, request: Request) -> Request:
        settings, parts = self._settings, urlsplit(request.url)
        values = {
            **self.names(),
            "method": request.method,
            "path": parts.path or "/",
            "query": urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True))),
            "body": request.body.decode("utf-8", "replace"),
            "timestamp": written_time(self._clock(), settings.timestamp, UTC),
            "nonce": new_uuid().replace("-", ""),
        }
        signature = signed(
            filled(settings.signed, values, as_it_is), self._secret, settings.algorithm, settings.encoding
        )
        beside = {name: filled(template, values, as_it_is) for name, template in settings.beside.items()}
        return self._put(request, {**beside, settings.name: settings.prefix + signature})

    def _bearer(self) -> str:
        """RFC 6749 4.4: client credentials. The token is kept until shortly before its end."""
        if self._token and self._monotonic() < self._until:
            return self._token
        settings = self._settings
        form = {"grant_type": "client_credentials", **({"scope": settings.scope} if settings.scope else {})}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if settings.client == "post":
            form |= {"client_id": settings.user, "client_secret": self._secret}
        else:
            headers["Authorization"] = _basic(settings.user, self._secret)
        answer = self._asks(Request("POST", settings.token_url, headers, urlencode(form).encode()))
        try:
            told = msgspec.json.decode(answer.body, type=dict[str, Any]) if answer.status == 200 else {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            told = {}
        token, life = told.get("access_token"), told.get("expires_in", 300)
        if not isinstance(token, str) or not token or not isinstance(life, int | float):
            raise SourceRefused(f"{place(settings.token_url)} gives no token (HTTP {answer.status})")
        self._token, self._until = token, self._monotonic() + max(0.0, float(life) - EARLY)
        return token


def signed(text: str, key: str, algorithm: str, encoding: str) -> str:
    """A signature as the other side compares it. Plain digests are for sources that have nothing better (signed = "…{secret}")."""
    if algorithm.startswith("hmac-"):
        digest = hmac.new(key.encode(), text.encode(), algorithm.removeprefix("hmac-")).digest()
    else:
        digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False).digest()
    if encoding == "base64":
        return base64.b64encode(digest).decode()
    return digest.hex().upper() if encoding == "HEX" else digest.hex()


def _basic(user: str, password: str) -> str:
    if ":" in user:
        raise ConfigurationError("credentials.user: a user's name holds no ':' (RFC 7617)")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _with_header(request: Request, name: str, value: str) -> Request:
    return msgspec.structs.replace(request, headers={**request.headers, name: in_header(value)})

"""Who sends: a bearer token, a user with a password (RFC 7617), or a signature over the body (HMAC-SHA256, RFC 2104).

Everything is compared in constant time, and against every secret that is good now: a second one lets both sides change over.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from connectors.web.exchange import Head, Request

MOST_SIGNATURES = 10  # in one header
_MILLISECONDS = 100_000_000_000  # a number from here on is no count of seconds


class Credentials(Protocol):
    """Judges a request in two steps. Both answer why not, for our own log; empty: it is who it may be."""

    @property
    def challenge(self) -> str:
        """Of WWW-Authenticate (RFC 9110 §11.6.1)."""

    def before(self, head: Head) -> str: ...

    def after(self, request: Request) -> str: ...


@dataclass(frozen=True)
class Anybody:
    """Whoever may connect."""

    challenge: str = ""

    def before(self, head: Head) -> str:
        return ""

    def after(self, request: Request) -> str:
        return ""


@dataclass(frozen=True)
class Bearer(Anybody):
    """`Authorization: Bearer …`, or the bare token in a header of another name."""

    secrets: Sequence[str] = field(default=(), repr=False)
    header: str = "authorization"
    challenge: str = "Bearer"

    def before(self, head: Head) -> str:
        said = head.headers.get(self.header, "")
        if self.header == "authorization":
            scheme, _, said = said.partition(" ")
            if scheme.lower() != "bearer":
                return "no bearer token"
        return "" if is_one_of(said.strip(), self.secrets) else "the token is not known"


@dataclass(frozen=True)
class Basic(Anybody):
    """`Authorization: Basic …`."""

    user: str = ""
    secrets: Sequence[str] = field(default=(), repr=False)
    challenge: str = 'Basic realm="inlet", charset="UTF-8"'

    def before(self, head: Head) -> str:
        scheme, _, said = head.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return "no user and password"
        try:
            told = base64.b64decode(said.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return "user and password are not written as they should be"
        return (
            "" if is_one_of(told, [f"{self.user}:{one}" for one in self.secrets]) else "user or password is not known"
        )


@dataclass(frozen=True)
class Signature(Anybody):
    """HMAC-SHA256 of the body, or of `timestamp.body`, in a header such as `X-Signature: sha256=…`.

    A header may carry several (`t=…,v1=…,v1=…`): one that agrees will do. With a timestamp, in its own header or as `t=`, what is
    older or younger than `tolerance` is a replay.
    """

    secrets: Sequence[str] = field(default=(), repr=False)
    header: str = "x-hub-signature-256"
    prefix: str = "sha256="
    encoding: Literal["hex", "base64"] = "hex"
    signed: Literal["body", "timestamp.body"] = "body"
    timestamp_header: str = ""
    tolerance: timedelta = timedelta(minutes=5)
    clock: Callable[[], datetime] = field(default=datetime.now, repr=False)

    def before(self, head: Head) -> str:
        if not self._signatures(head):
            return "no signature"
        if self.signed == "body":
            return ""
        at = _moment(self._timestamp(head))
        if at is None:
            return "no timestamp"
        away = abs(self.clock().timestamp() - at)
        return (
            ""
            if away <= self.tolerance.total_seconds()
            else "signed outside of the tolerance: a replay, or check both clocks"
        )

    def after(self, request: Request) -> str:
        head = request.head
        content = request.body
        if self.signed == "timestamp.body":
            content = self._timestamp(head).encode("latin-1") + b"." + content
        digests = [hmac.new(one.encode(), content, hashlib.sha256).digest() for one in self.secrets]
        wanted = [one.hex() if self.encoding == "hex" else base64.b64encode(one).decode() for one in digests]
        said = [one.lower() if self.encoding == "hex" else one for one in self._signatures(head)]
        return "" if any(is_one_of(one, wanted) for one in said) else "the signature does not agree"

    def _signatures(self, head: Head) -> list[str]:
        parts = self._parts(head)
        return [one.removeprefix(self.prefix) for one in parts if one.startswith(self.prefix)][:MOST_SIGNATURES]

    def _parts(self, head: Head) -> list[str]:
        return [part.strip() for part in head.headers.get(self.header, "").split(",") if part.strip()]

    def _timestamp(self, head: Head) -> str:
        if self.timestamp_header:
            return head.headers.get(self.timestamp_header, "").strip()
        return next((one[2:] for one in self._parts(head) if one.startswith("t=")), "")


def _moment(text: str) -> float | None:
    """Seconds since 1970, of a number of seconds or milliseconds or of a time with its zone (RFC 3339)."""
    if text.isascii() and text.isdecimal() and len(text) <= 16:
        number = int(text)
        return number / 1000 if number >= _MILLISECONDS else float(number)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo else None


def is_one_of(said: str, wanted: Sequence[str]) -> bool:
    """Every one is compared, to its end: how long it takes tells nothing."""
    given = said.encode("utf-8", "surrogateescape")
    return sum(hmac.compare_digest(given, one.encode()) for one in wanted) > 0

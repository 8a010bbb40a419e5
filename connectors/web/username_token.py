"""WS-Security UsernameToken Profile 1.0/1.1: a user and its password, plain or as a digest, that no one can play again.

digest = Base64(SHA-1(nonce + created + password))          UsernameToken Profile 1.1 §3.1
"""

import base64
import binascii
import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from connectors.web.credentials import is_one_of
from connectors.web.envelope import WSSE, name_of

MOST_NONCES = 100_000  # remembered at once; more within the window is refused, rather than forgotten
LONGEST_NONCE = 1_000  # bytes, as it is written
_DIGEST = "#PasswordDigest"


class NotKnown(Exception):
    """Who sends is not who may. Its text is for our own log: the sender is told no more than that."""


class UsernameToken:
    """Judges the Security header. `window`: so far may a digest's `Created` be from now; within it each nonce is good once."""

    def __init__(
        self,
        user: str,
        passwords: Sequence[str],
        kind: Literal["text", "digest"],
        window: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._user, self._passwords, self._kind, self._window, self._clock = user, tuple(passwords), kind, window, clock
        self._nonces: dict[bytes, datetime] = {}  # when it may be forgotten; oldest first
        self._lock = threading.Lock()

    def check(self, headers: Sequence[Any]) -> None:
        """Raises NotKnown."""
        tokens = [
            token
            for block in headers
            if name_of(block) == (WSSE, "Security")
            for token in block
            if name_of(token)[1] == "UsernameToken"
        ]
        if len(tokens) != 1:
            raise NotKnown("no UsernameToken, or more than one")
        parts = {name_of(part)[1]: part for part in tokens[0]}
        said = {name: (parts[name].text or "").strip() for name in parts}
        password = (parts["Password"].text or "") if "Password" in parts else ""
        is_digest = "Password" in parts and parts["Password"].get("Type", "").endswith(_DIGEST)
        if is_digest != (self._kind == "digest"):
            raise NotKnown(f"the password is not sent as {self._kind}")
        created, nonce = said.get("Created", ""), said.get("Nonce", "")
        raw = self._nonce(nonce) if is_digest or nonce else b""
        if is_digest or created:
            self._in_time(created)
        wanted = [_digest(raw, created, one) if is_digest else one for one in self._passwords]
        is_user = is_one_of(said.get("Username", ""), [self._user])
        is_password = is_one_of(password.strip() if is_digest else password, wanted)
        if not (is_user and is_password):
            raise NotKnown("user or password")
        if is_digest:
            self._once(raw + b"|" + created.encode())

    def _nonce(self, text: str) -> bytes:
        if not text or len(text) > LONGEST_NONCE:
            raise NotKnown("no nonce, or one that is too long")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise NotKnown("a nonce that is not base64") from None

    def _in_time(self, created: str) -> None:
        try:
            at = datetime.fromisoformat(created)
        except ValueError:
            raise NotKnown("no time of creation") from None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)  # §3.1: without a zone it is UTC
        if abs(self._clock() - at) > self._window:
            raise NotKnown("created outside of the window: check both clocks")

    def _once(self, nonce: bytes) -> None:
        """Only of who knew the password: others cannot fill the memory."""
        now = self._clock()
        key = hashlib.sha256(nonce).digest()
        with self._lock:
            while self._nonces and next(iter(self._nonces.values())) < now:
                del self._nonces[next(iter(self._nonces))]
            if key in self._nonces:
                raise NotKnown("a nonce that was used before")
            if len(self._nonces) >= MOST_NONCES:
                raise NotKnown("too many within the window")
            self._nonces[key] = now + 2 * self._window


def _digest(nonce: bytes, created: str, password: str) -> str:
    found = hashlib.sha1(nonce + created.encode() + password.encode(), usedforsecurity=False)  # as the profile says
    return base64.b64encode(found.digest()).decode()

"""The keys that the state is sealed with. They lie beside it (at-rest.json), each wrapped by the secret that agent.toml names.

So another secret is a matter of one small file, and another key for all that lies here is possible while some of it still has the old one.
"""

import base64
import os
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from frontend_agent.durable import sync_folder, take_over
from frontend_agent.errors import ConfigurationError
from frontend_agent.sealing import KEY_BYTES, NONCE, NotGenuine, Sealer, Suite, derived

FILE = "at-rest.json"
SECRET_BYTES = 32  # at least, decoded
FORMAT = 2  # 1: studies and reports lay plain


class AtRest(NamedTuple):
    """What agent.toml says. `suite` None: nothing is to be sealed any more. `find` gives the secret of a name."""

    suite: Suite | None
    secret: str
    find: Callable[[str], str]


class Key(NamedTuple):
    """One key of the state."""

    id: str  # eight hex digits
    suite: Suite
    secret: bytes

    @property
    def files(self) -> bytes:
        return _files_key(self.suite, self.secret)


@lru_cache(8)
def _files_key(suite: Suite, secret: bytes) -> bytes:
    """Asked for with every file."""
    return derived(suite, secret, "files")


class _Kept(msgspec.Struct, kw_only=True):
    """One key as it lies here: wrapped by each secret that opens it."""

    id: str
    suite: Suite
    wraps: dict[str, str]  # the id of a secret: base64 of nonce and wrapped key


class _File(msgspec.Struct, kw_only=True):
    """`current` is what everything is to be sealed with (empty: nothing); `whole`: what every file is known to be under (None: unknown);
    `next`: the id of a secret that was let in and not used yet."""

    format: int = FORMAT
    current: str = ""
    whole: str | None = ""
    next: str = ""
    keys: list[_Kept] = []


class Vault:
    """The keys of one state directory, opened."""

    def __init__(self, state: Path, settings: AtRest | None) -> None:
        """ConfigurationError: what lies here cannot be read with what agent.toml says."""
        self._path = state / FILE
        self._file = _read(self._path)
        self._settings = settings
        self._opened: dict[str, Key] = {}
        self._secret = b""
        if settings is None:
            self._must_be_plain()
            return
        self._secret = secret_of(settings)
        self._open(settings.secret)

    @property
    def current(self) -> Key | None:
        """What everything is sealed with from now on; None: nothing is."""
        return self._opened[self._file.current] if self._file.current else None

    @property
    def whole(self) -> bool:
        """Whether every file is known to be under the current key."""
        return self._file.whole == self._file.current

    def key(self, id: str) -> Key:
        """One of those that something here is sealed with."""
        if id not in self._opened:
            raise ConfigurationError(
                f"{self._path.parent} has something that was sealed with the key {id}, which {FILE} does not know: restore"
                f" {FILE} from the same backup as the rest"
            )
        return self._opened[id]

    # --- changing -----------------------------------------------------------------------------------------------------

    def renew(self, suite: Suite) -> None:
        """Another key from now on; the one before it is kept as long as anything has it. Not while a secret waits to be named: it would
        not open the new one."""
        if self._file.next not in ("", id_of(self._secret)) and self._settings is not None:
            raise ConfigurationError(
                f"[at_rest] key = {self._settings.secret!r}: another secret was let in (frontend-agent at-rest secret); name it here first"
            )
        key = Key(os.urandom(4).hex(), suite, os.urandom(KEY_BYTES[suite]))
        self._opened[key.id] = key
        self._file.keys.append(_Kept(id=key.id, suite=suite, wraps={id_of(self._secret): _wrapped(key, self._secret)}))
        self._file.current, self._file.whole = key.id, None
        self._write()

    def admit(self, settings: AtRest) -> None:
        """Another secret opens it all, too; the one before it does so until the other was used."""
        secret = secret_of(settings)
        for kept in self._file.keys:
            kept.wraps[id_of(secret)] = _wrapped(self._opened[kept.id], secret)
        self._file.next = "" if secret == self._secret else id_of(secret)
        self._write()

    def is_whole(self) -> None:
        """Everything is under the current key: the others are forgotten, and so are secrets that are not agent.toml's any more."""
        self._file.whole = self._file.current
        self._file.keys = [kept for kept in self._file.keys if kept.id == self._file.current]
        if self._file.keys:
            self._write()
        elif self._path.exists():
            self._path.unlink()
            sync_folder(self._path.parent)

    def forget_other_secrets(self) -> None:
        """Once agent.toml names the one that was let in, only that opens it from now on."""
        mine = id_of(self._secret)
        if self._file.next == mine:
            for kept in self._file.keys:
                kept.wraps = {mine: kept.wraps[mine]}
            self._file.next = ""
            self._write()

    # --- opening ------------------------------------------------------------------------------------------------------

    def _must_be_plain(self) -> None:
        if self._file.keys:
            raise ConfigurationError(
                f'{self._path.parent} is encrypted, and agent.toml does not say with which secret: [at_rest] key = "NAME"'
                ' (to have it plain again: suite = "none" beside it)'
            )

    def _open(self, named: str) -> None:
        mine = id_of(self._secret)
        for kept in self._file.keys:
            key = _unwrapped(kept, kept.wraps.get(mine), self._secret)
            if key is None:
                others = ", ".join(sorted(kept.wraps))
                raise ConfigurationError(
                    f"[at_rest] key: the secret {named!r} is not the one that {self._path.parent} was encrypted with (it is"
                    f" {mine}, wanted: {others}). Bring the right one back: frontend-agent secret set {named}. If it is"
                    " lost for good, what lies here cannot be read by anybody: see docs/guide/at-rest.md"
                )
            self._opened[key.id] = key

    def aim(self) -> None:
        """Choose what agent.toml wants from now on: a key of its suite, made if there is none, or none."""
        if self._settings is None:
            return
        suite = self._settings.suite
        current = self._opened.get(self._file.current)
        if suite is None:
            if current is not None:
                self._file.current, self._file.whole = "", None
                self._write()
        elif current is None or current.suite != suite:
            self.renew(suite)

    def _write(self) -> None:
        part = self._path.with_suffix(".part")
        with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self._file)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        take_over(part, self._path)


def kept_keys(state: Path) -> dict[str, Any]:
    """Which keys there are, and which secrets open each, in plain values. Needs none of them."""
    kept = _read(state / FILE)
    keys = [{"id": one.id, "suite": one.suite, "opened_by": sorted(one.wraps)} for one in kept.keys]
    return {"current": kept.current, "keys": keys, "whole": kept.whole == kept.current}


def _read(path: Path) -> _File:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except (FileNotFoundError, NotADirectoryError):  # whether there can be a state here is said by who opens it
        return _File()
    except (msgspec.DecodeError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read ({type(error).__name__}): restore it from a backup") from None
    if file.format > FORMAT:
        raise ConfigurationError(
            f"{path} is from a newer version of this program: use that, or restore a backup from before"
        )
    if file.format < FORMAT:
        file.format, file.whole = FORMAT, None  # more is sealed now than then
    return file


def secret_of(settings: AtRest) -> bytes:
    """The secret as bytes: 32 at least, in base64. A word that somebody thought of is refused."""
    said = settings.find(settings.secret)
    try:
        secret = base64.b64decode(said, validate=True)
    except ValueError:
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise ConfigurationError(
            f"[at_rest] key: the secret {settings.secret!r} is not {SECRET_BYTES} random bytes in base64: "
            f"frontend-agent secret set {settings.secret} --random"
        )
    return secret


def id_of(secret: bytes) -> str:
    """By what a secret is known: eight hex digits of a SHA-256 that tells nothing of it."""
    return sha256(b"frontend-agent at rest: which secret\0" + secret).hexdigest()[:8]


def _wrapped(key: Key, secret: bytes) -> str:
    sealer = Sealer(key.suite, derived(key.suite, secret, "wrap"))
    nonce = os.urandom(NONCE)
    return base64.b64encode(nonce + sealer.seal(nonce, key.secret, key.id.encode())).decode()


def _unwrapped(kept: _Kept, wrap: str | None, secret: bytes) -> Key | None:
    """None: the secret does not open it."""
    if wrap is None:
        return None
    sealer = Sealer(kept.suite, derived(kept.suite, secret, "wrap"))
    try:
        raw = base64.b64decode(wrap, validate=True)
        return Key(kept.id, kept.suite, sealer.open(raw[:NONCE], raw[NONCE:], kept.id.encode()))
    except (NotGenuine, ValueError):
        return None

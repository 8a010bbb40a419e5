"""A folder behind SFTP (draft-ietf-secsh-filexfer-02, version 3, as OpenSSH speaks it).

Nobody is trusted at first sight: the server's key is in `known_hosts` or its fingerprint in the settings, and both are looked at
before a password is offered. Our own ~/.ssh, its agent and its configuration are not asked: what counts is in agent.toml.

What the protocol has no word for: a folder cannot be synced, and a full disk is told as "Failure". A rename never replaces:
version 3 says that the new name must not be there, and OpenSSH keeps to it.
"""

import asyncio
import logging
import secrets
import stat
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncssh

from connectors.folders.place import (
    FILE,
    FOLDER,
    OTHER,
    Gone,
    NoPermission,
    PlaceError,
    PlaceRefused,
    PlaceUnreachable,
    Seen,
    Taken,
    TooLarge,
    is_plain_name,
    parts_of,
    passing_name,
)

_T = TypeVar("_T")
_UNFINISHED = ".part"
_MOST_LISTED = 200_000  # names of one folder that are held at once
# The families of host keys: where one is pinned that the server would not show by itself, it is asked for.
_KEY_TYPES = {
    "ssh-ed25519": ["ssh-ed25519"],
    "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
    "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"],  # never with SHA-1
}
_LOST = (
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.ConnectionLost,
    asyncssh.ChannelOpenError,
    ConnectionError,
    BrokenPipeError,
)

# What this library logs names hosts, users and files: nothing of it is ours to write.
logging.getLogger("asyncssh").setLevel(logging.CRITICAL)


@dataclass(frozen=True, kw_only=True)
class SftpOptions:
    """Where to, who we are there, and by what the server is known. Secrets in here are the secrets themselves."""

    host: str
    port: int
    user: str
    folder: str
    timeout: timedelta
    password: str = ""
    private_key: str = ""
    passphrase: str = ""
    known_hosts: str = ""  # a file's path
    host_keys: tuple[str, ...] = ()  # fingerprints SHA256:…

    def __repr__(self) -> str:
        return f"SftpOptions({self.user}@{self.host}:{self.port})"


class _Pinned(asyncssh.SSHClient):
    """Trusts the fingerprints that the settings name, and remembers what it was shown."""

    def __init__(self, pinned: frozenset[str], shown: dict[str, str]) -> None:
        self._pinned, self._shown = pinned, shown

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        fingerprint = key.get_fingerprint()
        self._shown[key.get_algorithm()] = fingerprint
        return fingerprint in self._pinned


class SftpPlace:
    """One folder on one server, over one connection that is made when it is needed. One question at a time."""

    def __init__(self, options: SftpOptions) -> None:
        self._options = options
        self._root = _raw(options.folder).rstrip(b"/") or (b"/" if options.folder.startswith("/") else b".")
        self._loop = asyncio.new_event_loop()
        self._turn = threading.RLock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._folders: set[bytes] = set()  # that are there, as far as we know
        self.where = f"sftp://{options.user}@{options.host}:{options.port}/{options.folder.lstrip('/')}"

    # -- looking

    def entries(self, folder: str) -> Iterator[Seen]:
        where = self._path(folder)

        async def listed() -> list[Seen]:
            found: list[Seen] = []
            async for entry in self._sftp.scandir(where):
                name = _text(entry.filename)
                if name in (".", ".."):
                    continue
                path = f"{folder}/{name}" if folder else name
                found.append(_seen(path, entry.attrs) if is_plain_name(name) else Seen(path, 0, 0, OTHER))
                if len(found) >= _MOST_LISTED:
                    break
            return found

        yield from self._ask(listed)

    def look(self, path: str) -> Seen | None:
        where = self._path(path)

        async def looked() -> Seen | None:
            with suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return _seen(path, await self._sftp.lstat(where))
            return None

        return self._ask(looked)

    def read(self, path: str, most: int) -> bytes:
        where = self._path(path)

        async def content() -> bytes:
            status = _seen(path, await self._sftp.lstat(where))
            if status.what != FILE:
                raise NoPermission("no regular file")
            if status.size > most:
                raise TooLarge(f"{status.size} bytes are more than {most}")
            async with self._sftp.open(where, "rb", encoding=None) as file:
                found: bytes = await file.read(most + 1)
            if len(found) > most:
                raise TooLarge(f"more than {most} bytes")
            return found

        return self._ask(content)

    # -- changing

    def write(self, path: str, content: bytes) -> None:
        *above, name = parts_of(path)
        there = self.look(path)
        if there is not None:
            if there.what != FILE or there.size != len(content) or self.read(path, len(content)) != content:
                raise Taken("another file has that name")
            return
        passing = "/".join([*above, passing_name(name)])

        async def written() -> None:
            await self._make_folders(above)
            try:
                await self._put(passing, content, "wb")
                await self._sftp.rename(self._path(passing), self._path(path))
            except BaseException:
                self._folders.clear()
                with suppress(Exception):
                    await self._sftp.remove(self._path(passing))
                raise

        self._ask(written)

    def append(self, path: str, content: bytes) -> None:
        async def appended() -> None:
            await self._make_folders(parts_of(path)[:-1])
            await self._put(path, content, "ab")

        self._ask(appended)

    async def _put(self, path: str, content: bytes, mode: str) -> None:
        async with self._sftp.open(self._path(path), mode, encoding=None) as file:
            await file.write(content)
            with suppress(asyncssh.SFTPOpUnsupported):  # fsync@openssh.com: other servers may not know it
                await file.fsync()

    def move(self, path: str, to: str) -> None:
        async def moved() -> None:
            await self._make_folders(parts_of(to)[:-1])
            # Not every server keeps to the rule that a rename replaces nothing.
            with suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await self._sftp.lstat(self._path(to))
                raise Taken("another file has that name")
            try:
                await self._sftp.rename(self._path(path), self._path(to))
            except asyncssh.SFTPError:
                self._folders.clear()  # one that we made may have been taken away: the next try looks again
                raise

        self._ask(moved)

    def remove(self, path: str) -> None:
        async def removed() -> None:
            with suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await self._sftp.remove(self._path(path))

        self._ask(removed)

    async def _make_folders(self, names: list[str]) -> None:
        whole = self._path("/".join(names))
        if whole in self._folders:
            return
        for count in range(1, len(names) + 1):
            folder = self._path("/".join(names[:count]))
            try:
                status = _seen("", await self._sftp.lstat(folder))
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await self._sftp.mkdir(folder)
                continue
            if status.what != FOLDER:
                raise NoPermission("a folder on the way is a link or a file")
        self._folders.add(whole)

    def probe(self, writing: bool) -> None:
        async def probed() -> None:
            handle = self._sftp.scandir(self._root)
            async for _ in handle:
                break
            if writing:
                passing = f".{secrets.token_hex(8)}{_UNFINISHED}"
                await self._put(passing, b"", "xb")
                await self._sftp.remove(self._path(passing))

        try:
            self._ask(probed)
        except Gone:
            raise PlaceUnreachable(f"{self.where}: there is no such folder") from None

    def close(self) -> None:
        with self._turn:
            if not self._loop.is_closed():
                self._hang_up()
                self._loop.close()

    # -- asking

    @property
    def _sftp(self) -> asyncssh.SFTPClient:
        assert self._client is not None
        return self._client

    def _path(self, path: str) -> bytes:
        parts = parts_of(path)
        return b"/".join([self._root.rstrip(b"/"), *map(_raw, parts)]) if parts else self._root

    def _ask(self, question: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """One question, with a connection, in time. Whatever was lost on the way is asked again at the next look."""
        patience = self._options.timeout.total_seconds()
        with self._turn:
            try:
                if self._is_lost():
                    self._hang_up()
                if self._client is None:
                    self._loop.run_until_complete(asyncio.wait_for(self._connect(), 2 * patience))
                return self._loop.run_until_complete(asyncio.wait_for(question(), patience))
            except PlaceError:
                raise
            except TimeoutError:
                self._hang_up()
                raise PlaceUnreachable(f"{self.where}: no answer within {patience:g} s") from None
            except (asyncssh.Error, OSError) as error:
                if isinstance(error, _LOST) or not isinstance(error, asyncssh.SFTPError):
                    self._hang_up()
                raise _meant(error, self.where) from None

    def _is_lost(self) -> bool:
        """Whether the other side has ended the connection since we last asked."""
        if self._connection is None:
            return False
        self._loop.run_until_complete(asyncio.sleep(0))  # what came meanwhile is read
        self._loop.run_until_complete(asyncio.sleep(0))
        return self._connection.is_closed()

    async def _connect(self) -> None:
        shown: dict[str, str] = {}
        usual = None if self._options.known_hosts else [one for kind in _KEY_TYPES.values() for one in kind]
        with suppress(asyncssh.HostKeyNotVerifiable):
            self._connection = await self._connected(usual, shown)
        if self._connection is None and self._options.host_keys:
            for kind, algorithms in _KEY_TYPES.items():
                if self._connection is None and kind not in shown:
                    # A server without such a key ends the talk in one way or another.
                    with suppress(asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed, *_LOST):
                        self._connection = await self._connected(algorithms, shown)
        if self._connection is None:
            raise PlaceRefused(_not_trusted(self._options, list(shown.values())))
        self._client = await self._connection.start_sftp_client(path_encoding=None)

    async def _connected(self, algorithms: list[str] | None, shown: dict[str, str]) -> asyncssh.SSHClientConnection:
        options, seconds = self._options, self._options.timeout.total_seconds()
        more: dict[str, Any] = {"server_host_key_algs": algorithms} if algorithms else {}
        return await asyncssh.connect(
            options.host,
            options.port,
            username=options.user,
            client_factory=lambda: _Pinned(frozenset(one.rstrip("=") for one in options.host_keys), shown),
            known_hosts=_known_hosts(options.known_hosts),
            password=options.password or None,
            client_keys=[_private_key(options)] if options.private_key else None,
            preferred_auth=_ways_in(options),
            disable_trivial_auth=True,
            config=None,
            agent_path=None,
            gss_host=None,
            connect_timeout=seconds,
            login_timeout=seconds,
            keepalive_interval=seconds,
            **more,
        )

    def _hang_up(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        self._folders.clear()
        if connection is not None:
            with suppress(Exception):
                connection.abort()
                self._loop.run_until_complete(asyncio.wait_for(connection.wait_closed(), 1))


def _ways_in(options: SftpOptions) -> list[str]:
    ways = ["publickey"] if options.private_key else []
    return [*ways, "password", "keyboard-interactive"] if options.password else ways


def _known_hosts(file: str) -> Any:
    """What to trust beside the fingerprints: a file's entries, or nothing at all (an empty value would ask ~/.ssh)."""
    if not file:
        return ([], [], [])
    try:
        return asyncssh.import_known_hosts(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise PlaceRefused(f"known_hosts: {file} cannot be read: {error.strerror}") from None
    except ValueError:
        raise PlaceRefused(f"known_hosts: {file} is not such a file (ssh-keyscan HOST writes its lines)") from None


def _private_key(options: SftpOptions) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(options.private_key, options.passphrase or None)
    except asyncssh.KeyEncryptionError:
        raise PlaceRefused("the private key needs another passphrase (passphrase_secret)") from None
    except asyncssh.KeyImportError:
        raise PlaceRefused(
            "key_secret does not hold a private key that can be read (ssh-keygen -t ed25519), or its passphrase is missing"
        ) from None


def _not_trusted(options: SftpOptions, shown: list[str]) -> str:
    seen = ", ".join(dict.fromkeys(shown)) or "none"
    return (
        f"{options.host}:{options.port}: its key is not the pinned one; it showed {seen}."
        f" If the server's administrator confirms it (ssh-keygen -lf), write host_key or known_hosts anew;"
        " otherwise somebody stands between"
    )


def _meant(error: Exception, where: str) -> PlaceError:
    """In our words. A server's own sentence may quote names: only its kind is told."""
    if isinstance(error, asyncssh.PermissionDenied):
        return PlaceRefused(f"{where}: the password or key is not accepted")
    if isinstance(error, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
        return Gone("there is no such file")
    if isinstance(error, asyncssh.SFTPPermissionDenied):
        return NoPermission(f"{where}: permission denied")
    if isinstance(error, (*_LOST, OSError)):
        return PlaceUnreachable(f"{where}: {_reason(error)}")
    if isinstance(error, asyncssh.SFTPError):
        return PlaceError(f"{where}: {type(error).__name__.removeprefix('SFTP')} (a full disk is told like this, too)")
    return PlaceUnreachable(f"{where}: {type(error).__name__}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection was lost" if isinstance(error, _LOST) else type(error).__name__


def _seen(path: str, attributes: asyncssh.SFTPAttrs) -> Seen:
    mode = attributes.permissions
    what = OTHER
    if mode is not None:
        what = FILE if stat.S_ISREG(mode) else FOLDER if stat.S_ISDIR(mode) else OTHER
    elif attributes.type in (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_DIRECTORY):
        what = FILE if attributes.type == asyncssh.FILEXFER_TYPE_REGULAR else FOLDER
    changed = (attributes.mtime or 0) * 1_000_000_000 + (attributes.mtime_ns or 0)
    return Seen(path, attributes.size or 0, int(changed), what)


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _text(name: bytes | str | None) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name or ""

"""Brings a state directory under the key that agent.toml wants, before it is opened: sealed, plain again, or under another key.

    spool.db          written anew beside itself, then named over the old one; what is killed in between begins anew
    bodies, messages  a file at a time, each whole under its name in either way; what is killed in between goes on

Everything can be read all the while: each file says which key it has. Of what lay here plain the old bytes are overwritten before they
are let go, as far as the disk does what it is told (a copy-on-write file system or an SSD keeps others; see the guide).
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import apsw

from frontend_agent.durable import take_over
from frontend_agent.errors import SpoolFull, StateError
from frontend_agent.notify import Notifier
from frontend_agent.sealed_files import HEAD, Reader, Writer, key_of
from frontend_agent.sealing import NotGenuine
from frontend_agent.spool import sealed_database
from frontend_agent.spool.sealed_database import PLAIN, RESERVED, SealedFiles
from frontend_agent.spool.vault import Key, Vault

DATABASE = "spool.db"
AT_ONCE = 1 << 20
TELL_EVERY = 10.0  # seconds
PATTERNS = (("bodies", "*.zst"), ("messages", "*.zst"))
About = Callable[[Path], bytes]


def settle(state: Path, vault: Vault) -> int:
    """Everything under the current key. Returns how many files were written anew. StateError: somebody else has the state open."""
    with suppress(NotADirectoryError):  # who opens it says so
        (state / f"{DATABASE}.part").unlink(missing_ok=True)
    found = sealed_database.key_of(state / DATABASE)
    if found:
        vault.key(
            found
        )  # before anything is changed: it may be that the keys are missing, or agent.toml does not say of them
    _make_private(state)
    vault.aim()
    wanted = vault.current.id if vault.current else ""
    is_done = found in (None, wanted)
    if is_done and vault.whole:
        return 0
    with _still_at_it():
        changed = 0
        if not is_done:
            _convert_database(state / DATABASE, vault, found or "")
            changed += 1
        changed += sum(_convert_file(path, vault) for path in files_of(state))
    vault.is_whole()
    return changed


def _make_private(state: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if not state.exists():
            raise StateError(f"{state} cannot be created ({error.strerror})") from error
        raise StateError(f"{state} is no folder") from error


def files_of(state: Path) -> Iterator[Path]:
    """The files beside the database that are sealed each by itself."""
    for folder, pattern in PATTERNS:
        yield from sorted((state / folder).glob(pattern))


def about(path: Path) -> bytes:
    """What a file is, as it is sealed: its folder and its name. Under another name it does not open."""
    return f"{path.parent.name}/{path.name}".encode()


def under(state: Path) -> dict[str, int]:
    """How many of the files that lie here are under which key; empty: plain."""
    found: dict[str, int] = {}
    database = sealed_database.key_of(state / DATABASE)
    keys = [] if database is None else [database]
    for path in files_of(state):
        keys.append(_key_in(path))
    for key in keys:
        found[key] = found.get(key, 0) + 1
    return found


def _key_in(path: Path) -> str:
    with path.open("rb") as file:
        return key_of(file.read(HEAD))


@contextmanager
def opened_files(key: Key | None) -> Iterator[str | None]:
    """The name of the VFS for a database under that key; None for a plain one."""
    vfs = SealedFiles(key) if key else None
    try:
        yield vfs.name if vfs else None
    finally:
        if vfs:
            vfs.unregister()


def _convert_database(path: Path, vault: Vault, found: str) -> None:
    part = path.with_name(f"{path.name}.part")
    _room_for(path)
    target = vault.current
    with opened_files(vault.key(found) if found else None) as old, opened_files(target) as new, path.open("r+b") as raw:
        connection = apsw.Connection(str(path), vfs=old, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
        try:
            connection.set_busy_timeout(200)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY").fetchall()
            connection.execute("BEGIN EXCLUSIVE; COMMIT")  # nobody else has it, and gets it
            connection.reserve_bytes("main", RESERVED if target else 0)
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            uri = f"{part.absolute().as_uri()}?vfs={new or PLAIN}"  # without a name it would be that of the old one
            connection.execute("VACUUM INTO ?", (uri,)).fetchall()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except apsw.BusyError as error:
            raise StateError(f"{path} is in use: a daemon is running on this state") from error
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise StateError(
                f"{path} is damaged ({error}): restore it, or move it away and let all be read again"
            ) from error
        except apsw.FullError as error:
            raise SpoolFull(
                f"the disk of {path} is full: encrypting needs as much room again as {path.name} has"
            ) from error
        finally:
            connection.close(True)
        for rest in (
            "-wal",
            "-journal",
        ):  # emptied above: what is left of them speaks of other pages than the new one has
            path.with_name(path.name + rest).unlink(missing_ok=True)
        _take_over(part, path)
        if not found:
            _overwrite(raw)


def _room_for(path: Path) -> None:
    disk = os.statvfs(path.parent)
    needed = path.stat().st_size
    if disk.f_bavail * disk.f_frsize < needed:
        raise SpoolFull(
            f"the disk of {path} has no {needed:,} bytes left, which writing it anew takes: make room, and start again"
        )


def _convert_file(path: Path, vault: Vault) -> bool:
    """Write it anew under the current key, if it has another. Whether it had."""
    found, target = _key_in(path), vault.current
    if found == (target.id if target else ""):
        return False
    part = path.with_suffix(".part")
    with path.open("r+b") as raw:
        with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            try:
                _copy(raw, file, found, path, vault)
            except NotGenuine:  # it is damaged, and stays as it is: who wants to read it is told then
                part.unlink()
                return False
            file.flush()
            os.fsync(file.fileno())
        _take_over(part, path)
        if not found:
            _overwrite(raw)
    return True


def _copy(raw: BinaryIO, file: BinaryIO, found: str, path: Path, vault: Vault) -> None:
    chunks = Reader(raw, vault.key, about(path)).chunks() if found else iter(lambda: raw.read(AT_ONCE), b"")
    if vault.current is None:
        file.writelines(chunks)
        return
    writer = Writer(file.write, vault.current, about(path))
    for chunk in chunks:
        writer.write(chunk)
    writer.finish()


def _take_over(part: Path, path: Path) -> None:
    """The new one in place of the old, durably."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    take_over(part, path)


def _overwrite(raw: BinaryIO) -> None:
    """What lay here plain, and has no name any more."""
    size = raw.seek(0, os.SEEK_END)
    raw.seek(0)
    zeros = bytes(AT_ONCE)
    for start in range(0, size, AT_ONCE):
        raw.write(zeros[: min(AT_ONCE, size - start)])
    raw.flush()
    with suppress(OSError):  # the new one is there already: nothing is lost
        os.fsync(raw.fileno())


@contextmanager
def _still_at_it() -> Iterator[None]:
    """While it takes long, systemd waits on."""
    notifier, done = Notifier(), threading.Event()

    def tell() -> None:
        while not done.wait(TELL_EVERY):
            notifier.say("EXTEND_TIMEOUT_USEC=60000000", "STATUS=bringing the state under its key")

    thread = threading.Thread(target=tell, name="at-rest", daemon=True)
    notifier.say("EXTEND_TIMEOUT_USEC=60000000", "STATUS=bringing the state under its key")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

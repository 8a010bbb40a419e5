"""Brings a state directory under the key that agent.toml wants, before it is opened: sealed, plain again, or under another key.

    spool.db          written anew beside itself, then named over the old one; what is killed in between begins anew
    all other files   each whole under its name in either way; what is killed in between goes on

Everything can be read all the while: each file says which key it has. Of what lay here plain the old bytes are overwritten before they
are let go, as far as the disk does what it is told (a copy-on-write file system or an SSD keeps others; see the guide).
"""

import errno
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import apsw

from frontend_agent.durable import take_over
from frontend_agent.errors import SpoolFull, StateError
from frontend_agent.instance_reading import ABOUT
from frontend_agent.notify import Notifier
from frontend_agent.sealed_files import HEAD, Reader, Writer, key_of
from frontend_agent.sealing import NotGenuine
from frontend_agent.spool import sealed_database
from frontend_agent.spool.sealed_database import PLAIN, RESERVED, SealedFiles
from frontend_agent.spool.vault import Key, Vault

DATABASE = "spool.db"
AT_ONCE = 1 << 20
TELL_EVERY = 10.0  # seconds
PATTERNS = ("bodies/*.zst", "messages/*.zst")
IMAGES = ("images/[0-9a-f][0-9a-f]/*/*.dcm", "images/made/*/[0-9a-f][0-9a-f]/*.dcm")
UNFINISHED = ("images/incoming/*", "images/made/*/incoming/*")  # swept at the start anyway
AT_A_TIME = 4  # files: sealing, the disk's answer to a sync, and reading go on beside each other


class Place(NamedTuple):
    """What the segments of a file are sealed for, and what else its last one."""

    about: bytes
    whole: bytes = b""


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
    with _alone(state), _still_at_it():
        changed = 0
        if not is_done:
            _convert_database(state / DATABASE, vault, found or "")
            changed += 1
        _drop_unfinished(state)
        with ThreadPoolExecutor(AT_A_TIME) as threads:
            # A few at a time are handed over: there may be a million.
            for some in _batches(files_of(state), 1000):
                changed += sum(threads.map(partial(_convert_file, vault=vault), some))
    vault.is_whole()
    return changed


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """One process at a time: files of studies may take an hour, and meanwhile a person asks how it stands."""
    if sys.platform == "win32":
        yield  # the database is locked as long as it is converted itself
        return
    import fcntl  # there is none on Windows

    handle = os.open(state, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateError(
                f"{state} is in use: another process brings it under its key just now (frontend-agent at-rest status says how far)"
            ) from None
        yield
    finally:
        os.close(handle)


def _batches(paths: Iterator[Path], size: int) -> Iterator[list[Path]]:
    while some := list(islice(paths, size)):
        yield some


def _drop_unfinished(state: Path) -> None:
    """What was being received when we died, and was acknowledged to nobody."""
    for pattern in UNFINISHED:
        for path in state.glob(pattern):
            if path.is_file():
                with path.open("r+b") as raw:
                    _overwrite(raw)
                path.unlink()


def _make_private(state: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if not state.exists():
            raise StateError(f"{state} cannot be created ({error.strerror})") from error
        raise StateError(f"{state} is no folder") from error


def files_of(state: Path) -> Iterator[Path]:
    """The files beside the database that are sealed each by itself."""
    for pattern in PATTERNS:
        yield from sorted(state.glob(pattern))
    for pattern in IMAGES:
        yield from state.glob(pattern)


def about(path: Path) -> bytes:
    """What a file is, as it is sealed: its folder and its name. Under another name it does not open."""
    return f"{path.parent.name}/{path.name}".encode()


def _place(path: Path) -> Place:
    if path.suffix != ".dcm":
        return Place(about(path))
    return Place(ABOUT, (path.stem.split("-")[1] if "-" in path.stem else path.stem).encode())


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
    needed = path.stat().st_size
    if shutil.disk_usage(path.parent).free < needed:
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
        before = os.fstat(raw.fileno())
        try:
            with open(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
                _copy(raw, file, found, _place(path), vault)
            os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))  # what was made is dropped by its age
            _take_over(part, path)
        except NotGenuine:  # it is damaged, and stays as it is: who wants to read it is told then
            part.unlink()
            return False
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            part.unlink(missing_ok=True)
            raise SpoolFull(
                f"the disk of {path.parent} is full: make room, and start again; it goes on there"
            ) from None
        if not found:
            _overwrite(raw)
    return True


def _copy(raw: BinaryIO, file: BinaryIO, found: str, place: Place, vault: Vault) -> None:
    chunks = Reader(raw, vault.key, *place).chunks() if found else iter(lambda: raw.read(AT_ONCE), b"")
    if vault.current is None:
        file.writelines(chunks)
        return
    writer = Writer(file.write, vault.current, place.about)
    for chunk in chunks:
        writer.write(chunk)
    writer.finish(place.whole)


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

"""POSIX, and Linux where it says so: what windows.py does on Windows, by the same names."""

import fcntl
import os
import pwd
import resource
import select
import socket
import sys
from contextlib import suppress
from pathlib import Path

# This file is for POSIX alone: on Windows a type checker would find most of it missing.
assert sys.platform != "win32"

BINARY = 0  # for os.open: files are bytes here
NAMES_OPEN_FILES = True  # a file may be renamed, linked and taken away while it is open
LESS_URGENT = 5  # nice(2)


def sync_folder(folder: Path) -> None:
    """The names in it are on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_data(handle: int) -> None:
    """What was written is on the disk when this returns, and its length."""
    os.fdatasync(handle)


def read_at(handle: int, size: int, offset: int) -> bytes:
    """Some bytes of an open file, wherever it stands."""
    return os.pread(handle, size, offset)


def lock(handle: int) -> bool:
    """Whether this open file is ours alone now; it is until it is closed, whatever ends us."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_readable(line: socket.socket, seconds: float) -> bool:
    """Whether something comes within so long, or its end. poll(2): select(2) knows no descriptor above 1023."""
    waiting = select.poll()
    waiting.register(line, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def is_administrator() -> bool:
    return os.geteuid() == 0


def account_of(uid: int) -> str:
    """The name of an account, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def process_account() -> str:
    """The account that this process runs as: the kernel's word, not that of the environment."""
    return account_of(os.getuid())


def another_owner(folder: Path) -> str:
    """The account to which a folder belongs, where we are root and it is not: what we made in it would be nobody's but ours."""
    if os.geteuid() != 0 or not folder.is_dir() or (owner := folder.stat().st_uid) == 0:
        return ""
    return account_of(owner)


def give_to_owner_of(path: Path, folder: Path) -> None:
    """What root makes beside somebody's files becomes his: he has to read it."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(path, owner.st_uid, owner.st_gid)


def machine_id() -> str:
    """What stays the same on one machine across restarts, and differs on another one; empty: it has none."""
    for name in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            if found := Path(name).read_text(encoding="ascii").strip():
                return found
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def lower_priority() -> None:
    """Below that of whoever started us."""
    with suppress(OSError):  # it is a courtesy
        os.nice(LESS_URGENT)


def limit_memory(most: int) -> None:
    """So many bytes of addresses and no more, for good. OSError or ValueError: not here."""
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def ended(parent: int) -> bool:
    """Whether the process that started us, and that was this one, has ended."""
    return os.getppid() != parent

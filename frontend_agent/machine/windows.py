"""Windows: what posix.py does on POSIX, by the same names. Never run on Windows (docs/guide/windows.md).

pywin32 is loaded where it is needed: a command that needs none of it starts without.
"""

import ctypes
import msvcrt
import os
import select
import socket
import sys
from pathlib import Path
from typing import Any

# This file is for Windows alone: elsewhere a type checker would find most of it missing.
assert sys.platform == "win32"

BINARY = os.O_BINARY  # without it the C library writes \r\n for every \n, also into a document
NAMES_OPEN_FILES = False  # an open file keeps its name
_BELOW_NORMAL = 0x4000  # BELOW_NORMAL_PRIORITY_CLASS


def sync_folder(folder: Path) -> None:
    """There is no such call: NTFS keeps names in its journal, in the order in which they were made."""


def sync_data(handle: int) -> None:
    """FlushFileBuffers, through the C library's _commit."""
    os.fsync(handle)


def read_at(handle: int, size: int, offset: int) -> bytes:
    """Windows' C library has no pread: the file stands elsewhere meanwhile. Whoever holds the handle holds it alone."""
    here = os.lseek(handle, 0, os.SEEK_CUR)
    os.lseek(handle, offset, os.SEEK_SET)
    content = os.read(handle, size)
    os.lseek(handle, here, os.SEEK_SET)
    return content


def lock(handle: int) -> bool:
    """Whether this open file is ours alone now: its first byte is locked until it is closed, whatever ends us."""
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def is_readable(line: socket.socket, seconds: float) -> bool:
    """select of Windows knows any socket, and nothing but sockets."""
    return bool(select.select([line], [], [], seconds)[0])


def is_administrator() -> bool:
    """Whether this process may change the machine: in an elevated shell, or as the system itself."""
    return bool(ctypes.windll.shell32.IsUserAnAdmin())


def process_account() -> str:
    """The account that this process runs as: its token's word, not that of the environment."""
    import win32api
    import win32con
    import win32security

    return account_in(win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY))


def account_of(uid: int) -> str:
    """Accounts have no numbers here."""
    return f"uid {uid}"


def account_in(token: int) -> str:
    """`name` of an account of this machine, `DOMAIN\\name` of any other."""
    import win32api
    import win32security

    sid, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
    name, domain, _ = win32security.LookupAccountSid(None, sid)
    return name if domain.casefold() == win32api.GetComputerName().casefold() else f"{domain}\\{name}"


def another_owner(folder: Path) -> str:
    """Nobody: a file has the rights of its folder here, whoever makes it."""
    return ""


def give_to_owner_of(path: Path, folder: Path) -> None:
    """Nothing is to do: a file has the rights of its folder, which install.ps1 gave to the service's account."""


def machine_id() -> str:
    """What stays the same on one machine across restarts: Windows makes it when it is installed."""
    import winreg

    try:
        with winreg.OpenKey(
            winreg.HKEY_LOCAL_MACHINE,
            r"SOFTWARE\Microsoft\Cryptography",
            access=winreg.KEY_READ | winreg.KEY_WOW64_64KEY,
        ) as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0]).strip()
    except OSError:
        return ""


def lower_priority() -> None:
    """Below that of whoever started us; where it is refused, the same: it is a courtesy."""
    kernel = ctypes.windll.kernel32
    kernel.SetPriorityClass(ctypes.c_void_p(-1), _BELOW_NORMAL)  # -1: this process (GetCurrentProcess)


def limit_memory(most: int) -> None:
    """So many bytes for this process, for good: a job object of its own, from which it is not let out. OSError: not here."""
    import pywintypes
    import win32api
    import win32job

    try:
        job: Any = win32job.CreateJobObject(None, "")  # type: ignore[func-returns-value]  # its declaration forgot it
        limits = win32job.QueryInformationJobObject(job, win32job.JobObjectExtendedLimitInformation)
        limits["ProcessMemoryLimit"] = most
        limits["BasicLimitInformation"]["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_PROCESS_MEMORY
        win32job.SetInformationJobObject(job, win32job.JobObjectExtendedLimitInformation, limits)
        win32job.AssignProcessToJobObject(job, win32api.GetCurrentProcess())
        job.Detach()  # closed with the process, not with this name
    except pywintypes.error as error:
        raise OSError(0, error.strerror, None, error.winerror) from None


def ended(parent: int) -> bool:
    """Whether the process that started us has ended. Its number is kept for us as long as we live: Windows does not change it."""
    import pywintypes
    import win32con
    import win32event

    global _parent
    try:
        import win32api

        if _parent is None:
            _parent = win32api.OpenProcess(win32con.SYNCHRONIZE, False, parent)
        return bool(win32event.WaitForSingleObject(_parent, 0) == win32event.WAIT_OBJECT_0)
    except pywintypes.error:
        return True  # there is none of that number any more


_parent: int | None = None  # a handle of it: while we hold one, its number is given to nobody else

"""The control channel on Windows: a named pipe. Never run on Windows (docs/guide/windows.md).

What stands at the channel's path is a small file with the pipe's name, new at every start and nobody's to guess. So whoever may not
read the folder finds no pipe, whoever may not write there can put none of his own in its place, and a name that was left
by a killed agent leads nowhere. The pipe itself opens to the service's account, to administrators and to the system, and
where it is meant for people to the local group `frontend-agent`; to nobody over the network. Who is at the other end is the
token with which he opened it. A client lets himself be identified and no more: a service that was taken over cannot act as the
administrator who asked it.
"""

import secrets
import sys
from contextlib import suppress
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

from frontend_agent.machine.lines import MessageLine
from frontend_agent.machine.names import GROUP

assert sys.platform == "win32"

from frontend_agent.machine.windows import account_in  # noqa: E402 - where that holds

_PREFIX = "\\\\.\\pipe\\frontend-agent-"
_BUFFER = 1 << 16  # bytes, each way
# Reading and writing without FILE_CREATE_PIPE_INSTANCE: who may ask may not answer in the service's place.
_READ_AND_WRITE = 0x0012_019B
_WAIT = 2_000  # milliseconds for a free instance: the agent makes the next before it answers
_CONNECTED, _BUSY = 535, 231  # ERROR_PIPE_CONNECTED, ERROR_PIPE_BUSY


class PipeListener:
    def __init__(self, path: Path, group: bool, patience: float) -> None:
        import pywintypes
        import win32event

        self._path = path
        self._patience = patience
        self._name = _PREFIX + secrets.token_hex(16)
        self._stopping = win32event.CreateEvent(None, True, False, None)
        try:
            self._security = _security(GROUP if group else "")
            self._next = self._instance(first=True)
        except pywintypes.error as error:
            raise _os_error(error, path) from None
        path.write_text(self._name, encoding="ascii")

    def _instance(self, first: bool = False) -> Any:
        import win32con
        import win32pipe

        return win32pipe.CreateNamedPipe(
            self._name,
            win32pipe.PIPE_ACCESS_DUPLEX
            | win32con.FILE_FLAG_OVERLAPPED
            | (win32pipe.FILE_FLAG_FIRST_PIPE_INSTANCE if first else 0),
            win32pipe.PIPE_TYPE_MESSAGE
            | win32pipe.PIPE_READMODE_MESSAGE
            | win32pipe.PIPE_WAIT
            | win32pipe.PIPE_REJECT_REMOTE_CLIENTS,
            win32pipe.PIPE_UNLIMITED_INSTANCES,
            _BUFFER,
            _BUFFER,
            0,
            self._security,
        )

    def accept(self) -> MessageLine | None:
        import pywintypes
        import win32event
        import win32file
        import win32pipe

        while True:
            waited = pywintypes.OVERLAPPED()
            waited.hEvent = win32event.CreateEvent(None, True, False, None)
            try:
                if win32pipe.ConnectNamedPipe(self._next, waited) != _CONNECTED:
                    either = [waited.hEvent, self._stopping]
                    if (
                        win32event.WaitForMultipleObjects(either, False, win32event.INFINITE)
                        != win32event.WAIT_OBJECT_0
                    ):
                        win32file.CancelIo(self._next)
                        return None
            except pywintypes.error:  # whoever came has left again (ERROR_NO_DATA)
                self._next = self._instance()
                continue
            came, self._next = self._next, self._instance()
            handle = came.Detach()  # from here on it is multiprocessing's to close
            return MessageLine(connection.PipeConnection(handle), self._patience, partial(_client_of, handle))

    def close(self) -> None:
        import win32event

        win32event.SetEvent(self._stopping)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def listen(path: Path, group: bool, patience: float) -> PipeListener:
    """Listen at a pipe whose name is written at that path. `group`: the local group `frontend-agent` may connect as well."""
    return PipeListener(path, group, patience)


def connect(path: Path, patience: float) -> MessageLine:
    import pywintypes
    import win32con
    import win32file
    import win32pipe

    name = path.read_text(encoding="ascii")
    if not name.startswith(_PREFIX):
        raise FileNotFoundError(f"{path}: no name of a pipe")
    try:
        handle = _opened(name, win32con.SECURITY_SQOS_PRESENT | win32file.SECURITY_IDENTIFICATION)
        win32pipe.SetNamedPipeHandleState(handle, win32pipe.PIPE_READMODE_MESSAGE, None, None)
    except pywintypes.error as error:
        raise _os_error(error, path) from None
    return MessageLine(connection.PipeConnection(handle.Detach()), patience, lambda: "")


def _opened(name: str, quality: int) -> Any:
    import pywintypes
    import win32con
    import win32file
    import win32pipe

    flags = win32con.FILE_FLAG_OVERLAPPED | quality
    try:
        return win32file.CreateFile(name, _READ_AND_WRITE, 0, None, win32con.OPEN_EXISTING, flags, None)
    except pywintypes.error as error:
        if error.winerror != _BUSY:
            raise
    win32pipe.WaitNamedPipe(name, _WAIT)
    return win32file.CreateFile(name, _READ_AND_WRITE, 0, None, win32con.OPEN_EXISTING, flags, None)


def _security(group: str) -> Any:
    """Who may open the pipe (SDDL): nobody over the network; this account, administrators, the system; and the group."""
    import win32api
    import win32con
    import win32security

    token = win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY)
    ours, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
    rights = ["(D;;GA;;;NU)", "(A;;GA;;;SY)", "(A;;GA;;;BA)", f"(A;;GA;;;{win32security.ConvertSidToStringSid(ours)})"]
    if group:
        theirs, _, _ = win32security.LookupAccountName(None, group)
        rights.append(f"(A;;0x{_READ_AND_WRITE:x};;;{win32security.ConvertSidToStringSid(theirs)})")
    attributes = win32security.SECURITY_ATTRIBUTES()
    attributes.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        "D:P" + "".join(rights), win32security.SDDL_REVISION_1
    )
    return attributes


def _client_of(handle: int) -> str:
    """Whose token opened the other end. Windows tells it only after something was read from it (ERROR_CANNOT_IMPERSONATE)."""
    import pywintypes
    import win32api
    import win32con
    import win32security

    try:
        win32security.ImpersonateNamedPipeClient(handle)
        try:
            # As ourselves (True): a client that lets himself be identified only may not even open his own token.
            token = win32security.OpenThreadToken(win32api.GetCurrentThread(), win32con.TOKEN_QUERY, True)
        finally:
            win32security.RevertToSelf()
        return account_in(token)
    except pywintypes.error as error:
        raise OSError(0, error.strerror, None, error.winerror) from None


def _os_error(error: Any, path: Path) -> OSError:
    """pywin32's errors are not OSError: by its number Windows' own becomes PermissionError, FileNotFoundError …"""
    return OSError(0, error.strerror, str(path), error.winerror)

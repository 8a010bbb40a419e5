"""A process that believes to be on Windows, as far as Python can be told so here: run by tests/unit/test_on_windows.py.

    python pretend_windows.py modules      imports every module of ours; prints how many
    python pretend_windows.py pipe         opens the control channel with stand-ins of pywin32; prints what Windows was asked
    python pretend_windows.py cli ARGS     the command line

What is not ours is loaded first, as on this system: it is tested on Windows by its makers. Then what Windows does not have is taken
away, what it has besides is put there, and all of ours is loaded anew.
"""

import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

PACKAGES = ("frontend_agent", "connectors", "mappings", "cda_templates", "installer")
NOT_THERE = (
    "fcntl",
    "resource",
    "pwd",
    "grp",
    "termios",
    "tty",
    "pty",
    "syslog",
    "posix",
    "crypt",
    "readline",
    "curses",
)
NO_NAMES = {
    os: ["fork", "forkpty", "geteuid", "getuid", "getgid", "getegid", "getgroups", "setuid", "setgid", "chown", "lchown", "fchown", "fchmod", "fdatasync", "pread", "pwrite", "preadv", "statvfs", "fstatvfs", "uname", "nice", "mkfifo", "mknod", "register_at_fork", "sysconf", "pathconf", "killpg", "getpgid", "setsid", "getsid", "sync", "WNOHANG", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_SYNC", "getloadavg", "sched_getaffinity", "openpty", "posix_fadvise", "sendfile"],
    socket: ["AF_UNIX", "SO_PEERCRED", "SOCK_CLOEXEC", "send_fds", "recv_fds"],
    signal: ["SIGKILL", "SIGHUP", "SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGALRM", "alarm", "setitimer", "pthread_sigmask", "sigwait"],
    select: ["poll", "epoll"],
    time: ["tzset"],
}  # fmt: skip
STAND_INS = (
    "msvcrt", "winreg", "pywintypes", "win32api", "win32con", "win32event", "win32file", "win32job", "win32pipe",
    "win32security", "win32service", "win32serviceutil", "servicemanager",
)  # fmt: skip


class Absent:
    """Finds none of the modules that Windows does not have."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in NOT_THERE:
            raise ModuleNotFoundError(f"No module named {name!r} (on Windows)", name=name)


class WindowsError_(Exception):
    """pywintypes.error"""

    def __init__(self, winerror: int, strerror: str) -> None:
        self.winerror, self.strerror = winerror, strerror


def ours() -> list[str]:
    found = []
    for package in PACKAGES:
        found += [package, *(one.name for one in pkgutil.walk_packages([package], f"{package}."))]
    return [name for name in found if not name.endswith("__main__")]


def believe(strangers_of: list[str]) -> dict[str, Any]:
    """From here on this is Windows. What these modules of ours import of others is loaded before; those that cannot be, are left out."""
    for name in strangers_of:
        try:
            importlib.import_module(name)
        except (ImportError, AssertionError):  # ours for Windows alone
            continue
    for name in [one for one in sys.modules if one.partition(".")[0] in (*PACKAGES, *NOT_THERE)]:
        del sys.modules[name]
    for module, names in NO_NAMES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    stand_ins: dict[str, Any] = {name: MagicMock(name=name) for name in STAND_INS}
    stand_ins["pywintypes"].error = WindowsError_
    stand_ins["win32serviceutil"].ServiceFramework = type("ServiceFramework", (), {})
    for name, module in stand_ins.items():
        stand_in = ModuleType(name)
        stand_in.__getattr__ = lambda attribute, of=module: getattr(of, attribute)  # type: ignore[method-assign]
        sys.modules[name] = stand_in
    sys.meta_path.insert(0, Absent())  # type: ignore[arg-type]
    sys.platform = "win32"
    subprocess.CREATE_NO_WINDOW = 0x0800_0000  # type: ignore[attr-defined]
    os.O_BINARY = 0x8000  # type: ignore[attr-defined]
    return stand_ins


def modules() -> None:
    names = ours()
    believe(names)
    left_out = ("connectors.folders.local", "frontend_agent.machine.posix", "frontend_agent.machine.sockets")
    loaded = [importlib.import_module(name) for name in names if name not in left_out]
    assert importlib.import_module("frontend_agent.machine").listen.__module__ == "frontend_agent.machine.pipes"
    print(json.dumps({"modules": len(loaded)}))


def pipe(path: str) -> None:
    from pathlib import Path

    windows = believe(["frontend_agent.machine.pipes", "frontend_agent.control"])
    security, pipes, files = windows["win32security"], windows["win32pipe"], windows["win32file"]
    security.GetTokenInformation.return_value = ("S-1-5-80-1", 0)
    security.ConvertSidToStringSid.side_effect = str
    security.LookupAccountName.return_value = ("S-1-5-21-7", "MACHINE", 4)
    security.LookupAccountSid.return_value = ("wangfang", "HOSPITAL", 1)
    windows["win32api"].GetComputerName.return_value = "MACHINE"
    windows["win32con"].SECURITY_SQOS_PRESENT, windows["win32con"].FILE_FLAG_OVERLAPPED = 0x100000, 0x40000000
    files.SECURITY_IDENTIFICATION = 0x10000
    for name, value in {"PIPE_ACCESS_DUPLEX": 3, "FILE_FLAG_FIRST_PIPE_INSTANCE": 0x80000, "PIPE_TYPE_MESSAGE": 4,
                        "PIPE_READMODE_MESSAGE": 2, "PIPE_WAIT": 0, "PIPE_REJECT_REMOTE_CLIENTS": 8}.items():  # fmt: skip
        setattr(pipes, name, value)
    from multiprocessing import connection

    connection.PipeConnection = MagicMock()  # type: ignore[attr-defined]
    from frontend_agent.machine import pipes as channel

    listener = channel.listen(Path(path), True, 5.0)
    name = Path(path).read_text("ascii")
    pipes.ConnectNamedPipe.return_value = 535  # ERROR_PIPE_CONNECTED
    line = listener.accept()
    assert line is not None
    before = security.ImpersonateNamedPipeClient.called
    account = line.account()
    security.OpenThreadToken.side_effect = WindowsError_(5, "Access is denied.")
    refused = ""
    try:
        line.account()
    except OSError as error:
        refused = type(error).__name__
    channel.connect(Path(path), 5.0)
    (opened,) = files.CreateFile.call_args_list
    listener.close()
    descriptor = security.ConvertStringSecurityDescriptorToSecurityDescriptor.call_args.args[0]
    told = {
        "name": name, "made": [call.args[:3] for call in pipes.CreateNamedPipe.call_args_list], "rights": descriptor,
        "account": account, "asked_before": before, "reverted": security.RevertToSelf.call_count, "refused": refused,
        "opened": [opened.args[0], opened.args[1], opened.args[5]], "left": Path(path).exists(),
    }  # fmt: skip
    print(json.dumps(told))


def cli(arguments: list[str]) -> None:
    believe(ours())
    from frontend_agent.cli.main import main

    sys.argv = ["frontend-agent", *arguments]
    main()


if __name__ == "__main__":
    {"modules": lambda: modules(), "pipe": lambda: pipe(sys.argv[2]), "cli": lambda: cli(sys.argv[2:])}[sys.argv[1]]()

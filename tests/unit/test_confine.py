"""What a confined process can still do: read and write what is open, and compute, up to its limits."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are confined on Linux")

TRIES = """
import ctypes, json, os, resource, socket, sys, threading
from frontend_agent.confine import confine
libc = ctypes.CDLL(None, use_errno=True)
mine = open(sys.argv[1])
confine(64 << 20, 30)

def tried(what):
    try:
        what()
    except BaseException as error:
        return type(error).__name__
    return "done"

def raised():
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

def killed():
    os.kill(os.getppid(), 0)

def called(number):
    def call():
        if libc.syscall(number, 0, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "")
    return call

found = {
    "read what is open": tried(lambda: mine.read()),
    "compute": tried(lambda: sum(range(1000))),
    "open": tried(lambda: open("/etc/passwd")),
    "write": tried(lambda: open(sys.argv[1] + ".new", "w")),
    "unlink": tried(lambda: os.unlink(sys.argv[1])),
    "socket": tried(lambda: socket.socket()),
    "pipe": tried(os.pipe),
    "fork": tried(os.fork),
    "thread": tried(threading.Thread(target=int).start),
    "run": tried(lambda: os.execv("/bin/true", ["true"])),
    "signal": tried(killed),
    "more": tried(raised),
    "memory": tried(lambda: bytearray(128 << 20)),
    "some memory": tried(lambda: bytearray(32 << 20)),
}
os.write(1, json.dumps(found).encode())
"""


def test_nothing_new_is_opened_started_or_reached(tmp_path) -> None:
    held = tmp_path / "held"
    held.write_text("x")
    told = subprocess.run([sys.executable, "-c", TRIES, str(held)], capture_output=True, timeout=60, check=True)
    found = json.loads(told.stdout)
    allowed = {name for name, outcome in found.items() if outcome == "done"}
    assert allowed == {"read what is open", "compute", "some memory"}
    assert found["memory"] == "MemoryError"
    assert held.exists()
    assert not (tmp_path / "held.new").exists()


def test_processor_time_has_an_end() -> None:
    spin = "from frontend_agent.confine import confine\nconfine(64 << 20, 1)\nwhile True: pass"
    ended = subprocess.run([sys.executable, "-c", spin], capture_output=True, timeout=60, check=False)
    assert ended.returncode < 0  # by the kernel's signal

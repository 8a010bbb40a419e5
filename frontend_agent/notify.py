"""What we tell systemd (sd_notify(3)): ready, stopping, and that we make progress. Nothing, when systemd does not listen."""

import os
import socket
import sys
from typing import IO


class Notifier:
    """Datagrams to $NOTIFY_SOCKET; `interval` is how often the watchdog wants to hear of us, in seconds."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        ours = os.environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        self.interval = int(microseconds) / 2e6 if ours and microseconds.isdigit() else None

    def say(self, *words: str) -> None:
        if not self._address or sys.platform == "win32":
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            try:
                line.sendto("\n".join(words).encode(), self._address)
            except OSError:
                return  # systemd will draw its own conclusions


class LineNotifier(Notifier):
    """The same words as lines of a stream, for a parent that is not systemd (supervising.py)."""

    def __init__(self, line: IO[bytes], interval: float = 30.0) -> None:
        super().__init__()
        self._line = line
        self.interval = interval

    def say(self, *words: str) -> None:
        try:
            self._line.write("".join(f"{word}\n" for word in words).encode())
            self._line.flush()
        except (OSError, ValueError):
            return  # nobody listens any more: he will have hung up, too

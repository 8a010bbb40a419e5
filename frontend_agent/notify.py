"""What we tell systemd (sd_notify(3)): ready, stopping, and that we make progress. Nothing, when systemd does not listen."""

import os
import socket


class Notifier:
    """Datagrams to $NOTIFY_SOCKET; `interval` is how often the watchdog wants to hear of us, in seconds."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        ours = os.environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        self.interval = int(microseconds) / 2e6 if ours and microseconds.isdigit() else None

    def say(self, *words: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            try:
                line.sendto("\n".join(words).encode(), self._address)
            except OSError:
                return  # systemd will draw its own conclusions

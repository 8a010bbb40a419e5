"""Ports for servers that are started in a moment.

A port that the system gives out for "any" comes from the range of which it takes the ports of outgoing connections too: between our
asking and the server's binding another test's connection may have it. So these come from below that range, and every worker of a run
has its own.
"""

from __future__ import annotations

import os
import random
import socket

FIRST, LAST = 10_000, 32_000  # net.ipv4.ip_local_port_range begins at 32,768
WORKERS = 16
_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens at and that no other test of this run was given."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    for _ in range(1000):
        port = random.randrange(FIRST, LAST, WORKERS) + worker
        if port in _given:
            continue
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what ended is in TIME_WAIT, not in use
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError(f"no free port between {FIRST} and {LAST}")

"""Processes to be killed: forked ready-made from one that has imported everything, so that a point of a sweep costs little.

Orders come as JSON lines on standard input. For each, a child is forked and its id printed; it waits until the next line
comes (by then strace holds it), then works. Its wait status is printed when it has ended.
"""

import ctypes
import json
import os
import sys
import threading
import traceback
from pathlib import Path

from frontend_agent.app import App
from frontend_agent.config import load_config
from frontend_agent.formats import load_kinds
from frontend_agent.platform.server import serve
from tests.crash.gap_cycle import inner_cycle, outer_cycle

ANY_TRACER = (0x59616D61, ctypes.c_ulong(-1))  # PR_SET_PTRACER: without root, strace may hold only who allows it


def cycle(config: Path, state: Path) -> None:
    """The agent's whole cycle: every feed, then all that is due. Ends when the platform fails: the next one goes on.

    In one thread and without processes beside it (they write nothing), so that its durable writes come in the same order each time.
    """
    with App(load_config(config), state, alone=True) as app:
        for feed in app.feeds:
            outcome = app.run_feed(feed, threading.Event())
            if outcome.error:
                raise outcome.error
        for name in app.destinations:
            app.spool.recovered(name)
            while app.waiting(name) and not app.spool.pause(name).failures:
                app.send(name)


def work(order: dict[str, str]) -> None:
    if order["what"] == "agent":
        cycle(Path(order["config"]), Path(order["state"]))
    elif order["what"] == "gap-inner":
        inner_cycle(Path(order["config"]), Path(order["state"]))
    elif order["what"] == "gap-outer":
        outer_cycle(Path(order["config"]), Path(order["state"]))
    else:
        serve(Path(order["state"]), "127.0.0.1", int(order["port"]))


def main() -> None:
    load_kinds()
    for line in sys.stdin:
        order = json.loads(line)
        waiting, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(go)
            if os.geteuid():
                ctypes.CDLL(None).prctl(*ANY_TRACER, 0, 0, 0)
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.read(waiting, 1)
            try:
                work(order)
            except BaseException:  # noqa: BLE001 - a forked child must not run on into the parent's loop
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        os.close(waiting)
        print(child, flush=True)
        sys.stdin.readline()
        os.write(go, b"g")
        os.close(go)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()

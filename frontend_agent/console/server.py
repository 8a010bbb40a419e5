"""The console's process: listens, ends TLS, and gives up what it does not need.

It is started by the daemon, ends with it, and may end by itself at any time: the pipe knows nothing of it.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from frontend_agent.browser_tls import browser_context, keep_renewed
from frontend_agent.config import Config
from frontend_agent.console.asking import Agent
from frontend_agent.console.pages import SCRIPT, Site
from frontend_agent.console.rooms import Rooms
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.guarding import Guard, headers
from frontend_agent.logs import event, log
from frontend_agent.machine import ended, limit_memory

MOST_AT_ONCE = 64  # requests
MEMORY = 1 << 30  # bytes of addresses: what runs away ends here, not at the service's MemoryMax
LOOK_EVERY = 1.0  # seconds between looks for the daemon that started us
OFFER_TO_BE_ENDED = 500  # oom_score_adj: where memory runs out, it is us and not the pipe


def application(config: Config, agent: Agent) -> Guard:
    """The whole console as one ASGI application."""
    tls = bool(config.console.certificate)
    routes = Rooms(Site(agent, config)).routes()
    return Guard(Starlette(routes=routes), config.console.hosts, headers(SCRIPT, tls), tls)


def serve(config: Config, state: Path, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM, or until whoever started us has ended."""
    console = config.console
    if not console.listen:
        raise ConfigurationError(
            'agent.toml: [console] listen is not set (listen = "127.0.0.1:8490"): there is no console'
        )
    _give_up()
    host, port = console.address
    listening = _listen(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            application(config, Agent(state)),
            log_config=None,
            access_log=False,  # addresses may hold what was searched for
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=64 * 1024,
            proxy_headers=False,  # who calls is whom the socket says
            lifespan="off",
        )
    )
    server.config.load()
    if console.certificate:
        files = Path(console.certificate), Path(console.key)
        context = browser_context(*files, "agent.toml: console.certificate")
        server.config.ssl = context
        keep_renewed(context, *files, "console")
    threading.Thread(target=_end_with, args=(os.getppid(), server), name="parent", daemon=True).start()
    address = f"{'https' if console.certificate else 'http'}://{_named(host)}:{listening.getsockname()[1]}"
    log.info(event("console.ready", address=address, pid=os.getpid()))
    ready(address)
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
    except (OSError, OverflowError) as error:
        raise StateError(f"the console cannot listen on {host} port {port}: {error}") from error


def _named(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _give_up() -> None:
    """Memory has an end here, and where the machine has none left we go first."""
    with contextlib.suppress(ValueError, OSError):
        limit_memory(MEMORY)
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(OFFER_TO_BE_ENDED))


def _end_with(parent: int, server: uvicorn.Server) -> None:
    """Whoever started us is gone, however it ended: so are we."""
    while not ended(parent):
        time.sleep(LOOK_EVERY)
    server.should_exit = True

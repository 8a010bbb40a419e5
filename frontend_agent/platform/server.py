"""The platform as a process: Starlette on uvicorn. Puts store, API and pages together, and guards the door."""

import asyncio
import contextlib
import functools
import gc
import ipaddress
import logging
import signal
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontend_agent.browser_tls import browser_context, keep_renewed
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.formats.foreign import examine
from frontend_agent.notify import Notifier
from frontend_agent.packs import Pack
from frontend_agent.packs.content import everything
from frontend_agent.platform.api import Api, problem
from frontend_agent.platform.fleet_pages import FleetPages
from frontend_agent.platform.images.api import ImageApi
from frontend_agent.platform.images.blobs import Blobs
from frontend_agent.platform.images.listener import DicomPort, read_peers
from frontend_agent.platform.joining.api import REVOKED, JoiningApi
from frontend_agent.platform.joining.gate import AgentsDoor, Gate
from frontend_agent.platform.joining.registry import Registry
from frontend_agent.platform.joining.tls import HANDSHAKE, STRANGERS, AgentProtocol, Front
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.own_log import lived
from frontend_agent.platform.pages import Pages
from frontend_agent.platform.peers import held_against_certificate
from frontend_agent.platform.people.door import PeopleDoor
from frontend_agent.platform.previews import Previews
from frontend_agent.platform.rendering.renderer import Renderer
from frontend_agent.platform.schema import with_schema
from frontend_agent.platform.signatures import Signatures
from frontend_agent.platform.store import Store
from frontend_agent.platform.study_pages import StudyPages
from frontend_agent.platform.upgrade_api import UpgradeApi
from frontend_agent.platform.viewer import Viewer

MOST_AT_ONCE = 128  # connections; more are told to come back
PROVE_EVERY = 5.0  # seconds between signs of life for systemd
GOODBYE = 3.0  # seconds that an idle connection has to answer our end of TLS; asyncio would wait for 30
GRACE_SECONDS = 30  # what is in flight at SIGTERM has so long to finish

# No script at all, nothing from elsewhere, no framing; patient data is not left in caches.
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

_log = logging.getLogger("frontend_agent.platform")


@dataclass(frozen=True, kw_only=True)
class AgentsListening:
    """Where agents connect, with mutual TLS: by ourselves, or behind nginx over a Unix socket (docs/guide/tls.md)."""

    tls: tuple[tuple[str, int], ...] = ()  # addresses and ports; 0 takes a free one
    names: tuple[str, ...] = ()  # by which agents call us: host names and addresses
    certificate: Path | None = None  # our own from elsewhere, instead of one from our authority
    key: Path | None = None
    proxy: Path | None = None  # the Unix socket that nginx connects to


@dataclass(frozen=True, kw_only=True)
class PeopleListening:
    """Where people come to the pages over the network, with a login (platform/people/door.py)."""

    at: tuple[tuple[str, int], ...]  # addresses and ports; 0 takes a free one
    names: tuple[str, ...] = ()  # by which browsers call us
    certificate: Path | None = None  # what browsers are shown; None: our own authority's
    key: Path | None = None


def application(store: Store, hosts: Iterable[str] | None = None, metrics: Metrics | None = None) -> ASGIApp:
    """The whole platform over an open store, behind one door. `hosts`: names a browser may call it by; None for any."""
    metrics = metrics or Metrics(store)
    return behind_door(operations_of(store, metrics), metrics, hosts)


def operations_of(store: Store, metrics: Metrics, registry: Registry | None = None) -> list[Operation]:
    """Everything that the platform answers. `registry`: who may join, where there is a door for agents."""
    pages, renderer, viewer = Pages(store), Renderer(), Viewer()
    studies = StudyPages(store, pages, renderer, viewer)
    pages.show_beside(studies.beside)
    beside = [
        *pages.operations(),
        *studies.operations(),
        *FleetPages(store, pages).operations(),
        *viewer.operations(),
        *Previews(store.images, renderer, metrics).operations(),
        *ImageApi(store, metrics).operations(),
        *UpgradeApi(store.upgrades, metrics).operations(),
        *(JoiningApi(registry, metrics).operations() if registry else []),
    ]
    return [*beside, *Api(store, metrics, beside).operations()]


def behind_door(operations: Iterable[Operation], metrics: Metrics, hosts: Iterable[str] | None = None) -> "Door":
    app = Starlette(routes=[_route(operation) for operation in operations])
    return Door(app, metrics, None if hosts is None else frozenset(hosts))


def agents_application(
    operations: Sequence[Operation], metrics: Metrics, gate: Gate, way: Literal["tls", "proxy"]
) -> ASGIApp:
    """What agents are answered, each by its certificate."""
    theirs = [one for one in operations if one.who != "people"]
    open_paths = frozenset(one.path for one in theirs if one.who == "anyone")
    app = Starlette(routes=[_route(operation) for operation in theirs])
    return Door(AgentsDoor(app, gate, way, open_paths), metrics, None)


def _route(operation: Operation) -> Route:
    endpoint = operation.endpoint
    if operation.who in ("agents", "both") and operation.concerns:
        endpoint = held_against_certificate(endpoint)
    return Route(operation.path, endpoint, methods=[operation.method])


class Door:
    """Around everything: the headers, the allowed host names, and an answer to what nobody expected.

    A page of patients on loopback must not be readable through a foreign name that was made to point here (DNS
    rebinding), so other Host headers are refused. An unexpected exception is logged by type and place only: its text
    may quote a document (law 9).
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: frozenset[str] | None):
        self._app = app
        self._metrics = metrics
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name for name, _ in message["headers"]}
                extra = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in present]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        if self._hosts is not None and _host(scope) not in self._hosts:
            await problem(421, "host", "not called by one of its names")(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the last line: answer 500, and keep its text out of the log
            self._metrics.failures.inc()
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(
                "request.failed error=%s at=%s:%s", type(error).__name__, Path(place.filename).name, place.lineno
            )
            if not started:
                await problem(500, "failed", "our own fault; the platform's log says where")(
                    scope, receive, send_with_headers
                )


def _host(scope: Scope) -> str:
    name = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"host"), "")
    return name.rsplit(":", 1)[0].lower() if not name.endswith("]") else name.lower()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    state_dir: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    plain_http_anywhere: bool = False,
    ready: Callable[[str], None] = lambda url: print(f"platform ready {url}", flush=True),
    schema: Path | None = None,
    pack: Pack | None = None,
    dicom_port: int | None = None,
    dicom_peers: Path | None = None,
    blobs: Blobs | None = None,
    agents: AgentsListening | None = None,
    signatures: Path | None = None,
    people: PeopleListening | None = None,
) -> None:
    """Run until SIGTERM or SIGINT; requests in flight are finished. Port 0 takes a free one; `ready` is told the
    address; `schema` is asked about documents that are not national ones; `pack` is what the hospitals should judge by. With `dicom_peers` (platform/images/listener.py) instances are also taken on
    `dicom_port`; `blobs`: where instances lie, if not in the folder; `signatures`: what is asked of them (platform/signatures.py). With `agents` they have a door of their own, and none is
    served at `host` any more: there are the pages, for people on this machine."""
    if not is_loopback(host) and not plain_http_anywhere:
        raise ConfigurationError(
            f"{host}: plain HTTP is served to this machine only (127.0.0.1). Patients' documents would cross the network "
            f"unprotected. Agents connect by mutual TLS: --tls {host}:8443 --name …; people by --people"
        )
    if (dicom_port is None) != (dicom_peers is None):
        raise ConfigurationError("--dicom-port and --dicom-peers go together: nobody stores here whom no file names")
    peers = read_peers(dicom_peers) if dicom_peers else None
    listening = listening_at(host, port)
    foreign = with_schema(schema) if schema else examine
    asked = Signatures(signatures) if signatures else None
    store = Store(Path(state_dir), packs=everything(pack), foreign=foreign, blobs=blobs, signatures=asked).open()
    metrics = Metrics(store)
    watch = store.watch()
    dicom: DicomPort | None = None
    joined: Joined | None = None
    life = contextlib.ExitStack()
    try:
        life.enter_context(lived(Path(state_dir), _served_by(schema, pack, dicom_peers, signatures)))
        if agents is not None:
            joined = Joined(Path(state_dir), agents)
        if peers is not None:
            dicom = DicomPort(store.images, peers, dicom_port or 0, metrics, joined if agents and agents.tls else None)
            dicom.start()
            print(f"platform takes DICOM {dicom.address}", flush=True)
        if store.adopted or store.damaged:
            _log.warning("store.recovered adopted=%d damaged=%d", store.adopted, len(store.damaged))
        if store.images.adopted or store.images.damaged:
            _log.warning("images.recovered adopted=%d damaged=%d", store.images.adopted, store.images.damaged)
        hosts = {"127.0.0.1", "localhost", "[::1]"} if is_loopback(host) else None
        operations = operations_of(store, metrics, joined.registry if joined else None)
        served = [one for one in operations if joined is None or one.who != "agents"]
        doors = joined.doors(operations, metrics) if joined else []
        doors += people_doors(Path(state_dir), people, operations, metrics, store, joined) if people else []
        watch.start()
        gc.freeze()  # what is loaded now stays: collections need not walk it for every request
        config = config_of(behind_door(served, metrics, hosts))
        told = functools.partial(ready, _address(host, listening))
        PlatformServer(config, told, Notifier(), store.tallies, doors).run(sockets=[listening])
    finally:
        if joined is not None:
            joined.stop()
        if dicom is not None:
            dicom.stop()
        watch.stop()
        life.close()
        store.close()


def _served_by(schema: Path | None, pack: Pack | None, peers: Path | None, signatures: Path | None) -> dict[str, str]:
    """The digests of what the platform was told to serve by: its configuration is its options."""
    files = {"dicom_peers": peers, "signatures": signatures}
    return {
        **{name: sha256(path.read_bytes()).hexdigest() for name, path in files.items() if path is not None},
        **({"schema": str(schema)} if schema else {}),
        **({"pack": pack.digest} if pack else {}),
    }


def config_of(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # addresses hold what was searched for
        server_header=False,
        limit_concurrency=MOST_AT_ONCE,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="off",
    )


class DoorBeside(NamedTuple):
    """Another listening socket of the same process. `strangers`: connections without a certificate at once."""

    config: uvicorn.Config
    listening: socket.socket
    context: ssl.SSLContext | None
    strangers: int = STRANGERS


def people_doors(
    state: Path,
    people: PeopleListening,
    operations: Sequence[Operation],
    metrics: Metrics,
    store: Store,
    joined: "Joined | None",
) -> list[DoorBeside]:
    """The doors for people over the network: one login, one certificate. ConfigurationError: there is none to show."""
    certificate, key = people.certificate, people.key
    if certificate is None and (joined is None or not people.names):
        raise ConfigurationError(
            "--people: browsers must be shown a certificate: --people-certificate FILE --people-key FILE, or --name with --tls"
        )
    if certificate is None and joined is not None:
        certificate = joined.registry.server_file(people.names)
    assert certificate is not None
    context = browser_context(certificate, key, "--people-certificate")
    keep_renewed(context, certificate, key, "people")
    own = {host.lower() for host, _ in people.at if host not in ("0.0.0.0", "::")}  # noqa: S104 - those are no names
    hosts = frozenset(own | {name.lower().strip("[]") for name in people.names})
    if not hosts:
        raise ConfigurationError("--people: browsers call it by --name, where it listens on every card")
    app = PeopleDoor(state, Pages(store)).application(operations, hosts)
    found = []
    for host, port in people.at:
        listening = listening_at(host, port)
        found.append(DoorBeside(config_of(Door(app, metrics, None)), listening, context, MOST_AT_ONCE))
        print(f"platform serves people {_address(host, listening, 'https')}", flush=True)
    return found


class Joined:
    """The door for agents: its sockets, its certificate, who is let in. `doors` opens it, `stop` ends what keeps it."""

    def __init__(self, state: Path, agents: AgentsListening):
        self._agents = agents
        if agents.tls and not agents.names and agents.certificate is None:
            raise ConfigurationError("--tls needs --name: by which host names and addresses agents call this platform")
        self.registry = Registry(state).open()
        self.gate = Gate(self.registry)
        self._fronts: list[Front] = []
        self._sockets = [listening_at(host, port) for host, port in agents.tls]

    def doors(self, operations: Sequence[Operation], metrics: Metrics) -> list[DoorBeside]:
        found = []
        for (host, _), listening in zip(self._agents.tls, self._sockets, strict=True):
            config = config_of(agents_application(operations, metrics, self.gate, "tls"))
            found.append(DoorBeside(config, listening, self._front("http/1.1")))
            print(f"platform takes agents {_address(host, listening, 'https')}", flush=True)
        if self._agents.proxy is not None:
            listening = _listen_unix(self._agents.proxy)
            self._sockets.append(listening)
            config = config_of(agents_application(operations, metrics, self.gate, "proxy"))
            found.append(DoorBeside(config, listening, None))
            print(f"platform takes agents behind a proxy at {self._agents.proxy}", flush=True)
        self.registry.refresh_revoked_lists()
        return found

    def _front(self, protocol: str) -> ssl.SSLContext:
        front = Front(self.registry, self._certificate, protocol)
        self._fronts.append(front)
        front.start()
        return front.context

    def context(self) -> ssl.SSLContext:
        """For DICOM: as at the door for agents, but nobody comes without a certificate."""
        return self._front("")

    def may_speak(self, sha256: str, institution: str) -> bool:
        standing = self.registry.standing(sha256)
        return not standing.problem and institution in standing.institutions

    def not_theirs(self, sha256: str, address: str, what: str, institution: str) -> None:
        self.registry.incident(sha256, address, what, institution)

    def _certificate(self) -> tuple[Path, Path | None]:
        if self._agents.certificate is not None:
            return self._agents.certificate, self._agents.key
        names, port = self._agents.names, self._sockets[0].getsockname()[1]
        host = f"[{names[0]}]" if ":" in names[0] else names[0]
        return self.registry.server_file(names, f"https://{host}:{port}{REVOKED}"), None

    def stop(self) -> None:
        for front in self._fronts:
            front.stop()
        for one in self._sockets:
            one.close()
        if self._agents.proxy is not None:
            self._agents.proxy.unlink(missing_ok=True)
        self.registry.close()


class PlatformServer(uvicorn.Server):
    """Tells whoever started it when it is ready and when it stops; and systemd, that requests are answered and the store can be asked."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        notifier: Notifier,
        ask: Callable[[], object],
        beside: Sequence[DoorBeside] = (),
    ) -> None:
        super().__init__(config)
        self._ready, self._notifier, self._ask, self._beside = ready, notifier, ask, beside
        self._proving: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop in order on SIGTERM or SIGINT. uvicorn's own would raise the signal again, and the store stay open."""
        in_main = threading.current_thread() is threading.main_thread()  # only there may signals be listened to
        signals = (signal.SIGTERM, signal.SIGINT) if in_main else ()
        before = {one: signal.signal(one, self.handle_exit) for one in signals}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for door in self._beside:
            self.servers.append(await self._opened(door))
        self._ready()
        self._notifier.say("READY=1", "STATUS=takes documents")
        if self._notifier.interval is not None:
            self._proving = asyncio.create_task(self._prove(min(self._notifier.interval, PROVE_EVERY)))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._notifier.say("STOPPING=1")
        if self._proving is not None:
            self._proving.cancel()
        await super().shutdown(sockets)

    async def _prove(self, every: float) -> None:
        """The loop turns, the threads that answer have one free, the store answers: else systemd hears nothing."""
        while True:
            try:
                await run_in_threadpool(self._ask)
            except StateError as error:  # damaged is not hanging: beginning again would mend nothing
                _log.error("store.not_asked problem=%s", error)
            self._notifier.say("WATCHDOG=1")
            await asyncio.sleep(every)

    async def _opened(self, door: DoorBeside) -> asyncio.Server:
        door.config.load()
        strangers: set[AgentProtocol] = set()

        def protocol() -> AgentProtocol:
            return AgentProtocol(
                strangers, door.strangers, config=door.config, server_state=self.server_state, app_state={}
            )

        loop = asyncio.get_running_loop()
        if sys.platform != "win32" and door.listening.family == socket.AF_UNIX:
            return await loop.create_unix_server(protocol, sock=door.listening)
        return await loop.create_server(
            protocol,
            sock=door.listening,
            ssl=door.context,
            ssl_handshake_timeout=HANDSHAKE,
            ssl_shutdown_timeout=GOODBYE,
            backlog=256,
        )


def listening_at(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        raise StateError(f"cannot listen on {host} port {port}: {error}") from error


def _listen_unix(path: Path) -> socket.socket:
    """For nginx alone: who may connect there is believed, so it is its owner and group only."""
    if sys.platform == "win32":
        raise ConfigurationError("--proxy: a Unix socket in the file system, which Windows does not have; use --tls")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()  # of a run that was killed; a second platform on this state was refused before
        listening.bind(str(path))
        path.chmod(0o660)
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise StateError(f"cannot listen at {path}: {error.strerror}") from error
    return listening


def _address(host: str, listening: socket.socket, scheme: str = "http") -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{listening.getsockname()[1]}"

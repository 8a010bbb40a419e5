"""A hospital's side for inlets that ask: a real HTTP server whose pages a test writes, and an inbox that remembers.

with Site() as site:
    site.answers["/results"] = lambda asked: site.json({"rows": […]})
    fetcher = polling(site, 'type = "rest-poll" …')
    fetcher.fetch()
"""

import gzip
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from connectors.arrivals import Arrived, InboxFull, Kept
from frontend_agent.config import parse_config
from frontend_agent.inlets import Hands, make

NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
HOSPITAL = """
[institution]
id = "123456789"
name = "示范医院"
[sources.lisdb]
url = "sqlite:///lis.db"
[destinations.region]
url = "https://platform.example"
[[feeds]]
name = "labs"
source = "lisdb"
mapping = "demo_lis/lab_report"
"""


@dataclass
class Asked:
    """A request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass
class Given:
    """What the server answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Site:
    """An HTTP/1.1 server on loopback. `answers` is path -> what answers; everything else is 404."""

    def __init__(self, tls: Any = None) -> None:
        self.answers: dict[str, Callable[[Asked], Given]] = {}
        self.asked: list[Asked] = []
        site = self

        class Handler(_Handler):
            owner = site

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    @staticmethod
    def json(value: Any, **headers: str) -> Given:
        return Given(
            json.dumps(value, ensure_ascii=False).encode(), headers={"Content-Type": "application/json", **headers}
        )

    @staticmethod
    def packed(body: bytes) -> Given:
        return Given(gzip.compress(body), headers={"Content-Encoding": "gzip"})

    def __enter__(self) -> "Site":
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5  # of a connection on which nothing is asked: its thread ends
    wbufsize = 65536
    owner: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        self.owner.asked.append(asked)
        given = self.owner.answers.get(parts.path, lambda _: Given(status=404))(asked)
        self.send_response(given.status)
        for name, value in given.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(given.body)))
        self.end_headers()
        self.wfile.write(given.body)

    do_POST = do_PUT = do_DELETE = do_GET


class Inbox:
    """Keeps what the real one keeps: each control id once, without one each body once, and the newest mark."""

    def __init__(self) -> None:
        self.kept: list[Arrived] = []
        self.mark = ""
        self.full = 0  # so many times it is full
        self.calls = 0
        self._ids: dict[str, bytes] = {}

    def __call__(self, arrived: Sequence[Arrived], /) -> "Future[list[Kept]]":
        done: Future[list[Kept]] = Future()
        self.calls += 1
        if self.full:
            self.full -= 1
            done.set_exception(InboxFull())
            return done
        outcomes = []
        for one in arrived:
            name = one.control_id or one.body.hex()
            known = self._ids.get(name)
            outcomes.append(Kept.KEPT if known is None else Kept.DUPLICATE if known == one.body else Kept.CONFLICT)
            if known is None:
                self._ids[name] = one.body
                self.kept.append(one)
            self.mark = one.mark or self.mark
        done.set_result(outcomes)
        return done

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.kept]


class Clock:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def configured(table: str) -> Any:
    """The settings of a table [inlets.his], read as agent.toml is."""
    return parse_config(HOSPITAL + "[inlets.his]\n" + table).inlets["his"]


def polling(table: str, inbox: Any = None, clock: Any = None, secret: str = "s3cret-中文", **more: Any) -> Any:
    """The inlet of that table, over `inbox`. Nothing is started."""
    inbox = inbox if inbox is not None else Inbox()
    given: dict[str, Any] = {
        "keep": inbox,
        "tap": more.pop("tap", lambda *_: None),
        "clock": clock or Clock(),
        "recall": more.pop("recall", lambda: inbox.mark),
        "remember": more.pop("remember", lambda mark: setattr(inbox, "mark", mark)),
        "secret": lambda name: secret,
        "timezone": "Asia/Shanghai",
        "has_day": more.pop("has_day", lambda day, days: True),
    }
    hands = Hands(**{name: given.get(name) for name in Hands._fields})  # what other types are given is nothing to these
    return make("his", configured(table), hands)

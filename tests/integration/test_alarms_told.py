"""Alarms are told by mail and webhook: a real SMTP server (plain, STARTTLS, TLS, with a password), real HTTP listeners."""

import base64
import email
import hmac
import json
import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from frontend_agent.alarm_tellers import Tellers
from frontend_agent.alarms import Alarm, Level
from frontend_agent.alarms.turns import Look, turns
from frontend_agent.app import App, checked
from frontend_agent.config import parse_config
from frontend_agent.operations import operations
from tests.ports import free_port

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the server's own word on TLS from the first byte
NOW = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)
PASSWORD = "CANARY-f7a1-right"
BASE = """
workers = 0
institution = { id = "H001", name = "示范医院" }
sources.lis = { url = "sqlite:///lis.db" }
destinations.platform = { url = "http://127.0.0.1:8400" }
feeds = [{ name = "lab", source = "lis", mapping = "demo_lis/lab_report" }]
"""


class Mailbox:
    """Whoever reads the mail. Refuses whom the test says."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refused: set[str] = set()
        self.secure: list[bool] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.secure.append(session.ssl is not None)
        self.mails.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content)))
        return "250 taken"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert), "-days", "30"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@contextmanager
def smtp(
    box: Mailbox, certificate: tuple[Path, Path] | None = None, implicit: bool = False, auth: bool = False
) -> Iterator[int]:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    def judge(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
        return AuthResult(success=right, handled=False)

    more: dict[str, Any] = (
        {"ssl_context": context} if implicit else {"tls_context": context, "require_starttls": bool(context)}
    )
    if auth:
        more |= {
            "authenticator": judge,
            "auth_required": True,
            "auth_require_tls": context is not None and not implicit,
        }
    server = Controller(box, hostname="127.0.0.1", port=free_port(), **more)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


class Agent:
    """An open state with alarms that the test raises, and whoever is told of them."""

    def __init__(self, folder: Path, alarms: str) -> None:
        (folder / "secrets").mkdir(exist_ok=True, parents=True)
        for name, value in (("smtp", PASSWORD), ("hook", "a key"), ("wrong", "CANARY-f7a1-wrong")):
            (folder / "secrets" / name).write_text(value)
            (folder / "secrets" / name).chmod(0o600)
        text = f'{BASE}\n[secrets]\nfolder = "{folder}/secrets"\n{alarms}'
        self.now, self.folder, self.clock = NOW, folder, 0.0
        self.app = App(parse_config(text, folder=folder), folder / "state", clock=lambda: self.now).open_state()
        self.tellers = Tellers(self.app, monotonic=lambda: self.clock)

    def raise_(self, kind: str, subject: str, level: Level = Level.WARNING, **figures: Any) -> Alarm:
        alarm = Alarm(0, kind, subject, level, self.now, self.now, figures)
        self.app.spool.alarms.keep(Look([alarm], []), self.now)
        return self.app.spool.alarms.standing()[-1]

    def end_all(self) -> None:
        self.now += timedelta(minutes=10)
        look = turns(self.app.spool.alarms.standing(), [], self.now, timedelta())
        self.app.spool.alarms.keep(look, self.now)


MAIL = """
[alarms.mail.it]
server = "127.0.0.1:{port}"
from = "agent@hospital.local"
to = ["it@hospital.local", "duty@hospital.local"]
security = "{security}"
{more}
"""


def mail(port: int, security: str = "none", more: str = "") -> str:
    return MAIL.format(port=port, security=security, more=more)


def test_a_mail_when_it_begins_and_one_when_it_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = Mailbox()
    with smtp(box) as port:
        agent = Agent(tmp_path, mail(port))
        agent.raise_("source", "lis", Level.CRITICAL, away=7200, problem="no route to host")
        assert agent.tellers.look("it") == 1
        assert agent.tellers.look("it") == 0
        agent.end_all()
        assert agent.tellers.look("it") == 1
        assert agent.tellers.look("it") == 0
    (to, begun), (_, ended) = box.mails
    assert to == ["it@hospital.local", "duty@hospital.local"]
    assert str(make_header(decode_header(begun["Subject"]))) == "[示范医院] 告警 严重: 来源 lis 已有 2 小时 无法连接"
    assert begun["Auto-Submitted"] == "auto-generated"
    body = begun.get_payload(decode=True).decode()
    assert "原因: 数据库、中间网络或账号：no route to host" in body
    assert "frontend-agent doctor lis" in body
    assert "自 2026-11-18 10:30:00" in body
    assert str(make_header(decode_header(ended["Subject"]))).startswith("[示范医院] 恢复: ")
    assert begun["Message-ID"] != ended["Message-ID"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_with_a_password_over_tls_to_a_server_that_is_vouched_for(
    tmp_path: Path, certificate: tuple[Path, Path], security: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    box = Mailbox()
    with smtp(box, certificate, implicit=security == "tls", auth=True) as port:
        login = f'user = "agent"\nsecret = "smtp"\nca = "{certificate[0]}"'
        agent = Agent(tmp_path, mail(port, security, login))
        agent.raise_("clock", "platform", skew=90)
        assert agent.tellers.look("it") == 1, agent.tellers.told()
        assert box.secure == [security == "starttls"] or security == "tls"
        agent.app.close()

        stranger = Agent(tmp_path, mail(port, security, 'user = "agent"\nsecret = "smtp"'))
        stranger.raise_("disk", "", share=0.99, free=5)
        assert stranger.tellers.look("it") == 0
        assert "its certificate:" in stranger.tellers.told()["it"]["problem"]
        stranger.app.close()

        wrong = Agent(tmp_path, mail(port, security, login.replace('"smtp"', '"wrong"')))
        assert wrong.tellers.look("it") == 0
        assert "user 'agent' is not let in (535): is the secret right?" in wrong.tellers.told()["it"]["problem"]
        wrong.app.close()
    assert len(box.mails) == 1
    assert "CANARY-f7a1" not in caplog.text
    assert "CANARY-f7a1" not in str(box.mails)


def test_check_tries_the_mail_server_and_sends_nothing(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    box = Mailbox()
    with smtp(box, certificate, auth=True) as port:
        for secret, said in (("smtp", ""), ("wrong", "is the secret right?"), ("missing", "not found")):
            login = f'user = "agent"\nsecret = "{secret}"\nca = "{certificate[0]}"'
            config = Agent(tmp_path / secret, mail(port, "starttls", login)).app.config
            (problem,) = [one for what, one in checked(config) if what == "alarms: mail it"]
            assert said in str(problem or "")
            assert bool(said) == (problem is not None)
    assert box.mails == []


def test_a_server_that_is_away_is_told_later_and_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    box, port = Mailbox(), free_port()
    agent = Agent(tmp_path, mail(port))
    agent.raise_("damage", "", Level.CRITICAL, damaged=1)
    assert agent.tellers.look("it") == 0
    assert agent.tellers.told()["it"]["problem"].endswith("Connection refused")
    agent.clock = 29.0
    assert agent.tellers.look("it") == 0
    agent.raise_("disk", "", share=0.99, free=5)
    with smtp(box) as other:
        object.__setattr__(agent.app.config.alarms.mail["it"], "server", f"127.0.0.1:{other}")
        agent.clock = 31.0
        assert agent.tellers.look("it") == 2  # both in one mail
    assert len(box.mails) == 1
    assert "另有 1 条" in str(make_header(decode_header(box.mails[0][1]["Subject"])))
    assert caplog.text.count("alarm.not_told") == 1


def test_one_recipient_of_two_is_enough_and_is_said(tmp_path: Path) -> None:
    box = Mailbox()
    box.refused = {"duty@hospital.local"}
    with smtp(box) as port:
        agent = Agent(tmp_path, mail(port))
        agent.raise_("disk", "", share=0.99, free=5)
        assert agent.tellers.look("it") == 1
        assert agent.tellers.told()["it"]["problem"] == "duty@hospital.local: 550 no such mailbox"
        box.refused = {"duty@hospital.local", "it@hospital.local"}
        (tried,) = operations(agent.app)["alarms_test"]()
        assert "it@hospital.local: 550 no such mailbox" in tried["problem"]
        box.refused = set()
        assert operations(agent.app)["alarms_test"](channel="it") == [{"name": "it", "type": "mail", "problem": ""}]
    assert "测试消息" in str(make_header(decode_header(box.mails[-1][1]["Subject"])))


# -- Webhooks ----------------------------------------------------------------------------------------------------------


class Hook:
    """Somebody who listens. Answers what the test says."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[], tuple[int, bytes]] = lambda: (200, b'{"errcode": 0, "errmsg": "ok"}')


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posts.append((self.path, dict(self.headers), body))
            status, answer = found.answer()
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def webhook(hook: Any, form: str, more: str = "", path: str = "/alarms") -> str:
    return f'[alarms.webhooks.duty]\nurl = "{hook.url}{path}"\nform = "{form}"\n{more}\n'


def test_a_webhook_is_signed_and_says_both_languages(tmp_path: Path, hook: Hook) -> None:
    agent = Agent(tmp_path, webhook(hook, "json", 'secret = "hook"'))
    agent.raise_("backlog", "platform", waiting=12, oldest=2400, problem="")
    assert agent.tellers.look("duty") == 1
    ((path, headers, body),) = hook.posts
    assert path == "/alarms"
    told = json.loads(body)
    (alarm,) = told["alarms"]
    assert (told["institution"], alarm["turn"], alarm["kind"]) == ("H001", "begins", "backlog")
    assert alarm["texts"]["en"]["title"].startswith("Backlog at platform: 12 wait")
    stamp, _, given = headers["X-Frontend-Agent-Signature"].removeprefix("t=").partition(",sha256=")
    assert hmac.compare_digest(given, hmac.new(b"a key", f"{stamp}.".encode() + body, sha256).hexdigest())
    assert headers["X-Frontend-Agent-Key"] == told["key"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [((500, b""), "answered 500"), ((302, b""), "answered 302"), ((404, b"x"), "answered 404")],
)
def test_what_is_no_2xx_was_not_told(tmp_path: Path, hook: Hook, answer: tuple[int, bytes], said: str) -> None:
    hook.answer = lambda: answer
    agent = Agent(tmp_path, webhook(hook, "json", path="/robot?key=CANARY"))
    agent.raise_("disk", "", share=0.99, free=5)
    assert agent.tellers.look("duty") == 0
    problem = agent.tellers.told()["duty"]["problem"]
    assert problem.endswith(said)
    assert "CANARY" not in problem
    assert len(hook.posts) == 1  # nobody was followed elsewhere


@pytest.mark.parametrize("form", ["dingtalk", "wecom"])
def test_robots_take_text_and_say_inside_whether_they_did(tmp_path: Path, hook: Hook, form: str) -> None:
    more = 'secret = "hook"' if form == "dingtalk" else ""
    agent = Agent(tmp_path, webhook(hook, form, more, "/robot/send?access_token=t"))
    agent.raise_("disk", "", share=0.99, free=5 << 30)
    hook.answer = lambda: (200, b'{"errcode": 310000, "errmsg": "keywords not in content"}')
    assert agent.tellers.look("duty") == 0
    assert "errcode 310000: keywords not in content" in agent.tellers.told()["duty"]["problem"]
    hook.answer = lambda: (200, b'{"errcode": 0, "errmsg": "ok"}')
    agent.clock = 31.0
    assert agent.tellers.look("duty") == 1
    path, _, body = hook.posts[-1]
    told = json.loads(body)
    assert told["msgtype"] == "text"
    assert "状态目录所在磁盘仅剩 5.0 GiB" in told["text"]["content"]
    asked = parse_qs(urlsplit(path).query)
    assert asked["access_token"] == ["t"]
    if form == "dingtalk":
        stamp = asked["timestamp"][0]
        right = hmac.new(b"a key", f"{stamp}\na key".encode(), sha256).digest()
        assert asked["sign"] == [base64.b64encode(right).decode()]


def test_a_robot_that_answers_no_json_and_one_that_hangs(tmp_path: Path, hook: Hook) -> None:
    hook.answer = lambda: (200, b"<html>")
    agent = Agent(tmp_path, webhook(hook, "wecom"))
    agent.raise_("disk", "", share=0.99, free=5)
    assert agent.tellers.look("duty") == 0
    assert "is not JSON" in agent.tellers.told()["duty"]["problem"]
    agent.app.close()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = f'[alarms.webhooks.duty]\nurl = "http://127.0.0.1:{silent.getsockname()[1]}/"\nform = "wecom"\ntimeout = "300ms"\n'
        slow = Agent(tmp_path, text)
        assert slow.tellers.look("duty") == 0
        assert "no answer in 0.3 s" in slow.tellers.told()["duty"]["problem"]

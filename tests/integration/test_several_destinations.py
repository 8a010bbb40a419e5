"""One hospital, three destinations of three dialects, real servers: one down (SOAP), one lying (REST), one slow (MLLP).

None holds another, and in the end all have everything.
"""

import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from frontend_agent.app import App
from frontend_agent.config import Config, parse_config
from frontend_agent.daemon import Daemon
from frontend_agent.demo.hospital import HIS, LIS, create_hospital
from frontend_agent.operations import operations
from tests.conftest import shared_folder
from tests.hip_region import region
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
VISITS = 24
pytestmark = pytest.mark.skipif(
    not (shared_folder() / "standards").is_dir(), reason="the national tables are not beside this checkout"
)


def until(is_so: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.1)
    return is_so()


class Liar:
    """A REST interface that answers 200 to everything; the refusal stands inside. Later it is asked what it has."""

    def __init__(self) -> None:
        self.lying = True
        self.has: list[str] = []
        self.became: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # of a connection on which nothing is asked: its thread ends

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.lying:
                    self._say({"success": True, "code": 1001, "message": "机构未注册"})
                else:
                    outer.has.append(body["id"])
                    self._say({"success": True, "code": 0})

            def do_GET(self) -> None:
                self._say({"state": outer.became.get(self.path.rpartition("/")[2], "working"), "why": "不合规"})

            def _say(self, answer: object) -> None:
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


class Receiver(socketserver.ThreadingTCPServer):
    """HL7 v2 over MLLP: takes its time, and acknowledges."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, seconds: float) -> None:
        self.seconds = seconds
        self.has: list[bytes] = []
        receiver = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                buffer = b""
                with suppress(OSError):
                    while piece := self.request.recv(1 << 16):
                        buffer += piece
                        while b"\x1c\r" in buffer:
                            message, _, buffer = buffer.partition(b"\x1c\r")
                            receiver.has.append(message)
                            time.sleep(receiver.seconds)
                            header = message.lstrip(b"\x0b").split(b"\r")[0].split(b"|")
                            said = b"MSH|^~\\&|REGION||||20260930||ACK|1|P|2.5\rMSA|AA|" + header[9] + b"\r"
                            self.request.sendall(b"\x0b" + said + b"\x1c\r")

        super().__init__(("127.0.0.1", port), Handler)


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def config_for(folder: Path, liar: str, slow: int, down: int) -> Config:
    create_hospital(folder / "hospital", VISITS, seed=3)
    (folder / "body.json").write_text('{"id": "{document.id}", "cda": "{content|base64}"}')
    text = (ROOT / "agent.toml").read_text(encoding="utf-8").replace("# workers = 2", "workers = 0")
    for name in (HIS, LIS):
        text = text.replace(f"demo-state/hospital/{name}", f"hospital/{name}")
    head, _, rest = text.partition("[destinations.platform]")
    text = head + rest.partition("\n[")[1] + rest.partition("\n[")[2]
    text += f"""
[destinations.liar]
type = "rest"
url = "{liar}"
[destinations.liar.request]
url = "/documents"
body = "json"
template = "body.json"
[destinations.liar.answer]
success = ["status 200 and json $.code = 0"]
failure = ["json $.code = [1-9].*"]
reason = ["json $.message"]
[destinations.liar.confirm]
url = "/documents/{{document.id}}"
method = "GET"
every = "1s"
first = "0s"
stored = ["json $.state = done"]
rejected = ["json $.state = failed"]
reason = ["json $.why"]
[destinations.slow]
type = "mllp"
url = "mllp://127.0.0.1:{slow}"
[destinations.down]
type = "hip"
url = "http://127.0.0.1:{down}/hip"
"""
    return parse_config(text, folder=folder)


def states(app: App, name: str) -> dict[str, int]:
    return {state: n for state, n in app.spool.counts().deliveries.get(name, {}).items() if n}


def test_one_down_one_lying_one_slow_and_none_holds_another(tmp_path: Path) -> None:
    liar, port = Liar(), free_port()
    slow = Receiver(0, seconds=0.5)
    config = config_for(tmp_path, liar.url, slow.server_address[1], port)
    with serving(liar.server), serving(slow), App(config, tmp_path / "state") as app:
        daemon = Daemon(app)
        running = threading.Thread(target=daemon.run, daemon=True)
        running.start()
        try:
            made = _settled_lying(app)
            # The liar refused everything it was asked, by name and with its reason; the slow one is still at it.
            assert states(app, "liar") == {"refused": made}
            assert states(app, "slow").get("accepted", 0) < made
            assert set(states(app, "down")) <= {"ready", "sending"}
            assert app.spool.pause("down").blame == "network"
            assert {reason for case in app.spool.quarantine_list() for reason in case.reasons} == {"机构未注册"}
            told = {one["name"]: one for one in operations(app)["status"]()["destinations"]}
            assert all(one["states"].get("delivered", 0) == 0 for one in told.values())
            assert told["slow"]["foreign"]["accepted"] == states(app, "slow").get("accepted", 0) > 0

            # Then all drain: the liar tells the truth, the slow one hurries, the one that was down comes up.
            liar.lying = False
            slow.seconds = 0.0
            stuck = [case.id for case in app.spool.quarantine_list() if case.destination == "liar"]
            app.spool.quarantine_release(stuck, "li", app.clock())
            with region(port=port, knows_everybody=True) as soap:
                for name in ("liar", "slow", "down"):
                    app.spool.recovered(name)
                assert until(lambda: not any(app.waiting(name) for name in app.destinations), 60)
            for name in ("liar", "slow", "down"):
                assert states(app, name) == {"accepted": made}, name
            assert sorted(liar.has) == sorted(set(liar.has))
            assert len(liar.has) == made
            assert len(slow.has) == len(set(slow.has)) >= made  # nothing twice; a kind may be several messages

            assert sorted(soap.documents) == sorted(liar.has)
            assert soap.ids == list(dict.fromkeys(soap.ids))

            # What was accepted is asked about: one is there, one is not taken after all; of the others nothing is said.
            there, gone = liar.has[0], liar.has[1]
            liar.became.update({there: "done", gone: "failed"})
            assert until(lambda: {"delivered", "refused"} <= set(states(app, "liar")), 90)
            assert states(app, "liar") == {"accepted": made - 2, "delivered": 1, "refused": 1}
            (case,) = [one for one in app.spool.quarantine_list() if one.destination == "liar"]
            assert (case.document_id, case.reasons) == (gone, ("不合规",))
            (receipt,) = [one for one in app.spool.receipts("liar") if one.document_id == there]
            assert (receipt.outcome, receipt.reasons) == ("confirmed", ("GET /documents/{document.id}",))
            assert app.spool.verify_log().ok
        finally:
            daemon.stopping.set()
            running.join(20)


def _settled_lying(app: App) -> int:
    """Wait until all feeds were read and the liar has answered everything; how many documents there are."""

    def is_done() -> bool:
        liar = states(app, "liar")
        return app.visits_are_told() and set(liar) == {"refused"} and "accepted" in states(app, "slow")

    assert until(is_done, 60)
    return app.spool.counts().documents

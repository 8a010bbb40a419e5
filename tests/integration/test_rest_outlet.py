"""A private REST interface by settings alone, against a real HTTP server that keeps what it was asked."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from lxml import etree

from connectors.outlets import Around
from connectors.outlets.rest import RestEdge
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.formats import load_kind
from frontend_agent.model import Document, Envelope, Outcome
from frontend_agent.outlets import opener
from frontend_agent.packs.content import content_of
from frontend_agent.wire.frames import compressor
from tests.unit.records import clean

KIND = load_kind("C0007")
NOW = datetime(2026, 9, 30, 4, 0, tzinfo=UTC)
SECRETS = {"region": "s3cret", "other": "0ther"}


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Reply = Callable[[Asked], tuple[int, bytes]]


class Server:
    """Answers by a function; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.reply: Reply = lambda asked: (200, b'{"code": 0}')
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # of a connection on which nothing is asked: its thread ends

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                if self.command != "HEAD":
                    outer.asked.append(asked)
                status, answer = outer.reply(asked)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(answer if self.command != "HEAD" else b"")

            do_GET = do_POST = do_PUT = do_HEAD = handle_any

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.http.shutdown()
    one.http.server_close()


def made(key: str = "1", **changed: Any) -> Document:
    record = {name: value for name, value in clean("C0007", **changed).items() if not name.startswith("fact.")}
    content = KIND.renderer()(record, Envelope(f"set{key}-1", f"set{key}", 1, "20260930120000"))
    return Document(
        document_id=f"set{key}-1",
        set_id=f"set{key}",
        version=1,
        kind="C0007",
        institution="H1",
        feed="lab",
        key=key,
        source_hash="0" * 64,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        frame=compressor(KIND.dictionary).compress(content),
        dictionary=KIND.dictionary_sha256,
        made_at=NOW.isoformat(),
    )


def edge(
    server: Server, tmp_path: Path, settings: str, template: str = "", clock: Callable[[], datetime] = lambda: NOW
) -> RestEdge:
    if template:
        (tmp_path / "body.txt").write_text(template, "utf-8")
    options = options_of(server.url, settings, tmp_path)
    around = Around(
        opened=opener(content_of(None), lambda name: KIND.dictionary),
        secret=SECRETS.__getitem__,
        clock=clock,
        institution="H1",
        institution_name="演示医院",
    )
    return RestEdge("region", options, around)


def options_of(url: str, settings: str, folder: Path = Path()) -> Any:
    text = f"""
[institution]
id = "H1"
name = "演示医院"
[sources.his]
url = "sqlite:///x.db"
[destinations.region]
type = "rest"
url = "{url}"
{settings}
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_his/lab_report"
every = "1m"
"""
    return parse_config(text, folder=folder).destinations["region"]


YES = """
[destinations.region.answer]
success = ["status 2xx and json $.code = 0"]
failure = ["json $.code = [1-9].*"]
reason = ["json $.message"]
"""
JSON = (
    """
secret = "region"
[destinations.region.request]
url = "/api/{document.kind}/{record.report_number}"
body = "json"
template = "body.txt"
[destinations.region.request.headers]
Authorization = "Bearer {secret}"
Idempotency-Key = "{document.id}"
[destinations.region.codes.sex]
1 = "M"
2 = "F"
"""
    + YES
)
BODY = """{
  "orgCode": "{institution.id}", "orgName": "{institution.name}", "docId": "{document.id}", "zfbz": "{document.void}",
  "xm": "{record.patient.name}", "xbdm": "{record.patient.sex}", "xb": "{record.patient.sex|codes:sex}",
  "bgsj": "{record.author.time|yyyyMMddHHmmss}", "bgrq": "{record.author.time|yyyy-MM-dd HH:mm:ss}",
  "iso": "{record.author.time|iso}", "email": "{record.patient.email}", "uploadTime": "{now|yyyy-MM-dd HH:mm:ss}",
  "items": [{"each": "items", "code": "{item.code}", "value": "{item.value} {item.unit}", "none": "{item.nothing}"}],
  "cda": "{content|base64}", "fixed": 1
}"""


def test_a_record_becomes_what_that_interface_wants(server: Server, tmp_path: Path) -> None:
    document = made(**{"report_number": "R/1 ?"})

    (receipt,) = edge(server, tmp_path, JSON, BODY).send([document])

    assert receipt.outcome is Outcome.ACCEPTED
    (asked,) = server.asked
    assert asked.path == "/api/C0007/R%2F1%20%3F"
    assert asked.headers["authorization"] == "Bearer s3cret"
    assert asked.headers["idempotency-key"] == "set1-1"
    body = asked.json()
    cda = base64.b64decode(body.pop("cda"))
    assert hashlib.sha256(cda).hexdigest() == document.sha256
    assert len(body["items"]) == 12
    assert body["items"][0] == {"code": "WBC0", "value": "5.60 10^9/L"}
    assert {name: value for name, value in body.items() if name != "items"} == {
        "orgCode": "H1", "orgName": "演示医院", "docId": "set1-1", "zfbz": "0", "xm": "欧阳修远", "xbdm": "1", "xb": "M",
        "bgsj": "20260930101500", "bgrq": "2026-09-30 10:15:00", "iso": "2026-09-30T10:15:00+08:00",
        "uploadTime": "2026-09-30 12:00:00", "fixed": 1,
    }  # fmt: skip


def test_no_value_breaks_out_of_its_place(server: Server, tmp_path: Path) -> None:
    evil = '"},{"x":"</a>&{document.id}'
    region = edge(server, tmp_path, JSON, '{"xm": "{record.patient.name}"}')
    region.send([made(**{"patient.name": evil})])
    assert server.asked[0].json() == {"xm": evil}

    xml = edge(
        server, tmp_path, JSON.replace('body = "json"', 'body = "xml"'),
        '<r a="{record.patient.name}"><b>{record.patient.name}</b><gone>{record.patient.email}</gone><stays/>'
        '<i each="items">{item.code}</i></r>',
    )  # fmt: skip
    xml.send([made(**{"patient.name": evil})])
    root = etree.fromstring(server.asked[1].body)
    assert (root.get("a"), root.findtext("b")) == (evil, evil)
    assert [child.tag for child in root][:3] == ["b", "stays", "i"]
    assert len(root.findall("i")) == 12


def test_what_cannot_be_said_refuses_that_document_alone(server: Server, tmp_path: Path) -> None:
    region = edge(
        server,
        tmp_path,
        JSON.replace('url = "http', 'batch = 2\nurl = "http'),
        '{"x": "{record.patient.sex|codes:sex}"}',
    )
    (refused,) = region.send([made("2", **{"patient.sex": "9"})])
    assert refused.outcome is Outcome.REFUSED
    assert "codes.sex" in refused.reasons[0]
    header = JSON.replace('"{document.id}"', '"{record.patient.name}"')
    (refused,) = edge(server, tmp_path, header, BODY).send([made()])
    assert refused.outcome is Outcome.REFUSED
    (refused,) = edge(server, tmp_path, JSON, '{"x": "{record.patient.email!}"}').send([made()])
    assert "patient.email is missing" in refused.reasons[0]
    assert server.asked == []


@pytest.mark.parametrize("number", ["..", "."])
def test_a_value_of_dots_is_no_way_to_another_path(server: Server, tmp_path: Path, number: str) -> None:
    settings = JSON.replace('url = "/api', 'url = "/of/{record.report_number}/api')
    assert settings != JSON
    (refused,) = edge(server, tmp_path, settings, BODY).send([made(report_number=number)])
    assert (refused.outcome, server.asked) == (Outcome.REFUSED, [])
    assert "record.report_number" in refused.reasons[0]
    edge(server, tmp_path, settings, BODY).send([made(report_number="a/../..?b")])
    assert server.asked[0].path.startswith("/of/a%2F..%2F..%3Fb/api")


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"code": 0}', Outcome.ACCEPTED),
        (200, b'{"code": 1001, "message": "no such patient"}', Outcome.REFUSED),
        (200, b"<html>welcome</html>", Outcome.UNANSWERED),
        (200, b"", Outcome.UNANSWERED),
        (503, b"", Outcome.RETRY),
        (502, b"", Outcome.UNANSWERED),
        (400, b'{"code": 400, "message": "bad date"}', Outcome.REFUSED),
        (500, b"", RefusedWhole),
        (413, b"", RefusedWhole),
        (403, b"", NotAllowed),
        (302, b"", NotAllowed),
    ],
)
def test_a_200_is_no_acknowledgement(server: Server, tmp_path: Path, status: int, body: bytes, outcome: Any) -> None:
    server.reply = lambda asked: (status, body)
    region = edge(server, tmp_path, JSON, BODY)
    if isinstance(outcome, Outcome):
        (receipt,) = region.send([made()])
        assert receipt.outcome is outcome
        assert receipt.sha256 == ""
        if outcome is Outcome.REFUSED:
            assert receipt.reasons
    else:
        with pytest.raises(outcome):
            region.send([made()])


def test_nobody_there(server: Server, tmp_path: Path) -> None:
    region = edge(server, tmp_path, JSON, BODY)
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(DestinationUnreachable):
        region.send([made()])
    with pytest.raises(DestinationUnreachable):
        region.probe()


def test_a_form_signed_as_such_platforms_ask(server: Server, tmp_path: Path) -> None:
    settings = (
        """
[destinations.region.request]
url = "/upload"
body = "form"
fields = { orgCode = "{institution.id}", docId = "{document.id}", empty = "{record.patient.email}", ts = "{timestamp}" }
[destinations.region.sign]
algorithm = "md5"
secret = "other"
text = "{sorted}&key={secret}"
write = "HEX"
into = "sign"
"""
        + YES
    )
    edge(server, tmp_path, settings).send([made()])
    form = {name: values[0] for name, values in parse_qs(server.asked[0].body.decode()).items()}
    signed = f"docId=set1-1&orgCode=H1&ts={int(NOW.timestamp() * 1000)}&key=0ther"
    assert form.pop("sign") == hashlib.md5(signed.encode()).hexdigest().upper()
    assert sorted(form) == ["docId", "orgCode", "ts"]


def test_a_body_signed_with_hmac_in_a_header(server: Server, tmp_path: Path) -> None:
    settings = (
        JSON.replace('Authorization = "Bearer {secret}"', 'X-Signature = "{signature}"\nX-Time = "{timestamp}"')
        + """
[destinations.region.sign]
algorithm = "hmac-sha256"
text = "{timestamp}\\n{body}"
write = "base64"
timestamp = "epoch"
"""
    )
    edge(server, tmp_path, settings, BODY).send([made()])
    (asked,) = server.asked
    text = asked.headers["x-time"].encode() + b"\n" + asked.body
    assert asked.headers["x-time"] == str(int(NOW.timestamp()))
    assert asked.headers["x-signature"] == base64.b64encode(hmac.new(b"s3cret", text, "sha256").digest()).decode()


def test_multipart_with_the_document_as_a_file(server: Server, tmp_path: Path) -> None:
    settings = (
        """
[destinations.region.request]
url = "/upload"
method = "PUT"
body = "multipart"
fields = { id = "{document.id}", file = "@{content}" }
"""
        + YES
    )
    document = made()
    edge(server, tmp_path, settings).send([document])
    (asked,) = server.asked
    whole = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + asked.headers["content-type"].encode() + b"\r\n\r\n" + asked.body
    )
    parts = {part.get_param("name", header="content-disposition"): part for part in whole.iter_parts()}
    assert parts["id"].get_content().strip() == "set1-1"
    assert hashlib.sha256(parts["file"].get_payload(decode=True)).hexdigest() == document.sha256
    assert parts["file"].get_filename() == "file"


LOGIN = (
    JSON.replace('"Bearer {secret}"', '"{token}"')
    + """
[destinations.region.login]
url = "/login"
body = "form"
fields = { user = "{institution.id}", password = "{secret}" }
token = "json $.data.token"
lasts_path = "json $.data.expires"
"""
)


def test_a_token_is_asked_for_once_and_again_when_it_ends_or_is_refused(server: Server, tmp_path: Path) -> None:
    now = NOW
    given = iter(["one", "two", "three"])
    refused = {"two"}

    def reply(asked: Asked) -> tuple[int, bytes]:
        if asked.path == "/login":
            return 200, json.dumps({"data": {"token": next(given), "expires": 600}}).encode()
        return (401, b"") if asked.headers["authorization"] in refused else (200, b'{"code": 0}')

    server.reply = reply
    region = edge(server, tmp_path, LOGIN, BODY, clock=lambda: now)
    region.send([made()])
    region.send([made()])
    assert [urlsplit(asked.path).path[:6] for asked in server.asked] == ["/login", "/api/C", "/api/C"]
    assert parse_qs(server.asked[0].body.decode()) == {"user": ["H1"], "password": ["s3cret"]}

    now += timedelta(minutes=11)
    (receipt,) = region.send([made()])
    assert receipt.outcome is Outcome.ACCEPTED
    assert [asked.headers.get("authorization") for asked in server.asked[3:]] == [None, "two", None, "three"]


def test_without_a_token_nothing_is_sent(server: Server, tmp_path: Path) -> None:
    server.reply = lambda asked: (200, b'{"code": 500, "message": "wrong password"}')
    region = edge(server, tmp_path, LOGIN, BODY)
    with pytest.raises(NotAllowed, match="no token"):
        region.send([made()])
    with pytest.raises(NotAllowed):
        region.probe()
    server.reply = lambda asked: (503, b"")
    with pytest.raises(DestinationUnreachable):
        region.send([made()])
    assert {asked.path for asked in server.asked} == {"/login"}


BATCH = (
    """
batch = 10
[destinations.region.request]
url = "/batch"
body = "json"
template = "body.txt"
[destinations.region.request.headers]
Idempotency-Key = "{batch.id}"
[destinations.region.items]
each = "json $.results[*]"
id = "json $.docId"
"""
    + YES
)
LIST = '{"list": [{"each": "documents", "docId": "{document.id}", "xm": "{record.patient.name}"}]}'


def test_a_batch_is_answered_item_by_item(server: Server, tmp_path: Path) -> None:
    results = [{"docId": "set1-1", "code": 0}, {"docId": "set2-1", "code": 7, "message": "no"}, {"docId": "set9-1", "code": 0},
               {"docId": "set1-1", "code": 7}]  # fmt: skip
    server.reply = lambda asked: (200, json.dumps({"results": results}).encode())
    region = edge(server, tmp_path, BATCH, LIST)

    receipts = {one.document_id: one for one in region.send([made("1"), made("2"), made("3")])}

    assert [one["docId"] for one in server.asked[0].json()["list"]] == ["set1-1", "set2-1", "set3-1"]
    assert receipts["set1-1"].outcome is Outcome.ACCEPTED
    assert (receipts["set2-1"].outcome, receipts["set2-1"].reasons) == (Outcome.REFUSED, ("no",))
    assert "set3-1" not in receipts  # no word is no answer
    server.reply = lambda asked: (200, b'{"code": 9, "message": "all wrong"}')
    with pytest.raises(RefusedWhole, match="all wrong"):
        region.send([made("1"), made("2")])


ASKING = (
    JSON
    + """
[destinations.region.confirm]
url = "/status?id={document.id}"
method = "GET"
every = "10m"
stored = ["json $.state = done"]
rejected = ["json $.state = failed"]
lost = ["status 404"]
reason = ["json $.why"]
"""
)


def test_what_is_of_one_document_stands_in_no_batch_address(server: Server, tmp_path: Path) -> None:
    batch = "batch = 2\n" + JSON
    (url, header) = wrong(batch, tmp_path)
    assert "request: url: {document.kind} is of one document" in url
    assert "request: Idempotency-Key: {document.id} is of one document" in header
    # What cannot be made of several is made of each, and no document stays on its way for ever.
    region = edge(server, tmp_path, JSON, BODY)
    with pytest.raises(RefusedWhole, match=r"document\.kind is missing"):
        region.send([made("1"), made("2")])
    assert [one.outcome for one in region.send([made("1")])] == [Outcome.ACCEPTED]


def test_it_is_asked_what_became_of_a_document(server: Server, tmp_path: Path) -> None:
    says = {
        "set1-1": (200, b'{"state": "done"}'),
        "set2-1": (200, b'{"state": "failed", "why": "wrong ward"}'),
        "set3-1": (404, b""),
        "set4-1": (200, b'{"state": "working"}'),
    }
    server.reply = lambda asked: says[parse_qs(urlsplit(asked.path).query)["id"][0]]
    region = edge(server, tmp_path, ASKING, BODY)

    found = {one.document_id: one for one in region.ask([made(key) for key in "1234"])}

    assert region.asks_every == timedelta(minutes=10)
    assert sorted(found) == ["set1-1", "set2-1", "set3-1"]
    assert found["set1-1"].stored
    assert (found["set2-1"].stored, found["set2-1"].again, found["set2-1"].reasons) == (False, False, ("wrong ward",))
    assert (found["set3-1"].stored, found["set3-1"].again) == (False, True)
    assert found["set1-1"].told_by == "GET /status"  # no values of the question
    assert edge(server, tmp_path, JSON, BODY).asks_every is None


def test_questions_end_so_that_sending_goes_on(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.reply = lambda asked: (200, b'{"state": "done"}')
    region = edge(server, tmp_path, ASKING, BODY)
    monkeypatch.setattr("connectors.outlets.rest.LONGEST_ASKING", -1.0)
    assert list(region.ask([made("1"), made("2")])) == []
    assert region.not_asked == {"set1-1", "set2-1"}


def test_answers_that_are_too_long_or_a_bomb_are_no_answers(server: Server, tmp_path: Path) -> None:
    region = edge(server, tmp_path, JSON, BODY)
    server.reply = lambda asked: (200, b'{"code": 0, "x": "' + b"x" * (9 << 20) + b'"}')
    (receipt,) = region.send([made()])
    assert receipt.outcome is Outcome.UNANSWERED


def wrong(settings: str, tmp_path: Path) -> list[str]:
    with pytest.raises(ConfigurationProblems) as problems:
        options_of("https://region.example", settings, tmp_path)
    return problems.value.problems


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (JSON.replace('success = ["status 2xx and json $.code = 0"]', ""), "success is missing"),
        (JSON.replace("status 2xx and json $.code = 0", "code = 0"), "is no pattern"),
        (JSON.replace('url = "/api', 'url = "https://elsewhere/api'), "another host"),
        (JSON.replace('template = "body.txt"', ""), "needs a template"),
        (JSON.replace('body = "json"', 'body = "yaml"'), "yaml"),
        (ASKING.replace('stored = ["json $.state = done"]', ""), "stored is missing"),
        (JSON + '[destinations.region.sign]\nalgorithm = "md4"\n', "md4"),
        (LOGIN.replace('token = "json $.data.token"\n', ""), "token is missing"),
    ],
)
def test_a_mistake_in_the_settings_is_told_at_the_door(settings: str, said: str, tmp_path: Path) -> None:
    assert any(said in problem for problem in wrong(settings, tmp_path))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ('{"x": "{record.y|rot13}"}', "rot13"),
        ('{"x": "{record.y|codes:nothing}"}', "no table"),
        ('{"x": "{not a name}"}', "placeholder"),
        ("{", "not JSON"),
    ],
)
def test_a_mistake_in_a_template_is_told_before_anything_is_sent(
    server: Server, tmp_path: Path, template: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        edge(server, tmp_path, JSON, template)


def test_a_day_is_not_given_a_time(server: Server, tmp_path: Path) -> None:
    (receipt,) = edge(
        server, tmp_path, JSON, '{"x": [{"each": "items", "d": "{item.tested_at|yyyy-MM-dd HH:mm:ss}"}]}'
    ).send([made()])
    assert receipt.outcome is Outcome.REFUSED
    assert "a day without a time" in receipt.reasons[0]
    assert msgspec.structs.asdict(receipt)["sha256"] == ""

"""Webhooks and FHIR notifications in: requests and curl as senders, signatures by hand, answers by settings."""

import base64
import hashlib
import hmac
import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree

from connectors.web import WebListener
from frontend_agent.config import ConfigurationProblems, parse_config
from tests.soap_kit import REST, SECRETS, configured, hostile, inlet
from tests.web_kit import NOW, Inbox, url

HMAC = 'type = "webhook"\npath = "/hooks/lab"\nauth = "hmac"\nsecret = "one"\n'
OPEN = 'type = "webhook"\npath = "/hooks/lab"\nauth = "none"\n'
FHIR = 'type = "fhir-subscription"\npath = "/fhir"\n'
BODY = '{"id": "E-1", "event": "lab.final", "name": "张三"}'.encode()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def signed(content: bytes, secret: str = SECRETS["one"]) -> bytes:
    return hmac.digest(secret.encode(), content, hashlib.sha256)


def post(listener: WebListener, body: bytes = BODY, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(url(listener), data=body, headers=named, timeout=10)


# -- signatures --------------------------------------------------------------------------------------------------------


def test_a_signed_body_is_kept_by_its_id(inbox: Inbox) -> None:
    with inlet(inbox, HMAC + 'old_secret = "two"\nid = ["$.id"]\nabout = ["$.event"]') as listener:
        answer = post(listener, X_Hub_Signature_256="sha256=" + signed(BODY).hex())
        again = post(listener, X_Hub_Signature_256="sha256=" + signed(BODY, SECRETS["two"]).hex().upper())
        assert listener.told()["duplicates"] == 1
    assert (answer.status_code, answer.json()) == (202, {"status": "kept"})
    assert (again.status_code, again.json()) == (202, {"status": "duplicate"})
    assert (inbox.messages[0].control_id, inbox.messages[0].about) == ("E-1", "lab.final")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Hub_Signature_256": ""},
        {"X_Hub_Signature_256": "sha256="},
        {"X_Hub_Signature_256": "sha256=00"},
        {"X_Hub_Signature_256": signed(BODY).hex()},  # its prefix is missing
        {"X_Hub_Signature_256": "sha256=" + signed(BODY + b" ").hex()},
        {"X_Hub_Signature_256": "sha256=" + signed(BODY, "other").hex()},
        {"X_Hub_Signature_256": "sha256=" + base64.b64encode(signed(BODY)).decode()},
        {"X_Hub_Signature_256": "sha256=\xff\xfe"},
    ],
)
def test_who_cannot_sign_is_told_no_more_than_that(inbox: Inbox, headers: dict[str, str]) -> None:
    with inlet(inbox, HMAC) as listener:
        answer = post(listener, **headers)
        assert listener.told()["refusals"] == 1
    assert (answer.status_code, answer.json()) == (401, {"status": "not allowed"})
    assert not inbox.messages


def test_a_signature_in_base64_without_a_prefix(inbox: Inbox) -> None:
    table = HMAC + 'signature_header = "X-Sign"\nsignature_prefix = ""\nsignature_encoding = "base64"'
    with inlet(inbox, table) as listener:
        assert post(listener, X_Sign=base64.b64encode(signed(BODY)).decode()).status_code == 202
        assert post(listener, X_Sign=signed(BODY).hex()).status_code == 401


SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (str(SECONDS), 202),
        (str(SECONDS * 1000), 202),
        (NOW.isoformat(), 202),
        (str(SECONDS - 301), 401),
        (str(SECONDS + 301), 401),
        ("", 401),
        ("now", 401),
        ("9" * 30, 401),
        ("2026-09-30T10:45:00", 401),  # whose time?
    ],
)
def test_a_timestamp_is_signed_with_the_body_and_must_be_near(inbox: Inbox, stamp: str, expected: int) -> None:
    table = HMAC + 'signed = "timestamp.body"\ntimestamp_header = "X-Time"'
    with inlet(inbox, table) as listener:
        mark = "sha256=" + signed(stamp.encode() + b"." + BODY).hex()
        assert post(listener, X_Hub_Signature_256=mark, X_Time=stamp).status_code == expected
        assert post(listener, X_Hub_Signature_256=mark, X_Time=str(SECONDS + 1)).status_code == 401


def test_time_and_several_signatures_in_one_header(inbox: Inbox) -> None:
    table = (
        HMAC
        + 'signed = "timestamp.body"\nsignature_header = "Stripe-Signature"\nsignature_prefix = "v1="\ntolerance = "1m"'
    )
    content = f"{SECONDS}.".encode() + BODY
    with inlet(inbox, table) as listener:
        both = f"t={SECONDS}, v1={signed(content, 'new').hex()},v1={signed(content).hex()},v0=x"
        assert post(listener, Stripe_Signature=both).status_code == 202
        assert post(listener, Stripe_Signature=both.replace("t=", "u=")).status_code == 401


def test_bearer_basic_and_a_token_in_a_header_of_its_own(inbox: Inbox) -> None:
    table = 'type = "webhook"\npath = "/hooks/lab"\nsecret = "one"\nold_secret = "two"\nauth = '
    with inlet(inbox, table + '"bearer"') as listener:
        assert post(listener, Authorization=f"Bearer {SECRETS['one']}").status_code == 202
        assert post(listener, Authorization=f"bearer {SECRETS['two']}").status_code == 202
        refused = post(listener, Authorization="Bearer x")
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert post(listener, Authorization=f"Basic {SECRETS['one']}").status_code == 401
    with inlet(inbox, table + '"bearer"\ntoken_header = "X-Api-Key"') as listener:
        assert post(listener, X_Api_Key=SECRETS["one"]).status_code == 202
        assert post(listener, X_Api_Key="").status_code == 401
    with inlet(inbox, table + '"basic"\nuser = "lab"') as listener:
        for user, password, expected in (("lab", SECRETS["one"], 202), ("lab", "x", 401), ("x", SECRETS["one"], 401)):
            assert requests.post(url(listener), data=BODY, auth=(user, password), timeout=10).status_code == expected
        assert post(listener, Authorization="Basic !!!").status_code == 401


# -- what is answered --------------------------------------------------------------------------------------------------


def test_curl_posts_xml_and_is_answered_in_its_own_words(inbox: Inbox) -> None:
    table = (
        OPEN
        + """format = "xml"
id = ["/Report/@no"]
status = 200
answer = "<Result><Code>$code</Code><Message>$text</Message><Id>$id</Id></Result>"
accepted_code = "AA"
refused_code = "AE"
"""
    )
    with inlet(inbox, table) as listener:
        told = [
            subprocess.run(
                ["curl", "-sS", "--noproxy", "*", "-H", "Content-Type: text/xml", "--data-binary", "@-", url(listener)],
                input=content.encode(), capture_output=True, check=True, timeout=20,
            ).stdout.decode()
            for content in ('<Report no="&lt;1">张三</Report>', '<Report no="&lt;1">李四</Report>', "<Report>")
        ]  # fmt: skip
    first, conflict, broken = (etree.fromstring(one) for one in told)
    assert (first.findtext("Code"), first.findtext("Message"), first.findtext("Id")) == ("AA", "成功", "<1")
    assert conflict.findtext("Code") == "AE"
    assert "not well-formed" in broken.findtext("Message")
    assert "张三" not in "".join(told)


def test_what_is_wrong_is_told_whole_and_kept(inbox: Inbox) -> None:
    with inlet(inbox, OPEN + 'id_header = "X-Event-Id"\nabout_header = "X-Event"') as listener:
        broken = post(listener, b'{"name": "\xd5\xc5', X_Event_Id="1" * 201)
        assert (broken.status_code, len(broken.json()["reasons"])) == (422, 2)
        assert post(listener, b"").status_code == 422
        assert post(listener, BODY, X_Event_Id="7", X_Event="lab").status_code == 202
        conflict = post(listener, BODY + b" ", X_Event_Id="7")
        assert (conflict.status_code, conflict.json()["status"]) == (409, "conflict")
        inbox.is_full = True
        full = post(listener, BODY, X_Event_Id="8")
        assert (full.status_code, full.json()["status"]) == (503, "full")
        assert full.headers["Retry-After"]
    assert [bool(one.unreadable) for one in inbox.messages] == [True, True, False]
    assert inbox.messages[2].about == "lab"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_the_status_of_an_acknowledgement(inbox: Inbox, status: int) -> None:
    with inlet(inbox, OPEN + f"status = {status}") as listener:
        answer = post(listener)
        assert (answer.status_code, bool(answer.content)) == (status, status != 204)


@pytest.mark.parametrize(("format", "body"), [("hl7v2", b"MSH|^~\\&|LIS|||||ORU^R01|1|P|2.5\r"), ("any", b"\0\1\2")])
def test_other_formats(inbox: Inbox, format: str, body: bytes) -> None:
    with inlet(inbox, OPEN + f'format = "{format}"') as listener:
        assert post(listener, body).status_code == 202
        assert post(listener, b"no message").status_code == (422 if format == "hl7v2" else 202)


HOSTILE_JSON = [
    b"[" * 200_000, b'{"a":' * 50_000, b"nul", b"{'a': 1}", b'{"id": NaN}', b'{"id": 1e999999999}', b"1" * 1_000_000,
    b'{"a": 1, "a": 2}', b'"\\ud800"', b"\xff\xfe[\0]\0", b'{"id": {"a": 1}}', b'{"id": ["x"]}', b"[]", b"null", b"{}",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE_JSON)))
def test_hostile_json_is_answered(inbox: Inbox, number: int) -> None:
    with inlet(inbox, OPEN + 'id = ["$.id"]') as listener:
        assert post(listener, HOSTILE_JSON[number]).status_code in (202, 422)
        assert "Error" not in listener.told()["last_problem"]
    with inlet(inbox, FHIR + 'auth = "none"') as listener:
        answer = requests.post(url(listener), data=HOSTILE_JSON[number], timeout=10)
        assert answer.status_code == 422
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_only_methods_that_are_named(inbox: Inbox) -> None:
    with inlet(inbox, OPEN + 'methods = ["PUT"]') as listener:
        assert requests.put(url(listener), data=BODY, timeout=10).status_code == 202
        refused = post(listener)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "PUT")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('auth = "hmac"', "secret"),
        ('auth = "none"\nsecret = "one"', "secret"),
        ('auth = "basic"\nsecret = "one"', "user"),
        ('auth = "none"\nid = ["$["]', "id:"),
        ('auth = "none"\nformat = "hl7v2"\nid = ["$.id"]', "id_header"),
        ('auth = "none"\nid_header = "a b"', "id_header"),
        ('auth = "none"\nstatus = 500', "status"),
        ('auth = "none"\nmethods = []', "methods"),
        ('auth = "none"\nmethods = ["GET"]', "methods"),
        ('auth = "none"\nanswer = "$x"', "unknown $x"),
        ("", "auth"),
    ],
)
def test_settings_that_cannot_be_meant(table: str, said: str) -> None:
    with pytest.raises(ConfigurationProblems) as wrong:
        configured('type = "webhook"\nport = 0\npath = "/"\n' + table)
    assert any(said in problem for problem in wrong.value.problems)


# -- FHIR R4 subscriptions ---------------------------------------------------------------------------------------------

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"versionId": "2"},
    "status": "final",
    "code": {"text": "钾"},
}
AS_XML = (
    '<Observation xmlns="http://hl7.org/fhir"><id value="o1"/><meta><versionId value="2"/></meta><status value="final"/>'
    '<code><text value="钾"/></code></Observation>'
)


def test_a_resource_is_put_below_the_endpoint(inbox: Inbox) -> None:
    body = json.dumps(OBSERVATION)
    with inlet(inbox, FHIR + 'auth = "bearer"\nsecret = "one"') as listener:
        headers = {"Content-Type": "application/fhir+json", "Authorization": f"Bearer {SECRETS['one']}"}
        answer = requests.put(url(listener) + "/Observation/o1", data=body, headers=headers, timeout=10)
        again = requests.post(url(listener), data=body, headers=headers, timeout=10)
        other = requests.post(url(listener), data=body.replace("final", "amended"), headers=headers, timeout=10)
        refused = requests.post(url(listener), data=body, timeout=10)
    assert (answer.status_code, again.status_code) == (200, 200)
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.headers["Content-Type"] == "application/fhir+json"
    assert (other.status_code, other.json()["issue"][0]["code"]) == (409, "conflict")
    assert (refused.status_code, refused.json()["issue"][0]["diagnostics"]) == (401, "not allowed")
    assert [(one.control_id, one.about) for one in inbox.messages] == [("Observation/o1/_history/2", "Observation")]


def test_a_resource_in_xml_is_answered_in_xml(inbox: Inbox) -> None:
    headers = {"Content-Type": "application/fhir+xml;charset=UTF-8"}
    with inlet(inbox, FHIR + 'auth = "none"') as listener:
        answer = requests.put(url(listener) + "/Observation/o1", data=AS_XML.encode(), headers=headers, timeout=10)
        wrong = requests.post(
            url(listener), data=b'<!DOCTYPE a><a xmlns="http://hl7.org/fhir"/>', headers=headers, timeout=10
        )
        foreign = requests.post(url(listener), data=b"<a/>", headers=headers, timeout=10)
    assert etree.fromstring(answer.content).tag == "{http://hl7.org/fhir}OperationOutcome"
    assert (wrong.status_code, foreign.status_code) == (422, 422)
    assert "DOCTYPE" in wrong.text
    assert inbox.messages[0].control_id == "Observation/o1/_history/2"
    assert [bool(one.unreadable) for one in inbox.messages] == [False, True, True]


def test_hostile_xml_reads_nothing_and_asks_nobody_here_either(inbox: Inbox) -> None:
    canary = socket.create_server(("127.0.0.1", 0))
    canary.settimeout(0.2)
    payloads = hostile(f"http://127.0.0.1:{canary.getsockname()[1]}/x")
    headers = {"Content-Type": "application/fhir+xml"}
    with inlet(inbox, OPEN + 'format = "xml"\nid = ["//x"]') as hook, inlet(inbox, FHIR + 'auth = "none"') as fhir:
        for payload in payloads:
            for listener in (hook, fhir):
                answer = requests.post(url(listener), data=payload.encode(), headers=headers, timeout=10)
                assert (answer.status_code, len(answer.content) < 2_000) == (422, True)
                assert "root:" not in answer.text
    with pytest.raises(TimeoutError):
        canary.accept()
    canary.close()
    assert all(one.unreadable for one in inbox.messages)


def test_a_bundle_and_a_resource_without_a_version(inbox: Inbox) -> None:
    bundle = {
        "resourceType": "Bundle",
        "id": "b1",
        "type": "history",
        "timestamp": "2026-09-30T10:45:00+08:00",
        "entry": [],
    }
    bare = {"resourceType": "Observation", "id": "o1"}
    with inlet(inbox, FHIR + 'auth = "none"') as listener:
        for resource in (bundle, bare, bare, {**bare, "status": "final"}):
            assert requests.post(url(listener), json=resource, timeout=10).status_code == 200
    assert [one.control_id for one in inbox.messages] == ["Bundle/b1", "", ""]


def test_a_notification_without_a_payload_is_kept_each_time(inbox: Inbox) -> None:
    with inlet(inbox, FHIR + 'auth = "none"') as listener:
        for _ in range(2):
            assert requests.post(url(listener), timeout=10).status_code == 200
        assert requests.delete(url(listener) + "/Observation/o1", timeout=10).status_code == 200
        assert requests.get(url(listener), timeout=10).status_code == 405
        assert requests.put(url(listener) + "/../x", data=b"{}", timeout=10).status_code == 404
        assert requests.put(url(listener) + "/Observation/o1/x", data=b"{}", timeout=10).status_code == 404
    first, second, deleted = (json.loads(body) for body in inbox.bodies)
    assert first["resourceType"] == "Parameters"
    assert first["id"] != second["id"]
    assert [one.about for one in inbox.messages] == ["notification", "notification", "deleted Observation"]
    assert {"name": "reference", "valueString": "Observation/o1"} in deleted["parameter"]


def test_a_full_inbox_is_an_outcome_too(inbox: Inbox) -> None:
    inbox.is_full = True
    with inlet(inbox, FHIR + 'auth = "none"') as listener:
        answer = requests.post(url(listener), json=OBSERVATION, timeout=10)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")
    assert answer.headers["Retry-After"]


def test_the_examples_of_agent_toml_and_of_the_guides_are_true() -> None:
    """What we show is what can be configured."""
    root = Path(__file__).resolve().parents[2]
    example = (root / "frontend_agent" / "example.toml").read_text("utf-8")
    start, end = example.index("# [inlets.his_push]"), example.index("[spool]\n")
    shown = ["\n".join(line.removeprefix("# ") for line in example[start:end].splitlines())]
    for guide in ("soap-listener", "webhooks"):
        shown += re.findall(
            r"```toml\n(.*?)```", (root / "docs" / "guide" / f"{guide}.md").read_text("utf-8"), re.DOTALL
        )
    assert len(shown) == 4
    for text in shown:
        assert parse_config(REST + text).inlets

"""SOAP in: zeep calls our listener by our WSDL; every dialect, every refusal, hostile envelopes, WS-Security."""

import base64
import contextlib
import hashlib
import socket
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep.exceptions
from lxml import etree
from zeep.plugins import HistoryPlugin
from zeep.wsse.username import UsernameToken as ZeepToken

from connectors.web import WebListener
from frontend_agent.config import ConfigurationProblems
from frontend_agent.spool import Spool
from frontend_agent.spool.keeping import Keeper
from tests.soap_kit import SECRETS, configured, hostile, inlet, interaction, zeep_client
from tests.web_kit import NOW, Inbox, url

SOAP_11, SOAP_12 = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
NATIONAL = 'type = "soap"\npath = "/hip"\n'
HL7 = "{urn:hl7-org:v3}"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


def envelope(payload: str, namespace: str = SOAP_11, header: str = "") -> str:
    return f'<s:Envelope xmlns:s="{namespace}"><s:Header>{header}</s:Header><s:Body>{payload}</s:Body></s:Envelope>'


def call(message: str, action: str = "PatientInfoRegister", cdata: bool = True) -> str:
    inner = f"<![CDATA[{message}]]>" if cdata else message
    return f'<HIPMessageServer xmlns="urn:hl7-org:v3"><action>{action}</action><message>{inner}</message></HIPMessageServer>'


def send(listener: WebListener, content: str | bytes, media_type: str = "text/xml; charset=utf-8", **more: Any) -> Any:
    data = content.encode() if isinstance(content, str) else content
    return requests.post(url(listener), data=data, headers={"Content-Type": media_type}, timeout=10, **more)


def answered(answer: Any) -> tuple[str, str, list[str]]:
    """typeCode, the id that is answered, all reasons of an MCCI inside an answer to HIPMessageServer."""
    root = etree.fromstring(answer.content if hasattr(answer, "content") else answer)
    inner = root.find(".//{*}HIPMessageServerResult")
    return mcci(inner.text)


def mcci(text: str) -> tuple[str, str, list[str]]:
    told = etree.fromstring(text)
    assert told.tag == f"{HL7}MCCI_IN000002UV01"
    assert told.find(f"{HL7}creationTime").get("value") == "20260930104500"  # the hospital's own time
    acknowledgement = told.find(f"{HL7}acknowledgement")
    target = acknowledgement.find(f"{HL7}targetMessage/{HL7}id")
    reasons = [one.get("value") for one in acknowledgement.iter(f"{HL7}text")]
    return acknowledgement.get("typeCode"), "" if target is None else target.get("extension"), reasons


def fault(answer: Any) -> str:
    """The code of a fault, without its prefix."""
    root = etree.fromstring(answer.content)
    found = root.find(".//faultcode")
    return (found if found is not None else root.find(".//{*}Fault/{*}Code/{*}Value")).text.partition(":")[2]


# -- HIPMessageServer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["HIPServiceSoap", "HIPServiceSoap12"])
def test_zeep_reads_the_wsdl_and_calls(inbox: Inbox, port: str) -> None:
    with inlet(inbox, NATIONAL) as listener:
        service = zeep_client(url(listener), port)
        said = service.HIPMessageServer(action="PatientInfoRegister", message=interaction())

    assert mcci(said) == ("AA", "M-1", [])
    assert inbox.bodies == [interaction().encode()]
    assert (inbox.messages[0].control_id, inbox.messages[0].about) == ("HIS|M-1", "PatientInfoRegister")
    assert inbox.messages[0].received_at == NOW


@pytest.mark.parametrize(
    "action",
    [
        "PatientInfoRegister",
        "DocumentRegister",
        "OrderInfoAdd",
        "PatientRegistryAddRequest",
        "XT-PatientRegistryAddRequest",
        "S0004",
    ],
)
def test_actions_of_both_vocabularies(inbox: Inbox, action: str) -> None:
    with inlet(inbox, NATIONAL) as listener:
        assert answered(send(listener, envelope(call(interaction(), action))))[0] == "AA"
    assert inbox.messages[0].about == action


@pytest.mark.parametrize(
    "action", ["PatientInfoQuery", "PatientRegistryFindCandidatesQuery", "ProviderDetailsQuery", "DocumentRetrieve"]
)
def test_who_asks_for_data_is_told_so(inbox: Inbox, action: str) -> None:
    with inlet(inbox, NATIONAL) as listener:
        code, target, reasons = answered(send(listener, envelope(call(interaction(), action))))
    assert (code, target) == ("AE", "M-1")
    assert "asks for data" in reasons[0]


def test_only_actions_that_are_named_are_taken(inbox: Inbox) -> None:
    with inlet(inbox, NATIONAL + 'actions = ["OrderInfoAdd"]') as listener:
        assert answered(send(listener, envelope(call(interaction(), "OrderInfoAdd"))))[0] == "AA"
        assert answered(send(listener, envelope(call(interaction("M-2"), "DocumentRegister"))))[0] == "AE"


def test_cdata_escaped_and_bare_xml(inbox: Inbox) -> None:
    escaped = interaction().replace("&", "&amp;").replace("<", "&lt;")
    with inlet(inbox, NATIONAL) as listener:
        for inner, cdata in ((interaction(), True), (escaped, False), (interaction("M-2"), False)):
            assert answered(send(listener, envelope(call(inner, cdata=cdata))))[0] == "AA"
    assert [one.control_id for one in inbox.messages] == ["HIS|M-1", "HIS|M-2"]
    assert etree.fromstring(inbox.bodies[1]).findtext(f".//{HL7}name") == "张三"


def test_a_message_in_base64_keeps_its_bytes(inbox: Inbox) -> None:
    message = ('<?xml version="1.0" encoding="GBK"?>' + interaction()).encode("gbk")
    with inlet(inbox, NATIONAL + 'content = "base64"') as listener:
        assert answered(send(listener, envelope(call(base64.encodebytes(message).decode()))))[0] == "AA"
        refused = send(listener, envelope(call("=not base64=")))
    assert inbox.bodies == [message]
    assert (refused.status_code, fault(refused)) == (400, "Client")


def test_an_inner_declaration_does_not_lie_about_the_bytes(inbox: Inbox) -> None:
    with inlet(inbox, NATIONAL) as listener:
        message = '<?xml version="1.0" encoding="GBK"?>' + interaction()
        assert answered(send(listener, envelope(call(message))))[0] == "AA"
    assert inbox.bodies[0].startswith(b'<?xml version="1.0"?>')
    assert "张三".encode() in inbox.bodies[0]


def test_the_same_again_another_and_a_conflict(inbox: Inbox) -> None:
    with inlet(inbox, NATIONAL) as listener:
        assert answered(send(listener, envelope(call(interaction()))))[0] == "AA"
        assert answered(send(listener, envelope(call(interaction()))))[0] == "AA"
        assert answered(send(listener, envelope(call(interaction(sender="LIS")))))[0] == "AA"  # another's M-1
        code, target, reasons = answered(send(listener, envelope(call(interaction(name="李四")))))
        assert listener.told()["duplicates"] == 1
    assert (code, target) == ("AE", "M-1")
    assert "same id" in reasons[0]
    assert len(inbox.messages) == 2
    assert len(inbox.conflicts) == 1


def test_a_message_that_cannot_be_read_is_kept_and_refused_with_every_reason(inbox: Inbox) -> None:
    with inlet(inbox, NATIONAL) as listener:
        code, target, reasons = answered(send(listener, envelope(call("<open>张三", "PatientInfoQuery"))))
    assert (code, target, len(reasons)) == ("AE", "", 2)
    assert "张三" not in "".join(reasons)
    assert inbox.messages[0].unreadable == tuple(reasons)
    assert inbox.bodies == ["<open>张三".encode()]


def test_a_full_inbox_is_said_in_the_senders_protocol(inbox: Inbox) -> None:
    inbox.is_full = True
    with inlet(inbox, NATIONAL) as listener:
        full = send(listener, envelope(call(interaction())))
        inbox.is_full, inbox.fails = False, OSError("张三")
        failed = send(listener, envelope(call(interaction())))
    for answer in (full, failed):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert answered(answer)[:2] == ("AE", "M-1")
        assert "张三" not in answer.text


def test_answers_wait_until_it_is_kept(inbox: Inbox) -> None:
    inbox.gate = threading.Event()
    with inlet(inbox, NATIONAL) as listener:
        with pytest.raises(requests.ReadTimeout):
            requests.post(
                url(listener),
                data=envelope(call(interaction())).encode(),
                headers={"Content-Type": "text/xml"},
                timeout=0.5,
            )
        inbox.gate.set()


def test_a_token_must_be_ours_and_may_be_the_one_before(inbox: Inbox) -> None:
    table = NATIONAL + 'dialect = "national-token"\nsecurity = "token"\nsecret = "one"\nold_secret = "two"'
    with inlet(inbox, table) as listener:
        service = zeep_client(url(listener))
        for number, token in enumerate(SECRETS.values()):
            said = service.HIPMessageServer2016Ext("DocumentRegister", interaction(f"M-{number}"), token)
            assert mcci(said)[0] == "AA"
        for token in ("wrong", "", None, "密钥"):
            with pytest.raises(zeep.exceptions.Fault) as refused:
                service.HIPMessageServer2016Ext("DocumentRegister", interaction("M-3"), token)
            assert refused.value.message == "not allowed"
    assert len(inbox.messages) == 2


# -- other dialects ----------------------------------------------------------------------------------------------------


def test_interactions_as_the_body_itself(inbox: Inbox) -> None:
    with inlet(inbox, 'type = "soap"\npath = "/hip"\ndialect = "national-document"') as listener:
        answer = send(listener, envelope(interaction(), SOAP_12), "application/soap+xml; charset=utf-8")
        body = etree.fromstring(answer.content)[-1]
        said = mcci(etree.tostring(body[0]).decode())
    assert answer.headers["Content-Type"].startswith("application/soap+xml")
    assert said == ("AA", "M-1", [])
    assert inbox.messages[0].about == "PRPA_IN201311UV02"


def test_a_private_envelope_is_answered_in_kind(inbox: Inbox) -> None:
    message = (
        "<Request><Header><SourceSystem>LIS</SourceSystem><MessageID>7</MessageID></Header><Body>张三</Body></Request>"
    )
    with inlet(inbox, 'type = "soap"\npath = "/"\ndialect = "private"') as listener:
        service = zeep_client(url(listener))
        said = etree.fromstring(service.HIPMessageServer("ReportPublish", message))
        again = etree.fromstring(service.HIPMessageServer("ReportPublish", message.replace("张三", "李四")))
    assert (said.findtext(".//ResultCode"), said.findtext(".//MessageID"), said.findtext(".//ResultContent")) == (
        "0",
        "7",
        "成功",
    )
    assert again.findtext(".//ResultCode") == "-1"
    assert inbox.messages[0].control_id == "LIS|7"


@pytest.mark.parametrize("dialect", ["one-string", "one-string-jaxws"])
def test_a_service_of_one_string_by_its_own_names(inbox: Inbox, dialect: str) -> None:
    table = f"""type = "soap"
path = "/push"
dialect = "{dialect}"
operations = ["pushReport"]
message_parameter = "reportXml"
namespace = "http://lis.example/"
format = "json"
id = ["$.id"]
answer = '{{"state": "$code", "why": "$text", "of": "$id"}}'
accepted_code = "200"
accepted_text = ""
"""
    with inlet(inbox, table) as listener:
        history = HistoryPlugin()
        service = zeep_client(url(listener), plugins=[history])
        assert service.pushReport('{"id": "R\\"1", "name": "张三"}') == '{"state": "200", "why": "", "of": "R\\"1"}'
        assert '"state": "-1"' in service.pushReport("no JSON")
    result = "pushReportResult" if dialect == "one-string" else "return"
    names = {etree.QName(one).localname: etree.QName(one).namespace for one in history.last_received["envelope"].iter()}
    assert names[result] == ("http://lis.example/" if dialect == "one-string" else None)
    assert inbox.messages[0].control_id == 'R"1'


def test_any_operation_with_one_parameter(inbox: Inbox) -> None:
    with inlet(inbox, 'type = "soap"\npath = "/push"\ndialect = "one-string"\nformat = "any"') as listener:
        answer = send(listener, envelope('<q:Send xmlns:q="urn:x"><q:in>MSH|^~\\&amp;|张三</q:in></q:Send>'))
        two = send(listener, envelope('<q:Send xmlns:q="urn:x"><a>1</a><b>2</b></q:Send>'))
        assert requests.get(url(listener) + "?wsdl", timeout=10).status_code == 404
    root = etree.fromstring(answer.content)
    assert "<code>0</code>" in root.findtext(".//{urn:x}SendResult")
    assert inbox.bodies == ["MSH|^~\\&|张三".encode()]
    assert inbox.messages[0].about == "Send"
    assert fault(two) == "Client"


def test_documents_as_they_are(inbox: Inbox) -> None:
    with inlet(inbox, 'type = "soap"\npath = "/"\ndialect = "document"\nsoap = "1.1"') as listener:
        answer = send(listener, envelope("<Report><No>1</No></Report>"))
        other = send(listener, envelope("<Report/>", SOAP_12), "application/soap+xml")
    assert b"<code>0</code>" in answer.content
    assert etree.fromstring(inbox.bodies[0]).findtext("No") == "1"
    assert fault(other) == "VersionMismatch"


def test_ws_addressing_is_answered_with_what_it_relates_to(inbox: Inbox) -> None:
    header = (
        '<a:Action xmlns:a="http://www.w3.org/2005/08/addressing" s:mustUnderstand="1">x</a:Action>'
        '<a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">urn:uuid:1</a:MessageID>'
    )
    with inlet(inbox, NATIONAL) as listener:
        answer = send(listener, envelope(call(interaction()), SOAP_12, header), "application/soap+xml")
    assert (
        etree.fromstring(answer.content).findtext(".//{http://www.w3.org/2005/08/addressing}RelatesTo") == "urn:uuid:1"
    )


# -- character sets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "media_type", "declared"),
    [
        ("utf-8", "text/xml", ""),
        ("utf-8", "text/xml; charset=utf-8", "GBK"),  # two lies, and one truth
        ("utf-8", "text/xml; charset=GBK", ""),
        ("utf-8", "text/xml; charset=ISO-8859-1", ""),
        ("gb18030", "text/xml; charset=GBK", ""),
        ("gb18030", "text/xml", "gb2312"),
        ("gb18030", "text/xml; charset=utf-8", "GB18030"),
        ("utf-8-sig", "text/xml", ""),
        ("utf-16", "text/xml", "utf-16"),
    ],
)
def test_character_sets_are_told_by_the_bytes(inbox: Inbox, encoding: str, media_type: str, declared: str) -> None:
    prolog = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    content = (prolog + envelope(call(interaction(name="患者张三，血清丙氨酸氨基转移酶升高")))).encode(encoding)
    with inlet(inbox, NATIONAL) as listener:
        assert answered(send(listener, content, media_type))[0] == "AA"
    assert "血清丙氨酸氨基转移酶升高" in inbox.bodies[0].decode()


def test_a_set_that_nobody_can_tell_is_kept_for_a_person(inbox: Inbox) -> None:
    content = envelope(call(interaction(name="患者张三"))).encode("gb18030")
    with inlet(inbox, NATIONAL) as listener:
        answer = send(listener, content, "text/xml; charset=utf-8")
    assert (answer.status_code, fault(answer)) == (400, "Client")
    assert "UTF-8" in answer.text
    assert inbox.bodies == [content]
    assert inbox.messages[0].unreadable


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (envelope("<Other xmlns='urn:hl7-org:v3'/>"), "Client"),
        (envelope("<HIPMessageServer/>"), "Client"),
        (envelope("<HIPMessageServer><message> </message></HIPMessageServer>"), "Client"),
        (envelope("<HIPMessageServer><message><a/><b/></message></HIPMessageServer>"), "Client"),
        (envelope("<a/><b/>"), "Client"),
        (envelope(""), "Client"),
        ("<nothing/>", "Client"),
        ("no XML", "Client"),
        ("", "Client"),
        ('<e:Envelope xmlns:e="urn:other"><e:Body/></e:Envelope>', "VersionMismatch"),
        (envelope(call(interaction()), header='<x xmlns="urn:x" s:mustUnderstand="1"/>'), "MustUnderstand"),
    ],
)
def test_faults_name_whose_they_are(inbox: Inbox, content: str, code: str) -> None:
    with inlet(inbox, NATIONAL) as listener:
        answer = send(listener, content)
        assert (answer.status_code, fault(answer)) == (400, code)
        twelve = send(listener, content.replace(SOAP_11, SOAP_12), "application/soap+xml")
        assert fault(twelve) == code.replace("Client", "Sender")
        assert twelve.headers["Content-Type"].startswith("application/soap+xml")


def test_soap_1_1_by_the_letter_says_500(inbox: Inbox) -> None:
    with inlet(inbox, NATIONAL + "fault_status = 500") as listener:
        assert send(listener, envelope("<Other/>")).status_code == 500


@pytest.mark.parametrize(("method", "expected"), [("GET", 405), ("PUT", 405), ("DELETE", 405)])
def test_soap_is_posted(inbox: Inbox, method: str, expected: int) -> None:
    with inlet(inbox, NATIONAL) as listener:
        assert requests.request(method, url(listener), timeout=10).status_code == expected
        assert send(listener, b"x", "multipart/related").status_code == 415


def test_a_wsdl_is_not_bent_by_a_host_header(inbox: Inbox) -> None:
    with inlet(inbox, NATIONAL) as listener:
        bent = requests.get(url(listener) + "?wsdl", headers={"Host": 'x"/><evil'}, timeout=10)
        named = requests.get(url(listener) + "?wsdl", headers={"Host": "qzj.hospital:8080"}, timeout=10)
    with inlet(inbox, NATIONAL + 'address = "https://qzj.hospital/hip"') as listener:
        fixed = requests.get(url(listener) + "?WSDL", timeout=10)
    assert bent.status_code == 400
    assert b'location="http://qzj.hospital:8080/hip"' in named.content
    assert b'location="https://qzj.hospital/hip"' in fixed.content


# -- who sends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["username-text", "username-digest"])
def test_ws_security_by_zeep(inbox: Inbox, way: str) -> None:
    digest = way == "username-digest"
    table = NATIONAL + f'security = "{way}"\nuser = "his"\nsecret = "one"\nold_secret = "two"'
    with inlet(inbox, table) as listener:
        for number, password in enumerate(SECRETS.values()):
            # zeep reads the machine's clock; ours stands at NOW
            token = ZeepToken("his", password, use_digest=digest, created=NOW)
            assert (
                mcci(
                    zeep_client(url(listener), wsse=token).HIPMessageServer(
                        "DocumentRegister", interaction(f"M-{number}")
                    )
                )[0]
                == "AA"
            )
        for user, password, created in (("his", "wrong", NOW), ("other", SECRETS["one"], NOW)):
            token = ZeepToken(user, password, use_digest=digest, created=created)
            with pytest.raises(zeep.exceptions.Fault, match="not allowed"):
                zeep_client(url(listener), wsse=token).HIPMessageServer("DocumentRegister", interaction("M-9"))
        with pytest.raises(zeep.exceptions.Fault, match="not allowed"):
            zeep_client(url(listener)).HIPMessageServer("DocumentRegister", interaction("M-9"))
        other_way = ZeepToken("his", SECRETS["one"], use_digest=not digest, created=NOW)
        with pytest.raises(zeep.exceptions.Fault, match="not allowed"):
            zeep_client(url(listener), wsse=other_way).HIPMessageServer("DocumentRegister", interaction("M-9"))
        assert not send(listener, "no XML").ok
    assert len(inbox.messages) == 2  # and nothing of those whom nobody knows


def test_a_digest_is_good_once_and_in_its_time(inbox: Inbox) -> None:
    def signed(nonce: bytes, created: str, password: str = SECRETS["one"]) -> str:
        digest = base64.b64encode(hashlib.sha1(nonce + created.encode() + password.encode()).digest()).decode()
        space = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
        return envelope(
            call(interaction()),
            header=f'<w:Security xmlns:w="{space}" s:mustUnderstand="1"><w:UsernameToken><w:Username>his</w:Username>'
            f'<w:Password Type="x#PasswordDigest">{digest}</w:Password><w:Nonce>{base64.b64encode(nonce).decode()}</w:Nonce>'
            f"<w:Created>{created}</w:Created></w:UsernameToken></w:Security>",
        )

    now = NOW.isoformat().replace("+00:00", "Z")
    with inlet(inbox, NATIONAL + 'security = "username-digest"\nuser = "his"\nsecret = "one"') as listener:
        first = signed(b"1234567890", now)
        assert answered(send(listener, first))[0] == "AA"
        assert fault(send(listener, first)) == "FailedAuthentication"
        assert answered(send(listener, signed(b"0987654321", now)))[0] == "AA"
        for created in (
            (NOW - timedelta(minutes=6)).isoformat(),
            (NOW + timedelta(minutes=6)).isoformat(),
            "",
            "yesterday",
        ):
            assert fault(send(listener, signed(b"another", created))) == "FailedAuthentication"
        assert fault(send(listener, signed(b"a third", now, "wrong"))) == "FailedAuthentication"
        assert fault(send(listener, signed(b"", now))) == "FailedAuthentication"


def test_basic_and_bearer(inbox: Inbox) -> None:
    with inlet(inbox, NATIONAL + 'security = "basic"\nuser = "his"\nsecret = "one"') as listener:
        content = envelope(call(interaction()))
        assert send(listener, content).status_code == 401
        assert send(listener, content, auth=("his", "wrong")).status_code == 401
        assert send(listener, content, auth=("his", SECRETS["one"])).status_code == 200
    with inlet(inbox, NATIONAL + 'security = "bearer"\nsecret = "one"') as listener:
        bearing = {"Content-Type": "text/xml", "Authorization": f"Bearer {SECRETS['one']}"}
        assert requests.post(url(listener), data=content, headers=bearing, timeout=10).status_code == 200
        assert send(listener, content).status_code == 401


# -- hostile XML (threats X1, X2): at both entry points ----------------------------------------------------------------


def test_hostile_xml_reads_nothing_and_asks_nobody(inbox: Inbox) -> None:
    asked = []
    canary = socket.create_server(("127.0.0.1", 0))
    canary.settimeout(0.2)
    payloads = hostile(f"http://127.0.0.1:{canary.getsockname()[1]}/x")
    assert len(payloads) == 40
    with inlet(inbox, NATIONAL) as listener:
        for payload in payloads:
            whole = send(listener, payload)
            assert (whole.status_code, fault(whole)) == (400, "Client")
            inside = send(listener, envelope(call(payload.replace("]]>", "]]]]><![CDATA[>"))))
            assert answered(inside)[0] == "AE"
            for answer in (whole, inside):
                assert "root:" not in answer.text
                assert len(answer.content) < 2_000
        assert answered(send(listener, envelope(call(interaction()))))[0] == "AA"
    with contextlib.suppress(TimeoutError):
        asked.append(canary.accept())
    canary.close()
    assert not asked
    assert not any(b"root:" in body for body in inbox.bodies)
    assert sum(bool(one.unreadable) for one in inbox.messages) == len(inbox.messages) - 1


# -- the real inbox ----------------------------------------------------------------------------------------------------


def test_what_was_acknowledged_is_on_disk_and_a_conflict_is_for_a_person(inbox: Inbox, tmp_path: Path) -> None:
    with Spool(tmp_path).open() as spool:
        keeper = Keeper(spool.inbox).start()
        inbox.keep = keeper  # type: ignore[method-assign]
        with inlet(inbox, NATIONAL) as listener:
            codes = [
                answered(send(listener, envelope(call(message))))[0]
                for message in (interaction(), interaction(), interaction(name="李四"), "<broken", interaction("M-2"))
            ]
        keeper.stop()
    assert codes == ["AA", "AA", "AE", "AE", "AA"]
    with Spool(tmp_path).open() as spool:
        states = spool.inbox.counts()["in"]
    assert {state: count for state, count in states.items() if count} == {"new": 2, "conflict": 1, "unreadable": 1}


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('path = "hip"', "path"),
        ('path = "/hip/"', "path"),
        ('path = "/a?b"', "path"),
        ('path = "/"\nsecret = "one"', "secret"),
        ('path = "/"\nsecurity = "basic"\nsecret = "one"', "user"),
        ('path = "/"\nsecurity = "token"\nsecret = "one"', "token parameter"),
        ('path = "/"\ndialect = "national-token"', "token parameter"),
        ('path = "/"\nold_secret = "two"', "old_secret"),
        ('path = "/"\nid = ["//"]', "id:"),
        ('path = "/"\nid = ["/a"]\nformat = "any"', "format"),
        ('path = "/"\noperations = ["a b"]', "name"),
        ('path = "/"\nresult = "<x>"', "result"),
        ('path = "/"\nanswer = "$nobody"', "unknown $nobody"),
        ('path = "/"\nanswer = "5 $"', "answer"),
        ('path = "/"\nfault_status = 200', "fault_status"),
        ('path = "/"\naddress = "ftp://x"', "address"),
        ('path = "/"\ndialect = "else"', "dialect"),
        ('path = "/"\nclient_ca = "x"', "client_ca"),
        ('path = "/"\nallow = ["nowhere"]', "allow"),
        ("", "path"),
    ],
)
def test_settings_that_cannot_be_meant(table: str, said: str) -> None:
    with pytest.raises(ConfigurationProblems) as wrong:
        configured('type = "soap"\nport = 0\n' + table)
    assert any(said in problem and "inlets.in" in problem for problem in wrong.value.problems)


def test_settings_are_laid_over_the_dialect(inbox: Inbox) -> None:
    table = (
        NATIONAL
        + """service = "LisService"
namespace = "http://lis.example/"
operations = ["Put", "Post"]
action_parameter = "kind"
message_parameter = "body"
result = "out"
names = "unqualified"
soap = "1.1"
id = ["/r/no"]
source = ["/r/from"]
answer = "$action:$code:$text:$now"
accepted_code = "Y"
refused_code = "N"
accepted_text = "ok"
"""
    )
    with inlet(inbox, table) as listener:
        service = zeep_client(url(listener), "LisServiceSoap")
        assert service.Post(kind="lab", body="<r><no>1</no><from>LIS</from></r>") == "lab:Y:ok:20260930104500"
        assert service.Put(kind="lab", body="<r><no>1</no><from>LIS</from><x/></r>").startswith(
            "lab:N:a message of the same id"
        )
        with pytest.raises(ValueError, match=r"LisServiceSoap12|[Pp]ort"):
            zeep_client(url(listener), "LisServiceSoap12")
    assert inbox.messages[0].control_id == "LIS|1"


def test_the_window_of_a_digest_is_a_setting(inbox: Inbox) -> None:
    table = NATIONAL + 'security = "username-digest"\nuser = "his"\nsecret = "one"\nwindow = "10m"'
    with inlet(inbox, table) as listener:
        for minutes, is_known in ((9, True), (11, False)):
            token = ZeepToken("his", SECRETS["one"], use_digest=True, created=NOW - timedelta(minutes=minutes))
            service = zeep_client(url(listener), wsse=token)
            if is_known:
                assert mcci(service.HIPMessageServer("DocumentRegister", interaction()))[0] == "AA"
            else:
                with pytest.raises(zeep.exceptions.Fault, match="not allowed"):
                    service.HIPMessageServer("DocumentRegister", interaction())


def test_a_setting_of_the_dialect_may_be_taken_away(inbox: Inbox) -> None:
    with inlet(inbox, NATIONAL + 'action_parameter = "-"') as listener:
        assert answered(send(listener, envelope(call(interaction()))))[0] == "AA"
    assert inbox.messages[0].about == "PRPA_IN201311UV02"

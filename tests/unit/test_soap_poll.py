"""soap-poll against another library's SOAP server (soapfish2, WSDL made by itself), and answers as services really write them."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from lxml import etree

from frontend_agent.config import ConfigurationProblems
from frontend_agent.errors import ConfigurationError, SourceError, SourceRefused, SourceUnreachable
from tests.fetching_kit import Given, Inbox, Site, polling

XML = "<rows><row><id>1</id><t>20261121120100</t><n>张三 &amp; 李四</n></row><row><id>2</id><t>20261121120200</t></row></rows>"


class Hospital:
    """A HIS with one service: one operation of one string, and one of structures. By soapfish2."""

    def __init__(self) -> None:
        from soapfish import soap, soap_dispatch, xsd
        from soapfish.core import SOAPError, SOAPResponse

        class Query(xsd.ComplexType):
            request = xsd.Element(xsd.String)

        class Text(xsd.ComplexType):
            result = xsd.Element(xsd.String)

        class Range(xsd.ComplexType):
            since = xsd.Element(xsd.String)
            page = xsd.Element(xsd.Int)

        class Ask(xsd.ComplexType):
            range = xsd.Element(Range)
            kind = xsd.Element(xsd.String, minOccurs=0)

        class Result(xsd.ComplexType):
            number = xsd.Element(xsd.Int)
            time = xsd.Element(xsd.String)

        class Results(xsd.ComplexType):
            code = xsd.Element(xsd.String)
            item = xsd.ListElement(Result, "item", minOccurs=0)

        self.asked: list[str] = []
        self.envelopes: list[bytes] = []
        self.text = XML
        self.numbers = [1, 2, 3]

        def one_string(request: Any, body: Any) -> Any:
            self.asked.append(body.request)
            if self.text == "fault":
                raise SOAPError("Server", "张三 has no such report")
            return SOAPResponse(Text(result=self.text))

        def structured(request: Any, body: Any) -> Any:
            self.asked.append(f"{body.range.since} {body.range.page}")
            page = int(body.range.page)
            some = self.numbers[(page - 1) * 2 : page * 2]
            found = Results(code="0")
            for number in some:
                found.item.append(Result(number=number, time=f"2026112112{number:02}00"))
            return SOAPResponse(found)

        schema = xsd.Schema(
            "urn:his",
            elementFormDefault=xsd.ElementFormDefault.QUALIFIED,
            complexTypes=(Query, Text, Range, Ask, Result, Results),
            elements={
                "GetReports": xsd.Element(Query),
                "GetReportsResponse": xsd.Element(Text),
                "ListResults": xsd.Element(Ask),
                "ListResultsResponse": xsd.Element(Results),
            },
        )
        methods = [
            xsd.Method(function=one_string, soapAction="urn:his/GetReports", input="GetReports", output="GetReportsResponse", inputPartName="a", outputPartName="b", operationName="GetReports"),
            xsd.Method(function=structured, soapAction="urn:his/ListResults", input="ListResults", output="ListResultsResponse", inputPartName="a", outputPartName="b", operationName="ListResults"),
        ]  # fmt: skip
        service = soap.Service(
            name="HisService",
            targetNamespace="urn:his",
            location="http://somewhere.else.example/his",  # a WSDL's address is often that of another network
            schemas=[schema],
            version=soap.SOAPVersion.SOAP11,
            methods=methods,
        )
        dispatcher = soap_dispatch.SOAPDispatcher(service, strict_soap_header=False)
        inner = soap_dispatch.WsgiSoapApplication(dispatcher)

        def application(environment: dict[str, Any], start: Any) -> Any:
            if environment["REQUEST_METHOD"] == "POST":
                import io

                content = environment["wsgi.input"].read(int(environment["CONTENT_LENGTH"]))
                self.envelopes.append(content)
                environment["wsgi.input"] = io.BytesIO(content)
            return inner(environment, start)

        class Quiet(WSGIRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
        self.url = f"http://127.0.0.1:{self.server.server_port}/his"


@pytest.fixture
def hospital() -> Iterator[Hospital]:
    hospital = Hospital()
    threading.Thread(target=hospital.server.serve_forever, args=(0.02,), daemon=True).start()
    yield hospital
    hospital.server.shutdown()
    hospital.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


ONE_STRING = """
type = "soap-poll"
url = "{url}"
operation = "GetReports"
parameters = {{ request = "<q><from>{{since}}</from><user>{{user}}</user><key>{{secret}}</key></q>" }}
inside = "//result"
each = "//row"
watermark = "t"
time_format = "%Y%m%d%H%M%S"
start = "2026-11-21"
overlap = "1m"
credentials = {{ kind = "wss", user = "agent", secret = "his-key" }}
"""


@pytest.mark.parametrize(
    "wrapped", [XML, f'<?xml version="1.0" encoding="GBK"?>\n{XML}', base64.b64encode(XML.encode()).decode()]
)
def test_one_string_that_holds_xml_both_ways(hospital: Hospital, wrapped: str) -> None:
    hospital.text = wrapped
    inbox = Inbox()
    fetcher = polling(ONE_STRING.format(url=hospital.url), inbox, secret="a&b<c")

    assert fetcher.fetch() == 2

    assert hospital.asked == ["<q><from>20261120235900</from><user>agent</user><key>a&amp;b&lt;c</key></q>"]
    assert inbox.bodies[0].decode() == "<row><id>1</id><t>20261121120100</t><n>张三 &amp; 李四</n></row>"
    assert fetcher.told()["mark"] == "time 2026-11-21T04:02:00+00:00"
    assert fetcher.fetch() == 0
    assert "20261121120100" in hospital.asked[1], "the next question begins at the newest less the overlap"


def test_a_username_token_stands_in_the_header(hospital: Hospital) -> None:
    polling(ONE_STRING.format(url=hospital.url), secret="pass").fetch()
    envelope = etree.fromstring(hospital.envelopes[0])
    token = {etree.QName(one).localname: one for one in envelope.iter() if isinstance(one.tag, str)}
    nonce, created = base64.b64decode(token["Nonce"].text or ""), (token["Created"].text or "").encode()
    digest = base64.b64encode(hashlib.sha1(nonce + created + b"pass").digest()).decode()
    assert token["Password"].text == digest
    assert token["Username"].text == "agent"
    polling(ONE_STRING.format(url=hospital.url), secret="pass").fetch()
    assert hospital.envelopes[0] != hospital.envelopes[1], "a nonce is used once"


@pytest.mark.parametrize(("wrap", "wanted"), [("cdata", b"<![CDATA[<q>"), ("escaped", b"&lt;q&gt;"), ("base64", base64.b64encode(b"<q><from>")[:10])])  # fmt: skip
def test_how_the_inner_xml_is_carried(hospital: Hospital, wrap: str, wanted: bytes) -> None:
    polling(ONE_STRING.format(url=hospital.url).replace("each =", f'wrap = "{wrap}"\neach ='), secret="x").fetch()
    assert wanted in hospital.envelopes[0]


STRUCTURED = """
type = "soap-poll"
url = "{url}"
operation = "ListResults"
parameters = {{ "range.since" = "{{since}}", "range.page" = "{{page}}" }}
paging = "page"
each = "//item"
watermark = "time"
id = "number"
time_format = "%Y%m%d%H%M%S"
success = {{ "//code" = ["0"] }}
"""


def test_structures_and_pages(hospital: Hospital) -> None:
    inbox = Inbox()
    assert polling(STRUCTURED.format(url=hospital.url), inbox).fetch() == 3
    assert [one.control_id.partition("#")[0] for one in inbox.kept] == ["1", "2", "3"]
    assert b"<number>1</number>" in inbox.bodies[0].replace(b"ns0:", b"").replace(b"sns:", b"")
    assert inbox.kept[0].about == "ListResults"


def test_nothing_new_is_no_failure(hospital: Hospital) -> None:
    hospital.numbers = []
    fetcher = polling(STRUCTURED.format(url=hospital.url))
    assert fetcher.fetch() == 0


def test_a_fault_is_told_by_its_code(hospital: Hospital) -> None:
    hospital.text = "fault"
    with pytest.raises(SourceError, match=r"a SOAP fault \(code Server\)") as error:
        polling(ONE_STRING.format(url=hospital.url)).fetch()
    assert "张三" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("GetReports", "GetReport"), "it has: GetReports, ListResults"),
        (("parameters = { request", "parameters = { requst"), "requst"),
    ],
)
def test_what_the_service_does_not_have_is_told_with_what_it_has(
    hospital: Hospital, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        polling(ONE_STRING.format(url=hospital.url).replace(*change)).probe()


# -- without a description


TEMPLATE = """
type = "soap-poll"
url = "{url}"
action = "urn:old/get"
inside = "//return"
each = "//row"
envelope = '''
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:o="urn:old">
<soapenv:Body><o:get><arg0>LAB</arg0><arg1><![CDATA[<from>{{since}}</from>]]></arg1></o:get></soapenv:Body></soapenv:Envelope>'''
"""


def enveloped(inner: str, namespace: str = "http://schemas.xmlsoap.org/soap/envelope/") -> bytes:
    return f'<s:Envelope xmlns:s="{namespace}"><s:Body><r:getResponse xmlns:r="urn:old">{inner}</r:getResponse></s:Body></s:Envelope>'.encode()


@pytest.mark.parametrize(
    "answer",
    [
        enveloped(f"<return>{escape(XML)}</return>"),
        enveloped(f"<return><![CDATA[{XML}]]></return>"),
        enveloped(f"<return>{XML}</return>"),
        enveloped(f"<return>\n  {base64.encodebytes(XML.encode()).decode()}  </return>"),
        enveloped(f"<return>{escape(XML)}</return>", "http://www.w3.org/2003/05/soap-envelope"),
    ],
)
def test_an_envelope_by_settings(site: Site, answer: bytes) -> None:
    site.answers["/old"] = lambda _: Given(answer)
    inbox = Inbox()
    assert polling(TEMPLATE.format(url=site.url + "/old"), inbox).fetch() == 2
    assert inbox.bodies[0].decode() == "<row><id>1</id><t>20261121120100</t><n>张三 &amp; 李四</n></row>"


def test_a_prefix_that_a_value_needs_stays(site: Site) -> None:
    row = '<row xsi:type="t:Lab"><id>1</id></row>'
    declared = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:t="urn:t" xmlns:u="urn:u"'
    site.answers["/old"] = lambda _: Given(enveloped(f"<return {declared}>{row}</return>"))
    inbox = Inbox()
    polling(TEMPLATE.format(url=site.url + "/old"), inbox).fetch()
    assert etree.fromstring(inbox.bodies[0]).nsmap == {"xsi": "http://www.w3.org/2001/XMLSchema-instance", "t": "urn:t"}
    assert site.asked[0].headers["soapaction"] == '"urn:old/get"'
    assert b"<![CDATA[<from>2026-11-21 12:50:00</from>]]>" in site.asked[0].body


def test_an_answer_in_gbk_and_in_parts(site: Site) -> None:
    text = enveloped(f"<return><![CDATA[{XML}]]></return>").decode()
    body = b'--b\r\nContent-Type: application/xop+xml; charset=GBK\r\nContent-ID: <root>\r\n\r\n' + (
        '<?xml version="1.0" encoding="GBK"?>' + text
    ).encode("gbk") + b"\r\n--b\r\nContent-ID: <pdf>\r\n\r\nxxxx\r\n--b--\r\n"  # fmt: skip
    site.answers["/old"] = lambda _: Given(
        body, headers={"Content-Type": 'multipart/related; boundary="b"; start="<root>"; type="application/xop+xml"'}
    )
    inbox = Inbox()
    assert polling(TEMPLATE.format(url=site.url + "/old"), inbox).fetch() == 2
    assert "张三" in inbox.bodies[0].decode()


def test_json_in_a_string_of_xml(site: Site) -> None:
    site.answers["/old"] = lambda _: Given(enveloped('<return>{"code":0,"list":[{"id":1,"v":1.50},{"id":2}]}</return>'))
    table = TEMPLATE.format(url=site.url + "/old").replace(
        '"//row"', '"$.list[*]"\nformat = "json"\nsuccess = { "$.code" = ["0"] }'
    )
    inbox = Inbox()
    polling(table, inbox).fetch()
    assert inbox.bodies == [b'{"id":1,"v":1.50}', b'{"id":2}']


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (Given(b"<html>Welcome</html>"), SourceUnreachable, "not answer with a SOAP envelope"),
        (Given(b"gateway time-out", status=504), SourceUnreachable, "504"),
        (Given(b"nonsense"), SourceUnreachable, "not answer with XML"),
        (
            Given(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'),
            SourceUnreachable,
            "not answer with XML",
        ),
        (Given(enveloped("<return>&lt;rows&gt;</return>")), Exception, "not well-formed"),
        (Given(enveloped("<other/>")), SourceError, "nothing at `inside`"),
        (Given(enveloped("<return>没有数据</return>")), Exception, "neither the answer proper nor base64"),
    ],
)
def test_nonsense_is_told_for_what_it_is(site: Site, answer: Given, kind: type[Exception], said: str) -> None:
    site.answers["/old"] = lambda _: answer
    inbox = Inbox()
    with pytest.raises(kind, match=said):
        polling(TEMPLATE.format(url=site.url + "/old"), inbox).fetch()
    assert inbox.kept == []


# -- descriptions from outside


def wsdl(imported: str) -> bytes:
    return f"""<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:x">
<wsdl:import namespace="urn:y" location="{imported}"/></wsdl:definitions>""".encode()


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1:9/other.wsdl", "http://169.254.169.254/", "file:///etc/passwd", "/etc/passwd", "../up.wsdl"],
)
def test_a_description_imports_from_its_own_place_alone(site: Site, tmp_path: Path, location: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "up.wsdl").write_bytes(wsdl("x"))
    (tmp_path / "in" / "his.wsdl").write_bytes(wsdl(location))
    table = (
        f'type = "soap-poll"\nurl = "{site.url}/his"\noperation = "A"\nwsdl_file = "{tmp_path / "in" / "his.wsdl"}"\n'
    )
    with pytest.raises(SourceRefused, match="not in the folder"):
        polling(table).fetch()

    if location.startswith(("http", "file")):
        site.answers["/his"] = lambda _: Given(wsdl(location))
        with pytest.raises(SourceRefused, match="not at"):
            polling(f'type = "soap-poll"\nurl = "{site.url}/his"\noperation = "A"\n').fetch()
        assert {asked.path for asked in site.asked} == {"/his"}


def test_a_description_with_a_doctype_is_refused(site: Site, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    bad = f'<!DOCTYPE d [<!ENTITY e SYSTEM "file://{canary}">]>'.encode() + wsdl("x").replace(b"</wsdl", b"&e;</wsdl")
    site.answers["/his"] = lambda _: Given(bad)
    with pytest.raises(SourceRefused, match="DOCTYPE"):
        polling(f'type = "soap-poll"\nurl = "{site.url}/his"\noperation = "A"\n').fetch()


def test_a_description_from_a_file_asks_the_configured_address(hospital: Hospital, tmp_path: Path) -> None:
    import urllib.request

    (tmp_path / "his.wsdl").write_bytes(urllib.request.urlopen(hospital.url + "?wsdl").read())
    table = ONE_STRING.format(url=hospital.url).replace("operation", f'wsdl_file = "{tmp_path}/his.wsdl"\noperation', 1)
    assert polling(table).fetch() == 2


RPC = """<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:e="http://schemas.xmlsoap.org/soap/encoding/" xmlns:t="urn:axis" targetNamespace="urn:axis">
<wsdl:message name="In"><wsdl:part name="in0" type="e:string"/></wsdl:message>
<wsdl:message name="Out"><wsdl:part name="return" type="e:string"/></wsdl:message>
<wsdl:portType name="P"><wsdl:operation name="call"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/></wsdl:operation></wsdl:portType>
<wsdl:binding name="B" type="t:P"><s:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
<wsdl:operation name="call"><s:operation soapAction=""/>
<wsdl:input><s:body use="encoded" namespace="urn:axis" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></wsdl:input>
<wsdl:output><s:body use="encoded" namespace="urn:axis" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/></wsdl:output></wsdl:operation></wsdl:binding>
<wsdl:service name="S"><wsdl:port name="A" binding="t:B"><s:address location="http://old.example/axis"/></wsdl:port></wsdl:service></wsdl:definitions>"""


def test_an_old_service_in_the_rpc_style(site: Site, tmp_path: Path) -> None:
    (tmp_path / "axis.wsdl").write_text(RPC)
    site.answers["/axis"] = lambda _: Given(enveloped(f"<return>{escape(XML)}</return>"))
    table = f"""
type = "soap-poll"
url = "{site.url}/axis"
wsdl_file = "{tmp_path}/axis.wsdl"
operation = "call"
parameters = {{ in0 = "<q>{{since}}</q>" }}
inside = "//return"
each = "//row"
"""
    assert polling(table).fetch() == 2
    sent = etree.fromstring(site.asked[0].body)
    assert [one.text for one in sent.iter("in0")] == ["<q>2026-11-21 12:50:00</q>"]
    assert [one.tag for one in sent.iter("{urn:axis}call")] == ["{urn:axis}call"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "one of them"),
        ('operation = "a"\nenvelope = "<a/>"', "one of them"),
        ('envelope = "<a/>"\nwsdl = "https://h.example/x"', "neither wsdl nor parameters"),
        ('operation = "a"\nformat = "json"', "needs the place"),
        ('operation = "a"\npaging = "next"\ncursor = "//c"', "is for rest-poll"),
        ('envelope = "<a/>"', "not an envelope of SOAP 1.1"),
        ('envelope = "<a>"', "not well-formed"),
    ],
)
def test_mistakes_of_soap_are_told(lines: str, said: str) -> None:
    with pytest.raises((ConfigurationProblems, ConfigurationError), match=said):
        polling(f'type = "soap-poll"\nurl = "https://h.example/his"\n{lines}\n')

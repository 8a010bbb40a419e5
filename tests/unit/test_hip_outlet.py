"""Destinations of type hip against another library's SOAP server that knows the national sheets."""

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from lxml import etree

from connectors.outlets import Around
from connectors.outlets.hip import HipEdge
from connectors.outlets.http import Unanswered
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.config_outlets import HipOutlet
from frontend_agent.demo.samples import sample
from frontend_agent.dialect_makers import hip
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.formats import load_kind, message_codes
from frontend_agent.formats.tables import table
from frontend_agent.model import Document, Envelope, Outcome
from frontend_agent.outlets import opener
from frontend_agent.packs.content import content_of
from frontend_agent.wire.frames import compressor
from tests.conftest import shared_folder
from tests.hip_region import Region, acknowledgement, at, region, sha256
from tests.unit.pipe import document

pytestmark = pytest.mark.skipif(
    not (shared_folder() / "standards").is_dir(), reason="the national tables are not beside this checkout"
)
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
SECRETS = {"region": "s3cret<&"}


@pytest.fixture
def platform() -> Iterator[Region]:
    with region() as one:
        yield one


def made(code: str, version: int = 1, number: int = 7, void: bool = False, **changed: str) -> Document:
    kind = load_kind(code)
    record = {name: value for name, value in sample(kind, number).items() if not name.startswith("fact.")} | changed
    set_id = f"{code}-ABCDEFGHIJKLMNOPQRSTUV{number:04}"
    content = kind.renderer(dict.fromkeys((f.name for f in kind.fields), "omit"))(
        record, Envelope(f"{set_id}-{version}", set_id, version, "20260930120000")
    )
    return msgspec.structs.replace(
        document(set_id), document_id=f"{set_id}-{version}", set_id=set_id, version=version, kind=code, void=void,
        institution="999000013", frame=compressor(kind.dictionary).compress(content), size=len(content),
        dictionary=kind.dictionary_sha256, sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def around() -> Around:
    dictionaries = {
        load_kind(code).dictionary_sha256: load_kind(code).dictionary for code in (*message_codes(), "C0007", "C0002")
    }
    return Around(
        opened=opener(content_of(None), dictionaries.get), secret=SECRETS.__getitem__, clock=lambda: NOW,
        institution="999000013", institution_name="示范市第一人民医院",
    )  # fmt: skip


def edge(platform: Region | str, **settings: Any) -> HipEdge:
    url = platform if isinstance(platform, str) else platform.url
    settings.setdefault("patient_id", ("patient.local_id", "patient.id_number"))
    options = HipOutlet(type="hip", url=url, **settings)
    about = around()
    return HipEdge("region", options, about, hip("region", options, content_of(None), lambda feed: {}, about))


def sent(outlet: HipEdge, *documents: Document) -> list[tuple[Outcome, tuple[str, ...]]]:
    return [(one.outcome, one.reasons) for one in outlet.send(documents)]


def patient_of(one: Document) -> str:
    return around().opened(one).record["patient.id_number"]


ACCEPTED = [(Outcome.ACCEPTED, ())]


# --- registrations and business messages ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [code for code in message_codes() if code != "H0601"])
@pytest.mark.parametrize("version", [1, 2])
def test_every_message_passes_the_national_sheet_under_its_own_service(
    platform: Region, code: str, version: int
) -> None:
    one = made(code, version)
    record = around().opened(one).record
    platform.patients = {record.get("patient.local_id", ""), record.get("patient.visit_card", "")}

    assert sent(edge(platform), one) == ACCEPTED

    ((action, message),) = platform.got
    services = {row["kind"]: row for row in table("interactions.csv")}
    later = version > 1 and services[code]["later_action_b"]
    assert action == (later or services[code]["action_b"])
    assert message.encode() == around().opened(one).content  # as it was rendered, byte for byte
    assert platform.ids == [one.document_id]


def test_a_document_waits_for_no_better_day_the_region_refuses_patients_it_does_not_know(platform: Region) -> None:
    report = made("C0007")
    outlet = edge(platform)
    patient = patient_of(report)

    ((outcome, reasons),) = sent(outlet, report)
    assert outcome is Outcome.REFUSED
    assert reasons == (f"患者 {patient} 未注册", "文档未保存")  # all of them

    assert sent(outlet, made("H0201", **{"patient.local_id": patient})) == ACCEPTED
    assert sent(outlet, report) == ACCEPTED


def test_a_document_is_registered_with_what_it_says_of_itself(platform: Region) -> None:
    report = made("C0007", version=2)
    opened = around().opened(report)
    platform.patients = {patient_of(report)}

    assert sent(edge(platform, sender="FE-1", receiver="HIP-1", processing="D"), report) == ACCEPTED

    root = etree.fromstring(platform.got[0][1].encode())
    said = "/controlActProcess/subject/clinicalDocument"
    assert etree.QName(root).localname == "RCMR_IN000002UV02"
    assert base64.b64decode(at(root, f"{said}/storageCode/originalText/@value")[0]) == opened.content
    for path, value in {
        f"{said}/id/item/@extension": report.document_id,
        f"{said}/code/@code": "C0007",
        f"{said}/code/displayName/@value": "检验报告",
        f"{said}/effectiveTime/@value": "20260930120000",
        f"{said}/confidentialityCode/@code": "N",
        f"{said}/versionNumber/@value": "2",
        f"{said}/recordTarget/patient/patientPerson/name/item/part/@value": opened.record["patient.name"],
        f"{said}/recordTarget/patient/providerOrganization/id/item/@extension": opened.record["institution.id"],
        f"{said}/author/assignedAuthor/id/item/@extension": opened.record["author.id"],
        f"{said}/custodian/assignedCustodian/representedOrganization/id/item/@extension": opened.record["institution.id"],
        "/sender/device/id/item/@extension": "FE-1",
        "/receiver/device/id/item/@extension": "HIP-1",
        "/processingCode/@code": "D",
        "/interactionId/@extension": "RCMR_IN000002UV02",
    }.items():  # fmt: skip
        assert at(root, path) == [value], path


def test_the_same_bytes_go_however_often_a_document_is_sent(platform: Region) -> None:
    report = made("C0002")
    platform.patients = {patient_of(report)}
    outlet = edge(platform, sender="FE-1")
    for _ in range(3):
        assert sent(outlet, report) == ACCEPTED
    assert len(set(platform.envelopes)) == 1
    assert platform.ids == [report.document_id] * 3


def test_systems_ids_and_formats_of_a_region_are_put_into_registrations(platform: Region) -> None:
    one = made("H0201")
    outlet = edge(platform, sender="FE-1", receiver="HIP-1", datetime_format="yyyyMMddTHHmmss")
    ((outcome, reasons),) = sent(outlet, one)
    root = etree.fromstring(platform.got[0][1].encode())

    assert at(root, "/sender/device/id/item/@extension") == ["FE-1"]
    assert at(root, "/creationTime/@value") == ["20260930T120000"]
    assert (outcome, reasons[0]) == (Outcome.REFUSED, "消息创建时间 格式错误")  # this region wants digits, and says so


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_a_200_with_a_refusal_inside_is_a_refusal_with_all_its_reasons(platform: Region, code: str) -> None:
    platform.says = [acknowledgement("{id}", code, "身份证号 错误", "姓名 为空")]
    assert sent(edge(platform), made("H0201")) == [(Outcome.REFUSED, ("身份证号 错误", "姓名 为空"))]


def test_a_lie_is_no_yes(platform: Region) -> None:
    """An acknowledgement of another message, a page, an empty answer, a word: none of them says that ours is there."""
    platform.says = [acknowledgement("another"), "<html>ok</html>", "", "success", "<a"]
    outlet = edge(platform)
    for _ in range(5):
        ((outcome, reasons),) = sent(outlet, made("H0201"))
        assert outcome is Outcome.UNANSWERED
        assert reasons
    assert sent(outlet, made("H0201")) == ACCEPTED


def test_a_region_that_names_no_or_wrong_messages_is_believed_where_the_settings_say_so(platform: Region) -> None:
    platform.says = [acknowledgement("another"), '<r xmlns="urn:x"><code>0</code></r>']
    assert sent(edge(platform, match_target=False), made("H0201")) == ACCEPTED
    answer = {"success": ("xml //code = 0",)}
    settings = parse_config(table_of(platform.url, answer=answer), "agent.toml").destinations["region"].answer
    assert sent(edge(platform, answer=settings), made("H0201")) == ACCEPTED


def test_a_fault_is_a_request_refused_whole_unless_a_pattern_knows_it(platform: Region) -> None:
    platform.says = ["fault", "fault"]
    with pytest.raises(RefusedWhole, match="数据库忙"):
        edge(platform).send([made("H0201")])
    answer = (
        parse_config(table_of(platform.url, answer={"retry": ("text 数据库忙",)}), "agent.toml")
        .destinations["region"]
        .answer
    )
    assert sent(edge(platform, answer=answer), made("H0201"))[0][0] is Outcome.RETRY


@pytest.mark.parametrize(("status", "outcome"), [(503, Outcome.RETRY), (429, Outcome.RETRY), (502, Outcome.UNANSWERED), (504, Outcome.UNANSWERED)])  # fmt: skip
def test_statuses_of_a_gateway(platform: Region, status: int, outcome: Outcome) -> None:
    platform.statuses = [status]
    assert sent(edge(platform), made("H0201"))[0][0] is outcome


@pytest.mark.parametrize(("status", "error"), [(404, NotAllowed), (401, NotAllowed), (302, NotAllowed), (500, RefusedWhole), (413, RefusedWhole)])  # fmt: skip
def test_statuses_that_no_document_is_to_blame_for(platform: Region, status: int, error: type[Exception]) -> None:
    platform.statuses = [status]
    with pytest.raises(error):
        edge(platform).send([made("H0201")])


def test_nobody_there() -> None:
    with pytest.raises(DestinationUnreachable):
        edge("http://127.0.0.1:9/hip").send([made("H0201")])


# --- what the dialect has no word for, and the trap -------------------------------------------------------------------


def test_a_document_larger_than_the_region_takes_is_refused_here_and_never_cut(platform: Region) -> None:
    report = made("C0007")
    length = len(base64.b64encode(around().opened(report).content))
    ((outcome, reasons),) = sent(edge(platform, largest=length - 1), report)
    assert outcome is Outcome.REFUSED
    assert f"{length:,} characters" in reasons[0]
    assert "nothing is cut off" in reasons[0]
    assert not platform.got
    platform.patients = {patient_of(report)}
    assert sent(edge(platform, largest=length), report) == ACCEPTED


def test_a_withdrawal_is_refused_with_its_reason_or_sent_as_a_version(platform: Region) -> None:
    one = made("H0201", version=2, void=True)
    ((outcome, reasons),) = sent(edge(platform), one)
    assert (outcome, platform.got) == (Outcome.REFUSED, [])
    assert "a withdrawal" in reasons[0]
    platform.patients = {around().opened(one).record["patient.local_id"]}
    assert sent(edge(platform, voids="update"), one) == ACCEPTED
    assert platform.got[0][0] == "PatientInfoUpdate"


def test_dialect_a_has_its_own_names_and_says_which_it_lacks(platform: Region) -> None:
    outlet = edge(platform, dialect="A", prefix="XT-")
    sent(outlet, made("H0201"), made("H0201", 2), made("H0203"), made("H0401"))
    assert [action for action, _ in platform.got] == [
        "XT-PatientRegistryAddRequest", "XT-PatientRegistryReviseRequest", "XT-PatientRegistryDuplicatesResolved",
        "XT-AddProviderRequest",
    ]  # fmt: skip
    ((outcome, reasons),) = sent(outlet, made("H0707"))
    assert outcome is Outcome.REFUSED
    assert 'actions = { H0707 = "…" }' in reasons[0]


def test_numbers_of_a_region_instead_of_names(platform: Region) -> None:
    sent(edge(platform, actions={"H0201": "S0004", "H0708": "S0027"}), made("H0201"), made("H0707", 2))
    assert [action for action, _ in platform.got] == ["S0004", "S0027"]


@pytest.mark.parametrize("carry", ["inside", "beside", "bare"])
def test_documents_travel_as_the_region_wants_them(platform: Region, carry: str) -> None:
    report = made("C0007")
    maker_edge = edge(platform, carry=carry, actions={"H0601": "ProvideDocument"}, document_parameter="cda")
    sent(maker_edge, report)
    envelope = etree.fromstring(platform.envelopes[0])
    texts = {etree.QName(one).localname: one.text or "" for one in envelope.iter("{urn:hl7-org:v3}*")}
    holder = {"inside": "message", "beside": "cda", "bare": "message"}[carry]
    found = etree.fromstring(texts[holder].encode())
    cda = found if carry != "inside" else next(found.iter("{urn:hl7-org:v3}ClinicalDocument"))
    assert load_kind("C0007").reader(etree.tostring(cda)) == around().opened(report).record
    assert "storageCode" not in texts["message"] or carry == "inside"


# --- envelopes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", ["cdata", "escape"])
@pytest.mark.parametrize("soap", ["1.1", "1.2"])
def test_what_is_in_an_envelope_comes_out_of_it(wrap: str, soap: str) -> None:
    awkward = "李]]>四 <&\"'>　𠮷"
    one = made("H0201", **{"patient.name": awkward})
    about = around()
    options = HipOutlet(type="hip", url="http://127.0.0.1:1/", wrap=wrap, soap=soap, namespace="http://www.dhcc.com.cn", operation="HIPMessageServer2016Ext", parameters=("input1", "input2"), token_parameter="token", secret="region", qualified=False)  # fmt: skip
    maker = hip("region", options, content_of(None), lambda feed: {}, about)
    request = maker.request(about.opened(one))
    root = etree.fromstring(maker.envelope(request, SECRETS["region"], NOW, b""))
    operation = root[0][0]
    namespace = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
    assert etree.QName(root).namespace == namespace[soap]
    assert operation.tag == "{http://www.dhcc.com.cn}HIPMessageServer2016Ext"
    assert [(one.tag, one.text) for one in operation][::2] == [
        ("input1", "PatientInfoRegister"),
        ("token", SECRETS["region"]),
    ]
    assert load_kind("H0201").reader(operation[1].text.encode())["patient.name"] == awkward


def test_the_private_envelope_of_a_region_stands_around_the_message() -> None:
    private = "<Request><Header><SourceSystem>{sender}</SourceSystem><MessageID>{id}</MessageID></Header><Body>{message}</Body></Request>"
    about = around()
    options = HipOutlet(type="hip", url="http://127.0.0.1:1/", envelope=private, sender="A&B")
    maker = hip("region", options, content_of(None), lambda feed: {}, about)
    one = made("H0401")
    text = etree.fromstring(maker.envelope(maker.request(about.opened(one)), "", NOW, b""))[0][0][1].text
    inner = etree.fromstring(text)
    assert inner.findtext("Header/SourceSystem") == "A&B"
    assert inner.findtext("Header/MessageID") == one.document_id
    assert etree.QName(inner.find("Body")[0]).localname == "PRPM_IN301010UV01"


@pytest.mark.parametrize("digest", [True, False])
def test_ws_security_says_who_we_are(digest: bool) -> None:
    about = around()
    options = HipOutlet(type="hip", url="http://127.0.0.1:1/", username="fe", secret="region", digest=digest)
    maker = hip("region", options, content_of(None), lambda feed: {}, about)
    nonce = b"0123456789abcdef"
    root = etree.fromstring(maker.envelope(maker.request(about.opened(made("H0401"))), SECRETS["region"], NOW, nonce))
    said = {etree.QName(one).localname: one.text for one in root.iter() if isinstance(one.tag, str) and one.text}
    assert said["Username"] == "fe"
    if digest:
        expected = hashlib.sha1(nonce + b"2026-11-21T04:00:00Z" + SECRETS["region"].encode()).digest()
        assert base64.b64decode(said["Password"]) == expected
    else:
        assert said["Password"] == SECRETS["region"]


def test_a_token_is_a_parameter_of_its_own() -> None:
    with region(token=SECRETS["region"]) as platform:
        with pytest.raises(RefusedWhole, match="token"):
            edge(platform).send([made("H0201")])
        assert sent(edge(platform, token_parameter="token", secret="region"), made("H0201")) == ACCEPTED


# --- asking later -----------------------------------------------------------------------------------------------------


def test_what_was_accepted_is_confirmed_by_its_own_bytes_lost_or_changed(platform: Region) -> None:
    kept, lost, changed = (made("C0007", number=number) for number in (1, 2, 3))
    platform.patients = {patient_of(one) for one in (kept, lost, changed)}
    outlet = edge(platform, confirm="retrieve")
    assert sent(outlet, kept, lost, changed) == ACCEPTED * 3
    assert sha256(platform.documents[kept.document_id]) == kept.sha256
    del platform.documents[lost.document_id]
    platform.documents[changed.document_id] += b" "

    told = {one.document_id: one for one in outlet.ask([kept, lost, changed])}

    assert told[kept.document_id].stored
    assert "SHA-256" in told[kept.document_id].told_by
    assert (told[lost.document_id].stored, told[lost.document_id].again) == (False, True)
    assert (told[changed.document_id].stored, told[changed.document_id].again) == (False, False)
    assert "other bytes" in told[changed.document_id].reasons[0]
    assert all(action == "DocumentRetrieve" for action, _ in platform.got[3:])


def test_silence_and_refusals_of_a_question_are_no_answer(platform: Region) -> None:
    platform.says = [acknowledgement("{id}", "AE", "查询失败"), "", "<RCMR_IN000032UV01/>"]
    outlet = edge(platform, confirm="retrieve")
    for _ in range(3):
        assert list(outlet.ask([made("C0007")])) == []


def test_a_list_confirms_that_it_is_there_and_says_no_more(platform: Region) -> None:
    report = made("C0007")
    platform.says = [
        '<RCMR_IN000030UV01 xmlns="urn:hl7-org:v3"><acknowledgement typeCode="AA"/><controlActProcess><subject>'
        f'<clinicalDocument><id><item extension="{report.document_id}"/></id></clinicalDocument></subject></controlActProcess>'
        "</RCMR_IN000030UV01>"
    ]
    outlet = edge(platform, confirm="access")
    (told,) = outlet.ask([report])
    assert told.stored
    assert "not looked at" in told.told_by
    assert platform.got[0][0] == "DocumentAccess"
    root = etree.fromstring(platform.got[0][1].encode())
    assert at(root, "/controlActProcess/queryByParameter/clinicalDocument.code/value/@code") == ["C0007"]
    assert patient_of(report) in at(root, "/controlActProcess/queryByParameter/patient.id/value/item/@extension")


def test_a_registration_is_not_asked_for_and_so_never_taken_for_lost(platform: Region) -> None:
    assert list(edge(platform, confirm="retrieve").ask([made("H0201"), made("H0401")])) == []
    assert not platform.got


LISTED = (
    '<RCMR_IN000032UV01 xmlns="urn:hl7-org:v3"><acknowledgement typeCode="AA"/><controlActProcess><subject><clinicalDocument>'
    '<id><item extension="{}"/></id></clinicalDocument></subject></controlActProcess></RCMR_IN000032UV01>'
)


def test_without_its_bytes_or_its_own_name_nothing_is_confirmed(platform: Region) -> None:
    second = made("C0007", version=2)
    platform.says = [LISTED.format(second.document_id), LISTED.format(second.set_id)]
    assert list(edge(platform, confirm="retrieve").ask([second])) == []  # asked for its content, and got none
    assert list(edge(platform, confirm="access", identity="set").ask([second])) == []  # it may mean the version before


def test_a_set_is_confirmed_by_the_bytes_of_this_version_only(platform: Region) -> None:
    first, second = made("C0007"), made("C0007", version=2, **{"patient.name": "王二"})
    platform.patients = {patient_of(first), patient_of(second)}
    outlet = edge(platform, confirm="retrieve", identity="set")
    assert sent(outlet, first) == ACCEPTED
    assert [one.document_id for one in outlet.ask([first])] == [first.document_id]
    assert list(outlet.ask([second])) == []  # what is there is the first, and that refuses nothing


def test_a_question_without_an_answer_holds_no_other_question(
    platform: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [made("C0007", number=number) for number in (1, 2, 3)]
    platform.patients = set(map(patient_of, documents))
    outlet = edge(platform, confirm="retrieve")
    assert sent(outlet, *documents) == ACCEPTED * 3
    ask, asked = outlet._ask, []

    def silent_at_first(request: Any) -> Any:
        asked.append(request)
        if len(asked) == 1:
            raise Unanswered("the answer takes too long")
        return ask(request)

    monkeypatch.setattr(outlet, "_ask", silent_at_first)
    assert [one.document_id for one in outlet.ask(documents)] == [one.document_id for one in documents[1:]]
    assert outlet.not_asked == set()
    monkeypatch.setattr("connectors.outlets.hip.LONGEST_ASKING", -1.0)
    assert list(outlet.ask(documents)) == []
    assert outlet.not_asked == {one.document_id for one in documents}  # its time was over


def test_nobody_is_asked_unless_the_settings_say_how(platform: Region) -> None:
    assert edge(platform).asks_every is None
    assert edge(platform, confirm="access").asks_every is not None


def test_an_answer_in_a_text_is_read_whatever_charset_it_declares(platform: Region) -> None:
    report = made("C0007")
    platform.says = [
        '<?xml version="1.0" encoding="GBK"?>' + acknowledgement(report.document_id, "AE", "患者未注册姓名不符")
    ]
    ((outcome, reasons),) = sent(edge(platform), report)
    assert (outcome, reasons) == (Outcome.REFUSED, ("患者未注册姓名不符",))


# --- answers are hostile until read -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', b"", b"\xff\xfe\x00", b"<s:Envelope/>",
        b'<Envelope><Body/></Envelope>', b"<Envelope/>", b"<a>" * 5_000, b'<Envelope><Body><R><S><T/></S></R></Body></Envelope>',
    ],
)  # fmt: skip
def test_answers_that_are_none_never_count_as_a_yes(body: bytes) -> None:
    about = around()
    maker = hip("region", HipOutlet(type="hip", url="http://127.0.0.1:1/"), content_of(None), lambda feed: {}, about)
    request = maker.request(about.opened(made("H0401")))
    assert maker.answered(request, 200, body, "").outcome is None


@pytest.mark.parametrize("wrapped", [True, False])
def test_the_answer_stands_in_the_result_as_text_or_as_xml(wrapped: bool) -> None:
    about = around()
    maker = hip("region", HipOutlet(type="hip", url="http://127.0.0.1:1/"), content_of(None), lambda feed: {}, about)
    one = made("H0401")
    said = re.sub(r"<\?xml[^>]*\?>", "", acknowledgement(one.document_id))
    inner = said.replace("<", "&lt;") if wrapped else said
    body = f'<e:Envelope xmlns:e="x"><e:Body><XResponse xmlns="urn:hl7-org:v3"><XResult>{inner}</XResult></XResponse></e:Body></e:Envelope>'
    assert maker.answered(maker.request(about.opened(one)), 200, body.encode(), "").outcome is Outcome.ACCEPTED


# --- settings ---------------------------------------------------------------------------------------------------------


def table_of(url: str = "https://region.example/hip", **settings: Any) -> str:
    def written(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{k} = {written(v)}" for k, v in value.items()) + " }"
        if isinstance(value, tuple):
            return "[" + ", ".join(map(written, value)) + "]"
        return repr(value) if isinstance(value, int) else f"'{value}'"

    lines = "\n".join(f"{name} = {written(value)}" for name, value in settings.items())
    return f"""
[institution]
id = "999000013"
name = "示范医院"
[sources.his]
url = "sqlite:///his.db"
[destinations.region]
type = "hip"
url = "{url}"
{lines}
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
every = "5m"
"""


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"parameters": ("a",)}, "two names"),
        ({"operation": "a b"}, "not the name of an element"),
        ({"token_parameter": "token"}, "the name of a secret"),
        ({"digest": True}, "digest does nothing"),
        ({"largest": 10, "carry": "bare"}, "largest counts"),
        ({"envelope": "<a/>"}, "holds no message"),
        ({"envelope": "{message}{nonsense}"}, "nonsense"),
        ({"datetime_format": "iso"}, "datetime_format"),
        ({"url": 1}, "url"),
        ({"answer": {"success": ("nothing",)}}, "answer"),
    ],
)
def test_settings_that_contradict_themselves_are_named(settings: dict[str, Any], says: str) -> None:
    text = table_of(**settings) if "url" not in settings else table_of("ftp://x")
    with pytest.raises((ConfigurationProblems, ConfigurationError), match=says):
        parse_config(text, "agent.toml")


def test_an_action_for_a_service_that_is_none_is_named() -> None:
    with pytest.raises(ConfigurationError, match="H9999"):
        edge("https://region.example", actions={"H9999": "X"})

"""HL7 v2 messages of the same records: what stands where, what is never made up, and hl7apy's word on all of it."""

import pytest
from hl7apy.parser import parse_message

from frontend_agent.demo.samples import sample
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import UnrenderableText, kind_codes, load_kind
from frontend_agent.formats.hl7v2 import Settings, build_all, declarations, profile_of, validate
from frontend_agent.model import Envelope
from tests.platform_kit import lab_record, prescription_record, visit_record

NEW = Envelope("C0007-X-1", "C0007-X", 1, "20260930104500")
CHANGED = Envelope("C0007-X-2", "C0007-X", 2, "20260930104500", "C0007-X-1")
ORDERS = [
    {"type": "01", "content": "阿司匹林", "ordered_at": "20260930081000", "cancelled_at": "20260930091000"},
    {"type": "03", "content": "血常规|^&~\\", "ordered_at": "20260930081000", "orderer_id": "D1", "orderer_name": "甲"},
]


def made(kind, record, envelope=NEW, **settings):
    return {one.name: one for one in build_all(kind, record, envelope, Settings(**settings))}


def segments(message, name):
    return [line.split("|") for line in message.text().split("\r") if line.startswith(name + "|")]


def test_a_laboratory_report_carries_what_cda_has_no_slot_for():
    message = made("C0007", lab_record(1))["ORU_R01"]
    assert [one[3] for one in segments(message, "OBX")] == [
        "WBC^白细胞计数^L", "HGB^血红蛋白^L", "PLT^血小板计数^L", "CRP^C反应蛋白^L",
    ]  # fmt: skip
    white, _, platelets, protein = segments(message, "OBX")
    assert (white[2], white[5], white[6], white[7], white[8], white[11]) == (
        "NM",
        "12.6",
        "10\\S\\9/L",
        "3.5-9.5",
        "H",
        "F",
    )
    assert platelets[8] == ""
    assert (protein[2], protein[5]) == ("ST", "阳性(+)")


@pytest.mark.parametrize(
    ("kind", "record", "names"),
    [
        ("C0007", lab_record(1), {"ORU_R01"}),
        ("C0002", visit_record(1, orders=ORDERS), {"ADT_A04", "ORM_O01", "OML_O21"}),
        ("C0002", visit_record(1), {"ADT_A04"}),
        ("C0004", prescription_record(1), {"RDE_O11"}),
        ("C0004", prescription_record(1, issuing_pharmacist__time="20260930090000"), {"RDE_O11", "RDS_O13"}),
    ],
)
def test_every_message_fits_hl7s_own_structure(kind, record, names):
    if kind == "C0004":
        record = {**record, "drugs": [{**drug, "route": "1"} for drug in record["drugs"]]}
    messages = made(kind, record)
    assert messages.keys() == names
    for message in messages.values():
        assert validate(message) == ""


@pytest.mark.parametrize("kind", sorted({kind for one in declarations().values() for kind in one.kinds}))
def test_a_clean_record_of_every_kind_gives_messages_that_fit(kind):
    for envelope in (NEW, CHANGED):
        messages = made(kind, sample(load_kind(kind), 3), envelope)
        assert messages
        for message in messages.values():
            assert validate(message) == "", message.name


def test_an_admission_and_a_discharge_say_where_and_when():
    (admitted,) = made("C0034", sample(load_kind("C0034"), 3)).values()
    (left,) = made("C0053", sample(load_kind("C0053"), 3)).values()
    (pv1,) = segments(admitted, "PV1")
    assert (admitted.message, pv1[2], pv1[19], len(pv1[44])) == ("ADT^A01^ADT_A01", "I", "ZY000003", 14)
    (pv1,) = segments(left, "PV1")
    assert left.message == "ADT^A03^ADT_A03"
    assert pv1[44] < pv1[45]


def test_a_changed_visit_is_an_update():
    assert made("C0002", visit_record(1), CHANGED).keys() == {"ADT_A08"}


def test_an_order_has_the_same_number_in_every_message_and_its_text_is_escaped():
    messages = made("C0002", visit_record(1, orders=ORDERS))
    first, second = segments(messages["ORM_O01"], "OBR")
    (only,) = segments(messages["OML_O21"], "OBR")
    assert (first[2], second[2], only[2]) == ("M0000001-1", "M0000001-2", "M0000001-2")
    assert segments(messages["ORM_O01"], "ORC")[0][1] == "CA"
    parsed = parse_message(messages["OML_O21"].text())
    assert only[4] == "^血常规\\F\\\\S\\\\T\\\\R\\\\E\\"
    assert parsed.msh.msh_9.to_er7() == "OML^O21^OML_O21"


def test_nothing_is_made_up_for_what_the_record_does_not_say():
    (message,) = build_all("C0007", {"items": [{"code": "A", "value": "1"}], "report_number": "R1"}, NEW)
    (pid,) = segments(message, "PID")
    assert pid == ["PID", "1"]
    (obr,) = segments(message, "OBR")
    assert [field for field in obr if field] == ["OBR", "1", "R1", "F"]


def test_the_message_is_the_same_every_time_and_another_for_another_version():
    first, again = made("C0007", lab_record(1))["ORU_R01"], made("C0007", lab_record(1))["ORU_R01"]
    assert first == again
    assert made("C0007", lab_record(1), CHANGED)["ORU_R01"].control_id != first.control_id
    assert len(first.control_id) <= 20


def test_the_character_set_is_the_one_that_msh_18_names():
    message = made("C0007", lab_record(1, patient__name="㐂"), character_set="GB 18030-2000")["ORU_R01"]
    assert b"GB 18030-2000" in message.content
    assert "㐂".encode("gb18030") in message.content
    assert validate(message, character_set="GB 18030-2000") == ""


def test_a_control_character_is_refused_and_named():
    with pytest.raises(UnrenderableText) as refused:
        build_all("C0007", lab_record(1, report_result="a\x0bMSH|"), NEW)
    assert refused.value.field == "report_result"
    (message,) = build_all("C0007", lab_record(1, report_result="a\r\nMSH|^~"), NEW)
    assert "NTE|1||a\\.br\\MSH\\F\\\\S\\\\R\\\r" in message.text()


def test_every_field_that_a_message_names_is_one_of_its_kinds():
    known = set(kind_codes())
    header = ("message.", "envelope.", "fact.")
    for one in declarations().values():
        assert one.kinds
        for kind in set(one.kinds) & known:
            names = {field.name for field in load_kind(kind).fields} | set(load_kind(kind).groups)
            own = {name for name in one.fields() if not name.startswith(header)}
            # Shared segments name numbers and addresses that not every kind has; what is a message's own must be there.
            assert own & names, (one.name, kind)
            assert {name for name in own - names if not name.startswith(("patient.", "contact.", "diagnoses."))} <= set(
                allowed(one, kind)
            ), (one.name, kind)


def allowed(declaration, kind):
    """A declaration for several kinds names what either has."""
    others = [load_kind(other) for other in declaration.kinds if other != kind and other in kind_codes()]
    return {field.name for other in others for field in other.fields} | {g for other in others for g in other.groups}


PROFILE = b"""<HL7v2xConformanceProfile HL7Version="2.5.1"><HL7v2xStaticDef MsgType="ORU" MsgStructID="ORU_R01">
<Segment Name="MSH" Usage="R" Min="1" Max="1">%s</Segment></HL7v2xStaticDef></HL7v2xConformanceProfile>"""


def test_a_regions_profile_is_read_from_its_xml_and_asked():
    fields = b"".join(
        b'<Field Name="F%d" Usage="O" Min="0" Max="1" Datatype="ST" Length="250"/>' % n for n in range(1, 20)
    )
    profile = profile_of(PROFILE % fields, "ORU_R01.xml")
    assert profile["ORU_R01"][1][0][0] == "MSH"
    message = made("C0007", lab_record(1))["ORU_R01"]
    assert validate(message, profile) != ""  # it allows nothing but MSH
    with pytest.raises(ConfigurationError, match="no HL7 message profile"):
        profile_of(b"<a/>", "a.xml")
    with pytest.raises(ConfigurationError, match="DOCTYPE"):
        profile_of(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "a.xml")


def test_what_stands_against_a_message_quotes_no_value():
    record = lab_record(1)
    record["items"][0]["value"] = "12.6x"
    message = made("C0007", record)["ORU_R01"]
    said = validate(message)
    assert "12.6x" not in said

"""The rules of studies, each by what it objects to and what it lets pass; and what may go wrong with a file that is read."""

import zlib
from collections.abc import Mapping
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend_agent.checks import all_rules
from frontend_agent.checks.catalogue import describe
from frontend_agent.config_images import DicomOutlet, ImagesConfig, OrdersConfig
from frontend_agent.dicom.header import LARGEST_HEADER, Header
from frontend_agent.dicom.part10 import meta
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_LE
from frontend_agent.imaging.aligning import cannot_write, compared, same_name, values
from frontend_agent.imaging.examining import Facts, examine
from frontend_agent.imaging.model import Expected, Instance, Order, Study, StudyState
from frontend_agent.imaging.rules import Seen, Severities, View, judged
from frontend_agent.imaging.values import is_value
from tests.image_samples import CT, ct_slice

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
ORDER = Order(
    key="E1", patient_id="H100", patient_name="张三", sex="1", birth_date="19800101", modality="CT", laterality="L",
    performed_at="20261120080000",
)  # fmt: skip
IMAGES = ImagesConfig(
    orders=OrdersConfig(source="ris", mapping="x"),
    destinations={
        "region": DicomOutlet(type="dicom", url="dicom://A@h"),
        "research": DicomOutlet(type="dicom", url="dicom://B@h", deidentified=True),
    },
)


def header(number: int = 1, **said) -> Header:
    usual = {
        "sop_class_uid": CT, "sop_instance_uid": f"1.2.3.1.{number}", "study_instance_uid": "1.2.3",
        "series_instance_uid": "1.2.3.1", "transfer_syntax_uid": EXPLICIT_LE, "modality": "CT", "patient_id": "H100",
        "patient_name": "张三", "patient_sex": "M", "patient_birth_date": "19800101", "study_date": "20261120",
        "accession_number": "A1", "burned_in_annotation": "NO", "instance_number": str(number), "has_pixel_data": True,
    }  # fmt: skip
    return Header(**{**usual, **said})


def instance(of: Header, number: int) -> Instance:
    return Instance(
        id=number,
        study=7,
        header=of,
        sha256="",
        size=5,
        sent_sha256="",
        sent_size=5,
        inlet="pacs",
        sender="",
        received_at=NOW,
    )


def told(
    *headers: Header,
    facts: Mapping[str, object] | None = None,
    orders: tuple[Order, ...] = (ORDER,),
    expected: Expected | None = None,
    conflicts: int = 0,
    destinations: tuple[str, ...] = ("region",),
) -> set[str]:
    given_ = headers or (header(),)
    seen = [
        Seen(instance(one, number), Facts(**{"header": one, **(facts or {})})) for number, one in enumerate(given_, 1)
    ]
    study = Study(
        id=7, study_instance_uid="1.2.3", institution="45601", inlet="pacs", state=StudyState.COLLECTING, first_at=NOW,
        last_at=NOW, due_at=None, series=1, instances=len(seen), size=10, expected=expected,
    )  # fmt: skip
    view = View(study, seen, [instance(header(9), 9)] * conflicts, orders, IMAGES, date(2026, 11, 20), destinations)
    findings = judged(view, Severities({}))
    for one in findings:
        for lang in ("zh", "en"):
            sentence = describe(one, lang)
            assert "{" not in sentence
            assert not any(secret in sentence for secret in ("张三", "李四", "H100", "P9", "19800101"))
    return {one.rule for one in findings}


def with_order(**said) -> tuple[Order, ...]:
    return (msgspec.structs.replace(ORDER, **said),)


OBJECTIONS = {
    "IMG-INCOMPLETE": lambda: told(expected=Expected("pacs", {"1.2.3.1": 2}, 2)),
    "IMG-SURPLUS": lambda: told(header(1), header(2), expected=Expected("pacs", {"1.2.3.1": 1}, 1)),
    "IMG-UNREADABLE": lambda: told(facts={"header": None, "problem": "it is cut off"}),
    "IMG-FAILED": lambda: told(facts={"header": None, "problem": "reading it did not end", "failed": True}),
    "IMG-PIXELS": lambda: told(facts={"pixels": 10, "pixels_expected": 128}),
    "IMG-CONFLICT": lambda: told(conflicts=1),
    "IMG-UID": lambda: told(header(sop_instance_uid="1.2.03.4")),
    "IMG-UID-SAME": lambda: told(header(series_instance_uid="1.2.3")),
    "IMG-SERIES-MIXED": lambda: told(header(1), header(2, modality="SR")),
    "IMG-NUMBER-TWICE": lambda: told(header(1), header(2, instance_number="1")),
    "IMG-PATIENTS": lambda: told(header(1), header(2, patient_id="P9")),
    "IMG-PATIENT-NONE": lambda: told(header(patient_id=""), orders=()),
    "IMG-PATIENT-OTHER": lambda: told(header(patient_id="P9", patient_name="李四")),
    "IMG-NO-ORDER": lambda: told(orders=()),
    "IMG-ORDERS-SEVERAL": lambda: told(orders=(ORDER, *with_order(key="E2", patient_id="H200"))),
    "IMG-ORDER-CANCELLED": lambda: told(orders=with_order(cancelled=True)),
    "IMG-ACCESSIONS": lambda: told(header(1), header(2, accession_number="A2")),
    "IMG-SEX": lambda: told(header(patient_sex="F")),
    "IMG-BIRTH-DATE": lambda: told(header(patient_birth_date="19810101")),
    "IMG-AGE": lambda: told(header(patient_age="020Y")),
    "IMG-SIDE": lambda: told(header(image_laterality="R")),
    "IMG-SIDE-WITHIN": lambda: told(header(laterality="L", image_laterality="R")),
    "IMG-MODALITY": lambda: told(orders=with_order(modality="MR")),
    "IMG-DATE-FUTURE": lambda: told(header(acquisition_date="20270101")),
    "IMG-DATE-BIRTH": lambda: told(header(study_date="19791231")),
    "IMG-DATE-ORDER": lambda: told(orders=with_order(performed_at="20261101080000")),
    "IMG-TYPE1": lambda: told(facts={"no_value": ("ImageType",)}),
    "IMG-TYPE2": lambda: told(facts={"missing": ("KVP",)}),
    "IMG-CLASS": lambda: told(facts={"is_known": False}),
    "IMG-VALUE": lambda: told(facts={"misshapen": ("StudyDate",)}),
    "IMG-CHARSET": lambda: told(facts={"doubt": "it names no character set", "doubtful": ("PatientName",)}),
    "IMG-CHARSET-REPAIRED": lambda: told(facts={"charset": "GB18030"}),
    "IMG-BURNED": lambda: told(header(burned_in_annotation="YES"), destinations=("research",)),
    "IMG-BURNED-UNKNOWN": lambda: told(
        header(burned_in_annotation="", modality="US"), orders=with_order(modality=""), destinations=("research",)
    ),
}
# told where tags are changed: test_image_looking.py
BY_LOOKING = {"IMG-ALIGNED", "IMG-NOT-ALIGNED", "IMG-ORDER-LATER"}


def test_there_is_an_objection_of_every_rule():
    assert set(OBJECTIONS) | BY_LOOKING == {rule_id for rule_id in all_rules() if rule_id.startswith("IMG-")}


@pytest.mark.parametrize("rule_id", OBJECTIONS)
def test_each_rule_objects_to_what_it_is_about(rule_id):
    assert rule_id in OBJECTIONS[rule_id]()


def test_a_study_as_it_should_be_has_no_finding():
    assert told(header(1), header(2), expected=Expected("pacs", {"1.2.3.1": 2}, 2)) == set()
    assert told(destinations=("research",)) == set()
    assert told(header(image_laterality="L"), orders=with_order(laterality="B")) == set()
    assert told(header(modality="DX"), orders=with_order(modality="DR", laterality="")) == set()
    assert told(header(patient_age="046Y")) == set()


def test_names_in_two_scripts_are_not_compared():
    assert same_name("ZHANG^SAN", "张三") is None
    assert same_name("ZHANG^SAN=张^三", "张三") is True
    assert same_name("Zhang San", "ZHANG^SAN") is True
    assert same_name("张三", "张叁") is False
    assert compared(header(patient_id="P9", patient_name="ZHANG^SAN", patient_birth_date=""), ORDER).is_other
    assert not compared(header(patient_id="P9", patient_name="ZHANG^SAN"), ORDER).is_other  # the birth date agrees
    assert compared(header(patient_id="P9", patient_birth_date="19700101"), ORDER).is_other  # two differ


def test_what_an_order_cannot_say_in_dicom_is_told():
    long = values(
        header(), msgspec.structs.replace(ORDER, patient_name="张" * 70, patient_id="H\\1"), "", "", by_uid=False
    )
    assert len(cannot_write(long)) == 2
    assert values(header(), ORDER, "", "", by_uid=False) == {}


@pytest.mark.parametrize(
    ("vr", "good", "bad"),
    [
        ("DA", "20240229", "20230229"), ("TM", "235960.123456", "246060"), ("DT", "20261120101500+0800", "2026-11-20"),
        ("CS", "ORIGINAL\\PRIMARY", "Axial"), ("IS", "-12", "1.5"), ("DS", "1.5e-3", "0.1234567890123456"), ("UI", "1.2.3", "1.02.3"),
        ("AS", "045Y", "45Y"), ("SH", "x" * 16, "x" * 17), ("LO", "头" * 64, "头" * 65), ("PN", "张三=A=B", "A=B=C=D"),
    ],
)  # fmt: skip
def test_a_value_is_what_its_representation_allows(vr, good, bad):
    assert is_value(vr, good)
    assert is_value(vr, "")
    assert not is_value(vr, bad)


def test_a_deflate_bomb_is_a_finding_and_not_a_gigabyte():
    deflater = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(200)) + deflater.flush()

    facts = examine(meta(CT, "1.2.3.4", DEFLATED_LE) + bomb)

    assert f"more than {LARGEST_HEADER} bytes" in facts.problem


@given(st.binary(max_size=500))
def test_any_bytes_give_facts(noise):
    assert examine(noise).problem
    examine(meta(CT, "1.2.3.4", EXPLICIT_LE) + noise)


@given(st.integers(300, 1200), st.binary(min_size=1, max_size=4))
def test_a_slice_that_is_spoilt_somewhere_gives_facts(place, noise):
    raw = bytearray(ct_slice(1))
    raw[place : place + len(noise)] = noise
    facts = examine(bytes(raw[: len(raw)]))
    assert facts.problem or facts.header is not None

"""Misprints seen in the wild are read as what they mean and never written (README of the national tables)."""

import re

import pytest

from frontend_agent.formats import NotOurs, headline, kind_codes, load_kind
from frontend_agent.formats.misprints import meant
from frontend_agent.formats.tables import text
from tests.unit.test_kinds_roundtrip import ENVELOPE, full_record

PARTS = [code for code in kind_codes() if code.startswith("C")]
MISPRINTS = {
    "C0001": (b'code="DE04.50.010.00"', b'code="DE04.50.001.00"'),  # Rh under the code of the ABO group
    "C0033-139": (b'code="HDSD00.12.139"', b'code="HDSD00.12.1139"'),
    "C0033-oo": (b'code="HDSD00.12.099"', b'code="HDSDOO.12.099"'),
    "C0032": (b'code="HDSD00.11.142"', b'code="HDS00.11.142"'),
    "C0034-zero": (b'code="DE04.01.119.00"', b'code="DE04.01.0119.00"'),
    "C0039": (b'code="DE02.10.028.00"', b'code="DE02.10.28.00"'),
    "C0034-name": ('displayName="体温（℃）"'.encode(), 'displayName="体温 (℃)"'.encode()),
    "C0032-name": ('displayName="主任(副主任)医师"'.encode(), 'displayName="主任（副主任）医师"'.encode()),
    "C0002": (b'templateId root="2.16.156.10011.2.1.1.22"', b'templateId root="2.16.156.10011.2.1.1.21"'),
    "C0003": (b'templateId root="2.16.156.10011.2.1.1.23"', b'templateId root="2.16.156.10011.2.1.1.21"'),
}


@pytest.mark.parametrize("case", MISPRINTS)
def test_a_misprint_is_read_as_what_it_means(case):
    kind = load_kind(case.partition("-")[0])
    record = full_record(kind)
    right, wrong = MISPRINTS[case]
    document = kind.renderer()(record, ENVELOPE)
    assert right in document

    assert kind.reader(document.replace(right, wrong)) == record


def test_a_document_with_the_template_id_of_another_kind_is_not_read_as_that_kind():
    document = load_kind("C0002").renderer()(full_record(load_kind("C0002")), ENVELOPE)
    wrong = document.replace(b"2.16.156.10011.2.1.1.22", b"2.16.156.10011.2.1.1.21")
    with pytest.raises(NotOurs):
        load_kind("C0001").reader(wrong)
    assert headline(wrong).kind == "C0002"


@pytest.mark.parametrize("code", PARTS)
def test_no_kind_prints_a_misprint(code):
    template = text(f"{code}.xml")

    assert not re.findall(r"HDSDOO|HDSD00\.12\.1139|HDSB|从业状况\(个人身体\)", template)
    for printed in re.findall(r'code="((?:DE|HDSD)[^"]*)"', template):
        assert meant(printed) == printed
        assert re.fullmatch(r"DE\d\d\.\d\d\.\d{3}\.\d\d|HDSD00\.1[12]\.\d{3}", printed), printed
    # Three kinds name a section by a data element, under LOINC: that is how the standard prints them (sections.csv).
    entries = re.sub(r"<section>\s*<code [^>]*>", "", template)
    for printed, system in re.findall(r'code="(DE[^"]*)" codeSystem="([^"]*)"', entries):
        assert system == "2.16.156.10011.2.2.1", printed


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("DE01.00.0014.00", "DE01.00.014.00"),
        ("DE01.00.014.00", "DE01.00.014.00"),
        ("DE02.10.28.00", "DE02.10.028.00"),
        ("HDSDOO.12.099", "HDSD00.12.099"),
        ("HDSD00.12.1139", "HDSD00.12.139"),
        ("体温 （℃）", "体温(℃)"),
        ("48765-2", "48765-2"),
        ("", ""),
    ],
)
def test_what_a_key_means(written, means):
    assert meant(written) == means


def test_two_codes_of_a_kind_never_mean_the_same():
    for code in PARTS:
        printed = set(re.findall(r'code="((?:DE|HDSD)[^"]*)"', text(f"{code}.xml")))
        assert len({meant(one) for one in printed}) == len(printed)

"""What a person reads in the narrative: no raw flags, no quantities without a unit."""

from itertools import pairwise

import pytest
from lxml import etree

from frontend_agent.demo.samples import sample
from frontend_agent.formats import kind_codes, load_kind
from frontend_agent.model import Envelope
from frontend_agent.profiles import load_profile

NS = {"h": "urn:hl7-org:v3"}
PROFILE = load_profile("regional")


def cells(code: str, number: int = 7) -> list[str]:
    """The cells of all narratives of a sample."""
    kind = load_kind(code)
    document = kind.renderer(PROFILE.absences(kind), PROFILE.formats)(
        sample(kind, number), Envelope("A-1", "A", 1, "20260930081500")
    )
    found = etree.fromstring(document).iterfind(".//h:section/h:text//h:tr/*", NS)
    return ["".join(cell.itertext()) for cell in found]


@pytest.mark.parametrize("code", kind_codes())
def test_flags_are_words(code: str) -> None:
    flags = {field.name_zh for field in load_kind(code).fields if field.value_type == "BL"}
    told = cells(code)
    assert not {(label, value) for label, value in pairwise(told) if label in flags and value in ("true", "false")}


def test_a_quantity_has_its_unit() -> None:
    told = cells("C0020")
    assert told[told.index("使用呼吸机标志") + 1] in ("是", "否")
    assert "收缩压（mmHg）" in told
    assert "体温（℃）" in told  # the standard's own name says it once


def test_the_label_of_every_quantity_says_the_unit() -> None:
    for code in kind_codes():
        kind = load_kind(code)
        text = kind.renderer(PROFILE.absences(kind))(sample(kind), Envelope("A-1", "A", 1, "20260930081500")).decode()
        for section in kind.sections:
            for name in section.fields:
                field = kind.field(name)
                if field.unit and name in sample(kind):
                    says_it = field.unit in field.name_zh or field.name_zh.endswith("）")
                    assert says_it or f"<th>{field.name_zh}（{field.unit}）</th>" in text, (
                        code,
                        name,
                    )


def test_a_unit_is_not_said_twice() -> None:
    assert not [told for code in ("C0015", "C0016") for told in cells(code) if told.count("（") > 1]

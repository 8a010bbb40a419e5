"""Dates and times as a region wants them (R-VA-10): written its way, read back as digits."""

import re
from itertools import product

import pytest

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import headline, load_kinds, read_envelope
from frontend_agent.formats.stamps import DATES, TIMES, digits_of, stamp
from frontend_agent.model import Envelope
from frontend_agent.profiles import load_profile
from frontend_agent.profiles.profile import parse_profile
from tests.platform_kit import lab_record

ENVELOPE = Envelope(document_id="C0007-A-1", set_id="C0007-A", version=1, effective_time="20260930110203")
KIND = load_kinds()["C0007"]
FORMS = list(product(DATES, TIMES))


@pytest.mark.parametrize(("date", "datetime"), FORMS)
def test_every_form_reads_back_equal(date: str, datetime: str) -> None:
    record = lab_record()
    absences = load_profile("regional").absences(KIND)
    render = KIND.renderer(absences, {"date": date, "datetime": datetime})

    document = render(record, ENVELOPE)

    assert KIND.reader(document) == {name: value for name, value in record.items() if not name.startswith("fact.")}
    assert read_envelope(document) == ENVELOPE
    assert headline(document).authored_at == record["author.time"]


def test_a_time_is_written_as_the_region_wants_it() -> None:
    render = KIND.renderer(
        load_profile("regional").absences(KIND), {"date": "yyyy-MM-dd", "datetime": "yyyy-MM-ddTHH:mm:ss"}
    )
    document = render(lab_record(), ENVELOPE).decode()
    assert '<effectiveTime value="2026-09-30T11:02:03"/>' in document
    assert 'value="2026-09-30"' in document
    assert not re.search(r'(?:[tT]ime|low|high) value="\d{8,14}"', document)


def test_a_text_that_is_no_time_stays_as_it_is() -> None:
    written = stamp({"date": "yyyy-MM-dd", "datetime": "yyyyMMddTHHmmss"})
    assert written is not None
    assert [written(text) for text in (b"", b"2026", b"202609301102", b"noon....")] == [
        b"", b"2026", b"202609301102", b"noon....",
    ]  # fmt: skip
    assert digits_of("2026-09", 14) == "2026-09"


def test_a_profile_names_its_forms() -> None:
    site = parse_profile("site", 'extends = "regional"\n[formats]\ndatetime = "yyyyMMddTHHmmss"\n', "site.toml")
    assert site.formats == {"date": "yyyyMMdd", "datetime": "yyyyMMddTHHmmss"}


def test_an_unknown_form_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ConfigurationError, match=r"site\.toml: \[formats\] date = 'dd/mm'.*yyyy-MM-dd"):
        parse_profile("site", 'extends = "regional"\n[formats]\ndate = "dd/mm"\n', "site.toml")

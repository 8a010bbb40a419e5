"""A clean record of every kind goes through the whole pipe without a word: no rule complains, and it reads back equal."""

from datetime import date

import pytest

from frontend_agent.checks import compile_checks
from frontend_agent.demo.samples import sample
from frontend_agent.formats import headline, kind_codes, load_kind
from frontend_agent.model import Envelope, Severity
from frontend_agent.profiles import load_profile

PROFILE = load_profile("regional")


@pytest.mark.parametrize("code", kind_codes())
def test_no_rule_complains_of_a_clean_record_and_it_reads_back_equal(code):
    kind = load_kind(code)
    check = compile_checks(kind, PROFILE, lambda: date(2026, 11, 21))
    render = kind.renderer(PROFILE.absences(kind), PROFILE.formats)
    for number in range(1, 11):
        record = sample(kind, number)
        loud = [one for one in check(record, {}, ()) if one.severity is not Severity.NOTE]
        assert not loud, [(one.rule, one.field) for one in loud]
        whole, _ = PROFILE.complete(kind, record)
        document = render(whole, Envelope(f"{code}-X-{number}", f"{code}-X", 1, "20260930104500"))
        assert kind.reader(document) == whole
        head = headline(document)
        assert (head.kind, head.patient_name) == (code, record.get("patient.name", ""))


def test_a_sample_is_the_same_every_time_and_another_for_another_number():
    kind = load_kind("C0007")
    assert sample(kind, 3) == sample(kind, 3)
    assert sample(kind, 3) != sample(kind, 4)

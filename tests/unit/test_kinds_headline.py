"""What the registry reads of a document's header is what its record says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_kinds_roundtrip import OF_DOCUMENTS, everything, records, texts

from frontend_agent.formats import headline, load_kind, read_envelope
from frontend_agent.model import Envelope


@pytest.mark.parametrize(("code", "often"), OF_DOCUMENTS)
def test_the_headline_agrees_with_the_record(code, often):
    kind = load_kind(code)
    render = kind.renderer(everything(kind, "omit"))

    @often
    @given(
        record=records(kind),
        document_id=texts,
        set_id=texts,
        version=st.integers(1, 10**6),
        replaces=texts | st.just(""),
    )
    def check(record, document_id, set_id, version, replaces):
        envelope = Envelope(document_id, set_id, version, "20260930093000", replaces)
        document = render(record, envelope)
        head = headline(document)
        assert read_envelope(document) == envelope
        assert (head.document_id, head.set_id, head.version, head.kind) == (document_id, set_id, version, code)
        assert head.title == kind.title
        for said, name in (
            (head.institution_id, "institution.id"),
            (head.institution_name, "institution.name"),
            (head.patient_name, "patient.name"),
            (head.patient_id_number, "patient.id_number"),
            (head.outpatient_number, "patient.outpatient_number"),
            (head.inpatient_number, "patient.inpatient_number"),
            (head.sex, "patient.sex"),
            (head.birth_date, "patient.birth_date"),
            (head.author_name, "author.name"),
            (head.authored_at, "author.time"),
        ):
            assert said == record.get(name, ""), name

    check()

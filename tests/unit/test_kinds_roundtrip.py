"""What a kind renders, it reads back equal."""

import pytest

from frontend_agent.formats import Kind, headline, kind_codes, load_kind, read_envelope, value_set
from frontend_agent.model import Envelope, Record

ENVELOPE = Envelope(
    document_id="C0007-ABCDEFGHIJKLMNOPQRSTUVWXYZ-2",
    set_id="C0007-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    version=2,
    effective_time="20260930093000",
    replaces_id="C0007-ABCDEFGHIJKLMNOPQRSTUVWXYZ-1",
)
SAMPLES = {"TS": "20260930081500", "BL": "true", "REAL": "5.62", "PQ": "3", "INT": "1", "MO": "36.50"}


def full_record(kind: Kind, rows: int = 2) -> Record:
    """A record with every field of a kind."""
    record: Record = {}
    for field in kind.fields:
        codes = value_set(field.value_set) if field.value_set else None
        value = "20260930" if field.format == "D8" else SAMPLES.get(field.value_type, f"样例{field.name_zh}")
        if codes is not None and codes.complete:
            value = next(iter(codes)).code
        if field.group:
            group = record.setdefault(field.group, [{} for _ in range(rows)])
            for row in group:
                row[field.key] = value
        else:
            record[field.name] = value
    return record


@pytest.mark.parametrize("code", kind_codes())
def test_a_full_record_reads_back_equal(code):
    kind = load_kind(code)
    record = full_record(kind)

    document = kind.renderer()(record, ENVELOPE)

    assert kind.reader(document) == record
    assert read_envelope(document) == ENVELOPE
    assert headline(document).kind == code

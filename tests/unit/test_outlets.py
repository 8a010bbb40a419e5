"""What an outlet is given: documents opened, their records read back, what the settings say."""

import msgspec
import pytest

from connectors.outlets import Around, DocumentUnreadable, all_of, each
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.formats import load_kind
from frontend_agent.model import AS_IS, Document, Envelope, Outcome, Receipt
from frontend_agent.outlets import event_time, opener
from frontend_agent.packs.content import content_of
from frontend_agent.wire.frames import compressor
from tests.unit import records
from tests.unit.pipe import document

KIND = load_kind("C0007")


def made(record: dict[str, object] | None = None) -> Document:
    record = record or records.clean("C0007")
    own = {name: value for name, value in record.items() if not name.startswith("fact.")}
    content = KIND.renderer()(own, Envelope("a-1", "a", 1, "20260930120000"))
    return msgspec.structs.replace(
        document("a"),
        kind=KIND.code,
        frame=compressor(KIND.dictionary).compress(content),
        size=len(content),
        dictionary=KIND.dictionary_sha256,
    )


def known(name: str) -> bytes | None:
    return KIND.dictionary if name == KIND.dictionary_sha256 else None


def test_a_document_is_opened_with_its_dictionary_and_read_back() -> None:
    opened = opener(content_of(None), known)(made())

    assert opened.content.startswith(b"<?xml") or opened.content.startswith(b"<Clinical")
    assert opened.record["report_number"] == records.clean("C0007")["report_number"]
    assert opened.kind_name == KIND.name_zh
    assert opened.event_time == records.clean("C0007")["author.time"]


def test_what_cannot_be_opened_counts_against_that_document_alone() -> None:
    open_one = opener(content_of(None), lambda name: None)
    good, bad = msgspec.structs.replace(made(), dictionary="", frame=b"x"), made()

    def send(one: Document) -> Receipt:
        open_one(one)
        return Receipt(one.document_id, Outcome.ACCEPTED)

    for one in (good, bad):
        (receipt,) = each([one], send)
        assert receipt.outcome is Outcome.REFUSED
        assert receipt.reasons
    with pytest.raises(DocumentUnreadable, match="dictionary"):
        open_one(bad)


def test_a_hospitals_own_document_that_we_cannot_read_still_travels() -> None:
    content = b"<ClinicalDocument xmlns='urn:hl7-org:v3'/>"
    own = msgspec.structs.replace(
        made(), digests=AS_IS, frame=compressor().compress(content), size=len(content), dictionary=""
    )

    opened = opener(content_of(None), known)(own)

    assert (opened.record, opened.event_time, opened.content) == ({}, "", content)
    with pytest.raises(DocumentUnreadable, match="C0007"):
        opener(content_of(None), known)(msgspec.structs.replace(own, digests=""))


def test_the_event_is_what_happened_not_when_somebody_wrote_of_it() -> None:
    assert event_time({"author.time": "20260930", "encounter.discharged_at": "20260929"}) == "20260929"
    assert event_time({}) == ""


def test_one_answer_for_all() -> None:
    receipts = all_of([made(), made()], Outcome.RETRY, "busy")
    assert [(one.outcome, one.reasons) for one in receipts] == [(Outcome.RETRY, ("busy",))] * 2


def test_who_is_only_probed_remembers_nothing() -> None:
    around = Around(opened=opener(content_of(None), known), secret=str, clock=lambda: pytest.fail("no clock"))
    around.memory.put("x", "1")
    assert around.memory.get("x") == "1"


def test_a_destination_of_a_type_nobody_knows_names_those_there_are() -> None:
    with pytest.raises(ConfigurationProblems) as wrong:
        parse_config('[destinations.region]\ntype = "fax"\nurl = "https://r"\n')
    assert any("destinations.region.type: unknown type 'fax'" in one for one in wrong.value.problems)

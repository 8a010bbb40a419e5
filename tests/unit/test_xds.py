"""XDS.b: a document with its metadata to a repository (ITI-41), what is answered, and what its registry knows (ITI-18)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.outlets.mtom import envelope_in, packed
from connectors.outlets.xds import XdsEdge
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.config_outlets import XdsOutlet, url_problems
from frontend_agent.dialect_makers import metadata
from frontend_agent.dialects.ebxml import Fault, Unreadable, read_answer, read_documents
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed, RefusedWhole
from frontend_agent.model import Document, Outcome
from tests.unit.opened_documents import CONTENT, a_document, around, open_one
from tests.unit.xds_peer import NS, XdsPeer, failure, fault, response, slot, soap, xds_peer

CODES = """
[defaults]
confidentiality  = ["N", "2.16.840.1.113883.5.25", "正常"]
facility         = ["A100", "2.16.156.10011.2.3.4.1", "综合医院"]
practice_setting = ["01", "2.16.156.10011.2.3.1.1", "全科"]
content_type     = ["1", "2.16.156.10011.2.3.1.2", "医疗文书"]
[kinds.C0007]
format = ["urn:region:c0007", "1.3.6.1.4.1.19376.1.2.3", "检验报告"]
"""


@pytest.fixture
def peer() -> Iterator[XdsPeer]:
    with xds_peer() as running:
        yield running


def edge_to(peer: XdsPeer, folder: Path, codes: str = CODES, **changes: Any) -> XdsEdge:
    (folder / "codes.toml").write_text(codes, "utf-8")
    settings: dict[str, Any] = {
        "type": "xds",
        "url": peer.url,
        "codes": str(folder / "codes.toml"),
        "source_id": "1.2.3.4",
        "assigning_authority": "1.2.3.5",
    }
    options = XdsOutlet(**(settings | changes))
    given = around()
    return XdsEdge("region", options, given, metadata("region", options, CONTENT, lambda feed: {}, given))


def lab(number: int = 1, version: int = 1, **changes: Any) -> Document:
    return a_document("C0007", number, version, **changes)


def one(edge: XdsEdge, document: Document) -> tuple[Outcome, tuple[str, ...]]:
    (receipt,) = edge.send([document])
    return receipt.outcome, receipt.reasons


@pytest.mark.parametrize("attach", ["mtom", "base64"])
def test_a_document_arrives_whole_with_metadata_that_the_schema_takes(
    peer: XdsPeer, tmp_path: Path, attach: str
) -> None:
    document = lab(patient__inpatient_number=None, patient__outpatient_number="MZ7", author__time="20260302140700")
    assert one(edge_to(peer, tmp_path, attach=attach), document) == (Outcome.ACCEPTED, ())

    ((digest, size, entry),) = peer.registered.values()
    opened = open_one(document)
    assert size == len(opened.content)
    assert digest == slot(entry, "hash")[0]
    assert slot(entry, "creationTime") == ["20260302060700"]  # UTC
    assert slot(entry, "sourcePatientId") == ["MZ7^^^&1.2.3.5&ISO"]
    assert not slot(entry, "sourcePatientInfo")  # only where the site asks for it
    codes = {c.get("nodeRepresentation") for c in entry.iterfind("r:Classification", NS)}
    assert {"C0007", "N", "A100", "01", "urn:region:c0007"} <= codes
    assert peer.types[0].startswith("multipart/related" if attach == "mtom" else "application/soap+xml")
    header = peer.envelopes[0].find("s:Header", NS)
    assert header.findtext("a:Action", namespaces=NS) == "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
    assert header.findtext("a:To", namespaces=NS) == peer.url
    assert header.findtext("a:MessageID", namespaces=NS).startswith("urn:uuid:")


def test_the_next_version_replaces_the_one_before(peer: XdsPeer, tmp_path: Path) -> None:
    edge = edge_to(peer, tmp_path)
    assert one(edge, lab())[0] is Outcome.ACCEPTED
    (first,) = (entry.get("id") for _, _, entry in peer.registered.values())
    assert one(edge, lab(version=2))[0] is Outcome.ACCEPTED
    assert peer.deprecated == {first}


def test_a_version_whose_predecessor_is_not_there_is_refused_with_the_reason(peer: XdsPeer, tmp_path: Path) -> None:
    outcome, reasons = one(edge_to(peer, tmp_path), lab(version=2))
    assert outcome is Outcome.REFUSED
    assert reasons[0].startswith("UnresolvedReferenceException: urn:uuid:")


def test_the_same_again_is_there_already(peer: XdsPeer, tmp_path: Path) -> None:
    edge = edge_to(peer, tmp_path, registry_url=peer.url)
    one(edge, lab())
    assert one(edge, lab())[0] is Outcome.ACCEPTED
    assert len(peer.registered) == 1


def test_another_document_under_our_id_is_not_ours(peer: XdsPeer, tmp_path: Path) -> None:
    edge = edge_to(peer, tmp_path, registry_url=peer.url)
    one(edge, lab())
    outcome, reasons = one(edge, lab(patient__name="另一人"))
    assert outcome is Outcome.REFUSED
    assert "another document" in reasons[-1]
    (told,) = edge.ask([lab(patient__name="另一人")])
    assert not told.stored


def test_the_registry_confirms_by_hash_and_is_silent_about_what_it_lacks(peer: XdsPeer, tmp_path: Path) -> None:
    edge = edge_to(peer, tmp_path, registry_url=peer.url)
    one(edge, lab(1))
    (told,) = edge.ask([lab(1), lab(2)])
    assert (told.document_id, told.stored) == ("C0007-1-1", True)
    assert edge.asks_every is not None
    assert edge_to(peer, tmp_path).asks_every is None
    edge.probe()


@pytest.mark.parametrize(
    ("body", "outcome", "reasons"),
    [
        (failure(("XDSUnknownPatientId", "MZ7"), ("XDSMissingDocument", "x")), Outcome.REFUSED,
         ("XDSUnknownPatientId: MZ7", "XDSMissingDocument: x")),
        (failure(("urn:ihe:XDSRepositoryBusy", "")), Outcome.RETRY, ("XDSRepositoryBusy",)),
        (failure(("XDSRepositoryBusy", ""), ("XDSUnknownPatientId", "")), Outcome.REFUSED,
         ("XDSRepositoryBusy", "XDSUnknownPatientId")),
        (failure(), Outcome.REFUSED, ("Failure without a reason",)),
        (response("PartialSuccess", ("XDSRegistryMetadataError", "y")), Outcome.REFUSED, ("XDSRegistryMetadataError: y",)),
        (response("Success", ("XDSExtraMetadataNotSaved", ""), warning=True), Outcome.ACCEPTED,
         ("XDSExtraMetadataNotSaved",)),
        (response("Success", ("XDSRegistryMetadataError", "z")), Outcome.REFUSED, ("XDSRegistryMetadataError: z",)),
        (fault("Receiver", "database down"), Outcome.RETRY, ("fault: database down",)),
    ],
)  # fmt: skip
def test_an_answer_means_what_it_says(
    peer: XdsPeer, tmp_path: Path, body: bytes, outcome: Outcome, reasons: tuple[str, ...]
) -> None:
    peer.answers.append((500 if b"Fault" in body else 200, "application/soap+xml", body))
    assert one(edge_to(peer, tmp_path), lab()) == (outcome, reasons)


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (500, fault("Sender", "schema"), RefusedWhole),
        (413, b"too large", RefusedWhole),
        (403, b"", NotAllowed),
        (415, b"no MTOM here", NotAllowed),
    ],
)
def test_what_is_refused_whole_or_not_allowed_is_raised(
    peer: XdsPeer, tmp_path: Path, status: int, body: bytes, raised: type[Exception]
) -> None:
    peer.answers.append((status, "text/html", body))
    with pytest.raises(raised):
        edge_to(peer, tmp_path).send([lab()])


@pytest.mark.parametrize("body", [b"", b"<html/>", b"<!DOCTYPE x [<!ENTITY y 'z'>]><x>&y;</x>", b"AA", soap(b"")])
def test_a_200_that_nobody_can_read_is_no_answer(peer: XdsPeer, tmp_path: Path, body: bytes) -> None:
    peer.answers.append((200, "application/soap+xml", body))
    assert one(edge_to(peer, tmp_path), lab())[0] is Outcome.UNANSWERED


def test_answers_that_come_in_parts_are_read(peer: XdsPeer, tmp_path: Path) -> None:
    beside = packed(response("Success"), "urn:x", "c@x", b"beside", "text/plain")
    peer.answers.append((200, beside.content_type, beside.body))
    assert one(edge_to(peer, tmp_path), lab())[0] is Outcome.ACCEPTED
    for broken in ('multipart/related; boundary="x"', "multipart/related"):
        with pytest.raises(ValueError, match="parts"):
            envelope_in(broken, b"nothing")


def test_what_must_be_said_and_is_not_known_is_refused_with_the_mend(peer: XdsPeer, tmp_path: Path) -> None:
    def reason(document: Document, codes: str = CODES) -> str:
        outcome, (said,) = one(edge_to(peer, tmp_path, codes), document)
        assert outcome is Outcome.REFUSED
        return said

    assert "format" in reason(lab(), CODES.replace("[kinds.C0007]", "[kinds.C0002]"))
    assert "patientId" in reason(lab(patient__inpatient_number=None, patient__outpatient_number=None))
    assert "withdrawal" in reason(lab(void=True))
    assert "no time" in reason(lab(author__time="20260230250000"))
    assert not peer.envelopes


def test_person_and_separators_in_the_metadata(peer: XdsPeer, tmp_path: Path) -> None:
    document = lab(patient__name="张^三|A", patient__sex="2", author__name="李&四")
    one(edge_to(peer, tmp_path, patient_info=True, unique_id="oid"), document)
    ((unique, (_, _, entry)),) = peer.registered.items()

    info = slot(entry, "sourcePatientInfo")
    assert "PID-5|张 三 A" in info
    assert "PID-8|F" in info
    assert unique.startswith("2.25.")
    assert "李 四" in etree.tostring(entry, encoding="unicode")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("confidentiality ", "confidentialty ", "did you mean 'confidentiality'"),
        ('["N", "2.16.840.1.113883.5.25", "正常"]', '["N"]', 'confidentiality = ["code"'),
        ("[kinds.C0007]", "[kinds.C9999]", "C9999"),
    ],
)
def test_a_table_of_codes_that_is_wrong_is_told(
    peer: XdsPeer, tmp_path: Path, before: str, after: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        edge_to(peer, tmp_path, CODES.replace(before, after))
    assert said in str(wrong.value)


def test_settings_that_cannot_work_are_told() -> None:
    with pytest.raises(ConfigurationProblems) as wrong:
        parse_config(
            '[destinations.r]\ntype = "xds"\nurl = "https://r"\nregistry_url = "ftp://r"\ncodes = "c.toml"\n'
            'source_id = "hospital"\nassigning_authority = "1.2.3"\n'
        )
    told = "\n".join(wrong.value.problems)
    assert "source_id = 'hospital' is no OID" in told
    assert "registry_url is not an http" in told
    assert "assigning_authority" not in told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('type = "table"\nurl = "postgresql://u:s3cret@h:abc/x"\ntables = "t.toml"', "url is not an address"),
        ('type = "table"\nurl = "postgresql://[::1/x"\ntables = "t.toml"', "url is not an address"),
        ('type = "packages"\nurl = "https://h"\ninner_version = "1"\nkey_path = "/{orgg}"', "key_path: '{orgg}'"),
        ('type = "packages"\nurl = "https://h"\ninner_version = "1"\nstatus_filter = "{md5};{"', "status_filter: '{'"),
    ],
)
def test_what_would_break_later_is_told_at_the_start(settings: str, told: str) -> None:
    with pytest.raises(ConfigurationProblems) as wrong:
        parse_config(
            f'[institution]\nid = "H1"\nname = "x"\n[sources.his]\nurl = "sqlite:///x.db"\n[destinations.r]\n{settings}\n'
            '[[feeds]]\nname = "lab"\nsource = "his"\nmapping = "demo_lis/lab_report"\n'
        )
    (problem,) = wrong.value.problems
    assert told in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize("url", ["https://fe:s3cret@region.example/in", "https://fe@region.example"])
def test_a_password_in_an_address_is_refused_and_not_quoted(url: str) -> None:
    assert list(url_problems(url)) == [
        'url holds a user or a password; name it instead: secret = "…", and keep it outside this file'
    ]


def test_a_registry_that_fails_is_no_answer_about_documents(peer: XdsPeer, tmp_path: Path) -> None:
    edge = edge_to(peer, tmp_path, registry_url=peer.url)
    peer.answers.append((500, "application/soap+xml", fault("Receiver", "x")))
    with pytest.raises(DestinationUnreachable):
        edge.ask([lab()])


def test_faults_of_soap_1_1_are_understood_too() -> None:
    old = (
        b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:Server</faultcode>'
        b"<faultstring>busy</faultstring></e:Fault></e:Body></e:Envelope>"
    )
    assert read_answer(old) == Fault("Receiver", "busy")
    with pytest.raises(Unreadable, match="busy"):
        read_documents(old)

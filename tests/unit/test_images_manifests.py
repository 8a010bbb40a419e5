"""Key image notes, and manifests of studies to a document repository (XDS-I)."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest

from frontend_agent.config import Config, InstitutionConfig
from frontend_agent.config_images import ManifestOutlet
from frontend_agent.delivery import State
from frontend_agent.dicom.part10 import meta
from frontend_agent.errors import ConfigurationError, RefusedWhole
from frontend_agent.imaging.making import Made
from frontend_agent.imaging.manifests import Manifests, manifests
from frontend_agent.imaging.model import ImageDelivery, Settled
from frontend_agent.imaging.notes import REFERRAL, NoNote, Retrieve, key_note, manifest
from frontend_agent.imaging.noting import keep_note
from frontend_agent.imaging.outlets import OutletHands
from frontend_agent.imaging.pausing import pause_name
from frontend_agent.imaging.reports import CommitmentReports
from frontend_agent.imaging.sending import StudySender
from tests.study_kit import Kept
from tests.unit.xds_peer import XdsPeer, fault, slot, xds_peer

ONE = "1.2.3.1"
INSTITUTION = InstitutionConfig(id="H1", name="第一人民医院")
AT = "20260305160000"
CODES = """[defaults]
class = ["IMG", "1.2.3", "影像"]
type = ["CT", "1.2.3", "CT"]
confidentiality = ["N", "2.16.840.1.113883.5.25", "正常"]
facility = ["A1", "2.16.156.10011.2.3.4.1", "综合医院"]
practice_setting = ["01", "2.16.156.10011.2.3.1.1", "放射科"]
content_type = ["1", "2.16.156.10011.2.3.1.2", "医疗文书"]
"""


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Kept(tmp_path / "state") as kept:
        for number in (1, 2):
            kept.send(ONE, number)
        kept.send(ONE, 1, series=f"{ONE}.7", modality="SR")
        yield kept


@pytest.fixture
def peer() -> Iterator[XdsPeer]:
    with xds_peer() as peer:
        yield peer


def delivery(kept: Kept, destination: str = "xds") -> ImageDelivery:
    study = kept.book.study_of(ONE)
    assert study is not None
    return ImageDelivery(
        study=study, destination=destination, instances=tuple(kept.book.instances(study.id)), attempts=1
    )


def read(made: Made) -> pydicom.Dataset:
    file = meta(made.sop_class_uid, made.sop_instance_uid, made.transfer_syntax_uid) + made.head
    return pydicom.dcmread(io.BytesIO(file))


def outlet(kept: Kept, peer: XdsPeer, tmp_path: Path, *, codes: str = CODES, **more: Any) -> Manifests:
    config = Config(institution=INSTITUTION)
    hands = OutletHands(
        config=config, book=kept.book, desk=kept.desk, clock=kept.clock, secret=str, has_day=lambda day, days: True, reports=CommitmentReports(),
        memory=kept.spool.meta, state=tmp_path,
    )  # fmt: skip
    return manifests("xds", options(peer, tmp_path, codes=codes, **more), hands)


def options(peer: XdsPeer, tmp_path: Path, *, codes: str = CODES, **more: Any) -> ManifestOutlet:
    (tmp_path / "codes.toml").write_text(codes, "utf-8")
    return ManifestOutlet(
        type="xds-i", url=f"{peer.url}/xds", codes=str(tmp_path / "codes.toml"), source_oid="1.2.156.1", patient_root="1.2.156.2",
        **{"retrieve_url": "https://region/dicom-web", "retrieve_ae": "REGION", **more},
    )  # fmt: skip


def sent(edge: Manifests, delivery: ImageDelivery) -> list[Settled]:
    settled: list[Settled] = []
    edge.send(delivery, lambda instance: Path("/nowhere"), settled.extend)
    return settled


# --- notes ------------------------------------------------------------------------------------------------------------


def test_a_note_chooses_images_of_a_study_and_says_why(kept: Kept) -> None:
    whole = delivery(kept).instances
    chosen = [whole[1].header.sop_instance_uid]
    data = read(key_note(whole, chosen, REFERRAL, "右肺上叶结节", "第一人民医院", AT))

    assert (data.Modality, data.StudyInstanceUID, data.PatientID, str(data.PatientName)) == ("KO", ONE, "P1", "测试")
    assert data.ConceptNameCodeSequence[0].CodeValue == "113002"
    assert [item.ValueType for item in data.ContentSequence] == ["TEXT", "IMAGE"]
    assert data.ContentSequence[0].TextValue == "右肺上叶结节"
    assert data.ContentSequence[1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == chosen[0]
    evidence = data.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert [one.ReferencedSOPInstanceUID for series in evidence for one in series.ReferencedSOPSequence] == chosen
    assert (
        key_note(whole, chosen, REFERRAL, "右肺上叶结节", "第一人民医院", AT).head
        == key_note(whole, chosen, REFERRAL, "右肺上叶结节", "第一人民医院", AT).head
    )


@pytest.mark.parametrize(
    ("chosen", "title", "said"),
    [(["9.9"], REFERRAL, "9.9"), ([], REFERRAL, "no instance"), (None, "nice", "unknown title")],
)
def test_a_note_of_nothing_is_refused(kept: Kept, chosen: list[str] | None, title: str, said: str) -> None:
    whole = delivery(kept).instances
    with pytest.raises(NoNote, match=said):
        key_note(whole, [whole[0].header.sop_instance_uid] if chosen is None else chosen, title, "", "H", AT)


def test_a_manifest_names_every_instance_and_where_it_is(kept: Kept) -> None:
    data = read(
        manifest(delivery(kept).instances, "H", AT, Retrieve("REGION", "1.2.156.9", "https://region/dicom-web/"))
    )
    series = data.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert [len(one.ReferencedSOPSequence) for one in series] == [2, 1]
    assert {one.RetrieveURL for one in series} == {
        f"https://region/dicom-web/studies/{ONE}/series/{uid}" for uid in (f"{ONE}.1", f"{ONE}.7")
    }
    assert {(one.RetrieveAETitle, one.RetrieveLocationUID) for one in series} == {("REGION", "1.2.156.9")}
    assert data.ConceptNameCodeSequence[0].CodeValue == "113030"
    assert len(data.ContentSequence) == 3


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_dicom3tools_finds_no_error(kept: Kept, tmp_path: Path) -> None:
    whole = delivery(kept).instances
    for made in (
        manifest(whole, "H", AT, Retrieve("REGION", "", "")),
        key_note(whole, [whole[0].header.sop_instance_uid], REFERRAL, "seen", "H", AT),
    ):
        path = tmp_path / "made.dcm"
        path.write_bytes(meta(made.sop_class_uid, made.sop_instance_uid, made.transfer_syntax_uid) + made.head)
        told = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False, errors="replace").stderr
        assert [line for line in told.splitlines() if line.startswith("Error") and "character" not in line] == []


# --- XDS-I ------------------------------------------------------------------------------------------------------------


def test_a_study_is_one_document_and_a_changed_study_replaces_it(kept: Kept, peer: XdsPeer, tmp_path: Path) -> None:
    edge = outlet(kept, peer, tmp_path)
    edge.probe()
    assert {one.state for one in sent(edge, delivery(kept))} == {State.ACCEPTED}
    ((first, (_, _, entry)),) = peer.registered.items()
    assert entry.get("mimeType") == "application/dicom"
    assert slot(entry, "urn:ihe:iti:xds:2013:referenceIdList") == ["A1^^^&1.2.156.2&ISO^urn:ihe:iti:xds:2013:accession"]
    codes = {one.get("nodeRepresentation") for one in entry.iterfind("{*}Classification")}
    assert {"CT", "SR", "1.2.840.10008.5.1.4.1.1.88.59", "IMG"} <= codes

    assert {one.state for one in sent(edge, delivery(kept))} == {State.ACCEPTED}
    assert len(peer.registered) == 1  # nothing has changed: nothing is submitted

    kept.send(ONE, 3)
    assert {one.state for one in sent(edge, delivery(kept))} == {State.ACCEPTED}
    assert len(peer.registered) == 2
    assert peer.deprecated == {entry.get("id")}
    assert edge.told()["replaced"] == 1
    assert first in peer.registered


def test_the_registry_proves_it(kept: Kept, peer: XdsPeer, tmp_path: Path) -> None:
    edge = outlet(kept, peer, tmp_path, registry_url=f"{peer.url}/registry")
    assert edge.prove(delivery(kept)) == ()
    sent(edge, delivery(kept))
    proven = edge.prove(delivery(kept))
    assert {one.state for one in proven} == {State.DELIVERED}
    assert all(one.proof.startswith("registry, SHA-1 ") for one in proven)
    peer.registered.clear()
    assert edge.prove(delivery(kept)) == ()
    assert outlet(kept, peer, tmp_path).prove(delivery(kept)) == ()  # nobody may be asked


def test_it_waits_until_the_images_are_where_it_says_and_that_is_no_failure(
    kept: Kept, peer: XdsPeer, tmp_path: Path
) -> None:
    kept.book.rules = kept.book.rules._replace(after={"xds": "region"})
    edge = outlet(kept, peer, tmp_path, after="region")
    sender = StudySender("xds", options(peer, tmp_path), edge, kept.book, kept.spool, kept.clock, "Asia/Shanghai")
    assert kept.checked(delivery(kept).study, "region", "xds")
    other = "1.2.3.9"
    kept.send(other, 1)
    there = kept.book.study_of(other)
    assert there is not None
    assert kept.checked(there, "xds")  # another study, which has to wait for nobody

    assert sender.send_once() == 1
    assert sender.send_once() == 0
    assert len(peer.registered) == 1
    assert kept.spool.pause(pause_name("xds")).failures == 0

    proven(kept, "region")
    assert sender.send_once() == 3
    assert len(peer.registered) == 2
    assert kept.book.stands(delivery(kept).study.id)["xds"] == {"accepted": 3}
    assert kept.spool.pause(pause_name("xds")).failures == 0


def proven(kept: Kept, destination: str) -> None:
    claimed = kept.book.claim(destination, kept.clock(), limit=10, max_bytes=1 << 40, lease=timedelta(hours=1))
    assert claimed is not None
    settled = [Settled(one.id, State.DELIVERED, proof="qido") for one in claimed.instances]
    kept.book.settle(destination, settled, kept.clock())


def test_what_the_repository_says_settles_all_of_the_study(kept: Kept, peer: XdsPeer, tmp_path: Path) -> None:
    edge = outlet(kept, peer, tmp_path)
    peer.answers.append((503, "text/plain", b""))
    assert {one.state for one in sent(edge, delivery(kept))} == {State.WAITING}
    peer.answers.append((500, "application/soap+xml", fault("Sender", "no")))
    with pytest.raises(RefusedWhole):
        sent(edge, delivery(kept))
    assert {one.state for one in sent(edge, delivery(kept))} == {State.ACCEPTED}


def test_codes_that_lack_something_are_told(kept: Kept, peer: XdsPeer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="practice_setting"):
        outlet(kept, peer, tmp_path, codes=CODES.replace("practice_setting", "# "))


def test_a_note_travels_with_its_study(kept: Kept) -> None:
    study = delivery(kept).study
    chosen = [delivery(kept).instances[0].header.sop_instance_uid]
    uid = keep_note(kept.book, kept.desk, study, chosen, REFERRAL, "看这里", INSTITUTION, kept.clock(), "li")
    (note,) = [one for one in delivery(kept).instances if one.header.modality == "KO"]
    assert (note.header.sop_instance_uid, note.sender, note.header.patient_id) == (uid, "li", "P1")
    with pytest.raises(ConfigurationError, match="no instance of this study"):
        keep_note(kept.book, kept.desk, study, ["9.9"], REFERRAL, "", INSTITUTION, kept.clock(), "li")

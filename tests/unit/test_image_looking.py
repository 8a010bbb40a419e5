"""Looking at a study: complete or not, whose it is, what it is sent as, why it is held. With files, and the child that reads them."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import pydicom
import pytest

from frontend_agent.checks.catalogue import describe
from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import DicomOutlet, ImagesConfig, OrdersConfig
from frontend_agent.dicom.header import read_header
from frontend_agent.dicom.part10 import read_meta
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from frontend_agent.errors import ConfigurationError, SpoolFull
from frontend_agent.imaging.examining import Examiner
from frontend_agent.imaging.looking import Looking
from frontend_agent.imaging.model import Checked, Expected, Instance, Order, Study, StudyState
from frontend_agent.instance_files import Incoming, InstanceFiles
from frontend_agent.model import Severity
from tests.image_samples import ct_slice

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOSPITAL = InstitutionConfig(id="45601", name="第一医院")
ORDER = Order(
    key="E1", study_instance_uid="1.2.3", patient_id="H100", patient_name="张三", sex="1", birth_date="19800101"
)
WITH_ORDERS = {"orders": OrdersConfig(source="ris", mapping="demo_ris/orders")}
ONE_SERIES = Expected("pacs", {"1.2.3.1": 3}, 3)


class Bench:
    """A study on disk, and a look at it."""

    def __init__(self, folder: Path, examiner: Examiner) -> None:
        self.examiner = examiner
        self.files = InstanceFiles(folder / "images").open()
        self.instances: list[Instance] = []
        self.paths: dict[int, Path] = {}
        self.orders: list[Order] = []
        self.study = Study(
            id=7, study_instance_uid="1.2.3", institution="45601", inlet="pacs", state=StudyState.COLLECTING, first_at=NOW,
            last_at=NOW, due_at=None, series=1, instances=0, size=0,
        )  # fmt: skip

    def add(self, raw: bytes, *, conflict: bool = False) -> Instance:
        found = read_meta(raw)
        number = len(self.instances) + 1
        path = self.files.root / f"{number}.dcm"
        path.write_bytes(raw)
        self.paths[number] = path
        digest = sha256(raw).hexdigest()
        self.instances.append(
            Instance(
                id=number,
                study=7,
                header=read_header(raw, found.transfer_syntax_uid, found.data_set_at),
                sha256=digest,
                size=len(raw),
                sent_sha256=digest,
                sent_size=len(raw),
                inlet="pacs",
                sender="PACS1@10.0.0.9",
                received_at=NOW,
                is_conflict=conflict,
            )
        )
        return self.instances[-1]

    def find(self, *, study_instance_uid: str = "", accession_number: str = "", key: str = "") -> Sequence[Order]:
        return [
            one
            for one in self.orders
            if (study_instance_uid and one.study_instance_uid == study_instance_uid)
            or (accession_number and one.accession_number == accession_number)
            or (key and one.key == key)
        ]

    def look(self, now: datetime = NOW, **images) -> Checked:
        looking = Looking(ImagesConfig(**images), HOSPITAL, lambda: now, self.examiner)
        return looking.look(self.study, self.instances, lambda one: self.paths[one.id], self.find, self.files.begin)

    def sent(self, checked: Checked, instance: int = 1) -> pydicom.Dataset:
        [one] = [one for one in checked.rewritten if one.instance == instance]
        raw = self.files.incoming(one.token).read_bytes()
        assert (sha256(raw).hexdigest(), len(raw)) == (one.sha256, one.size)
        return pydicom.dcmread(io.BytesIO(raw))


@pytest.fixture(scope="module")
def examiner() -> Iterator[Examiner]:
    made = Examiner()
    yield made
    made.close()


@pytest.fixture
def bench(tmp_path: Path, examiner: Examiner) -> Bench:
    return Bench(tmp_path, examiner)


def rules(checked: Checked, severity: Severity | None = None) -> set[str]:
    return {one.rule for one in checked.findings if severity in (None, one.severity)}


def held_by(checked: Checked) -> set[str]:
    return rules(checked, Severity.HOLD)


def test_a_whole_study_of_its_patient_passes_and_is_aligned(bench):
    for number in (1, 2, 3):
        bench.add(ct_slice(number, PatientID="P1", PatientName="ZHANG^SAN"))
    bench.orders, bench.study = [ORDER], msgspec.structs.replace(bench.study, expected=ONE_SERIES)

    checked = bench.look(**WITH_ORDERS, issuer_of_patient_id="HIS", assigning_oid="2.16.156.1")

    assert not checked.held
    assert not held_by(checked)
    assert checked.order == ORDER
    assert checked.seen == 3
    assert len(checked.rewritten) == 3
    dataset = bench.sent(checked)
    assert (dataset.PatientID, str(dataset.PatientName), dataset.IssuerOfPatientID) == ("H100", "ZHANG^SAN=张三", "HIS")
    assert dataset.InstitutionName == "第一医院"
    assert dataset.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "2.16.156.1"
    [original] = dataset.OriginalAttributesSequence
    assert original.ModifiedAttributesSequence[0].PatientID == "P1"
    assert original.SourceOfPreviousValues == "PACS1"
    assert original.ModifyingSystem == "FRONTEND_AGENT 45601"
    [aligned] = [one for one in checked.findings if one.rule == "IMG-ALIGNED"]
    assert aligned.arguments == ("InstitutionName, PatientName, PatientID, IssuerOfPatientID", "3")


@pytest.mark.parametrize("syntax", [EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE])
def test_it_is_aligned_in_every_transfer_syntax(bench, syntax):
    bench.add(ct_slice(1, syntax=syntax))
    bench.orders = [ORDER]

    dataset = bench.sent(bench.look())

    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert (str(dataset.PatientName), dataset.PatientID) == ("张三", "H100")
    assert len(dataset.PixelData) == 8 * 8 * 2


def test_an_instance_in_which_nothing_changes_keeps_its_bytes(bench):
    bench.add(ct_slice(1, charset="GB18030", PatientName="张三", PatientID="H100", InstitutionName="第一医院"))
    bench.orders = [ORDER]

    assert bench.look().rewritten == []


def test_looking_twice_makes_the_same_bytes(bench):
    bench.add(ct_slice(1))
    bench.orders = [ORDER]

    assert bench.look().rewritten[0].sha256 == bench.look(NOW + timedelta(days=3)).rewritten[0].sha256


def test_nothing_is_aligned_where_the_hospital_does_not_want_it(bench):
    bench.add(ct_slice(1))
    bench.orders = [ORDER]

    assert bench.look(align=False).rewritten == []


def test_a_study_that_lacks_instances_waits_and_is_held_in_the_end(bench):
    bench.add(ct_slice(1))
    bench.study = msgspec.structs.replace(bench.study, expected=Expected("pacs", {"1.2.3.1": 3, "1.2.3.2": 1}, 4))

    waiting, held = bench.look(), bench.look(NOW + timedelta(days=2))

    assert waiting.wait_until == NOW + timedelta(minutes=10)
    assert not waiting.held
    assert not waiting.rewritten
    assert held.wait_until is None
    assert held_by(held) == {"IMG-INCOMPLETE"}
    [finding] = [one for one in held.findings if one.rule == "IMG-INCOMPLETE"]
    assert finding.arguments == ("1", "4", "pacs", "1.2.3.1: 2; 1.2.3.2: 1")


def test_an_order_that_is_not_there_yet_is_waited_for(bench):
    bench.add(ct_slice(1, AccessionNumber="A1"))

    assert bench.look(**WITH_ORDERS).wait_until
    assert held_by(bench.look(NOW + timedelta(days=2), **WITH_ORDERS)) == {"IMG-NO-ORDER"}
    lenient = {**WITH_ORDERS, "rules": {"IMG-NO-ORDER": "warn"}}
    assert bench.look(**lenient).wait_until == NOW + timedelta(minutes=10)
    assert bench.look(NOW + timedelta(minutes=11), **lenient).wait_until is None
    bench.orders = [replace_order(study_instance_uid="", accession_number="A1")]
    assert not bench.look(**WITH_ORDERS).held


def replace_order(**changes) -> Order:
    return msgspec.structs.replace(ORDER, **changes)


def test_another_person_s_images_are_held_and_not_written_over(bench):
    bench.add(ct_slice(1, PatientID="P9", PatientName="LI^SI", PatientBirthDate="19551224", PatientSex="F"))
    bench.orders = [ORDER]

    checked = bench.look()

    assert checked.held
    assert held_by(checked) == {"IMG-PATIENT-OTHER", "IMG-SEX"}
    assert checked.rewritten == []
    sentences = " ".join(describe(one, lang) for one in checked.findings for lang in ("zh", "en"))
    assert not any(secret in sentences for secret in ("LI^SI", "张三", "H100", "P9", "19551224", "19800101"))


def test_every_finding_is_told_at_once(bench):
    bench.add(ct_slice(1, PatientID="P1", StudyDate="20990101", ImageLaterality="L", ImageType="", PatientAge="010Y"))
    bench.add(ct_slice(2, PatientID="P2", series="1.2.3", rows=99))
    bench.orders = [
        replace_order(patient_id="P1", modality="MR", laterality="R", cancelled=True, performed_at="20261101080000")
    ]

    checked = bench.look()

    assert {
        "IMG-PATIENTS", "IMG-DATE-FUTURE", "IMG-DATE-ORDER", "IMG-SIDE", "IMG-MODALITY", "IMG-ORDER-CANCELLED", "IMG-AGE",
        "IMG-UID-SAME", "IMG-PIXELS", "IMG-TYPE1",
    } <= rules(checked)  # fmt: skip
    assert {"IMG-PATIENTS", "IMG-SIDE", "IMG-ORDER-CANCELLED", "IMG-PIXELS"} <= held_by(checked)


def test_a_rule_does_here_what_the_site_says(bench):
    bench.add(ct_slice(1, ImageLaterality="L"))
    bench.orders = [replace_order(laterality="R")]

    assert bench.look().held
    assert not bench.look(rules={"IMG-SIDE": "note"}).held
    with pytest.raises(ConfigurationError, match="IMG-SIDE"):
        bench.look(rules={"IMG-SIDES": "warn"})
    with pytest.raises(ConfigurationError, match="always holds"):
        bench.look(rules={"IMG-FAILED": "warn"})


def test_gbk_bytes_that_say_latin_are_relabelled_and_nothing_else_is_touched(bench):
    raw = ct_slice(1, charset="ISO_IR 100", raw_name="张三".encode("gbk"))
    bench.add(raw)

    checked = bench.look(align=False)

    assert rules(checked) >= {"IMG-CHARSET-REPAIRED"}
    assert not checked.held
    dataset = bench.sent(checked)
    assert str(dataset.PatientName) == "张三"
    assert dataset.SpecificCharacterSet == "GB18030"
    assert held_by(bench.look(align=False, repair_character_sets=False)) == {"IMG-CHARSET"}


def test_texts_that_nobody_can_be_sure_of_are_a_finding(bench):
    bench.add(ct_slice(1, charset="", raw_name="尛喆".encode("gbk")))

    doubted = bench.look()
    bench.orders = [replace_order(patient_name="尛喆", patient_id="P1")]
    settled = bench.look()

    assert held_by(doubted) == {"IMG-CHARSET"}
    assert doubted.rewritten == []
    assert not held_by(settled)
    assert str(bench.sent(settled).PatientName) == "尛喆"


def test_what_was_sent_keeps_its_bytes_when_the_order_changes(bench):
    bench.add(ct_slice(1))
    bench.instances[0] = msgspec.structs.replace(bench.instances[0], left=True)
    bench.study = msgspec.structs.replace(bench.study, order=ORDER)

    bench.orders = [ORDER]
    assert "IMG-ORDER-LATER" not in rules(bench.look())
    bench.orders = [replace_order(patient_id="H200")]
    checked = bench.look()

    late = bench.add(ct_slice(2))
    assert checked.rewritten == []
    assert [one.instance for one in bench.look().rewritten] == [late.id], "what has not gone is aligned"
    [finding] = [one for one in checked.findings if one.rule == "IMG-ORDER-LATER"]
    assert finding.arguments == ("E1", "PatientID")


def test_damaged_files_are_told_and_the_others_are_judged(bench):
    good = ct_slice(1)
    bench.add(good)
    bench.add(ct_slice(2))
    bench.paths[2].write_bytes(good[:-40])
    bench.add(ct_slice(3, deep=80))

    checked = bench.look()

    deep, cut = sorted(one.arguments[0] for one in checked.findings if one.rule == "IMG-UNREADABLE")[::-1]
    assert "deeper" in deep
    assert "cut off" in cut


def test_a_file_that_is_gone_is_our_fault_and_holds(bench):
    bench.add(ct_slice(1))
    bench.paths[1].unlink()

    [finding] = [one for one in bench.look().findings if one.rule == "IMG-FAILED"]
    assert finding.blame == "agent"


def test_what_comes_after_the_term_of_the_others_is_judged_with_what_was_known_of_them(bench):
    bench.orders = [ORDER]
    bench.add(ct_slice(1))
    bench.add(ct_slice(2))
    bench.add(ct_slice(3))
    bench.paths[1].unlink()
    bench.paths[2].unlink()
    bench.instances[:2] = [msgspec.structs.replace(one, has_file=False, left=True) for one in bench.instances[:2]]
    bench.study = msgspec.structs.replace(bench.study, expected=ONE_SERIES)

    checked = bench.look()

    assert not held_by(checked)
    assert [one.instance for one in checked.rewritten] == [3]


def test_a_disk_that_is_full_in_the_middle_of_a_look_leaves_nothing_behind(bench):
    bench.orders = [ORDER]
    for number in range(1, 4):
        bench.add(ct_slice(number))
    begun = []

    def begin() -> Incoming:
        if len(begun) == 2:
            raise SpoolFull("no room")
        begun.append(bench.files.begin())
        return begun[-1]

    looking = Looking(ImagesConfig(), HOSPITAL, lambda: NOW, bench.examiner)
    with pytest.raises(SpoolFull):
        looking.look(bench.study, bench.instances, lambda one: bench.paths[one.id], bench.find, begin)

    assert len(begun) == 2
    assert not list(bench.files.incoming_folder.iterdir())


def test_a_study_goes_where_one_of_its_modalities_is_taken(bench):
    bench.add(ct_slice(1))
    destinations = {
        "region": DicomOutlet(type="dicom", url="dicom://A@h"),
        "heart": DicomOutlet(type="dicom", url="dicom://B@h", modalities=("US", "XA")),
    }

    assert bench.look(destinations=destinations).destinations == ("region",)
    heart = replace(destinations["heart"], modalities=("CT",))
    assert bench.look(destinations={**destinations, "heart": heart}).destinations == ("region", "heart")


def test_names_in_the_pixels_hold_what_leaves_without_a_name(bench):
    bench.add(ct_slice(1, BurnedInAnnotation="YES"))
    open_ = DicomOutlet(type="dicom", url="dicom://A@h")

    assert "IMG-BURNED" not in rules(bench.look(destinations={"region": open_}))
    assert held_by(bench.look(destinations={"study": replace(open_, deidentified=True)})) == {"IMG-BURNED"}


def test_two_orders_of_one_person_are_one_study_s(bench):
    bench.add(ct_slice(1, AccessionNumber="A1"))
    bench.add(ct_slice(2, AccessionNumber="A2"))
    one, other = replace_order(study_instance_uid="", accession_number="A1"), replace_order(key="E2", study_instance_uid="", accession_number="A2")  # fmt: skip
    bench.orders = [one, other]

    assert not bench.look().held
    bench.orders = [one, msgspec.structs.replace(other, patient_id="H999")]
    assert "IMG-ORDERS-SEVERAL" in held_by(bench.look())


def test_the_same_uid_with_other_bytes_holds_the_study(bench):
    bench.add(ct_slice(1))
    bench.add(ct_slice(1, PatientID="P7"), conflict=True)

    checked = bench.look()

    assert held_by(checked) == {"IMG-CONFLICT"}
    assert checked.seen == 2
    assert [one.instance for one in checked.rewritten] == [1]


def test_a_child_that_dies_is_begun_again_and_the_file_is_told(bench, monkeypatch):
    bench.add(ct_slice(1))
    bench.look()
    asked: Callable = bench.examiner._asked
    killed: list[int] = []

    def dying(request):
        if not killed:
            killed.append(bench.examiner._child.pid)
            bench.examiner._child.kill()
        return asked(request)

    monkeypatch.setattr(bench.examiner, "_asked", dying)

    assert "IMG-FAILED" not in rules(bench.look())  # asked about alone, by another child
    assert killed


def test_a_file_that_is_never_read_to_its_end_is_told_in_time(bench, monkeypatch):
    bench.add(ct_slice(1))
    impatient = Examiner(patience=0.0)
    try:
        [facts] = impatient.examine([bench.paths[1]], (), repair=True)
    finally:
        impatient.close()

    assert facts.failed
    assert "did not end" in facts.problem

"""Looking at a study: complete or not, whose it is, where it goes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import DicomOutlet, ImagesConfig
from frontend_agent.dicom.header import Header
from frontend_agent.imaging.looking import Looking
from frontend_agent.imaging.model import Expected, Instance, Order, Study, StudyState

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


def study(first_at: datetime = NOW, expected: Expected | None = None) -> Study:
    return Study(
        id=7, study_instance_uid="1.2.3", institution="45601", inlet="pacs", state=StudyState.COLLECTING, first_at=first_at,
        last_at=first_at, due_at=None, series=1, instances=2, size=10, expected=expected,
    )  # fmt: skip


def instance(number: int, modality: str = "CT") -> Instance:
    header = Header(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        sop_instance_uid=f"1.2.3.1.{number}",
        modality=modality,
    )
    return Instance(
        id=number, study=7, header=header, sha256="", size=5, sent_sha256="", sent_size=5, inlet="pacs", sender="",
        received_at=NOW,
    )  # fmt: skip


def no_orders(*, study_instance_uid: str = "", accession_number: str = "", key: str = "") -> Sequence[Order]:
    return ()


def looked(of: Study, instances: Sequence[Instance], now: datetime = NOW, **images):
    looking = Looking(ImagesConfig(**images), InstitutionConfig(id="45601", name="第一医院"), lambda: now)
    return looking.look(of, instances, lambda one: None, no_orders, lambda: None)


def test_a_study_that_lacks_instances_waits_and_is_held_in_the_end():
    lacking = study(expected=Expected("pacs", {"1.2.3.1": 3}, 3))

    waiting = looked(lacking, [instance(1), instance(2)])
    held = looked(lacking, [instance(1), instance(2)], NOW + timedelta(days=2))

    assert waiting.wait_until
    assert not waiting.held
    assert held.wait_until is None
    assert held.held
    assert [one.rule for one in held.findings] == ["IMG-INCOMPLETE"]


def test_a_study_goes_where_one_of_its_modalities_is_taken():
    destinations = {
        "region": DicomOutlet(type="dicom", url="dicom://A@h"),
        "heart": DicomOutlet(type="dicom", url="dicom://B@h", modalities=("US", "XA")),
    }

    assert looked(study(), [instance(1)], destinations=destinations).destinations == ("region",)
    assert looked(study(), [instance(1, "XA")], destinations=destinations).destinations == ("region", "heart")

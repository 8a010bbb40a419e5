"""The platform's DICOM port: who may, what is stored for whom, and storage commitment; dcmtk and pynetdicom as the other sides."""

import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom import _config as pynetdicom_config
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.errors import ConfigurationError
from frontend_agent.platform.images.catalogue import StudySearch
from frontend_agent.platform.images.listener import DicomPort, read_peers
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.store import Store
from tests.dicom_kit import CT, data_set, dcmsend, echoscu, file_bytes, made, uid
from tests.platform_kit import HOSPITAL

pynetdicom_config.LOG_REQUEST_IDENTIFIERS = False
OTHER = "98765432-1"
PEERS = f"""
ae_title = "REGION"
[[peers]]
ae_title = "PACS1"
institution = "{HOSPITAL}"
[[peers]]
ae_title = "PACS2"
institution = "{OTHER}"
addresses = ["127.0.0.1/32"]
[[peers]]
ae_title = "FARAWAY"
institution = "{OTHER}"
addresses = ["10.9.0.0/16"]
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "platform").open()
    yield opened
    opened.close()


@pytest.fixture
def port(store: Store, tmp_path: Path) -> Iterator[int]:
    file = tmp_path / "peers.toml"
    file.write_text(PEERS)
    opened = DicomPort(store.images, read_peers(file), 0, Metrics(store))
    opened.start()
    yield int(opened.address.rpartition(":")[2])
    opened.stop(2)


@pytest.mark.slow
def test_what_a_pacs_sends_is_stored_for_its_hospital_and_as_the_web_would_store_it(
    store: Store, port: int, tmp_path: Path
) -> None:
    paths = made(tmp_path / "files", instances=5)
    assert echoscu(port, calling="PACS1", called="REGION").code == 0

    sent = dcmsend(port, *paths, calling="PACS1", called="REGION")

    assert sent.code == 0, sent.said
    stored = store.images.find(uid(1))
    assert [one.institution for one in stored] == [HOSPITAL] * 5
    assert [one.sender for one in stored] == ["PACS1@127.0.0.1"] * 5
    for path, one in zip(paths, stored, strict=True):
        content = path.read_bytes()
        said = read_meta(content)
        head = meta(said.sop_class_uid, said.sop_instance_uid, said.transfer_syntax_uid)
        assert one.sha256 == sha256(head + content[said.data_set_at :]).hexdigest()
    assert dcmsend(port, *paths, calling="PACS2", called="REGION").code == 0
    assert {one.institution for one in store.images.studies(StudySearch())} == {HOSPITAL, OTHER}


@pytest.mark.slow
def test_who_is_not_named_stores_nothing(store: Store, port: int, tmp_path: Path) -> None:
    (path,) = made(tmp_path / "files", instances=1)
    for calling, called in (("NOBODY", "REGION"), ("FARAWAY", "REGION"), ("PACS1", "ELSEWHERE")):
        assert dcmsend(port, path, calling=calling, called=called).code != 0
    assert store.images.studies(StudySearch()) == []


@pytest.mark.slow
def test_other_bytes_of_a_stored_instance_are_refused_and_the_sender_is_told(
    store: Store, port: int, tmp_path: Path
) -> None:
    (path,) = made(tmp_path / "files", instances=1)
    assert dcmsend(port, path, calling="PACS1", called="REGION").code == 0
    path.write_bytes(file_bytes(data_set(1, 1, 1, PatientID="ANOTHER")))

    ae = AE("PACS1")
    ae.add_requested_context(CT, "1.2.840.10008.1.2.1")
    association = ae.associate("127.0.0.1", port, ae_title="REGION")
    status = association.send_c_store(path)
    association.release()

    assert status.Status == 0xC111
    assert "other bytes" in status.ErrorComment
    assert len(store.images.conflicts()) == 1


def committed(port: int, instances: list[tuple[str, str]]) -> dict[str, Any]:
    """What storage commitment reports, on the same association."""
    from pydicom.dataset import Dataset
    from pynetdicom import build_role

    told: dict[str, Any] = {}
    came = threading.Event()

    def report(event: Any) -> tuple[int, None]:
        told["type"] = event.event_type
        told["safe"] = [
            one.ReferencedSOPInstanceUID for one in event.event_information.get("ReferencedSOPSequence", [])
        ]
        told["failed"] = [
            (one.ReferencedSOPInstanceUID, one.FailureReason)
            for one in event.event_information.get("FailedSOPSequence", [])
        ]
        came.set()
        return 0x0000, None

    asked = Dataset()
    asked.TransactionUID = "1.2.3.4.5"
    asked.ReferencedSOPSequence = []
    for sop_class, instance in instances:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        asked.ReferencedSOPSequence.append(item)
    ae = AE("PACS1")
    ae.add_requested_context(StorageCommitmentPushModel)
    association = ae.associate(
        "127.0.0.1", port, ae_title="REGION", evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)],
        ext_neg=[build_role(StorageCommitmentPushModel, scu_role=True, scp_role=False)],
    )  # fmt: skip
    assert association.is_established
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
    assert status.Status == 0
    assert came.wait(10)
    time.sleep(0.3)  # pynetdicom answers the report after its handler, and stumbles over a release before
    association.release()
    return told


@pytest.mark.slow
def test_storage_commitment_says_what_is_safe_and_what_is_not(store: Store, port: int, tmp_path: Path) -> None:
    paths = made(tmp_path / "files", instances=2)
    assert dcmsend(port, *paths, calling="PACS1", called="REGION").code == 0

    assert committed(port, [(CT, uid(1, 1, 1)), (CT, uid(1, 1, 2))]) == {
        "type": 1, "safe": [uid(1, 1, 1), uid(1, 1, 2)], "failed": [],
    }  # fmt: skip
    told = committed(port, [(CT, uid(1, 1, 1)), (CT, uid(1, 1, 9)), ("1.2.840.10008.5.1.4.1.1.4", uid(1, 1, 2))])
    assert (told["type"], told["safe"]) == (2, [uid(1, 1, 1)])
    assert told["failed"] == [(uid(1, 1, 9), 0x0112), (uid(1, 1, 2), 0x0119)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "missing required field `peers`"),
        ("peers = []", "nobody may connect"),
        ('[[peers]]\nae_title = "A"\ninstitution = "H"\nadresses = []', "unknown field `adresses`"),
        (
            '[[peers]]\nae_title = "A"\ninstitution = "H"\naddresses = ["10.1.0.1/16"]',
            "neither an address nor a network",
        ),
        ('[[peers]]\nae_title = "A"\ninstitution = ""', "is not a name"),
        ('[[peers]]\nae_title = "A"\ninstitution = "H"\ncertificate = "x"', "without client_ca"),
        ('certificate = "x"\n[[peers]]\nae_title = "A"\ninstitution = "H"', "go together"),
        ("peers = [", "Invalid value"),
    ],
)
def test_a_file_of_peers_that_is_wrong_says_where(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "peers.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"peers\.toml") as raised:
        read_peers(file)
    assert problem in str(raised.value)

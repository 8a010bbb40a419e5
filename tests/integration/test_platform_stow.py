"""STOW-RS, receipts, study indexes and what is wanted, over HTTP against the real server."""

import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.dicom.uids import EXPLICIT_LE
from frontend_agent.platform.images.catalogue import StudySearch
from frontend_agent.platform.store import Store, StoreFull
from frontend_agent.wire import images as wire
from frontend_agent.wire.receipts import read_reply
from tests.dicom_kit import CT, data_set, file_bytes, uid
from tests.images_kit import BOUNDARY, multipart, stow, values
from tests.platform_kit import HOSPITAL, lease_of, running, say_hello


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "platform").open()
    yield opened
    opened.close()


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with running(store) as address:
        yield address


def canonical(content: bytes) -> bytes:
    """The file as it is stored."""
    said = read_meta(content)
    return meta(said.sop_class_uid, said.sop_instance_uid, said.transfer_syntax_uid) + content[said.data_set_at :]


def incoming(store: Store) -> list[Path]:
    return list((store.folder / "images").glob("*/incoming/*"))


def test_instances_are_stored_and_each_is_answered(store: Store, url: str) -> None:
    contents = [file_bytes(data_set(1, 1, number)) for number in range(1, 6)]

    response = stow(url, HOSPITAL, contents)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    answered = response.json()
    base = f"{url}{wire.dicomweb_path(HOSPITAL)}/studies/{uid(1)}"
    assert values(answered["00081190"]) == [base]
    assert "00081198" not in answered
    assert [values(one["00081155"])[0] for one in values(answered["00081199"])] == [uid(1, 1, n) for n in range(1, 6)]
    assert values(values(answered["00081199"])[0]["00081190"]) == [
        f"{base}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"
    ]
    stored = store.images.find(uid(1))
    assert [one.sha256 for one in stored] == [sha256(canonical(content)).hexdigest() for content in contents]
    assert [one.sender for one in stored] == ["127.0.0.1"] * 5


def test_a_requests_instances_are_one_commit_whatever_the_chunks_in_which_they_come(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    place = store.images.blobs.place
    monkeypatch.setattr(store.images.blobs, "place", lambda files: (groups.append(len(files)), place(files))[1])
    body = multipart([file_bytes(data_set(1, 1, number)) for number in range(1, 21)])
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}

    chunks = (body[at : at + 997] for at in range(0, len(body), 997))
    response = requests.post(f"{url}{wire.dicomweb_path(HOSPITAL)}/studies", data=chunks, headers=headers, timeout=30)

    assert response.status_code == 200
    assert len(store.images.find(uid(1))) == 20
    assert groups == [20]


def test_the_answer_carries_the_signed_receipts_where_they_are_asked_for(store: Store, url: str) -> None:
    good, other = file_bytes(data_set(1, 1, 1)), file_bytes(data_set(1, 1, 1, PatientID="X"))
    stow(url, HOSPITAL, [good])

    response = stow(url, HOSPITAL, [good, other, file_bytes(data_set(1, 1, 2))], frontend_agent_receipts="1")

    assert response.status_code == 202
    reply = read_reply(values(response.json()[wire.RECEIPT])[0].encode(), store.public_key)
    assert [(leaf.document_id, leaf.outcome) for leaf in reply.leaves] == [
        (uid(1, 1, 1), "stored"), (uid(1, 1, 1), "refused"), (uid(1, 1, 2), "stored"),
    ]  # fmt: skip
    assert reply.duplicates == {0}
    assert reply.leaves[0].sha256 == sha256(canonical(good)).hexdigest()
    (failed,) = values(response.json()["00081198"])
    assert values(failed["00081197"]) == [0xC111]
    assert values(failed[wire.REASONS]) == ["conflict: this instance is here with other bytes"]


def test_what_cannot_be_stored_does_not_hold_up_the_others(store: Store, url: str) -> None:
    broken = file_bytes(data_set(1, 1, 2))[:-40]

    response = stow(url, HOSPITAL, [file_bytes(data_set(1, 1, 1)), broken, b"not DICOM", file_bytes(data_set(1, 1, 3))])

    assert response.status_code == 202
    answered = response.json()
    assert len(values(answered["00081199"])) == 2
    (failed,) = values(answered["00081198"])
    assert values(failed["00081155"]) == [uid(1, 1, 2)]
    (no_instance,) = values(answered["0008119A"])
    assert "no DICOM file" in values(no_instance[wire.REASONS])[0]
    assert stow(url, HOSPITAL, [b"not DICOM"]).status_code == 409
    assert incoming(store) == []


def test_an_instance_of_another_study_than_the_address_says_is_refused(url: str, store: Store) -> None:
    response = stow(url, HOSPITAL, [file_bytes(data_set(2, 1, 1)), file_bytes(data_set(1, 1, 1))], study=uid(1))

    assert response.status_code == 202
    (failed,) = values(response.json()["00081198"])
    assert values(failed["00081197"]) == [0xA900]
    assert [one.study_instance_uid for one in store.images.studies(StudySearch())] == [uid(1)]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/dicom+json", b"[]", 415),
        ("multipart/related; type=application/dicom", b"", 400),
        ("multipart/related; boundary=x", b"nothing of the kind", 400),
        ("multipart/related; boundary=x", b"--x--\r\n", 400),
        ('multipart/related; type="application/dicom+json"; boundary=x', b"--x--\r\n", 415),
        ("application/dicom", b"", 409),
        ("application/dicom", b"hello", 409),
    ],
)
def test_bodies_that_are_none_are_told_so(url: str, store: Store, kind: str, body: bytes, status: int) -> None:
    path = f"{url}{wire.dicomweb_path(HOSPITAL)}/studies"
    response = requests.post(path, data=body, headers={"Content-Type": kind}, timeout=10)
    assert response.status_code == status, response.text
    assert incoming(store) == []


def test_one_instance_may_be_the_whole_body(url: str) -> None:
    path = f"{url}{wire.dicomweb_path(HOSPITAL)}/studies"
    content = file_bytes(data_set(1, 1, 1))
    response = requests.post(path, data=content, headers={"Content-Type": "application/dicom"}, timeout=10)
    assert response.status_code == 200


def test_a_request_that_is_cut_off_keeps_what_was_whole_and_leaves_nothing_else(store: Store, url: str) -> None:
    contents = [file_bytes(data_set(1, 1, number, pixels=400_000)) for number in range(1, 5)]
    body = multipart(contents)
    split = urlsplit(url)
    with socket.create_connection((split.hostname or "", split.port or 0)) as line:
        kind = f"multipart/related; type=application/dicom; boundary={BOUNDARY}"
        head = f"POST {wire.dicomweb_path(HOSPITAL)}/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
        line.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) * 7 // 8])

    for _ in range(100):
        if len(store.images.find(uid(1))) == 3 and not incoming(store):
            break
        time.sleep(0.05)
    assert [one.sop_instance_uid for one in store.images.find(uid(1))] == [uid(1, 1, n) for n in (1, 2, 3)]
    assert incoming(store) == []
    assert stow(url, HOSPITAL, contents).status_code == 200


def test_receipts_are_asked_for_by_instance_and_by_study(store: Store, url: str) -> None:
    contents = [file_bytes(data_set(1, 1, number)) for number in (1, 2)]
    stow(url, HOSPITAL, contents)

    asked = {"institution": HOSPITAL, "sop_instance_uids": [uid(1, 1, 2), uid(1, 1, 9)]}
    reply = read_reply(requests.post(url + wire.RECEIPTS, json=asked, timeout=10).content, store.public_key)
    assert [(leaf.document_id, leaf.outcome, leaf.set_id) for leaf in reply.leaves] == [
        (uid(1, 1, 2), "stored", uid(1)), (uid(1, 1, 9), "absent", ""),
    ]  # fmt: skip
    assert reply.leaves[0].sha256 == sha256(canonical(contents[1])).hexdigest()

    asked = {"institution": HOSPITAL, "study_instance_uid": uid(1)}
    reply = read_reply(requests.post(url + wire.RECEIPTS, json=asked, timeout=10).content, store.public_key)
    assert [leaf.document_id for leaf in reply.leaves] == [uid(1, 1, 1), uid(1, 1, 2)]
    elsewhere = {"institution": "other", "sop_instance_uids": [uid(1, 1, 1)]}
    reply = read_reply(requests.post(url + wire.RECEIPTS, json=elsewhere, timeout=10).content, store.public_key)
    assert reply.leaves[0].outcome == "absent"
    assert requests.post(url + wire.RECEIPTS, json={"institution": HOSPITAL}, timeout=10).status_code == 400


def test_an_indexed_study_is_asked_for_until_its_pixels_came(url: str, store: Store) -> None:
    instances = [
        {"sop_instance_uid": uid(1, 1, n), "sop_class_uid": CT, "transfer_syntax_uid": EXPLICIT_LE} for n in (1, 2)
    ]
    index = {
        "institution": HOSPITAL, "study_instance_uid": uid(1), "accession_number": "A1", "study_date": "20260930",
        "series": [{"series_instance_uid": uid(1, 1), "modality": "CT", "instances": instances}],
    }  # fmt: skip
    assert requests.post(url + wire.INDEX, json=index, timeout=10).json() == {
        "instances": 2,
        "held": 0,
        "wanted": False,
    }
    mine = {"institution": HOSPITAL}
    assert requests.post(url + wire.WANTED, json=mine, timeout=10).json() == {"wanted": []}

    wish = {"study_instance_uid": uid(1), "why": "consultation"}
    assert requests.post(url + "/v1/images/wishes", json=wish, timeout=10).json() == {"studies": 1}

    (wanted,) = requests.post(url + wire.WANTED, json=mine, timeout=10).json()["wanted"]
    assert (wanted["study_instance_uid"], wanted["accession_number"], wanted["why"]) == (uid(1), "A1", "consultation")
    stow(url, HOSPITAL, [file_bytes(data_set(1, 1, n)) for n in (1, 2)])
    assert requests.post(url + wire.WANTED, json=mine, timeout=10).json() == {"wanted": []}


def test_a_copied_agent_may_not_store_images_nor_learn_what_is_wanted(url: str) -> None:
    lease = lease_of(say_hello(url))
    mine = {"institution": HOSPITAL, "instance": "instance-1"}
    content = [file_bytes(data_set(1, 1, 1))]
    headers = {wire.INSTANCE_HEADER: "instance-1", wire.LEASE_HEADER: lease}

    assert stow(url, HOSPITAL, content, **headers).status_code == 200
    assert requests.post(url + wire.WANTED, json={**mine, "lease": lease}, timeout=10).status_code == 200
    refused = stow(url, HOSPITAL, content, **{**headers, wire.LEASE_HEADER: "of yesterday"})
    assert (refused.status_code, refused.json()["error"]) == (409, "copied-state")
    assert requests.post(url + wire.WANTED, json={**mine, "lease": "no"}, timeout=10).status_code == 409


def test_the_disk_nearly_full_is_said_so_before_anything_is_taken(tmp_path: Path) -> None:
    full = Store(tmp_path, least_free=1 << 60).open()
    with running(full) as url:
        response = stow(url, HOSPITAL, [file_bytes(data_set(1, 1, 1))])
    full.close()
    assert response.status_code == 503
    assert response.headers["retry-after"] == "30"


def test_a_disk_that_fills_in_the_middle_is_told_with_what_is_stored(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def refuse_when_full() -> None:
        begun.append(1)
        if len(begun) > 1:
            raise StoreFull("full")

    monkeypatch.setattr(store.images, "refuse_when_full", refuse_when_full)
    response = stow(url, HOSPITAL, [file_bytes(data_set(1, 1, number)) for number in (1, 2, 3)])
    assert (response.status_code, response.headers["retry-after"]) == (503, "30")
    assert "instances of this one are stored" in response.json()["detail"]
    held = [one.sop_instance_uid for one in store.images.find(uid(1))]
    assert f"; {len(held)} instances" in response.json()["detail"]
    assert held == [uid(1, 1, 1)]
    assert incoming(store) == []


def test_metrics_count_instances_and_say_nothing_of_patients(url: str) -> None:
    stow(url, HOSPITAL, [file_bytes(data_set(1, 1, 1)), b"no"])
    text = requests.get(url + "/metrics", timeout=10).text
    assert 'platform_instances_total{outcome="stored",way="stow"} 1.0' in text
    assert 'platform_instances_total{outcome="refused",way="stow"} 1.0' in text
    assert f'platform_held_instances{{institution="{HOSPITAL}"}} 1.0' in text
    assert "SYNTHETIC" not in text

"""Instances in an object store: moto's server stands for S3. What it cannot show (real durability, latency) is not claimed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from frontend_agent.errors import ConfigurationError
from frontend_agent.model import Outcome
from frontend_agent.platform.images.objects import S3Blobs
from frontend_agent.platform.images.store import Kept
from frontend_agent.platform.store import Store
from tests.dicom_kit import data_set, file_bytes, uid
from tests.platform_kit import HOSPITAL


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10)  # what it holds is the process's
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(endpoint: str) -> Any:
    made = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    made.create_bucket(Bucket="images")
    return made


@pytest.fixture
def folder(tmp_path: Path, endpoint: str, client: Any) -> Path:
    found = tmp_path / "platform"
    found.mkdir()
    (found / "secret").write_text("b\n")
    (found / "images.toml").write_text(
        f'[s3]\nbucket = "images"\nprefix = "region/"\nendpoint = "{endpoint}"\nregion = "us-east-1"\naccess_key = "a"\n'
        'secret_key_file = "secret"\ncache = 1000000\n'
    )
    return found


def put(store: Store, number: int, pixels: int = 2048) -> Kept:
    writer = store.images.begin_file(HOSPITAL, sender="test")
    writer.write(file_bytes(data_set(1, 1, number, pixels=pixels)))
    return writer.keep().result(30)


def keys(client: Any) -> list[str]:
    return sorted(one["Key"] for one in client.list_objects_v2(Bucket="images").get("Contents", ()))


def test_an_instance_is_stored_when_the_object_store_has_it(folder: Path, client: Any) -> None:
    store = Store(folder).open()
    kept = put(store, 1)
    assert kept.outcome == Outcome.STORED
    names = keys(client)
    assert names[0].startswith("region/")
    assert names[0].endswith(f"{kept.sha256}.dcm")
    assert client.get_object(Bucket="images", Key=names[1])["Body"].read().decode() == HOSPITAL
    (instance,) = store.images.find(uid(1))
    for path in (folder / "images").rglob("*.dcm"):
        path.unlink()  # as if there had been no room for it here
    with store.images.read(instance) as file:
        assert len(file.read()) == kept.size
    assert store.images.drop(uid(1), HOSPITAL) == 1
    assert [one for one in keys(client) if one.endswith(".dcm")] == []
    store.close()


def test_a_lost_machine_is_made_again_from_the_objects(folder: Path, client: Any, tmp_path: Path) -> None:
    store = Store(folder).open()
    before = [put(store, number).sha256 for number in (1, 2, 3)]
    store.close()
    elsewhere = tmp_path / "new"
    elsewhere.mkdir()
    for name in ("images.toml", "secret"):
        (elsewhere / name).write_bytes((folder / name).read_bytes())

    again = Store(elsewhere).open()

    assert again.images.adopted == 3
    assert [one.sha256 for one in again.images.find(uid(1), institution=HOSPITAL)] == before
    assert put(again, 2).outcome == Outcome.DUPLICATE
    again.close()


def test_what_was_not_read_for_longest_makes_room_here(folder: Path) -> None:
    store = Store(folder).open()
    for number in range(1, 8):
        assert put(store, number, 200_000).is_stored
    here = list((folder / "images").rglob("*.dcm"))
    assert sum(path.stat().st_size for path in here) <= 1_100_000
    assert all(not problem for _, problem in store.images.verified())
    store.close()


def test_an_object_store_that_is_gone_stores_nothing_and_says_so(folder: Path, client: Any) -> None:
    store = Store(folder).open()
    put(store, 1)
    client.delete_object(Bucket="images", Key=keys(client)[0])
    client.delete_object(Bucket="images", Key=keys(client)[0])
    client.delete_bucket(Bucket="images")
    with pytest.raises(OSError, match="the object store"):
        put(store, 2)
    assert [one.sop_instance_uid for one in store.images.find(uid(1))] == [uid(1, 1, 1)]
    assert list((folder / "images").glob("*/incoming/*")) == []
    store.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[s3]", "bucket"),
        ('[s3]\nbucket = "images"\nbuckt = 1', "unknown field `buckt`"),
        ('[s3]\nbucket = "images"\naccess_key = "a"', "go together"),
        ('[s3]\nbucket = "images"\naccess_key = "a"\nsecret_key_file = "none"', "secret_key_file"),
    ],
)
def test_settings_that_are_wrong_say_where(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "images.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"images\.toml") as raised:
        Store(tmp_path)
    assert problem in str(raised.value)


def test_the_seam_is_the_same_for_folders_and_objects() -> None:
    from frontend_agent.platform.images.blobs import Blobs, FolderBlobs

    verbs = {name for name in vars(Blobs) if not name.startswith("_")}
    assert verbs <= set(dir(FolderBlobs)) & set(dir(S3Blobs))

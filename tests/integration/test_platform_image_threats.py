"""What comes to the platform's images and means no good (threats D4-D7), and what a kill leaves. Over HTTP, the server in its own process."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from frontend_agent.dicom.part10 import meta
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_LE
from frontend_agent.platform.store import Store
from frontend_agent.wire.images import DICOMWEB, REASONS
from tests.dicom_kit import CT, data_set, data_set_bytes, file_bytes, uid
from tests.images_kit import stow, values
from tests.memory import peak
from tests.platform_kit import HOSPITAL


class Server(NamedTuple):
    process: "subprocess.Popen[str]"
    url: str
    folder: Path

    @property
    def peak(self) -> int:
        """Bytes of memory that it held at most."""
        return peak(self.process.pid)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, "-m", "frontend_agent.platform", "--state", str(folder), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield Server(process, process.stdout.readline().split()[-1], folder)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with started(tmp_path / "platform") as found:
        yield found


def reasons(response: requests.Response) -> str:
    answered = response.json()
    items = values(answered.get("00081198")) + values(answered.get("0008119A"))
    return "\n".join(values(item[REASONS])[0] for item in items)


NAMES = [
    text.format(up="../" * depth)
    for depth in range(1, 7)
    for text in (
        "{up}etc/passwd", "{up}x", "/{up}x", "1.2/{up}3", "..\\{up}x", "1.2.3\0{up}x", "{up}", "1.2.3/../{up}4", "~/{up}x", "%2e%2e/{up}",
    )
]  # fmt: skip


@pytest.mark.slow
def test_no_name_of_a_file_leads_out_of_the_folder(server: Server, tmp_path: Path) -> None:
    assert len(NAMES) == 60
    contents = []
    for number, name in enumerate(NAMES):
        content = file_bytes(data_set(1, 1, number + 1, StudyInstanceUID="1.9.9", SeriesInstanceUID="1.9.9.1"))
        contents.append(content.replace(b"1.9.9\0", (name.encode() + bytes(8))[:6], 1))
    before = set(tmp_path.rglob("*"))
    response = stow(server.url, HOSPITAL, contents)
    assert response.status_code in (202, 409)
    assert "is no UID" in reasons(response)
    inside = server.folder / "images"
    outside = [path for path in tmp_path.rglob("*") if path not in before and inside not in (path, *path.parents)]
    assert all(path.name.startswith("index.sqlite") for path in outside), outside
    for name in NAMES:
        answered = requests.get(f"{server.url}{DICOMWEB}/studies/{requests.utils.quote(name, safe='')}", timeout=10)
        assert answered.status_code in (200, 204, 400, 404), answered.status_code
        assert b"root:" not in answered.content


@pytest.mark.slow
def test_a_deflate_bomb_takes_no_memory(server: Server) -> None:
    assert stow(server.url, HOSPITAL, [file_bytes(data_set(1, 1, 1), DEFLATED_LE)]).status_code == 200
    before = server.peak
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = data_set_bytes(data_set(1, 1, 2, pixels=0), EXPLICIT_LE)
    bomb = packer.compress(head + b"\xe0\x7f\x10\x00OB\0\0" + (1 << 30).to_bytes(4, "little"))
    bomb += b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()
    assert len(bomb) < 2 << 20

    response = stow(server.url, HOSPITAL, [meta(CT, uid(1, 1, 2), DEFLATED_LE) + bomb] * 4)

    assert response.status_code == 409
    assert reasons(response)
    assert server.peak - before <= 80 << 20, (server.peak - before) >> 20


@pytest.mark.slow
def test_deep_sequences_are_answered(server: Server) -> None:
    inner = Dataset()
    for _ in range(300):
        outer = Dataset()
        outer.ContentSequence = Sequence([inner])
        inner = outer
    found = data_set(1, 1, 1)
    found.ContentSequence = inner.ContentSequence
    sys.setrecursionlimit(10_000)
    response = stow(server.url, HOSPITAL, [file_bytes(found)])
    assert response.status_code in (200, 409)
    if response.status_code == 200:
        (told,) = requests.get(f"{server.url}{DICOMWEB}/studies/{uid(1)}/metadata", timeout=10).json()
        assert values(told["00080018"]) == [uid(1, 1, 1)]
    assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("magic", [b"MZ\x90\0", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"#!/bin/sh\n"])
def test_a_preamble_that_runs_is_gone(server: Server, magic: bytes) -> None:
    content = file_bytes(data_set(1, 1, 1))
    assert stow(server.url, HOSPITAL, [magic + content[len(magic) :]]).status_code == 200
    (stored,) = (server.folder / "images").rglob("*.dcm")
    assert stored.read_bytes()[:128] == bytes(128)


@pytest.mark.slow
def test_an_instance_of_half_a_gigabyte_takes_no_memory(server: Server) -> None:
    stow(server.url, HOSPITAL, [file_bytes(data_set(9, 1, 1))])
    before = server.peak
    found = data_set(1, 1, 1, pixels=0, Rows=1024, Columns=1024, NumberOfFrames=256)
    head = file_bytes(found)
    size = 512 << 20

    def body() -> Iterator[bytes]:
        yield head + b"\xe0\x7f\x10\x00OW\0\0" + size.to_bytes(4, "little")
        piece = bytes(1 << 20)
        for _ in range(size >> 20):
            yield piece

    address = f"{server.url}/v1/institutions/{HOSPITAL}/dicom-web/studies"
    response = requests.post(address, data=body(), headers={"Content-Type": "application/dicom"}, timeout=300)
    assert response.status_code == 200, response.text
    with requests.get(f"{server.url}{DICOMWEB}/studies/{uid(1)}", stream=True, timeout=60) as answered:
        assert sum(map(len, answered.iter_content(1 << 20))) > size
    assert server.peak - before <= 64 << 20, (server.peak - before) >> 20


@pytest.mark.slow
def test_killed_at_any_time_a_study_is_complete_once_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "platform"
    contents = [file_bytes(data_set(1, 1, number, pixels=20_000)) for number in range(1, 61)]
    answered: set[str] = set()
    for pause in (0.05, 0.15, 0.4, 0.8):
        with started(folder) as server:
            killer = threading.Timer(pause, lambda pid=server.process.pid: os.kill(pid, signal.SIGKILL))
            killer.start()
            with contextlib.suppress(requests.RequestException):
                for at in range(0, len(contents), 6):
                    response = stow(server.url, HOSPITAL, contents[at : at + 6])
                    answered |= {values(one["00081155"])[0] for one in values(response.json().get("00081199"))}
            killer.cancel()
        store = Store(folder).open()
        here = {one.sop_instance_uid for one in store.images.find(uid(1))}
        rows = {one.sha256 for one in store.images.find(uid(1))}
        files = {path.stem for path in (folder / "images").rglob("*.dcm")}
        store.close()
        assert answered <= here  # whatever was answered is there
        assert files == rows  # and no file without a row, no row without a file
    with started(folder) as server:
        for at in range(0, len(contents), 6):
            assert stow(server.url, HOSPITAL, contents[at : at + 6]).status_code == 200
    store = Store(folder).open()
    (study,) = store.images.studies_of(uid(1))
    assert (study.instances, study.held) == (60, 60)
    assert all(not problem for _, problem in store.images.verified())
    store.close()
    time.sleep(0)


def test_what_is_read_back_is_a_file_that_pydicom_reads(tmp_path: Path) -> None:
    store = Store(tmp_path / "platform").open()
    writer = store.images.begin_file(HOSPITAL, sender="test")
    writer.write(file_bytes(data_set(1, 1, 1)))
    writer.keep().result(10)
    (instance,) = store.images.find(uid(1))
    with store.images.read(instance) as file:
        assert pydicom.dcmread(io.BytesIO(file.read())).PatientID == "P00000001"
    store.close()

"""Questions and bodies that are made to cost much: each is answered, soon, and in little memory. Over HTTP, the server in its own process."""

import contextlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from frontend_agent.dicom.part10 import meta
from frontend_agent.dicom.uids import EXPLICIT_LE
from frontend_agent.platform.images.accepting import accepted
from frontend_agent.platform.images.stow import MOST_PARTS
from frontend_agent.wire.images import DICOMWEB, dicomweb_path
from tests.dicom_kit import (
    CT,
    JPEG_BASELINE,
    MULTI_FRAME,
    data_set,
    data_set_bytes,
    encapsulated,
    file_bytes,
    uid,
)
from tests.images_kit import BOUNDARY, multipart, parts, stow, values
from tests.integration.test_platform_image_threats import Server, started
from tests.platform_kit import HOSPITAL

STORE = f"{dicomweb_path(HOSPITAL)}/studies"
KIND = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
INSTANCE = f"{DICOMWEB}/studies/{uid(1)}/series/{uid(1, 1)}/instances/{uid(1, 1, 1)}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with started(tmp_path / "platform") as found:
        stow(found.url, HOSPITAL, [file_bytes(data_set(9, 1, 1))])  # what is loaded at first use is loaded
        yield found


def get(server: Server, path: str, accept: str = "*/*") -> requests.Response:
    return requests.get(server.url + path, headers={"Accept": accept}, timeout=60)


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, len(value) if length is None else length) + value


def test_an_accept_header_takes_the_time_of_its_length() -> None:
    began = time.process_time()
    assert accepted('"' + '\\"' * 30_000)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("header", "kinds"),
    [
        ('multipart/related; type="a/b, c", image/png', ["image/png", "a/b, c"]),
        ('image/jpeg, application/json; x="image/png, ', ["image/jpeg", "application/json"]),
        ('"', ["*/*"]),
    ],
)
def test_commas_within_quotes_part_nothing(header: str, kinds: list[str]) -> None:
    assert sorted(one.kind for one in accepted(header)) == sorted(kinds)


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    [
        "ModalitiesInStudy=" + ",".join(["CT"] * 3_000), "&".join(["PatientID=1"] * 2_000),
        "StudyInstanceUID=" + ",".join(["1"] * 20_000), "PatientName=" + "a" * 60_000, "StudyDescription=*" + "a" * 60_000,
    ],
    ids=["modalities", "conditions", "uids", "name", "pattern"],
)  # fmt: skip
def test_a_question_too_large_for_the_index_is_refused(server: Server, query: str) -> None:
    answered = get(server, f"{DICOMWEB}/studies?{query}")
    assert (answered.status_code, answered.json()["error"]) == (400, "query")


@pytest.mark.slow
def test_parts_that_are_nothing_leave_nothing_in_memory(server: Server) -> None:
    junk = [b"j" * 60_000] * 1_500
    before = server.peak
    answered = stow(server.url, HOSPITAL, junk)
    assert answered.status_code == 409
    assert len(values(answered.json()["0008119A"])) == len(junk)
    assert server.peak - before <= 64 << 20, (server.peak - before) >> 20


@pytest.mark.slow
def test_a_request_has_so_many_parts_at_most_and_keeps_what_came_before(server: Server) -> None:
    begin = (
        f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file_bytes(data_set(1, 1, 1)) + b"\r\n"
    )
    body = begin + f"--{BOUNDARY}\r\n\r\n\r\n".encode() * (5 * MOST_PARTS) + f"--{BOUNDARY}--".encode()
    before = server.peak
    answered = requests.post(server.url + STORE, data=body, headers={"Content-Type": KIND}, timeout=120)
    assert answered.status_code == 413
    assert "1 instances of this one are stored" in answered.json()["detail"]
    assert get(server, INSTANCE).status_code == 200
    assert server.peak - before <= 128 << 20, (server.peak - before) >> 20


def test_an_answer_that_nobody_can_read_is_refused_before_anything_is_stored(server: Server) -> None:
    headers = {"Content-Type": KIND, "Accept": "application/dicom+xml"}
    content = multipart([file_bytes(data_set(1, 1, 1))])
    assert requests.post(server.url + STORE, data=content, headers=headers, timeout=30).status_code == 406
    assert get(server, INSTANCE).status_code == 404


def test_a_file_that_is_lost_is_told_and_holds_up_no_others(server: Server) -> None:
    stow(server.url, HOSPITAL, [file_bytes(data_set(1, 1, number)) for number in (1, 2)])
    sizes = {}
    for path in (server.folder / "images").rglob("*.dcm"):
        sizes[path] = path.read_bytes()
    lost = next(path for path, content in sizes.items() if uid(1, 1, 1).encode() in content)
    lost.unlink()

    alone = get(server, INSTANCE, "application/dicom")
    assert (alone.status_code, alone.json()["error"]) == (503, "missing")
    told = get(server, f"{DICOMWEB}/studies/{uid(1)}/metadata").json()
    assert [values(one["00080018"]) for one in told] == [[uid(1, 1, 1)], [uid(1, 1, 2)]]
    assert "00100010" in told[1]


@pytest.mark.slow
def test_millions_of_fragments_take_no_memory(server: Server) -> None:
    found = data_set(1, 1, 1, sop_class=MULTI_FRAME, pixels=0, Rows=4, Columns=4, NumberOfFrames=3, SamplesPerPixel=1)
    found.BitsAllocated = 8
    head = data_set_bytes(found, EXPLICIT_LE)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    pixels = element(0x7FE00010, b"OB", b"", 0xFFFFFFFF) + item * 4_000_000 + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    assert (
        stow(server.url, HOSPITAL, [meta(MULTI_FRAME, uid(1, 1, 1), JPEG_BASELINE) + head + pixels]).status_code == 200
    )
    before = server.peak
    answered = get(server, f"{INSTANCE}/frames/1")
    assert (answered.status_code, answered.json()["error"]) == (404, "no-frames")
    assert server.peak - before <= 64 << 20, (server.peak - before) >> 20


@pytest.mark.slow
def test_a_frame_of_a_gigabyte_leaves_in_pieces(server: Server) -> None:
    rows = 16_384
    found = data_set(1, 1, 1, pixels=0, Rows=rows, Columns=32_768, BitsAllocated=16, SamplesPerPixel=1)
    head, size = file_bytes(found), rows * 32_768 * 2

    def body() -> Iterator[bytes]:
        yield head + element(0x7FE00010, b"OW", b"", size)
        for _ in range(size >> 20):
            yield bytes(1 << 20)

    headers = {"Content-Type": "application/dicom"}
    assert requests.post(server.url + STORE, data=body(), headers=headers, timeout=120).status_code == 200
    before = server.peak
    with requests.get(f"{server.url}{INSTANCE}/frames/1", headers={"Accept": "application/octet-stream"}, stream=True, timeout=60) as told:  # fmt: skip
        assert told.status_code == 200
        assert sum(map(len, told.iter_content(1 << 20))) == size
    # The file's own pages are mapped, and count: what is copied does not.
    assert server.peak - before <= size + (64 << 20), (server.peak - before) >> 20
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    anonymous = int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) << 10
    assert anonymous <= 400 << 20


@pytest.mark.slow
def test_metadata_of_millions_of_items_are_what_the_index_knows(server: Server) -> None:
    head = data_set_bytes(data_set(1, 1, 1, pixels=0), EXPLICIT_LE)
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 4_000_000
    content = meta(CT, uid(1, 1, 1), EXPLICIT_LE) + head + element(0x00400555, b"SQ", items)
    assert stow(server.url, HOSPITAL, [content]).status_code == 200
    before = server.peak
    (told,) = get(server, f"{INSTANCE}/metadata").json()
    assert values(told["00080018"]) == [uid(1, 1, 1)]
    assert server.peak - before <= 256 << 20, (server.peak - before) >> 20


@pytest.mark.parametrize("frames", [1, 3])
def test_bulk_data_of_compressed_pixels_are_their_frames(server: Server, frames: int) -> None:
    jpegs = [b"\xff\xd8\xff\xe0" + bytes([n]) * 20 + b"\xff\xd9" for n in range(frames)]
    found = data_set(1, 1, 1, pixels=0, Rows=4, Columns=4, NumberOfFrames=frames, SamplesPerPixel=1, BitsAllocated=8)
    stow(server.url, HOSPITAL, [file_bytes(encapsulated(found, jpegs), JPEG_BASELINE)])
    (told,) = get(server, f"{INSTANCE}/metadata").json()

    answered = requests.get(told["7FE00010"]["BulkDataURI"], timeout=30)

    expected: list[Any] = [(f"image/jpeg; transfer-syntax={JPEG_BASELINE}", jpeg) for jpeg in jpegs]
    assert [(headers["content-type"], content.rstrip(b"\0")) for headers, content in parts(answered)] == expected
    octets = requests.get(told["7FE00010"]["BulkDataURI"], headers={"Accept": "application/octet-stream"}, timeout=30)
    assert octets.status_code == 406  # that would say they are not compressed


@pytest.mark.slow
def test_pictures_that_are_waited_for_keep_nothing_else_waiting(server: Server) -> None:
    pytest.importorskip("gdcm", reason="the extra `viewer` is not installed")
    rows = 6_000  # a picture of some seconds
    found = data_set(
        1, 1, 1, pixels=0, Rows=rows, Columns=rows, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2"
    )
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
    found.add_new(0x7FE00010, "OW", os.urandom(rows * rows * 2))
    stow(server.url, HOSPITAL, [file_bytes(found)])

    def ask(window: int) -> None:
        with contextlib.suppress(requests.ConnectionError):  # the server ends with the test
            get(server, f"{INSTANCE}/rendered?window={window},{window}", "image/png")

    asking = [threading.Thread(target=ask, args=(window,), daemon=True) for window in range(10, 80)]
    for one in asking:
        one.start()
    time.sleep(1)
    began = time.monotonic()
    for _ in range(5):
        assert get(server, f"{DICOMWEB}/studies").status_code == 200
        assert get(server, "/healthz").status_code == 200
    assert time.monotonic() - began < 10

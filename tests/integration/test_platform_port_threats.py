"""What comes to the platform's DICOM port and means no good (threats D1, D2, D3, D6, D9): bounded, and whoever means well is served."""

import gc
import logging
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from frontend_agent.dicom import serving
from frontend_agent.dicom.commands import c_store, read_command, written
from frontend_agent.dicom.pdus import PduType, joined, p_data
from frontend_agent.platform.images.catalogue import StudySearch
from frontend_agent.platform.images.listener import DicomPort, read_peers
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.store import Store
from tests.dicom_kit import CT, data_set, data_set_bytes, uid
from tests.dicom_listening import Line, asking, files_below, storing, until
from tests.platform_kit import HOSPITAL

MIB = 1 << 20
CLAIM = 0xFFFF_FFF0  # four gigabytes
DATA = data_set_bytes(data_set())
INSTANCE = uid(1, 1, 1)
WHO = {"calling": "PACS1", "called": "REGION"}


class Platform(NamedTuple):
    port: int
    store: Store
    folder: Path

    def line(self, source: str = "") -> Line:
        return Line(self.port, source)

    def well_served(self, number: int) -> float:
        """Seconds that a PACS takes which stores one instance meanwhile."""
        began = time.monotonic()
        with self.line() as line:
            assert line.associate(**WHO).type is PduType.A_ASSOCIATE_AC
            assert line.store(data_set_bytes(data_set(number)), uid(number, 1, 1)).status == 0
        return time.monotonic() - began

    def studies(self) -> set[str]:
        return {one.study_instance_uid for one in self.store.images.studies(StudySearch())}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Platform]]:
    closing: list[Callable[[], None]] = []

    def platform(settings: str = "") -> Platform:
        file = tmp_path / "peers.toml"
        peer = f'[[peers]]\nae_title = "PACS1"\ninstitution = "{HOSPITAL}"\n'
        file.write_text(f'ae_title = "REGION"\n{settings}\n{peer}')
        store = Store(tmp_path / "platform").open()
        port = DicomPort(store.images, read_peers(file), 0, Metrics(store))
        port.start()
        closing.extend((lambda: port.stop(2), store.close))
        return Platform(int(port.address.rpartition(":")[2]), store, tmp_path / "platform")

    yield platform
    for one in closing:
        one()


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def instances(platform: Platform) -> list[Path]:
    """Files of instances, whole or coming."""
    return [path for path in files_below(platform.folder / "images") if path.name != "institution"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read the memory from")
def test_d1_twenty_peers_that_claim_four_gigabytes_each(opened: Callable[..., Platform]) -> None:
    platform = opened()
    pixels = DATA[:200] + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, CLAIM) + bytes(MIB)
    claims = {
        "A-ASSOCIATE-RQ": (False, struct.pack(">BxI", 1, CLAIM) + bytes(1000)),
        "P-DATA before": (False, struct.pack(">BxI", 4, CLAIM) + bytes(1000)),
        "P-DATA": (True, struct.pack(">BxI", 4, CLAIM) + bytes(1000)),
        "an element of the data set": (True, storing(pixels, INSTANCE)[:-100]),
    }
    platform.well_served(8)
    before = resident()
    lines = []
    for associated, content in claims.values():
        for _ in range(20):
            line = platform.line()
            if associated:
                assert line.associate(**WHO).type is PduType.A_ASSOCIATE_AC
            line.send(content)
            lines.append(line)
        assert resident() - before <= 64 * MIB
    assert platform.well_served(9) < 5
    assert resident() - before <= 64 * MIB
    for line in lines:
        line.socket.close()
    assert until(lambda: platform.studies() == {uid(8), uid(9)})
    assert until(lambda: len(instances(platform)) == 2)


def test_d2_a_data_set_that_does_not_end(opened: Callable[..., Platform], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "OVERRUN", MIB)
    platform = opened(f"largest = {MIB}")
    piece = joined(p_data(1, bytes(16_000), 16_384, is_last=False))
    largest = sent = 0
    with platform.line() as line:
        line.associate(**WHO)
        line.send(joined(p_data(1, written(c_store(1, CT, INSTANCE)), 16_384, is_command=True)))
        with suppress(OSError):
            while sent < 64 * MIB:
                line.send(piece)
                sent += len(piece)
                largest = max(largest, sum(path.stat().st_size for path in instances(platform)))
    assert sent < 32 * MIB  # it was cut; beyond two megabytes it lies in the sockets' buffers
    assert largest <= 2 * MIB
    assert until(lambda: not instances(platform))
    assert platform.studies() == set()
    assert platform.well_served(9) < 5


def test_d3_five_hundred_half_open_connections(opened: Callable[..., Platform]) -> None:
    platform = opened()
    threads = threading.active_count()
    lines = []
    for number in range(500):
        line = platform.line(f"127.0.{number // 50}.{number % 50 + 1}" if number % 2 else "")
        if number % 3:
            line.send(asking(**WHO)[: number % 200])
        lines.append(line)
    assert threading.active_count() <= threads + 2  # none of them holds a thread
    assert platform.well_served(9) < 5
    for line in lines:
        line.socket.close()
    assert platform.studies() == {uid(9)}


def test_d3_one_address_takes_no_more_than_its_share(opened: Callable[..., Platform]) -> None:
    platform = opened("per_address = 3")
    lines = [platform.line() for _ in range(3)]
    for line in lines:
        assert line.associate(**WHO).type is PduType.A_ASSOCIATE_AC

    def is_let_in() -> bool:
        with platform.line() as line, suppress(OSError):
            line.send(asking(**WHO))
            return line.next() is not None
        return False

    assert not is_let_in()
    lines.pop().socket.close()
    assert until(is_let_in)
    for line in lines:
        line.socket.close()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("name", ["../../../etc/passwd", "1.2/../../3", "/etc/x", "..", "1.2.3\\x", "1.2\x003"])
def test_d6_names_that_lead_elsewhere(opened: Callable[..., Platform], name: str) -> None:
    platform = opened()
    before = set(files_below(platform.folder.parent))
    found = data_set()
    found.SOPInstanceUID = found.StudyInstanceUID = name
    with platform.line() as line:
        line.associate(**WHO)
        line.send(storing(data_set_bytes(found), name))
        answer = line.next()
    assert (
        not isinstance(answer, tuple) or read_command(answer[3]).status != 0
    )  # else it was the end of the association
    new = set(files_below(platform.folder.parent)) - before
    assert all(path.is_relative_to(platform.folder) for path in new)
    assert platform.studies() == set()


def test_d9_nothing_of_a_patient_is_told(opened: Callable[..., Platform], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    platform = opened()
    found = data_set(1, PatientName="CANARY^NAME", PatientID="CANARY-ID")
    with platform.line() as line:
        line.associate(**WHO)
        assert line.store(data_set_bytes(found), INSTANCE).status == 0
        found.PatientID = "CANARY-OTHER"
        assert line.store(data_set_bytes(found), INSTANCE).status != 0  # other bytes of the same instance
    assert "CANARY" not in caplog.text

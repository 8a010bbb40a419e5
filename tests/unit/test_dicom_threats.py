"""What comes from outside and means no good (threats D1, D2, D3, D6, D7, D9): memory, threads and the disk stay bounded, nothing stays
behind, and whoever means well is served meanwhile."""

import gc
import logging
import os
import random
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from frontend_agent.dicom import serving
from frontend_agent.dicom.commands import c_store, written
from frontend_agent.dicom.negotiation import RELEASE_RQ
from frontend_agent.dicom.pdus import PduType, joined, p_data
from frontend_agent.dicom.uids import EXPLICIT_LE
from tests.dicom_kit import CT, data_set, data_set_bytes, uid
from tests.dicom_listening import Line, asking, files_below, listening, quick, storing, until

INSTANCE = uid(1, 1, 1)
DATA = data_set_bytes(data_set())
MIB = 1 << 20
CLAIM = 0xFFFF_FFF0  # four gigabytes


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def well_served(port: int, source: str = "") -> float:
    """Seconds that somebody takes who stores one instance meanwhile."""
    began = time.monotonic()
    with Line(port, source) as line:
        assert line.associate().type is PduType.A_ASSOCIATE_AC
        assert line.store(data_set_bytes(data_set(9)), uid(9, 1, 1)).status == 0
    return time.monotonic() - began


def send_each(line: Line, pieces: Iterable[bytes], pause: float = 0.0) -> None:
    """Until the other side has had enough: OSError."""
    for piece in pieces:
        line.send(piece)
        time.sleep(pause)


def each_byte(content: bytes) -> Iterable[bytes]:
    return (content[at : at + 1] for at in range(len(content)))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read the memory from")
def test_d1_twenty_peers_that_claim_four_gigabytes_each(tmp_path: Path) -> None:
    claims = {
        "A-ASSOCIATE-RQ": (False, struct.pack(">BxI", 1, CLAIM) + bytes(1000)),
        "A-ASSOCIATE-RQ as long as it may be": (False, struct.pack(">BxI", 1, MIB) + bytes(MIB - 1)),
        "P-DATA before": (False, struct.pack(">BxI", 4, CLAIM) + bytes(1000)),
        "P-DATA": (True, struct.pack(">BxI", 4, CLAIM) + bytes(1000)),
        "A-RELEASE": (True, struct.pack(">BxI", 5, CLAIM) + bytes(1000)),
        "a value in P-DATA": (True, struct.pack(">BxIIBB", 4, 100_000, CLAIM, 1, 3) + bytes(1000)),
        "an item of the data set": (
            True,
            storing(DATA[:200] + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, CLAIM) + bytes(MIB), INSTANCE)[:-100],
        ),
    }
    with listening(tmp_path) as (inlet, _):
        well_served(inlet.address[1])
        before = resident()
        lines = []
        for associated, content in claims.values():
            for _ in range(20):
                line = Line(inlet.address[1])
                if associated:
                    line.associate()
                line.send(content)
                lines.append(line)
            assert resident() - before <= 64 * MIB
        assert well_served(inlet.address[1]) < 5
        assert resident() - before <= 64 * MIB
        for line in lines:
            line.socket.close()
        assert until(lambda: inlet.told()["connections"] == 0)
        assert until(lambda: not list((tmp_path / "incoming").iterdir()))


def test_d2_a_data_set_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "OVERRUN", MIB)
    piece = joined(p_data(1, bytes(16_000), 16_384, is_last=False))
    with listening(tmp_path, largest=MIB) as (inlet, _), Line(inlet.address[1]) as line:
        line.associate()
        line.send(joined(p_data(1, written(c_store(1, CT, INSTANCE)), 16_384, is_command=True)))
        largest = [0]

        def pieces() -> Iterator[bytes]:
            for _ in range(64 * MIB // len(piece)):
                yield piece
                largest.append(sum(path.stat().st_size for path in files_below(tmp_path)))

        with pytest.raises(OSError):
            send_each(line, pieces())
        assert max(largest) <= 2 * MIB
        assert len(largest) * len(piece) < 32 * MIB  # beyond the two megabytes it lies in the sockets' buffers
        assert until(lambda: "aborted by us: a data set that does not end" in inlet.told()["troubles"])
        assert files_below(tmp_path) == []


@pytest.mark.parametrize("kind", ["command", "report"])
def test_d2_what_is_held_in_memory_does_not_grow_for_ever(tmp_path: Path, kind: str) -> None:
    from frontend_agent.dicom.commands import n_event_report
    from frontend_agent.dicom.negotiation import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE

    with listening(tmp_path) as (inlet, _), Line(inlet.address[1]) as line:
        line.associate([(STORAGE_COMMITMENT, (EXPLICIT_LE,))])
        is_command = kind == "command"
        if not is_command:
            command = written(n_event_report(1, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1))
            line.send(joined(p_data(1, command, 16_384, is_command=True)))
        piece = joined(p_data(1, bytes(16_000), 16_384, is_command=is_command, is_last=False))
        with pytest.raises(OSError):
            send_each(line, [piece] * 4000)
        assert until(lambda: any("aborted by us" in one for one in inlet.told()["troubles"]))


def test_d3_five_hundred_half_open_connections(tmp_path: Path) -> None:
    with listening(tmp_path, per_address=100) as (inlet, _):
        port = inlet.address[1]
        threads = threading.active_count()
        lines = []
        for number in range(500):
            line = Line(port, f"127.0.{number // 50}.{number % 50 + 1}" if number % 2 else "")
            if number % 3:
                line.send(asking()[: number % 200])
            lines.append(line)
        assert threading.active_count() <= threads + 2  # none of them holds a thread
        assert well_served(port) < 5
        assert well_served(port, "127.0.3.7") < 5
        for line in lines:
            line.socket.close()


def test_d3_more_than_may_wait_make_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_WAITING", 20)
    with listening(tmp_path) as (inlet, _):
        lines = [Line(inlet.address[1]) for _ in range(30)]
        assert until(lambda: inlet.told()["turned_away"].get("made room for another") == 10)
        assert lines[0].next() is None
        assert lines[-1].associate().type is PduType.A_ASSOCIATE_AC
        for line in lines:
            line.socket.close()


def test_d3_a_request_that_drips(tmp_path: Path) -> None:
    with listening(tmp_path, **quick()) as (inlet, _), Line(inlet.address[1]) as line:
        began = time.monotonic()
        with pytest.raises(OSError):
            send_each(line, each_byte(asking()), 0.05)
        assert time.monotonic() - began < 8
        assert inlet.told()["turned_away"] == {"no association asked for in time": 1}


def test_d3_a_message_that_drips(tmp_path: Path) -> None:
    with listening(tmp_path, **quick()) as (inlet, _), Line(inlet.address[1]) as line:
        line.associate()
        content = storing(DATA, INSTANCE)
        line.send(content[:400])
        with pytest.raises(OSError):
            send_each(line, each_byte(content[400:]), 0.05)
        assert until(lambda: inlet.told()["troubles"] == {"too slow, within a message": 1})
        assert files_below(tmp_path) == []


def test_d3_who_does_not_read_its_answers(tmp_path: Path) -> None:
    with listening(tmp_path, **quick()) as (inlet, _), Line(inlet.address[1]) as line:
        from frontend_agent.dicom.commands import c_echo
        from frontend_agent.dicom.negotiation import VERIFICATION

        line.associate([(VERIFICATION, (EXPLICIT_LE,))])
        echo = joined(p_data(1, written(c_echo(1)), 16_384, is_command=True)) * 500
        with pytest.raises(OSError):
            send_each(line, [echo] * 2000)
        assert until(lambda: inlet.told()["connections"] == 0)
        assert well_served(inlet.address[1]) < 5


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_d6_names_that_lead_elsewhere(tmp_path: Path) -> None:
    bits = (
        "../x",
        "..\\x",
        "/etc/passwd",
        "C:\\x",
        "1.2/../../x",
        "1.2\x00.3",
        "a" * 300,
        "..",
        ".",
        "%2e%2e/",
        "con",
        "1.2.3/",
    )
    root = tmp_path / "state" / "images"
    names = [name for name in bits for _ in range(5)]
    assert len(names) == 60
    with listening(root) as (inlet, desk):
        for number, name in enumerate(names):
            where = number % 5
            with Line(inlet.address[1]) as line:
                syntax = name if where == 4 else EXPLICIT_LE
                line.send(asking([(CT, (syntax, EXPLICIT_LE))], calling=name[:16] if where == 3 else "TEST"))
                found = line.next()
                if not (found and found[0] == PduType.A_ASSOCIATE_AC):
                    continue
                keywords = {0: "SOPInstanceUID", 1: "StudyInstanceUID", 2: "SeriesInstanceUID"}
                told = {keywords[where]: name[:64]} if where in keywords else {}
                line.store(
                    data_set_bytes(data_set(**told)),
                    name if where == 0 else INSTANCE,
                    sop_class=name if where == 1 else CT,
                )
        assert files_below(tmp_path) == sorted(path for _, path in desk.kept.values())
        assert all(root in path.parents for path in files_below(tmp_path))
        assert all(path.name.removesuffix(".dcm").isalnum() for path in files_below(tmp_path))


@pytest.mark.parametrize("begins", [b"MZ\x90\x00", b"\x7fELF\x02\x01", b"\xcf\xfa\xed\xfe", b"#!/bin/sh\n"])
def test_d7_no_file_of_ours_begins_with_a_program(tmp_path: Path, begins: bytes) -> None:
    """The preamble never travels in C-STORE, and what would stand in its place is refused as a data set."""
    with listening(tmp_path) as (inlet, desk), Line(inlet.address[1]) as line:
        line.associate()
        assert line.store(begins.ljust(128, b"\0") + b"DICM" + DATA, INSTANCE).status == 0xC000
        assert line.store(DATA, INSTANCE).status == 0
        ((_, path),) = desk.kept.values()
        assert path.read_bytes()[:132] == bytes(128) + b"DICM"


def test_d9_nothing_of_a_patient_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    canary = "CANARY^PATIENT"
    data = data_set_bytes(data_set(PatientName=canary, PatientID="CANARY-4711"))
    with (
        caplog.at_level(logging.DEBUG),
        listening(tmp_path, largest=4000) as (inlet, _),
        Line(inlet.address[1]) as line,
    ):
        line.associate()
        line.store(data, INSTANCE)
        line.store(data[:-3], INSTANCE)
        line.store(data.replace(uid(1).encode(), b"CANARY-UID".ljust(len(uid(1)))), INSTANCE)
        line.store(data + bytes(8000), INSTANCE)
        line.send(storing(data, INSTANCE)[:-7])
        line.send(data)
        line.is_closed()
        told = str(inlet.told())
    assert "CANARY" not in caplog.text
    assert "CANARY" not in told


def test_a_conversation_cut_at_every_byte(tmp_path: Path) -> None:
    data = data_set_bytes(data_set(pixels=0))
    content = storing(data, INSTANCE) + RELEASE_RQ
    with listening(tmp_path, per_address=10_000, connections=10_000) as (inlet, desk):
        port = inlet.address[1]
        for end in range(len(asking())):
            with Line(port) as line:
                line.send(asking()[:end])
        for end in range(0, len(content), 3):
            with Line(port) as line:
                line.associate()
                line.send(content[:end])
        assert well_served(port) < 5
        assert until(lambda: inlet.told()["connections"] == 0 and not list((tmp_path / "incoming").iterdir()))
        assert len(desk.kept) == 2  # the whole one, and well_served's
        assert inlet.is_alive()


def test_random_bytes(tmp_path: Path) -> None:
    chance = random.Random(6)
    with listening(tmp_path, per_address=10_000) as (inlet, _):
        port = inlet.address[1]
        good = storing(DATA, INSTANCE)
        for number in range(300):
            with Line(port) as line:
                if number % 3:
                    line.associate()
                if number % 3 == 2:
                    spoilt = bytearray(good)
                    for _ in range(chance.randint(1, 5)):
                        spoilt[chance.randrange(400)] = chance.randrange(256)
                    line.send(bytes(spoilt))
                else:
                    line.send(chance.randbytes(chance.randint(1, 3000)))
        assert well_served(port) < 5
        assert until(lambda: inlet.told()["connections"] == 0)
        assert not [one for one in inlet.told()["troubles"] if "fault of ours" in one]
        assert not list((tmp_path / "incoming").iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        asking(),  # a second request
        joined(p_data(1, DATA, 16_384)),  # a data set that nobody announced
        joined(
            p_data(9, written(c_store(1, CT, INSTANCE)), 16_384, is_command=True)
        ),  # a context that was not accepted
        joined(p_data(1, written(c_store(1, CT, INSTANCE)), 0, is_command=True))
        + joined(p_data(1, DATA, 0, is_last=False))
        + RELEASE_RQ,
        joined(p_data(1, written(c_store(1, CT, INSTANCE)), 16_384, is_command=True)) * 2,
        joined(p_data(1, b"no command", 16_384, is_command=True)),
    ],
)
def test_what_may_not_come_now_ends_the_association_alone(tmp_path: Path, wrong: bytes) -> None:
    with listening(tmp_path) as (inlet, _), Line(inlet.address[1]) as line, Line(inlet.address[1]) as other:
        line.associate()
        other.associate()
        line.send(wrong)
        found = line.next()
        assert found is None or found[0] == PduType.A_ABORT
        assert other.store(DATA, INSTANCE).status == 0
        assert sum(inlet.told()["troubles"].values()) == 1
        assert "fault of ours" not in str(inlet.told())

"""What a destination gets instead: de-identified and compressed instances, made once, the same every time, dropped after proof."""

import io
import os
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from connectors.arrivals import InboxFull
from frontend_agent.config_images import StowOutlet
from frontend_agent.delivery import State
from frontend_agent.dicom.header import read_header
from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.compressing import SYNTAXES, StaysAsItIs, compressed
from frontend_agent.imaging.deidentifying import CannotDeidentify, Profile
from frontend_agent.imaging.model import ImageDelivery, Instance, Settled
from frontend_agent.imaging.pausing import pause_name
from frontend_agent.imaging.pixels.asking import Frame, PixelProcess, PixelsFailed
from frontend_agent.imaging.sending import StudySender
from frontend_agent.imaging.variants import Variants, deidentified_file, drop_others, variants
from frontend_agent.spool.made import MadeFiles
from tests.instances_made import BIG, EXPLICIT, IMPLICIT, as_file, ct
from tests.study_kit import Kept, until

SECRET = "a secret of the hospital, 32 bytes"


def kept(tmp_path: Path, data: pydicom.Dataset, number: int = 1, syntax: str = EXPLICIT) -> tuple[Instance, Path]:
    """An instance as the book has it, and its file."""
    return kept_file(tmp_path, as_file(data, syntax), number)


def kept_file(tmp_path: Path, file: bytes, number: int = 1) -> tuple[Instance, Path]:
    said = read_meta(file)
    header = read_header(file, said.transfer_syntax_uid, said.data_set_at)
    ours = meta(header.sop_class_uid, header.sop_instance_uid, said.transfer_syntax_uid) + file[said.data_set_at :]
    path = tmp_path / f"{number}.dcm"
    path.write_bytes(ours)
    digest = sha256(ours).hexdigest()
    return (
        Instance(
            id=number, study=1, header=header, sha256=digest, size=len(ours), sent_sha256=digest, sent_size=len(ours), inlet="pacs",
            sender="CT@10.0.0.1", received_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        path,
    )  # fmt: skip


def made_by(tmp_path: Path, looked: bool = False, **options: Any) -> Variants:
    outlet = StowOutlet(type="stow", url="https://region/dicom-web", **{"pseudonym_key": "pseudonyms", **options})
    made = variants("research", outlet, tmp_path, {"pseudonyms": SECRET}.__getitem__, lambda study: looked)
    assert made is not None
    return made


def files_of(tmp_path: Path) -> list[str]:
    return sorted(path.suffix for path in (tmp_path / "images" / "made").rglob("*") if path.is_file())


def test_a_destination_that_wants_nothing_made_gets_what_is_here(tmp_path: Path) -> None:
    assert variants("region", StowOutlet(type="stow", url="https://r/d"), tmp_path, str, lambda study: False) is None
    with pytest.raises(ConfigurationError, match="pseudonym_key"):
        variants("r", StowOutlet(type="stow", url="https://r/d", deidentified=True), tmp_path, str, lambda study: False)


def test_it_is_made_once_named_the_same_and_dropped_when_it_is_proven(tmp_path: Path) -> None:
    instance, path = kept(tmp_path, ct(1))
    research = made_by(tmp_path, deidentified=True)

    made, file = research.made(instance, path)

    assert made.id == instance.id
    assert made.header.sop_instance_uid != instance.header.sop_instance_uid
    assert sha256(file.read_bytes()).hexdigest() == made.sent_sha256
    assert len(file.read_bytes()) == made.sent_size
    assert pydicom.dcmread(file).file_meta.MediaStorageSOPInstanceUID == made.header.sop_instance_uid
    changed = file.stat().st_mtime_ns
    assert research.made(instance, path) == (made, file)
    assert file.stat().st_mtime_ns == changed
    # after a restart it is asked for by the same UIDs and the same hash
    again = made_by(tmp_path, deidentified=True).named(instance)
    assert (again.header.sop_instance_uid, again.header.study_instance_uid) == (
        made.header.sop_instance_uid,
        made.header.study_instance_uid,
    )
    assert again.sent_sha256 == made.sent_sha256

    research.proven([research.named(instance)])
    assert not file.exists()
    assert files_of(tmp_path) == []
    assert research.made(instance, path)[0] == made  # the same again


def test_an_instance_that_is_aligned_anew_is_made_anew(tmp_path: Path) -> None:
    instance, path = kept(tmp_path, ct(1))
    research = made_by(tmp_path, deidentified=True)
    first, _ = research.made(instance, path)
    other, other_path = kept(tmp_path, ct(1, StudyID="S2", PatientID="OTHER1"))
    second, _ = research.made(other, other_path)
    assert first.sent_sha256 != second.sent_sha256


def test_pixels_that_may_show_a_name_do_not_leave_before_a_person_looked(tmp_path: Path) -> None:
    capture = ct(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT")
    instance, path = kept(tmp_path, capture)
    with pytest.raises(ValueError, match="release STUDY --pixels"):
        made_by(tmp_path, deidentified=True).made(instance, path)
    assert files_of(tmp_path) == []
    assert made_by(tmp_path, deidentified=True, looked=True).made(instance, path)[1].is_file()


def test_a_document_never_leaves(tmp_path: Path) -> None:
    document = ct(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1")
    del document.PixelData
    document.EncapsulatedDocument = b"%PDF-1.4 name"
    instance, path = kept(tmp_path, document)
    with pytest.raises(ValueError, match="document"):
        made_by(tmp_path, deidentified=True, looked=True).made(instance, path)


def test_what_was_made_gives_way_and_is_known_by_its_hash(tmp_path: Path) -> None:
    files = MadeFiles(tmp_path / "made", most=1000)
    for number in range(3):
        incoming = files.begin()
        incoming.write(bytes([number]) * 600)
        made = files.keep(f"{number:032}", incoming.finish())
        assert made.path is not None
        files.release([f"{number:032}"])
        os.utime(made.path, (time.time() - 7200 + number, time.time() - 7200 + number))
    first, last = files.find(f"{0:032}"), files.find(f"{2:032}")
    assert first is not None
    assert last is not None
    assert (first.path, first.sha256, first.size) == (None, sha256(bytes(600)).hexdigest(), 600)
    assert last.path is not None
    files.sweep(3600)
    assert files.find(f"{2:032}") is None


# --- room -------------------------------------------------------------------------------------------------------------


class Region:
    """Takes everything, and remembers how much lay on the disk meanwhile."""

    def __init__(self, state: Path) -> None:
        self.name, self.state, self.got, self.most = "research", state, 0, 0

    def send(self, delivery: ImageDelivery, path: Any, settle: Any) -> None:
        for one in delivery.instances:
            assert path(one).is_file()
            self.most = max(self.most, lying(self.state))
            self.got += 1
            settle([Settled(one.id, State.ACCEPTED)])

    def prove(self, delivery: ImageDelivery) -> list[Settled]:
        return [Settled(one.id, State.DELIVERED, proof="seen") for one in delivery.instances]

    def probe(self) -> None: ...

    def told(self) -> dict[str, Any]:
        return {}

    def close(self) -> None: ...


def lying(state: Path) -> int:
    return sum(path.stat().st_size for path in (state / "images").rglob("*") if path.is_file())


def sender_to(kept: Kept, region: Region, state: Path) -> tuple[StudySender, Variants]:
    options = StowOutlet(type="stow", url="https://r/d", deidentified=True, pseudonym_key="pseudonyms")
    instead = variants(
        "research", options, state, {"pseudonyms": SECRET}.__getitem__, lambda study: False, kept.book.room
    )
    assert instead is not None
    return StudySender(
        "research", options, region, kept.book, kept.spool, kept.clock, "Asia/Shanghai", instead
    ), instead


def study_of_slices(kept: Kept, slices: int) -> None:
    for number in range(1, slices + 1):
        one = ct(1, rows=512, SOPInstanceUID=f"1.2.826.0.1.3680043.10.99.1.1.{number}", InstanceNumber=number)
        writer = kept.desk.begin_file("pacs", sender="PACS")
        writer.write(as_file(one))
        writer.keep().result(10)
    study = kept.book.study_of(one.StudyInstanceUID)
    assert study is not None
    assert kept.checked(study, "research")


def test_what_is_made_is_of_the_quota_and_gives_way_so_that_all_goes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Kept(state, quota=100 << 20, may_change=False) as kept:
        study_of_slices(kept, 10)
        kept.book.room.quota = quota = kept.book.used() + (2 << 20)  # room for three more, at most
        region = Region(state)
        sender, _ = sender_to(kept, region, state)
        while sender.send_once():
            assert lying(state) <= quota
        assert region.got == 10
        assert region.most <= quota
        assert kept.book.used() == lying(state)
        assert kept.spool.pause(pause_name("research")).failures == 0
        # what lies there after a restart counts again
        assert sender_to(kept, region, state)
        assert kept.book.used() == lying(state)
        kept.clock.now += timedelta(minutes=1)
        assert sender.prove_once() == 10
        assert files_of(state) == []
        assert kept.book.room.reserved == 0


def test_where_nothing_can_be_made_sending_waits_and_says_so(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Kept(state, quota=100 << 20, may_change=False) as kept:
        study_of_slices(kept, 2)
        kept.book.room.quota = kept.book.used() + 1000
        region = Region(state)
        sender, _ = sender_to(kept, region, state)
        assert sender.send_once() == 0
        pause = kept.spool.pause(pause_name("research"))
        assert "cannot be made now: images: " in pause.problem
        assert kept.book.waiting("research") == 2
        assert kept.book.room.reserved == 0
        kept.book.room.quota = 100 << 20
        kept.clock.now += timedelta(minutes=10)
        assert sender.send_once() == 2
        assert kept.spool.pause(pause_name("research")).failures == 0


def test_arrivals_leave_room_for_what_is_made(tmp_path: Path) -> None:
    with Kept(tmp_path / "state", quota=8 << 20, may_change=False, for_making=7 << 20) as kept:
        study_of_slices(kept, 1)
        with pytest.raises(InboxFull):
            study_of_slices(kept, 3)


def test_what_was_made_for_a_destination_that_is_gone_goes(tmp_path: Path) -> None:
    instance, path = kept(tmp_path, ct(1))
    made_by(tmp_path, deidentified=True).made(instance, path)
    drop_others(tmp_path, ["research"])
    assert files_of(tmp_path) == [".dcm"]
    drop_others(tmp_path, ["region"])
    assert files_of(tmp_path) == []


def test_a_file_of_somebodys_is_deidentified_alone(tmp_path: Path) -> None:
    _, path = kept(tmp_path, ct(1))
    profile = Profile(SECRET.encode())
    uid, content = deidentified_file(path, profile, looked=False)
    data = pydicom.dcmread(io.BytesIO(b"".join(content)))
    assert (data.SOPInstanceUID, data.PatientIdentityRemoved) == (uid, "YES")
    capture = tmp_path / "capture.dcm"
    capture.write_bytes(as_file(ct(2, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")))
    with pytest.raises(CannotDeidentify, match="may show a name"):
        deidentified_file(capture, profile, looked=False)
    assert deidentified_file(capture, profile, looked=True)[0]


# --- compressed -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pixels() -> Any:
    process = PixelProcess()
    yield process
    process.close()


@pytest.mark.parametrize("kind", list(SYNTAXES))
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_compressed_pixels_are_the_same_pixels(tmp_path: Path, kind: str, syntax: str) -> None:
    original = ct(1, rows=64, frames=3)
    instance, path = kept(tmp_path, original, syntax=syntax)
    region = made_by(tmp_path, compress=kind)

    made, file = region.made(instance, path)

    region.close()
    data = pydicom.dcmread(file)
    before = pydicom.dcmread(path)
    assert made.header.transfer_syntax_uid == data.file_meta.TransferSyntaxUID == SYNTAXES[kind]
    assert made.header.sop_instance_uid == instance.header.sop_instance_uid
    assert made.sent_size < instance.sent_size
    assert np.array_equal(data.pixel_array, before.pixel_array)
    for element in before:
        if element.tag not in (0x7FE00010, 0x00290010, 0x00291010) and element.VR != "SQ":
            assert data[element.tag].value == element.value, element.tag
    assert (
        data.RequestAttributesSequence[0].RequestedProcedureDescription
        == before.RequestAttributesSequence[0].RequestedProcedureDescription
    )


@pytest.mark.parametrize("kind", list(SYNTAXES))
@pytest.mark.parametrize("planar", [0, 1])
def test_colours_are_the_same_colours(tmp_path: Path, kind: str, planar: int) -> None:
    data = ct(1, rows=40)
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", planar
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    colours = np.repeat(np.arange(120, dtype=np.uint8), 40)  # runs of 40 pixels, or of rows
    data.PixelData = colours.tobytes()
    instance, path = kept(tmp_path, data)
    region = made_by(tmp_path, compress=kind)
    made, file = region.made(instance, path)
    region.close()
    assert made.header.transfer_syntax_uid == SYNTAXES[kind]
    assert np.array_equal(pydicom.dcmread(file).pixel_array, pydicom.dcmread(path).pixel_array)


def test_signed_pixels_are_the_same(tmp_path: Path, pixels: PixelProcess) -> None:
    samples = np.random.default_rng(1).integers(-2000, 2000, (64, 64)).astype("<i2").tobytes()
    for syntax in SYNTAXES.values():  # verified in there: a difference would be PixelsFailed
        assert pixels.frame(Frame(syntax, 64, 64, 1, "MONOCHROME2", 16, 16, 1), samples)


def test_bits_that_would_be_lost_keep_an_instance_as_it_is(tmp_path: Path, pixels: PixelProcess) -> None:
    data = ct(1, rows=64)
    data.PixelData = b"\xff\xff" * 64 * 64  # an overlay in bits that are not stored ones
    file = as_file(data)
    with pytest.raises(StaysAsItIs):
        list(compressed(file, EXPLICIT, read_meta(file).data_set_at, "jpeg-ls", pixels.frame))


@pytest.mark.parametrize(
    ("change", "syntax", "said"),
    [({}, BIG, "big endian"), ({"BitsAllocated": 32}, EXPLICIT, "kind of pixels"), ({"Rows": 17}, EXPLICIT, "as long as"),
     ({"DigitalSignaturesSequence": []}, EXPLICIT, "signed")],
)  # fmt: skip
def test_what_is_not_compressed_says_why(change: dict[str, Any], syntax: str, said: str) -> None:
    file = as_file(ct(1, **change), syntax)
    with pytest.raises(StaysAsItIs, match=said):
        list(compressed(file, syntax, read_meta(file).data_set_at, "rle", lambda frame, samples: b""))


def test_what_is_compressed_stays_as_it_is(tmp_path: Path) -> None:
    instance, path = kept(tmp_path, ct(1, rows=64))
    region = made_by(tmp_path, compress="jpeg-ls")
    _, file = region.made(instance, path)
    other = made_by(tmp_path / "other", compress="rle")
    compressed_one, compressed_path = kept_file(tmp_path, file.read_bytes(), 2)
    assert other.made(compressed_one, compressed_path) == (compressed_one, compressed_path)
    region.close()
    other.close()


def test_both_at_once(tmp_path: Path) -> None:
    instance, path = kept(tmp_path, ct(1, rows=64))
    research = made_by(tmp_path, deidentified=True, compress="rle")
    made, file = research.made(instance, path)
    research.close()
    data = pydicom.dcmread(file)
    assert data.PatientIdentityRemoved == "YES"
    assert data.file_meta.TransferSyntaxUID == SYNTAXES["rle"]
    assert made.header.sop_instance_uid == research.named(instance).header.sop_instance_uid
    assert np.array_equal(data.pixel_array, pydicom.dcmread(path).pixel_array)
    assert files_of(tmp_path) == [".dcm"]


def test_a_decoder_that_dies_or_hangs_costs_one_answer(pixels: PixelProcess) -> None:
    with pytest.raises(PixelsFailed):
        pixels.page(b"no picture", 0)
    held = io.BytesIO()
    from PIL import Image

    Image.new("1", (100, 200)).save(held, "TIFF", compression="group4")
    child = pixels._child
    assert child is not None
    child.kill()
    until(lambda: not child.is_alive())
    page, samples = pixels.page(held.getvalue(), 0)
    assert (page.rows, page.columns, page.pages, bool(samples)) == (200, 100, 1, True)


def test_the_process_that_touches_pixels_can_do_nothing_else(pixels: PixelProcess) -> None:
    pixels.frame(Frame(SYNTAXES["rle"], 1, 2, 1, "MONOCHROME2", 8, 8, 0), b"\1\2")
    assert pixels._child is not None
    status = Path(f"/proc/{pixels._child.pid}/status").read_text()
    assert "Seccomp:\t2" in status  # a filter of system calls
    limits = Path(f"/proc/{pixels._child.pid}/limits").read_text()
    assert [line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files")] == [["0", "0"]]

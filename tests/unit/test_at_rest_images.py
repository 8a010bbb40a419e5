"""Received studies of an encrypted state: sealed from their first byte, read in any range, and given on as they came."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt

from frontend_agent.config_images import StowOutlet
from frontend_agent.delivery import State
from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.dicom.rewriting import as_implicit, chunks, together
from frontend_agent.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from frontend_agent.errors import StateError
from frontend_agent.imaging.changing import Change
from frontend_agent.imaging.deidentifying import Profile, deidentified
from frontend_agent.imaging.deidentifying import Subject as Whose
from frontend_agent.imaging.examining import Examiner, examine
from frontend_agent.imaging.model import ImageDelivery, Instance, Rewritten, Settled
from frontend_agent.imaging.variants import Variants, variants
from frontend_agent.instance_reading import FileDamaged, InstanceFile, KeyedFile, lent, mapped, opened, path_of, size_of
from frontend_agent.sealed_files import SEALED, SEGMENT, Window, is_sealed
from frontend_agent.sealing import SUITES, Suite
from frontend_agent.spool import Spool
from frontend_agent.spool.at_rest import under
from frontend_agent.spool.vault import AtRest
from tests.dicom_kit import data_set as dicom_data_set
from tests.image_samples import ct_slice
from tests.instances_made import BIG, EXPLICIT, IMPLICIT, as_file, ct
from tests.sending_kit import kept as as_kept
from tests.servers import free_port
from tests.study_kit import CT, SETTLED, Kept, data_set
from tests.unit import test_dicom_sending as sending
from tests.unit import test_stow as stow
from tests.unit.test_at_rest import KILLED, ONE, at_rest, raw_hits
from tests.unit.test_dicom_sending import serving
from tests.unit.test_images_fragments import photograph, photographs
from tests.unit.test_stow import Region

region = stow.region  # a fixture
STUDY = "1.2.3.1"
NAME = "C4NARY^王小明"
CANARY = NAME.encode()
SIZE = 3 * SEGMENT + 4  # of pixels
FLAT = {
    "Rows": 300, "Columns": 300, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16,
    "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "PixelData": bytes(180_000),
}  # fmt: skip
DEFLATED = "1.2.840.10008.1.2.1.99"


def whole(number: int, **said: Any) -> bytes:
    """The file of an instance as it was received."""
    return meta(CT, f"{STUDY}.1.{number}", EXPLICIT_LE) + data_set(STUDY, number, size=SIZE, name=NAME, **said)


def received(kept: Kept, count: int = 2) -> list[InstanceFile]:
    for number in range(1, count + 1):
        kept.send(STUDY, number, size=SIZE, name=NAME)
    study = kept.book.study_of(STUDY)
    assert study is not None
    files = [kept.book.path(one) for one in kept.book.instances(study.id)]
    return [one for one in files if one is not None]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Kept(tmp_path / "state", at_rest()) as kept:
        yield kept


def content(file: InstanceFile) -> bytes:
    with opened(file) as found:
        return found.read()


# --- reading and writing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_an_instance_lies_sealed_from_its_first_byte_and_is_read_back(tmp_path: Path, suite: Suite) -> None:
    with Kept(tmp_path, at_rest(suite)) as kept:
        writer = kept.desk.begin("pacs", CT, f"{STUDY}.1.9", EXPLICIT_LE, sender="PACS@127.0.0.1")
        writer.write(data_set(STUDY, 9, size=SIZE, name=NAME))
        assert raw_hits(tmp_path, CANARY) == []  # while it is received
        writer.abort()
        first, _ = received(kept)
        assert raw_hits(tmp_path, CANARY) == []
        plain = whole(1)
        assert isinstance(first, KeyedFile)
        assert first.path.stat().st_size > size_of(first) == len(plain)
        assert content(first) == plain
        with opened(first) as found:
            assert found.size == len(plain)
            for place, size in ((0, 200), (SEGMENT - 5, 10), (len(plain) - 3, 9), (100, 2 * SEGMENT), (len(plain), 1)):
                found.seek(place)
                assert found.read(size) == plain[place : place + size]
                found.seek(place)
                buffer = memoryview(bytearray(size))
                got = found.readinto(buffer)
                assert bytes(buffer[:got]) == plain[place : place + size]
        with mapped(first) as data:
            assert (len(data), data[130], bytes(data[-4:])) == (len(plain), plain[130], plain[-4:])
            assert bytes(data[SEGMENT - 9 : 2 * SEGMENT + 9]) == plain[SEGMENT - 9 : 2 * SEGMENT + 9]
    with Kept(tmp_path / "plain") as kept:  # the search finds what is there
        assert [path_of(one) for one in received(kept)] == received(kept)
        assert len(raw_hits(tmp_path / "plain", CANARY)) >= 2


def test_the_same_again_is_known_and_a_lost_file_is_taken_again(kept: Kept) -> None:
    first, second = received(kept)
    assert kept.send(STUDY, 1, size=SIZE, name=NAME).kept == "duplicate"
    path_of(second).unlink()
    assert kept.send(STUDY, 2, size=SIZE, name=NAME).kept == "kept"
    assert content(second) == whole(2)
    path_of(first).write_bytes(path_of(first).read_bytes()[:-SEALED])  # what the disk cut off is none
    assert kept.send(STUDY, 1, size=SIZE, name=NAME).kept == "kept"
    assert content(first) == whole(1)


SPOILS = {
    "changed": lambda mine, other: mine[:-100] + bytes([mine[-100] ^ 1]) + mine[-99:],
    "changed at its head": lambda mine, other: mine[:20] + bytes([mine[20] ^ 1]) + mine[21:],
    "cut off": lambda mine, other: mine[:-1],
    "cut off at a segment": lambda mine, other: mine[: 32 + SEALED],
    "its head alone": lambda mine, other: mine[:32],
    "exchanged": lambda mine, other: other,
    "two segments exchanged": lambda mine, other: (
        mine[:32] + mine[32 + SEALED : 32 + 2 * SEALED] + mine[32 : 32 + SEALED] + mine[32 + 2 * SEALED :]
    ),
}


@pytest.mark.parametrize("how", SPOILS)
def test_what_was_changed_cut_off_or_exchanged_is_found_and_not_sent(kept: Kept, how: str) -> None:
    first, second = received(kept)
    path_of(first).write_bytes(SPOILS[how](path_of(first).read_bytes(), path_of(second).read_bytes()))
    with pytest.raises(FileDamaged, match="not what was written"):
        content(first)
    examiner = Examiner()
    try:
        facts = examiner.examine([first, second], (), repair=True)
        assert facts[0].failed
        assert facts[0].header is None
        assert facts[1].header is not None
        assert "not what was written" in examiner.plan(first, Change(charset="ISO_IR 100")).problem
    finally:
        examiner.close()


# --- a window is as good as a map -------------------------------------------------------------------------------------


def window(file: bytes) -> Window:
    return Window(len(file), lambda number: file[number * SEGMENT : (number + 1) * SEGMENT])


def samples() -> dict[str, bytes]:
    jpegs = [photograph() + b"BEHIND-THE-END!" for _ in range(3)]
    noise = os.urandom(90_000).replace(b"\xff", b"\x00")  # a picture longer than a segment
    long = jpegs[0].replace(b"\xff\xd9", noise + b"\xff\xd9")
    return {
        "explicit": as_file(ct(1, rows=300)),
        "implicit": as_file(ct(2, rows=300), IMPLICIT),
        "big endian": as_file(ct(3, rows=300), BIG),
        "deflated": as_file(ct(4, rows=300), DEFLATED),
        "frames": as_file(ct(5, rows=64, frames=12), EXPLICIT),
        "pictures": photographs([*jpegs, long]),
        "fragments": photographs(jpegs, fragments=3),
        "ours": ct_slice(1),
    }


@pytest.mark.parametrize("name", samples())
def test_a_sealed_file_is_examined_changed_and_deidentified_like_a_plain_one(name: str) -> None:
    file = samples()[name]
    said = read_meta(file)
    assert read_meta(window(file)) == said
    assert examine(window(file), ("张三",)) == examine(file, ("张三",))

    def without(data: Any) -> bytes:
        done = deidentified(data, said.transfer_syntax_uid, said.data_set_at, Profile(b"k" * 32), Whose("P1"))
        return b"".join(chunks(done.pieces, lambda start, end: bytes(done.data[start:end])))

    assert without(window(file)) == without(file)
    if said.transfer_syntax_uid == EXPLICIT and name != "pictures":
        at = said.data_set_at
        assert together(window(file), as_implicit(window(file), at)) == together(file, as_implicit(file, at))


def test_a_window_goes_where_a_slice_of_bytes_goes() -> None:
    file = os.urandom(2 * SEGMENT + 100)
    seen = window(file)
    for place in (
        slice(0, 0),
        slice(-10, None),
        slice(SEGMENT, SEGMENT + 1),
        slice(SEGMENT - 1, 2 * SEGMENT + 1),
        slice(None),
    ):
        assert seen[place] == file[place]
    assert (seen[-1], seen[SEGMENT]) == (file[-1], file[SEGMENT])
    with pytest.raises(ValueError, match="one direction"):
        seen[::2]
    with pytest.raises(struct.error):
        struct.Struct("<H").unpack(seen[len(file) - 1 : len(file) + 1])


# --- who reads them ---------------------------------------------------------------------------------------------------


def test_the_child_that_examines_is_given_the_key_of_that_file_alone(kept: Kept) -> None:
    first, second = received(kept)
    one, other = lent(first), lent(second)
    assert not isinstance(one, str)
    assert not isinstance(other, str)
    assert one.key != other.key
    vault = kept.spool._vault.current
    assert vault is not None
    assert one.key not in (vault.secret, vault.files)
    with opened(one) as found:
        assert found.read() == whole(1)
    with pytest.raises(FileDamaged):
        opened(type(one)(other.path, other.sha256, one.suite, one.key))
    examiner = Examiner()
    try:
        facts = examiner.examine([first, second], (), repair=True)
    finally:
        examiner.close()
    assert [one.header.patient_name for one in facts if one.header] == [NAME, NAME]


def by_c_store(delivery: ImageDelivery, path: Callable[[Instance], Any], syntax: str) -> dict[str, bytes]:
    """The data sets that a peer gets which takes that transfer syntax alone."""
    got: dict[str, bytes] = {}

    def stored(event: Any) -> int:
        got[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return 0

    ae, port = AE("PEER"), free_port()
    ae.add_supported_context(CT, [syntax])
    settled: list[Settled] = []
    with serving(ae, port, [(evt.EVT_C_STORE, stored)]):
        sending.edge(port).send(delivery, path, settled.extend)
    assert {one.state for one in settled} == {State.ACCEPTED}
    return got


def test_they_are_sent_by_c_store_and_stow_as_they_came(kept: Kept, region: Region) -> None:
    files = received(kept, 3)
    study = kept.book.study_of(STUDY)
    assert study is not None
    instances = kept.book.instances(study.id)
    plain = {f"{STUDY}.1.{number}": data_set(STUDY, number, size=SIZE, name=NAME) for number in (1, 2, 3)}
    assert len(files) == 3
    delivery = ImageDelivery(study=study, destination="region", instances=tuple(instances), attempts=1)
    path = kept.book.path
    assert by_c_store(delivery, path, EXPLICIT_LE) == plain
    implicit = {uid: together(body, as_implicit(body, 0)) for uid, body in plain.items()}
    assert by_c_store(delivery, path, IMPLICIT_LE) == implicit
    settled: list[Settled] = []
    stow.edge(region.url).send(delivery, path, settled.extend)  # type: ignore[arg-type]
    assert {one.state for one in settled} == {State.ACCEPTED}
    assert region.files == {f"{STUDY}.1.{number}": whole(number) for number in (1, 2, 3)}


@pytest.mark.parametrize(
    "options", [{"deidentified": True}, {"compress": "rle"}, {"deidentified": True, "compress": "rle"}]
)
def test_what_is_made_for_a_destination_is_sealed_and_the_same(kept: Kept, tmp_path: Path, options: Any) -> None:
    table = StowOutlet(type="stow", url="https://r/d", pseudonym_key="pseudonyms", **options)

    def making(folder: Path, keys: Any) -> Variants:
        made = variants("research", table, folder, {"pseudonyms": "s" * 32}.__getitem__, lambda study: True, keys=keys)
        assert made is not None
        return made

    file = as_kept(dicom_data_set(pixels=200_000, PatientName="C4NARY^ONE", StudyInstanceUID=STUDY))
    said = read_meta(file)
    uids = (said.sop_class_uid, said.sop_instance_uid, said.transfer_syntax_uid)
    writer = kept.desk.begin("pacs", *uids, sender="PACS@127.0.0.1")
    writer.write(file[said.data_set_at :])
    writer.keep().result(10)
    study = kept.book.study_of(STUDY)
    assert study is not None
    [instance] = kept.book.instances(study.id)
    sealed_file = kept.book.path(instance)
    assert sealed_file is not None
    plain_file = tmp_path / "plain.dcm"
    plain_file.write_bytes(content(sealed_file))
    sealing, plain = making(tmp_path / "sealed", kept.spool._vault), making(tmp_path / "unsealed", None)
    try:
        made, made_file = sealing.made(instance, sealed_file)
        same, same_file = plain.made(instance, plain_file)
        assert made == same
        assert content(made_file) == content(same_file)
        assert sealing.made(instance, sealed_file) == (made, made_file)  # made once
        assert all(is_sealed(path.read_bytes()) for path in (tmp_path / "sealed").rglob("*.dcm"))
        assert raw_hits(tmp_path / "sealed", b"C4NARY") == []
        assert path_of(made_file).is_file()
        sealing.proven([instance])
        assert not list((tmp_path / "sealed").rglob("*.dcm"))
    finally:
        sealing.close()
        plain.close()


def test_memory_does_not_grow_with_an_instance(tmp_path: Path) -> None:
    """256 MiB are read twice, in order and as a map, by a process of its own."""
    code = """
import resource, sys
from pathlib import Path
from hashlib import sha256
from frontend_agent.imaging.examining import examine
from frontend_agent.instance_files import InstanceFiles
from frontend_agent.instance_reading import mapped, opened
from frontend_agent.spool.vault import Key
from tests.study_kit import CT, data_set, element
from frontend_agent.dicom.part10 import meta
class Keys:
    current = Key("0123abcd", "AES-256-GCM", b"k" * 32)
    def key(self, id): return self.current
files = InstanceFiles(Path(sys.argv[1]), Keys()).open()
pixels = 256 << 20
head = meta(CT, "1.2.3.1.1", "1.2.840.10008.1.2.1") + data_set("1.2.3", 1, size=64)[:-64 - 4] + pixels.to_bytes(4, "little")
def written(chunks):
    file = files.begin()
    for chunk in chunks:
        file.write(chunk)
    with file.mapped() as data:
        assert bytes(data[:len(head)]) == head
    return file.finish()
written([head])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = written([head, *[bytes(1 << 20)] * 256])
file = files.reading(files.incoming(done.token), done.sha256)
digest = sha256()
with opened(file) as content:
    while chunk := content.read(1 << 20):
        digest.update(chunk)
assert digest.hexdigest() == done.sha256
with mapped(file) as data:
    assert examine(data).pixels == pixels
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 16, "MiB"


# --- turned on, off, another key --------------------------------------------------------------------------------------


def filled(state: Path, settings: AtRest | None) -> dict[str, bytes]:
    """Two instances, one of which is sent changed, and one that was made for a destination: plain bytes by the file's name."""
    with Kept(state, settings) as kept:
        received(kept)
        study = kept.book.study_of(STUDY)
        assert study is not None
        kept.clock.now += SETTLED
        one = kept.book.instances(study.id)[0]
        anew = kept.book.begin()
        anew.write(whole(1, accession="A2"))
        done = anew.finish()
        rewritten = (Rewritten(one.id, done.token, done.sha256, done.size),)
        assert kept.checked(study, "region", rewritten=rewritten)
        options = StowOutlet(type="stow", url="https://r/d", compress="rle")
        made = variants("region", options, state, str, lambda study: True, keys=kept.spool._vault)
        assert made is not None
        image = as_kept(dicom_data_set(pixels=0, PatientName="C4NARY^ONE", **FLAT))
        (state / "made.dcm").write_bytes(image)
        instance = kept.book.instances(study.id)[1]
        _, file = made.made(instance, state / "made.dcm")
        made.close()
        (state / "made.dcm").unlink()
        assert path_of(file).parent.parent.parent == state / "images" / "made"
        found = {path_of(file).name: content(file)}
        for instance in kept.book.instances(study.id):
            for came in (False, True):
                here = kept.book.path(instance, as_it_came=came)
                assert here is not None
                found[path_of(here).name] = content(here)
    return found


def readable(state: Path, settings: AtRest | None, files: dict[str, bytes]) -> None:
    with Spool(state, at_rest=settings).open() as spool:
        paths = {path.name: path for path in (state / "images").rglob("*.dcm")}
        assert paths.keys() == files.keys()
        for name, path in paths.items():
            digest = path.stem.split("-")[1] if "-" in path.stem else path.stem
            assert content(spool.images.files.reading(path, digest)) == files[name], name
        assert not list(state.rglob("*.part"))


PATHS: list[tuple[AtRest | None, AtRest | None]] = [
    (None, at_rest()),
    (at_rest(), at_rest("SM4-GCM")),
    (at_rest("SM4-GCM"), at_rest(None)),
]


@pytest.mark.parametrize(("before", "after"), PATHS, ids=["turned on", "another suite", "turned off"])
def test_studies_come_under_what_agent_toml_says(tmp_path: Path, before: AtRest | None, after: AtRest) -> None:
    files = filled(tmp_path, before)
    assert len(files) == 4
    half = tmp_path / "images" / "incoming" / "half"
    half.write_bytes(b"\0" * 128 + CANARY)  # it was being received when the power went
    ages = {path: path.stat().st_mtime_ns for path in (tmp_path / "images").rglob("*.dcm")}
    with Spool(tmp_path, at_rest=after).open() as spool:
        assert spool.sealed_anew == 5  # the database, and these
    assert not half.exists()
    assert ages == {path: path.stat().st_mtime_ns for path in ages}
    assert len(under(tmp_path)) == 1
    assert sum(under(tmp_path).values()) == 5
    readable(tmp_path, after, files)
    assert bool(raw_hits(tmp_path, b"C4NARY")) == (after.suite is None)
    if after.suite is None:
        readable(tmp_path, None, files)


def test_a_state_that_was_sealed_when_studies_were_not_is_brought_up(tmp_path: Path) -> None:
    """`at-rest.json` of format 1 says that all is sealed: it did not know of studies."""
    files = filled(tmp_path, None)
    shutil.move(tmp_path / "images", tmp_path / "aside")
    with Spool(tmp_path, at_rest=at_rest()).open():
        pass
    shutil.move(tmp_path / "aside", tmp_path / "images")
    kept = tmp_path / "at-rest.json"
    kept.write_text(kept.read_text("utf-8").replace('"format": 2', '"format": 1'), "utf-8")
    assert raw_hits(tmp_path, CANARY)
    readable(tmp_path, at_rest(), files)
    assert raw_hits(tmp_path, CANARY) == []
    assert '"format": 2' in kept.read_text("utf-8")


@pytest.mark.parametrize("every", [15, pytest.param(1, marks=pytest.mark.release)])
def test_killed_at_each_step_of_turning_it_on_no_study_is_lost(tmp_path: Path, every: int) -> None:
    files = filled(tmp_path / "state", None)
    for step in range(every, 200, every):
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "state", copy)
        arguments = [sys.executable, "-c", KILLED, str(copy), str(step), "0", ONE]
        ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
        assert ran.returncode == -9 or "whole" in ran.stdout, ran.stderr
        readable(copy, at_rest(), files)
        assert raw_hits(copy, b"C4NARY") == []
        shutil.rmtree(copy)
        if "whole" in ran.stdout:
            assert step > 20
            return
    raise AssertionError("it never came to its end")


def test_two_processes_do_not_convert_the_same_files(tmp_path: Path) -> None:
    import fcntl

    files = filled(tmp_path, None)
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="another process"):
            Spool(tmp_path, at_rest=at_rest()).open()
    finally:
        os.close(handle)
    readable(tmp_path, at_rest(), files)


def test_a_damaged_study_is_left_for_who_reads_it_and_the_others_come_along(tmp_path: Path) -> None:
    files = filled(tmp_path, at_rest())
    path = next(path for path in (tmp_path / "images").rglob("*.dcm") if "-" not in path.stem)
    path.write_bytes(path.read_bytes()[:-5])
    with Spool(tmp_path, at_rest=at_rest("SM4-GCM")).open() as spool:
        assert spool.sealed_anew == 4
        with pytest.raises(FileDamaged):
            content(spool.images.files.reading(path, path.stem))
        for other in set((tmp_path / "images").rglob("*.dcm")) - {path}:
            digest = other.stem.split("-")[1] if "-" in other.stem else other.stem
            assert content(spool.images.files.reading(other, digest)) == files[other.name]

"""DICOM for tests: synthetic instances made with pydicom, and dcmtk's programs as the other side, each with TCP_NODELAY=1."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from connectors.arrivals import InboxFull, Kept
from connectors.instances import InstanceRefused, InstanceWriter, KeptInstance
from frontend_agent.dicom.header import Header, HeaderUnreadable, read_header
from frontend_agent.dicom.part10 import meta, read_meta
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from frontend_agent.instance_files import InstanceFiles, Written
from tests.ports import free_port

ROOT = "1.2.826.0.1.3680043.9.9999"  # of synthetic UIDs: an example's root
CT, MR, CR, DX, US, SR = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.88.11",
)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.2"  # Multi-frame Grayscale Byte Secondary Capture
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"  # CSA Non-Image, as one vendor sends it
JPEG_BASELINE, JPEG_LOSSLESS, JPEG_2000 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90"
NATIVE = (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE)
_MODALITIES = {CT: "CT", MR: "MR", CR: "CR", DX: "DX", US: "US", SR: "SR"}


def uid(*numbers: int) -> str:
    """A synthetic UID: uid(study), uid(study, series), uid(study, series, instance)."""
    return ".".join((ROOT, *map(str, numbers)))


def data_set(
    study: int = 1, series: int = 1, number: int = 1, *, sop_class: str = CT, pixels: int = 2048, **values: Any
) -> Dataset:
    """One instance of a synthetic patient. `pixels`: bytes of native pixel data (0: none). `values`: by keyword; None takes one away."""
    found = Dataset()
    if "SpecificCharacterSet" in values:
        found.SpecificCharacterSet = values.pop("SpecificCharacterSet")
    usual = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid(study, series, number),
        "StudyInstanceUID": uid(study),
        "SeriesInstanceUID": uid(study, series),
        "StudyDate": "20260930",
        "SeriesDate": "20260930",
        "ContentDate": "20260930",
        "StudyTime": "101500",
        "ContentTime": "101500",
        "AccessionNumber": f"A{study:08d}",
        "Modality": _MODALITIES.get(sop_class, "OT"),
        "Manufacturer": "SYNTHETIC",
        "ReferringPhysicianName": "",
        "PatientName": "SYNTHETIC^ONE",
        "PatientID": f"P{study:08d}",
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
        "StudyID": str(study),
        "SeriesNumber": str(series),
        "InstanceNumber": str(number),
        "PatientPosition": "HFS" if sop_class in (CT, MR) else None,
    }
    with disable_value_validation():  # what is wrong is wrong on purpose
        for keyword, value in {**usual, **values}.items():
            if value is not None:
                setattr(found, keyword, value)
    if pixels and "PixelData" not in values:
        _pixels(found, pixels, number)
    return found


def _pixels(found: Dataset, size: int, number: int) -> None:
    """Native pixels of 16 bit, one row of 512 bytes after the other, that compress as little as a real image's noise."""
    columns = min(256, max(1, size // 2))
    found.Rows, found.Columns = max(1, size // 2 // columns), columns
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
    size = found.Rows * columns * 2
    block = bytes((i * 73 + number * 31 + (i >> 8) * 17) & 0x7F for i in range(4096))
    found.add_new(0x7FE00010, "OW", (block * (size // 4096 + 1))[:size])


def encapsulated(found: Dataset, fragments: Sequence[bytes]) -> Dataset:
    """Its pixels replaced by compressed fragments, one for each frame."""
    found.PixelData = encapsulate(list(fragments))
    found["PixelData"].VR = "OB"
    found["PixelData"].is_undefined_length = True
    return found


def file_bytes(found: Dataset, transfer_syntax: str = EXPLICIT_LE) -> bytes:
    """A Part 10 file as another system writes it."""
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    written = BytesIO()
    with disable_value_validation():
        dcmwrite(written, found, enforce_file_format=True)
    return written.getvalue()


def data_set_bytes(found: Dataset, transfer_syntax: str = EXPLICIT_LE) -> bytes:
    """The data set alone, as it travels in C-STORE."""
    content = file_bytes(found, transfer_syntax)
    return content[144 + int.from_bytes(content[140:144], "little") :]


def made(
    folder: Path, studies: int = 1, series: int = 1, instances: int = 10, *, pixels: int = 2048, **values: Any
) -> list[Path]:
    """Files of synthetic studies in `folder`, in the order of their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for study in range(1, studies + 1):
        for one in range(1, series + 1):
            for number in range(1, instances + 1):
                path = folder / f"{study:04d}-{one:03d}-{number:05d}.dcm"
                path.write_bytes(file_bytes(data_set(study, one, number, pixels=pixels, **values)))
                paths.append(path)
    return paths


def many(folder: Path, instances: int, *, size: int = 525_000, study: int = 1) -> list[Path]:
    """So many CT slices of one study, made quickly: one is written, the others differ in their UID, number and first pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    # The number in the last component of the UID always has as many digits, so that every length stays the same.
    first = data_set(study, 1, 1, pixels=size, SOPInstanceUID=uid(study, 1, 100_000), InstanceNumber="100000")
    content = file_bytes(first)
    paths = []
    for number in range(100_000, 100_000 + instances):
        path = folder / f"{number}.dcm"
        path.write_bytes(
            content.replace(uid(study, 1, 100_000).encode(), uid(study, 1, number).encode()).replace(
                b"100000 ", f"{number} ".encode()
            )
        )
        paths.append(path)
    return paths


def dcmtk(program: str) -> str:
    """Where dcmtk's program is; "" where it is not. pynetdicom lays some of the same names beside Python: those are not meant."""
    beside = Path(sys.executable).parent
    folders = [one for one in os.environ.get("PATH", "").split(os.pathsep) if one and Path(one) != beside]
    return shutil.which(program, path=os.pathsep.join(folders)) or ""


def needs(*programs: str) -> None:
    """Skip where a program is not installed; ./test installs them."""
    for program in programs:
        if not dcmtk(program):
            pytest.skip(f"{program} is not installed (apt-get install dcmtk)")


def environment(no_delay: bool = True) -> dict[str, str]:
    """Of dcmtk: without TCP_NODELAY it stalls twice for each instance (measured.md)."""
    return {**os.environ, **({"TCP_NODELAY": "1"} if no_delay else {})}


class Ran(NamedTuple):
    code: int
    said: str


def ran(*command: str | Path, timeout: float = 120, no_delay: bool = True) -> Ran:
    """Run one of dcmtk's programs to its end."""
    program, *arguments = map(str, command)
    done = subprocess.run(
        [dcmtk(program), *arguments],
        env=environment(no_delay),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"))


def dcmsend(
    port: int, *files: Path, called: str = "ANY-SCP", calling: str = "DCMSEND", options: Sequence[str] = ()
) -> Ran:
    """dcmsend: contexts for the files' own classes and transfer syntaxes; files or folders."""
    needs("dcmsend")
    return ran("dcmsend", "-aec", called, "-aet", calling, "+sd", "+r", *options, "127.0.0.1", str(port), *files)


def storescu(
    port: int, *files: Path, called: str = "ANY-SCP", calling: str = "STORESCU", options: Sequence[str] = ()
) -> Ran:
    """storescu: proposes what `options` say (-xe, -xb, -R …)."""
    needs("storescu")
    return ran("storescu", "-aec", called, "-aet", calling, "+sd", "+r", *options, "127.0.0.1", str(port), *files)


def echoscu(port: int, *, called: str = "ANY-SCP", calling: str = "ECHOSCU", options: Sequence[str] = ()) -> Ran:
    needs("echoscu")
    return ran("echoscu", "-aec", called, "-aet", calling, *options, "127.0.0.1", str(port))


@contextmanager
def storescp(folder: Path, *options: str, called: str = "STORESCP") -> Iterator[int]:
    """dcmtk's receiver, writing to `folder`; the port it listens at. `+B`: as the bytes came."""
    needs("storescp")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = ("storescp", "-aet", called, "-od", str(folder), "+xa", "--fork", *options, str(port))
    with running(command, port, environment()):
        yield port


@contextmanager
def dcmqrscp(folder: Path, peers: Sequence[tuple[str, int]] = (), *, title: str = "DCMQRSCP") -> Iterator[int]:
    """dcmtk's archive over `folder` (C-STORE, C-FIND, C-MOVE, C-GET). `peers`: (AE title, port at 127.0.0.1) it moves to."""
    needs("dcmqrscp")
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    port = free_port()
    hosts = "".join(f"peer{number} = ({name}, 127.0.0.1, {at})\n" for number, (name, at) in enumerate(peers))
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
        f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{title} {store} RW (10000, 100000mb) ANY\nAETable END\n"
    )
    with running(("dcmqrscp", "-c", str(config), str(port)), port, environment()):
        yield port


@contextmanager
def running(command: Sequence[str], port: int, env: dict[str, str] | None = None, wait: float = 20) -> Iterator[int]:
    """A server in a process group of its own, once it accepts connections; ended with all that it has started."""
    program, *arguments = command
    process = subprocess.Popen(
        [dcmtk(program) or program, *arguments],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + wait
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[0]} does not listen at port {port}") from None
                time.sleep(0.05)
        yield process.pid
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            process.wait(5)
            return


class FilesDesk:
    """A desk over files alone (connectors.instances.InstanceDesk), for edges whose keeping is not what is tested: no book of studies.

    `room`: bytes until it is full. `kept`: (header, path) by SHA-256, in the order in which they came.
    """

    def __init__(self, folder: Path, room: int = 1 << 62) -> None:
        self.files = InstanceFiles(folder).open()
        self.room = room
        self.kept: dict[str, tuple[Header, Path]] = {}
        self.senders: list[str] = []
        self.delay = 0.0  # seconds until something is durable
        self._instances: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin(
        self,
        inlet: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        transfer_syntax_uid: str,
        *,
        sender: str,
        largest: int = 0,
    ) -> InstanceWriter:
        if self.room <= 0:
            raise InboxFull("the quota is used up")
        return _FilesWriter(self, meta(sop_class_uid, sop_instance_uid, transfer_syntax_uid), sender, largest)

    def begin_file(self, inlet: str, *, sender: str, largest: int = 0) -> InstanceWriter:
        raise NotImplementedError("FilesDesk is for instances that come over the network")

    def keep(self, written: Written, sender: str) -> KeptInstance:
        time.sleep(self.delay)
        path = self.files.incoming(written.token)
        content = path.read_bytes()
        about = read_meta(content)
        header = read_header(content, about.transfer_syntax_uid, about.data_set_at)
        with self._lock:
            known = self._instances.setdefault(header.sop_instance_uid, written.sha256)
            kept = (
                Kept.CONFLICT
                if known != written.sha256
                else Kept.DUPLICATE
                if written.sha256 in self.kept
                else Kept.KEPT
            )
            self.files.place([(header.study_instance_uid, written)])
            place = self.files.path(header.study_instance_uid, written.sha256)
            self.kept.setdefault(written.sha256, (header, place))
            self.senders.append(sender)
        return KeptInstance(kept, header, written.sha256, written.size)


class _FilesWriter:
    def __init__(self, desk: FilesDesk, begins: bytes, sender: str, largest: int) -> None:
        self._desk, self._sender, self._largest = desk, sender, largest
        self._incoming = desk.files.begin()
        self._incoming.write(begins)

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self._incoming.write(chunk)
        if self._largest and self._incoming.size > self._largest:
            raise InstanceRefused("it is larger than its inlet takes")

    def keep(self) -> "Future[KeptInstance]":
        written = self._incoming.finish()
        self._desk.room -= written.size
        done: Future[KeptInstance] = Future()
        try:
            done.set_result(self._desk.keep(written, self._sender))
        except HeaderUnreadable as error:
            self._desk.files.drop_incoming(written.token)
            done.set_exception(InstanceRefused(str(error)))
        return done

    def abort(self) -> None:
        self._incoming.abort()

"""What real systems send us: dcmtk, Orthanc and third-party files, into the real book of studies; and when they are answered."""

import re
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from connectors.dicom.listener import DicomListener
from connectors.dicom.requesting import Peer, associate
from frontend_agent.config_images import DicomInlet
from frontend_agent.dicom.commands import c_store
from frontend_agent.dicom.negotiation import proposed
from frontend_agent.dicom.part10 import NoInstance, meta, read_meta
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, is_uid
from frontend_agent.imaging.reports import CommitmentReports
from tests.dicom_kit import CT, data_set, dcmsend, dcmtk, echoscu, file_bytes, made, ran, storescu, uid
from tests.dicom_listening import TITLE, Line, files_below, storing
from tests.mllp_kit import Authority
from tests.orthanc_kit import orthanc
from tests.study_kit import Kept

REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def receiving(
    folder: Path, rules: dict[str, Any] | None = None, **options: Any
) -> Iterator[tuple[int, Kept, DicomListener]]:
    """An inlet over the real book of studies: its port."""
    with Kept(folder, **(rules or {})) as kept:
        inlet = DicomListener(
            "pacs",
            DicomInlet(type="dicom", port=0, **options),
            kept.desk,
            CommitmentReports(),
            lambda: datetime.now(UTC),
        )
        inlet.start()
        try:
            yield inlet.address[1], kept, inlet
        finally:
            inlet.stop(10)


def kept_files(kept: Kept) -> dict[str, Path]:
    """SOP Instance UID -> its file, of all that the book has."""
    found = {}
    for study in kept.book.studies(limit=1000):
        for instance in kept.book.instances(study.id):
            path = kept.book.path(instance)
            assert path is not None
            assert sha256(path.read_bytes()).hexdigest() == instance.sha256
            found.setdefault(instance.header.sop_instance_uid, path)  # those with other content come last
    return found


@pytest.mark.slow
def test_dcmsend_sends_a_study_and_again(tmp_path: Path) -> None:
    files = made(tmp_path / "in", studies=2, series=2, instances=5)
    with receiving(tmp_path / "state") as (port, kept, inlet):
        for _ in range(2):
            assert dcmsend(port, tmp_path / "in", called=TITLE).code == 0
        found = kept_files(kept)
        assert len(found) == 20
        for path in files:
            content = path.read_bytes()
            about = read_meta(content)
            ours = found[about.sop_instance_uid].read_bytes()
            assert ours == meta(CT, about.sop_instance_uid, EXPLICIT_LE) + content[about.data_set_at :]
        assert [(study.series, study.instances) for study in kept.book.studies()] == [(2, 10), (2, 10)]
        assert inlet.told()["answers"] == {"0000": 40}
        assert len(files_below(tmp_path / "state" / "images")) == 20


@pytest.mark.slow
@pytest.mark.parametrize(("option", "syntax"), [("-xe", EXPLICIT_LE), ("-xb", EXPLICIT_LE), ("-xi", IMPLICIT_LE)])
def test_storescu_in_what_it_proposes(tmp_path: Path, option: str, syntax: str) -> None:
    """-xb offers explicit little endian as well: of several native ones that is taken."""
    (path,) = made(tmp_path / "in", instances=1)
    with receiving(tmp_path / "state") as (port, kept, _):
        assert storescu(port, path, called=TITLE, options=[option, "-R"]).code == 0
        _is_the_same(kept, path, syntax)


@pytest.mark.slow
@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE])
def test_dcmsend_sends_files_of_every_native_syntax(tmp_path: Path, syntax: str) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(file_bytes(data_set(), syntax))
    with receiving(tmp_path / "state") as (port, kept, _):
        assert dcmsend(port, path, called=TITLE).code == 0
        _is_the_same(kept, path, "")


def _is_the_same(kept: Kept, path: Path, syntax: str) -> None:
    """The one instance that is kept says what the file says, whatever its encoding."""
    (found,) = kept_files(kept).values()
    read, sent = pydicom.dcmread(found), pydicom.dcmread(path)
    assert not syntax or read.file_meta.TransferSyntaxUID == syntax
    assert read.PatientName == sent.PatientName
    assert _little(read) == _little(sent)


def _little(read: pydicom.Dataset) -> bytes:
    pixels = bytes(read.PixelData)
    if read.file_meta.TransferSyntaxUID != EXPLICIT_BE:
        return pixels
    return bytes(byte for pair in zip(pixels[1::2], pixels[::2], strict=True) for byte in pair)


@pytest.mark.slow
def test_dcmtk_over_tls_with_certificates(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    server, known, other = authority.certificate("server"), authority.certificate("pacs"), authority.certificate("mri")
    unknown = stranger.certificate("somebody")
    options = {"certificate": str(server.certificate), "key": str(server.key), "client_ca": str(authority.pem)}
    with receiving(tmp_path / "state", client_names=("pacs",), **options) as (port, kept, inlet):
        for pem, code in ((known, 0), (other, 1), (unknown, 1)):
            tls = ["+tls", str(pem.key), str(pem.certificate), "+cf", str(authority.pem)]
            assert bool(echoscu(port, called=TITLE, options=tls).code) == bool(code)
        assert echoscu(port, called=TITLE).code  # plain
        tls = ["+tls", str(known.key), str(known.certificate), "+cf", str(authority.pem)]
        (path,) = made(tmp_path / "in", instances=1, pixels=600_000)
        assert storescu(port, path, called=TITLE, options=tls).code == 0
        assert len(kept_files(kept)) == 1
        turned = inlet.told()["turned_away"]
        assert turned["its certificate is none of client_names"] == 1
        assert any(one.startswith("no TLS that is taken") for one in turned)
    assert isinstance(authority.client(known), ssl.SSLContext)


@pytest.mark.slow
def test_orthanc_sends_what_it_keeps(tmp_path: Path) -> None:
    files = made(tmp_path / "in", studies=1, series=2, instances=10)
    with orthanc() as pacs, receiving(tmp_path / "state", calling=("ORTHANC@127.0.0.0/8",)) as (port, kept, _):
        ids = pacs.add(*files)
        name = pacs.knows(TITLE, port)
        pacs.post(f"/modalities/{name}/echo", {})
        pacs.sends(name, *ids)
        found = kept_files(kept)
        assert len(found) == 20
        for path in files:
            content = path.read_bytes()
            about = read_meta(content)
            ours = found[about.sop_instance_uid].read_bytes()
            assert ours[read_meta(ours).data_set_at :] == content[about.data_set_at :]


@pytest.mark.slow
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """The sender is told to come again, and what it was told is stored is stored."""
    files = made(tmp_path / "in", instances=30, pixels=200_000)
    with receiving(tmp_path / "state", {"quota": 4_000_000, "may_change": False}) as (port, kept, inlet):
        dcmsend(port, tmp_path / "in", called=TITLE, options=["-nh"])
        answers = inlet.told()["answers"]
        assert set(answers) == {"0000", "A700"}
        assert sum(answers.values()) == len(files)
        assert len(kept_files(kept)) == answers["0000"]
        assert sum(path.stat().st_size for path in files_below(tmp_path / "state" / "images")) <= 4_000_000


def test_every_third_party_file_is_kept_byte_for_byte_or_refused(realdata: Path, tmp_path: Path) -> None:
    """Each data set is sent as it lies in its file; what is no DICOM file cannot be sent by anyone."""
    said: Counter[str] = Counter()
    sent: dict[str, str] = {}  # SOP Instance UID -> SHA-256 of the data set
    with receiving(tmp_path) as (port, kept, _):
        for path in sorted(one for one in (realdata / "dicom").rglob("*") if one.is_file()):
            content = path.read_bytes()
            try:
                about = read_meta(content)
            except NoInstance:
                said["no file of an instance"] += 1
                continue
            instance, status, comment = _sent(port, about, content)
            if status:
                assert comment, path
                said[comment] += 1
            else:
                said["kept"] += 1
                sent.setdefault(instance, sha256(content[about.data_set_at :]).hexdigest())
        found = {uid: path.read_bytes() for uid, path in kept_files(kept).items()}
        assert {uid: sha256(one[read_meta(one).data_set_at :]).hexdigest() for uid, one in found.items()} == sent
        assert said["kept"] >= 100
        assert not list((tmp_path / "images" / "incoming").iterdir())


def _sent(port: int, about: Any, content: bytes) -> tuple[str, int, str]:
    """SOP Instance UID, status and comment. A file that does not name class or instance is looked into, as a sender would."""
    sop_class, instance = about.sop_class_uid, about.sop_instance_uid
    try:
        read = pydicom.dcmread(BytesIO(content), force=True, stop_before_pixels=True)
        sop_class = str(read.get("SOPClassUID", sop_class)) or sop_class
        instance = str(read.get("SOPInstanceUID", instance)) or instance
    except Exception:  # noqa: BLE001  whatever pydicom says: the meta information is what a sender has then
        pass
    if not is_uid(sop_class) or not is_uid(instance):
        return "", 1, "nobody can send it: it names no class or instance"
    peer = Peer(TITLE, "127.0.0.1", port)
    with associate(peer, "TEST", proposed([(sop_class, (about.transfer_syntax_uid,))]), timeout=30) as association:
        context = association.context_of(sop_class)
        if context is None:
            return instance, 1, "not served: it is no storage class"
        data = content[about.data_set_at :]
        association.send(context[0], c_store(1, sop_class, instance), data)
        _, answer = association.receive()
        assert answer.status is not None
        return instance, answer.status, answer.error_comment


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
@pytest.mark.parametrize("suite", ["", "AES-256-GCM"], ids=["plain", "sealed"])
def test_every_byte_is_on_disk_before_the_response(tmp_path: Path, suite: str) -> None:
    """Seen in the system calls: its name given, the file synced, then its name, then its rows; only then C-STORE-RSP."""
    log = tmp_path / "calls"
    process = subprocess.Popen(
        ["strace", "-f", "-y", "-qq", "-o", str(log), "-e", "trace=fdatasync,fsync,link,linkat,rename,sendto", "-e", "signal=none",
         sys.executable, "-m", "benchmarks.images", "serve", str(tmp_path / "state"), suite],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with Line(port, timeout=60) as line:
            line.associate()
            for number in range(1, 6):
                content = file_bytes(data_set(number=number))
                line.send(storing(content[read_meta(content).data_set_at :], uid(1, 1, number)))
                assert line.response().status == 0
    finally:
        process.stdin.close()
        process.wait(60)
    steps = [step for step in map(_step, _calls(log.read_text("utf-8", "replace"))) if step]
    begin = steps.index("named")  # behind A-ASSOCIATE-AC, and the folders of a study's first instance
    assert "answer" in steps[:begin]
    # What is synced twice does not matter; the order does.
    order = [step for at, step in enumerate(steps[begin:]) if step != (steps[begin:][at - 1] if at else "")]
    assert order[:25] == ["named", "file synced", "name synced", "rows synced", "answer"] * 5


def _calls(trace: str) -> Iterator[str]:
    """Each call once, where it ended; an answer where it began."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        thread, _, call = line.partition(" ")
        if call.endswith("<unfinished ...>"):
            begun[thread] = call
            if "sendto(" in call:
                yield call
        elif " resumed>" in call:
            if "sendto resumed" not in call:
                yield begun.pop(thread)
        else:
            yield call


def _step(call: str) -> str:
    patterns = {
        "file synced": r"fdatasync\(\d+<.*/incoming/",
        "named": r"(link|linkat|rename)\(.*incoming/",
        "name synced": r"fsync\(\d+<.*/images/",
        "rows synced": r"(fdatasync|fsync)\(\d+<.*-wal>",
        "answer": r"sendto\(\d+<(TCP|socket).*",
    }
    return next((name for name, pattern in patterns.items() if re.search(pattern, call)), "")


def test_dcmtk_is_found_and_not_pynetdicom() -> None:
    assert Path(dcmtk("storescp")).read_bytes()[:4] == b"\x7fELF"
    assert "dcmtk" in ran("storescp", "--version").said

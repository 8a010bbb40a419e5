"""What is not DICOM yet: JPEG, PNG, TIFF and PDF files, made instances of the study of their order."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from connectors.folders.collecting import Away, InMemory, Later, Picked
from connectors.folders.reasons import FileRefused
from frontend_agent.config import InstitutionConfig
from frontend_agent.config_images import ImagesConfig, ScansInlet
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.inlets import ImageHands, make
from frontend_agent.imaging.jpeg import NotJpeg, read_jpeg
from frontend_agent.imaging.model import Order
from frontend_agent.imaging.pixels.asking import PixelProcess
from frontend_agent.imaging.reports import CommitmentReports
from frontend_agent.imaging.scanning import Scanning
from frontend_agent.imaging.scans import NotMade, made, name_form, named
from tests.study_kit import Kept

ORDER = Order(
    key="EX1", accession_number="ACC1", patient_id="P001", patient_name="张三", sex="2", birth_date="19800101", performed_at="20240315101112"
)  # fmt: skip
SETTINGS = ScansInlet(type="scans", path="/nowhere", modality="XC", title="伤口照片")


@pytest.fixture(scope="module")
def pixels() -> Iterator[PixelProcess]:
    process = PixelProcess()
    yield process
    process.close()


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), pages: int = 1, **options: Any) -> bytes:
    images = [Image.effect_noise(size, 60 + page).convert(mode) for page in range(pages)]
    held = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:]} if pages > 1 else {}
    images[0].save(held, kind, **more, **options)
    return held.getvalue()


def one(content: bytes, pixels: PixelProcess, settings: ScansInlet = SETTINGS, order: Order = ORDER) -> pydicom.Dataset:
    (instance,) = made(content, "d" * 64, order, "1.2.3", "", settings, pixels.page)
    body = b"".join((instance.head, *instance.body, instance.tail))
    data = pydicom.dcmread(
        io.BytesIO(_file(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid, body))
    )
    for _ in data.iterall():
        pass
    assert data.SOPInstanceUID == instance.sop_instance_uid
    return data


def _file(*said: Any) -> bytes:
    from frontend_agent.dicom.part10 import meta

    return meta(*said[:3]) + bytes(said[3])


def test_a_photograph_goes_as_it_is_with_the_data_of_its_order(pixels: PixelProcess) -> None:
    photograph = picture("JPEG", quality=90)
    data = one(photograph, pixels)
    assert (data.PatientName, data.PatientID, data.PatientSex, data.PatientBirthDate) == (
        "张三",
        "P001",
        "F",
        "19800101",
    )
    assert (data.AccessionNumber, data.StudyDate, data.StudyTime, data.Modality) == ("ACC1", "20240315", "101112", "XC")
    assert (data.SpecificCharacterSet, data.SeriesDescription, data.BurnedInAnnotation) == (
        "GB18030",
        "伤口照片",
        "YES",
    )
    assert (data.Rows, data.Columns, data.PhotometricInterpretation) == (30, 40, "YBR_FULL_422")
    assert (data.file_meta.TransferSyntaxUID, data.LossyImageCompression) == ("1.2.840.10008.1.2.4.50", "01")
    # bit by bit what the camera compressed
    assert photograph[photograph.index(b"\xff\xda") :].rstrip(b"\0") in data.PixelData


def test_what_a_camera_tells_beside_the_picture_stays_outside(pixels: PixelProcess) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x9286] = "CAMERA-OF-DR-LI", "GPS 23.1N"
    photograph = picture("JPEG", exif=exif, comment=b"Zhang San")
    assert b"CAMERA-OF-DR-LI" in photograph
    data = one(photograph, pixels)
    assert b"CAMERA-OF" not in data.PixelData
    assert b"Zhang San" not in data.PixelData
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(photograph)).size), [data.Columns, data.Rows])


@pytest.mark.parametrize(
    ("content", "syntax", "photometric"),
    [
        (picture("JPEG", "L"), "1.2.840.10008.1.2.4.50", "MONOCHROME2"),
        (picture("JPEG", progressive=True), "1.2.840.10008.1.2.5", "RGB"),
        (picture("JPEG", "CMYK"), "1.2.840.10008.1.2.5", "RGB"),
        (picture("PNG", "RGBA"), "1.2.840.10008.1.2.5", "RGB"),
        (picture("PNG", "L"), "1.2.840.10008.1.2.5", "MONOCHROME2"),
        (picture("TIFF", "1", compression="group4"), "1.2.840.10008.1.2.5", "MONOCHROME2"),
    ],
)
def test_each_kind_has_its_transfer_syntax(pixels: PixelProcess, content: bytes, syntax: str, photometric: str) -> None:
    data = one(content, pixels)
    assert (data.file_meta.TransferSyntaxUID, data.PhotometricInterpretation) == (syntax, photometric)
    assert data.pixel_array.shape[:2] == (30, 40)


def test_a_photograph_on_its_side_is_set_upright(pixels: PixelProcess) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = one(picture("JPEG", exif=exif), pixels)
    assert (data.Rows, data.Columns) == (40, 30)


def test_pages_that_are_alike_are_frames_and_the_pixels_are_the_same(pixels: PixelProcess) -> None:
    scanned = picture("TIFF", "L", pages=3)
    data = one(scanned, pixels)
    assert (data.SOPClassUID, data.NumberOfFrames, list(data.PageNumberVector)) == (
        "1.2.840.10008.5.1.4.1.1.7.2",
        3,
        [1, 2, 3],
    )
    with Image.open(io.BytesIO(scanned)) as image:
        for number in range(3):
            image.seek(number)
            assert np.array_equal(data.pixel_array[number], np.asarray(image))
    coloured = one(picture("TIFF", "RGB", pages=2), pixels)
    assert coloured.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7.4"


def test_pages_of_other_sizes_are_an_instance_each(pixels: PixelProcess) -> None:
    held = io.BytesIO()
    Image.new("L", (10, 20)).save(held, "TIFF", save_all=True, append_images=[Image.new("L", (20, 10))])
    instances = made(held.getvalue(), "d" * 64, ORDER, "1.2.3", "", SETTINGS, pixels.page)
    assert len({instance.sop_instance_uid for instance in instances}) == 2


def test_a_pdf_goes_whole(pixels: PixelProcess) -> None:
    ecg = b"%PDF-1.4\n1 0 obj\nendobj\n%%EOF\n"
    data = one(ecg, pixels, replace(SETTINGS, modality="ECG", title="心电图"))
    assert (data.SOPClassUID, data.MIMETypeOfEncapsulatedDocument) == (
        "1.2.840.10008.5.1.4.1.1.104.1",
        "application/pdf",
    )
    assert data.EncapsulatedDocument[: data.EncapsulatedDocumentLength] == ecg
    assert (data.DocumentTitle, data.Modality, data.ConversionType) == ("心电图", "ECG", "WSD")


def test_the_same_file_of_the_same_order_is_the_same_instance(pixels: PixelProcess) -> None:
    content = picture("JPEG")
    first, again = (made(content, "d" * 64, ORDER, "1.2.3", "2", SETTINGS, pixels.page) for _ in range(2))
    assert first == again
    assert (
        made(content, "e" * 64, ORDER, "1.2.3", "2", SETTINGS, pixels.page)[0].sop_instance_uid
        != first[0].sop_instance_uid
    )


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"MZ nothing", "scan_kind"), (b"%PDF-1.4 cut", "scan_cut_off"), (picture("JPEG")[:-40], "scan_cut_off"), (b"II*\0 nonsense", "unreadable"),
     (b"\xff\xd8\xff\xe0\x00", "scan_cut_off")],
)  # fmt: skip
def test_what_cannot_be_made_says_why(pixels: PixelProcess, content: bytes, word: str) -> None:
    with pytest.raises(NotMade) as refused:
        made(content, "d" * 64, ORDER, "1.2.3", "", SETTINGS, pixels.page)
    assert refused.value.word == word


def test_a_jpeg_cut_at_any_byte_is_refused() -> None:
    content = picture("JPEG", size=(8, 8))
    for end in range(len(content) - 1):
        with pytest.raises(NotJpeg):
            read_jpeg(content[:end])


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@pytest.mark.parametrize(
    "content",
    [
        picture("JPEG"),
        picture("PNG", "L"),
        picture("TIFF", "1", pages=3),
        picture("TIFF", pages=2),
        b"%PDF-1.4\n%%EOF\n",
    ],
)
def test_dicom3tools_finds_no_error(tmp_path: Path, pixels: PixelProcess, content: bytes) -> None:
    (instance,) = made(
        content,
        "d" * 64,
        replace_order(patient_name="Zhang^San"),
        "1.2.3",
        "",
        replace(SETTINGS, title="PHOTO"),
        pixels.page,
    )
    path = tmp_path / "made.dcm"
    path.write_bytes(
        _file(
            instance.sop_class_uid,
            instance.sop_instance_uid,
            instance.transfer_syntax_uid,
            b"".join((instance.head, *instance.body, instance.tail)),
        )
    )
    told = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
    assert [line for line in told.splitlines() if line.startswith("Error")] == []


def replace_order(**more: Any) -> Order:
    import msgspec

    return msgspec.structs.replace(ORDER, **more)


# --- names and orders -------------------------------------------------------------------------------------------------


def test_a_name_says_which_order_it_belongs_to() -> None:
    assert named("in/ACC1_02.jpg", name_form("{accession_number}_{number}")) == ("ACC1", "", "", "", "02")
    assert named("ACC1/P001/7.jpg", name_form("{accession_number}/{patient_id}/{number}")) == (
        "ACC1",
        "",
        "",
        "P001",
        "7",
    )
    assert named("ECG-EX1-whatever.pdf", name_form("ECG-{key}-{any}")).key == "EX1"
    with pytest.raises(NotMade, match="scan_name"):
        named("holiday.jpg", name_form("{accession_number}_{number}"))


@pytest.mark.parametrize(
    ("template", "said"), [("{patient_id}", "which order"), ("{acc}", "unknown"), ("{key}{key}", "twice")]
)
def test_a_form_of_names_that_says_no_order_is_refused(template: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        name_form(template)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Kept(tmp_path / "state") as kept:
        yield kept


def hands(kept: Kept) -> ImageHands:
    return ImageHands(
        desk=kept.desk, book=kept.book, clock=kept.clock, secret=str, timezone="Asia/Shanghai", has_day=lambda day, days: True,
        picked=InMemory(), institution=InstitutionConfig(id="H1", name="第一人民医院"), images=ImagesConfig(), reports=CommitmentReports(),
    )  # fmt: skip


def scan(kept: Kept, pixels: PixelProcess, path: str = "ACC1.jpg", content: bytes = b"", **settings: Any) -> Any:
    content = content or picture("JPEG")
    from hashlib import sha256

    return Scanning("scans", replace(SETTINGS, **settings), hands(kept), pixels).take(
        Picked(path, content, sha256(content).hexdigest())
    )


def test_a_file_waits_for_its_order_and_comes_into_its_study(kept: Kept, pixels: PixelProcess) -> None:
    content = picture("JPEG")
    assert isinstance(scan(kept, pixels, content=content), Later)
    kept.book.put_orders([ORDER], kept.clock())
    assert scan(kept, pixels, content=content) == Away()
    assert scan(kept, pixels, content=content) == Away()  # the same again has no second effect
    (study,) = kept.book.studies(accession="ACC1")
    assert study.instances == 1


def test_it_goes_into_the_study_that_the_order_names_or_that_is_here(kept: Kept, pixels: PixelProcess) -> None:
    kept.book.put_orders([replace_order(study_instance_uid="1.2.840.5")], kept.clock())
    scan(kept, pixels)
    assert kept.book.study_of("1.2.840.5") is not None


@pytest.mark.parametrize(
    ("orders", "path", "word"),
    [
        ([replace_order(cancelled=True)], "ACC1.jpg", "scan_cancelled"),
        ([ORDER, replace_order(key="EX2", patient_id="P002")], "ACC1.jpg", "scan_two_orders"),
        ([ORDER], "ACC1_P009.jpg", "scan_other_patient"),
    ],
)
def test_what_does_not_fit_its_order_is_refused(
    kept: Kept, pixels: PixelProcess, orders: list[Order], path: str, word: str
) -> None:
    kept.book.put_orders(orders, kept.clock())
    answer = scan(kept, pixels, path, name="{accession_number}_{patient_id}" if "_" in path else "{accession_number}")
    assert isinstance(answer, FileRefused)
    assert [one.word for one in answer.reasons] == [word]


def test_the_inlet_moves_what_it_took_and_refuses_what_waited_too_long(tmp_path: Path, kept: Kept) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "ACC1.jpg").write_bytes(picture("JPEG"))
    (folder / "ACC2.jpg").write_bytes(picture("JPEG"))
    settings = replace(
        SETTINGS, path=str(folder), whole="rename", wait=timedelta(0), every=timedelta(seconds=1), settle=timedelta(0)
    )
    inlet: Any = make("scans", settings, hands(kept))
    inlet.probe()
    kept.book.put_orders([ORDER], kept.clock())

    assert inlet.fetch() == 1

    inlet.stop(1.0)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "ACC1.jpg",
        "ACC2.jpg",
        "ACC2.jpg.reason.txt",
    ]
    assert (folder / "refused" / "ACC2.jpg").is_file()
    assert "RIS" in (folder / "refused" / "ACC2.jpg.reason.txt").read_text("utf-8")
    assert inlet.told()["taken"] == 1


def scanned(kept: Kept, folder: Path, **more: Any) -> Any:
    """The inlet as a start makes it."""
    more = {"whole": "rename", "wait": timedelta(hours=24), **more}
    settings = replace(SETTINGS, path=str(folder), every=timedelta(seconds=1), settle=timedelta(0), **more)
    return make("scans", settings, hands(kept))


def test_how_long_a_file_waits_survives_a_restart_and_is_told(kept: Kept, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    began = kept.clock()
    (folder / "ACC1.jpg").write_bytes(picture("JPEG"))
    assert scanned(kept, folder).fetch() == 0
    kept.clock.now += timedelta(hours=20)
    (folder / "ACC2.jpg").write_bytes(picture("JPEG"))

    inlet = scanned(kept, folder)
    assert inlet.fetch() == 0

    told = inlet.told()
    assert (told["waiting"], told["for_later"]) == (2, 2)
    assert datetime.fromisoformat(told["waits_since"]) == began
    kept.clock.now += timedelta(hours=5)
    inlet = scanned(kept, folder)  # the first has waited 25 hours over three starts, the second five
    inlet.fetch()
    assert (folder / "refused" / "ACC1.jpg").is_file()
    assert (folder / "ACC2.jpg").is_file()
    told = inlet.told()
    assert (told["refused"], told["for_later"]) == (1, 1)


@pytest.mark.parametrize("after", ["done", "leave"])
def test_what_was_refused_for_its_order_is_taken_up_again(kept: Kept, tmp_path: Path, after: str) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "ACC1.jpg").write_bytes(picture("JPEG"))
    inlet = scanned(kept, folder, wait=timedelta(0), after=after)
    inlet.fetch()
    assert inlet.told()["refused"] == 1
    kept.book.put_orders([ORDER], kept.clock())
    assert inlet.fetch() == 0  # as long as nobody does anything
    if after == "leave":
        os.utime(folder / "ACC1.jpg", (1, 1))  # touch
    else:
        (folder / "refused" / "ACC1.jpg").rename(folder / "ACC1.jpg")  # mv
    assert inlet.fetch() == 1
    (study,) = kept.book.studies(accession="ACC1")
    assert study.instances == 1


def test_a_file_that_is_laid_down_again_waits_from_the_beginning(kept: Kept, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "ACC1.jpg").write_bytes(picture("JPEG"))
    scanned(kept, folder).fetch()
    kept.clock.now += timedelta(hours=25)
    scanned(kept, folder).fetch()
    (folder / "refused" / "ACC1.jpg").rename(folder / "ACC1.jpg")
    inlet = scanned(kept, folder)
    inlet.fetch()
    assert inlet.told()["for_later"] == 1
    # what somebody took away is not remembered for ever
    (folder / "ACC1.jpg").unlink()
    assert len(kept.book.marks("scan waits ")) == 1
    kept.clock.now += timedelta(days=32)
    scanned(kept, folder)
    assert kept.book.marks("scan waits ") == {}


def test_an_inlet_whose_names_say_nothing_is_refused(kept: Kept) -> None:
    with pytest.raises(ConfigurationError, match="which order"):
        make("scans", replace(SETTINGS, name="{any}"), hands(kept))

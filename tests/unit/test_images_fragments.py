"""What cameras and encoders write into compressed pixels does not leave with a de-identified instance; the picture does."""

import io
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate

from frontend_agent.dicom.part10 import read_meta
from frontend_agent.dicom.rewriting import chunks
from frontend_agent.imaging.deidentifying import CannotDeidentify, Profile, deidentified
from frontend_agent.imaging.deidentifying import Subject as Whose
from tests.instances_made import as_file, ct

BASELINE, JPEG_2000, MPEG4 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.102"
TELLING = (b"CAMERA-OF-DR-LI", b"Zhang San", b"GPS 23.1N", b"BEHIND-THE-END", b"XMP-OWNER")
PROFILE = Profile(b"a secret of the hospital, 32 bytes")


def photograph() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x9286] = "CAMERA-OF-DR-LI", "GPS 23.1N"
    held = io.BytesIO()
    image = Image.effect_noise((40, 30), 60).convert("RGB")
    image.save(held, "JPEG", exif=exif, comment=b"Zhang San", xmp=b"<x:xmpmeta>XMP-OWNER</x:xmpmeta>")
    return held.getvalue()


def photographs(frames: list[bytes], syntax: str = BASELINE, fragments: int = 1, **more: Any) -> bytes:
    data = ct(1, rows=30, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.4", Modality="XC", **more)
    data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 40, 3, "YBR_FULL_422"
    data.PlanarConfiguration, data.BitsAllocated, data.BitsStored, data.HighBit = 0, 8, 8, 7
    data.NumberOfFrames = len(frames)
    data.PixelData = encapsulate(frames, fragments_per_frame=fragments)
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    return as_file(data, syntax)


def without_identity(file: bytes) -> bytes:
    said = read_meta(file)
    done = deidentified(file, said.transfer_syntax_uid, said.data_set_at, PROFILE, Whose("P1"))
    return file[: said.data_set_at] + b"".join(chunks(done.pieces, lambda start, end: bytes(done.data[start:end])))


@pytest.mark.parametrize("fragments", [1, 3])
def test_what_a_camera_wrote_is_gone_and_the_pictures_are_the_same(fragments: int) -> None:
    file = photographs([photograph() + b"BEHIND-THE-END!", photograph()], fragments=fragments)
    assert all(word in file.replace(b"\0", b"") or fragments > 1 for word in TELLING)

    clean = without_identity(file)

    before, after = pydicom.dcmread(io.BytesIO(file)), pydicom.dcmread(io.BytesIO(clean))
    whole = b"".join(pydicom.encaps.generate_fragments(after.PixelData))
    for word in TELLING:
        assert word not in whole
        assert word not in clean
    assert len(after.PixelData) == len(before.PixelData)  # offset tables stay true
    assert np.array_equal(after.pixel_array, before.pixel_array)


def test_comments_of_jpeg_2000_are_gone() -> None:
    held = io.BytesIO()
    Image.effect_noise((40, 30), 60).convert("RGB").save(held, "JPEG2000", no_jp2=True, comment=b"Zhang San")
    file = photographs([held.getvalue()], JPEG_2000)
    assert b"Zhang San" in file
    clean = without_identity(file)
    assert b"Zhang San" not in clean
    assert np.array_equal(pydicom.dcmread(io.BytesIO(clean)).pixel_array, pydicom.dcmread(io.BytesIO(file)).pixel_array)


@pytest.mark.parametrize(
    ("frame", "syntax", "said"),
    [
        (photograph()[:-700], BASELINE, "cut off"),
        (b"GIF89a" + bytes(100), BASELINE, "do not begin"),
        (b"\xff\xd8\xff\xe1\xff", BASELINE, "cut off"),
        (b"\0\0\0\x18ftypmp42" + bytes(100), MPEG4, "film"),
    ],
)
def test_what_cannot_be_looked_through_does_not_leave(frame: bytes, syntax: str, said: str) -> None:
    with pytest.raises(CannotDeidentify, match=said):
        without_identity(photographs([frame], syntax))

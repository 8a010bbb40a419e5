"""Pictures of instances: what may be asked, what is drawn of it, and that whatever a file does, only its own picture is missing."""

import io
import time
import zlib
from functools import partial
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
Image = pytest.importorskip("PIL.Image")
pytest.importorskip("gdcm", reason="the extra `viewer` is not installed")

from pydicom import Dataset, dcmwrite  # noqa: E402
from pydicom.dataset import FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import (  # noqa: E402
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    RLELossless,
)

from frontend_agent.platform.rendering.asked import (  # noqa: E402
    JPEG,
    PNG,
    Asked,
    NotOffered,
    NotUnderstood,
    Viewport,
    Window,
    asked,
    frames_asked,
)
from frontend_agent.platform.rendering.drawing import CannotDraw, draw  # noqa: E402
from frontend_agent.platform.rendering.renderer import NotDrawn, Renderer  # noqa: E402
from tests.conftest import shared_folder  # noqa: E402


def image(values, syntax=ExplicitVRLittleEndian, **more) -> Dataset:
    """A CT of these stored values: rows x columns, or frames x rows x columns."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = syntax
    one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, "1.2.3"
    one.Rows, one.Columns = values.shape[-2:]
    if values.ndim == 3:
        one.NumberOfFrames = values.shape[0]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = values.dtype.itemsize * 8
    one.HighBit, one.PixelRepresentation = one.BitsStored - 1, int(values.dtype.kind == "i")
    one.PixelData = (values.byteswap() if syntax == ExplicitVRBigEndian else values).tobytes()
    for keyword, value in more.items():
        setattr(one, keyword, value)
    return one


def written(one: Dataset) -> io.BytesIO:
    held = io.BytesIO()
    dcmwrite(held, one, enforce_file_format=True, implicit_vr=False, little_endian=one.file_meta.TransferSyntaxUID != ExplicitVRBigEndian)  # fmt: skip
    held.seek(0)
    return held


def drawn(one: Dataset, **how):
    return np.asarray(Image.open(io.BytesIO(draw(written(one), Asked(media_type=PNG, **how)).content)))


RAMP = np.arange(-100, 156, dtype=np.int16).reshape(16, 16)


# --- what may be asked ------------------------------------------------------------------------------------------------


def test_a_question_is_read_as_the_standard_writes_it() -> None:
    query = {"viewport": "200,100,5,6,-50,40", "window": "40,400,linear-exact", "quality": "75"}
    assert asked(query, "image/png") == Asked(
        1, PNG, Viewport(200, 100, 5, 6, -50, 40), Window(40, 400, "LINEAR_EXACT"), 75
    )
    assert asked({"viewport": "8,9"}).viewport == Viewport(8, 9)
    assert asked({}, thumbnail=True).viewport == Viewport(256, 256)
    assert frames_asked("1,5,3") == [1, 5, 3]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("", JPEG), ("*/*", JPEG), ("image/png", PNG), ("image/gif, image/png;q=0.5, image/jpeg;q=0.4", PNG), ("image/jpeg;q=0, */*", JPEG),
     ("text/html,image/*;q=0.8", JPEG)],
)  # fmt: skip
def test_the_media_type_is_the_best_that_we_make(accept: str, media_type: str) -> None:
    assert asked({}, accept).media_type == media_type
    assert asked({"accept": "image/png"}, accept).media_type == PNG  # in the address, it counts (PS3.18 §8.3.3.1)


def test_what_we_do_not_make_is_not_offered() -> None:
    with pytest.raises(NotOffered):
        asked({}, "application/dicom")


@pytest.mark.parametrize(
    "query",
    [{"viewport": "1"}, {"viewport": "0,5"}, {"viewport": "99999,5"}, {"viewport": "1e9,1e9"}, {"viewport": "a,b"}, {"viewport": "5,5,-1,0,1,1"},
     {"window": "1"}, {"window": "1,0.5"}, {"window": "1,2,gamma"}, {"window": "nan,2"}, {"window": "1,2,linear,3"}, {"quality": "0"},
     {"quality": "1.5"}, {"viewport": "٣,٣"}, {"window": "1e99,2"}],
)  # fmt: skip
def test_a_question_out_of_bounds_is_not_understood(query) -> None:
    with pytest.raises(NotUnderstood):
        asked(query)


def test_a_region_of_a_thumbnail_is_not_asked() -> None:
    with pytest.raises(NotUnderstood):
        asked({"viewport": "5,5,0,0,5,5"}, thumbnail=True)


@pytest.mark.parametrize("text", ["0", "", "1,,2", "-1", "1-3", "1" * 10, ",".join(["1"] * 1001)])
def test_frames_are_numbers(text: str) -> None:
    with pytest.raises(NotUnderstood):
        frames_asked(text)


# --- what is drawn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_a_window_is_that_of_the_standard(syntax) -> None:
    """PS3.3 C.11.2.1.2.1 with c = 50, w = 101: 0 is the last black, 100 the first white. Stored values are 10 less, by their rescale."""
    one = image(RAMP, syntax, RescaleSlope=1, RescaleIntercept=10, WindowCenter=50, WindowWidth=101)
    shown = drawn(one).ravel()
    stored = RAMP.ravel()
    expected = np.clip((stored + 10 - 49.5) / 100 + 0.5, 0, 1) * 255
    assert np.abs(shown - expected).max() <= 1
    assert shown[stored + 10 <= -1].max() == 0
    assert shown[stored + 10 >= 100].min() == 255


def test_the_window_that_is_asked_for_counts_and_the_first_of_several_otherwise() -> None:
    one = image(RAMP, WindowCenter=[50, 0], WindowWidth=[101, 10])
    assert (drawn(one, window=Window(0, 10)) != drawn(one)).any()
    one.WindowCenter, one.WindowWidth = 50, 101
    assert (drawn(one) == drawn(image(RAMP, WindowCenter=[50, 0], WindowWidth=[101, 10]))).all()


def test_sigmoid_and_exact_windows() -> None:
    one = image(RAMP)
    at = list(RAMP.ravel()).index(20)
    assert drawn(one, window=Window(20, 100, "SIGMOID")).ravel()[at] == 128
    assert drawn(one, window=Window(20, 100, "LINEAR_EXACT")).ravel()[at] == 128


def test_without_a_window_everything_is_seen_but_padding() -> None:
    values = RAMP.copy()
    values[0, 0] = -2000
    shown = drawn(image(values, PixelPaddingValue=-2000))
    assert shown[0, 0] == 0
    assert shown[0, 1] <= 1
    assert shown[15, 15] == 255
    assert shown[8, 0] > 100  # the padding took none of the range


def test_inverse_greys_are_inverted_once() -> None:
    plain = drawn(image(RAMP))
    assert (drawn(image(RAMP, PhotometricInterpretation="MONOCHROME1")) == 255 - plain).all()
    both = image(RAMP, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert (drawn(both) == 255 - plain).all()


def test_tables_take_the_place_of_rescale_and_window() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    table = Dataset()
    table.LUTDescriptor = [256, 0, 16]
    table.add_new(0x00283006, "US", [65535 - 257 * entry for entry in range(256)])
    assert (drawn(image(values, VOILUTSequence=Sequence([table]))) == 255 - values).all()


def test_each_frame_has_its_own_window() -> None:
    frames = np.stack([RAMP, RAMP + 1000])

    def group(center):
        item, voi = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, 101
        item.FrameVOILUTSequence = Sequence([voi])
        return item

    one = image(frames, PerFrameFunctionalGroupsSequence=Sequence([group(50), group(1050)]))
    assert (drawn(one, frame=1) == drawn(one, frame=2)).all()
    with pytest.raises(CannotDraw, match="no-frame"):
        drawn(one, frame=3)


def test_a_region_is_cut_mirrored_and_scaled() -> None:
    one = image(np.arange(256, dtype=np.uint8).reshape(16, 16), WindowCenter=128, WindowWidth=256)
    whole = drawn(one)
    assert (drawn(one, viewport=Viewport(8, 4, 2, 3, 8, 4)) == whole[3:7, 2:10]).all()
    assert (drawn(one, viewport=Viewport(8, 4, 2, 3, -8, -4)) == whole[6:2:-1, 9:1:-1]).all()
    assert drawn(one, viewport=Viewport(8, 100)).shape == (8, 8)
    assert drawn(one, viewport=Viewport(100, 32)).shape == (32, 32)
    with pytest.raises(CannotDraw, match="no-region"):
        drawn(one, viewport=Viewport(8, 8, 16, 0, 1, 1))


def test_pixels_that_are_not_square_are_shown_as_long_as_they_are() -> None:
    one = image(RAMP, PixelSpacing=[2.0, 1.0])
    assert drawn(one, viewport=Viewport(64, 64)).shape == (64, 32)


def test_colours_stay_colours() -> None:
    one = image(np.zeros((4, 4), np.uint8), PhotometricInterpretation="RGB", SamplesPerPixel=3, PlanarConfiguration=0)
    one.PixelData = bytes([255, 0, 10]) * 16
    assert (drawn(one)[0, 0] == [255, 0, 10]).all()


def test_what_has_no_pixels_says_so() -> None:
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3"
    with pytest.raises(CannotDraw, match="no-pixels"):
        drawn(report)


# --- in the child process ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def renderer():
    made = Renderer(memory=256 << 20, seconds=5)
    assert made.missing == ""
    yield made
    made.close()


def kept(tmp_path: Path, one: Dataset) -> Path:
    path = tmp_path / "one.dcm"
    path.write_bytes(written(one).getvalue())
    return path


def test_a_picture_is_drawn_once_and_kept(renderer, tmp_path) -> None:
    path = kept(tmp_path, image(RAMP))
    first = renderer.draw(partial(path.open, "rb"), Asked(media_type=PNG), "a")
    assert (first.width, first.height, first.media_type) == (16, 16, PNG)
    path.unlink()
    assert renderer.draw(partial(path.open, "rb"), Asked(media_type=PNG), "a") == first
    with pytest.raises(FileNotFoundError):
        renderer.draw(partial(path.open, "rb"), Asked(media_type=PNG), "b")


def test_bombs_end_their_own_picture_only(renderer, tmp_path) -> None:
    """A deflated data set of 1 GiB in 1 MB (D4), and a frame that is claimed to be 65,535 pixels square."""
    good = image(RAMP)
    deflated = written(image(RAMP, DeflatedExplicitVRLittleEndian)).getvalue()
    meta = deflated[: deflated.index(b"1.2.840.10008.1.2.1.99") + 22]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(b"\x08\0\x05\0CS\x0a\0ISO_IR 100\xe0\x7f\x10\0OB\0\0\0\0\0\x40")
    for _ in range(1024):
        body += squeeze.compress(bytes(1 << 20))
    bomb = tmp_path / "bomb.dcm"
    bomb.write_bytes(meta + body + squeeze.flush())
    claim = image(np.zeros((64, 64), np.uint8), RLELossless)
    claim.Rows = claim.Columns = 65535
    from pydicom.encaps import encapsulate

    claim.PixelData = encapsulate([b"\1\0\0\0\x40\0\0\0" + bytes(56) + b"\x81\0" * 1000])
    for at, path in enumerate((bomb, kept(tmp_path, claim))):
        started = time.monotonic()
        with pytest.raises(NotDrawn) as refused:
            renderer.draw(partial(path.open, "rb"), Asked(), f"bomb {at}")
        assert refused.value.why in ("too-large", "damaged", "no-pixels")
        assert time.monotonic() - started < 10
    assert renderer.draw(lambda: kept(tmp_path, good).open("rb"), Asked(), "after").width == 16


def test_what_takes_too_long_is_ended(tmp_path) -> None:
    hasty = Renderer(seconds=1)
    try:
        hasty.draw(lambda: kept(tmp_path, image(RAMP)).open("rb"), Asked(), "first")  # loads the decoders
        slow = image(np.zeros((8, 8), np.uint8))
        slow.Rows = slow.Columns = 20000
        slow.PixelData = bytes(20000 * 20000)
        path = kept(tmp_path, slow)
        with pytest.raises(NotDrawn) as refused:
            hasty.draw(partial(path.open, "rb"), Asked(media_type=PNG, viewport=Viewport(8192, 8192)), "slow")
        assert refused.value.why == "too-slow"
        assert hasty.draw(lambda: kept(tmp_path, image(RAMP)).open("rb"), Asked(), "after").width == 16
    finally:
        hasty.close()


def test_another_process_takes_the_place_of_one_that_died(tmp_path) -> None:
    one = Renderer()
    try:
        path = kept(tmp_path, image(RAMP))
        one.draw(partial(path.open, "rb"), Asked(), "a")
        one._process._child.kill()
        one._process._child.wait()
        assert one.draw(partial(path.open, "rb"), Asked(), "b").width == 16
    finally:
        one.close()


UNDRAWN = {  # of the files that hold pixels: why there is no picture
    "JPEG-lossy.dcm": "unsupported",  # 12 bit JPEG
    "JPGExtended.dcm": "unsupported",
    "JPEG2000-embedded-sequence-delimiter.dcm": "damaged",
    "MR_truncated.dcm": "damaged",
    "SC_rgb_jpeg.dcm": "damaged",  # its fragments are not where they should be
    "badVR.dcm": "damaged",
}


def test_every_real_file_is_drawn_or_says_why(renderer) -> None:
    folder = shared_folder() / "realdata" / "dicom"
    if not folder.is_dir():
        pytest.skip(f"no third-party data at {folder}")
    refused, pictures = {}, 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.read_bytes()[128:132] != b"DICM":
            continue
        try:
            picture = renderer.draw(partial(path.open, "rb"), asked({}, thumbnail=True), str(path))
        except NotDrawn as error:
            if error.why != "no-pixels":
                refused[path.name] = error.why
            continue
        Image.open(io.BytesIO(picture.content)).verify()
        assert max(picture.width, picture.height) == 256
        pictures += 1
    assert refused == UNDRAWN
    assert pictures > 100

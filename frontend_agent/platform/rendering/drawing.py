"""One frame as a picture: decode, modality and VOI transformation (PS3.3 C.11.1, C.11.2), region and scale, JPEG or PNG.

Only ever called in the confined child process: what runs here are native decoders over a stranger's bytes (threat D8).
Arrays are rows x columns, or rows x columns x 3.
"""

import io
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGExtended12Bit

from frontend_agent.platform.rendering.asked import LARGEST, PNG, Asked, Viewport, Window

Array = np.ndarray[Any, Any]

WIDEST_TABLE = 1 << 16  # values of a frame up to which each is transformed once, not pixel for pixel


class CannotDraw(Exception):
    """Why there is no picture, as a word: no-pixels, no-frame, no-region, unsupported, damaged, too-large. Quotes no value."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Picture(NamedTuple):
    """What came of it."""

    content: bytes
    width: int
    height: int


def draw(file: BinaryIO, asked: Asked) -> Picture:
    """The frame that is asked for, of the instance in a file. CannotDraw."""
    header = dcmread(file, stop_before_pixels=True, force=True)
    if "Rows" not in header or "Columns" not in header:
        raise CannotDraw("no-pixels")
    count = int(header.get("NumberOfFrames") or 1)
    if not 1 <= asked.frame <= count:
        raise CannotDraw("no-frame")
    frame = _frame(header, asked.frame - 1)
    try:
        values = _decoded(file, header, asked.frame - 1)
    except AttributeError:  # pydicom: elements that decoding needs are not there
        raise CannotDraw("no-pixels") from None
    except NotImplementedError:
        raise CannotDraw("unsupported") from None
    except RuntimeError:  # pydicom: no decoder for it is here, or all of them failed
        raise CannotDraw("damaged" if _has_decoder(header) else "unsupported") from None
    image = _scaled(_image(values, header, frame, asked.window), asked.viewport, _aspect(header, frame))
    written = io.BytesIO()
    if asked.media_type == PNG:
        image.save(written, "PNG", compress_level=4)
    else:
        image.save(written, "JPEG", quality=asked.quality)
    return Picture(written.getvalue(), *image.size)


def _decoded(file: BinaryIO, header: Dataset, index: int) -> Array:
    """The one frame; of a file of 2 GB nothing else is read. Only what is deflated is inflated whole, as far as our memory goes."""
    file.seek(0)
    if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return pixel_array(dcmread(file), index=index)
    return pixel_array(file, index=index)


def _has_decoder(header: Dataset) -> bool:
    syntax = header.file_meta.TransferSyntaxUID
    # JPEG of 12 bits is decoded by libraries of other licences only.
    is_12_bit = syntax == JPEGExtended12Bit and header.get("BitsStored", 8) > 8
    return get_decoder(syntax).is_available and not is_12_bit


def _frame(header: Dataset, index: int) -> Dataset:
    """What holds for one frame: of its functional groups (PS3.3 C.7.6.16) first, then of all frames, then of the instance."""
    found = Dataset()
    for keyword in ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "WindowCenter",
                    "WindowWidth", "VOILUTFunction", "PixelSpacing"):  # fmt: skip
        if keyword in header:
            setattr(found, keyword, header[keyword].value)
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    groups = [*(header.get("SharedFunctionalGroupsSequence") or [])[:1], *per_frame[index : index + 1]]
    for group in groups:
        for sequence in ("PixelMeasuresSequence", "FrameVOILUTSequence", "PixelValueTransformationSequence"):
            for item in (group.get(sequence) or [])[:1]:
                found.update(item)
    found.PixelRepresentation = header.get("PixelRepresentation", 0)  # LUT descriptors are read by it
    return found


def _image(values: Array, header: Dataset, frame: Dataset, window: Window | None) -> Image.Image:
    interpretation = str(header.get("PhotometricInterpretation", "MONOCHROME2"))
    if interpretation == "PALETTE COLOR":
        return Image.fromarray(_to_8_bit(apply_color_lut(values, header), 16))
    if values.ndim == 3 and values.shape[2] == 3:
        return Image.fromarray(_to_8_bit(values, int(header.get("BitsStored", 8))))
    if values.ndim != 2:
        raise CannotDraw("unsupported")
    grey = _grey(values, header, frame, window)
    is_inverse = interpretation == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"
    return Image.fromarray(255 - grey if is_inverse else grey)


def _to_8_bit(colours: Array, bits: int) -> Array:
    """Colours of more than 8 bits, by their highest ones. A table that says 16 and holds 8 is one of 8 (it is seen in the field)."""
    if colours.dtype == np.uint8:
        return np.ascontiguousarray(colours)
    if bits <= 8 or colours.max(initial=0) <= 255:
        return np.clip(colours, 0, 255).astype(np.uint8)
    return (colours >> (bits - 8)).clip(0, 255).astype(np.uint8)


def _grey(values: Array, header: Dataset, frame: Dataset, window: Window | None) -> Array:
    """0 to 255. Integers of few values go through a table: each of them is transformed once."""
    padding = _is_padding(values, header)
    shown = values if padding is None or padding.all() else values[~padding]
    low, high = shown.min(), shown.max()
    if values.dtype.kind in "iu" and int(values.max()) - int(values.min()) < WIDEST_TABLE:
        first = int(values.min())
        levels = np.arange(first, int(values.max()) + 1, dtype=np.int64)
        table = _transformed(levels, frame, window, low, high)
        return np.asarray(table[(values.astype(np.int64) - first)])
    return _transformed(values, frame, window, low, high)


def _is_padding(values: Array, header: Dataset) -> Array | None:
    """Which pixels say nothing (PS3.3 C.7.5.1.1.2)."""
    value = header.get("PixelPaddingValue")
    if value is None or not isinstance(value, int):
        return None
    limit = header.get("PixelPaddingRangeLimit")
    between = sorted((value, limit if isinstance(limit, int) else value))
    return np.asarray((values >= between[0]) & (values <= between[1]))


def _transformed(stored: Array, frame: Dataset, window: Window | None, low: Any, high: Any) -> Array:
    modality = apply_modality_lut(stored, frame)
    if window is None:
        if frame.get("VOILUTSequence"):
            looked_up = apply_voi(modality, frame).astype(np.float32)
            entry = frame.VOILUTSequence[0].LUTDescriptor[2]
            return _bytes(looked_up / float((1 << int(entry)) - 1))
        window = _own_window(frame) or _widest(apply_modality_lut(np.asarray([low, high], stored.dtype), frame))
    return _bytes(_windowed(modality.astype(np.float32), window))


def _own_window(frame: Dataset) -> Window | None:
    """The first that the instance names, if it is one."""
    center, width = (_first(frame.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    function = str(frame.get("VOILUTFunction") or "LINEAR")
    if center is None or width is None or width < 1 or function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        return None
    return Window(center, width, function)


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    except (ValueError, IndexError):
        return None


def _widest(ends: Array) -> Window:
    low, high = float(ends.min()), float(ends.max())
    return Window((low + high) / 2, max(high - low, 1e-6), "LINEAR_EXACT")


def _windowed(values: Array, window: Window) -> Array:
    """0 to 1 and beyond (PS3.3 C.11.2.1.2.1, C.11.2.1.3)."""
    if window.function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - window.center) / window.width, -80, 80))))
    if window.function == "LINEAR_EXACT":
        return np.asarray((values - window.center) / window.width + 0.5)
    return np.asarray((values - (window.center - 0.5)) / max(window.width - 1, 1e-6) + 0.5)


def _bytes(parts: Array) -> Array:
    return np.asarray(np.nan_to_num(np.clip(parts, 0, 1) * 255 + 0.5, nan=0.0).astype(np.uint8))


def _aspect(header: Dataset, frame: Dataset) -> float:
    """How much higher than wide one pixel is (PS3.3 C.7.6.3.1.7)."""
    for pair in (frame.get("PixelSpacing"), header.get("ImagerPixelSpacing"), header.get("PixelAspectRatio")):
        if pair and len(pair) == 2 and float(pair[0]) > 0 and float(pair[1]) > 0:
            return min(max(float(pair[0]) / float(pair[1]), 0.1), 10.0)
    return 1.0


def _scaled(image: Image.Image, viewport: Viewport | None, aspect: float) -> Image.Image:
    """The region of it that is asked for, as large as fits (PS3.18 §8.3.5.1.3). Pixels that are not square are shown as they are long."""
    if viewport is None:
        return image
    left, right, mirrored = _side(viewport.left, viewport.wide, image.width)
    top, bottom, upside_down = _side(viewport.top, viewport.high, image.height)
    image = image.crop((left, top, right, bottom))
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if upside_down:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    scale = min(viewport.width / image.width, viewport.height / (image.height * aspect))
    size = [min(max(round(side * scale), 1), LARGEST) for side in (image.width, image.height * aspect)]
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BILINEAR)


def _side(begin: float, length: float, whole: int) -> tuple[int, int, bool]:
    """Where a region begins and ends on one side of the image, and whether it is mirrored."""
    first = int(begin)
    last = whole if length == 0 else min(whole, round(begin + abs(length)))
    if first >= whole or last <= first:
        raise CannotDraw("no-region")
    return first, last, length < 0

"""What the process does that touches pixels. It loads everything first, then gives everything up, then answers questions."""

import io
import logging
import os
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from frontend_agent.confine import confine
from frontend_agent.imaging.pixels.asking import Frame, Page, Picture, Question

MEMORY = 2 << 30  # bytes beyond what the decoders take
SECONDS = 24 * 3600  # of processor time, until a fresh one is made
MOST_PIXELS = 400_000_000  # of a page
RLE = "1.2.840.10008.1.2.5"


def work(pipe: Connection) -> None:
    """Until the parent hangs up."""
    logging.disable()
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(nowhere, standard)  # nobody reads what decoders print
    _load()
    confine(MEMORY, SECONDS)
    while True:
        try:
            question = msgspec.json.decode(pipe.recv_bytes(), type=Question)
            content = pipe.recv_bytes()
        except EOFError:
            return
        page, samples = _answered(question, content)
        pipe.send_bytes(msgspec.json.encode(page))
        pipe.send_bytes(samples)


def _answered(question: Question, content: bytes) -> tuple[Page, bytes]:
    try:
        if isinstance(question, Frame):
            return Page(), compressed(question, content)
        return _page(question, content)
    except MemoryError:
        return Page(why="it needs more memory than it is given"), b""
    except Exception as error:  # noqa: BLE001  whatever a stranger's bytes do to a decoder; its text may quote them
        return Page(why=f"it cannot be read ({type(error).__name__})"), b""


def compressed(frame: Frame, samples: bytes) -> bytes:
    """The frame without loss: decoded again, it is byte for byte what came."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.encoders.base import get_encoder
    from pydicom.uid import UID

    said: dict[str, Any] = {**msgspec.structs.asdict(frame), "number_of_frames": 1}
    uid = UID(said.pop("transfer_syntax_uid"))
    planar = said.pop("planar_configuration")
    source: Any = samples
    if frame.samples_per_pixel > 1:
        said["planar_configuration"] = 0
        if planar:
            source = samples = _by_pixel(frame, samples)
    content = bytes(get_encoder(uid).encode(source, **said))
    if frame.samples_per_pixel > 1 and uid == RLE:
        said["planar_configuration"] = 1  # as RLE holds them (PS3.5 G.2); decoded by pixel all the same
    decoded, _ = get_decoder(uid).as_array(encapsulate([content]), raw=True, **{**said, "pixel_keyword": "PixelData"})
    if decoded.tobytes() != samples:
        raise ValueError
    return content


def _by_pixel(frame: Frame, samples: bytes) -> bytes:
    """Colour by plane as colour by pixel (PS3.3 C.7.6.3.1.3)."""
    import numpy as np

    kind = np.dtype(f"<u{frame.bits_allocated // 8}")
    planes = np.frombuffer(samples, kind).reshape(frame.samples_per_pixel, frame.rows, frame.columns)
    return planes.transpose(1, 2, 0).tobytes()


def _page(question: Picture, content: bytes) -> tuple[Page, bytes]:
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    with Image.open(io.BytesIO(content), formats=("TIFF", "PNG", "JPEG")) as image:
        pages = int(getattr(image, "n_frames", 1))
        if question.page >= pages:
            return Page(why=f"it has {pages} pages"), b""
        image.seek(question.page)
        upright = ImageOps.exif_transpose(image)
        if upright.width * upright.height > MOST_PIXELS:
            return Page(why="it has too many pixels"), b""
        samples, bits, count = _samples(upright)
    page = Page(pages=pages, rows=upright.height, columns=upright.width, samples_per_pixel=count, bits_allocated=bits)
    frame = Frame(RLE, page.rows, page.columns, count, "RGB" if count == 3 else "MONOCHROME2", bits, bits, 0)
    return page, compressed(frame, samples)


def _samples(image: Any) -> tuple[bytes, int, int]:
    """Samples, bits of each, samples per pixel: grey stays grey, everything else is RGB. What is transparent is on white, as on paper."""
    import numpy as np
    from PIL import Image

    if image.mode in ("1", "L"):
        return image.convert("L").tobytes(), 8, 1
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError
        return values.astype("<u2").tobytes(), 16, 1
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        paper = Image.new("RGBA", over.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, over)
    return image.convert("RGB").tobytes(), 8, 3


def _load() -> None:
    """Everything that is loaded lazily: a confined process opens no file any more."""
    import numpy as np
    from PIL import Image

    Image.init()
    for uid in (RLE, "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"):
        for count, bits in ((1, 8), (1, 16), (3, 8)):
            grey = np.arange(4096 * count, dtype=np.uint8 if bits == 8 else np.uint16)
            frame = Frame(uid, 64, 64, count, "RGB" if count == 3 else "MONOCHROME2", bits, bits, 0)
            compressed(frame, grey.tobytes())
    for mode in ("1", "L", "P", "RGB", "RGBA", "I;16", "CMYK"):
        for kind, options in (("TIFF", {}), ("TIFF", {"compression": "group4"}), ("TIFF", {"compression": "tiff_lzw"}),
                              ("TIFF", {"compression": "jpeg"}), ("TIFF", {"compression": "tiff_adobe_deflate"}), ("PNG", {}), ("JPEG", {})):  # fmt: skip
            held = io.BytesIO()
            with suppress(Exception):  # what cannot be written in a mode need not be read in it
                Image.new(mode, (8, 8)).save(held, kind, **options)
                _page(Picture(), held.getvalue())

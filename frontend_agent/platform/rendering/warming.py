"""One picture of each way to decode, drawn at the start: what is loaded lazily is then there."""

import codecs
import io
from contextlib import suppress

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.charset import python_encoding
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from frontend_agent.platform.rendering.asked import MEDIA_TYPES, Asked, Viewport
from frontend_agent.platform.rendering.drawing import CannotDraw, draw

_SYNTAXES = (
    ExplicitVRLittleEndian, RLELossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless,
    JPEGLSNearLossless, JPEG2000Lossless, JPEG2000,
)  # fmt: skip


def warm() -> None:
    """Draw a grey and a coloured square in every transfer syntax that can be made of a JPEG here, in both media types.

    That some of them are wrong (a baseline JPEG is no JPEG-LS) does no harm: every decoder was loaded and called.
    """
    for name in python_encoding.values():
        codecs.lookup(name)  # of texts in key objects
    for syntax in _SYNTAXES:
        get_decoder(syntax)
        for samples in (1, 3):
            for media_type in MEDIA_TYPES:
                with suppress(CannotDraw):
                    draw(_square(syntax, samples), Asked(media_type=media_type, viewport=Viewport(4, 4)))


def _square(syntax: UID, samples: int) -> io.BytesIO:
    pixels = np.zeros((64, 64) if samples == 1 else (64, 64, 3), np.uint8)
    whole = Dataset()
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.SOPClassUID, whole.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid(entropy_srcs=["warm"])
    whole.SamplesPerPixel, whole.PhotometricInterpretation = samples, "MONOCHROME2" if samples == 1 else "RGB"
    if samples == 3:
        whole.PlanarConfiguration = 0
    whole.Rows = whole.Columns = 64
    whole.BitsAllocated = whole.BitsStored = 8
    whole.HighBit, whole.PixelRepresentation = 7, 0
    whole.WindowCenter, whole.WindowWidth = 128, 256
    whole.PixelData = pixels.tobytes()
    if syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        whole.compress(syntax)
    elif syntax != ExplicitVRLittleEndian:
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "JPEG")
        whole.PixelData = encapsulate([held.getvalue()])
        whole.file_meta.TransferSyntaxUID = syntax
    written = io.BytesIO()
    dcmwrite(written, whole, enforce_file_format=True)
    written.seek(0)
    return written

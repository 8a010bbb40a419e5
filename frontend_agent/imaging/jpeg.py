"""JPEG as bytes (ITU-T T.81, T.87): what an image is, read from its markers, and the file without what cameras tell beside it.

Nothing is decoded: the scans stay bit by bit what they were.
"""

from typing import Literal, NamedTuple

# Start of frame -> transfer syntax (PS3.5 §8.2.1, A.4). What is not here (progressive, arithmetic) has no transfer syntax in use.
_SYNTAXES = {
    0xC0: "1.2.840.10008.1.2.4.50",  # baseline
    0xC1: "1.2.840.10008.1.2.4.51",  # extended sequential
    0xC3: "1.2.840.10008.1.2.4.57",  # lossless; with selection value 1 it is 4.70
    0xF7: "1.2.840.10008.1.2.4.80",  # JPEG-LS
}
_LOSSLESS_FIRST_ORDER = "1.2.840.10008.1.2.4.70"
_NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"
_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END = 0xDA, 0xD9
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_APP1, _ADOBE, _COMMENT = 0xE1, 0xEE, 0xFE
# Places, cameras, owners, previews: EXIF and XMP (APP1), Photoshop and IPTC (APP13), makers' own, comments. JFIF, ICC and Adobe stay:
# they say how the samples are to be understood.
_TELLING = frozenset((*range(0xE1, 0xF0), _COMMENT)) - {0xE2, _ADOBE, 0xE8}


class NotJpeg(ValueError):
    """It is none, or none that DICOM can carry as it is. Says why, and quotes nothing of it."""


class Jpeg(NamedTuple):
    """One image. `transfer_syntax_uid` is "" where DICOM has none for how it is compressed."""

    rows: int
    columns: int
    samples: int
    bits: int
    transfer_syntax_uid: str
    photometric_interpretation: str  # of the compressed samples; "" for four components
    is_lossy: bool
    orientation: int  # of EXIF: 1 upright
    content: bytes  # without what cameras tell beside it, of even length


def read_jpeg(data: bytes) -> Jpeg:
    """What a JPEG file is. NotJpeg: it is cut off, or none."""
    if data[:2] != b"\xff\xd8":
        raise NotJpeg("it does not begin as a JPEG file")
    kept, at = [data[:2]], 2
    frame, adobe, orientation, has_jfif = b"", -1, 1, False
    start_of_frame = 0
    while True:
        marker, begin, end = _segment(data, at)
        body = data[begin:end]
        if marker in _FRAMES:
            start_of_frame, frame = marker, body
        elif marker == 0xE0 and body.startswith(b"JFIF\0"):
            has_jfif = True
        elif marker == _ADOBE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker == _APP1 and body.startswith(b"Exif\0\0"):
            orientation = _orientation(body[6:])
        if marker == _SCAN:
            break
        if marker not in _TELLING:
            kept.append(data[at:end])
        at = end
    if len(frame) < 6:
        raise NotJpeg("its first scan comes before its frame header")
    close = data.rfind(b"\xff\xd9")
    if close < end:
        raise NotJpeg("it is cut off: its end marker is missing")
    kept.append(data[at : close + 2])
    content = b"".join(kept)
    samples = frame[5]
    if len(frame) < 6 + 3 * samples or samples not in (1, 3, 4):
        raise NotJpeg(f"it has {samples} components")
    return Jpeg(
        rows=int.from_bytes(frame[1:3], "big"),
        columns=int.from_bytes(frame[3:5], "big"),
        samples=samples,
        bits=frame[0],
        transfer_syntax_uid=_syntax(start_of_frame, body),
        photometric_interpretation=_photometric(start_of_frame, frame, adobe, has_jfif),
        is_lossy=start_of_frame != 0xC3 and not (start_of_frame == 0xF7 and _near(body) == 0),
        orientation=orientation,
        content=content + b"\0" * (len(content) % 2),
    )


def _segment(data: bytes, at: int) -> tuple[int, int, int]:
    """Marker, where its body begins, where it ends."""
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] == b"\xff":
        at += 1  # fill bytes (T.81 B.1.1.2)
    if len(data) < at + 4 or data[at] != 0xFF:
        raise NotJpeg("it is cut off, or damaged, before its first scan")
    marker = data[at + 1]
    if marker == _END:
        raise NotJpeg("it holds no image")
    if marker in _ALONE:
        return marker, at + 2, at + 2
    length = int.from_bytes(data[at + 2 : at + 4], "big")
    if length < 2 or at + 2 + length > len(data):
        raise NotJpeg("it is cut off before its first scan")
    return marker, at + 4, at + 2 + length


def _syntax(start_of_frame: int, scan: bytes) -> str:
    """By the frame, and for what is lossless by its first scan's header (T.81 B.2.3, T.87 C.2.3)."""
    if start_of_frame == 0xC3 and _predictor(scan) == 1:
        return _LOSSLESS_FIRST_ORDER
    if start_of_frame == 0xF7 and _near(scan):
        return _NEAR_LOSSLESS
    return _SYNTAXES.get(start_of_frame, "")


def _predictor(scan: bytes) -> int:
    """Ss: in lossless JPEG the predictor."""
    at = 1 + 2 * scan[0] if scan else 0
    return scan[at] if len(scan) > at else 0


def _near(scan: bytes) -> int:
    """In JPEG-LS the same place holds NEAR: by how much a sample may be wrong."""
    return _predictor(scan)


def _photometric(start_of_frame: int, frame: bytes, adobe: int, has_jfif: bool) -> str:
    """PS3.3 C.7.6.3.1.2, PS3.5 §8.2.1: what the components are. Adobe's marker says it; otherwise JFIF; otherwise their ids."""
    if frame[5] == 1:
        return "MONOCHROME2"
    if frame[5] != 3:
        return ""
    if start_of_frame in (0xC3, 0xF7) and adobe != 1:
        return "RGB"  # lossless ones are written without a transform unless they say so
    ids = bytes(frame[6 + 3 * n] for n in range(3))
    if adobe == 0 or (adobe < 0 and not has_jfif and ids == b"RGB"):
        return "RGB"
    sampling = [frame[7 + 3 * n] for n in range(3)]
    return "YBR_FULL" if sampling[0] == sampling[1] == sampling[2] else "YBR_FULL_422"


def _orientation(tiff: bytes) -> int:
    """EXIF tag 0x0112 of the first directory; 1 where it does not say it, or cannot be read."""
    if tiff[:2] not in (b"II", b"MM") or len(tiff) < 8:
        return 1
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)

    at = number(4, 4)
    for entry in range(at + 2, at + 2 + 12 * min(number(at, 2), 1000), 12):
        if number(entry, 2) == 0x0112 and 1 <= number(entry + 8, 2) <= 8:
            return number(entry + 8, 2)
    return 1

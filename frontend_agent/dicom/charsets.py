"""Text in DICOM: by the data set's Specific Character Set (PS3.5 §6.1, PS3.3 C.12.1.1.2)."""

import warnings

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS


def decoded(value: bytes, charset: str, is_name: bool = False) -> tuple[str, bool]:
    """The text of a value, and whether its character set explains every byte of it. What it does not is U+FFFD."""
    value = value.strip(b" \0")
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii"), True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = decode_bytes(
            value, convert_encodings(charset.split("\\") if charset else ""), PN_DELIMS if is_name else TEXT_VR_DELIMS
        )
    return text, "�" not in text and (bool(charset) or value.isascii())

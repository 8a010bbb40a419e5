"""Text in DICOM: by the data set's Specific Character Set (PS3.5 §6.1, PS3.3 C.12.1.1.2)."""

import re
import warnings
from functools import cache, lru_cache
from types import ModuleType

UTF_8, GB18030, GBK = "ISO_IR 192", "GB18030", "GBK"
WHOLE = {UTF_8: "utf-8", GB18030: "gb18030", GBK: "gbk"}  # sets that stand alone, without code extensions (C.12.1.1.2)
_GB2312, _TO_GB2312, _TO_ASCII = "ISO 2022 IR 58", b"\x1b$)A", b"\x1b(B"
_NAME_DELIMITERS = re.compile(rb"[\\^=]")
_DELIMITERS = re.compile(rb"[\\\t\n\f\r]")
_C1 = re.compile(r"[\x80-\x9f]")


@cache
def _sets() -> ModuleType:
    """pydicom's tables of character sets, when the first text needs them: it loads numpy where that is installed."""
    from pydicom import charset

    return charset


@cache
def _codes() -> tuple[bytes, ...]:
    return tuple(sorted(_sets().CODES_TO_ENCODINGS, key=len, reverse=True))


def decoded(value: bytes, charset: str, is_name: bool = False) -> tuple[str, bool]:
    """The text of a value, and whether its character set explains every byte of it. What it does not is U+FFFD."""
    value = value.strip(b" \0")
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii"), True
    text = _text(value, charset, is_name)
    is_certain = explains(value, charset, is_name)
    if is_certain or "\ufffd" in text:
        return text, is_certain and "\ufffd" not in text
    # Read in the default repertoire a byte always gives some letter: it is none.
    return value.decode("ascii", "replace") if not _is_known(charset) else text, False


def _text(value: bytes, charset: str, is_name: bool) -> str:
    if _GB2312 in terms(charset) and _TO_GB2312 in value:
        # GB 2312 in G1, ASCII in G0 throughout: what follows the escape sequence is EUC-CN. (pydicom leaves the sequence in it.)
        return value.replace(_TO_GB2312, b"").replace(_TO_ASCII, b"").decode("gb2312", "replace")
    from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        delimiters = PN_DELIMS if is_name else TEXT_VR_DELIMS
        encodings = _sets().convert_encodings(charset.split("\\") if charset else "")
        text: str = _sets().decode_bytes(value, encodings, delimiters)
        return text


@lru_cache(maxsize=64)
def terms(charset: str) -> tuple[str, ...]:
    """The defined terms of a Specific Character Set; the default repertoire is ISO_IR 6."""
    return tuple(term.strip() or "ISO_IR 6" for term in charset.split("\\"))


def _is_known(charset: str) -> bool:
    return all(term in _sets().python_encoding for term in terms(charset))


def explains(value: bytes, charset: str, is_name: bool = False) -> bool:
    """Whether every byte of a value is a character of its set: with the escape sequences it must have (PS3.5 §6.1.2.5)."""
    if value.isascii() and b"\x1b" not in value:
        return True
    first = terms(charset)[0]
    if not _is_known(charset):
        return False
    if len(terms(charset)) == 1 and not first.startswith("ISO 2022"):
        return b"\x1b" not in value and _is_of(value, first)
    # Each component, each value and each line begins with the first set again (§6.1.2.5.3).
    return all(_extended(part, charset) for part in (_NAME_DELIMITERS if is_name else _DELIMITERS).split(value))


def _extended(part: bytes, charset: str) -> bool:
    before, *fragments = part.split(b"\x1b")
    if not _is_of(before, terms(charset)[0]):
        return False
    known = {_sets().python_encoding[term] for term in terms(charset)} | {"iso8859", "shift_jis", "latin_1"}
    for fragment in fragments:
        code = next((code for code in _codes() if (b"\x1b" + fragment).startswith(code)), None)
        if code is None or _sets().CODES_TO_ENCODINGS[code] not in known:
            return False
    return not fragments or "\ufffd" not in _text(part, charset, False)


def _is_of(value: bytes, term: str) -> bool:
    if value.isascii():
        return True
    if term in ("ISO_IR 6", "ISO 2022 IR 6") or term in (_GB2312, "ISO 2022 IR 149", "ISO 2022 IR 87"):
        return False  # 8 bits need another set, or its escape sequence first
    try:
        text = value.decode(_sets().python_encoding[term])
    except UnicodeDecodeError:
        return False
    return term in WHOLE or not _C1.search(text)  # no letter stands there in any part of ISO 8859


def encoded(text: str, charset: str, is_name: bool = False) -> bytes | None:
    """The bytes of a text in a character set; None where it has no such characters."""
    if text.isascii():
        return text.encode("ascii")
    named = terms(charset)
    if not _is_known(charset):
        return None
    try:
        if _GB2312 in named:
            return b"".join(_with_escapes(part) for part in re.split(r"([\\^=\r\n\t\f])", text))
        value = text.encode(_sets().python_encoding[named[0]])
    except UnicodeEncodeError:
        return None
    return value if explains(value, named[0], is_name) else None


def _with_escapes(part: str) -> bytes:
    return part.encode("ascii") if part.isascii() else _TO_GB2312 + part.encode("gb2312")

"""Which character set a message is really in. MSH-18 is heard, and not believed: the bytes decide.

Chinese senders write GBK and declare nothing, ASCII, 8859/1 or UNICODE UTF-8; and the other way round. Both readings are tried
strictly, and judged by what they say: Chinese read as the wrong set is valid now and then, but made of signs that nobody writes.

    Decoded(is_certain=True)    one reading is possible, or only one makes sense
    Decoded(is_certain=False)   the more likely one; its reasons say why it is not sure
    Undecoded                   nobody can say, or the sender had already lost characters: a person must look

No replacement character is ever made, and one that the sender made is not taken for text.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

_UTF_8, _GB, _ASCII = "utf-8", "gb18030", "ascii"
_NAMES = {
    "": "", "ASCII": _ASCII, "ISOIR6": _ASCII,
    "UNICODEUTF8": _UTF_8, "UTF8": _UTF_8, "UNICODE": _UTF_8,
    "GB180302000": _GB, "GB18030": _GB, "GB180302005": _GB, "GB180302022": _GB, "GBK": _GB, "GB2312": _GB, "GB23121980": _GB,
    "GB231280": _GB, "CP936": _GB, "936": _GB, "MS936": _GB, "EUCCN": _GB, "ISOIR58": _GB,
    "BIG5": "big5hkscs", "BIG5HKSCS": "big5hkscs",
    "ISOIR100": "iso8859-1", "LATIN1": "iso8859-1", "WINDOWS1252": "cp1252", "CP1252": "cp1252",
}  # fmt: skip
_8859 = re.compile(r"(?:ISO)?8859(\d{1,2})")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_ALL_ASCII = bytes(range(0x80))
_CHINESE = re.compile(r"[\u4e00-\u9fff]+")
_PRIVATE = re.compile(r"[\ue000-\uf8ff]")
_SELDOM = re.compile(r"[\u0400-\u04ff\u3040-\u30ff]")
_HEADER_END = re.compile(rb"[\r\n]")
_LONGEST_HEADER = 8_192
BOM = b"\xef\xbb\xbf"

# Beside what GB 2312 has (Chinese, Greek, units, arrows): signs of laboratory reports.
_EXTRA = frozenset("²³¹½¼¾µ®©™•–—…‘’“”ⅰⅱⅲⅳⅴⅠⅡⅢⅣⅤ㎡㎎㎏㎝㎜㏄℉℃≤≥≈≠≡∶＜＞〜﹤﹥≦≧")
# What stands alone between letters and digits of ASCII text: 5 µg/L, 10²
_SIGNS = frozenset("µμ±²³¹°×÷·αβγδ½¼¾")
_GARBLED = "text that was decoded in a wrong set and encoded again before it was sent"
# Second bytes that are a delimiter: a text cut within a character takes the delimiter behind it along (张<D5>| becomes one character).
_SWALLOWED = re.compile(rb"[\x80-\xff][|^~]")
_MARKS_OF_LOSS = ("\ufffd", "锟斤拷")


class Decoded(msgspec.Struct, frozen=True):
    """The text, the set it was in (Python's name), what MSH-18 said, and why."""

    text: str
    charset: str
    declared: tuple[str, ...]
    is_certain: bool = True
    reasons: tuple[str, ...] = ()


class Undecoded(msgspec.Struct, frozen=True):
    """No reading can be trusted. `reasons` quote nothing."""

    declared: tuple[str, ...]
    reasons: tuple[str, ...]


def decode(content: bytes, fixed: str = "") -> Decoded | Undecoded:
    """Decide by evidence. `fixed` (Python's name) is what a site has settled for a sender: then that or nothing."""
    declared = declared_of(content)
    if b"\0" in content:
        return Undecoded(declared, ("NUL bytes: two-byte Unicode, or no text at all",))
    if fixed:
        text, place = _strictly(content, fixed)
        if text is None:
            return Undecoded(declared, (f"not {fixed}, which is settled for this sender (byte {place})",))
        return _unless_lost(Decoded(text, fixed, declared))
    if b"\x1b" in content:
        return _switched(content, declared)
    if content.isascii():
        return Decoded(content.decode(_ASCII), _ASCII, declared)
    found = _judged(content, declared)
    return _unless_lost(found) if isinstance(found, Decoded) else found


@lru_cache(maxsize=256)
def codec_of(name: str) -> str | None:
    """Python's name for a name of MSH-18; empty for an empty one, None for one that nobody knows."""
    plain = re.sub(r"[^A-Z0-9]", "", name.upper())
    if (latin := _8859.fullmatch(plain)) is not None and 1 <= int(latin[1]) <= 15 and int(latin[1]) != 12:
        return f"iso8859-{int(latin[1])}"
    return _NAMES.get(plain)


def header_text(content: bytes) -> tuple[str, str]:
    """(the header segment, the set it was read in). What cannot be read is kept as surrogates: it goes back as it came."""
    line = content.removeprefix(BOM).lstrip(b" \t\r\n")[:_LONGEST_HEADER]
    line = _HEADER_END.split(line, maxsplit=1)[0]
    try:
        return line.decode(_UTF_8), _UTF_8
    except UnicodeDecodeError:  # in GBK a | may be the second half of a character: never split as bytes
        return line.decode(_GB, "surrogateescape"), _GB


def declared_of(content: bytes) -> tuple[str, ...]:
    """The repetitions of MSH-18 as they are written."""
    header, _ = header_text(content)
    if not header.startswith("MSH") or len(header) < 5:
        return ()
    fields = header.split(header[3])
    said = fields[17].strip() if len(fields) > 17 else ""
    marks = fields[1]
    return tuple(one.strip() for one in (said.split(marks[1]) if len(marks) > 1 else [said])) if said else ()


# -- judging --------------------------------------------------------------------------------------------------------


def _strictly(content: bytes, codec: str) -> tuple[str | None, int]:
    """The text, or None and the place of the byte that does not fit."""
    try:
        return content.decode(codec), 0
    except UnicodeDecodeError as error:
        return None, error.start


def _judged(content: bytes, declared: tuple[str, ...]) -> Decoded | Undecoded:
    codecs = [codec for name in declared if (codec := codec_of(name))]
    utf_8, utf_8_place = _strictly(content, _UTF_8)
    gb, gb_place = _strictly(content, _GB)
    if utf_8 is not None and (gb is None or content.startswith(BOM)):
        return Decoded(utf_8, _UTF_8, declared)
    if utf_8 is not None and gb is not None:
        return _either(utf_8, gb, codecs, declared)
    single = next((codec for codec in codecs if codec not in (_UTF_8, _GB, _ASCII)), "")
    if gb is not None:
        return _gb_or_single(content, gb, single, codecs, declared)
    if single and (text := _strictly(content, single)[0]) is not None and is_western(content, text):
        return Decoded(text, single, declared, False, ("neither UTF-8 nor GB 18030; taken as MSH-18 says",))
    return Undecoded(
        declared,
        (
            f"not UTF-8 (byte {utf_8_place}) and not GB 18030 (byte {gb_place}): a text cut within a character, or two sets"
            " in one message",
        ),
    )


def _either(utf_8: str, gb: str, codecs: list[str], declared: tuple[str, ...]) -> Decoded | Undecoded:
    """Valid in both: which reading is Chinese that somebody wrote?"""
    if _is_garbled(utf_8):
        return Undecoded(declared, (_GARBLED,))
    likely_utf_8, likely_gb = likelihood(utf_8), likelihood(gb)
    asked = [codec for codec in codecs if codec in (_UTF_8, _GB)]
    if any(character >= "\u0800" for character in utf_8):
        if likely_utf_8 > likely_gb or (likely_utf_8 == likely_gb and asked == [_UTF_8]):
            return Decoded(utf_8, _UTF_8, declared)
    elif _only_signs(utf_8):  # 5 µg/L: as GB 18030 it would be 5 碌g/L
        if _GB in asked:
            return Undecoded(declared, ("valid as UTF-8 and as GB 18030, with too little text to tell",))
        return Decoded(utf_8, _UTF_8, declared, _UTF_8 in asked, () if _UTF_8 in asked else ("a few signs only",))
    if asked and len(set(asked)) == 1:
        text = utf_8 if asked[0] == _UTF_8 else gb
        if (likely_utf_8 if asked[0] == _UTF_8 else likely_gb) >= 0.5:
            return Decoded(text, asked[0], declared, False, ("valid as UTF-8 and as GB 18030; taken as MSH-18 says",))
    return Undecoded(declared, ("valid as UTF-8 and as GB 18030, and MSH-18 does not settle it",))


def _gb_or_single(
    content: bytes, gb: str, single: str, codecs: list[str], declared: tuple[str, ...]
) -> Decoded | Undecoded:
    likely = likelihood(gb)
    if single:
        text = _strictly(content, single)[0]
        if likely < 0.5:
            if text is not None and (single.startswith("big5") or is_western(content, text)):
                return Decoded(text, single, declared, False, ("taken as MSH-18 says",))
            return Undecoded(declared, ("neither Chinese in GB 18030 nor what MSH-18 says",))
        if text is not None and is_western(content, text):
            return Undecoded(declared, ("may be Chinese in GB 18030 or what MSH-18 says",))
    if likely < 0.5 and _GB not in codecs:
        return Undecoded(declared, ("valid as GB 18030, but it says nothing that is Chinese",))
    if _swallows_a_delimiter(gb):
        return Undecoded(
            declared,
            (
                "a character whose second byte is a delimiter: rare, or half of one that was cut (settle the set if rare)",
            ),
        )
    if _PRIVATE.search(gb):
        return Decoded(gb, _GB, declared, False, ("characters of the private area: the sender's own",))
    few = likely < 0.5 or _chinese(_foreign(gb)) < 2
    is_certain = _GB in codecs or not few
    return Decoded(gb, _GB, declared, is_certain, () if is_certain else ("little Chinese to tell it by",))


def _swallows_a_delimiter(text: str) -> bool:
    """Whether a character of two bytes ends in one. (Those of four end in digits.)"""
    return _SWALLOWED.search(_foreign(text).encode(_GB)) is not None


def _unless_lost(found: Decoded) -> Decoded | Undecoded:
    """Characters that were lost or garbled before the message was sent."""
    if any(mark in found.text for mark in _MARKS_OF_LOSS):
        return Undecoded(found.declared, ("the sender has replaced characters already (U+FFFD)",))
    if found.charset == _UTF_8 and _is_garbled(found.text):
        return Undecoded(found.declared, (_GARBLED,))
    return found


def _is_garbled(text: str) -> bool:
    """UTF-8 of what somebody decoded wrongly: ä¸­æ–‡, ÖÐÎÄ, 涓枃."""
    own = likelihood(text)
    if own >= 0.8:
        return False
    for wrong in ("cp1252", "iso8859-1", _GB):
        try:
            undone = text.encode(wrong)
        except UnicodeEncodeError:
            continue
        for right in (_UTF_8, _GB):
            if right == wrong:
                continue
            again = undone.decode(right, "replace")  # only looked at: some bytes were lost on the way
            chinese, lost = _chinese(again), again.count("\ufffd")
            if chinese < 2 or 3 * lost > chinese or is_western(undone, text):
                continue
            # What nobody writes (a run of accented letters, rare characters only) became Chinese that everybody writes.
            if likelihood(again.replace("\ufffd", "")) > 0.9:
                return True
    return False


def _foreign(text: str) -> str:
    """What is not ASCII. In UTF-8 no byte of it is below 0x80, so it is taken out as bytes: no character is looked at."""
    return text.encode(_UTF_8).translate(None, _ALL_ASCII).decode(_UTF_8)


def likelihood(text: str) -> float:
    """0 … 1: how much of what is not ASCII somebody writes in Chinese medical texts. Signs of other scripts count nothing."""
    foreign = _foreign(text)
    if not foreign or _is_all_usual(foreign):  # nearly every message: no character is looked at alone
        return 1.0
    return sum(map(_is_usual, foreign)) / len(foreign)


def _is_all_usual(foreign: str) -> bool:
    """Whether `_is_usual` holds for every character, but for those of _EXTRA that GB 2312 lacks."""
    try:
        foreign.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return _SELDOM.search(foreign) is None


@lru_cache(maxsize=70_000)
def _is_usual(character: str) -> bool:
    if _SELDOM.match(character):
        return False  # Cyrillic and kana are in GB 2312, but a wrong reading makes them more often than a person
    if character in _EXTRA:
        return True
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _chinese(text: str) -> int:
    return sum(map(len, _CHINESE.findall(text)))


def _only_signs(text: str) -> bool:
    """Single signs, each beside a letter or digit of ASCII."""
    for place, character in enumerate(text):
        if character > "\x7f":
            beside = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
            if character not in _SIGNS or not any(one.isascii() and one.isalnum() for one in beside):
                return False
    return True


def is_western(content: bytes, text: str) -> bool:
    """Accented letters between plain ones: single high bytes, at most two together, that are letters or signs."""
    runs: Iterable[bytes] = _HIGH_RUN.findall(content)
    return all(len(run) <= 2 for run in runs) and all(
        character.isalpha() or character in _SIGNS for character in _foreign(text)
    )


# -- ISO 2022 -------------------------------------------------------------------------------------------------------

_GB_TO_G1 = b"\x1b$)A"


def _switched(content: bytes, declared: tuple[str, ...]) -> Decoded | Undecoded:
    """Sets switched within the message by escape sequences (a repeated MSH-18). GB 2312, JIS and KS as Python knows them."""
    if not declared or len(declared) < 2:
        return Undecoded(declared, ("escape sequences of ISO 2022, which MSH-18 does not announce",))
    if content.isascii():
        text, place = _strictly(content, "iso2022_jp_2")
        if text is None or "\x1b" in text:
            return Undecoded(declared, (f"an escape sequence of ISO 2022 that is not understood (byte {place})",))
        return Decoded(text, "iso2022_jp_2", declared)
    plain = content.replace(_GB_TO_G1, b"").replace(b"\x1b(B", b"")
    text, place = _strictly(plain, "gb2312")
    if b"\x1b" in plain or text is None or _GB_TO_G1 not in content:
        return Undecoded(declared, (f"sets switched by ISO 2022 that are not understood (byte {place})",))
    return _unless_lost(Decoded(text, "gb2312", declared))

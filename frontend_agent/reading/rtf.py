r"""RTF to text (Rich Text Format Specification 1.9.1), as the EMR editors of Chinese hospitals write it.

Bytes (`\'b8\'df`) are read in the code page of the font they stand in (`\fcharset134` is 936), else of the document
(`\ansicpg936`); `\uN` is Unicode. Pictures, headers, field codes, hidden and deleted text are not the record's text.
Groups are kept on a list, not on the call stack: depth costs nothing.
"""

import codecs
import re
from typing import NamedTuple

from frontend_agent.reading.errors import Unreadable

# \fcharsetN -> Windows code page (specification, "Font Table").
_CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "cp950", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250", 255: "cp437",
}  # fmt: skip
_PAGES = {
    936: "gb18030",
    54936: "gb18030",
    950: "cp950",
    932: "cp932",
    949: "cp949",
    65001: "utf-8",
    10000: "mac_roman",
}
_SAID = {
    "par": "\n", "line": "\n", "sect": "\n", "page": "\n", "row": "\n", "nestrow": "\n", "tab": "\t", "cell": "\t", "nestcell": "\t",
    "emdash": "\u2014", "endash": "\u2013", "lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c",
    "rdblquote": "\u201d", "bullet": "\u2022", "emspace": "\u2003", "enspace": "\u2002", "qmspace": "\u2005",
    "~": "\u00a0", "_": "\u2011", "{": "{", "}": "}", "\\": "\\", "\n": "\n", "\r": "\n",
}  # fmt: skip
# Destinations that are no text of the record. Those that begin with \* are passed over whatever their name.
_SILENT = re.compile(
    "fonttbl|colortbl|stylesheet|info|pict|object|header[lrf]?|footer[lrf]?|a?ftn(sep|sepc|cn)|xe|tcn?|rxe|bkmk(start|end)"
    "|filetbl|list(override)?table|revtbl|template|nextfile|private1|atn(id|author)|annotation|comment"
)
_WORD = re.compile(r"\\([A-Za-z]{1,32})(-?\d{1,10})? ?")
_PLAIN = re.compile(r"[^\\{}\r\n\x80-\U0010ffff]+")
DEEPEST = 10_000


class _Group(NamedTuple):
    """What holds inside one pair of braces."""

    encoding: str
    silent: bool = False  # its text is not the record's
    hidden: bool = False  # nor is this: a property of the characters (\\v, \\deleted)
    fonts: bool = False  # inside the font table
    font: int = -1
    skip: int = 1  # characters that stand in for a \u, for readers without Unicode (\uc)


class _Text:
    """Text as it comes: bytes of a code page are kept until they are whole characters."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._encoding = ""
        self._decoder: codecs.IncrementalDecoder | None = None
        self.waits_for_a_trail_byte = False

    def add_bytes(self, data: bytes, encoding: str) -> None:
        if self._decoder is None or encoding != self._encoding:
            self.flush()
            self._encoding, self._decoder = encoding, codecs.getincrementaldecoder(encoding)()
        try:
            self._pieces.append(self._decoder.decode(data))
        except UnicodeDecodeError:
            raise Unreadable(f"bytes that are no text in {encoding}") from None
        self.waits_for_a_trail_byte = bool(self._decoder.getstate()[0])

    def add(self, text: str) -> None:
        if self.waits_for_a_trail_byte:
            self.flush()
        self._pieces.append(text)

    def flush(self) -> None:
        if self.waits_for_a_trail_byte:
            raise Unreadable(f"half a character in {self._encoding}")

    def whole(self) -> str:
        self.flush()
        text = "".join(self._pieces)
        try:  # \u gives the halves of a character beyond U+FFFF one by one
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise Unreadable("half a surrogate pair") from None
        lines = (line.strip(" \t") for line in text.split("\n"))
        return "\n".join(line for line in lines if line)


def text_of_rtf(data: bytes | str) -> str:
    """The text of an RTF document, one line per paragraph or table row, cells parted by tabs."""
    raw = isinstance(data, bytes)  # then what lies beyond ASCII is bytes of the document's code page
    text = data.decode("latin-1") if isinstance(data, bytes) else data
    text = text.lstrip("\ufeff \t\r\n").rstrip("\0 \t\r\n")
    if not text.startswith("{\\rtf"):
        raise Unreadable("not RTF")
    return _Reader(text, raw).read()


class _Reader:
    def __init__(self, text: str, raw: bool) -> None:
        self._source = text
        self._raw = raw
        self._out = _Text()
        self._groups: list[_Group] = []
        self._now = _Group("cp1252")
        self._fonts: dict[int, str] = {}
        self._document = "cp1252"
        self._passing = 0  # stand-ins of a \u still to be passed over

    def read(self) -> str:
        place, text = 0, self._source
        while place < len(text):
            character = text[place]
            if character == "{":
                if len(self._groups) >= DEEPEST:
                    raise Unreadable(f"more than {DEEPEST} groups within each other")
                self._groups.append(self._now)
                self._passing = 0
                place += 1
            elif character == "}":
                if not self._groups:
                    raise Unreadable("a closing brace without an opening one")
                self._now = self._groups.pop()
                self._passing = 0
                place += 1
                if not self._groups:
                    break
            elif character == "\\":
                place = self._control(place)
            elif character in "\r\n":
                place += 1
            else:
                place = self._plain(place)
        if self._groups:
            raise Unreadable("the RTF is cut off")
        return self._out.whole()

    # -- text

    def _plain(self, place: int) -> int:
        match = _PLAIN.match(self._source, place)
        end = match.end() if match else place + 1
        if self._passing:  # stand-ins
            taken = min(self._passing, end - place)
            self._passing -= taken
            return place + taken
        if self._is_silent():
            return end
        if match is None:  # beyond ASCII, written as it is
            character = self._source[place]
            if self._raw:
                self._out.add_bytes(character.encode("latin-1"), self._now.encoding)
            else:
                self._out.add(character)
            return end
        if self._out.waits_for_a_trail_byte:  # \'81A: the trail byte of GBK may be a letter
            self._out.add_bytes(self._source[place].encode("ascii"), self._now.encoding)
            return place + 1
        self._out.add(match[0].replace("\0", ""))
        return end

    # -- control words and symbols

    def _control(self, place: int) -> int:
        text = self._source
        match = _WORD.match(text, place)
        if match is None:
            return self._symbol(place)
        word, number = match[1], int(match[2]) if match[2] else None
        end = match.end()
        if word == "bin":
            return end + max(number or 0, 0)
        if self._passing:
            self._passing -= 1
            return end
        if word == "u":
            self._unicode(number or 0)
        elif word in _SAID:
            self._say(_SAID[word])
        else:
            self._formatting(word, number)
        return end

    def _symbol(self, place: int) -> int:
        symbol = self._source[place + 1 : place + 2]
        if symbol == "'":
            digits = self._source[place + 2 : place + 4]
            if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
                raise Unreadable("an escaped byte without two hexadecimal digits")
            if self._passing:
                self._passing -= 1
            elif not self._is_silent():
                self._out.add_bytes(bytes.fromhex(digits), self._now.encoding)
            return place + 4
        if symbol == "*":
            self._now = self._now._replace(silent=True)
        elif self._passing:
            self._passing -= 1
        elif symbol in _SAID:
            self._say(_SAID[symbol])
        return place + 2

    def _say(self, text: str) -> None:
        if not self._is_silent():
            self._out.add(text)

    def _unicode(self, number: int) -> None:
        if not -0x8000 <= number <= 0xFFFF:
            raise Unreadable("a Unicode escape out of range")
        self._passing = self._now.skip
        self._say(chr(number & 0xFFFF))

    def _formatting(self, word: str, number: int | None) -> None:
        now = self._now
        if word == "fonttbl":
            self._now = now._replace(silent=True, fonts=True)
        elif _SILENT.fullmatch(word):
            self._now = now._replace(silent=True)
        elif word == "ansicpg" and number is not None:
            self._document = self._page(number)
            self._now = now._replace(encoding=self._document)
        elif word == "mac":
            self._document = "mac_roman"
            self._now = now._replace(encoding=self._document)
        elif word == "f" and number is not None:
            self._now = now._replace(font=number, encoding=self._fonts.get(number, self._document))
        elif word == "fcharset" and now.fonts and number is not None and number > 1:  # 0 and 1 say nothing of the text
            self._fonts[now.font] = _CHARSETS.get(number, self._document)
        elif word == "plain":
            self._now = now._replace(encoding=self._document, hidden=False)
        elif word == "uc" and number is not None:
            self._now = now._replace(skip=max(number, 0))
        elif word in ("v", "deleted"):
            self._now = now._replace(hidden=number != 0)

    def _is_silent(self) -> bool:
        return self._now.silent or self._now.hidden

    def _page(self, number: int) -> str:
        name = _PAGES.get(number, f"cp{number}")
        try:
            codecs.lookup(name)
        except LookupError:
            raise Unreadable(f"code page {number} is not known") from None
        return name

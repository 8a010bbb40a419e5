"""Delimiters and escape sequences: what a value of an HL7 v2 message says once it is taken out.

What becomes of each escape sequence (HL7 v2.5.1, 2.7):

    \\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\P\\     the message's own field, component, subcomponent, repetition, escape, truncation character
    \\Xhh…\\                       these bytes, as text of the message's character set (CR and CR LF are a line's end)
    \\.br\\ \\.ce\\ \\.sp\\ \\.spN\\     a line's end (N of them, ten at most)
    \\H\\ \\N\\ \\.fi\\ \\.nf\\ \\.inN\\ \\.tiN\\  emphasis and setting: nothing
    \\C2842\\ \\M2842\\              back to ASCII: nothing
    \\Cxxyy\\ \\Mxxyyzz\\ \\Z…\\        another character set, a local meaning: stands as it is, for nobody here can say what it means
    anything else                a backslash that nobody escaped (a Windows path): stands as it is

A value is never shortened: what is not understood is kept.
"""

import re
from typing import NamedTuple


class Delimiters(NamedTuple):
    """A message's own delimiters. An empty one does not occur: there is nothing to split by it."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""


USUAL = Delimiters()
_LINES = 10  # that one \.spN\ may give
_NAMED = {"F": "field", "S": "component", "T": "subcomponent", "R": "repetition", "E": "escape", "P": "truncation"}
_SETTING = re.compile(r"H|N|\.fi|\.nf|\.in[+-]?\d{0,3}|\.ti[+-]?\d{0,3}|[CM]2842", re.IGNORECASE)
_BREAK = re.compile(r"\.br|\.ce|\.sp\+?(\d{0,3})", re.IGNORECASE)
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


def unescape(text: str, delimiters: Delimiters = USUAL, charset: str = "utf-8") -> str:
    """The text with its escape sequences resolved; `charset` is Python's name of the set that the message came in."""
    mark = delimiters.escape
    if not mark or mark not in text:
        return text
    parts = text.split(mark)
    kept = [parts[0]]
    place, last = 1, len(parts) - 1
    while place <= last:
        # parts[place] stands behind a mark; it is a sequence only if another mark closes it
        meaning = _meaning(parts[place], delimiters, charset) if place < last else None
        if meaning is None:
            kept += [mark, parts[place]]
            place += 1
        else:
            kept += [meaning, parts[place + 1]]
            place += 2
    return "".join(kept)


def _meaning(sequence: str, delimiters: Delimiters, charset: str) -> str | None:
    """What a sequence stands for; None for one that stands as it is."""
    if len(sequence) > 4_096 or not sequence:
        return None
    named = _NAMED.get(sequence)
    if named is not None:
        value: str = getattr(delimiters, named)
        return value or ("#" if sequence == "P" else None)
    if _SETTING.fullmatch(sequence):
        return ""
    if (broken := _BREAK.fullmatch(sequence)) is not None:
        return "\n" * min(int(broken[1] or 1), _LINES)
    if (found := _HEX.fullmatch(sequence)) is not None:
        try:
            return bytes.fromhex(found[1]).decode(charset).replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            return None
    return None


def escape(text: str, delimiters: Delimiters = USUAL) -> str:
    """The text as a value of a message: delimiters, line ends and control characters escaped."""
    table = {getattr(delimiters, name): letter for letter, name in _NAMED.items() if letter not in "EP"}
    mark = delimiters.escape
    if not mark:
        if any(one in text for one in table if one):
            raise ValueError("this message has no escape character, and the value holds a delimiter")
        return text
    made = []
    for character in text.replace("\r\n", "\n").replace("\r", "\n"):
        if character == mark:
            made.append(f"{mark}E{mark}")
        elif character in table:
            made.append(f"{mark}{table[character]}{mark}")
        elif character == "\n":
            made.append(f"{mark}.br{mark}")
        elif character < " ":
            made.append(f"{mark}X{ord(character):02X}{mark}")
        else:
            made.append(character)
    return "".join(made)

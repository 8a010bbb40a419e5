"""XML of a request becomes a tree: its character set told by its bytes, and through the one safe parser."""

import re
from html import escape
from typing import Any

from frontend_agent.er7 import Decoded, decode
from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.xml import parse
from frontend_agent.reading import Unreadable

_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_ENCODING = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODING_OF_TEXT = re.compile(r"""\A(\s*<\?xml[^>]*?)\s+encoding\s*=\s*(?:"[^"]*"|'[^']*')""")
_GB = frozenset(("gb2312", "gbk", "gb18030", "cp936", "x-gbk"))
_UTF_8 = frozenset(("utf-8", "utf8", ""))
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


def text_of(body: bytes, charset: str) -> str | None:
    """The text of an XML body; None where the parser may take the bytes as they are (UTF-8, or UTF-16 by its mark).

    Content-Type's charset and the XML declaration are heard, and not believed: bytes that are UTF-8 in Chinese that somebody wrote
    are UTF-8 whatever they are called, and what is neither UTF-8 nor, where it is so called, GB 18030 is refused.
    """
    declared = _ENCODING.match(body[:200])
    names = [name for name in (charset, declared[1].decode("ascii").lower() if declared else "") if name]
    if body.startswith(_WIDE):
        return None
    if body.isascii() and all(name in _UTF_8 or name in _GB for name in names[-1:]):
        return None
    if body.isascii() or body.startswith(_BOM):
        return _utf_8(body)
    is_gb = any(name in _GB for name in names)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not is_gb:
            raise Unreadable(f"not UTF-8 (byte {error.start}), and nothing says GB 18030") from None
        try:
            return body.decode("gb18030")
        except UnicodeDecodeError as worse:
            raise Unreadable(f"not UTF-8 (byte {error.start}) and not GB 18030 (byte {worse.start})") from None
    if not is_gb:
        return None if all(name in _UTF_8 for name in names) else text
    found = decode(body)  # called GB 18030, and valid as UTF-8
    if not isinstance(found, Decoded):
        raise Unreadable("called GB 18030 and valid as UTF-8: its bytes do not settle which it is")
    return found.text


def _utf_8(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"begins as UTF-8 and is none (byte {error.start})") from None


def xml_of(body: bytes, charset: str, largest: int) -> Any:
    """The root element, or Unreadable. Any DOCTYPE is refused (threats X1, X2)."""
    text = text_of(body, charset)
    if text is not None:
        body = _DECLARATION.sub("", text, count=1).encode()
    if not body.startswith(_WIDE):  # what stands around a document is often a blank, or a NUL of C
        body = body.strip(b"\0 \t\r\n")
    try:
        return parse(body, largest)
    except UnsafeDocument as error:
        raise Unreadable(str(error)) from None


def as_utf_8(text: str) -> bytes:
    """A text that was inside another message, as bytes: what its own XML declaration says of an encoding is over."""
    return _ENCODING_OF_TEXT.sub(r"\1", text, count=1).encode()


def xml_text(text: str) -> str:
    """Any text, for XML: escaped, without what XML 1.0 has no place for."""
    return escape(_NO_XML.sub("?", text))

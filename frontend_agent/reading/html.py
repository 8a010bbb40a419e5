"""HTML to text: what a reader of the page would see, line by line. Not a browser: a scanner that looks at each character
once, so that no nesting and no unclosed tag costs more than its length.

Lost on purpose: scripts, styles, comments, the title. What is not a tag (`白细胞<4`) is text.
"""

import re
from html import unescape

from frontend_agent.reading.errors import Unreadable

_LINE = re.compile(
    "address|article|aside|blockquote|br|d[dlt]|div|fieldset|figcaption|footer|form|h[1-6r]|header|li|main|nav|ol|option|p"
    "|pre|section|summary|table|tbody|tfoot|thead|tr|ul"
)
_CELL = frozenset({"td", "th"})
_SILENT = frozenset({"script", "style", "title", "template"})
_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9:-]*)")
# A tag's end, past quoted attributes. Possessive: nothing is looked at twice.
_END = re.compile(r"""(?:[^"'>]|"[^"]*+"|'[^']*+')*+>""")
_BLANKS = re.compile(r"[ \t\r\n\f\v\u00a0\u3000]+")


def text_of_html(text: str) -> str:
    """The page's text. Unreadable when it ends inside a comment or a script: what is missing cannot be told."""
    pieces: list[str] = []
    text = text.replace(_BREAK, "")
    place, length = 0, len(text)
    while place < length:
        start = text.find("<", place)
        if start < 0:
            pieces.append(unescape(text[place:]))
            break
        pieces.append(unescape(text[place:start]))
        place = _after_markup(text, start, pieces)
    lines = (_BLANKS.sub(" ", line).strip() for line in "".join(pieces).split(_BREAK))
    return "\n".join(line for line in lines if line)


_BREAK = "\x00"


def _after_markup(text: str, start: int, pieces: list[str]) -> int:
    """Read what begins with the `<` at `start`; where to go on."""
    if text.startswith("<!--", start):
        end = text.find("-->", start + 4)
        if end < 0:
            raise Unreadable("the HTML ends inside a comment")
        return end + 3
    name = _NAME.match(text, start + 1)
    if name is None and not text.startswith(("<!", "<?"), start):
        pieces.append("<")
        return start + 1
    end_of_tag = _END.match(text, start + 1)
    end = end_of_tag.end() if end_of_tag else text.find(">", start) + 1  # a quote that nobody closed
    if not end:
        raise Unreadable("the HTML ends inside a tag")
    if name is None:
        return end
    tag = name[1].lower()
    if _LINE.fullmatch(tag):
        pieces.append(_BREAK)
    elif tag in _CELL:
        pieces.append(" ")
    if tag in _SILENT and text[start + 1] != "/" and text[end - 2] != "/":
        closing = re.compile(rf"</{tag}\b[^>]*+>", re.IGNORECASE).search(text, end)
        if closing is None:
            raise Unreadable(f"the HTML ends inside a <{tag}>")
        return closing.end()
    return end

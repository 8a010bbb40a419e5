"""CDA that is not ours, as a page: its own narrative, block by block, with nothing of it that a browser would obey.

Only what is listed here comes through, as elements that are made here; all text is escaped. Links, styles, scripts and
pictures from elsewhere do not come through at all.
"""

import base64
import binascii
from dataclasses import dataclass
from html import escape

from lxml import etree

from frontend_agent.formats.errors import NotOurs
from frontend_agent.formats.xml import CDA, parse

DEEPEST = 60  # levels of a narrative that are shown: beyond that somebody plays games

# CDA narrative block (CDA R2 4.3.5) -> HTML.
_TAGS = {
    "paragraph": "p", "content": "span", "item": "li", "sub": "sub", "sup": "sup", "table": "table", "thead": "thead",
    "tbody": "tbody", "tfoot": "tfoot", "tr": "tr", "th": "th", "td": "td", "footnote": "small", "linkHtml": "span",
    "caption": "strong",
}  # fmt: skip
_STYLES = {"Bold": "strong", "Italics": "em", "Underline": "u"}
_MOST_COLUMNS = 100


@dataclass(frozen=True)
class ForeignSection:
    """One section: its own title, its narrative as HTML made here, and the sections inside it."""

    title: str
    html: str
    sections: tuple["ForeignSection", ...] = ()


@dataclass(frozen=True)
class Content:
    """What a document without an XML body carries."""

    media_type: str
    size: int


@dataclass(frozen=True)
class ForeignPage:
    """A document of somebody else's, ready to be laid out."""

    sections: tuple[ForeignSection, ...]
    content: Content | None = None


def foreign_page(document: bytes) -> ForeignPage:
    """What a person reads in it; NotOurs if it is no CDA, UnsafeDocument if it is no XML."""
    root = parse(document)
    if root.tag != _n("ClinicalDocument"):
        raise NotOurs("not a CDA document")
    body = root.find(f"{_n('component')}/{_n('structuredBody')}")
    if body is None:
        held = content_of(root)
        return ForeignPage((), Content(held[0], len(held[1])) if held else None)
    return ForeignPage(_sections(body, 0))


def content_of(root: etree._Element) -> tuple[str, bytes] | None:
    """Media type and bytes of a document without an XML body."""
    text = root.find(f"{_n('component')}/{_n('nonXMLBody')}/{_n('text')}")
    if text is None:
        return None
    said = (text.get("mediaType") or "text/plain").strip().lower()
    if text.get("representation") != "B64":
        return said, "".join(map(str, text.itertext())).encode()
    try:
        return said, base64.b64decode("".join((text.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _sections(parent: etree._Element, depth: int) -> tuple[ForeignSection, ...]:
    if depth > DEEPEST:
        return ()
    found = []
    for section in parent.findall(f"{_n('component')}/{_n('section')}"):
        title = section.find(_n("title"))
        code = section.find(_n("code"))
        name = " ".join("".join(map(str, title.itertext())).split()) if title is not None else ""
        text = section.find(_n("text"))
        found.append(
            ForeignSection(
                title=name or (code.get("displayName") or "" if code is not None else ""),
                html="".join(_inside(text, 0)) if text is not None else "",
                sections=_sections(section, depth + 1),
            )
        )
    return tuple(found)


def _inside(element: etree._Element, depth: int) -> list[str]:
    parts = [escape(element.text)] if element.text else []
    if depth <= DEEPEST:
        for child in element:
            parts += _block(child, depth + 1)
            if child.tail:
                parts.append(escape(child.tail))
    return parts


def _block(element: etree._Element, depth: int) -> list[str]:
    name = etree.QName(element).localname
    if name == "br":
        return ["<br>"]
    if name == "list":
        tag = "ol" if element.get("listType") == "ordered" else "ul"
    elif name == "content":
        tag = next((_STYLES[word] for word in (element.get("styleCode") or "").split() if word in _STYLES), "span")
    elif name in _TAGS:
        tag = _TAGS[name]
    else:
        return _inside(element, depth)  # what we do not know is shown as its text
    if tag == "strong" and name == "caption" and etree.QName(element.getparent()).localname == "table":
        tag = "caption"
    return [f"<{tag}{_spans(element) if tag in ('td', 'th') else ''}>", *_inside(element, depth), f"</{tag}>"]


def _spans(cell: etree._Element) -> str:
    written = ""
    for name in ("colspan", "rowspan"):
        number = cell.get(name) or ""
        if number.isascii() and number.isdigit() and 1 < int(number) <= _MOST_COLUMNS:
            written += f' {name}="{int(number)}"'
    return written


def _n(tag: str) -> str:
    return f"{{{CDA}}}{tag}"

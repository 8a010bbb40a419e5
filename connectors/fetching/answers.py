"""An answer in, its messages out: what it says of itself (success, failure, nothing new), and where each message stands.

Pure. What an answer says wrong is told by its place and its code, never by its text: a sentence may name a patient.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from lxml import etree

from frontend_agent.errors import ConfigurationError, SourceError
from frontend_agent.formats.xml import LARGEST
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import Path, compile_path, json_tree, json_value, xml_tree, xml_value

ANY = "*"
_DECLARATION = re.compile(r"<\?xml\s[^>]*\?>\s*")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,24}")

Patterns = Mapping[str, Sequence[str]]


class AnswerRefused(SourceError):
    """The source answered that it will not: its failure pattern, a fault, or no sign of success."""


class Row(msgspec.Struct, frozen=True):
    """One message of an answer: its bytes, and what its paths found in it."""

    body: bytes
    watermark: str = ""
    id: str = ""


class Found(msgspec.Struct, frozen=True):
    """What one answer holds. `more` is None where the answer does not say whether another page follows."""

    rows: Sequence[Row]
    cursor: str = ""  # of the next page, or its address
    more: bool | None = None


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """Where things stand in an answer, as the settings of an inlet say."""

    format: str = "json"  # json | xml
    inside: str = ""  # of what carries it, when that is a text
    outer: str = ""  # the format of what carries it, "" for the same
    each: str = ""
    watermark: str = ""
    id: str = ""
    cursor: str = ""
    more: Patterns = {}
    success: Patterns = {}
    failure: Patterns = {}
    empty: Patterns = {}


class Reader:
    """Reads the answers of one inlet. Paths are compiled once; a mistyped one is a ConfigurationError that names its key."""

    def __init__(self, paths: Paths, largest: int) -> None:
        self._paths, self._largest = paths, largest
        self._is_xml = paths.format == "xml"
        outer = paths.outer or paths.format
        self._outer_is_xml = outer == "xml"
        self._inside = _compiled(outer, paths.inside, "inside")
        self._each = _compiled(paths.format, paths.each, "each")
        self._watermark = _compiled(paths.format, paths.watermark, "watermark")
        self._id = _compiled(paths.format, paths.id, "id")
        self._cursor = _compiled(paths.format, paths.cursor, "cursor")
        self._patterns = {
            name: [(_needed(paths.format, path, name), frozenset(texts)) for path, texts in patterns.items()]
            for name, patterns in (
                ("more", paths.more),
                ("success", paths.success),
                ("failure", paths.failure),
                ("empty", paths.empty),
            )
        }

    def found(self, content: bytes) -> Found:
        """The messages of an answer. Unreadable where it cannot be read, AnswerRefused where it says no."""
        body, tree = self._payload(content)
        if self._holds("empty", tree):
            return Found(())
        self._judged(tree)
        if self._each is None:
            rows = [self._row(body, tree)] if body.strip() else []
        else:
            rows = [self._row(self._written(node), node) for node in self._each(tree)]
        return Found(rows, self._text(self._cursor, tree), self._holds("more", tree) if self._paths.more else None)

    def _payload(self, content: bytes) -> tuple[bytes, Any]:
        """The answer proper: itself, or what a text in it holds, plain, escaped, in CDATA or as base64."""
        if self._inside is None:
            return content, self._tree(content)
        places = self._inside(_tree(content, self._outer_is_xml, self._largest))
        if not places:
            raise AnswerRefused("the answer has nothing at `inside`")
        place = places[0]
        if not isinstance(place, str) and len(place if isinstance(place, etree._Element) else ()):
            body = alone(place[0])  # XML, and not a text that holds XML
            return body, self._tree(body)
        text = xml_value(place) if self._outer_is_xml else str(json_value(place))
        body = unwrapped(text, self._is_xml)
        if not body.strip():
            return b"", None
        return body, self._tree(body)

    def _tree(self, content: bytes) -> Any:
        return _tree(content, self._is_xml, self._largest)

    def _judged(self, tree: Any) -> None:
        for path, texts in self._patterns["failure"]:
            if said := self._said(path, texts, tree):
                raise AnswerRefused(f"the answer is a failure{safe_code(said)}")
        if self._patterns["success"] and not self._holds("success", tree):
            values = [value for path, _ in self._patterns["success"] for value in self._values(path, tree)]
            raise AnswerRefused(f"the answer is no success{safe_code(values[0] if values else '')}")

    def _holds(self, name: str, tree: Any) -> bool:
        """Whether one of the patterns of that name is met."""
        return any(self._said(path, texts, tree) for path, texts in self._patterns[name])

    def _said(self, path: Path, texts: frozenset[str], tree: Any) -> str:
        values = self._values(path, tree)
        return next((value or ANY for value in values if value in texts or (ANY in texts and value)), "")

    def _values(self, path: Path, tree: Any) -> list[str]:
        return [] if tree is None else [_plain(node, self._is_xml) for node in path(tree)]

    def _row(self, body: bytes, node: Any) -> Row:
        return Row(body, self._text(self._watermark, node), self._text(self._id, node))

    def _text(self, path: Path | None, node: Any) -> str:
        values = self._values(path, node) if path is not None else []
        return values[0].strip() if values else ""

    def _written(self, node: Any) -> bytes:
        if isinstance(node, str):
            return node.encode()  # a text is the message itself: HL7 v2 or XML in a list of JSON, say
        return alone(node) if self._is_xml else written_json(node).encode()


def unwrapped(text: str, is_xml: bool) -> bytes:
    """What a text carries. base64 of it is opened: neither XML nor JSON is ever written in those letters alone."""
    stripped = text.strip().lstrip("\ufeff")
    begins = ("<",) if is_xml else ("{", "[")
    if not stripped or stripped.startswith(begins):
        # The text was decoded with what carried it: what its own declaration says of bytes is over.
        return _DECLARATION.sub("", stripped, count=1).encode()
    try:
        return base64.b64decode("".join(stripped.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("a text that is neither the answer proper nor base64 of it") from None


def written_json(node: Any) -> str:
    """JSON text of a value as `json_tree` gives it: numbers with the digits that they came with. Unreadable if it is too deep."""
    try:
        return _json(node)
    except RecursionError:
        raise Unreadable("JSON that is nested too deeply") from None


def _json(node: Any) -> str:
    if isinstance(node, dict):
        return "{" + ",".join(f"{_quoted(name)}:{_json(value)}" for name, value in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ",".join(_json(value) for value in node) + "]"
    if isinstance(node, Decimal):
        return str(node)
    return _quoted(node) if isinstance(node, str) else json.dumps(node)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def alone(node: Any) -> bytes:
    """An element by itself, without the namespaces that only what carried it needs: the same message is the same bytes."""
    element = xml_tree(etree.tostring(node, encoding="utf-8", with_tail=False), LARGEST)
    values = [value for one in element.iter(etree.Element) for value in one.attrib.values()]
    said = {value.partition(":")[0] for value in values if ":" in value}
    etree.cleanup_namespaces(element, keep_ns_prefixes=[prefix for prefix in element.nsmap if prefix in said])
    written: bytes = etree.tostring(element, encoding="utf-8")
    return written


def _tree(content: bytes, is_xml: bool, largest: int) -> Any:
    return xml_tree(content, largest) if is_xml else json_tree(content)


def _plain(node: Any, is_xml: bool) -> str:
    if is_xml:
        return xml_value(node)
    if isinstance(node, dict | list):
        return ANY if node else ""  # there is something
    return "" if node is None else str(node).lower() if isinstance(node, bool) else str(node)


def _compiled(form: str, text: str, key: str) -> Path | None:
    return _needed(form, text, key) if text else None


def _needed(form: str, text: str, key: str) -> Callable[[Any], list[Any]]:
    try:
        return compile_path(form, text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{key}: {error}") from None


def safe_code(text: str) -> str:
    """A short code may be told; a sentence may not."""
    return f" (code {text})" if _CODE.fullmatch(text) else ""

"""Requests made of templates: what a private interface wants, by settings. Takes values, returns values.

A placeholder names a value, and what is done to it:

    {record.patient.name}                              a field of the record
    {record.author.time|yyyy-MM-dd HH:mm:ss}           a date or time as that interface writes it; iso, epoch, epoch_ms
    {record.patient.sex|codes:sex}                     a code of theirs instead: [destinations.NAME.codes.sex]
    {document.id} {document.kind} {content|base64}     the document, and its bytes
    {item.code}                                        within "each": "items": a row of that group

A template is JSON, XML or a table of fields. Where a value is absent, what would hold it is left out (law 3): a member, an
element, a field. A text that mixes words and values is left out when one of them is absent. `{record.x!}` must be there: the
document is refused without it. Values are placed in the finished tree, never in its text: none can break out of it.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from lxml import etree

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.xml import parse

EACH = "each"
DOCUMENTS = "documents"  # the group of a batch's documents
_PLACEHOLDER = re.compile(r"\{(?P<name>[A-Za-z_][\w.]*)(?P<must>!?)(?P<steps>(?:\|[^{}|]+)*)\}")
_TOKENS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_TOKEN = re.compile("|".join(_TOKENS))
_STAMPED = re.compile(r"(?:yyyy|MM|dd|HH|mm|ss|[-/.: T年月日时分秒])+")
Codes = Mapping[str, Mapping[str, str]]
Scope = Mapping[str, Any]  # the first part of a name -> a value, a mapping of dotted names, or bytes


class CannotBeSaid(Exception):
    """A value of this document does not fit what the interface wants of it. Names the field, never its value."""


class _Absent(Exception):
    """A value is not there."""


class Step(NamedTuple):
    """What is done to a value: `base64`, `codes` with its table, a format."""

    name: str
    argument: str = ""


class Text:
    """A text with placeholders, compiled."""

    def __init__(self, text: str, zone: ZoneInfo, codes: Codes) -> None:
        self.names: list[str] = []
        self._zone = zone
        self._codes = codes
        self._parts: list[str | tuple[str, bool, tuple[Step, ...]]] = []
        end = 0
        for match in _PLACEHOLDER.finditer(text):
            self._parts.append(text[end : match.start()])
            steps = tuple(_step(step, text, codes) for step in match["steps"].split("|") if step)
            self._parts.append((match["name"], bool(match["must"]), steps))
            self.names.append(match["name"])
            end = match.end()
        self._parts.append(text[end:])
        if "{" in "".join(part for part in self._parts if isinstance(part, str)):
            raise ConfigurationError(
                f"{text!r}: a placeholder is like {{record.patient.name}} or {{document.id|upper}}"
            )

    def fill(self, scope: Scope) -> str | None:
        """The text; None where a value of it is absent."""
        try:
            return "".join(part if isinstance(part, str) else self._value(part, scope) for part in self._parts)
        except _Absent:
            return None

    def _value(self, part: tuple[str, bool, tuple[Step, ...]], scope: Scope) -> str:
        name, must, steps = part
        value = _look_up(name, scope)
        if value is None or value == "":
            if must:
                raise CannotBeSaid(f"{name} is missing, and the interface cannot do without it")
            raise _Absent
        for step in steps:
            value = _APPLY[step.name](value, step.argument, name, self)
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise CannotBeSaid(f"{name} is no UTF-8 text; send it as {{{name}|base64}}") from None
        return str(value)

    # --- steps --------------------------------------------------------------------------------------------------------

    def code(self, value: Any, table: str, name: str) -> str:
        found = self._codes[table].get(str(value))
        if found is None:
            raise CannotBeSaid(f"{name}: its code is not in [codes.{table}] of this destination")
        return found

    def stamp(self, value: Any, pattern: str, name: str) -> str:
        if not isinstance(value, datetime) and len(str(value)) == 8 and _wants_time(pattern):
            raise CannotBeSaid(f"{name} is a day without a time, and the interface wants {pattern}")
        at = _moment(value, self._zone, name)
        if pattern == "epoch":
            return str(int(at.timestamp()))
        if pattern == "epoch_ms":
            return str(int(at.timestamp() * 1000))
        if pattern == "iso":
            return at.isoformat(timespec="seconds")
        return at.strftime(_TOKEN.sub(lambda match: _TOKENS[match[0]], pattern.replace("%", "%%")))


def _wants_time(pattern: str) -> bool:
    return pattern in ("iso", "epoch", "epoch_ms") or "HH" in pattern


def _moment(value: Any, zone: ZoneInfo, name: str) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(zone)
    text = str(value)
    for pattern, length in (("%Y%m%d", 8), ("%Y%m%d%H%M", 12), ("%Y%m%d%H%M%S", 14)):
        if len(text) == length and text.isascii() and text.isdigit():
            try:
                return datetime.strptime(text, pattern).replace(tzinfo=zone)
            except ValueError:
                break
    raise CannotBeSaid(f"{name} is no date or time")


def _hashed(algorithm: str) -> Callable[[Any, str, str, Text], str]:
    return lambda value, *_: hashlib.new(algorithm, _bytes(value)).hexdigest()


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


_APPLY: dict[str, Callable[[Any, str, str, Text], Any]] = {
    "base64": lambda value, *_: base64.b64encode(_bytes(value)).decode(),
    "md5": _hashed("md5"),
    "sha256": _hashed("sha256"),
    "upper": lambda value, *_: str(value).upper(),
    "lower": lambda value, *_: str(value).lower(),
    "codes": lambda value, table, name, text: text.code(value, table, name),
    "stamp": lambda value, pattern, name, text: text.stamp(value, pattern, name),
}


def _step(step: str, text: str, codes: Codes) -> Step:
    name, _, argument = step.partition(":")
    if name == "codes":
        if argument not in codes:
            known = ", ".join(sorted(codes)) or "none"
            raise ConfigurationError(f"{text!r}: there is no table [codes.{argument}] (known: {known})")
        return Step("codes", argument)
    if step in ("iso", "epoch", "epoch_ms") or _STAMPED.fullmatch(step):
        return Step("stamp", step)
    if step not in _APPLY or step == "stamp":
        raise ConfigurationError(
            f"{text!r}: '{step}' is nothing that can be done to a value (base64, md5, sha256, upper, lower, codes:TABLE, iso,"
            " epoch, epoch_ms, yyyy-MM-dd HH:mm:ss)"
        )
    return Step(step)


def _look_up(name: str, scope: Scope) -> Any:
    first, _, rest = name.partition(".")
    value = scope.get(first)
    if not rest:
        return value
    return value.get(rest) if isinstance(value, Mapping) else None


# --- trees ------------------------------------------------------------------------------------------------------------

Rows = Callable[[str, Scope], Sequence[Scope]]  # the rows of a group, each as a scope


class JsonTemplate:
    """A JSON text in which each text may hold placeholders; `{"each": "items", …}` in a list is said once per row."""

    media_type = "application/json; charset=utf-8"

    def __init__(self, source: str, zone: ZoneInfo, codes: Codes, what: str) -> None:
        try:
            tree = json.loads(source)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{what}: not JSON: {error}") from None
        self.names: list[str] = []
        self._tree = self._compiled(tree, zone, codes)

    def _compiled(self, node: Any, zone: ZoneInfo, codes: Codes) -> Any:
        if isinstance(node, dict):
            inner = {key: self._compiled(value, zone, codes) for key, value in node.items() if key != EACH}
            return _Each(str(node[EACH]), inner) if EACH in node else inner
        if isinstance(node, list):
            return [self._compiled(one, zone, codes) for one in node]
        if isinstance(node, str) and "{" in node:
            text = Text(node, zone, codes)
            self.names += text.names
            return text
        return node

    def fill(self, scope: Scope, rows: Rows) -> Any:
        """The tree of one request, as plain values."""
        return _filled(self._tree, scope, rows)

    def write(self, tree: Any) -> bytes:
        return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()


class _Each(NamedTuple):
    group: str
    row: dict[str, Any]


_NOTHING = object()


def _filled(node: Any, scope: Scope, rows: Rows) -> Any:
    if isinstance(node, Text):
        found = node.fill(scope)
        return _NOTHING if found is None else found
    if isinstance(node, _Each):
        raise ConfigurationError('"each" stands in an object of a list')
    if isinstance(node, dict):
        members = {key: _filled(value, scope, rows) for key, value in node.items()}
        return {key: value for key, value in members.items() if value is not _NOTHING}
    if isinstance(node, list):
        return list(_listed(node, scope, rows))
    return node


def _listed(nodes: Sequence[Any], scope: Scope, rows: Rows) -> Iterator[Any]:
    for node in nodes:
        if isinstance(node, _Each):
            yield from (_filled(node.row, row, rows) for row in rows(node.group, scope))
            continue
        found = _filled(node, scope, rows)
        if found is not _NOTHING:
            yield found


class XmlTemplate:
    """XML in which texts and attributes may hold placeholders; an element with `each="items"` is said once per row."""

    media_type = "application/xml; charset=utf-8"

    def __init__(self, source: str, zone: ZoneInfo, codes: Codes, what: str) -> None:
        try:
            self._root = parse(source.encode())
        except UnsafeDocument as error:
            raise ConfigurationError(f"{what}: {error}") from None
        self.names: list[str] = []
        self._texts: dict[str, Text] = {}
        for element in self._root.iter():
            if "{" in (element.tail or ""):
                raise ConfigurationError(f"{what}: a placeholder stands in an element of its own, not between elements")
            for text in (element.text, *element.attrib.values()):
                if isinstance(text, str) and "{" in text and text not in self._texts:
                    self._texts[text] = Text(text, zone, codes)
                    self.names += self._texts[text].names

    def fill(self, scope: Scope, rows: Rows) -> Any:
        """The tree of one request."""
        root = deepcopy(self._root)
        self._fill(root, scope, rows)
        return root

    def write(self, tree: Any) -> bytes:
        written: bytes = etree.tostring(tree, encoding="UTF-8", xml_declaration=True)
        return written

    def _fill(self, element: Any, scope: Scope, rows: Rows) -> bool:
        """Whether the element stays: one whose text is absent goes, unless something stands in it."""
        for name, text in list(element.attrib.items()):
            value = self._said(text, scope)
            if value is None:
                del element.attrib[name]
            else:
                _put(element.set, name, value)
        for child in list(element):
            group = child.attrib.pop(EACH, None)
            if group is None:
                if not self._fill(child, scope, rows):
                    element.remove(child)
                continue
            for row in rows(group, scope):
                copy = deepcopy(child)
                if self._fill(copy, row, rows):
                    child.addprevious(copy)
            element.remove(child)
        asked = element.text in self._texts
        text = self._said(element.text, scope)
        _put(setattr, element, "text", text)
        return not asked or text is not None or len(element) > 0

    def _said(self, text: str | None, scope: Scope) -> str | None:
        compiled = self._texts.get(text) if text else None
        return text if compiled is None else compiled.fill(scope)


def _put(write: Callable[..., object], *arguments: Any) -> None:
    try:
        write(*arguments)
    except ValueError:
        raise CannotBeSaid("a value holds a character that XML cannot carry") from None

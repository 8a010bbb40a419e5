"""Paths into XML and JSON: a small, bounded part of XPath and of JSONPath.

XML     //zs   /emr/body/zd[@lx='main']/bm   //zd[2]/@code   zd[lb='1']/mc   .
JSON    $.chiefComplaint   $.zd[0].bm   $.zd[*]   zd.bm   $['主 诉']   zd[lb='1'].mc   entry[resource.resourceType='Patient']

XML is read without namespaces: a name matches whatever prefix it has. There is no arithmetic and no function, and each step
visits each element once: no path costs more than a few walks over the document (threat X5).
"""

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from lxml import etree

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.xml import parse
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.packing import LARGEST

_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # no text can be made of one that is alone, neither XML nor an answer
MOST = 10_000  # places that one path may find

# A path finds places in a tree, in the tree's order.
Path = Callable[[Any], list[Any]]


# -- XML ------------------------------------------------------------------------------------------------------------

_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_NAME = r"[^\W\d][\w.\-]*"
_STEP = re.compile(
    rf"(?P<axis>//?|)(?:(?P<attribute>@{_NAME})|(?P<text>text\(\))|(?P<name>{_NAME}|\*|\.))(?P<predicates>(?:\[[^\]]*\])*)"
)
_PREDICATE = re.compile(rf"\[(?:(?P<number>[1-9]\d{{0,5}})|(?P<name>@?{_NAME})\s*=\s*(?P<value>'[^']*'|\"[^\"]*\"))\]")


def xml_tree(data: bytes | str, largest: int = LARGEST) -> Any:
    """The root of an XML column, or of another text of at most `largest` bytes.

    What the declaration calls GB2312 or GBK is read as GB18030, which holds both.
    """
    if isinstance(data, bytes):
        declared = _DECLARED.match(data[:200])
        name = declared[1].decode("ascii").lower() if declared else ""
        if name in ("gb2312", "gbk", "gb18030"):
            try:
                data = data.decode("gb18030")
            except UnicodeDecodeError:
                raise Unreadable("bytes that are no text in gb18030, which the XML declares") from None
    if isinstance(data, str):
        try:
            data = _DECLARATION.sub("", data.lstrip("\ufeff"), count=1).strip().encode()
        except UnicodeEncodeError:
            raise Unreadable("half a surrogate pair") from None
    try:
        return parse(data.strip(b"\0 \t\r\n"), largest)
    except UnsafeDocument as error:
        raise Unreadable(str(error)) from None


class _Predicate(NamedTuple):
    name: str  # of a child element, or of an attribute with its @
    value: str
    number: int = 0  # the nth of those left so far


class _Step(NamedTuple):
    anywhere: bool  # `//`: below, however deep
    test: str  # a name, `*`, `.`, `@name` or `text()`
    predicates: tuple[_Predicate, ...] = ()


def xml_path(text: str) -> Path:
    """Compile a path; a mistake is a ConfigurationError without a place."""
    steps = _steps(text)
    from_root = text.startswith("/")

    def found(node: Any) -> list[Any]:
        nodes: list[Any] = [node]
        for number, step in enumerate(steps):
            if number == 0 and from_root:
                nodes = _from_document(node.getroottree().getroot(), step)
            else:
                nodes = _walk(nodes, step)
        return nodes

    return found


def _steps(text: str) -> list[_Step]:
    place = 0
    steps: list[_Step] = []
    while (step := _STEP.match(text, place)) is not None and (step["axis"] or not place):
        predicates = list(_PREDICATE.finditer(step["predicates"]))
        if sum(len(one[0]) for one in predicates) != len(step["predicates"]):
            raise ConfigurationError(f"path '{text}': a predicate is a number, [name='text'] or [@name='text']")
        compiled = tuple(
            _Predicate("", "", int(one["number"])) if one["number"] else _Predicate(one["name"], one["value"][1:-1])
            for one in predicates
        )
        test = step["attribute"] or step["text"] or step["name"]
        if compiled and (test == "." or test.startswith(("@", "text("))):
            raise ConfigurationError(f"path '{text}': a predicate stands behind an element's name")
        if steps and steps[-1].test.startswith(("@", "text(")):
            raise ConfigurationError(f"path '{text}': nothing is below {steps[-1].test}")
        steps.append(_Step(step["axis"] == "//", test, compiled))
        place = step.end()
    if place != len(text) or not steps:
        raise ConfigurationError(
            f"path '{text}': not understood from '{text[place:]}' on (like //zs, /emr/zd[@lx='1']/bm, zd[1]/@code, text())"
        )
    return steps


def _from_document(root: Any, step: _Step) -> list[Any]:
    """The first step of a path that begins at the document: the root element is its only child."""
    at_root = _kept([root], step) if not step.test.startswith(("@", "text(", ".")) else []
    return at_root + _walk([root], step) if step.anywhere else at_root


def _walk(nodes: list[Any], step: _Step) -> list[Any]:
    """One step from all these nodes, which are in the document's order. Each element is visited once at most."""
    if not step.anywhere:
        return [found for node in nodes for found in _below(node, step)]
    found: list[Any] = []
    outermost: list[Any] = []
    for node in nodes:
        if not (outermost and _is_within(node, outermost[-1])):
            outermost.append(node)
            for element in node.iter(etree.Element):
                found += _below(element, step)
    if len(found) < 2 or isinstance(found[0], str):
        return found
    wanted = set(found)  # found parent by parent; the document's order is what a reader expects
    return [element for node in outermost for element in node.iter(etree.Element) if element in wanted]


def _is_within(node: Any, outer: Any) -> bool:
    return any(ancestor is outer for ancestor in node.iterancestors())


def _below(node: Any, step: _Step) -> list[Any]:
    """What one step finds at one node."""
    if step.test == ".":
        return [node]
    if step.test == "text()":
        text = (node.text or "") + "".join(child.tail or "" for child in node)
        return [text] if text.strip() else []
    if step.test.startswith("@"):
        return [value for name, value in node.attrib.items() if _local(name) == step.test[1:]]
    return _kept(list(node), step)


def _kept(elements: list[Any], step: _Step) -> list[Any]:
    kept = [element for element in elements if step.test in ("*", _local(element.tag))]
    for predicate in step.predicates:
        if predicate.number:
            kept = kept[predicate.number - 1 : predicate.number]
        else:
            kept = [element for element in kept if _agrees(element, predicate)]
    return kept


def _agrees(element: Any, predicate: _Predicate) -> bool:
    inner = _below(element, _Step(False, predicate.name))
    return any(xml_value(one) == predicate.value for one in inner)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def xml_value(node: Any) -> str:
    """The text at a place: an attribute's, or an element's with all that is inside it."""
    if isinstance(node, str):
        return str(node)
    return "".join(node.itertext())


# -- JSON -----------------------------------------------------------------------------------------------------------

_KEY = re.compile(
    r"(?:^|\.)(?P<name>[^.\[\]'\"]+)"
    r"|\[(?:'(?P<quoted>[^']*)'|(?P<number>\d{1,6})|(?P<all>\*)|(?P<where>[^\[\]'\"=]+)='(?P<text>[^']*)')\]"
)


class _Where(NamedTuple):
    """Those of a list in which a member, or a member of a member, has this text."""

    names: tuple[str, ...]
    text: str


def json_tree(data: bytes | str) -> Any:
    """The value of a JSON column. Line breaks within texts are read as they are: EMR editors write them so."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.lstrip("\ufeff")
    except UnicodeDecodeError:
        raise Unreadable("JSON that is not UTF-8: put its code page before it (gb18030 | json)") from None
    try:
        found = json.loads(
            text.strip("\0 \t\r\n"),
            strict=False,
            parse_float=Decimal,
            parse_constant=_no_number,
            object_pairs_hook=_no_name_twice,
        )
        if _HALF.search(text):
            json.dumps(found, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise Unreadable("JSON with half a character (a surrogate without its other half)") from None
    except (ValueError, RecursionError):
        raise Unreadable("not JSON") from None
    return found


def _no_number(text: str) -> Any:
    raise Unreadable(f"JSON has no number {text}")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a JSON object that says one name twice")
    return found


def json_path(text: str) -> Path:
    """Compile a path; a mistake is a ConfigurationError without a place."""
    rest = text.removeprefix("$").removeprefix(".") if text.startswith(("$.", "$[")) else text
    keys: list[str | int | _Where | None] = []
    place = 0
    if rest.startswith("."):
        raise ConfigurationError(f"path '{text}': '..' is not understood; name the members on the way")
    if rest != "$":
        while place < len(rest):
            match = _KEY.match(rest, place)
            if match is None:
                raise ConfigurationError(
                    f"path '{text}': not understood from '{rest[place:]}' on (like $.chiefComplaint, $.zd[0].bm, $.zd[*])"
                )
            keys.append(_json_key(match))
            place = match.end()

    def found(node: Any) -> list[Any]:
        nodes = [node]
        for key in keys:
            nodes = [inner for outer in nodes for inner in _members(outer, key)]
            if len(nodes) > MOST:
                raise Unreadable(f"a path finds more than {MOST} places")
        return nodes

    return found


def _json_key(match: re.Match[str]) -> str | int | _Where | None:
    if match["where"] is not None:
        return _Where(tuple(name.strip() for name in match["where"].split(".")), match["text"])
    named = match["name"] if match["name"] is not None else match["quoted"]
    return named if named is not None else int(match["number"]) if match["number"] else None


def _has(node: Any, names: Sequence[str], text: str) -> bool:
    """Whether the text is found below; a list on the way stands for each of its elements."""
    if isinstance(node, list):
        return any(_has(one, names, text) for one in node)
    if names:
        return isinstance(node, dict) and names[0] in node and _has(node[names[0]], names[1:], text)
    return not isinstance(node, dict) and (str(node).lower() if isinstance(node, bool) else str(node)) == text


def _members(node: Any, key: str | int | _Where | None) -> list[Any]:
    if isinstance(key, str):
        return [node[key]] if isinstance(node, dict) and key in node else []
    if not isinstance(node, list):
        return []
    if key is None:
        return node
    if isinstance(key, _Where):
        return [one for one in node if _has(one, key.names, key.text)]
    return [node[key]] if key < len(node) else []


def json_value(node: Any) -> Any:
    """A plain value as it is; a list or an object is none."""
    if isinstance(node, dict | list):
        raise Unreadable("the path leads to a list or an object, not to a value")
    return node


# -- either ---------------------------------------------------------------------------------------------------------


def compile_path(reader: str, text: str) -> Path:
    """A path into what that reader gives (`xml` or `json`), found at most MOST times."""
    found = xml_path(text) if reader == "xml" else json_path(text)

    def bounded(node: Any) -> list[Any]:
        nodes = found(node)
        if len(nodes) > MOST:
            raise Unreadable(f"a path finds more than {MOST} places")
        return nodes

    return bounded

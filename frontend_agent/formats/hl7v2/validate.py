"""Messages held against HL7's own structures, or against a region's message profile, by hl7apy.

hl7apy keeps profiles as pickles, which run what is in them: a region's profile is read from its XML here instead, by our own
safe parser, into the form that hl7apy wants.
"""

import re
from functools import cache
from typing import Any

from hl7apy import load_reference
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message
from lxml import etree

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.errors import UnsafeDocument
from frontend_agent.formats.hl7v2.build import CHARACTER_SETS, VERSION, Message
from frontend_agent.formats.xml import parse

# Optional groups that we never write, and that hl7apy takes a later mandatory one for, as both begin with the same segment.
UNUSED = frozenset({"RDE_O11_TIMING"})

Profile = dict[str, Any]  # message structure -> hl7apy's reference


def validate(message: Message, profile: Profile | None = None, character_set: str = "UNICODE UTF-8") -> str:
    """What stands against the message first, in hl7apy's words without any value; empty if nothing does."""
    text = message.content.decode(CHARACTER_SETS[character_set])
    structure = profile or _structure_of(message.structure)
    try:
        parsed = parse_message(
            text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True, message_profile=structure
        )
        parsed.validate()
    except HL7apyException as error:
        return _without_values(str(error) or type(error).__name__)
    return ""


@cache
def _structure_of(name: str) -> Profile | None:
    """hl7apy's own structure, with its choices mended: it holds every alternative of one for mandatory (ORM_O01). None: as it is."""
    kind, children = load_reference(name, "Message", VERSION)
    mended = _mended((kind, children))
    return {name: mended} if mended != (kind, children) else None


def _mended(reference: tuple[Any, ...]) -> tuple[Any, ...]:
    kind, children = reference[0], reference[1]
    if kind not in ("sequence", "choice") or not children:
        return reference
    written = tuple(
        (
            child[0],
            _mended(child[1]) if child[3] == "GRP" else child[1],
            (0, child[2][1]) if kind == "choice" else child[2],
            *child[3:],
        )
        for child in children
        if child[0] not in UNUSED
    )
    return kind, written, *reference[2:]


def _without_values(said: str) -> str:
    """hl7apy quotes the value it dislikes; a finding may be logged, so the value goes (law 9)."""
    return re.sub(r"(?i)(value) \S+", r"\1", said.splitlines()[0])


def profile_of(xml: bytes, name: str) -> Profile:
    """A region's HL7 message profile (HL7v2xConformanceProfile, as the message workbench writes it)."""
    try:
        root = parse(xml)
    except UnsafeDocument as error:
        raise ConfigurationError(f"{name}: {error}") from None
    static = next((one for one in root.iter() if _tag(one) == "HL7v2xStaticDef"), None)
    if static is None or not static.get("MsgStructID"):
        raise ConfigurationError(f"{name}: no HL7 message profile (it has no HL7v2xStaticDef with a MsgStructID)")
    structure = static.get("MsgStructID") or ""
    return {structure: ("sequence", _structure(static, structure, name))}


def _structure(parent: etree._Element, structure: str, name: str) -> tuple[Any, ...]:
    children: list[Any] = []
    for child in parent:
        if _tag(child) == "Segment":
            children.append((child.get("Name"), ("sequence", _segment(child, name)), _cardinality(child, name), "SEG"))
        elif _tag(child) == "SegGroup":
            group = f"{structure}_{child.get('Name')}"
            children.append((group, ("sequence", _structure(child, structure, name)), _cardinality(child, name), "GRP"))
    return tuple(children)


def _segment(segment: etree._Element, name: str) -> tuple[Any, ...]:
    fields = [child for child in segment if _tag(child) == "Field"]
    return tuple(
        (f"{segment.get('Name')}_{number}", _datatype(field, name), _cardinality(field, name), "FIE")
        for number, field in enumerate(fields, 1)
    )


def _datatype(element: etree._Element, name: str) -> tuple[Any, ...]:
    datatype = element.get("Datatype") or ""
    components = tuple(
        (f"{datatype}_{number}", _datatype(child, name), (1, 1) if child.get("Usage") == "R" else (0, 1), "CMP")
        for number, child in enumerate((c for c in element if _tag(c) in ("Component", "SubComponent")), 1)
    )
    return (
        "sequence" if components else "leaf",
        components or None,
        "varies" if datatype.upper() == "VARIES" else datatype.upper(),
        re.sub(r"\W+", "_", (element.get("Name") or "").strip().upper()).strip("_"),
        f"HL7{element.get('Table')}" if element.get("Table") else None,
        _number(element.get("Length") or "0", name),
    )


def _cardinality(element: etree._Element, name: str) -> tuple[int, int]:
    if element.get("Usage") == "X":
        return 0, 0
    most = element.get("Max") or "*"
    least = 1 if element.get("Usage") == "R" else _number(element.get("Min") or "0", name)
    return least, -1 if most == "*" else _number(most, name)


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"{name}: {text!r} stands where a number must")
    return int(text)


def _tag(element: etree._Element) -> str:
    return etree.QName(element).localname

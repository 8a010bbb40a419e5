"""The one place where XML from outside becomes a tree (threat X1–X3).

No entities, no DTD, no network, no huge trees, and no DOCTYPE at all: a CDA document has none.
"""

from typing import Any

from lxml import etree

from frontend_agent.formats.errors import UnsafeDocument

CDA = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
LARGEST = 64 * 1024 * 1024  # bytes; what a parcel may hold at most


def parser(*, keep_comments: bool = False, keep_instructions: bool = False) -> etree.XMLParser:
    """A fresh parser with every door shut. Parsers are not shared between threads."""
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=not keep_comments,
        remove_pis=not keep_instructions,
    )


def parse(document: bytes, largest: int = LARGEST) -> etree._Element:
    """The root element of a document from outside, or UnsafeDocument."""
    return _parsed(document, largest, parser())


def parse_with_instructions(document: bytes, largest: int = LARGEST) -> etree._ElementTree:
    """The tree with its processing instructions, as signatures cover them; comments are gone here, too."""
    return _parsed(document, largest, parser(keep_instructions=True)).getroottree()


def _parsed(document: bytes, largest: int, with_parser: etree.XMLParser) -> etree._Element:
    if len(document) > largest:
        raise UnsafeDocument(f"{len(document)} bytes are more than the {largest} a document may have")
    try:
        root = etree.fromstring(document, with_parser)
    except etree.XMLSyntaxError as error:
        # libxml2's sentence may quote the document: only its place is told.
        line, column = error.position
        raise UnsafeDocument(f"not well-formed XML at line {line}, column {column}") from None
    docinfo: Any = root.getroottree().docinfo  # the stubs do not know its doctype
    if docinfo.doctype:
        raise UnsafeDocument("the document brings a DOCTYPE")
    return root

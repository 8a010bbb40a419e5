"""XML from outside against us (threats X1–X4), at every place of the program that turns bytes into a tree.

The listeners are asked the same over their sockets: test_soap_inlet.py, test_webhook_inlets.py, test_soap_poll.py (WSDL).
"""

import io
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from connectors.dicomweb.answers import AnswerUnreadable, read_data_sets
from connectors.folders.unpacking import FileRefused, Limits, unpack
from connectors.outlets.http import Answer
from connectors.web.texts import xml_of
from frontend_agent.dialects.ebxml import Unreadable as UnreadableAnswer
from frontend_agent.dialects.ebxml import read_answer
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.errors import FormatError, UnsafeDocument
from frontend_agent.formats.foreign import examine
from frontend_agent.formats.hl7v2.validate import profile_of
from frontend_agent.formats.library import load_kind
from frontend_agent.formats.xml import LARGEST, parse
from frontend_agent.messages.formats import MessageUnreadable, Options, format_of
from frontend_agent.reading import Unreadable
from frontend_agent.reading.trees import xml_tree
from frontend_agent.terms.sheets import read_lines, to_xlsx
from tests.soap_kit import hostile

CANARY = "canary-7f3a9c"


class Listener:
    """A server that nobody should ever connect to."""

    def __enter__(self) -> "Listener":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/x"
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def was_asked(self) -> bool:
        try:
            self._socket.accept()[0].close()
        except TimeoutError:
            return False
        return True


def refused_by_examining(body: bytes) -> str:
    return " ".join(examine(body).reasons)


def workbook(body: bytes) -> bytes:
    """A workbook in which this stands where its sheet and its texts should."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(to_xlsx([["a", "b"]], {}))) as good, zipfile.ZipFile(packed, "w") as bad:
        for name in good.namelist():
            is_content = name.startswith("xl/worksheets/sheet") or name == "xl/sharedStrings.xml"
            bad.writestr(name, body if is_content else good.read(name))
    return packed.getvalue()


def in_a_sheet_of_codes(body: bytes) -> str:
    lines, problems = read_lines(workbook(body), is_csv=False)
    assert not lines
    return " ".join(str(problem.text) for problem in problems)


ENTRIES: dict[str, Callable[[bytes], object]] = {
    "the factory": parse,
    "a document from outside": refused_by_examining,
    "a document of ours": lambda body: load_kind("C0007").reader(body),
    "a message of XML": format_of("xml", Options()).read,
    "a value that is XML": xml_tree,
    "a workbook as a message": lambda body: format_of("xlsx", Options()).read(workbook(body)),
    "a workbook of codes": in_a_sheet_of_codes,
    "a profile of HL7": lambda body: profile_of(body, "a.xml"),
    "a registry's answer": read_answer,
    "an answer of DICOMweb": lambda body: read_data_sets(Answer(200, {"content-type": "application/dicom+xml"}, body)),
    "a file": lambda body: unpack("a.xml", body, "xml", Limits(largest=1 << 20, entries=10, unpacked=1 << 20)),
    "the body of a request": lambda body: xml_of(body, "", 1 << 20),
}
REFUSALS = (
    FormatError, Unreadable, UnreadableAnswer, MessageUnreadable, ConfigurationError, AnswerUnreadable, FileRefused,
)  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_forty_payloads_read_nothing_and_ask_nobody(entry: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(CANARY)
    said = []
    with Listener() as listener:
        for payload in hostile(listener.url):
            body = payload.replace("file:///etc/passwd", secret.as_uri()).encode()
            try:
                said.append(str(ENTRIES[entry](body)))
            except REFUSALS as refusal:
                said.append(str(refusal))
        assert not listener.was_asked()
    assert len(said) == 40
    assert CANARY not in " ".join(said)
    assert max(map(len, said)) < 2_000  # nothing has grown


def bomb(depth: int, width: int) -> str:
    """Entities within entities: width to the power of depth."""
    entities = [f'<!ENTITY e0 "{"x" * 100}">']
    entities += [f'<!ENTITY e{n} "{f"&e{n - 1};" * width}">' for n in range(1, depth)]
    return f"<!DOCTYPE r [{''.join(entities)}]><r>&e{depth - 1};</r>"


BOMBS = [
    *(bomb(depth, width) for depth, width in ((10, 10), (6, 40), (3, 1000), (2, 100_000), (30, 2))),
    f'<!DOCTYPE r [<!ENTITY a "{"A" * 1_000_000}">]><r>{"&a;" * 10_000}</r>',  # quadratic
    f'<!DOCTYPE r [<!ENTITY a "{"A" * 100_000}">]><r b="{"&a;" * 10_000}"/>',
    '<!DOCTYPE r [<!ENTITY % a "<!ENTITY b \'x\'>"> ' + "%a;" * 100_000 + "]><r>&b;</r>",
    "<r>" * 1_000_000,
    "<r " + " ".join(f'a{n}=""' for n in range(1_000_000)) + "/>",
    "<r>" + "A" * 40_000_000 + "</r>",  # one text: more than libxml2 lets a node have
    "<r>" + "<!---->" * 5_000_000 + "</r>",
]  # fmt: skip

MEASURE = """
import sys
from frontend_agent.formats.xml import parse
from frontend_agent.formats.errors import FormatError, UnsafeDocument
body = sys.stdin.buffer.read()
from tests.memory import forget_peak, peak
before = forget_peak()
try:
    parse(body)
    print("parsed", end=" ")
except UnsafeDocument:
    print("refused", end=" ")
print((peak() - before) >> 10)
"""


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_a_bomb_costs_no_more_than_64_mb_or_what_an_honest_document_of_its_size_does(number: int) -> None:
    """Its own bytes were bounded by whoever took it (`largest`); a tree takes about ten times its text, a bomb's or not."""
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE], input=BOMBS[number].encode(), capture_output=True, check=True, timeout=60
    )
    outcome, kilobytes = measured.stdout.split()
    assert int(kilobytes) <= max(64 * 1024, 10 * len(BOMBS[number]) // 1024)
    assert outcome == b"refused" or BOMBS[number].startswith("<r><!--")


@pytest.mark.parametrize(("more", "refused"), [(-1, False), (0, False), (1, True)])
def test_the_cap_of_bytes_is_exact(more: int, refused: bool) -> None:
    largest = 10_000
    body = b"<r>" + b"x" * (largest - 7 + more) + b"</r>"
    assert len(body) == largest + more
    if refused:
        with pytest.raises(UnsafeDocument, match=r"10001 bytes are more than the 10000"):
            parse(body, largest)
    else:
        parse(body, largest)


@pytest.mark.parametrize(("depth", "refused"), [(255, False), (256, False), (257, True)])
def test_the_cap_of_depth_is_exact(depth: int, refused: bool) -> None:
    body = b"<r>" * depth + b"</r>" * depth
    if refused:
        with pytest.raises(UnsafeDocument):
            parse(body)
    else:
        parse(body)


def test_a_document_with_a_long_text_is_refused_at_ten_million_characters_and_said_so() -> None:
    """A PDF of more than 7 MB in one element (base64): decided on purpose, libxml2's own limit of a text node stays."""
    parse(b"<r>" + b"A" * 9_999_000 + b"</r>")
    with pytest.raises(UnsafeDocument, match="not well-formed"):
        parse(b"<r>" + b"A" * 10_000_001 + b"</r>")
    assert LARGEST > 10_000_001


# --- X4: no stylesheet, no inclusion, from anybody --------------------------------------------------------------------


def test_what_asks_for_an_inclusion_or_a_stylesheet_is_data(tmp_path: Path) -> None:
    secret, written = tmp_path / "secret.txt", tmp_path / "written.txt"
    secret.write_text(CANARY)
    bodies = [
        f'<r xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include parse="text" href="{secret.as_uri()}"/></r>',
        f'<?xml-stylesheet type="text/xsl" href="{secret.as_uri()}"?><r/>',
        '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" '
        'xmlns:exsl="http://exslt.org/common" extension-element-prefixes="exsl"><xsl:template match="/">'
        f'<exsl:document href="{written.as_uri()}">x</exsl:document></xsl:template></xsl:stylesheet>',
    ]
    with Listener() as listener:
        for entry in ENTRIES.values():
            for body in bodies:
                said = ""
                with suppress(*REFUSALS):
                    said = str(entry(body.encode()))
                assert CANARY not in said
        assert not listener.was_asked()
    assert not written.exists()

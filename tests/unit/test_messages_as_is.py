"""A finished document that comes as a message passes as one from a database does: its bytes are never touched."""

import base64
from datetime import date

import msgspec
import pytest

from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.feeds import compile_feed
from frontend_agent.formats import load_kind
from frontend_agent.mapping_file import parse_mapping
from frontend_agent.messages import compile_message
from frontend_agent.model import Severity
from frontend_agent.passing import DOCUMENT, compile_passing
from tests.integration.test_foreign_documents import _first

WHOLE = """
kind = "C0007"
key = "no"
document = "content"
[message]
format = "xml"
[message.fields]
"no" = "id/@extension"
"""
INSIDE = """
kind = "C0007"
key = "no"
document = "content"
[message]
format = "json"
each = "$.docs[*]"
[message.fields]
"no" = "id"
"content" = "cda"
"""


def mapping(text: str):
    return parse_mapping("as_is", "as_is.toml", "", lambda path: text, lambda path: "")


def test_the_message_itself_is_the_document() -> None:
    content = b"\xef\xbb\xbf" + _first()
    one = mapping(WHOLE)
    rows = compile_message(one.message, one.key)(content).rows
    assert rows.parent.columns == ("no", "content")
    assert rows.parent.rows[0][1] == content


def test_a_text_within_a_message_is_the_document() -> None:
    one = mapping(INSIDE)
    body = msgspec.json.encode({"docs": [{"id": "1", "cda": _first().decode()}, {"id": "2", "cda": "<x/>"}]})
    rows = compile_message(one.message, one.key)(body).rows
    assert [row[0] for row in rows.parent.rows] == ["1", "2"]
    assert rows.parent.rows[0][1].encode() == _first().strip()


def test_it_is_read_checked_and_kept_as_it_came(tmp_path) -> None:
    (tmp_path / "as_is.toml").write_text(WHOLE)
    config = parse_config(
        """
        [institution]
        id = "12345678-9"
        name = "x"
        [inlets.cdr]
        type = "folder"
        path = "in"
        [destinations.platform]
        url = "http://127.0.0.1:1"
        [[feeds]]
        name = "finished"
        source = "cdr"
        mapping = "as_is.toml"
        """,
        folder=tmp_path,
    )
    feed = compile_feed(config, config.feed("finished"), lambda: date(2026, 11, 21))
    rows = compile_message(feed.mapping.message, feed.mapping.key)(_first()).rows
    (record,) = feed.plan.normalise(rows)
    assert base64.b64decode(record.record[DOCUMENT]) == _first()
    assert record.record["patient.name"] == "张小满"
    assert record.findings == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('format = "xml"', 'format = "xml"\neach = "//a"'), "is one record"),
        (
            (
                "[message.fields]",
                '[message.details.items]\neach = "a"\n[message.details.items.fields]\n"x" = "y"\n[message.fields]',
            ),
            "no detail",
        ),
        (('"no" =', '"other" ='), "says nothing of"),
    ],
)
def test_mistakes_are_told(change: tuple[str, str], problem: str, tmp_path) -> None:
    with pytest.raises(ConfigurationError) as told:
        compile_passing(mapping(WHOLE.replace(*change)), load_kind("C0007"), "1", lambda rule: Severity.HOLD)
    assert problem in str(told.value)

"""The journal gets our fields as fields, and nothing that the line does not say."""

import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend_agent.logs import Event, _Journal, event, is_journal, journal_entry, log, message_id


def parsed(entry: bytes) -> dict[str, str]:
    """As systemd-journald reads it."""
    fields: dict[str, str] = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        fields[key.decode()], entry = value.decode(), rest
    return fields


def test_an_event_is_told_by_its_fields() -> None:
    line = event("delivery.settled", destination="platform", documents=100, seconds=0.0411, problem="")
    assert str(line) == "delivery.settled destination=platform documents=100 seconds=0.041"
    assert parsed(journal_entry(line, logging.WARNING, "frontend-agent")) == {
        "MESSAGE": line, "PRIORITY": "4", "SYSLOG_IDENTIFIER": "frontend-agent", "EVENT": "delivery.settled",
        "MESSAGE_ID": message_id("delivery.settled"), "DESTINATION": "platform", "DOCUMENTS": "100", "SECONDS": "0.041",
    }  # fmt: skip


def test_the_number_of_an_event_never_changes() -> None:
    assert message_id("daemon.ready") == "3b6bbeb95ab41d2901149f83d7b64d47"
    assert len({message_id(name) for name in ("daemon.ready", "daemon.stopped", "feed.run")}) == 3


@pytest.mark.parametrize("value", ["two\nlines", "a=b", '"', "", "名", "x" * 5000])
def test_any_value_arrives_as_it_is(value: str) -> None:
    told = parsed(journal_entry(event("feed.run", problem=value), logging.INFO, "x"))
    assert told.get("PROBLEM", "") == value


def test_our_fields_do_not_stand_for_the_journals_own() -> None:
    told = parsed(journal_entry(event("x.y", message="m", priority=9, unit="u", _pid=1, event="e"), logging.INFO, "x"))
    assert told["PRIORITY"] == "6"
    assert told["EVENT"] == "x.y"
    assert (told["FIELD_MESSAGE"], told["FIELD_PRIORITY"], told["FIELD_UNIT"], told["FIELD_EVENT"]) == (
        "m",
        "9",
        "u",
        "e",
    )
    assert not any(name.startswith("_") for name in told)


def test_a_line_of_others_has_no_event() -> None:
    assert set(parsed(journal_entry("parcel.stored", logging.DEBUG, "x"))) == {
        "MESSAGE",
        "PRIORITY",
        "SYSLOG_IDENTIFIER",
    }


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        address = str(tmp_path / "journal")
        listening.bind(address)
        listening.settimeout(5)
        yield listening, address


def test_what_is_logged_reaches_the_journal_and_else_standard_error(journal: tuple[socket.socket, str]) -> None:
    listening, address = journal
    said: list[str] = []

    class Plainly(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = _Journal("frontend-agent", Plainly(), address)
    log.addHandler(handler)
    log.setLevel("INFO")
    log.warning(event("clock.jumped", seconds=3600.0))
    assert parsed(listening.recv(65536))["SECONDS"] == "3600.000"
    assert not said
    listening.close()
    log.warning(event("clock.jumped", seconds=1.0))
    assert said == ["clock.jumped seconds=1.000"]
    log.removeHandler(handler)
    handler.close()


def test_the_journal_is_known_by_its_device_and_inode(tmp_path: Path) -> None:
    file = (tmp_path / "stream").open("w")
    at = os.fstat(file.fileno())
    assert is_journal(f"{at.st_dev}:{at.st_ino}", file.fileno())
    assert not is_journal(f"{at.st_dev}:{at.st_ino + 1}", file.fileno())
    assert not is_journal("", 999_999)


def test_an_event_stays_an_event_only_as_it_was_made() -> None:
    assert isinstance(event("a.b"), Event)
    assert not isinstance(event("a.b") + " ", Event)

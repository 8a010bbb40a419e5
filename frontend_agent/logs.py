"""The program's own log: past facts with identifiers, never contents (law 9).

    delivery.settled destination=platform documents=100 seconds=0.041

Only our own loggers are written. What libraries log may quote values, so it goes nowhere; an unexpected error is written
by type and place, without its text.
"""

import faulthandler
import hashlib
import logging
import os
import secrets
import socket
import struct
import sys
import threading
import traceback
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

FILE = "agent.log"
ROOT = "frontend_agent"

log = logging.getLogger(ROOT)


class Event(str):
    """A line that still knows what it was made of: what takes fields (the journal) gets them as such."""

    name: str
    fields: dict[str, str]


def event(name: str, **fields: object) -> str:
    """One line: the event's name, then key=value. A value with a space or a quote in it is quoted."""
    told = {key: _text(value) for key, value in fields.items() if value not in (None, "")}
    line = Event(" ".join([name, *(f"{key}={_quoted(text)}" for key, text in told.items())]))
    line.name, line.fields = name, told
    return line


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    if any(character.isspace() or character in '"=' or not character.isprintable() for character in text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else " " for c in escaped) + '"'
    return text


def failed(name: str, error: BaseException) -> str:
    """Log an error nobody raised on purpose, by type and place; returns what an operator is told: type and reference."""
    reference = secrets.token_hex(4)
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in reversed(frames))
    log.error(event(name, error=type(error).__name__, reference=reference, at=places))
    return f"{type(error).__name__} (reference {reference})"


def threads() -> None:
    """A thread that ends by an error nobody expected says so like everything else: Python's own way prints the error's text.

    A process that is ended from outside because it hangs (SIGABRT of systemd's watchdog) tells where each thread was: files and
    lines, no values.
    """
    with suppress(AttributeError, OSError, ValueError):  # no standard error that it could be told to
        faulthandler.enable(all_threads=True)

    def ended(how: threading.ExceptHookArgs) -> None:
        if how.exc_value is not None and not isinstance(how.exc_value, SystemExit):
            failed("thread.ended", how.exc_value)

    threading.excepthook = ended


class _Stderr(logging.StreamHandler[TextIO]):
    """Standard error as it is when a line is written."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, ignored: TextIO) -> None:
        pass


# -- The journal ------------------------------------------------------------------------------------------------------

JOURNAL = "/run/systemd/journal/socket"
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))  # syslog(3)
# Fields that mean something to the journal: one of ours of such a name is told as FIELD_…
_RESERVED = frozenset(
    {"MESSAGE", "MESSAGE_ID", "PRIORITY", "EVENT", "CODE_FILE", "CODE_LINE", "CODE_FUNC", "ERRNO", "INVOCATION_ID", "TID", "UNIT",
     "DOCUMENTATION", "SYSLOG_IDENTIFIER", "SYSLOG_FACILITY", "SYSLOG_PID", "SYSLOG_TIMESTAMP", "SYSLOG_RAW"}
)  # fmt: skip


def message_id(name: str) -> str:
    """What `journalctl MESSAGE_ID=` finds an event by: 32 hexadecimal digits, the same for ever."""
    return hashlib.sha256(b"frontend-agent " + name.encode()).hexdigest()[:32]


def journal_entry(message: str, level: int, identifier: str) -> bytes:
    """One entry as the journal takes it (systemd.io/JOURNAL_NATIVE_PROTOCOL): fields, a longer one with its length."""
    priority = next((number for least, number in _PRIORITIES if level >= least), 7)
    fields = {"MESSAGE": str(message), "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": identifier}
    if isinstance(message, Event):
        fields |= {"MESSAGE_ID": message_id(message.name), "EVENT": message.name}
        fields |= {_field(key): text for key, text in message.fields.items()}
    return b"".join(_encoded(key, text) for key, text in fields.items())


def _field(key: str) -> str:
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in key.upper()).strip("_")[:50]
    return f"FIELD_{name}" if name in _RESERVED or not name[:1].isalpha() else name


def _encoded(key: str, text: str) -> bytes:
    value = text.encode("utf-8", "replace")
    if b"\n" in value:
        return key.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return key.encode() + b"=" + value + b"\n"


def is_journal(given: str, descriptor: int) -> bool:
    """Whether that descriptor is the journal's, as $JOURNAL_STREAM says (systemd.exec(5)): device:inode."""
    try:
        is_at = os.fstat(descriptor)
    except OSError:
        return False
    return given == f"{is_at.st_dev}:{is_at.st_ino}"


class _Journal(logging.Handler):
    """Entries with fields of their own; where the journal does not take one, a plain line."""

    def __init__(self, identifier: str, plainly: logging.Handler, address: str = JOURNAL) -> None:
        super().__init__()
        self._identifier, self._plainly, self._address = identifier, plainly, address
        self._socket: socket.socket
        if sys.platform == "win32":
            raise OSError("there is no journal on this system")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def emit(self, record: logging.LogRecord) -> None:
        message = record.msg if isinstance(record.msg, Event) and not record.args else record.getMessage()
        try:
            self._socket.sendto(journal_entry(message, record.levelno, self._identifier), self._address)
        except OSError:
            self._plainly.handle(record)

    def close(self) -> None:
        self._socket.close()
        super().close()


def to_stderr(level: str = "info", identifier: str = "frontend-agent") -> None:
    """Log to the terminal or, under systemd, to the journal, which stamps each line itself and keeps our fields."""
    if any(isinstance(handler, _Stderr | _Journal) for handler in log.handlers):
        return
    plainly = _Stderr()
    stream = os.environ.get("JOURNAL_STREAM", "")
    if stream and is_journal(stream, 2):
        plainly.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        _add(_Journal(identifier, plainly), "%(message)s", level)
        return
    stamp = "" if stream else "%(asctime)s "
    _add(plainly, stamp + "%(levelname)s %(message)s", level)


class _Private(RotatingFileHandler):
    """A log file that is its owner's alone, also after it was turned over."""

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        return TextIOWrapper(os.fdopen(handle, "ab"), encoding="utf-8")


def to_file(state: Path, level: str = "info", size: int = 10 << 20, keep: int = 5) -> RotatingFileHandler:
    """Log to the state directory as well; the file is the service's own, like everything there."""
    handler = _Private(state / FILE, maxBytes=size, backupCount=keep, encoding="utf-8", delay=True)
    _add(handler, "%(asctime)s %(levelname)s %(message)s", level)
    return handler


def _add(handler: logging.Handler, pattern: str, level: str) -> None:
    handler.setFormatter(logging.Formatter(pattern, "%Y-%m-%dT%H:%M:%S%z"))
    log.addHandler(handler)
    log.setLevel(level.upper())
    log.propagate = False
    logging.captureWarnings(True)
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())

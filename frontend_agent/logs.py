"""The program's own log: past facts with identifiers, never contents (law 9).

    delivery.settled destination=platform documents=100 seconds=0.041

Only our own loggers are written. What libraries log may quote values, so it goes nowhere; an unexpected error is written
by type and place, without its text.
"""

import logging
import os
import secrets
import sys
import threading
import traceback
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

FILE = "agent.log"
ROOT = "frontend_agent"

log = logging.getLogger(ROOT)


def event(name: str, **fields: object) -> str:
    """One line: the event's name, then key=value. A value with a space or a quote in it is quoted."""
    return " ".join([name, *(f"{key}={_value(value)}" for key, value in fields.items() if value not in (None, ""))])


def _value(value: object) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
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
    """A thread that ends by an error nobody expected says so like everything else: Python's own way prints the error's text."""

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


def to_stderr(level: str = "info") -> None:
    """Log to the terminal or, under systemd, to the journal, which stamps each line itself."""
    if any(isinstance(handler, _Stderr) for handler in log.handlers):
        return
    handler = _Stderr()
    stamp = "" if os.environ.get("JOURNAL_STREAM") else "%(asctime)s "
    _add(handler, stamp + "%(levelname)s %(message)s", level)


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

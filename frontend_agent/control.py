"""How the CLI speaks to a running daemon: a Unix socket in the state directory (on Windows a named pipe), one JSON object per line.

    → {"ask": "status", "with": {}}         and "why": for what reason, "session": whom the console has let in
    ← {"row": …}            none or many, for answers that are long
    ← {"done": …}           the end of a good answer
    ← {"error": "…", "exit_code": 1}

The protocol (`Lines`, `encode`, `parse_question`, `answer`) is pure; `ControlServer` and `ask` are its thin edges. Who
may speak is decided by the file system: socket and state directory belong to the service's account alone. Where people are
configured they have a socket of their own, which the service's group may open; who asks at either is what the kernel says
of the other end (SO_PEERCRED; on Windows the token with which he opened the pipe), never what he says himself.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.machine import account_of, connect, listen
from frontend_agent.machine import process_account as process_account
from frontend_agent.machine.lines import Line, Listener

SOCKET = "control.sock"
ROOT = "root"
LONGEST_LINE = 16 * 1024 * 1024  # a document and its view; a question is never near it
LONGEST_QUESTION = 4 * 1024 * 1024  # a spreadsheet of decisions about local codes
FIRST_PERSON = 1000  # accounts of people begin here (login.defs(5), UID_MIN); below it are those of services
NOBODY_LOGGED_IN = 2**32 - 1  # proc(5): of a process that no login began
PATIENCE = 120.0  # seconds without a word from the other side

Operation = Callable[..., Any]


class ControlError(FrontendAgentError):
    """The other end of the control socket said something that is not the protocol."""


class NoDaemon(FrontendAgentError):
    """Nobody listens at the control socket."""


# -- The protocol, pure -----------------------------------------------------------------------------------------------


class Lines:
    """Feed it bytes, read back whole lines. A line longer than the limit is an error, not memory."""

    def __init__(self, limit: int = LONGEST_LINE) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def receive(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) > self._limit:
                    raise ControlError("a line on the control socket is too long")
                return
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            yield line


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked, and with which arguments."""

    ask: str
    arguments: dict[str, Any] = msgspec.field(name="with", default_factory=dict)
    why: str = ""
    session: str = ""
    behind: str = ""  # who is behind root, who asks; said by nobody else


def encode(message: object) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def parse_question(line: bytes) -> Question:
    try:
        return msgspec.json.decode(line, type=Question)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ControlError("a question on the control socket is not understood") from None


def answer(line: bytes, asked: Callable[[Question], Any]) -> Iterator[bytes]:
    """The lines that answer one question. What goes wrong on purpose is an answer too."""
    try:
        result = asked(parse_question(line))
        if isinstance(result, Iterator):
            for row in result:
                yield encode({"row": row})
            result = None
        yield encode({"done": result})
    except FrontendAgentError as error:
        yield encode({"error": str(error), "exit_code": error.exit_code})


# -- The edges --------------------------------------------------------------------------------------------------------


Asked = Callable[[str, Question], Any]  # by this account of the operating system


class ControlServer:
    """Listens at a socket and answers each connection in its own thread.

    `asked` gets the account at the other end with each question. `failed` is told of an error that no operation raised on
    purpose; the asker gets its type and nothing else. `group`: the service's group may open the socket as well.
    """

    def __init__(self, path: Path, asked: Asked, failed: Callable[[Exception], str], group: bool = False) -> None:
        self._path = path
        self._asked = asked
        self._failed = failed
        self._group = group
        self._closing = False
        self._listener: Listener | None = None
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)

    def start(self) -> None:
        """Whoever holds the spool's lock owns the channel: one left by a killed daemon is replaced."""
        try:
            self._listener = listen(self._path, self._group, PATIENCE)
        except OSError as error:
            raise ConfigurationError(f"{self._path}: nobody can listen there: {error.strerror}") from None
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self._closing = True
        if self._listener is not None:
            self._listener.close()

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._closing and (line := self._listener.accept()) is not None:
            threading.Thread(target=self._serve, args=(line,), name="control-answer", daemon=True).start()

    def _serve(self, line: Line) -> None:
        lines = Lines(LONGEST_QUESTION)
        # The asker may go away at any time: that is his business, and nothing of ours is lost by it.
        with closing(line), suppress(OSError, ControlError):
            while data := line.receive():
                for asked in lines.receive(data):
                    self._answer(line, asked)

    def _answer(self, line: Line, asked: bytes) -> None:
        account = line.account()
        try:
            for part in answer(asked, partial(self._asked, account)):
                line.send(part)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - the daemon outlives a fault in an answer, and logs it
            line.send(encode({"error": self._failed(error), "exit_code": 1}))


def this_account() -> str:
    """The person whose process this is, also behind root and behind the service's account: the kernel's word where it has one."""
    if sys.platform == "win32":
        return process_account()
    return account_of(behind(os.getuid(), _login(), os.environ.get("SUDO_UID", "")))


def behind(uid: int, login: int | None, sudo: str) -> int:
    """Whose hands are on the keyboard of a process of `uid`. Pure.

    `login`: who logged in, as the kernel keeps it through su, sudo and runuser (/proc/self/loginuid); None where nobody did.
    `sudo`: SUDO_UID, which is believed of root alone: he could say whatever he likes anyway, and others would.
    An account of somebody's own stays what it is, unless a service's account (below 1000) or root was taken on.
    """
    if uid >= FIRST_PERSON:
        return uid
    if login is not None and login >= FIRST_PERSON:
        return login
    if uid == 0 and sudo.isdecimal():
        return int(sudo)
    return uid


def _login() -> int | None:
    try:
        found = int(Path("/proc/self/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if found == NOBODY_LOGGED_IN else found


class Answer(msgspec.Struct):
    """One line of an answer."""

    row: Any = msgspec.UNSET
    done: Any = msgspec.UNSET
    error: str = ""
    exit_code: int = 1


class AnsweredError(FrontendAgentError):
    """The daemon's own error, said again on this side."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def ask(state: Path, question: str, /, **arguments: Any) -> Any:
    """Ask the daemon on that state directory. A long answer comes as an iterator of rows, a short one as its value."""
    return ask_at(state / SOCKET, Question(question, arguments))


def ask_at(path: Path, question: Question) -> Any:
    """Ask whoever listens at that socket."""
    line = _connect(path)
    if process_account() == ROOT and (person := this_account()) != ROOT:
        question = msgspec.structs.replace(question, behind=person)
    try:
        line.send(encode(question))
        answers = _answers(line)
        first = next(answers)
    except BaseException:
        line.close()
        raise
    if first.row is msgspec.UNSET:
        line.close()
        return first.done
    return _rows(line, first, answers)


def is_running(state: Path) -> bool:
    """Whether a daemon answers there."""
    return answers_at(state / SOCKET)


def answers_at(path: Path) -> bool:
    """Whether somebody listens at that socket."""
    try:
        _connect(path).close()
    except NoDaemon:
        return False
    return True


def _connect(path: Path) -> Line:
    try:
        return connect(path, PATIENCE)
    except PermissionError:
        raise ControlError(f"{path}: not allowed; run this command as the service's user") from None
    except OSError:
        raise NoDaemon(f"no daemon is running on {path.parent}") from None


def _rows(line: Line, first: Answer, answers: Iterator[Answer]) -> Iterator[Any]:
    with closing(line):
        yield first.row
        for part in answers:
            if part.row is msgspec.UNSET:
                return
            yield part.row


def _answers(line: Line) -> Iterator[Answer]:
    lines = Lines()
    try:
        while data := line.receive():
            for told in lines.receive(data):
                part = msgspec.json.decode(told, type=Answer)
                if part.error:
                    raise AnsweredError(part.error, part.exit_code)
                yield part
    except TimeoutError:
        raise ControlError("the daemon does not answer") from None
    except (OSError, msgspec.DecodeError):
        raise ControlError("the daemon's answer broke off") from None
    raise ControlError("the daemon ended before it had answered")

"""The control socket: the protocol one byte at a time, and the real socket in a deep folder."""

import socket
import stat
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend_agent.control import (
    SOCKET,
    AnsweredError,
    ControlError,
    ControlServer,
    Lines,
    NoDaemon,
    Question,
    answer,
    ask,
    behind,
    encode,
    is_running,
)
from frontend_agent.errors import ConfigurationError, StateError


def refuse(exit_code: int) -> None:
    raise ConfigurationError("no such feed") if exit_code == 78 else StateError("not now")


def count(to: int) -> Iterator[int]:
    yield from range(to)


def stumble() -> None:
    raise ZeroDivisionError("张三")


OPERATIONS: dict[str, Any] = {"status": lambda: {"up": True}, "refuse": refuse, "count": count, "stumble": stumble}


def asked(account: str, question: Question) -> Any:
    if question.ask not in OPERATIONS:
        raise ControlError("not known")
    return OPERATIONS[question.ask](**question.arguments)


@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")), max_size=8), st.integers(1, 7))
def test_lines_come_out_whole_however_they_arrive(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader = Lines()
    out = [line for i in range(0, len(stream), step) for line in reader.receive(stream[i : i + step])]
    assert out == lines


def test_an_endless_line_is_refused() -> None:
    reader = Lines(limit=100)
    assert list(reader.receive(b"x" * 100)) == []
    with pytest.raises(ControlError, match="too long"):
        list(reader.receive(b"x"))


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b"null", b'{"ask": 1}', b'{"ask": "status", "x": 1}', b"\xff", b'{"ask":"nothing"}']
)
def test_nonsense_is_answered_by_an_error(line: bytes) -> None:
    (reply,) = answer(line, partial(asked, "somebody"))
    assert b'"error"' in reply
    assert b'"exit_code":1' in reply


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    server = ControlServer(deep / SOCKET, asked, lambda error: f"{type(error).__name__} (reference 1)")
    server.start()
    yield deep
    server.close()


def test_a_question_is_answered(state: Path) -> None:
    assert ask(state, "status") == {"up": True}
    assert is_running(state)


def test_a_long_answer_comes_row_by_row(state: Path) -> None:
    assert list(ask(state, "count", to=3000)) == list(range(3000))
    assert ask(state, "count", to=0) is None


def test_an_asker_that_goes_away_harms_nobody(state: Path) -> None:
    rows = ask(state, "count", to=1_000_000)
    next(rows)
    rows.close()
    assert ask(state, "status") == {"up": True}


def test_an_error_keeps_its_exit_code(state: Path) -> None:
    with pytest.raises(AnsweredError, match="no such feed") as caught:
        ask(state, "refuse", exit_code=78)
    assert caught.value.exit_code == 78


def test_an_unforeseen_error_shows_its_type_and_no_content(state: Path) -> None:
    with pytest.raises(AnsweredError, match=r"^ZeroDivisionError \(reference 1\)$"):
        ask(state, "stumble")
    assert ask(state, "status") == {"up": True}


def test_only_the_owner_may_connect(state: Path) -> None:
    assert stat.S_IMODE((state / SOCKET).stat().st_mode) == 0o600


def test_nobody_there_is_said_so(tmp_path: Path, state: Path) -> None:
    with pytest.raises(NoDaemon):
        ask(tmp_path, "status")
    with pytest.raises(NoDaemon):
        ask(tmp_path / "nowhere", "status")


def test_a_socket_left_by_a_killed_daemon_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / SOCKET))
    left.close()
    assert not is_running(tmp_path)
    server = ControlServer(tmp_path / SOCKET, asked, str)
    server.start()
    assert is_running(tmp_path)
    server.close()
    assert not (tmp_path / SOCKET).exists()


def test_a_daemon_that_breaks_off_is_an_error_not_a_traceback(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / SOCKET))
    listener.listen()

    def speak(words: bytes) -> None:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(words)
        connection.close()

    for words in (b"", b"{", b"garbage\n", encode({"row": 1})):
        thread = threading.Thread(target=speak, args=(words,))
        thread.start()
        with pytest.raises(ControlError):
            list(ask(tmp_path, "status"))
        thread.join()
    listener.close()


@pytest.mark.parametrize(
    ("uid", "login", "sudo", "who"),
    [
        (1000, None, "", 1000),
        (1000, 1001, "1002", 1000),  # an account of his own is his, whatever is said
        (0, 1001, "", 1001),  # su, sudo, runuser: the kernel keeps who logged in
        (0, 1001, "1002", 1001),  # its word goes before that of the environment
        (0, None, "1002", 1002),
        (0, 0, "1002", 1002),
        (0, 0, "", 0),
        (0, None, "nonsense", 0),
        (998, 1001, "", 1001),  # the service's account, taken on by somebody
        (998, None, "1002", 998),  # of it the environment is not believed
    ],
)
def test_whose_hands_are_on_the_keyboard(uid: int, login: int | None, sudo: str, who: int) -> None:
    assert behind(uid, login, sudo) == who

"""A thread of an inlet that ends by what nobody expected is said to have ended, and is begun again."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.arrivals import Kept
from connectors.folders.collecting import Collector
from connectors.mllp.listener import MllpListener
from connectors.web.server import Port
from frontend_agent import logs
from frontend_agent.config import parse_config
from frontend_agent.inlets import Inlets, open_inlets
from tests.ports import free_port

CONFIG = """
[institution]
id = "330100-H1"
name = "示范医院"
[inlets.lis]
type = "{type}"
{more}
[destinations.platform]
url = "http://127.0.0.1:9"
[[feeds]]
name = "lab"
source = "lis"
mapping = "lab.toml"
"""


def keep(arrived: Any) -> "Future[list[Kept]]":
    future: Future[list[Kept]] = Future()
    future.set_result([Kept.KEPT for _ in arrived])
    return future


def eventually(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def inlets(folder: Path, kind: str, more: str) -> Inlets:
    config = parse_config(CONFIG.format(type=kind, more=more), folder=folder)
    return open_inlets(config, keep, lambda *_: None, lambda: datetime.now(UTC), lambda _: "")


def fails_once(patch: pytest.MonkeyPatch, owner: type, name: str, is_async: bool) -> None:
    """Its first call ends in an error that no author thought of."""
    real, failed = getattr(owner, name), threading.Event()

    def work(self: Any, *arguments: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        return real(self, *arguments)

    async def work_async(self: Any, *arguments: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        return await real(self, *arguments)

    patch.setattr(owner, name, work_async if is_async else work)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("kind", "owner", "name"),
    [
        ("mllp", MllpListener, "_accept"),
        ("mllp", MllpListener, "_sweep"),
        ("webhook", Port, "_accept"),
    ],
)
def test_a_listener_whose_thread_ended_listens_again(
    kind: str, owner: type, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_once(monkeypatch, owner, name, is_async=True)
    port = free_port()
    more = f"port = {port}" + ('\npath = "/x"\nauth = "none"' if kind == "webhook" else "")
    found = inlets(tmp_path, kind, more)
    found.start()
    try:
        eventually(lambda: found.told()["lis"].get("ended") == 1)
        assert "ended unexpectedly" in found.told()["lis"]["problem"]
        eventually(lambda: bool(found.told()["lis"]["running"]))
        eventually(lambda: found.standings["lis"].inlet.is_alive())
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            eventually(lambda: found.told()["lis"]["connections"] == 1)
        assert found.told()["lis"]["ended"] == 1
    finally:
        found.stop(0.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_folder_whose_thread_ended_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ends(BaseException):
        """Not even an Exception."""

    real, failed, looked = Collector.look, threading.Event(), threading.Event()

    def look(self: Collector, *arguments: Any) -> int:
        if not failed.is_set():
            failed.set()
            raise Ends
        looked.set()
        return real(self, *arguments)

    monkeypatch.setattr(Collector, "look", look)
    (tmp_path / "in").mkdir()
    found = inlets(tmp_path, "folder", 'path = "in"\nevery = "1s"')
    found.start()
    try:
        eventually(looked.is_set)
        assert found.told()["lis"]["ended"] == 1
    finally:
        found.stop(0.0)


def test_what_a_thread_ended_by_is_told_without_its_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise KeyError("张小满")

    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # put back afterwards
    monkeypatch.setattr(logs.log, "propagate", True)
    logs.threads()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "thread.ended error=KeyError" in caplog.text
    assert "张小满" not in caplog.text + capsys.readouterr().err

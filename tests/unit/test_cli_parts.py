"""What the app is built of that nobody else tests: reading ahead, step times, log lines."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend_agent import logs
from frontend_agent.logs import event
from frontend_agent.notify import Notifier
from frontend_agent.prefetch import Prefetch
from frontend_agent.times import StepTimes


def test_pages_come_in_order_and_one_is_read_ahead() -> None:
    read: list[int] = []

    def pages() -> Iterator[int]:
        for page in range(5):
            read.append(page)
            yield page

    with Prefetch(pages()) as ahead:
        assert next(ahead) == 0
        deadline = time.monotonic() + 2
        while len(read) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert read == [0, 1, 2]  # one taken, one waiting, one in hand: memory stays bounded
        assert list(ahead) == [1, 2, 3, 4]


def test_what_goes_wrong_while_reading_ahead_is_raised_where_it_is_consumed() -> None:
    def pages() -> Iterator[int]:
        yield 1
        raise ValueError("the source went away")

    with Prefetch(pages()) as ahead:
        assert next(ahead) == 1
        with pytest.raises(ValueError, match="went away"):
            next(ahead)


def test_who_stops_early_leaves_no_thread_behind() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    with Prefetch(endless(), name="endless") as ahead:
        assert next(ahead) == 1
    assert "endless" not in [thread.name for thread in threading.enumerate()]


def test_times_are_summed_per_step_over_threads() -> None:
    times = StepTimes()

    def work() -> None:
        lap = times.laps()
        time.sleep(0.01)
        lap("check", 3)
        lap("render", 3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    steps = times.snapshot()
    assert steps["check"].items == 12
    assert steps["check"].seconds >= 0.04
    assert steps["render"].seconds < steps["check"].seconds
    assert steps["push"].items == 0


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"document": "C0007-X-1", "attempts": 2, "seconds": 0.41},
            "acked document=C0007-X-1 attempts=2 seconds=0.410",
        ),
        ({"problem": "", "feed": None}, "acked"),
        ({"problem": 'no "way"\nback'}, 'acked problem="no \\"way\\" back"'),
        ({"feed": "a b"}, 'acked feed="a b"'),
        ({"feed": "a=b"}, 'acked feed="a=b"'),
        ({"feed": "\x1b[31m"}, 'acked feed=" [31m"'),
    ],
)
def test_a_log_line_is_one_line_that_can_be_taken_apart(fields: dict[str, object], line: str) -> None:
    assert event("acked", **fields) == line


def test_an_error_is_logged_by_type_and_place_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    logs.log.propagate = True
    with caplog.at_level(logging.ERROR, logger=logs.ROOT):
        try:
            raise ValueError("patient 张三 11010119900307")
        except ValueError as error:
            told = logs.failed("feed.failed", error)
    assert "ValueError" in told
    assert "张三" not in caplog.text
    assert "test_cli_parts.py" in caplog.text


def test_the_log_file_is_the_owners_alone_and_is_turned_over(tmp_path: Path) -> None:
    handler = logs.to_file(tmp_path, size=300, keep=2)
    try:
        for number in range(40):
            logs.log.info(event("feed.run", number=number))
        logging.getLogger("sqlalchemy").error("a library's line with 张三 in it")
    finally:
        logs.log.removeHandler(handler)
        handler.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["agent.log", "agent.log.1", "agent.log.2"]
    assert "张三" not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert (tmp_path / "agent.log").stat().st_mode & 0o077 == 0


def test_systemd_is_told_nothing_when_it_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    notifier = Notifier()
    notifier.say("READY=1")
    assert notifier.interval == 30.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notifier().interval is None

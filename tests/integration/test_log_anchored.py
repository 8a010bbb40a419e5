"""The log is countersigned by itself when no parcel goes: by a real platform, over HTTP, while the agent runs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from frontend_agent import anchoring
from frontend_agent.app import App
from frontend_agent.config import parse_config
from frontend_agent.daemon import Daemon
from frontend_agent.errors import DestinationUnreachable
from frontend_agent.platform.store import Store
from frontend_agent.proving import genuine_by
from frontend_agent.qclog import Verdict
from tests.platform_kit import HOSPITAL, running

CONFIG = """
[institution]
id = "{hospital}"
name = "示范市第一人民医院"
[sources.his]
url = "sqlite:///his.db"
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
every = "1h"
[destinations.platform]
url = "{url}"
"""


@contextmanager
def at_work(app: App) -> Iterator[None]:
    daemon = Daemon(app)
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        daemon.stopping.set()
        thread.join(20)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    store = Store(folder).open()
    try:
        with running(store) as url:
            yield url
    finally:
        store.close()


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path / "platform") as url:
        yield url


@pytest.fixture
def app(tmp_path: Path, platform: str) -> Iterator[App]:
    config = parse_config(CONFIG.format(hospital=HOSPITAL, url=platform), folder=tmp_path)
    with App(config, tmp_path / "state") as opened:
        yield opened


def verdict(app: App) -> Verdict:
    return app.spool.verify_log(genuine_by(app.platform_keys()))


def act(app: App) -> None:
    body = {"event": "act", "act": "preview", "who": "王芳", "role": "system", "reason": "投诉", "what": {"key": "L1"}}
    app.spool.record_act(body, datetime.now(UTC))


def test_one_act_is_countersigned_soon_although_no_document_goes(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "SECONDS", 0.5)
    with at_work(app):
        act(app)
        eventually(lambda: verdict(app).not_yet_proven == 0 and verdict(app).proven > 0)
        proven = verdict(app).proven
        heads = len(app.spool.heads())
        time.sleep(2)
        assert len(app.spool.heads()) == heads  # nothing new, nothing sent: a countersignature is no entry of its own
        act(app)
        eventually(lambda: verdict(app).proven == proven + 1)
        assert verdict(app).ok


def test_a_hundred_acts_do_not_wait(app: App) -> None:
    with at_work(app):
        eventually(lambda: bool(app.platform_keys()))
        for _ in range(100):
            act(app)
        began = time.monotonic()
        eventually(lambda: verdict(app).proven >= 100)
        assert time.monotonic() - began < anchoring.SECONDS / 2  # by their number, not by their age


def test_what_was_done_while_the_platform_was_away_is_countersigned_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchoring, "SECONDS", 0.2)
    monkeypatch.setattr(anchoring, "AGAIN", 0.5)
    with serving(tmp_path / "platform") as url:
        config = parse_config(CONFIG.format(hospital=HOSPITAL, url=url), folder=tmp_path)
        with App(config, tmp_path / "state") as app, at_work(app):
            act(app)
            eventually(lambda: verdict(app).not_yet_proven == 0 and verdict(app).proven > 0)
            proven = verdict(app).proven
            anchor = app.platforms["platform"].anchor
            away = threading.Event()

            def unreachable() -> object:
                if away.is_set():
                    raise DestinationUnreachable("platform: nobody answers")
                return anchor()

            monkeypatch.setattr(app.platforms["platform"], "anchor", unreachable)
            away.set()
            act(app)
            time.sleep(1.5)
            assert (verdict(app).proven, verdict(app).not_yet_proven) == (proven, 1)
            away.clear()
            eventually(lambda: verdict(app).proven == proven + 1)


def test_a_rewritten_log_is_not_countersigned(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same place, another hash: the platform remembers the dispute, and signs neither."""
    platform = app.platforms["platform"]
    act(app)
    platform.hello()
    assert platform.anchor() is not None
    seq, _ = app.spool.log_head()
    monkeypatch.setattr(platform, "_log_head", lambda: (seq, "5a" * 32))
    assert platform.anchor() is None

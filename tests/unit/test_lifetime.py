"""When the agent began and ended, how, and what of its configuration changed: entries of the chained log, values never."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from frontend_agent import __version__, qclog
from frontend_agent.lifetime import begin, differing, lived, note_changes, written
from frontend_agent.spool import Spool
from tests.conftest import REPOSITORY

CONFIG = """
[institution]
id = "H1"
name = "示范医院"
[sources.his]
url = "sqlite:///his.db"
[destinations.platform]
url = "http://127.0.0.1:9/"
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
every = "1h"
"""


def now() -> datetime:
    return datetime.now(UTC)


def log(spool: Spool) -> list[dict[str, Any]]:
    assert qclog.verify(spool.log_entries()).ok
    return [msgspec.json.decode(entry.body) for entry in spool.log_entries()]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state", reserve=0).open() as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_beginning_and_end_are_entries_with_version_and_digest(spool: Spool, config: Path) -> None:
    with lived(spool, config, ["SIGTERM"], now):
        pass
    began, ended = log(spool)
    digest = subprocess.run(["sha256sum", config], capture_output=True, text=True, check=True).stdout.split()[0]
    assert (began["event"], began["version"], began["config"]) == ("agent began", __version__, digest)
    assert (ended["event"], ended["how"]) == ("agent ended", "asked (SIGTERM)")


def test_an_error_ends_it_by_its_type_alone(spool: Spool, config: Path) -> None:
    with pytest.raises(ValueError), lived(spool, config, [], now):
        raise ValueError("张三")
    assert log(spool)[-1]["how"] == "error ValueError"
    assert not any("张三" in str(one) for one in log(spool))


def test_who_was_killed_is_told_by_the_next_start(spool: Spool, config: Path) -> None:
    begin(spool, config, now)  # and never an end
    with lived(spool, config, [], now):
        pass
    assert [(one["event"], one.get("how", "")) for one in log(spool)] == [
        ("agent began", ""), ("agent ended", "without a word"), ("agent began", ""), ("agent ended", "by itself"),
    ]  # fmt: skip


def test_a_changed_configuration_names_keys_and_never_values(spool: Spool, config: Path) -> None:
    begin(spool, config, now)
    config.write_text(
        CONFIG.replace('every = "1h"', 'every = "5m"').replace("his.db", "geheim.db") + '[spool]\nquota = "9GiB"\n',
        "utf-8",
    )
    begin(spool, config, now)
    (entry,) = [one for one in log(spool) if one["event"] == "configuration changed"]
    assert entry["before"] != entry["after"]
    assert entry["changed"] == ["feeds[lab].every", "sources.his.url"]
    assert entry["added"] == ["spool.quota"]
    kept = b"".join(path.read_bytes() for path in spool.path.iterdir() if path.is_file())
    assert b"geheim" not in kept
    assert "geheim" not in str(log(spool))


def test_an_unchanged_configuration_is_no_entry_for_a_command_that_works_once(spool: Spool, config: Path) -> None:
    note_changes(spool, config, now)
    note_changes(spool, config, now)
    assert log(spool) == []
    config.write_text(CONFIG + "# a word\n", "utf-8")
    note_changes(spool, config, now)
    (entry,) = log(spool)
    assert entry["event"] == "configuration changed"
    assert set(entry) & {"changed", "added", "removed"} == set()  # another text, and the same settings


def test_the_order_of_tables_is_no_change_and_a_digest_tells_no_value() -> None:
    one = b'[[feeds]]\nname = "a"\nevery = "1h"\n[[feeds]]\nname = "b"\nevery = "1h"\n'
    other = b'[[feeds]]\nname = "b"\nevery = "1h"\n[[feeds]]\nname = "a"\nevery = "1h"\n'
    assert differing(written(one, b"k").keys, written(other, b"k").keys) == {"changed": [], "added": [], "removed": []}
    assert written(one, b"k").keys != written(one, b"l").keys


def test_a_real_agent_says_so_when_it_is_asked_to_end_and_when_it_was_killed(tmp_path: Path, config: Path) -> None:
    command = [sys.executable, "-m", "frontend_agent.cli.main", "--config", str(config), "run"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for number in (signal.SIGKILL, signal.SIGTERM):
        with (tmp_path / "told").open("w") as told:
            agent = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=told, stderr=told)
        try:
            ends = time.monotonic() + 60
            while "daemon.ready" not in (tmp_path / "told").read_text():
                assert agent.poll() is None, (tmp_path / "told").read_text()
                assert time.monotonic() < ends
                time.sleep(0.1)
        finally:
            agent.send_signal(number)
            agent.wait(30)
    with Spool(tmp_path / "state").open() as spool:
        lives = [(one["event"], one.get("how", "")) for one in log(spool) if one["event"].startswith("agent ")]
    assert lives == [
        ("agent began", ""), ("agent ended", "without a word"), ("agent began", ""), ("agent ended", "asked (SIGTERM)"),
    ]  # fmt: skip

"""A running daemon learns what a person decided about a local code, and rebuilds what was held, without a restart."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.cli.work import example
from frontend_agent.demo.hospital import create_hospital
from tests.integration.test_daemon import PROGRAM, eventually, started
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SEX = "demo_lis/sex"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demonstration hospital with a laboratory map of its own that lacks one code."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    create_hospital(tmp_path / "demo-state" / "hospital", 40, 3)
    shutil.copytree(ROOT / "mappings" / "demo_lis", tmp_path / "mappings" / "demo_lis")
    codes = tmp_path / "mappings" / "demo_lis" / "codes" / "sex.toml"
    codes.write_text(codes.read_text("utf-8").replace('"F" = "2"\n', ""), "utf-8")
    text = example().replace('mapping = "demo_lis/lab_report"', 'mapping = "mappings/demo_lis/lab_report.toml"')
    (tmp_path / "agent.toml").write_text(text.replace("127.0.0.1:8480", f"127.0.0.1:{free_port()}"), "utf-8")
    return tmp_path


def answer(site: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [*PROGRAM, *arguments, "--json"],
        cwd=site, env=os.environ | {"LANG": "C.UTF-8"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def held_for_sex(site: Path) -> int:
    return sum(
        any(one.get("field") == "patient.sex" for one in case["findings"])
        for case in answer(site, "quarantine", "list", "--all", "--feed", "lab_report")
    )


def test_an_approval_is_at_work_in_the_running_daemon_and_its_workers(site: Path) -> None:
    port = next(
        line.split(":")[-1].strip('"\n')
        for line in (site / "agent.toml").read_text("utf-8").splitlines()
        if line.startswith("url  = ") and "127.0.0.1" in line
    )
    platform = ["--state", "platform", "platform", "serve", "--port", port]
    with (
        started(site, platform, stdout=subprocess.DEVNULL),
        started(site, ["run"], stderr=subprocess.DEVNULL) as daemon,
    ):
        eventually(lambda: (site / "state" / "control.sock").exists() or daemon.poll() is not None)
        eventually(lambda: [one for one in answer(site, "terms", "unmapped") if one["table"] == SEX])
        eventually(lambda: held_for_sex(site) == answer(site, "terms", "unmapped", "--table", SEX)[0]["count"] > 3)

        told = answer(site, "terms", "approve", SEX, "F", "2", "--by", "王工", "--reason", "字典")

        assert told["approved"] == 1
        assert told["read_again"] > 3
        eventually(lambda: held_for_sex(site) == 0)
        assert daemon.poll() is None
        assert answer(site, "terms", "unmapped", "--table", SEX) == []
        assert answer(site, "qc", "verify")["ok"]

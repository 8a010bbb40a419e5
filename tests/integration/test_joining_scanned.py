"""The door for agents as a scanner sees it (threat C2)."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.joining_kit import region

# Of a platform of our own, in a laboratory: there is no DNS that could speak of it.
NOT_OURS = {"DNS_CAArecord"}


@pytest.mark.release
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("testssl") is None, reason="testssl.sh is not installed")
def test_testssl_finds_nothing(tmp_path: Path) -> None:
    with region(tmp_path / "platform") as there:
        told = tmp_path / "told.json"
        environment = {**os.environ, "ADDITIONAL_CA_FILES": str(there.roots(tmp_path))}
        target = there.url.removeprefix("https://")
        subprocess.run(
            ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--jsonfile", told, target],
            cwd=tmp_path, env=environment, capture_output=True, check=False,
        )  # fmt: skip
    findings = json.loads(told.read_text())

    assert len(findings) > 80
    assert {one["finding"] for one in findings if one["id"] in ("TLS1_2", "TLS1_3")} == {
        "offered",
        "offered with final",
    }
    wrong = [one for one in findings if one["severity"] not in ("OK", "INFO") and one["id"] not in NOT_OURS]
    assert wrong == []

"""The door for agents as a scanner sees it (threat C2)."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.joining_kit import region
from tests.served_kit import served
from tests.sslyze_kit import sslyze

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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sslyze_finds_the_door_compliant_and_no_protocol_below_1_2(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    command = sslyze()
    with served(tmp_path) as there:
        roots = str(there.roots(tmp_path))
        target = there.url.removeprefix("https://")
        ran = subprocess.run(
            [command, "--mozilla_config=intermediate", "--certinfo_ca_file", roots, "--json_out", told, target],
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
    assert f"{target}: OK - Compliant" in ran.stdout, ran.stdout[-3000:]
    assert ran.returncode == 0
    (scanned,) = json.loads(told.read_text())["server_scan_results"]
    assert scanned["scan_status"] == "COMPLETED"
    results = scanned["scan_result"]
    assert {one["status"] for one in results.values()} <= {"COMPLETED", "NOT_SCHEDULED"}
    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert results[f"{old}_cipher_suites"]["result"]["accepted_cipher_suites"] == [], old
    weak = re.compile(r"_CBC_|_RC4_|_3DES_|_NULL_|_anon_|_EXPORT_|TLS_RSA_|TLS_DHE?_|_MD5$|_SHA$")
    for new in ("tls_1_2", "tls_1_3"):
        accepted = [
            one["cipher_suite"]["name"] for one in results[f"{new}_cipher_suites"]["result"]["accepted_cipher_suites"]
        ]
        assert accepted, new
        assert [name for name in accepted if weak.search(name)] == []
    assert results["heartbleed"]["result"]["is_vulnerable_to_heartbleed"] is False
    assert results["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"] is False

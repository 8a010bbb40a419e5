"""Everything that /api describes, called with what nobody should send (threat C8): no 5xx, no status, media type or body that is
not described. Some thousand calls always; 100,000 in ./test --release."""

import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import requests

from frontend_agent.platform.store import Store
from tests.dicom_kit import data_set, file_bytes, uid
from tests.images_kit import stow
from tests.platform_kit import HOSPITAL, FileMemory, destination, document, running

ROOT = Path(__file__).resolve().parents[2]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = {"release": 700}.get(os.environ.get("FRONTEND_AGENT_TEST", ""), 12)


@pytest.mark.slow
@pytest.mark.timeout(3600 if EXAMPLES > 100 else 1200)
def test_whatever_is_sent_the_answer_is_a_described_one_and_never_our_fault(tmp_path: Path) -> None:
    sent = document()
    with closing(Store(tmp_path / "platform").open()) as store, running(store) as url:
        destination(url, FileMemory(tmp_path / "memory")).send([sent])
        assert stow(url, HOSPITAL, [file_bytes(data_set())]).status_code == 200
        known = {
            "institution": HOSPITAL, "document_id": sent.document_id, "study": uid(1), "series": uid(1, 1),
            "instance": uid(1, 1, 1), "frames": "1", "path": "7FE00010",
        }  # fmt: skip
        ran = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api", "--checks", CHECKS, "--phases", "coverage,fuzzing",
                "--max-examples", str(EXAMPLES), "--seed", os.environ.get("FRONTEND_AGENT_SEED", "1"), "--generation-database", "none", "--no-color",
                # A loaded machine is no fault of the platform's: schemathesis gives an answer ten seconds, hypothesis the making of
                # a value a fraction of one, and either would end the run as a failure.
                "--request-timeout", "300", "--suppress-health-check", "all",
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=3500,
            env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.api_hooks", "KNOWN_IDS": json.dumps(known), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        described = requests.get(f"{url}/api", timeout=10).json()["paths"]
        failures = re.search(r"^platform_failures_total (\S+)", requests.get(f"{url}/metrics", timeout=10).text, re.M)
    generated = re.search(r"(\d+) generated", ran.stdout)
    assert generated, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert ran.returncode == 0, ran.stdout[-6000:]
    assert int(generated[1]) > (100_000 if EXAMPLES > 100 else 2_000)
    assert len(described) > 50
    assert failures
    assert float(failures[1]) == 0

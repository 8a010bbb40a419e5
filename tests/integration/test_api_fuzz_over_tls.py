"""The door for agents of a real `platform serve --tls`, called by one hospital's machine with what nobody should send (threats C1, C8).

Some hundred calls with its certificate, which name the other hospital wherever they can: no 5xx, and nothing of the other's.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import requests

from frontend_agent.platform.catalogue import Catalogue, Search
from frontend_agent.platform.joining.registry import Registry
from tests.dicom_kit import uid
from tests.joining_kit import destination, session
from tests.platform_kit import document
from tests.served_kit import served

ROOT = Path(__file__).resolve().parents[2]
A, B = "470000001", "470000002"
PATIENT = "欧阳不可见"  # of B's document: in no answer to A
EXAMPLES = {"release": 60}.get(os.environ.get("FRONTEND_AGENT_TEST", ""), 3)


@pytest.mark.slow
@pytest.mark.timeout(1800 if EXAMPLES > 10 else 600)
def test_one_hospitals_machine_breaks_nothing_and_reaches_nothing_of_another(tmp_path: Path) -> None:
    heard = tmp_path / "heard.jsonl"
    with served(tmp_path) as there:
        a, b = there.member(tmp_path / A, A), there.member(tmp_path / B, B)
        theirs = document(1, institution=B, patient__name=PATIENT)
        destination(b, B).send([theirs])
        known = {
            "institution": B, "document_id": theirs.document_id, "study": uid(1), "series": uid(1, 1),
            "instance": uid(1, 1, 1), "frames": "1", "path": "7FE00010",
        }  # fmt: skip
        before = kept(there.state)
        assert before == {B: 1}
        ran = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "run", f"{there.url}/api", "--checks", "not_a_server_error",
                "--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "7", "--no-color",
                "--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "60",
                "--request-cert", str(a.own_file), "--tls-verify", str(a.ca_file),
            ],
            cwd=tmp_path, capture_output=True, text=True, timeout=1700, check=False,
            env=os.environ | {
                "SCHEMATHESIS_HOOKS": "tests.api_hooks", "KNOWN_IDS": json.dumps(known), "PYTHONPATH": str(ROOT),
                "FUZZ_HEARD": str(heard), "FOREIGN_WORDS": json.dumps([PATIENT]),
            },
        )  # fmt: skip
        answers = [json.loads(line) for line in heard.read_text("utf-8").splitlines()]
        assert ran.returncode == 0, ran.stdout[-6000:]
        assert len(answers) > 300
        statuses = Counter(one["status"] for one in answers)
        assert not [status for status in statuses if status >= 500]
        assert statuses[200] > 0
        assert statuses[403] > 0, "it never asked for what is the other's"
        assert [one for one in answers if one["foreign"]] == []
        after = kept(there.state)
        assert after[B] == 1
        assert set(after) <= {A, B}
        with Registry(there.state).open() as registry:
            assert {one.named for one in registry.incidents() if one.named in (A, B)} == {B}
        failures = re.search(
            r"^platform_failures_total (\S+)", requests.get(f"{there.pages}/metrics", timeout=10).text, re.M
        )
        assert failures
        assert float(failures[1]) == 0
        with closing(session(b)) as own:
            found = own.get(f"{there.url}/documents/{theirs.document_id}?institution={B}", timeout=10)
        assert found.status_code != 403  # B's own is B's still


def kept(state: Path) -> dict[str, int]:
    """Documents by institution, as the platform has them."""
    with closing(Catalogue(state).open()) as catalogue:
        return dict(Counter(one.institution for one in catalogue.documents(Search(), 1, 10_000)))

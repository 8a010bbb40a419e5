"""What a monitor reads of a platform that stores patients' documents names none of them (threat L1)."""

import logging
from pathlib import Path

import pytest
import requests

from frontend_agent.platform.store import Store
from tests.canaries import canaries_in
from tests.platform_kit import FileMemory, destination, document, lab_record, running


def test_metrics_and_errors_of_a_platform_that_stores_patients_name_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = lab_record(1)
    assert set(canaries_in(f"{record['patient.name']} {record['patient.id_number']}")) == {"name", "identity number"}
    store = Store(tmp_path / "platform").open()
    try:
        with running(store) as url, caplog.at_level(logging.DEBUG, "frontend_agent"):
            receipts = destination(url, FileMemory(tmp_path / "memory.json")).send([document(n) for n in range(1, 6)])
            assert [str(one.outcome) for one in receipts] == ["stored"] * 5
            metrics = requests.get(f"{url}/metrics", timeout=10)
            broken = requests.post(f"{url}/v1/documents", data=f"<a>{record['patient.id_number']} 张小满".encode(), timeout=10,
                                   headers={"Content-Type": "application/xml"})  # fmt: skip
            unknown = requests.get(f"{url}/v1/张小满/{record['patient.id_number']}", timeout=10)
    finally:
        store.close()
    assert metrics.status_code == 200
    assert "stored" in metrics.text
    assert canaries_in(metrics.text) == []
    assert broken.status_code >= 400
    assert canaries_in(broken.text) == []
    assert unknown.status_code == 404
    assert canaries_in(unknown.text) == []
    assert canaries_in(caplog.text) == []

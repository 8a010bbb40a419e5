"""Scans and referrals on the platform: taken, proven, shown, and opened by whoever reads them."""

import requests

from frontend_agent.formats import load_kind
from frontend_agent.formats.enclosed import enclose
from frontend_agent.model import Outcome
from frontend_agent.platform.store import Store
from tests.platform_kit import HOSPITAL, FileMemory, destination, document, running
from tests.unit.test_kinds_roundtrip import full_record

PDF = b"%PDF-1.4\nan invented report"


def test_a_wrapped_scan_is_stored_shown_and_downloaded_as_it_was_and_a_referral_is_read(tmp_path):
    data, media_type, sha256 = enclose(PDF)
    scan = full_record(load_kind("X0001")) | {
        "institution.id": HOSPITAL, "content.data": data, "content.media_type": media_type, "content.sha256": sha256,
    }  # fmt: skip
    referral = full_record(load_kind("HSDC00.05")) | {
        "institution.id": HOSPITAL,
        "target.institution_name": "示范市医院",
    }
    documents = [document(1, kind="X0001", record=scan), document(2, kind="HSDC00.05", record=referral)]
    store = Store(tmp_path / "platform").open()
    with running(store) as url:
        receipts = destination(url, FileMemory(tmp_path / "agent.json")).send(documents)
        shown = requests.get(f"{url}/documents/{documents[0].document_id}", timeout=10)
        content = requests.get(f"{url}/documents/{documents[0].document_id}/content", timeout=10)
        read = requests.get(f"{url}/documents/{documents[1].document_id}", timeout=10)
    store.close()

    assert [receipt.outcome for receipt in receipts] == [Outcome.STORED, Outcome.STORED]
    assert f"/documents/{documents[0].document_id}/content" in shown.text
    assert data not in shown.text
    assert content.content == PDF
    assert content.headers["Content-Disposition"].endswith(".pdf")
    assert "示范市医院" in read.text

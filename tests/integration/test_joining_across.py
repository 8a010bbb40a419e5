"""Nobody reads or writes across hospitals (threat C1): three institutions × every endpoint × every object, by real certificates.

Every endpoint that the door for agents has is called by each hospital for each other's institution and objects, in every place
where a request can name them: path, query, body, header. Nothing of another's comes back, and nothing of it changes. An
endpoint that is added later is in the loop by itself, and fails here until it says whom it concerns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from frontend_agent.model import Outcome
from frontend_agent.platform.catalogue import Search
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.peers import must_speak
from frontend_agent.spool.membership import Membership
from frontend_agent.wire import images as wire
from frontend_agent.wire.parcel import CONTENT_TYPE, pack
from tests.instances_made import as_file, ct
from tests.joining_kit import Region, destination, region, session
from tests.platform_kit import document

HOSPITALS = ("470000001", "470000002", "470000003")
OPEN = {"/v1/key", "/healthz", "/api", "/v1/authorities", "/v1/authorities/revoked", "/v1/enrolments"}


class Hospital(NamedTuple):
    """One hospital with what it has at the platform."""

    id: str
    member: Membership
    http: requests.Session
    document_id: str
    set_id: str
    study: str
    series: str
    sop_instance: str
    instance: str  # of its agent
    lease: str

    @property
    def marks(self) -> tuple[str, ...]:
        """What nobody else may ever be told."""
        return (self.set_id, self.study, self.series, self.sop_instance, f"病人{self.id}")


class Everybody(NamedTuple):
    there: Region
    hospitals: dict[str, Hospital]
    second: Membership  # another machine of the first hospital


@pytest.fixture(scope="module")
def all_there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everybody]:
    folder = tmp_path_factory.mktemp("across")
    with region(folder / "platform") as there:
        hospitals = {one: furnished(there, folder / one, one) for one in HOSPITALS}
        yield Everybody(there, hospitals, there.member(folder / "second", HOSPITALS[0]))


def furnished(there: Region, state: Path, institution: str) -> Hospital:
    """It joins, delivers a document and an image."""
    member = there.member(state, institution)
    agent = destination(member, institution)
    sent = document(1, institution=institution, patient__name=f"病人{institution}")
    assert agent.send([sent])[0].outcome == Outcome.STORED
    http = session(member)
    uids = [f"1.2.3.{institution}.{number}" for number in range(1, 4)]
    made = as_file(ct(StudyInstanceUID=uids[0], SeriesInstanceUID=uids[1], SOPInstanceUID=uids[2]))
    stored = http.post(
        f"{there.url}/v1/institutions/{institution}/dicom-web/studies", data=made, headers={"Content-Type": "application/dicom"}, timeout=30
    )  # fmt: skip
    assert stored.status_code == 200, stored.text
    memory = json.loads((member.folder / "memory.json").read_text())
    upgrade = state.parent / f"{institution}.tar.zst"
    upgrade.write_bytes(institution.encode())  # its SHA-256 is what `asked` asks for
    version = f"9.{institution[-1]}"
    there.store.upgrades.add(upgrade, version, "x86_64", "li")
    there.store.upgrades.offer(version, "li", to=[institution])
    lease = next(value for name, value in memory.items() if name.startswith("lease:"))
    return Hospital(institution, member, http, sent.document_id, sent.set_id, *uids, memory["instance"], lease)


def theirs(there: Region) -> list[Operation]:
    return [one for one in there.operations if one.who != "people"]


def requests_of(one: Operation, of: Hospital, by: Hospital) -> Iterator[dict[str, Any]]:
    """Every way to ask that endpoint about what is of `of`: with its own lease (stolen), and with the asking one's."""
    for speaker in (of, by):
        yield asked(one, of, speaker)


def asked(one: Operation, of: Hospital, speaker: Hospital) -> dict[str, Any]:
    parts = {
        "institution": of.id, "study": of.study, "series": of.series, "instance": of.sop_instance, "frames": "1",
        "path:path": "7FE00010", "sha256": sha256(of.id.encode()).hexdigest(), "document_id": of.document_id,
    }  # fmt: skip
    path = re.sub(r"{([\w:]+)}", lambda match: parts[match[1]], one.path)
    who = {"institution": of.id, "instance": speaker.instance, "lease": speaker.lease}
    bodies: dict[str, Any] = {
        "/v1/hello": {**who, "machine": "machine-1", "packs": {}},
        "/v1/heads": {"institution": of.id, "set_ids": [of.set_id]},
        "/v1/reconciliation/counts": {**who, "kind": "C0007", "first": 20260901, "last": 20261001},
        "/v1/reconciliation/sets": {**who, "kind": "C0007", "day": 20260930, "department": "", "after": ""},
        "/v1/reconciliation/said": {**who, "at": "2026-10-01T00:00:00Z", "days": []},
        wire.RECEIPTS: {**who, "sop_instance_uids": [of.sop_instance]},
        wire.WANTED: who,
        wire.INDEX: {**who, "study_instance_uid": of.study, "patient_id": "1", "series": []},
        "/v1/heartbeat": {**who, "at": "2026-10-01T00:00:00Z"},
        "/v1/enrolments": {"token": "x" * 43, "request": "none", "institution": of.id},
        "/v1/renewals": {"request": "none"},
    }
    headers = {"X-Institution": of.id, "X-Client-Certificate": of.member.own_file.read_text().replace("\n", "%0A"), "X-Client-Verify": "SUCCESS"}  # fmt: skip
    found: dict[str, Any] = {"method": one.method, "path": path, "headers": headers, "params": {}}
    if one.path == "/v1/receipts":
        found["params"] = {"institution": of.id, "document_id": of.document_id}
    elif one.path == "/v1/upgrades/{sha256}":
        found["params"] = {"institution": of.id}
    elif one.path == "/v1/parcels":
        made = document(7, institution=of.id)
        found["data"] = pack([made], of.id, speaker.instance, speaker.lease, None, {}, lambda document: False)
        headers["Content-Type"] = CONTENT_TYPE
    elif one.path == "/v1/documents":
        found["params"], found["data"] = {"institution": of.id}, b"<ClinicalDocument/>"
        headers["Content-Type"] = "application/xml"
    elif one.path.endswith(("/studies", "/studies/{study}")) and one.method == "POST":
        found["data"] = as_file(ct(StudyInstanceUID=of.study, SOPInstanceUID=f"{of.sop_instance}.9"))
        headers["Content-Type"] = "application/dicom"
    elif one.method == "PUT":
        found["data"] = of.id.encode()
        headers["Content-Type"] = "application/octet-stream"
    elif one.method == "POST":
        found["json"] = bodies.get(one.path, who)
    return found


def sent(there: Region, by: Hospital, question: dict[str, Any]) -> requests.Response:
    rest = {name: value for name, value in question.items() if name not in ("method", "path")}
    return by.http.request(question["method"], there.url + question["path"], timeout=30, **rest)


def everything_of(there: Region, of: Hospital) -> tuple[Any, ...]:
    """What the platform has of a hospital, to see whether it changes."""
    documents = [(one.document_id, one.sha256) for one in there.store.documents(Search(institution=of.id))]
    study = [
        (one.sop_instance_uid, one.sha256, one.held) for one in there.store.images.find(of.study, institution=of.id)
    ]
    agents = [one for one in there.store.agents() if one.institution == of.id]
    return documents, study, [(one.instance, one.current, one.previous, one.superseded_by) for one in agents]


def test_nobody_reads_or_writes_across(all_there: Everybody) -> None:
    there, hospitals, _ = all_there
    tried = 0
    for by in hospitals.values():
        for of in hospitals.values():
            if of is by:
                continue
            before = everything_of(there, of)
            for one in theirs(there):
                for question in requests_of(one, of, by):
                    answered = sent(there, by, question)
                    tried += 1
                    where = f"{one.method} {one.path}"
                    assert not any(mark in answered.text for mark in of.marks if mark not in question["path"]), where
                    if one.path not in OPEN and one.concerns:
                        assert (answered.status_code, answered.json()["error"]) == (403, "institution"), where
            assert everything_of(there, of) == before
    assert tried >= 6 * 2 * len(theirs(there))
    assert len(there.registry.incidents()) > 20


def test_each_hospital_does_reach_its_own(all_there: Everybody) -> None:
    """The same requests are answered where they are about one's own: the refusals above are no accident."""
    there, hospitals, _ = all_there
    for of in hospitals.values():
        reached = 0
        for one in theirs(there):
            if one.path == "/v1/hello":
                continue  # it would rotate the lease
            answered = sent(there, of, asked(one, of, of))
            assert answered.status_code not in (401, 403, 500) or one.path == "/v1/enrolments", (
                f"{one.method} {one.path}"
            )
            reached += answered.status_code in (200, 202, 204)
        assert reached > 15


def test_another_hospitals_object_by_ones_own_name_is_not_there(all_there: Everybody) -> None:
    """Institution one's own, object another's: as if it did not exist."""
    there, hospitals, _ = all_there
    a, b = hospitals[HOSPITALS[0]], hospitals[HOSPITALS[1]]
    own = f"/v1/institutions/{a.id}/dicom-web"
    for path in (
        f"/studies/{b.study}",
        f"/studies/{b.study}/metadata",
        f"/studies/{b.study}/series/{b.series}/instances/{b.sop_instance}",
    ):
        assert a.http.get(there.url + own + path, timeout=20).status_code == 404
    assert a.http.get(there.url + own + "/studies", params={"StudyInstanceUID": b.study}, timeout=20).status_code == 204
    heads = a.http.post(there.url + "/v1/heads", json={"institution": a.id, "set_ids": [b.set_id]}, timeout=20)
    assert heads.json() == {"heads": []}
    receipts = a.http.get(
        there.url + "/v1/receipts", params={"institution": a.id, "document_id": b.document_id}, timeout=20
    )
    assert b.set_id not in receipts.json().get("statement", {}).get("set_id", "")
    assert '"absent"' in receipts.text


def test_an_upgrade_is_for_whom_it_is_offered(all_there: Everybody) -> None:
    """By its own name a hospital gets what it is offered, and nothing of what another is, in the file and in the heartbeat's answer."""
    there, hospitals, _ = all_there
    a, b = hospitals[HOSPITALS[0]], hospitals[HOSPITALS[1]]

    def fetched(of: Hospital) -> requests.Response:
        digest = sha256(of.id.encode()).hexdigest()
        return a.http.get(f"{there.url}/v1/upgrades/{digest}", params={"institution": a.id}, timeout=20)

    assert (fetched(a).status_code, fetched(a).content) == (200, a.id.encode())
    assert (fetched(b).status_code, fetched(b).json()["error"]) == (404, "not-offered")
    beat = {"institution": a.id, "instance": a.instance, "lease": a.lease, "at": "2026-10-01T00:00:00Z", "version": "1.0", "machine": "x86_64"}  # fmt: skip
    heard = a.http.post(f"{there.url}/v1/heartbeat", json=beat, timeout=20).json()
    assert heard["offer"]["version"] == f"9.{a.id[-1]}"
    assert heard["offer"]["sha256"] == sha256(a.id.encode()).hexdigest()


def test_a_document_is_of_who_sends_it_whatever_it_says(all_there: Everybody) -> None:
    there, hospitals, _ = all_there
    a, b = hospitals[HOSPITALS[0]], hospitals[HOSPITALS[1]]
    of_b = there.store.document(b.document_id)
    before = everything_of(there, b)

    answered = a.http.post(
        there.url + "/v1/documents", data=of_b, headers={"Content-Type": "application/xml"}, timeout=30
    )

    assert everything_of(there, b) == before
    if answered.status_code == 200:
        assert there.store.listed(answered.json()["document_id"]).institution == a.id  # type: ignore[union-attr]


def test_all_hospitals_studies_are_for_people_alone(all_there: Everybody) -> None:
    there, hospitals, _ = all_there
    for path in ("/dicom-web/studies", "/", "/hospitals", "/documents/x", "/metrics", "/studies", "/v1/images/wishes"):
        answered = hospitals[HOSPITALS[0]].http.get(there.url + path, timeout=20)
        assert answered.status_code in (404, 405), path


def test_an_endpoint_that_forgets_to_ask_answers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import frontend_agent.platform.api as api

    monkeypatch.setattr(api, "must_speak_for", lambda request, institution: None)
    with region(tmp_path / "platform") as there:
        member = there.member(tmp_path / "agent", HOSPITALS[0])
        with session(member) as http:
            answered = http.post(there.url + "/v1/heads", json={"institution": HOSPITALS[1], "set_ids": []}, timeout=20)

    assert answered.status_code == 500
    assert "heads" not in answered.text


def test_every_endpoint_for_agents_says_whom_it_concerns(all_there: Everybody) -> None:
    unconcerned = {one.path for one in theirs(all_there.there) if not one.concerns}
    assert unconcerned == {"/v1/dictionaries/{sha256}", "/v1/renewals"}
    assert {one.path for one in theirs(all_there.there) if one.who == "anyone"} == OPEN
    assert must_speak(None, "anybody") is None  # type: ignore[func-returns-value]


def test_a_second_machine_does_not_take_the_place_of_the_first_by_its_certificate_alone(all_there: Everybody) -> None:
    """A certificate lets in; which life of which state speaks is still decided by its lease (law 14)."""
    there, hospitals, other = all_there
    a = hospitals[HOSPITALS[0]]
    with session(other) as http:
        body = {"institution": a.id, "instance": a.instance, "lease": "0" * 64, "limit": 10}
        answered = http.post(there.url + wire.WANTED, json=body, timeout=20)
    assert answered.status_code == 409

"""What a hospital's agent may ask the platform of its own documents, by day and department, and what it says of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
import requests

from connectors.platform import PlatformDestination
from frontend_agent.errors import NotAllowed
from frontend_agent.model import Document, Outcome
from frontend_agent.platform.store import Store
from frontend_agent.wire import reconciliation
from frontend_agent.wire.parcel import Entry, entry, pack
from frontend_agent.wire.reconciliation import Digest, SaidDay, set_line
from tests.platform_kit import (
    HOSPITAL,
    FileMemory,
    destination,
    document,
    lease_of,
    post_parcel,
    put_dictionaries,
    running,
    say_hello,
)

KIND = "C0007"
DAY = 20260930


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "platform").open()
    yield opened
    opened.close()


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with running(store) as address:
        yield address


@pytest.fixture
def agent(url: str, tmp_path: Path) -> PlatformDestination:
    return destination(url, FileMemory(tmp_path / "agent.json"))


def placed(number: int, day: int = DAY, department: str = "检验科", version: int = 1, **more: Any) -> Document:
    return msgspec.structs.replace(document(number, version, **more), day=day, department=department)


def digest_of(*documents: Document) -> str:
    return Digest(set_line(one.set_id, one.version, one.sha256) for one in documents).hex


def delivered(agent: PlatformDestination, *documents: Document) -> None:
    assert {receipt.outcome for receipt in agent.send(documents)} <= {Outcome.STORED, Outcome.DUPLICATE}


def test_counts_and_digests_per_day_and_department(agent: PlatformDestination) -> None:
    here, there, later = (
        [placed(1), placed(2)],
        [placed(3, department="急诊科")],
        [placed(4, day=20261001), placed(5, day=20261101)],
    )
    delivered(agent, *here, *there, *later)

    counts = agent.counted(KIND, DAY, 20261001)

    assert counts is not None
    assert {(one.day, one.department): (one.documents, one.digest) for one in counts} == {
        (DAY, "检验科"): (2, digest_of(*here)),
        (DAY, "急诊科"): (1, digest_of(*there)),
        (20261001, "检验科"): (1, digest_of(later[0])),
    }
    assert agent.counted("C0002", DAY, 20261001) == []


def test_only_the_newest_version_counts_and_moves_with_its_day(agent: PlatformDestination) -> None:
    first = placed(1)
    second = placed(1, day=20261001, version=2)
    delivered(agent, first)
    delivered(agent, second)
    counts = agent.counted(KIND, DAY, 20261001)
    assert counts is not None
    assert [(one.day, one.documents, one.digest) for one in counts] == [(20261001, 1, digest_of(second))]


def test_the_sets_come_in_pages(agent: PlatformDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [placed(number) for number in range(1, 8)]
    delivered(agent, *documents, placed(9, department="急诊科"))
    monkeypatch.setattr("frontend_agent.platform.reconciliations.SETS_AT_ONCE", 3)
    found = list(agent.kept_sets(KIND, DAY, "检验科"))
    assert {(one.set_id, one.version, one.sha256) for one in found} == {
        (one.set_id, one.version, one.sha256) for one in documents
    }
    assert [one.set_id for one in found] == sorted(one.set_id for one in documents)


def test_a_document_without_a_day_is_in_no_day_and_proven_by_its_id(agent: PlatformDestination) -> None:
    one, never = document(1), document(2)
    delivered(agent, one)
    assert agent.counted(KIND, 19000101, 19001231) == []
    assert agent.proofs([one.document_id, never.document_id]) == {one.document_id: one.sha256, never.document_id: ""}


# -- never another institution's (threat C1) --------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["counts", "sets", "said"])
@pytest.mark.parametrize("lease", ["", "made up", "theirs"])
def test_nobody_asks_for_another_hospital(url: str, agent: PlatformDestination, what: str, lease: str) -> None:
    delivered(agent, placed(1))
    theirs = lease_of(say_hello(url, institution="87654321-0", instance="instance-9"))
    presented = theirs if lease == "theirs" else lease
    asked = {"kind": KIND, "first": DAY, "last": DAY}
    if what == "sets":
        asked = {"kind": KIND, "day": DAY, "department": "检验科"}
    elif what == "said":
        asked = {"at": "2026-10-01T00:00:00Z", "days": []}
    for instance in ("instance-1", "instance-9"):
        who = {"institution": HOSPITAL, "instance": instance, "lease": presented}
        answered = requests.post(f"{url}/v1/reconciliation/{what}", json=who | asked, timeout=10)
        assert answered.status_code == 409
        assert KIND not in answered.text
        assert "检验科" not in answered.text


def test_a_hospital_sees_its_own_only(url: str, agent: PlatformDestination) -> None:
    mine, theirs = placed(1), placed(2, institution="87654321-0")
    delivered(agent, mine)
    lease = lease_of(say_hello(url, institution="87654321-0", instance="instance-9"))
    put_dictionaries(url, [theirs])
    body = pack([theirs], "87654321-0", "instance-9", lease, placed=lambda document: True)
    assert post_parcel(url, body).status_code == 200

    counts = agent.counted(KIND, DAY, DAY)
    assert counts is not None
    assert [(one.documents, one.digest) for one in counts] == [(1, digest_of(mine))]
    assert [one.set_id for one in agent.kept_sets(KIND, DAY, "检验科")] == [mine.set_id]
    assert agent.proofs([theirs.document_id]) == {theirs.document_id: ""}


def test_a_superseded_agent_may_not_ask(url: str, agent: PlatformDestination) -> None:
    delivered(agent, placed(1))
    say_hello(url, instance="instance-2", machine="machine-2")
    with pytest.raises(NotAllowed, match="superseded"):
        agent.counted(KIND, DAY, DAY)


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": KIND, "first": DAY, "last": 20260101},
        {"kind": KIND, "first": 20000101, "last": DAY},
        {"kind": KIND, "first": 0, "last": 0},
        {"kind": KIND, "first": DAY, "last": 20261031},
        {"kind": KIND, "first": 20260231, "last": 20260301},
        {"kind": KIND, "first": "x", "last": DAY},
        {"kind": KIND, "first": DAY, "last": DAY, "more": 1},
        {"kind": "", "first": DAY, "last": DAY},
    ],
)
def test_a_question_that_is_none_is_refused(url: str, asked: dict[str, Any]) -> None:
    lease = lease_of(say_hello(url))
    who = {"institution": HOSPITAL, "instance": "instance-1", "lease": lease}
    assert requests.post(f"{url}/v1/reconciliation/counts", json=who | asked, timeout=10).status_code == 400


# -- older versions on either side ------------------------------------------------------------------------------------


def test_a_platform_that_knows_no_days_is_not_told_any_and_cannot_be_asked(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parcels are strict: an unknown field would have every document refused."""
    monkeypatch.setattr("frontend_agent.wire.greeting.DAYS", "nothing that this agent knows")
    agent = destination(url, FileMemory(tmp_path / "older.json"))
    seen: list[Entry] = []

    def spied(one: Document, placed: bool = False) -> Entry:
        seen.append(entry(one, placed))
        return seen[-1]

    monkeypatch.setattr("frontend_agent.wire.parcel.entry", spied)
    delivered(agent, placed(1))
    assert {(one.day, one.department) for one in seen} == {(0, "")}
    assert b'"day"' not in msgspec.json.encode(seen[0])


def test_without_the_endpoint_it_cannot_be_asked(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from frontend_agent.platform.api import Api

    every = Api.operations
    monkeypatch.setattr(Api, "operations", lambda self: [o for o in every(self) if "reconciliation" not in o.path])
    with running(store) as older:
        assert destination(older, FileMemory(tmp_path / "a.json")).counted(KIND, DAY, DAY) is None


def test_a_destination_that_may_not_have_all_of_it_is_not_told_the_day(url: str, tmp_path: Path, store: Store) -> None:
    agent = destination(url, FileMemory(tmp_path / "a.json"), places=lambda document: False)
    delivered(agent, placed(1))
    assert agent.counted(KIND, DAY, DAY) == []


def test_an_index_that_is_lost_learns_the_days_again(tmp_path: Path) -> None:
    folder = tmp_path / "rebuilt"
    store = Store(folder).open()
    with running(store) as address:
        delivered(destination(address, FileMemory(tmp_path / "b.json")), placed(1))
    store.close()
    for file in folder.glob("index.sqlite*"):
        file.unlink()
    store = Store(folder).open()
    try:
        with running(store) as address:
            counts = destination(address, FileMemory(tmp_path / "b.json", instance="instance-2")).counted(
                KIND, DAY, DAY
            )
            assert counts is not None
            assert [(one.department, one.documents) for one in counts] == [("检验科", 1)]
    finally:
        store.close()


# -- what agents say --------------------------------------------------------------------------------------------------


def test_what_an_agent_found_is_kept_beside_what_is_here(agent: PlatformDestination, store: Store) -> None:
    delivered(agent, placed(1), placed(2))
    said = SaidDay(
        feed="lab_report", kind=KIND, day=DAY, department="检验科", source=4, agent=3, delivered=2, explained=1, missed=1,
        differing=1, mended=0,
    )  # fmt: skip
    agent.say_reconciled("2026-10-01T03:30:00Z", [said])
    agent.say_reconciled("2026-10-02T03:30:00Z", [msgspec.structs.replace(said, agent=4, mended=1)])

    (row,) = store.reconciled()
    assert (row.institution, row.day, row.department, row.feed) == (HOSPITAL, DAY, "检验科", "lab_report")
    assert (row.source, row.agent, row.delivered, row.here, row.missed, row.mended) == (4, 4, 2, 2, 1, 1)
    assert row.said_at == "2026-10-02T03:30:00Z"
    assert store.reconciled(institution="87654321-0") == []
    assert store.reconciled(first=20261001) == []


def test_no_question_walks_through_the_documents(store: Store) -> None:
    """A county's platform holds millions of them."""
    seen: list[str] = []
    with apsw.Connection(str(store.folder / "index.sqlite")) as db:
        db.exec_trace = lambda cursor, sql, bindings: seen.append(sql) or True
        from frontend_agent.platform import reconciliations

        asked = {"institution": HOSPITAL, "instance": "i", "lease": "", "kind": KIND}
        reconciliations.counted(db, reconciliation.CountsAsked(**asked, first=DAY, last=DAY))
        reconciliations.kept_sets(db, reconciliation.SetsAsked(**asked, day=DAY, department=""))
        reconciliations.said(db, "", 0, DAY, False, 10)
        db.exec_trace = None
        for sql in seen:
            steps = [row[-1] for row in db.execute("EXPLAIN QUERY PLAN " + sql, (0,) * sql.count("?"))]
            assert not any(step.startswith(("SCAN document", "SCAN d")) for step in steps), steps

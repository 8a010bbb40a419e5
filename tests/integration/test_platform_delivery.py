"""Parcels in, receipts out: the laws of the exchange, over the real server and the real destination."""

import contextlib
import json
import os
import socket
import threading
import time
from hashlib import sha256

import msgspec
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent.errors import DestinationUnreachable, NotAllowed, RefusedWhole, StateError
from frontend_agent.formats import load_kind
from frontend_agent.model import Outcome
from frontend_agent.platform.catalogue import Search
from frontend_agent.platform.store import Store
from frontend_agent.wire.parcel import LogHead, assemble, entry, pack, unpack
from frontend_agent.wire.receipts import prove, read_countersignature, read_proof
from tests.faults import CUT_AFTER_COMMIT, CUT_BEFORE, DOWN, FOREIGN_REPLY, HALF_ANSWER, NONSENSE, SLOW, FaultProxy
from tests.platform_kit import (
    HOSPITAL,
    FileMemory,
    destination,
    dictionary,
    document,
    key_of,
    lease_of,
    post_parcel,
    put_dictionaries,
    running,
    say_hello,
    wrapped,
)

EVERYTHING = Search(all_versions=True)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "platform").open()
    yield store
    store.close()


@pytest.fixture
def platform(store):
    with running(store) as url:
        yield url


@pytest.fixture
def memory(tmp_path):
    return FileMemory(tmp_path / "agent.json")


@pytest.fixture
def agent(platform, memory):
    return destination(platform, memory)


def outcomes(receipts):
    return [one.outcome for one in receipts]


def parcel_files(store):
    return sorted((store.folder / "parcels").glob("*/*"))


# --- storing ----------------------------------------------------------------------------------------------------------


def test_documents_are_stored_as_they_came(store, agent):
    sent = [document(n) for n in range(20)]

    receipts = agent.send(sent)

    assert outcomes(receipts) == [Outcome.STORED] * 20
    assert [one.sha256 for one in receipts] == [one.sha256 for one in sent]
    for one in sent:
        assert sha256(store.document(one.document_id)).hexdigest() == one.sha256
    (parcel,) = parcel_files(store)
    assert all(one.frame in parcel.read_bytes() for one in sent)


def test_the_same_again_is_a_duplicate_with_the_same_receipt_and_nothing_new(store, agent):
    sent = [document(n) for n in range(5)]
    agent.send(sent)
    first = json.loads(agent.take_replies()[0].body)

    receipts = agent.send(sent)

    again = json.loads(agent.take_replies()[0].body)
    assert outcomes(receipts) == [Outcome.DUPLICATE] * 5
    assert again["receipts"] == first["receipts"]
    assert len(parcel_files(store)) == 1
    assert store.count(EVERYTHING) == 5


def test_old_and_new_travel_together(store, agent):
    agent.send([document(1)])
    receipts = agent.send([document(1), document(2), document(2)])
    assert outcomes(receipts) == [Outcome.DUPLICATE, Outcome.STORED, Outcome.DUPLICATE] or outcomes(receipts) == [
        Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.DUPLICATE,
    ]  # fmt: skip
    assert store.count(EVERYTHING) == 2


def test_the_same_version_with_other_bytes_is_refused_and_the_first_stays(store, agent):
    first, other = document(1), document(1, patient__name="李四")
    agent.send([first])

    receipts = agent.send([other, document(2)])

    assert outcomes(receipts) == [Outcome.REFUSED, Outcome.STORED]
    assert "conflict" in receipts[0].reasons[0]
    assert sha256(store.document(first.document_id)).hexdigest() == first.sha256


def test_two_contradictory_documents_in_one_parcel_do_not_both_get_in(store, agent):
    receipts = agent.send([document(1), document(1, patient__name="李四")])
    assert outcomes(receipts) == [Outcome.STORED, Outcome.REFUSED]
    assert store.count(EVERYTHING) == 1


def test_a_document_id_that_belongs_to_another_document_is_refused(agent):
    agent.send([document(1)])
    stolen = document(2, document_id=document(1).document_id)
    (receipt,) = agent.send([stolen])
    assert receipt.outcome == Outcome.REFUSED
    assert "another document" in receipt.reasons[0]


def test_a_later_version_may_come_first_and_is_listed_in_order(store, agent):
    agent.send([document(1, version=3)])
    agent.send([document(1, version=1)])
    agent.send([document(1, version=2)])

    one = document(1)
    assert [version.version for version in store.versions(HOSPITAL, one.set_id)] == [1, 2, 3]
    assert [listed.version for listed in store.documents(Search())] == [3]
    assert agent.heads([one.set_id])[one.set_id].version == 3


# --- refusing, exactly ------------------------------------------------------------------------------------------------


def test_every_reason_is_named_at_once_and_neighbours_go_on(platform):
    good, bad = document(1), document(2)
    lease = lease_of(say_hello(platform))
    put_dictionaries(platform, [good])
    lying = msgspec.structs.replace(
        entry(bad), sha256="0" * 64, version=9, kind="C0002", set_id="another set", document_id="D-9"
    )
    body = pack([good, bad], HOSPITAL, "instance-1", lease)
    index = msgspec.structs.replace(unpack(body).index, documents=[entry(good), lying])

    answer = post_parcel(platform, assemble(index, [good.frame, bad.frame])).json()

    refused = answer["receipts"][1]
    assert answer["receipts"][0]["outcome"] == "stored"
    assert refused["outcome"] == "refused"
    assert {reason.split(":")[0] for reason in refused["reasons"]} == {
        "set_id",
        "sha256",
        "document_id",
        "version",
        "kind",
    }


def test_a_document_of_another_hospital_is_refused(agent):
    foreign = msgspec.structs.replace(document(1, institution="99999999-9"), institution=HOSPITAL)
    (receipt,) = agent.send([foreign])
    assert receipt.outcome == Outcome.REFUSED
    assert receipt.reasons == ("institution: index and document header disagree",)


def test_what_is_no_document_of_ours_is_refused(agent, store):
    xml = b"<?xml version='1.0'?><other/>"
    bomb = wrapped(bytes(2 << 20), "D-2", "D", 2, "C0007", HOSPITAL)
    receipts = agent.send([wrapped(xml, "D-1", "D", 1, "C0007", HOSPITAL), bomb])
    assert [one.reasons[0].split(":")[0] for one in receipts] == ["header", "frame"]
    assert parcel_files(store) == []


def test_a_damaged_frame_is_refused_alone(agent):
    good, bad = document(1), document(2)
    bad = msgspec.structs.replace(bad, frame=bad.frame[:-5] + b"\0\0\0\0\0")
    assert outcomes(agent.send([bad, good])) == [Outcome.REFUSED, Outcome.STORED]


def test_an_unknown_dictionary_is_sent_once_and_kept(platform, memory, store):
    puts = []
    agent = destination(platform, memory)
    agent._dictionary = lambda name: puts.append(name) or dictionary(name)
    agent.send([document(1)])
    agent.send([document(2)])
    assert puts == [load_kind("C0007").dictionary_sha256]
    assert (store.folder / "dictionaries" / puts[0]).read_bytes() == load_kind("C0007").dictionary


def test_an_unknown_dictionary_is_named(platform):
    lease = lease_of(say_hello(platform))
    answer = post_parcel(platform, pack([document(1)], HOSPITAL, "instance-1", lease))
    assert answer.status_code == 424
    assert answer.json()["unknown_dictionaries"] == [load_kind("C0007").dictionary_sha256]


def test_a_dictionary_under_a_wrong_name_is_refused(platform):
    for name, content in (("0" * 64, b"abc"), ("../../etc", b"abc"), ("0" * 64, b"")):
        headers = {"Content-Type": "application/octet-stream"}
        answer = requests.put(f"{platform}/v1/dictionaries/{name}", data=content, headers=headers, timeout=5)
        assert answer.status_code in (400, 404)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"FEP1", 400), (b"garbage" * 99, 400), (b"FEP1\0\0\0\2{}", 400), (b"FEP1\xff\xff\xff\xff", 413)],
)
def test_what_is_no_parcel_is_refused_whole(platform, store, body, status):
    assert post_parcel(platform, body).status_code == status
    assert list((store.folder / "incoming").iterdir()) == []


def test_too_large_a_body_is_refused_while_it_arrives(platform, store):
    def endless():
        for _ in range(80):
            yield bytes(1 << 20)

    with contextlib.suppress(requests.ConnectionError):  # the server may stop reading, which is as good
        assert post_parcel(platform, endless()).status_code == 413
    assert list((store.folder / "incoming").iterdir()) == []


def test_a_form_from_a_foreign_page_is_not_taken(platform):
    for path in ("/v1/parcels", "/v1/hello", "/v1/heads"):
        assert (
            requests.post(platform + path, data="{}", headers={"Content-Type": "text/plain"}, timeout=5).status_code
            == 415
        )


# --- cut, slow, broken lines ------------------------------------------------------------------------------------------


def test_a_request_cut_anywhere_is_safe_to_repeat(platform, store):
    sent = [document(n) for n in range(3)]
    lease = lease_of(say_hello(platform))
    put_dictionaries(platform, sent)
    body = pack(sent, HOSPITAL, "instance-1", lease)
    host, port = platform.removeprefix("http://").split(":")
    head = (
        f"POST /v1/parcels HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/vnd.frontend-agent.parcel\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    for length in [*range(0, len(head) + len(body), 97), len(head) + len(body) - 1]:
        with socket.create_connection((host, int(port))) as line:
            line.sendall((head + body)[:length])
    deadline = time.monotonic() + 5
    while list((store.folder / "incoming").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert list((store.folder / "incoming").iterdir()) == []
    assert store.count(EVERYTHING) == 0
    assert [one["outcome"] for one in post_parcel(platform, body).json()["receipts"]] == ["stored"] * 3
    assert post_parcel(platform, body).json()["duplicates"] == [0, 1, 2]
    assert store.count(EVERYTHING) == 3


FAULTS = {
    DOWN: None, CUT_BEFORE: Outcome.UNANSWERED, CUT_AFTER_COMMIT: Outcome.UNANSWERED, HALF_ANSWER: Outcome.UNANSWERED,
    NONSENSE: Outcome.UNANSWERED, FOREIGN_REPLY: Outcome.UNANSWERED, 503: Outcome.RETRY, 502: Outcome.UNANSWERED,
    500: RefusedWhole, 413: RefusedWhole, 401: NotAllowed, 404: NotAllowed,
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_on_the_way_is_told_exactly_and_harms_nothing(platform, store, memory, fault):
    with FaultProxy(int(platform.rsplit(":", 1)[1])) as proxy:
        agent = destination(proxy.url, memory)
        agent.send([document(100)])
        proxy.next(fault)
        expected = FAULTS[fault]
        if isinstance(expected, Outcome):
            assert outcomes(agent.send([document(1), document(2)])) == [expected] * 2
        elif expected is None:
            # reset before it was read: only the platform knows that nothing arrived
            assert set(outcomes(agent.send([document(1), document(2)]))) == {Outcome.UNANSWERED}
        else:
            with pytest.raises(expected):
                agent.send([document(1), document(2)])
        after = outcomes(agent.send([document(1), document(2)]))
    assert set(after) <= {Outcome.STORED, Outcome.DUPLICATE}
    assert store.count(EVERYTHING) == 3


def test_a_slow_answer_is_unanswered(platform, memory):
    with FaultProxy(int(platform.rsplit(":", 1)[1]), delay=1.0) as proxy:
        agent = destination(proxy.url, memory)
        agent.hello()
        agent._http._seconds = 0.3
        proxy.next(SLOW)
        assert outcomes(agent.send([document(1)])) == [Outcome.UNANSWERED]


def test_no_platform_is_unreachable(memory):
    agent = destination("http://127.0.0.1:1", memory)
    for ask in (lambda: agent.send([document(1)]), agent.probe, lambda: agent.heads(["x"])):
        with pytest.raises(DestinationUnreachable):
            ask()


def test_another_web_server_is_not_our_platform(memory):
    with FaultProxy(1) as proxy:  # its upstream is not there
        proxy.always = NONSENSE
        with pytest.raises((DestinationUnreachable, NotAllowed, RefusedWhole)):
            destination(proxy.url, memory).send([document(1)])


def test_a_full_disk_is_a_request_to_come_back(tmp_path, memory):
    store = Store(tmp_path / "full", least_free=1 << 60).open()
    with running(store) as url:
        agent = destination(url, memory)
        assert outcomes(agent.send([document(1)])) == [Outcome.RETRY]
        store._least_free = 0
        assert outcomes(agent.send([document(1)])) == [Outcome.STORED]
    store.close()


def test_parcels_at_the_same_time_store_each_document_once(platform, store):
    sent = [document(n) for n in range(30)]
    lease = lease_of(say_hello(platform))
    put_dictionaries(platform, sent)
    body = pack(sent, HOSPITAL, "instance-1", lease)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(post_parcel(platform, body).json())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(answer["duplicates"]) for answer in answers) == [0] + [30] * 7
    assert store.count(EVERYTHING) == 30
    assert len(parcel_files(store)) == 1


# --- proofs -----------------------------------------------------------------------------------------------------------


def test_receipts_are_proven_offline_from_what_the_agent_kept(platform, memory):
    agent = destination(platform, memory, log_head=lambda: (41, "ab" * 32))
    sent = [document(n) for n in range(4)]
    receipts = agent.send(sent)
    (kept,) = agent.take_replies()
    key = agent.public_key

    assert kept.id == receipts[0].reply
    assert (kept.log_seq, kept.log_hash) == (41, "ab" * 32)
    assert read_countersignature(kept.evidence, key).log_head == LogHead(41, "ab" * 32)
    for receipt, one in zip(receipts, sent, strict=True):
        statement, leaf = read_proof(prove(kept.body, receipt.position), key)
        assert (leaf.document_id, leaf.sha256, leaf.outcome) == (one.document_id, one.sha256, "stored")
        assert statement.institution == HOSPITAL


def test_a_rewritten_log_is_not_countersigned_and_is_remembered(platform, memory, store):
    head = [5, "aa" * 32]
    agent = destination(platform, memory, log_head=lambda: tuple(head))
    agent.send([document(1)])
    head[:] = [5, "bb" * 32]
    agent.send([document(2)])
    head[:] = [4, "cc" * 32]
    agent.send([document(3)])
    head[:] = [6, "dd" * 32]
    agent.send([document(4)])

    assert [kept.log_seq for kept in agent.take_replies()] == [5, 0, 0, 6]
    assert HOSPITAL in store.disputed_logs()


def test_receipts_can_be_asked_for_by_id(agent):
    sent = [document(n) for n in range(3)]
    agent.send(sent)
    (kept,) = agent.take_replies()

    found = agent.receipts([*(one.document_id for one in sent), "never-sent"])

    assert [(one.document_id, one.sha256, one.outcome) for one in found] == [
        (one.document_id, one.sha256, Outcome.STORED) for one in sent
    ]
    assert json.loads(agent.take_replies()[0].body)["receipts"][:3] == json.loads(kept.body)["receipts"]
    assert agent.receipts([sent[0].document_id], institution="another") == []


def test_the_key_is_made_once_private_and_published(platform, store):
    path = store.folder / "platform.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert requests.get(f"{platform}/v1/key", timeout=5).content == (store.folder / "platform.pub").read_bytes()
    assert key_of(say_hello(platform)) == store.public_key


def test_a_changed_platform_key_is_noticed(tmp_path, memory):
    for name in ("first", "second"):
        store = Store(tmp_path / name).open()
        with running(store) as url:
            agent = destination(url, memory)
            if name == "first":
                agent.send([document(1)])
                agent.probe()
            else:
                with pytest.raises(NotAllowed, match="pinned"):
                    agent.send([document(2)])
                with pytest.raises(NotAllowed, match="pinned"):
                    agent.probe()
        store.close()


def test_a_key_changed_under_a_running_agent_proves_nothing(tmp_path, memory):
    store = Store(tmp_path / "p").open()
    with running(store) as url:
        agent = destination(url, memory)
        agent.send([document(1)])
        store.key = Ed25519PrivateKey.generate()
        assert outcomes(agent.send([document(2)])) == [Outcome.UNANSWERED]
        with pytest.raises(NotAllowed, match="pinned"):
            agent.send([document(2)])
    store.close()


# --- after a restart --------------------------------------------------------------------------------------------------


def test_everything_is_there_after_a_restart(tmp_path, memory):
    sent = [document(n) for n in range(3)]
    for expected in (Outcome.STORED, Outcome.DUPLICATE):
        store = Store(tmp_path / "p").open()
        with running(store) as url:
            assert outcomes(destination(url, memory).send(sent)) == [expected] * 3
        store.close()


def test_an_index_that_was_lost_is_made_again_from_the_parcels(tmp_path, memory):
    sent = [document(1), document(1, version=2), document(3, void=True)]
    store = Store(tmp_path / "p").open()
    with running(store) as url:
        agent = destination(url, memory)
        agent.send(sent[:2])
        agent.send(sent[2:])
        before = store.documents(EVERYTHING)
    store.close()
    for path in (tmp_path / "p").glob("index.sqlite*"):
        path.unlink()

    store = Store(tmp_path / "p").open()
    assert store.adopted == 2
    assert [one.document_id for one in store.documents(EVERYTHING)] == [one.document_id for one in before]
    assert store.documents(EVERYTHING)[0].stored_at[:16] == before[0].stored_at[:16]
    with running(store) as url:
        assert outcomes(destination(url, memory).send(sent)) == [Outcome.DUPLICATE] * 3
    store.close()


def test_a_parcel_stored_but_not_committed_is_found_at_start(tmp_path, memory):
    """The crash between the folder's fsync and the commit, by hand; the sweep does it for real."""
    store = Store(tmp_path / "p").open()
    with running(store) as url:
        destination(url, memory).send([document(1)])
    store._db.execute("DELETE FROM document; DELETE FROM parcel; DELETE FROM tally")
    store.close()

    store = Store(tmp_path / "p").open()
    assert store.adopted == 1
    assert store.count(EVERYTHING) == 1
    store.close()


def test_leftovers_are_cleared_and_a_torn_parcel_is_left_for_a_person(tmp_path):
    store = Store(tmp_path / "p").open()
    store.close()
    (tmp_path / "p" / "incoming" / "abc").write_bytes(b"half")
    (tmp_path / "p" / "parcels" / "0000").mkdir()
    torn = tmp_path / "p" / "parcels" / "0000" / "00000007.fep"
    torn.write_bytes(b"FEP1half")

    store = Store(tmp_path / "p").open()
    assert store.damaged == [torn]
    assert torn.exists()
    assert list((tmp_path / "p" / "incoming").iterdir()) == []
    store.close()


def test_a_second_platform_on_the_same_folder_is_refused(store):
    with pytest.raises(StateError, match="another platform"):
        Store(store.folder).open()


def test_a_damaged_parcel_is_said_not_shown(store, agent):
    one = document(1)
    agent.send([one])
    path = parcel_files(store)[0]
    body = bytearray(path.read_bytes())
    body[-20] ^= 0xFF
    path.write_bytes(body)
    with pytest.raises(StateError, match="damaged"):
        store.document(one.document_id)


def test_many_parcels_fill_several_folders(store, agent, monkeypatch):
    monkeypatch.setattr("frontend_agent.platform.catalogue.PER_FOLDER", 2)
    monkeypatch.setattr("frontend_agent.platform.store.PER_FOLDER", 2)
    for n in range(5):
        agent.send([document(n)])
    assert len({path.parent for path in parcel_files(store)}) == 3
    assert all(store.document(document(n).document_id) for n in range(5))
    assert os.listdir(store.folder / "incoming") == []

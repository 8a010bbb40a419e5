"""Who may speak for a hospital: rotation, lost answers, copies, successors (law 14)."""

import shutil

import pytest

from frontend_agent.errors import NotAllowed
from frontend_agent.model import Outcome
from frontend_agent.platform.store import Store
from frontend_agent.wire.parcel import pack
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


@pytest.fixture
def platform(tmp_path):
    store = Store(tmp_path / "platform").open()
    with running(store) as url:
        yield url
    store.close()


@pytest.fixture
def store_and_url(tmp_path):
    store = Store(tmp_path / "platform").open()
    with running(store) as url:
        yield store, url
    store.close()


def deliver(url: str, lease: str, number: int = 1, instance: str = "instance-1") -> int:
    put_dictionaries(url, [document(number)])
    return post_parcel(url, pack([document(number)], HOSPITAL, instance, lease)).status_code


def test_the_lease_changes_with_every_hello(platform):
    first = lease_of(say_hello(platform))
    second = lease_of(say_hello(platform, lease=first))
    assert len({first, second}) == 2
    assert deliver(platform, second) == 200


def test_a_lost_answer_is_harmless(platform):
    first = lease_of(say_hello(platform))
    deliver(platform, first)
    for _ in range(3):
        say_hello(platform, lease=first)  # the answers are lost
        assert deliver(platform, first) == 200  # the agent goes on with what it has
    third = lease_of(say_hello(platform, lease=first))
    assert deliver(platform, third) == 200


def test_once_the_new_lease_is_in_use_the_old_one_is_dead(platform):
    first = lease_of(say_hello(platform))
    second = lease_of(say_hello(platform, lease=first))
    deliver(platform, second)
    refused = say_hello(platform, lease=first)
    assert refused.status_code == 409
    assert refused.json()["error"] == "copied-state"
    assert refused.json()["holder"]["machine"] == "machine-1"
    assert refused.json()["holder"]["last_seen"]
    assert deliver(platform, first) == 409


@pytest.mark.parametrize("lease", ["", "made up", "0" * 64])
def test_a_wrong_lease_delivers_nothing(platform, lease):
    say_hello(platform)
    assert deliver(platform, lease) == 409


def test_who_never_said_hello_is_told_to(platform):
    answer = post_parcel(platform, pack([document(1)], HOSPITAL, "stranger", ""))
    assert (answer.status_code, answer.json()["error"]) == (409, "hello-first")


def test_a_copy_on_another_machine_is_refused_with_who_and_when(platform):
    lease = lease_of(say_hello(platform))
    refused = say_hello(platform, lease=lease, machine="machine-2")
    assert refused.status_code == 409
    assert refused.json()["error"] == "other-machine"
    assert "machine-1" in refused.json()["detail"]
    assert deliver(platform, lease) == 200  # the original is not hurt


def test_of_two_copies_on_cloned_machines_one_is_found_out(platform, tmp_path):
    memory = FileMemory(tmp_path / "agent.json")
    destination(platform, memory).send([document(1)])
    shutil.copy(tmp_path / "agent.json", tmp_path / "copy.json")
    original, copy = destination(platform, memory), destination(platform, FileMemory(tmp_path / "copy.json"))

    assert original.send([document(2)])[0].outcome == Outcome.STORED
    with pytest.raises(NotAllowed, match="copy"):
        copy.send([document(3)])
    assert original.send([document(4)])[0].outcome == Outcome.STORED


def test_a_state_restored_from_a_backup_is_refused(platform, tmp_path):
    memory = FileMemory(tmp_path / "agent.json")
    destination(platform, memory).send([document(1)])
    backup = (tmp_path / "agent.json").read_text()
    for number in (2, 3):
        destination(platform, memory).send([document(number)])
    (tmp_path / "agent.json").write_text(backup)
    with pytest.raises(NotAllowed, match="restored"):
        destination(platform, memory).send([document(4)])


def test_a_new_instance_supersedes_the_older_which_is_told_so(platform):
    old = lease_of(say_hello(platform))
    new = lease_of(say_hello(platform, instance="instance-2", machine="machine-2"))
    assert deliver(platform, new, instance="instance-2") == 200
    for refused in (
        say_hello(platform, lease=old),
        post_parcel(platform, pack([document(9)], HOSPITAL, "instance-1", old)),
    ):
        assert refused.status_code == 409
        assert refused.json()["error"] == "superseded"
        assert "instance-2" in refused.json()["detail"]


def test_hospitals_do_not_disturb_each_other(platform):
    one = lease_of(say_hello(platform))
    lease_of(say_hello(platform, institution="another", instance="instance-9"))
    assert deliver(platform, one) == 200


def test_an_agent_that_lost_its_state_learns_what_is_there(platform, tmp_path):
    sent = [document(1), document(1, version=2), document(2, void=True)]
    destination(platform, FileMemory(tmp_path / "agent.json")).send(sent)

    reborn = destination(platform, FileMemory(tmp_path / "reborn.json", instance="instance-2"))
    reborn.hello()
    heads = reborn.heads([sent[0].set_id, sent[2].set_id, "never"])

    assert set(heads) == {sent[0].set_id, sent[2].set_id}
    assert (heads[sent[0].set_id].version, heads[sent[0].set_id].source_hash) == (2, sent[1].source_hash)
    assert heads[sent[0].set_id].document_id == sent[1].document_id
    assert heads[sent[2].set_id].void
    assert [one.outcome for one in reborn.send(sent)] == [Outcome.DUPLICATE] * 3


def test_heads_are_asked_in_chunks(platform, tmp_path):
    agent = destination(platform, FileMemory(tmp_path / "agent.json"))
    sent = [document(n) for n in range(3)]
    agent.send(sent)
    asked = [f"unknown-{n}" for n in range(450)] + [one.set_id for one in sent]
    assert len(agent.heads(asked)) == 3


def test_a_platform_that_forgot_its_agents_is_greeted_again(tmp_path):
    memory = FileMemory(tmp_path / "agent.json")
    store = Store(tmp_path / "p").open()
    with running(store) as url:
        agent = destination(url, memory)
        agent.send([document(1)])
        store._db.execute("DELETE FROM agent")
        assert agent.send([document(2)])[0].outcome == Outcome.STORED
    store.close()


def test_an_operator_admits_an_agent_after_the_platform_was_restored(store_and_url, tmp_path):
    store, url = store_and_url
    memory = FileMemory(tmp_path / "agent.json")
    destination(url, memory).send([document(1)])
    store._db.execute("UPDATE agent SET current = 'older', previous = 'older still'")
    with pytest.raises(NotAllowed):
        destination(url, memory).send([document(2)])

    beside = Store(store.folder).open(alone=False)  # as the command does it, beside the running server
    assert beside.admit(HOSPITAL)
    assert not beside.admit("nobody")
    beside.close()

    assert destination(url, memory).send([document(2)])[0].outcome == Outcome.STORED


def test_leases_are_not_readable_from_the_platforms_disk(store_and_url):
    store, url = store_and_url
    lease = lease_of(say_hello(url))
    for path in store.folder.rglob("*"):
        if path.is_file():
            assert lease.encode() not in path.read_bytes()


def test_names_that_are_no_names_are_refused(platform):
    for institution in ("", "a\nb", "x" * 65, "\x7f"):
        assert say_hello(platform, institution=institution).status_code == 400

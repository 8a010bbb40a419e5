"""A machine joins, delivers by its certificate, renews, is revoked; the region exchanges its root without a failed upload
(threats C3, C4; real TLS on loopback)."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.joining import Joining, first_authorities
from connectors.outlets.http import Tls
from frontend_agent.certificates import read_token
from frontend_agent.errors import DestinationUnreachable, NotAllowed
from frontend_agent.model import Outcome
from frontend_agent.platform.server import AgentsListening
from frontend_agent.renewing import Renewing
from frontend_agent.spool.membership import Membership, memberships
from frontend_agent.wire.joining import SKEW_HEADER, TIME_HEADER, EnrolmentAsked
from tests.joining_kit import (
    NAMES,
    Region,
    destination,
    join,
    joined_long_ago,
    new_authority,
    region,
    session,
    until,
    utc_now,
)
from tests.platform_kit import document

A, B = "470000001", "470000002"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Region]:
    with region(tmp_path / "platform") as found:
        yield found


def test_a_machine_joins_and_delivers_by_its_certificate(there: Region, tmp_path: Path) -> None:
    member = there.member(tmp_path / "agent", A)
    agent = destination(member, A)

    agent.probe()
    (receipt,) = agent.send([document(1, institution=A)])

    assert receipt.outcome == Outcome.STORED
    assert member.chain()[0].not_valid_after_utc - utc_now() > timedelta(days=89)
    assert [one.last_seen != "" for one in there.registry.certificates()] == [True]
    for file in member.folder.iterdir():
        assert file.name == "memory.json" or not file.stat().st_mode & 0o077, file.name
    assert not (member.folder / "next.key").exists()


def test_the_key_never_leaves_the_machine(there: Region, tmp_path: Path) -> None:
    member = there.member(tmp_path / "agent", A)
    key = member.own_file.read_bytes().split(b"-----END PRIVATE KEY")[0].splitlines()[1]

    for file in there.state.rglob("*"):
        if file.is_file():
            assert key not in file.read_bytes(), file


def test_who_stands_between_learns_no_token(there: Region, tmp_path: Path) -> None:
    token = read_token(there.token(A))
    with region(tmp_path / "other") as other:  # another platform, at the address that was typed
        with pytest.raises(NotAllowed, match="is not the platform that the token is of"):
            first_authorities(other.url, token.root)
        assert not other.registry.enrolments()


def test_an_answer_that_was_lost_is_asked_for_again(there: Region, tmp_path: Path) -> None:
    token = there.registry.make_token([A], timedelta(hours=1))
    one = Membership(tmp_path / "agent", there.url)
    one.trust(first_authorities(there.url, token.root))
    asking = Joining(there.url, lambda: Tls(ca=str(one.ca_file)))
    from frontend_agent.certificates import request_of

    asked = EnrolmentAsked(token=token.secret, request=request_of(one.next_key()).decode(), institution=A)
    lost = asking.enrol(asked)  # the machine lost its power here

    member = join(there.url, tmp_path / "agent", token, A)

    assert member.own_file.read_text().endswith(lost.enrolled.certificate)
    assert len(there.registry.certificates()) == 1


def test_without_a_certificate_nothing_but_joining_is_answered(there: Region, tmp_path: Path) -> None:
    roots = str(there.roots(tmp_path))
    from requests import Session

    with Session() as stranger:
        stranger.trust_env = False
        for one in there.operations:
            if one.who == "anyone" or "{" in one.path:
                continue
            answered = stranger.request(one.method, there.url + one.path, verify=roots, timeout=20)
            assert answered.status_code in (401, 404), one.path
        assert stranger.get(there.url + "/v1/authorities", verify=roots, timeout=20).status_code == 200
        assert stranger.get(there.url + "/healthz", verify=roots, timeout=20).json()["documents"] == 0


def test_people_are_served_on_this_machine_and_agents_are_not(there: Region) -> None:
    import requests

    assert requests.get(there.pages + "/", timeout=20).status_code == 200
    assert requests.post(there.pages + "/v1/hello", json={}, timeout=20).status_code in (404, 405)


def test_a_certificate_is_renewed_at_half_life_without_a_restart(there: Region, tmp_path: Path) -> None:
    member = there.member(tmp_path / "agent", A)
    agent = destination(member, A)
    assert agent.send([document(1, institution=A)])[0].outcome == Outcome.STORED
    before = member.chain()[0]
    looks = Renewing(tmp_path / "agent", utc_now)

    assert not looks.renew(member)  # it is not time yet
    at_half = Renewing(tmp_path / "agent", lambda: utc_now() + timedelta(days=46))
    assert at_half.renew(member)

    assert member.chain()[0] != before
    assert agent.send([document(2, institution=A)])[0].outcome == Outcome.STORED  # the same destination, as it stood
    new, old = there.registry.certificates()
    assert new.replaced_at == ""
    assert new.first_seen
    assert old.replaced_at
    assert [one.folder.name for one in memberships(tmp_path / "agent")] == [member.folder.name]


def test_a_platform_that_is_away_for_thirty_days_finds_its_machines_again(tmp_path: Path) -> None:
    """Half-life was thirty days ago, and every look since then has failed. The platform comes back on the 75th day of 90."""
    at = AgentsListening(tls=(("127.0.0.1", 0),), names=NAMES)
    with region(tmp_path / "platform", at) as found:
        member = joined_long_ago(found, tmp_path / "agent", timedelta(days=75), A)
        port = int(found.url.rpartition(":")[2])
    before = member.chain()[0]
    remembered: dict[str, str] = {}
    looks = Renewing(tmp_path / "agent", utc_now, remembered.__setitem__)
    with pytest.raises(DestinationUnreachable):
        looks.renew(member)
    looks.look()  # nothing of it raises
    assert "no connection" in remembered[f"certificate:{member.folder.name}"]

    with region(tmp_path / "platform", AgentsListening(tls=(("127.0.0.1", port),), names=NAMES)):
        assert destination(member, A).send([document(1, institution=A)])[0].outcome == Outcome.STORED
        looks.look()
        assert remembered[f"certificate:{member.folder.name}"] == ""
        assert member.chain()[0] != before
        assert member.chain()[0].not_valid_after_utc > utc_now() + timedelta(days=89)
        assert destination(member, A).send([document(2, institution=A)])[0].outcome == Outcome.STORED


def test_revoked_is_out_at_the_next_request(there: Region, tmp_path: Path) -> None:
    member, other = there.member(tmp_path / "a", A), there.member(tmp_path / "b", B)
    with session(member) as theirs:
        url = there.url + f"/v1/receipts?institution={A}&document_id=x"
        assert theirs.get(url, timeout=20).status_code == 200
        there.registry.revoke(A, "wang", "the machine was stolen")

        answered = theirs.get(url, timeout=20)  # over the connection that stands

    assert (answered.status_code, answered.json()["error"]) == (401, "certificate")
    assert "stolen" in answered.json()["detail"]
    with pytest.raises(NotAllowed, match="stolen"):
        destination(member, A).send([document(1, institution=A)])
    assert destination(other, B).send([document(1, institution=B)])[0].outcome == Outcome.STORED


def test_the_root_is_exchanged_without_a_failed_upload(there: Region, tmp_path: Path) -> None:
    member = there.member(tmp_path / "agent", A)
    agent, looks = destination(member, A), Renewing(tmp_path / "agent", utc_now)
    looks.renew(member)
    outcomes: list[Outcome] = []
    failed: list[str] = []
    stop = threading.Event()

    def uploads() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                outcomes.extend(one.outcome for one in agent.send([document(number, institution=A)]))
            except NotAllowed as error:
                failed.append(str(error))

    sending = threading.Thread(target=uploads)
    sending.start()
    before = there.registry.list_of_trusted().digest
    try:
        there.registry.add_authority(new_authority("Next"), "next")
        assert there.registry.switch()  # not before the machine trusts it
        served = _served(there, tmp_path)
        looks.renew(member)  # its look of every five minutes
        looks.renew(member)  # and by the next it has said so
        assert there.registry.switch() == []
        until(lambda: _served(there, tmp_path) != served)
        assert there.registry.retire()  # not before the machine has one of the new
        assert looks.renew(member)  # told to
        assert there.registry.retire() == []
        looks.renew(member)
        until(lambda: len(outcomes) > 20)
        count = len(outcomes)
        until(lambda: len(outcomes) > count + 5)
    finally:
        stop.set()
        sending.join()

    assert failed == []
    assert set(outcomes) == {Outcome.STORED}
    assert member.agreed.digest == there.registry.list_of_trusted().digest != before
    assert len(member.roots()) == 1


def _served(there: Region, folder: Path) -> str:
    import ssl

    return ssl.get_server_certificate(("127.0.0.1", int(there.url.rpartition(":")[2])))


@pytest.mark.parametrize(("ahead", "told"), [(0, ""), (200, ""), (-200, ""), (900, "900"), (-900, "-900")])
def test_a_wrong_clock_is_told_with_every_answer(there: Region, tmp_path: Path, ahead: int, told: str) -> None:
    member = there.member(tmp_path / "agent", A)
    with session(member) as theirs:
        clock = (utc_now() + timedelta(seconds=ahead)).isoformat(timespec="seconds")
        answered = theirs.get(there.url + "/healthz", headers={TIME_HEADER: clock}, timeout=20)

    said = answered.headers.get(SKEW_HEADER, "")
    assert abs(int(said or 0) - int(told or 0)) <= 3
    assert bool(said) == bool(told)
    if told:
        assert abs(there.registry.certificates()[0].skew - ahead) <= 3


def test_an_agent_with_a_wrong_clock_remembers_it(
    there: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import connectors.joining

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Ahead":
            return cls.fromtimestamp(utc_now().timestamp() + 1000, tz)  # type: ignore[arg-type]

    member = there.member(tmp_path / "agent", A)
    monkeypatch.setattr(connectors.joining, "datetime", Ahead)
    remembered: dict[str, str] = {}
    Renewing(tmp_path / "agent", utc_now, remembered.__setitem__).look()

    assert 995 < int(remembered[f"skew:{member.folder.name}"]) < 1005


def test_a_machine_of_several_institutions_speaks_for_each(there: Region, tmp_path: Path) -> None:
    member = there.member(tmp_path / "agent", A, B)
    agent = destination(member, A)

    receipts = agent.send([document(1, institution=A), document(1, institution=B)])

    assert [one.outcome for one in receipts] == [Outcome.STORED] * 2


def test_ten_wrong_tokens_from_one_address(there: Region, tmp_path: Path) -> None:
    roots = there.roots(tmp_path)
    from requests import Session

    with Session() as stranger:
        stranger.trust_env = False
        body = {"token": "x" * 43, "request": "none"}
        statuses = [
            stranger.post(there.url + "/v1/enrolments", json=body, verify=str(roots), timeout=20).status_code
            for _ in range(12)
        ]

    assert statuses == [403] * 10 + [429] * 2

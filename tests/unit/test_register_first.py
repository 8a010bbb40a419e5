"""Registrations go first: a document waits at a destination until what it names was accepted there, and never for ever."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from pipe import NOW, document, id_of, later, taken
from test_spool_scale import instructions

from frontend_agent.identity import set_id
from frontend_agent.model import Document, Outcome, Receipt
from frontend_agent.registrations import Names
from frontend_agent.spool import Spool
from frontend_agent.spool.registering import AT_ONCE

REGION, CITY = "region", "city"
PATIENT, DOCTOR, HOSPITAL = "patient:7", "staff:D1", "institution:H"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state", reserve=0).open() as opened:
        yield opened


def put(
    spool: Spool, *documents: Document, needs: tuple[str, ...] = (), provides: tuple[str, ...] = (), first: tuple[str, ...] = (),
    destinations: tuple[str, ...] = (REGION,),
) -> None:  # fmt: skip
    named = {one.document_id: Names(needs, provides) for one in documents}
    spool.commit(taken(*documents, destinations=destinations, names=named, register_first={REGION: first}))


def answer(spool: Spool, outcome: Outcome = Outcome.ACCEPTED, name: str = REGION) -> list[str]:
    claimed = spool.claim(name, now=NOW)
    spool.settle(name, [Receipt(one.document.document_id, outcome) for one in claimed], now=NOW)
    return [one.document.key for one in claimed]


def states(spool: Spool, name: str = REGION) -> dict[str, int]:
    counted = dict(
        spool._database._connection.execute(
            "SELECT v.state, count(*) FROM delivery v JOIN destination t ON t.id = v.destination WHERE t.name = ? GROUP BY 1",
            (name,),
        ).fetchall()
    )
    assert {
        state: n for state, n in spool.counts().deliveries.get(name, {}).items() if n
    } == counted  # tallies are true
    return counted


def test_a_document_waits_for_what_it_names_and_goes_in_the_commit_that_accepts_it(spool: Spool) -> None:
    put(spool, document("a"), needs=(PATIENT, DOCTOR))
    assert states(spool) == {"awaiting": 1}
    assert answer(spool) == []
    assert (spool.pending(REGION), spool.moving(REGION)) == (1, 0)

    put(spool, document("p"), provides=(PATIENT,))
    assert answer(spool) == ["p"]
    assert states(spool) == {"accepted": 1, "awaiting": 1}
    count, longest = spool.wanted(REGION)
    assert (count, [(one.name, one.documents, one.since) for one in longest]) == (1, [(DOCTOR, 1, NOW)])

    put(spool, document("d"), provides=(DOCTOR,))
    assert answer(spool) == ["d"]
    assert states(spool) == {"accepted": 2, "ready": 1}
    assert answer(spool) == ["a"]
    assert spool.wanted(REGION) == (0, [])


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNANSWERED, Outcome.RETRY])
def test_a_registration_that_was_not_accepted_lets_nothing_go(spool: Spool, outcome: Outcome) -> None:
    put(spool, document("p"), provides=(PATIENT,))
    put(spool, document("a"), needs=(PATIENT,))
    answer(spool, outcome)
    assert states(spool)["awaiting"] == 1


def test_what_was_registered_before_is_not_waited_for(spool: Spool) -> None:
    put(spool, document("p"), provides=(PATIENT,))
    answer(spool)
    put(spool, document("a"), needs=(PATIENT,))
    assert answer(spool) == ["a"]


def test_only_there_where_registrations_go_first_and_only_for_the_classes_named(spool: Spool) -> None:
    put(spool, document("a"), needs=(PATIENT, DOCTOR), first=("patient",), destinations=(REGION, CITY))
    assert states(spool, CITY) == {"ready": 1}
    put(spool, document("p"), provides=(PATIENT,), destinations=(CITY,))
    answer(spool, name=CITY)
    assert states(spool) == {"awaiting": 1}  # the city knows the patient, the region does not
    put(spool, document("q"), provides=(PATIENT,))
    answer(spool)
    assert answer(spool) == ["a"]


def test_versions_keep_their_order_while_they_wait(spool: Spool) -> None:
    put(spool, document("a"), needs=(PATIENT,))
    put(spool, document("a", 2), needs=(PATIENT, DOCTOR))
    assert states(spool) == {"awaiting": 1, "behind": 1}
    put(spool, document("p"), provides=(PATIENT,))
    answer(spool)
    assert [spool.claim(REGION, now=NOW)[0].document.version] == [1]
    spool.settle(REGION, [Receipt(id_of("a"), Outcome.ACCEPTED)], now=NOW)
    assert states(spool) == {"accepted": 2, "awaiting": 1}  # the second version names a doctor besides
    put(spool, document("d"), provides=(DOCTOR,))
    answer(spool)
    assert [one.document.version for one in spool.claim(REGION, now=NOW)] == [2]


def test_a_person_says_that_it_is_known_there(spool: Spool) -> None:
    put(spool, document("a"), needs=(HOSPITAL,))
    assert spool.registered(REGION, [HOSPITAL], "li", "entered by their operator", later(hours=1)) == (1, 1)
    assert spool.registered(REGION, [HOSPITAL], "li", "twice", later(hours=1)) == (0, 0)
    assert answer(spool) == ["a"]
    put(spool, document("b"), needs=(HOSPITAL,))
    assert answer(spool) == ["b"]
    entries = [msgspec.json.decode(entry.body) for entry in spool.log_entries()]
    assert [entry["who"] for entry in entries if entry["event"] == "registered"] == ["li", "li"]


def test_a_word_that_comes_later_lets_go_too(spool: Spool) -> None:
    put(spool, document("p"), provides=(PATIENT,))
    put(spool, document("a"), needs=(PATIENT,))
    answer(spool, Outcome.UNANSWERED)
    assert states(spool) == {"uncertain": 1, "awaiting": 1}
    spool.accepted.confirm(REGION, [id_of("p")], "asked", NOW)
    assert states(spool) == {"delivered": 1, "ready": 1}


def test_who_stops_waiting_is_not_waited_with(spool: Spool) -> None:
    put(spool, document("a"), needs=(PATIENT,))
    spool._database.execute("UPDATE delivery SET state = 'discarded'")
    spool._database.execute("UPDATE tally SET n = 0 WHERE name = 'awaiting'")
    spool._database.execute("INSERT OR REPLACE INTO tally VALUES ('delivery:region', 'discarded', 1)")
    assert spool.wanted(REGION) == (0, [])
    assert states(spool) == {"discarded": 1}


def test_it_survives_a_restart(spool: Spool) -> None:
    put(spool, document("a"), needs=(PATIENT,))
    spool.close()
    spool.open()
    put(spool, document("p"), provides=(PATIENT,))
    assert answer(spool) == ["p"]
    assert answer(spool) == ["a"]


def many(spool: Spool, first: int, count: int, needs: tuple[str, ...]) -> None:
    like = document("like", frame=b"x" * 40)
    for start in range(first, first + count, 500):
        made = []
        for n in range(start, min(start + 500, first + count)):
            named = set_id("H", "1", "C0007", str(n))
            made.append(
                msgspec.structs.replace(like, set_id=named, document_id=f"{named}-1", key=str(n), order_key=named)
            )
        put(spool, *made, needs=needs)


@pytest.mark.parametrize("waiting", [pytest.param(12_000), pytest.param(100_000, marks=pytest.mark.release)])
def test_however_many_wait_a_registration_that_comes_lets_them_go_some_at_once(spool: Spool, waiting: int) -> None:
    many(spool, 0, 500, (HOSPITAL,))
    asking = instructions(spool, lambda: (spool.counts(), spool.wanted(REGION), spool.moving(REGION)))
    claiming = instructions(spool, lambda: spool.claim(REGION, now=NOW))
    many(spool, 500, waiting - 500, (HOSPITAL,))
    assert instructions(spool, lambda: (spool.counts(), spool.wanted(REGION), spool.moving(REGION))) <= asking * 1.2
    assert instructions(spool, lambda: spool.claim(REGION, now=NOW)) <= claiming * 1.2
    assert spool.wanted(REGION)[1][0].documents == waiting

    put(spool, document("h"), provides=(HOSPITAL,))
    assert answer(spool) == ["h"]
    assert states(spool)["ready"] == AT_ONCE
    rounds = 0
    while "awaiting" in states(spool):
        spool.claim(REGION, 1, now=NOW, lease=timedelta(seconds=1))
        rounds += 1
    assert rounds == -(-waiting // AT_ONCE) - 1
    assert spool.wanted(REGION) == (0, [])

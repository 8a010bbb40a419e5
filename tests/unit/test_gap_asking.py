"""Questions across a gap: who waits, who has gone, and what is remembered for him. And a parcel that is refused whole, halved outside."""

import threading
import time
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.outlets.http import Answer
from frontend_agent.alarms.model import Facts, GapFacts, Level
from frontend_agent.alarms.rules import judge
from frontend_agent.config_alarms import AlarmsConfig
from frontend_agent.crossing.asking import Asking
from frontend_agent.crossing.halving import NotNow, halve
from frontend_agent.crossing.outer import _may_ask
from frontend_agent.errors import DestinationUnreachable
from frontend_agent.wire.crossing import Request
from frontend_agent.wire.parcel import pack, unpack
from frontend_agent.wire.receipts import Leaf, public_bytes, read_reply, seal
from tests.platform_kit import HOSPITAL, document

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


class Ferry:
    """Requests that went, by their ids."""

    def __init__(self, wait: float = 0.2) -> None:
        self.sent: list[str] = []
        self.asking = Asking(self._send, lambda: None, wait)

    def _send(self, request: str, destination: str, method: str, path: str, body: bytes, media_type: str) -> None:
        self.sent.append(request)

    def ask(self, path: str = "/v1/heads") -> bytes:
        return self.asking.ask("platform", "POST", path, b"{}", "application/json").body


def test_who_asks_gets_his_answer() -> None:
    ferry = Ferry(wait=10.0)
    threading.Timer(0.1, lambda: ferry.asking.answered(ferry.sent[0], Answer(200, {}, b"yes"))).start()
    assert ferry.ask() == b"yes"
    assert len(ferry.sent) == 1


def test_a_late_answer_is_there_for_who_asks_the_same_again_and_the_question_goes_once() -> None:
    ferry = Ferry()
    for _ in range(3):
        with pytest.raises(DestinationUnreachable, match="not answered yet"):
            ferry.ask()
    assert len(ferry.sent) == 1
    assert ferry.asking.answered(ferry.sent[0], Answer(200, {}, b"late"))
    assert (ferry.ask(), ferry.ask()) == (b"late", b"late")
    assert len(ferry.sent) == 1


def test_the_answer_to_a_hello_is_good_for_one_hello() -> None:
    ferry = Ferry()
    with pytest.raises(DestinationUnreachable):
        ferry.ask("/v1/hello")
    ferry.asking.answered(ferry.sent[0], Answer(200, {}, b"lease"))
    assert ferry.ask("/v1/hello") == b"lease"
    with pytest.raises(DestinationUnreachable):
        ferry.ask("/v1/hello")
    assert len(ferry.sent) == 2


def test_an_answer_that_came_in_time_is_not_remembered() -> None:
    ferry = Ferry(wait=5.0)
    threading.Timer(0.1, lambda: ferry.asking.answered(ferry.sent[0], Answer(200, {}, b"1"))).start()
    ferry.ask()
    threading.Timer(0.1, lambda: ferry.asking.answered(ferry.sent[1], Answer(200, {}, b"2"))).start()
    assert ferry.ask() == b"2"


def test_questions_that_are_sent_together_come_back_together() -> None:
    ferry = Ferry()
    for path in ("/v1/heads", "/v1/receipts"):
        ferry.asking.begin("platform", "POST", path, b"{}", "application/json")
    for number in (1, 0):
        ferry.asking.answered(ferry.sent[number], Answer(200, {}, b"%d" % number))
    assert (ferry.ask("/v1/heads"), ferry.ask("/v1/receipts")) == (b"0", b"1")
    assert len(ferry.sent) == 2


def test_nobody_waits_for_a_life_that_is_over_or_an_agent_that_stops() -> None:
    ferry = Ferry(wait=30.0)
    for end in (ferry.asking.forget, ferry.asking.end):
        threading.Timer(0.1, end).start()
        began = time.monotonic()
        with pytest.raises(DestinationUnreachable):
            ferry.ask()
        assert time.monotonic() - began < 5
    assert len(ferry.sent) == 2
    assert not ferry.asking.answered("unknown", Answer(200, {}, b""))


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("POST", "/v1/parcels", True),
        ("GET", "/v1/receipts?institution=1&document_id=2", True),
        ("PUT", "/v1/dictionaries/abc", True),
        ("PUT", "/v1/dictionaries/../admin", False),
        ("GET", "/admin", False),
        ("DELETE", "/v1/parcels", False),
        ("POST", "/v1/enrolments", False),
        ("GET", "/v1/receipts/../../admin", False),
    ],
)
def test_the_outer_half_puts_a_short_list_of_requests(method: str, path: str, may: bool) -> None:
    assert _may_ask(Request(id="1", destination="platform", method=method, path=path)) is may


# --- a parcel that is refused whole -----------------------------------------------------------------------------------

KEY = Ed25519PrivateKey.generate()


class Platform:
    """Refuses a parcel whole that holds one of these; signs for all others."""

    def __init__(self, *bad: int, gone_after: int = 1 << 30) -> None:
        self.bad = {document(number).document_id for number in bad}
        self.gone_after, self.parcels = gone_after, 0

    def put(self, body: bytes) -> tuple[int, bytes]:
        self.parcels += 1
        if self.parcels > self.gone_after:
            return 503, b""
        index = unpack(body).index
        if self.bad & {entry.document_id for entry in index.documents}:
            return 500, b""
        leaves = [
            Leaf(document_id=entry.document_id, outcome="stored", sha256=entry.sha256, institution=index.institution)
            for entry in index.documents
        ]
        return 200, seal(KEY, leaves, [], index.institution, index.instance, "2026-11-21T08:00:00Z")


def parcel(count: int) -> bytes:
    return pack([document(number) for number in range(1, count + 1)], HOSPITAL, "instance", "lease")


def test_a_parcel_that_is_refused_whole_is_halved_until_its_cause_stands_alone() -> None:
    found = halve(parcel(8), public_bytes(KEY), Platform(5).put, NOW)
    assert found.alone == (document(5).document_id,)
    stored = {leaf.document_id for reply in found.replies for leaf in read_reply(reply, public_bytes(KEY)).leaves}
    assert stored == {document(number).document_id for number in range(1, 9) if number != 5}


def test_where_nothing_gets_through_no_document_is_to_blame() -> None:
    found = halve(parcel(4), public_bytes(KEY), Platform(1, 2, 3, 4).put, NOW)
    assert (found.alone, found.replies) == ((), ())
    assert "500" in found.problem


def test_a_platform_that_goes_away_meanwhile_is_asked_another_time() -> None:
    with pytest.raises(NotNow):
        halve(parcel(8), public_bytes(KEY), Platform(5, gone_after=3).put, NOW)


# --- alarms -----------------------------------------------------------------------------------------------------------


def raised(**gap: object) -> dict[str, Level]:
    facts = Facts(now=NOW, gap=GapFacts(**gap))  # type: ignore[arg-type]
    return {one.kind: one.level for one in judge(facts, AlarmsConfig())}


def test_alarms_of_the_line() -> None:
    hour = NOW.replace(hour=7)
    assert raised() == {}
    assert raised(awaited_since=hour) == {"gap_silent": Level.WARNING}
    assert raised(awaited_since=NOW.replace(hour=4)) == {"gap_silent": Level.CRITICAL}
    assert raised(awaited_since=NOW.replace(minute=0, hour=7, second=30)) == {}
    assert raised(stopped="number 3 came with other bytes than before") == {"gap_stopped": Level.CRITICAL}
    assert raised(folder="No space left on device") == {"gap_folder": Level.CRITICAL}
    assert judge(Facts(now=NOW), AlarmsConfig()) == []

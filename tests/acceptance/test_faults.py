"""The platform down, slow, nonsensical, or cut off after it committed: nothing lost, no second effect, no document blamed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from frontend_agent.config import load_config
from frontend_agent.errors import FrontendAgentError
from frontend_agent.spool import Spool
from tests import faults
from tests.acceptance.region import Region, begin
from tests.faults import FaultProxy

ATTEMPTS = 12

pytestmark = pytest.mark.slow

Troubled = tuple[Region, FaultProxy]


@pytest.fixture
def troubled(tmp_path: Path) -> Iterator[Troubled]:
    """A region whose agent reaches the platform through a proxy that can misbehave."""
    region = begin(tmp_path / "region", visits=60, seed=5)
    path = region.state / "agent.toml"
    url = load_config(path).destinations["platform"].url
    with FaultProxy(urlsplit(url).port or 0) as proxy:
        path.write_text(path.read_text("utf-8").replace(url, proxy.url), encoding="utf-8")
        yield region, proxy
    region.platform.stop()


def persist(region: Region, until: Callable[[], bool]) -> list[str]:
    """Run the agent as an operator would: again, until it is through. Returns what it complained of."""
    complaints = []
    for _ in range(ATTEMPTS):
        try:
            region.run()
        except FrontendAgentError as error:
            complaints.append(str(error))
        if until():
            return complaints
    raise AssertionError(f"still not through after {ATTEMPTS} runs: {complaints[-1:]}")


def states(region: Region) -> dict[str, int]:
    with Spool(region.state / "agent").open() as spool:
        counts = spool.counts().deliveries["platform"]
    return {str(state): number for state, number in counts.items() if number}


def assert_whole(region: Region) -> None:
    counted = region.count()
    assert (counted.lost, counted.duplicates, counted.altered, counted.damaged) == ([], [], [], [])
    assert list(states(region)) == ["delivered"]


@pytest.mark.parametrize(
    "fault",
    [
        faults.DOWN,
        faults.CUT_BEFORE,
        faults.CUT_AFTER_COMMIT,
        faults.HALF_ANSWER,
        faults.NONSENSE,
        faults.E500,
        faults.E503,
        faults.E401,
        faults.SLOW,
    ],
    ids=str,
)
def test_a_fault_that_passes_costs_nothing(troubled: Troubled, fault: faults.Fault) -> None:
    region, proxy = troubled
    proxy.next(fault, times=2)

    persist(region, until=lambda: not proxy.faults and list(states(region)) == ["delivered"])

    assert any(seen == fault for _, seen in proxy.seen)
    assert_whole(region)


@pytest.mark.parametrize(
    "fault", [faults.DOWN, faults.CUT_AFTER_COMMIT, faults.E401, faults.E413, faults.E500], ids=str
)
def test_while_a_fault_lasts_no_document_is_blamed(troubled: Troubled, fault: faults.Fault) -> None:
    region, proxy = troubled
    proxy.always = fault
    for _ in range(2):
        with pytest.raises(FrontendAgentError):
            region.run()
    assert not {"blocked", "rejected", "refused"} & states(region).keys()

    proxy.always = None
    persist(region, until=lambda: list(states(region)) == ["delivered"])

    assert_whole(region)


def test_the_answer_to_another_request_proves_nothing(troubled: Troubled) -> None:
    region, proxy = troubled
    region.run()  # gives the proxy a truly signed reply to tell again
    region.advance()
    proxy.next(faults.FOREIGN_REPLY, times=2)

    persist(region, until=lambda: not proxy.faults and list(states(region)) == ["delivered"])

    assert any(seen == faults.FOREIGN_REPLY for _, seen in proxy.seen)
    assert_whole(region)

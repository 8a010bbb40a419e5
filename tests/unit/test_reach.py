"""When a login may be tried: never two within five seconds, whoever asks, and fewer the longer a source stays away."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from connectors.reach import LONGEST, SPACING, Reach
from frontend_agent.errors import SourceError, SourceRefused, SourceUnreachable

START = datetime(2026, 3, 16, 8, tzinfo=UTC)
DOWN = SourceUnreachable("source his: nobody answers")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


def reach(clock: Clock, chance: float = 0.0) -> Reach:
    return Reach("his", clock.monotonic, clock.now, lambda: chance)


def test_two_logins_lie_five_seconds_apart_even_when_all_is_well() -> None:
    clock = Clock()
    his = reach(clock)
    assert his.login() == 0.0
    clock.seconds += 1.0
    assert his.login() == 4.0


def test_each_failure_doubles_the_wait_up_to_its_bound_and_chance_adds_to_it() -> None:
    for chance in (0.0, 1.0):
        clock, waits = Clock(), []
        his = reach(clock, chance)
        for _ in range(9):
            his.login()
            his.failed(DOWN)
            waits.append(his.wait())
            clock.seconds += his.wait()
        most = LONGEST * (1 + chance / 2)
        assert waits == [min(SPACING * 2**n, LONGEST) * (1 + chance / 2) for n in range(9)]
        assert waits[-1] == most


def test_while_it_is_away_nobody_asks_and_everybody_is_told_since_when() -> None:
    clock = Clock()
    his = reach(clock)
    his.login()
    his.failed(DOWN)
    with pytest.raises(SourceUnreachable, match=r"unreachable since .*, next try .*: source his: nobody answers"):
        his.must_wait()
    told = his.told()
    assert told.since == clock.now()
    assert told.next_try == clock.now() + timedelta(seconds=SPACING)
    clock.seconds += SPACING
    his.must_wait()


def test_when_its_turn_comes_one_asker_tries_alone() -> None:
    clock = Clock()
    his = reach(clock)
    his.login()
    his.failed(DOWN)
    clock.seconds += SPACING
    assert his.login() == 0.0
    with pytest.raises(SourceUnreachable):
        his.login()
    his.worked()
    assert his.told().since is None


def test_a_password_that_is_refused_stays_what_it_is() -> None:
    clock = Clock()
    his = reach(clock)
    his.login()
    his.failed(SourceRefused("source his: the login was refused"))
    with pytest.raises(SourceRefused):
        his.must_wait()


def test_a_person_who_asks_need_not_wait_for_the_turn_but_for_the_spacing() -> None:
    clock = Clock()
    his = reach(clock)
    for _ in range(6):
        clock.seconds += his.wait()
        his.login()
        his.failed(DOWN)
    clock.seconds += 1.0
    his.try_now()
    his.must_wait()
    assert his.login() == 4.0


@pytest.mark.parametrize("seed", range(5))
def test_a_database_that_bounces_fifty_times_sees_one_login_in_five_seconds_at_most(seed: int) -> None:
    """Four feeds over two connections ask all the time; the database comes and goes, and cuts them off when it goes."""
    dice, clock = Random(seed), Clock()
    his = Reach("his", clock.monotonic, clock.now, dice.random)
    tried: list[float] = []
    connected = [False, False]
    came_back: list[float] = []
    for _ in range(50):
        up = True
        for lasts in (dice.uniform(0.2, 90), dice.uniform(0.2, 900)):
            until, first = clock.seconds + lasts, clock.seconds
            if not up:
                connected = [False, False]
            while clock.seconds < until:
                lane = dice.randrange(2)
                try:
                    his.must_wait()
                    if not connected[lane]:
                        wait = his.login()
                        tried.append(clock.seconds + wait)
                        clock.seconds += wait
                        if not up or clock.seconds >= until:
                            his.failed(DOWN)
                            continue
                        connected[lane] = True
                        came_back.append(clock.seconds - first)
                    his.worked()
                except SourceError:
                    pass
                clock.seconds += dice.uniform(0.01, 2.0)
            up = False
    assert len(tried) > 50
    assert min(later - earlier for earlier, later in pairwise(tried)) >= SPACING
    assert max(came_back) <= LONGEST * 1.5 + SPACING + 2
    assert his.told().logins == len(tried)

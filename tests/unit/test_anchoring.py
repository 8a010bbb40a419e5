"""When the head of the log goes by itself, by a clock of our own."""

from frontend_agent.anchoring import AGAIN, ENTRIES, SECONDS, Anchoring


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nothing_goes_while_nothing_is_new() -> None:
    assert not Anchoring(Clock()).is_due(7, 7)


def test_an_entry_waits_half_a_minute_for_a_parcel_and_then_its_head_goes() -> None:
    clock = Clock()
    anchoring = Anchoring(clock)
    assert not anchoring.is_due(8, 7)
    clock.now = SECONDS - 0.1
    assert not anchoring.is_due(9, 7)
    clock.now = SECONDS
    assert anchoring.is_due(9, 7)
    assert SECONDS <= 60 - 30  # the longest that an answer is waited for


def test_a_parcel_that_carried_it_begins_the_time_anew() -> None:
    clock = Clock()
    anchoring = Anchoring(clock)
    anchoring.is_due(8, 7)
    clock.now = SECONDS - 1
    assert not anchoring.is_due(8, 8)
    assert not anchoring.is_due(9, 8)  # the entry that says what was settled
    clock.now = 2 * SECONDS - 2
    assert not anchoring.is_due(9, 8)
    clock.now = 2 * SECONDS - 1
    assert anchoring.is_due(9, 8)


def test_many_entries_do_not_wait() -> None:
    assert ENTRIES <= 100
    assert Anchoring(Clock()).is_due(7 + ENTRIES, 7)


def test_in_vain_it_is_tried_again_after_a_while_and_not_at_once() -> None:
    clock = Clock()
    anchoring = Anchoring(clock)
    anchoring.tried(anchored=False)
    assert not anchoring.is_due(100, 7)
    clock.now = AGAIN
    assert anchoring.is_due(100, 7)

"""How much is asked for at once: short statements where that helps, and no more of them where it does not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.splitting import HELPS, LONGEST, Splitting

SIZES = (1, 8, 32, 100, 200, 500)


def spent(splitting: Splitting, fixed: float, each: float, statements: int = 60) -> int:
    """The size it comes to, of a query that takes so long and so much more for each key."""
    for _ in range(statements):
        splitting.took(splitting.size, fixed + each * splitting.size)
    return splitting.size


@settings(deadline=None)
@given(st.floats(0.0, 0.02), st.floats(1e-6, 0.1), st.sampled_from(SIZES))
def test_a_statement_is_short_where_its_time_grows_with_what_it_brings(fixed: float, each: float, first: int) -> None:
    size = spent(Splitting(SIZES, first), fixed, each)
    assert fixed + each * size <= LONGEST or size == 1
    larger = next((one for one in SIZES if one > size), None)
    # And no shorter than it has to be: the next size would be too long, by what is known of this one.
    assert larger is None or (fixed + each * size) * larger / size > LONGEST


def test_a_scan_that_costs_the_same_for_few_keys_is_not_asked_more_often() -> None:
    splitting = Splitting(SIZES, 500)
    asked = [splitting.size]
    for _ in range(100):
        splitting.took(splitting.size, 2.0 + 0.0001 * splitting.size)
        asked.append(splitting.size)
    assert splitting.size == 500
    assert sum(size < 500 for size in asked) <= 2  # it was tried, found to be no help, and never again
    assert HELPS < 1


def test_a_source_that_becomes_faster_is_asked_for_more_again() -> None:
    splitting = Splitting(SIZES, 500)
    assert spent(splitting, 0.0, 0.01) == 8
    assert spent(splitting, 0.0, 0.0001) == 500


def test_a_last_small_piece_teaches_nothing_but_that_it_is_too_long() -> None:
    splitting = Splitting(SIZES, 500)
    splitting.took(8, 0.0001)
    assert splitting.size == 500
    splitting.took(8, 3.0)
    assert splitting.size < 8

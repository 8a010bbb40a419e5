"""The benchmark of missed rows in small: what the watermark alone would miss, the agent finds."""

from __future__ import annotations

import pytest

from benchmarks.misses import Plan, rehearse


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_no_row_is_missed_by_long_transactions_equal_times_or_a_clock_set_back(
    engine: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres" if engine == "postgresql" else "mariadb")

    told = rehearse(server, engine, Plan(writers=10, scale=300.0, minutes=30.0))

    assert told.written > 100
    assert told.alone > 0 < told.overlap  # or the play would show nothing
    assert (told.found, told.reconciled) == (0, 0)

"""Regions that several tests look at and none changes."""

from collections.abc import Iterator

import pytest

from tests.acceptance.region import Region, begin


@pytest.fixture(scope="session")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region after its first run."""
    region = begin(tmp_path_factory.mktemp("delivered"), 350, 4)
    try:
        region.run()
        yield region
    finally:
        region.platform.stop()


@pytest.fixture(scope="session")
def advanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region after its first run, what happened later, and a second run."""
    region = begin(tmp_path_factory.mktemp("advanced"), 150, 11)
    try:
        region.run()
        region.advance()
        region.run()
        yield region
    finally:
        region.platform.stop()

"""Which tests run beside which, in a run of several workers."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

# They boot machines, one at a time (tests/nspawn_kit.py), or pack the program: one worker takes them all, and no other waits.
MACHINES = (
    "tests/acceptance/test_service.py",
    "tests/acceptance/test_two_cards.py",
    "tests/acceptance/test_upgrade.py",
    "tests/integration/test_package.py",
    "tests/integration/test_secrets_of_a_service.py",
)


def is_of_machines(nodeid: str) -> bool:
    return nodeid.partition("::")[0] in MACHINES


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file's tests share their databases and platforms, so they stay in one process; machines are one file."""

    def _split_scope(self, nodeid: str) -> str:
        return "machines" if is_of_machines(nodeid) else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: else one worker is left with it when the others have nothing to do."""
    items.sort(key=lambda item: not is_of_machines(item.nodeid))

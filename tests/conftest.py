"""What tests of every kind share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
if str(REPOSITORY) not in sys.path:  # `pytest` alone does not put the checkout there; `python -m pytest` does
    sys.path.insert(0, str(REPOSITORY))

from frontend_agent.logs import log  # noqa: E402
from tests.canaries import in_files, in_sections, remember_names  # noqa: E402
from tests.scheduling import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: E402, F401  # hooks
from tests.servers import MariadbServer, PostgresServer, ServerMissing, mariadb_server, postgres_server  # noqa: E402

remember_names()  # before any test module takes the function by its name


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """What a test lets log somewhere (a command run in this process) does not log for the tests after it."""
    handlers, level, propagates = list(log.handlers), log.level, log.propagate
    yield
    for handler in [one for one in log.handlers if one not in handlers]:
        log.removeHandler(handler)
        handler.close()
    log.setLevel(level)
    log.propagate = propagates


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run; make your own database in it."""
    try:
        with postgres_server() as server:
            yield server
    except ServerMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    """One MariaDB for the whole run; make your own database in it."""
    try:
        with mariadb_server() as server:
            yield server
    except ServerMissing as missing:
        pytest.skip(str(missing))


def shared_folder() -> Path:
    """Where the standards' tables and third-party data lie: not part of this repository."""
    return Path(os.environ.get("FRONTEND_AGENT_SHARED") or REPOSITORY.parent / "shared")


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Third-party data, or a skip that says so."""
    folder = shared_folder() / "realdata"
    if not folder.is_dir():
        pytest.skip(f"no third-party data at {folder} (set FRONTEND_AGENT_SHARED)")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """No patient in a log, whatever the test was about (threat L1): looked for in all that it captured and wrote."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's Result
    found = list(in_sections(report.sections))
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "teardown" and isinstance(folder, Path) and folder.is_dir():
        found += in_files(folder)
    if found and report.passed:
        report.outcome = "failed"
        report.longrepr = "a patient in a log: " + "; ".join(
            f"{' and '.join(kinds)} in {where}" for where, kinds in found
        )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A failure is told at once: a run that is cut off has then said which they were."""
    if report.failed and hasattr(report, "node") and sys.__stderr__:  # not in the process that it failed in as well
        sys.__stderr__.write(f"\nFAILED {report.nodeid} ({report.when}, {report.duration:.0f} s)\n")
        sys.__stderr__.flush()

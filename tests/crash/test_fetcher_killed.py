"""A process that is killed between two pages, while one is on its way or just after it was kept: no row is lost or twice there.

The real inbox on disk; a real HTTP server; kill -9 from the server's side, so that the moment is exact.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend_agent.spool import Spool
from tests.faults import CUT_AFTER_COMMIT, CUT_BEFORE, DOWN, E500, E503, HALF_ANSWER, NONSENSE, SLOW, Fault, FaultProxy
from tests.fetching_kit import Asked, Given, Site

pytestmark = pytest.mark.slow

CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from frontend_agent.inlets import Hands, make
from frontend_agent.spool import Spool
from frontend_agent.spool.keeping import Keeper
from tests.fetching_kit import configured

def main(folder, table):
    with Spool(Path(folder)).open() as spool:
        keeper = Keeper(spool.inbox).start()
        given = dict(keep=keeper, tap=lambda *_: None, clock=lambda: datetime.now(UTC), recall=lambda: spool.inbox.mark("his"),
                     remember=lambda mark: spool.inbox.put_mark("his", mark),
                     secret=lambda name: "", timezone="Asia/Shanghai", has_day=lambda day, days: True)
        inlet = make("his", configured(table), Hands(**{name: given.get(name) for name in Hands._fields}))
        print(inlet.fetch())
        keeper.stop()

main(sys.argv[1], sys.argv[2])
"""
TABLE = """
type = "rest-poll"
url = "{url}/results"
parameters = {{ from = "{{since}}", page = "{{page}}" }}
paging = "page"
each = "$.rows[*]"
watermark = "at"
id = "id"
start = "2026-11-21"
ordered = {ordered}
"""
ROWS = [{"id": n, "at": f"2026-11-21 10:{n:02}:00", "text": "阳性"} for n in range(1, 12)]


class Source:
    def __init__(self, site: Site) -> None:
        self.kill_at = 0  # the so-manieth question is the last that this process asks
        self.before = True
        self.child = 0
        self.asked = 0
        site.answers["/results"] = self.answer

    def answer(self, asked: Asked) -> Given:
        self.asked += 1
        if self.asked == self.kill_at:
            os.kill(self.child, signal.SIGKILL)
        page = int(asked.query["page"])
        rows = [row for row in ROWS if str(row["at"]) >= asked.query["from"]]
        return Site.json({"rows": rows[(page - 1) * 3 : page * 3]})


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def run(folder: Path, url: str, ordered: bool, source: Source | None = None) -> int:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), TABLE.format(url=url, ordered=str(ordered).lower())],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if source is not None:
        source.child, source.asked = child.pid, 0
    child.communicate(timeout=60)
    return child.returncode


def arrived(folder: Path) -> tuple[list[int], str]:
    with Spool(folder).open() as spool:
        found = spool.inbox.messages([one.id for one in spool.inbox.listed("his", limit=1000)])
        return sorted(json.loads(one.body)["id"] for one in found), spool.inbox.mark("his")


@pytest.mark.parametrize("ordered", [True, False])
def test_killed_between_pages(tmp_path: Path, site: Site, ordered: bool) -> None:
    source = Source(site)
    folder = tmp_path / "state"
    folder.mkdir()
    for source.kill_at in (2, 4):
        assert run(folder, site.url, ordered, source) == -signal.SIGKILL
        got, mark = arrived(folder)
        assert got == sorted(set(got))
        if ordered and source.kill_at == 4:
            assert mark == "time 2026-11-21T02:09:00+00:00", "three pages are kept, with their mark"
    source.kill_at = 0

    assert run(folder, site.url, ordered, source) == 0

    assert arrived(folder)[0] == [row["id"] for row in ROWS]


class Faults(FaultProxy):
    """The faults meet every request."""

    def fault_for(self, path: str, method: str) -> Fault | None:
        return self.faults.popleft() if self.faults else None


def test_a_bad_line_costs_time_and_no_row(tmp_path: Path, site: Site) -> None:
    Source(site)
    folder = tmp_path / "state"
    folder.mkdir()
    from datetime import UTC, datetime

    from frontend_agent.errors import SourceError
    from frontend_agent.reading.errors import Unreadable
    from frontend_agent.spool.keeping import Keeper
    from tests.fetching_kit import polling

    with Faults(site.server.server_address[1], delay=1.5) as proxy, Spool(folder).open() as spool:
        keeper = Keeper(spool.inbox).start()
        fetcher = polling(
            TABLE.format(url=proxy.url, ordered="true") + 'timeout = "1s"\n', keeper, clock=lambda: datetime.now(UTC), recall=lambda: spool.inbox.mark("his")
        )  # fmt: skip
        failures = 0
        for fault in (DOWN, CUT_BEFORE, CUT_AFTER_COMMIT, HALF_ANSWER, SLOW, NONSENSE, E500, E503):
            for before in (0, 2):  # at the first question, and in the middle of the pages
                proxy.faults.extend([None] * before + [fault])  # type: ignore[list-item]
                try:
                    fetcher.fetch()
                except (SourceError, Unreadable):
                    failures += 1
                proxy.faults.clear()
        fetcher.fetch()
        keeper.stop()
    assert failures >= 12
    assert arrived(folder)[0] == [row["id"] for row in ROWS]

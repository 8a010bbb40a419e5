"""What a day of a large hospital costs to reconcile: the source's time and statements beside the bare driver's, then the rest.

The hospital is a PostgreSQL server of our own with one table of visits and one of diagnoses; all of a day's visits are taken
in and delivered to a platform in another process. The floor asks the same server for the same day, with the driver alone: the
keys of the day by its index, and the rows of both queries by key, in the same chunks.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import SECONDS, Measure
from frontend_agent.reconciliation import Reconciler
from tests.reconciling_kit import DAY, QUERIES, Engine, Site, platform_process
from tests.servers import READER_PASSWORD, PostgresServer, postgres_server

if TYPE_CHECKING:
    from benchmarks.workload import Workload

RECORDS, QUICK_RECORDS = 30_000, 3_000
ROUNDS = 3
CHUNK = 500  # keys of one statement, as the source asks for them
STATEMENTS = "statements"
PACE = 'rows_per_second = 10000000\nbytes_per_second = "8 GiB"\nslow_down = 0.0\n'  # the budget would be measured else


def reconciling(load: "Workload", quick: bool) -> Iterator[Measure]:
    """A day of 30,000 records (3,000 with --quick) that is equal on all sides: what every night costs."""
    records = QUICK_RECORDS if quick else RECORDS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reconcile-")))
        server = stack.enter_context(postgres_server())
        url = stack.enter_context(platform_process(folder / "platform"))
        site = _hospital(folder, server, url, records)
        app = stack.enter_context(site.app())
        site.run(app)
        feed = app.compiled(app.config.feed("visit"))
        ours, floors, seconds, asked = [], [], [], 0
        for _ in range(1 if quick else ROUNDS):
            floors.append(_floor(server, records))
            work = Reconciler(app, feed, DAY, DAY)
            before = app.sources["his"].spent()
            began = time.perf_counter()
            _drain(work.compare())
            seconds.append(time.perf_counter() - began)
            after = app.sources["his"].spent()
            assert not work.sheet.differences, work.sheet.differences[:3]
            ours.append(after.seconds - before.seconds)
            asked = after.statements - before.statements
        least = -(-records // 10_000) + 2 * -(-records // CHUNK)  # walked, and two queries by key
        note = f"{records:,} records of one day, PostgreSQL"
        yield Measure("reconcile.source", min(ours), SECONDS, floor=min(floors), note=note)
        yield Measure(
            "reconcile.statements", asked, STATEMENTS, floor=least, note="floor: windows of keys, chunks of rows"
        )
        yield Measure(
            "reconcile.day", min(seconds), SECONDS, floor=min(floors), note="all three sides, nothing differs"
        )


def _hospital(folder: Path, server: PostgresServer, url: str, records: int) -> Site:
    server.create("his")
    (folder / "secrets").mkdir(mode=0o700)
    (folder / "secrets" / "his").write_text(READER_PASSWORD, encoding="utf-8")
    (folder / "secrets" / "his").chmod(0o600)
    source = f'url = "{server.url("his", "reader")}"\nsecret = "his"\n{PACE}'
    engine = Engine("postgres", lambda *statements: server.execute(*statements, database="his"), source)
    site = Site(
        folder, engine, url, folder / "platform", settings=f'[secrets]\nfolder = "{folder / "secrets"}"\n'
    ).make()
    config = site.config
    site.config = lambda: config().replace("batch = 40", "batch = 500")  # type: ignore[method-assign]
    server.execute(
        f"""INSERT INTO visit SELECT 'N' || lpad(n::text, 7, '0'), '科室' || n % 20, '张三', '发热、咳嗽3天',
            timestamp '2026-09-29' + n * interval '2 seconds', timestamp '2026-09-29' + n * interval '2 seconds', 1, 0, 0
            FROM generate_series(1, {records}) n""",
        "INSERT INTO visit VALUES ('Z', '科室', '张三', '发热', '2026-09-30 09:30', '2026-09-30 09:30', 1, 0, 0)",
        "INSERT INTO diagnosis SELECT no, 'J18.900', '肺炎' FROM visit",
        "ANALYZE",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        database="his",
    )
    return site


def _floor(server: PostgresServer, records: int) -> float:
    """The same day with the driver alone."""
    parent, details = QUERIES["visit.sql"], QUERIES["diagnoses.sql"]
    with server.connect("his") as connection:
        began = time.perf_counter()
        keys = [
            row[1]
            for row in connection.execute(
                "SELECT updated, no FROM visit WHERE updated >= '2026-09-28' AND updated < '2026-10-01' ORDER BY updated, no"
            ).fetchall()
        ][:records]
        for start in range(0, len(keys), CHUNK):
            some = keys[start : start + CHUNK]
            marks = ", ".join(["%s"] * len(some))
            for sql in (parent, details):
                text = f'SELECT * FROM ({sql}) q WHERE q."patient.outpatient_number" IN ({marks})'
                connection.execute(text, some).fetchall()
        return time.perf_counter() - began


def _drain(rows: Iterator[dict[str, Any]]) -> None:
    for _ in rows:
        pass

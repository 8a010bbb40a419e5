"""What the hospital's own work feels of us: an OLTP load at 60 % of what the server bears, with and without us, in turns.

    python -m benchmarks.guests [--engine postgresql] [--quick]

The load is short transactions of a HIS: read a visit and its lines, change a line; one in a hundred finishes a document, which
is what a feed reads. First it runs unbounded for a while, to see what the server bears with this load beside it; then at 60 %
of that, transactions arriving at random whether the last has ended or not, so that waiting counts. Turns without us (A) and
with us (B) alternate: A B A B … A. From each turn comes the P95 of its median second; a figure is the median, over all turns, of B
held against the mean of the A before and after it. Turns whose two neighbours differ by more than a quarter are set aside: the
machine was doing something else; how many are left is said. Beside it stands the noise: each A held against the mean of its two neighbours, which would
be nought on a quiet machine.

We are the real source with the terms that agent.toml gives by itself, its extractor in a process of its own:

    feed       every two seconds what changed, as a feed does every five minutes
    backfill   page after page, as fast as our share of the source's time, our budget and back-off allow

Load, server and we share the machine's cores here, which a hospital's server does not with us; our process is the least urgent
one (nice 19), the server's work for us is as urgent as any. Blocked writers are looked for ten times a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from benchmarks.databases import fill, queries
from benchmarks.measure import Measure
from benchmarks.workload import Workload
from connectors import RemoteSource, SourceOptions, open_source
from frontend_agent.config import SourceConfig
from tests.servers import READER_PASSWORD, MariadbServer, PostgresServer, ServerMissing, mariadb_server, postgres_server

VISITS = 20_000
CLIENTS = 4
SHARE = 0.6  # of what the server bears
ONE_IN = 100  # transactions finish a document
TARGET = 5.0  # percent
FEED_EVERY, OVERLAP = 2.0, timedelta(seconds=4)
PAGE = 100
LOOK_EVERY = 0.1
JUDGED = 10  # turns, of either sort, below which there is no verdict; nor is there one where A/A differs by more than the target
QUIET = 1.25  # how far two turns of the same may be apart on a machine that does nothing else
MANNERS = ("feed", "backfill")


Done = tuple[float, float]  # when a transaction ended, and how long it took since its turn came: seconds


class Load(Protocol):
    """The hospital's own work on one server."""

    name: str

    def run(self, seconds: float, rate: float) -> list[Done]:
        """Each transaction; `rate` in transactions a second, 0 for as many as go."""

    def options(self) -> SourceOptions:
        """How we reach the same server, with an account that can only read."""

    def blocked(self) -> int:
        """How many of its writers wait for us at this moment."""

    @property
    def quote(self) -> str: ...


# -- the hospital's work ------------------------------------------------------------------------------------------------

WORK = (
    "SELECT * FROM visit WHERE visit_number = {visit}",
    "SELECT code, value FROM line WHERE visit_number = {visit}",
    "UPDATE line SET value = '1.5' WHERE visit_number = {visit} AND line = 1",
)
FINISH = (*WORK[:2], "UPDATE visit SET changed_at = {now}, n = n + 1 WHERE visit_number = {visit}")


class Pgbench:
    """PostgreSQL under its own load generator."""

    name = "postgresql"
    quote = '"'

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._watch = server.connect("hospital")
        number = rf"\set v random(0, {VISITS - 1})"
        visit = "'V' || lpad(:v::text, 7, '0')"
        for name, statements in (("work", WORK), ("finish", FINISH)):
            text = [one.format(visit=visit, now="localtimestamp") + ";" for one in statements]
            (folder / f"{name}.sql").write_text("\n".join([number, "BEGIN;", *text, "COMMIT;"]), "utf-8")

    def run(self, seconds: float, rate: float) -> list[Done]:
        for old in self._folder.glob("log*"):
            old.unlink()
        command = [
            self._server.programs / "pgbench", "-n", "-h", "127.0.0.1", "-p", self._server.port, "-U", "admin", "-c", CLIENTS,
            "-j", 1, "-T", max(1, round(seconds)), "-M", "prepared", "--log", f"--log-prefix={self._folder / 'log'}",
            "-f", f"{self._folder / 'work.sql'}@{ONE_IN - 1}", "-f", f"{self._folder / 'finish.sql'}@1",
            *(["-R", f"{rate:.0f}"] if rate else []), "hospital",
        ]  # fmt: skip
        done = subprocess.run(
            [str(part) for part in command], env={**os.environ, "PGPASSWORD": self._server.password},
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"pgbench: {done.stderr.decode(errors='replace')[-500:]}")
        # client, transaction, microseconds with the time it waited for its turn, script, second and microsecond of its end
        lines = [line.split() for file in self._folder.glob("log*") for line in file.read_text("utf-8").splitlines()]
        return [(int(line[4]) + int(line[5]) / 1e6, int(line[2]) / 1e6) for line in lines]

    def options(self) -> SourceOptions:
        return _terms(url=self._server.url("hospital", "reader"))

    def blocked(self) -> int:
        row = self._watch.execute(
            "SELECT count(*) FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) b JOIN pg_stat_activity a ON a.pid = b"
            " WHERE w.wait_event_type = 'Lock' AND w.usename = 'admin' AND a.usename = 'reader'"
        ).fetchone()
        return int(row[0])


class Threads:
    """MariaDB under a loop of our own: connections in threads, transactions that arrive at random."""

    name = "mariadb"
    quote = "`"

    def __init__(self, server: MariadbServer) -> None:
        self._server = server
        self._watch = server.connect("hospital")

    def run(self, seconds: float, rate: float) -> list[Done]:
        asked = {"port": self._server.port, "seconds": seconds, "rate": rate}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.guests", "--load", json.dumps(asked)], capture_output=True, check=True
        )
        return [(end, latency) for end, latency in json.loads(done.stdout)]

    def options(self) -> SourceOptions:
        return _terms(url=self._server.url("hospital", "reader"))

    def blocked(self) -> int:
        with self._watch.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM information_schema.innodb_lock_waits w JOIN information_schema.innodb_trx b"
                " ON b.trx_id = w.blocking_trx_id JOIN information_schema.processlist p ON p.id = b.trx_mysql_thread_id"
                " WHERE p.user = 'reader'"
            )
            return int(cursor.fetchone()[0])


def _load_mariadb(port: int, seconds: float, rate: float) -> list[Done]:
    """The load itself, in a process of its own."""
    import pymysql

    from tests.servers import PASSWORD

    latencies: list[Done] = []
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        chance = random.Random(number)
        connection = pymysql.connect(
            host="127.0.0.1",
            port=port,
            user="admin",
            password=PASSWORD.encode(),
            database="hospital",
            charset="utf8mb4",
        )
        due = time.monotonic()
        with contextlib.closing(connection), connection.cursor() as cursor:
            while due < end:
                if rate:
                    due += chance.expovariate(rate / CLIENTS)
                    time.sleep(max(0.0, due - time.monotonic()))
                else:
                    due = time.monotonic()
                visit = f"'V{chance.randrange(VISITS):07d}'"
                try:
                    for sql in FINISH if chance.random() < 1 / ONE_IN else WORK:
                        cursor.execute(sql.format(visit=visit, now="NOW(6)"))
                        cursor.fetchall()
                    connection.commit()
                except pymysql.err.OperationalError:  # two of the load's own writers met: a HIS rolls back as well
                    connection.rollback()
                ended = time.monotonic()
                latencies.append((ended, ended - due))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return latencies


@contextmanager
def postgresql() -> Iterator[Load]:
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
        server.create("hospital")
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=server.port, user=server.user, password=server.password, dbname="hospital"
        ) as connection:
            fill(connection, VISITS)
        server.execute("CREATE UNIQUE INDEX line_key ON line (visit_number, line)", database="hospital")
        server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", "VACUUM ANALYZE", database="hospital")
        yield Pgbench(server, Path(folder))


@contextmanager
def mariadb() -> Iterator[Load]:
    with mariadb_server() as server:
        server.create("hospital")
        connection = server.connect("hospital")
        connection.autocommit(False)
        fill(connection, VISITS)
        connection.close()
        server.execute(
            "CREATE UNIQUE INDEX line_key ON line (visit_number, line)",
            "ANALYZE TABLE visit, line",
            database="hospital",
        )
        server.execute("GRANT SELECT ON hospital.* TO reader@'127.0.0.1'")
        yield Threads(server)


ENGINES: dict[str, Callable[[], Any]] = {"postgresql": postgresql, "mariadb": mariadb}


# -- we -----------------------------------------------------------------------------------------------------------------


def _terms(url: str) -> SourceOptions:
    """The terms that agent.toml gives by itself."""
    usual = SourceConfig(url=url)
    return SourceOptions(
        url=url,
        rows_per_second=usual.most_rows,
        bytes_per_second=usual.bytes_per_second,
        share=usual.most_share / 100,
        slow_down=usual.slow_down,
    )


class Agent:
    """Our process: it reads between `begin` and `end`."""

    def __init__(self, load: Load, manner: str) -> None:
        asked = {"url": load.options().url, "quote": load.quote, "manner": manner}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.guests", "--read", json.dumps(asked)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def begin(self) -> None:
        self._say("go")

    def end(self) -> dict[str, Any]:
        self._say("stop")
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()


def _read(url: str, quote: str, manner: str) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    terms = _terms(url)
    source = RemoteSource("hospital", terms, partial(open_source, "hospital", terms, READER_PASSWORD))
    behind = source.behind()
    asked = queries(quote)
    going, ended = threading.Event(), threading.Event()

    def feed() -> None:
        mark = source.newest(asked.changed)
        while going.is_set():
            for page in source.changed(asked, mark, OVERLAP, PAGE):
                source.rows(asked, page.keys)
                mark = page.watermark or mark
                if not going.is_set():
                    return
            deadline = time.monotonic() + FEED_EVERY
            while going.is_set() and time.monotonic() < deadline:
                time.sleep(0.02)

    def backfill() -> None:
        low, high = datetime(2026, 1, 1), datetime(2100, 1, 1)
        while going.is_set():
            pages = behind.range(asked, low, high, PAGE)
            while rested() and (keys := next(pages, None)) and rested():
                behind.rows(asked, keys)

    def rested() -> bool:  # a turn without us is one: we do not come back from a rest in the middle of it
        while going.is_set() and source.guest.owed_behind():
            time.sleep(0.005)
        return going.is_set()

    def work() -> None:
        while not ended.is_set():
            if going.wait(0.1):
                (feed if manner == "feed" else backfill)()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    before: tuple[float, ...] = (0, 0, 0, 0.0)
    for line in sys.stdin:
        if line.strip() == "go":
            going.set()
            continue
        going.clear()
        time.sleep(0.1)
        usage = source.usage
        now = usage.rows, usage.statements, usage.back_offs, usage.seconds
        names = ("rows", "statements", "back_offs", "seconds")
        told = {name: new - old for name, new, old in zip(names, now, before, strict=True)}
        before = now
        print(json.dumps(told), flush=True)
    ended.set()
    worker.join(5)
    source.close()


# -- in turns -----------------------------------------------------------------------------------------------------------


@dataclass
class Turns:
    """What came of all turns: the P95 of each in seconds, and what we did in those with us."""

    without: list[float]
    beside: list[float]
    rate: float
    rows: int
    seconds: float
    back_offs: int
    asked: float  # seconds of statements
    blocked: float  # seconds in which a writer waited for us

    @property
    def change(self) -> tuple[float, int]:
        """Percent by which the P95 is higher with us, and of how many turns that was found."""
        return _against(zip(self.beside, self.without, self.without[1:], strict=False))

    @property
    def noise(self) -> tuple[float, int]:
        """The same of turns without us, held against their neighbours."""
        return _against(zip(self.without[1:], self.without, self.without[2:], strict=False))


def _against(turns: Iterable[tuple[float, float, float]]) -> tuple[float, int]:
    """The median of (turn, the one before, the one after), where those two agree. Not a number where none do."""
    found = [turn / ((a + b) / 2) for turn, a, b in turns if max(a, b) <= QUIET * min(a, b)]
    return ((statistics.median(found) - 1) * 100 if found else float("nan")), len(found)


def in_turns(load: Load, manner: str, rate: float, turns: int, seconds: float) -> Turns:
    """A B A B … A."""
    agent = Agent(load, manner)
    blocked = Blocked(load)
    found = Turns([], [], rate, 0, 0.0, 0, 0.0, 0.0)
    try:
        found.without.append(p95(load.run(seconds, rate)))
        for _ in range(turns):
            agent.begin()
            with blocked:
                found.beside.append(p95(load.run(seconds, rate)))
            told = agent.end()
            found.rows += told["rows"]
            found.back_offs += told["back_offs"]
            found.asked += told["seconds"]
            found.seconds += seconds
            with blocked:  # looked for as often, so that looking costs both alike
                found.without.append(p95(load.run(seconds, rate)))
        found.blocked = blocked.seconds
    finally:
        agent.close()
    return found


class Blocked:
    """Looks for writers that wait for us, while a block runs."""

    def __init__(self, load: Load) -> None:
        self.seconds = 0.0
        self._load = load

    def __enter__(self) -> Blocked:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            self.seconds += LOOK_EVERY * bool(self._load.blocked())


def p95(done: list[Done]) -> float:
    """The median, over the seconds of a turn, of each second's P95: a machine that others use stalls now and then."""
    first = min(end for end, _ in done)
    by_second: dict[int, list[float]] = {}
    for end, latency in done:
        by_second.setdefault(int(end - first), []).append(latency)
    return statistics.median(statistics.quantiles(some, n=20)[-1] for some in by_second.values() if len(some) > 100)


def measured(engine: str, quick: bool) -> Iterator[Measure]:
    """Both manners on one server."""
    turns, seconds = (3, 2.0) if quick else (30, 2.0)
    with ENGINES[engine]() as load:
        load.run(2, 0)  # warm
        bears = statistics.median(len(load.run(3, 0)) / 3 for _ in range(1 if quick else 3))
        rate = bears * SHARE
        for manner in MANNERS:
            found = in_turns(load, manner, rate, turns, seconds)
            (change, quiet), (noise, compared) = found.change, found.noise
            judged = min(quiet, compared) >= JUDGED and abs(noise) <= TARGET
            yield Measure(
                f"guests.{engine}.{manner}", change, "% on P95", target=TARGET if judged else None,
                note=(
                    f"{'' if judged else 'NOT JUDGED: too noisy here; '}P95 {statistics.median(found.without) * 1000:.2f} ms without us, {statistics.median(found.beside) * 1000:.2f}"
                    f" with, {rate:,.0f} of {bears:,.0f} transactions/s, {quiet} of {turns} turns of {seconds:g} s;"
                    f" noise A/A {noise:+.1f} % ({compared}); we read {found.rows / found.seconds:,.0f} rows/s in {found.asked / found.seconds:.1%} of the time, backed off {found.back_offs} times;"
                    f" writers blocked by us {found.blocked * 1000:.0f} ms"
                ),
            )  # fmt: skip


def load_beside_us(load: Workload, quick: bool) -> Iterator[Measure]:
    """For `./benchmark guests`. Servers that are not installed are left out and named."""
    for engine in ENGINES:
        try:
            yield from measured(engine, quick)
        except (ServerMissing, FileNotFoundError) as missing:
            print(f"guests.{engine}: {missing}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guests", description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(_load_mariadb(**json.loads(arguments.load))))
        return 0
    if arguments.read:
        _read(**json.loads(arguments.read))
        return 0
    for engine in arguments.engine or ENGINES:
        for measure in measured(engine, arguments.quick):
            if arguments.json:
                print(json.dumps({measure.name: measure.as_json()}, ensure_ascii=False), flush=True)
            else:
                met = {True: "met", False: "NOT met", None: ""}[measure.met]
                print(f"{measure.name}: {measure.value:+.1f} {measure.unit} ({met})\n    {measure.note}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

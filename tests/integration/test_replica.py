"""A real streaming replica that lags on purpose: the watermark never passes what the replica can show."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from connectors import SourceOptions, open_source
from connectors.finding.bearings import Bearings
from connectors.finding.search import Search
from frontend_agent.mapping_file import Queries
from frontend_agent.model import Watermark
from tests import servers
from tests.ports import free_port
from tests.servers import PASSWORD, PostgresServer

QUERIES = Queries(
    key="no", changed='SELECT updated AS "cursor", no AS "key" FROM report', parent='SELECT no AS "no" FROM report'
)


@contextmanager
def replica_of(primary: PostgresServer, delay: str) -> Iterator[PostgresServer]:
    """A hot standby that replays each commit so much later."""
    with servers._folder("rep") as folder:
        data, log, port = folder / "data", folder / "log", free_port()
        secret = folder / "pgpass"
        secret.write_text(
            f"127.0.0.1:{primary.port}:*:admin:{PASSWORD.replace(':', chr(92) + ':')}\n", encoding="utf-8"
        )
        secret.chmod(0o600)
        subprocess.run(
            ["pg_basebackup", "--host=127.0.0.1", f"--port={primary.port}", "--username=admin", f"--pgdata={data}",
             "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"],
            env={"PGPASSFILE": str(secret), "PATH": f"{primary.programs}:/usr/bin:/bin"}, check=True, capture_output=True,
        )  # fmt: skip
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
        settings = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off",
            "hot_standby": "on", "recovery_min_apply_delay": delay, "timezone": "Asia/Shanghai", "max_connections": 40,
        }  # fmt: skip
        process = servers._start(
            [primary.programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())],
            folder,
            log,
        )
        standby = PostgresServer(port, folder, primary.programs, process)
        try:
            servers._await(standby.connect, process, log)
            yield standby
        finally:
            standby.stop()


@pytest.mark.slow
def test_a_row_that_a_replica_shows_late_is_found_though_others_were_read_meanwhile(tmp_path: Path) -> None:
    """Without the lag the watermark would stand at a future-dated row, and the overlap of a second would not reach back."""
    try:
        primary_context = servers.postgres_server()
        primary = primary_context.__enter__()
    except servers.ServerMissing as missing:
        pytest.skip(str(missing))
    try:
        primary.execute(
            "CREATE TABLE report (no text PRIMARY KEY, updated timestamp)",
            "INSERT INTO report VALUES ('R0', LOCALTIMESTAMP)",
        )
        with replica_of(primary, "3s") as standby:
            source = open_source("replica", SourceOptions(url=standby.url()), PASSWORD)
            overlap = Search(overlap=timedelta(milliseconds=500))
            mark: Watermark | None = None
            bearings: Bearings | None = None
            read: set[str] = set()
            behind: list[timedelta] = []
            end = time.monotonic() + 9
            number = 0
            while time.monotonic() < end:
                number += 1
                primary.execute(f"INSERT INTO report VALUES ('R{number}', LOCALTIMESTAMP)")
                # The application's clock is ahead: without the replica's own time this row would carry the watermark past
                # all that is not replayed yet.
                primary.execute(f"INSERT INTO report VALUES ('F{number}', LOCALTIMESTAMP + interval '2 seconds')")
                for page in source.found(QUERIES, overlap, mark, bearings):
                    read.update(page.keys)
                    mark, bearings = page.watermark or mark, page.bearings or bearings
                moment = source.moment()
                behind.append(moment.behind)
                assert mark is None or mark.cursor <= f"time:{moment.horizon.isoformat()}"
                time.sleep(0.4)
            time.sleep(3.5)
            for page in source.found(QUERIES, overlap, mark, bearings):
                read.update(page.keys)
            source.close()
        assert max(behind) > timedelta(seconds=2)  # the engine told us
        assert {f"R{n}" for n in range(number + 1)} <= read
    finally:
        primary_context.__exit__(None, None, None)

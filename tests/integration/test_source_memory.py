"""Memory of the process that extracts, whatever the driver buffers: measured in a process of its own, by its peak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_sources import KINDS, TABLES, Hospital, _hospital

# As many bytes either way, and more rows than are remembered by key; the full count in ./test --release.
ROWS, WIDE = (300_000, 400) if os.environ.get("FRONTEND_AGENT_TEST") == "release" else (100_000, 1_200)
MOST = 64 << 20  # bytes over idle; the rows alone are twice that
EVERY_WAY = ["sqlite", "sqlite-odbc", "postgres", "postgres-odbc", "mariadb", "mariadb-odbc"]

EXTRACT = """
import json, sys
from datetime import timedelta
from connectors import SourceOptions, open_source
from connectors.room import AnswerTooLarge
from frontend_agent.mapping_file import Queries
from tests.memory import peak

how = json.loads(sys.stdin.read())
source = open_source("lis", SourceOptions(**how["options"]), how["password"])
queries = Queries(key="report_number", changed=how["changed"], parent=how["parent"])
source.rows(queries, ["1"])
idle, seen, size = peak(), 0, 0


def parts(keys):  # as an extractor is asked by its parent, which alone holds a whole page
    try:
        rows = source.part(queries, keys).rows.parent.rows
    except AnswerTooLarge:
        rows = None  # the error holds what was read so far: it ends here, as it does in an extractor
    if rows is not None:
        yield rows
    else:
        yield from parts(keys[: len(keys) // 2])
        yield from parts(keys[len(keys) // 2 :])


for page in source.changed(queries, None, timedelta(hours=1), how["page"]):
    for rows in parts(page.keys):
        seen += len(rows)
        size += sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))
print(json.dumps({"seen": seen, "size": size, "grown": peak() - idle}))
"""


def extracted(hospital: Hospital, parent: str, page: int, **options: Any) -> dict[str, int]:
    quote = "`" if hospital.name == "mariadb" else '"'
    how = {
        "options": {"url": hospital.options.url, "odbc": hospital.options.odbc, **options},
        "password": hospital.password,
        "changed": f"SELECT changed_at AS {quote}cursor{quote}, report_no AS {quote}key{quote} FROM report",
        "parent": parent,
        "page": page,
    }
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", EXTRACT], input=json.dumps(how), text=True, capture_output=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.fixture(params=EVERY_WAY)
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Hospital:
    engine, _, odbc = request.param.partition("-")
    made = _hospital(engine, bool(odbc), request, tmp_path)
    made.write(*(statement.format(**KINDS[engine]) for statement in TABLES))
    return made


def filled(hospital: Hospital, count: int, text: str) -> None:
    numbers = {
        "sqlite": f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n)",
        "postgres": f"(SELECT i FROM generate_series(1, {count}) i)",
        "mariadb": f"(SELECT seq AS i FROM seq_1_to_{count})",
    }[hospital.name]
    hospital.write(
        f"INSERT INTO report (report_no, xm, amount, changed_at)"
        f" SELECT i, {text}, 1, '2026-09-30 08:00:00' FROM {numbers} n"
    )


@pytest.mark.slow
def test_a_whole_table_passes_through_little_memory(hospital: Hospital) -> None:
    text = f"printf('%0{WIDE}d', i)" if hospital.name == "sqlite" else f"LPAD(CAST(i AS char(9)), {WIDE}, '0')"
    filled(hospital, ROWS, text)

    found = extracted(hospital, "SELECT report_no AS report_number, xm, amount, changed_at FROM report", 500)

    assert found["seen"] == ROWS
    assert found["size"] > 110_000_000
    assert found["grown"] < MOST


@pytest.mark.slow
def test_scans_of_megabytes_pass_through_little_memory(hospital: Hospital) -> None:
    scan = {"sqlite": "zeroblob(2000000)", "postgres": "convert_to(repeat('x', 2000000), 'UTF8')"}
    hospital.write(
        f"CREATE TABLE scan (report_no bigint PRIMARY KEY, page {'longblob' if hospital.name == 'mariadb' else 'bytea' if hospital.name == 'postgres' else 'BLOB'})"
    )
    filled(hospital, 60, "'x'")
    hospital.write(f"INSERT INTO scan SELECT report_no, {scan.get(hospital.name, 'REPEAT(0x78, 2000000)')} FROM report")

    found = extracted(hospital, "SELECT report_no AS report_number, page FROM scan", 60, max_bytes=8 << 20)

    assert found["seen"] == 60
    assert found["size"] == 60 * 2_000_000
    assert found["grown"] < MOST

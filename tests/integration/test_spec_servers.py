"""The intermediate tables on real servers: made, filled by the example, read by the mapping that came with them, purged."""

import subprocess
import threading
from pathlib import Path

import pytest

from connectors import SourceOptions, open_source
from frontend_agent.app import App
from frontend_agent.cli.spec import EXAMPLE_KEY, specified
from frontend_agent.config import parse_config
from frontend_agent.demo.samples import INSTITUTION, INSTITUTION_NAME, sample
from frontend_agent.formats import kind_codes, load_kind
from frontend_agent.identity import set_id
from frontend_agent.mapping import compile_mapping, load_mapping
from tests.servers import PASSWORD, mariadb_server, postgres_server

ENGINES = ("postgresql", "mysql")


@pytest.fixture(scope="module", params=ENGINES)
def server(request):
    with postgres_server() if request.param == "postgresql" else mariadb_server() as running:
        running.engine = request.param
        yield running


def played(server, script: str, database: str) -> None:
    """Run a script as a vendor's DBA would: with the engine's own command line, ending at the first mistake."""
    if server.engine == "postgresql":
        server.load(script, database)
        return
    subprocess.run(
        ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(server.port), "-u", "admin", f"-p{PASSWORD}", database],
        input=script.encode(), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def written(folder: Path, kind, engine: str) -> Path:
    for name, content in specified([kind], engine, "tables", "fep").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("code", kind_codes())
def test_a_record_written_as_the_example_says_is_read_back_equal(server, code, tmp_path):
    kind = load_kind(code)
    spec = written(tmp_path, kind, server.engine)
    server.create("fep")
    played(server, (spec / f"tables.{server.engine}.sql").read_text(), "fep")
    played(server, (spec / f"example.{server.engine}.sql").read_text(), "fep")

    mapping = load_mapping(str(spec / "mappings" / f"{kind.short_name}.toml"))
    normalise = compile_mapping(mapping, kind, INSTITUTION, INSTITUTION_NAME, "Asia/Shanghai")
    source = open_source("fep", SourceOptions(url=server.url("fep")), server.password)
    try:
        [read] = normalise(source.rows(mapping.queries, [EXAMPLE_KEY]))
    finally:
        source.close()
    assert (read.key, read.final, read.void) == (EXAMPLE_KEY, True, False)
    assert not [one for one in read.findings if one.severity.value == "hold"]
    # What the feed says of its institution is in every record; some messages do not say it.
    said = {name: value for name, value in read.record.items() if name in kind or name in kind.groups}
    assert said == sample(kind)


AGENT = """
[institution]
id = "999000013"
name = "示范市第一人民医院"
[secrets]
folder = "{folder}/secrets"
[destinations.platform]
url = "http://127.0.0.1:9"
"""


class WithoutPlatform(App):
    """An agent whose state is the first of its hospital: there is nothing to ask the platform."""

    def _heads(self, feed):
        return None


def site(folder: Path, server, kinds) -> App:
    """What a hospital does with the files: run the scripts, paste the part of agent.toml, put the password away."""
    for name, content in specified(kinds, server.engine, "tables", "fep").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    server.create("fep")
    played(server, (folder / f"tables.{server.engine}.sql").read_text(), "fep")
    account = "fep_reader" if server.engine == "postgresql" else "fep_reader@'127.0.0.1'"
    server.execute(f"DROP {'ROLE' if server.engine == 'postgresql' else 'USER'} IF EXISTS {account}")
    if server.engine == "postgresql":
        server.execute("CREATE ROLE fep_reader LOGIN PASSWORD 'reads-only'")
    else:
        server.execute("CREATE USER fep_reader@'127.0.0.1' IDENTIFIED BY 'reads-only'")
    played(server, (folder / f"grants.{server.engine}.sql").read_text().replace("fep_reader", account), "fep")
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "fep_password").write_text("reads-only")
    (secrets / "fep_password").chmod(0o600)
    part = (folder / "agent.part.toml").read_text().replace("10.0.0.5/", f"127.0.0.1:{server.port}/")
    config = parse_config(AGENT.format(folder=folder) + part, folder=folder)
    return WithoutPlatform(config, folder / "state")


def test_the_pasted_feed_takes_whole_batches_acknowledges_them_and_nothing_else(server, tmp_path):
    kinds = [load_kind("C0002"), load_kind("C0007")]
    with site(tmp_path, server, kinds) as app:

        def run(name: str) -> dict[str, int]:
            outcome = app.run_feed(f"fep_{name}", threading.Event())
            assert outcome.error is None, outcome.error
            return {what: count for what, count in outcome.counts.items() if count}

        example = (tmp_path / f"example.{server.engine}.sql").read_text()
        unfinished = "\n".join(line for line in example.splitlines() if not line.startswith("UPDATE fep_batch"))
        played(server, unfinished, "fep")
        assert run("outpatient_visit") == run("lab_report") == {}  # the batches are not complete

        server.execute("UPDATE fep_batch SET completed_at = CURRENT_TIMESTAMP WHERE batch_id = 1", database="fep")
        assert run("outpatient_visit") == {"documents": 1}
        assert run("lab_report") == {}
        server.execute("UPDATE fep_batch SET completed_at = CURRENT_TIMESTAMP WHERE batch_id = 2", database="fep")
        assert run("lab_report") == {"documents": 1}

        server.execute(
            "UPDATE fep_c0007 SET is_void = '1'",
            "INSERT INTO fep_batch (batch_id, completed_at) VALUES (3, CURRENT_TIMESTAMP)",
            "INSERT INTO fep_change (kind, record_key, operation_type, batch_id) VALUES ('C0007', 'EXAMPLE-1', 'U', 3)",
            database="fep",
        )
        assert run("lab_report") == {"documents": 1}  # the voided version
        assert run("lab_report") == run("outpatient_visit") == {}
        newest = app.spool.series([set_id("999000013", "1", "C0007", EXAMPLE_KEY)])
        assert [(head.version, head.void) for head in newest.values()] == [(2, True)]
    left = asked(server, "SELECT count(*) FROM fep_change WHERE acknowledged = '0'")
    assert left == 0


def test_the_purge_rule_leaves_what_is_not_acknowledged(server, tmp_path):
    kind = load_kind("C0007")
    site(tmp_path, server, [kind])
    for batch, key, acknowledged, days in ((1, "old", "1", 100), (2, "old unread", "0", 100), (3, "new", "1", 10)):
        server.execute(
            f"INSERT INTO fep_batch (batch_id, completed_at) VALUES ({batch}, CURRENT_TIMESTAMP - INTERVAL {quoted(server, days)})",
            f"INSERT INTO fep_c0007 (record_key, is_final, is_void) VALUES ('{key}', '1', '0')",
            f"INSERT INTO fep_c0007_items (record_key, line_no) VALUES ('{key}', 1)",
            "INSERT INTO fep_change (kind, record_key, operation_type, batch_id, acknowledged, changed_at) VALUES"
            f" ('C0007', '{key}', 'I', {batch}, '{acknowledged}', CURRENT_TIMESTAMP - INTERVAL {quoted(server, days)})",
            database="fep",
        )
    played(server, (tmp_path / f"purge.{server.engine}.sql").read_text(), "fep")
    for table in ("fep_c0007", "fep_c0007_items", "fep_change"):
        assert asked(server, f"SELECT count(*) FROM {table} WHERE record_key = 'old'") == 0
        assert asked(server, f"SELECT count(*) FROM {table}") == 2


def quoted(server, days: int) -> str:
    return f"'{days} days'" if server.engine == "postgresql" else f"{days} DAY"


def asked(server, query: str) -> int:
    connection = server.connect("fep")
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return int(cursor.fetchone()[0])
    finally:
        connection.close()

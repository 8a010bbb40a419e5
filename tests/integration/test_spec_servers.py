"""The intermediate tables on real servers: made, filled by the example, read by the mapping that came with them, purged."""

import subprocess
from pathlib import Path

import pytest

from connectors import SourceOptions, open_source
from frontend_agent.cli.spec import EXAMPLE_KEY, specified
from frontend_agent.demo.samples import INSTITUTION, INSTITUTION_NAME, sample
from frontend_agent.formats import kind_codes, load_kind
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
    said = {name: value for name, value in read.record.items() if not name.startswith("fact.")}
    assert said == sample(kind)

"""Two real hospital systems, as other people built and filled them: OpenHIS and OpenELIS, in a real PostgreSQL.

Twice: the dumps as they are, every finding compared with a list worked out by hand; and the dumps with a supplement of
ours, read, checked, rendered and delivered to a real platform by the whole agent.

The dumps are third-party data outside this repository; without them these tests are skipped, and say so.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import SourceOptions, open_source
from frontend_agent.app import App
from frontend_agent.checks.compiling import compile_checks
from frontend_agent.config import load_config
from frontend_agent.daemon import Daemon
from frontend_agent.demo.oracle.platform import Stored, documents
from frontend_agent.demo.service import PlatformProcess
from frontend_agent.formats import load_kinds
from frontend_agent.formats.headline import headline
from frontend_agent.mapping import compile_mapping, load_mapping
from frontend_agent.model import Finding, Severity, SourceRecord
from frontend_agent.profiles import load_profile
from tests.servers import PASSWORD, PostgresServer

HERE = Path(__file__).parent / "real_systems"
REPOSITORY = HERE.parent.parent.parent
DUMPS = {
    "openhis": "his-openhis-pg/openhis_clinical.sql.gz",
    "openelis": "lis-openelis-pg/clinlims.sql.gz",
}
MAPPINGS = {
    "C0002": ("openhis", "openhis/outpatient_visit"),
    "C0004": ("openhis", "openhis/prescription"),
    "C0007": ("openelis", "openelis/lab_report"),
}
TODAY = date(2026, 12, 1)
INSTITUTION = ("999000013", "补充医院")


@pytest.fixture(scope="module")
def as_they_are(postgres: PostgresServer, realdata: Path) -> PostgresServer:
    for system, dump in DUMPS.items():
        postgres.create(system)
        postgres.load(gzip.decompress((realdata / dump).read_bytes()).decode(), system)
    return postgres


@pytest.fixture(scope="module")
def supplemented(postgres: PostgresServer, realdata: Path) -> PostgresServer:
    for system, dump in DUMPS.items():
        postgres.create(f"{system}_more")
        postgres.load(gzip.decompress((realdata / dump).read_bytes()).decode(), f"{system}_more")
        postgres.load((HERE / f"{system}_supplement.sql").read_text(encoding="utf-8"), f"{system}_more")
    return postgres


# -- as they are --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAPPINGS)
def test_the_dumps_as_they_are_have_the_findings_worked_out_by_hand(kind: str, as_they_are: PostgresServer) -> None:
    expected = tomllib.loads((HERE / "expected_as_they_are.toml").read_text(encoding="utf-8"))[kind]

    looked_at = _looked_at(kind, as_they_are)

    assert len(looked_at) == expected["records"]
    assert sorted(r.key for r, _ in looked_at if r.final) == expected["final"]
    wanted = _by_key(expected["found"], [r.key for r, _ in looked_at])
    found = {record.key: {_line(finding) for finding in findings} - {""} for record, findings in looked_at}
    differing = {
        key: {"not found": sorted(wanted[key] - found[key]), "not expected": sorted(found[key] - wanted[key])}
        for key in found
        if wanted[key] != found[key]
    }
    assert not differing


def test_nothing_of_the_dumps_as_they_are_could_be_delivered(as_they_are: PostgresServer) -> None:
    """Of 20 final records of the two systems none is good enough: every one has at least one finding that holds."""
    looked_at = [
        (record, findings) for kind in MAPPINGS for record, findings in _looked_at(kind, as_they_are) if record.final
    ]

    assert len(looked_at) == 20
    assert all(any(finding.severity is Severity.HOLD for finding in findings) for _, findings in looked_at)


def test_a_birth_date_with_a_zone_is_the_local_day(as_they_are: PostgresServer) -> None:
    """1989-12-31 16:00+00 is 1 January 1990 in Shanghai; and a moment of the 18th century is read, too."""
    births = {r.key: r.record["patient.birth_date"] for r, _ in _looked_at("C0002", as_they_are)}

    assert births["2000000000000000001"] == "19900101"
    assert births["2000000000000000009"] == "17871020"


def test_times_of_the_laboratory_agree_whether_they_have_a_zone_or_not(as_they_are: PostgresServer) -> None:
    """OpenELIS: collection has a zone, receipt has none and is UTC. Read wrongly, every tube is received before it is drawn."""
    for record, findings in _looked_at("C0007", as_they_are):
        assert "LAB-ORDER" not in {finding.rule for finding in findings}
        for item in record.record.get("items", ()):
            assert timedelta(0) < _moment(item["received_at"]) - _moment(item["collected_at"]) < timedelta(minutes=10)


def test_names_and_units_come_from_the_tables_that_have_them(as_they_are: PostgresServer) -> None:
    reports = {r.key: r.record for r, _ in _looked_at("C0007", as_they_are)}

    first, second = reports["HMC26063000028"]["items"]

    assert (first["code"], first["specimen"], first["unit"], first["reference_range"]) == (
        "RBC", "EDTA抗凝全血", "million/mm3", "3.8-5.8",
    )  # fmt: skip
    assert second["name"] == "血红蛋白（HGB）"
    assert reports["HMC26063000028"]["request.department_name"] == "妇产科"


# -- with the supplement ------------------------------------------------------------------------------------------------

# Not delivered, and why. Everything else that is final must arrive.
HELD = {
    "C0002": {
        "2000000000000000024": {"hold DE-MISSING doctor.name"},  # written by somebody who is not on the staff
        "2000000000000000025": {"hold DE-MISSING chief_complaint", "hold DE-MISSING present_illness"},  # broken JSON
    },
    "C0004": {
        "P00000042": {"hold DE-MISSING review_pharmacist.name", "hold DE-MISSING dispensing_pharmacist.name"},
    },
    "C0007": {
        "HMC26063000025": {"hold DE-LENGTH request_number"},  # the dump's own order numbers have 21 characters
        "HMC26063000026": {"hold DE-MISSING patient.inpatient_number"},  # inpatients: the system knows no such number
        "HMC26063000040": {"hold DE-MISSING patient.inpatient_number"},
    },
}
DELIVERED = {"C0002": 27, "C0004": 22, "C0007": 27}


@dataclass
class Run:
    """What the whole agent made of the supplemented dumps."""

    stored: list[Stored]
    held: dict[str, dict[str, set[str]]]  # kind -> key -> findings that hold
    waiting: int


@pytest.fixture(scope="module")
def delivered(supplemented: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("real_systems")
    platform = PlatformProcess(folder / "platform")
    try:
        config = _configured(folder, supplemented, platform.start())
        yield _run(folder, config)
        again = _run(folder, config)
        assert len(again.stored) == sum(DELIVERED.values())  # a second run delivers nothing new
    finally:
        platform.stop()


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAPPINGS)
def test_at_least_twenty_of_each_kind_are_delivered(kind: str, delivered: Run) -> None:
    stored = [document for document in delivered.stored if document.kind == kind]

    assert len(stored) == DELIVERED[kind] >= 20
    assert len({document.set_id for document in stored}) == len(stored)
    assert delivered.waiting == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAPPINGS)
def test_what_is_not_delivered_is_held_with_its_reason(kind: str, delivered: Run) -> None:
    assert delivered.held[kind] == HELD[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAPPINGS)
def test_what_is_stored_reads_back_as_what_the_database_says(
    kind: str, delivered: Run, supplemented: PostgresServer, tmp_path: Path
) -> None:
    declared = load_kinds()[kind]
    read = {
        _business_key(kind, record): record
        for record in (declared.reader(document.content) for document in delivered.stored if document.kind == kind)
    }
    said = {
        _business_key(kind, r.record): r.record
        for r, _ in _looked_at(kind, supplemented, "_more", _site_mapping(tmp_path))
        if r.final and not r.void and r.key not in HELD[kind]
    }

    assert read.keys() == said.keys()
    for key, record in said.items():
        assert read[key] == {name: value for name, value in record.items() if not name.startswith("fact.")}


@pytest.mark.slow
def test_the_headlines_name_the_hospital(delivered: Run) -> None:
    for document in delivered.stored:
        line = headline(document.content)
        assert (line.institution_id, line.institution_name) == INSTITUTION
        assert line.document_id == document.document_id


# -- helpers --------------------------------------------------------------------------------------------------------------


def _looked_at(
    kind: str, server: PostgresServer, which: str = "", mapping_path: Path | None = None
) -> list[tuple[SourceRecord, list[Finding]]]:
    """Every record of a kind, final or not, with everything the mapping and the checks say of it."""
    system, name = MAPPINGS[kind]
    mapping = load_mapping(str(mapping_path) if mapping_path and kind == "C0004" else name, INSTITUTION[0])
    declared = load_kinds()[kind]
    source = open_source(system, SourceOptions(url=server.url(system + which)), PASSWORD)
    source.probe(mapping.queries)
    records_of = compile_mapping(mapping, declared, *INSTITUTION)
    check = compile_checks(declared, load_profile("regional"), TODAY)
    looked_at = []
    for page in source.changed(mapping.queries, None, timedelta(0), 7):
        for record in records_of(source.rows(mapping.queries, page.keys)):
            looked_at.append((record, [*record.findings, *check(record.record, record.columns, record.findings)]))
    source.close()
    return sorted(looked_at, key=lambda pair: pair[0].key)


def _line(finding: Finding) -> str:
    """`hold DE-MISSING items[].code`; nothing for a note."""
    if finding.severity is Severity.NOTE:
        return ""
    field = re.sub(r"\[\d+\]", "[]", finding.field)
    return f"{finding.severity} {finding.rule} {field}"


def _by_key(found: Sequence[dict[str, Any]], keys: Sequence[str]) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {key: set() for key in keys}
    for entry in found:
        named = entry.get("keys") or [key for key in keys if key not in entry.get("except", ())]
        assert ("keys" in entry) + ("except" in entry) + bool(entry.get("all")) == 1, entry
        for key in named:
            wanted[key] |= set(entry["rules"])
    return wanted


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.strptime(text, "%Y%m%d%H%M%S")


def _business_key(kind: str, record: dict[str, Any]) -> str:
    names = {"C0002": "patient.outpatient_number", "C0004": "prescription_number", "C0007": "report_number"}
    return str(record[names[kind]])


def _site_mapping(folder: Path) -> Path:
    """As a site does it: copy the shipped mapping and join the table of one's own."""
    site = folder / "site"
    if not site.exists():
        shutil.copytree(REPOSITORY / "mappings" / "openhis", site)
        shutil.copy(HERE / "openhis_site_prescription.sql", site / "prescription.sql")
    return site / "prescription.toml"


def _configured(folder: Path, server: PostgresServer, url: str) -> Path:
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "database").write_text(PASSWORD, encoding="utf-8")
    (secrets / "database").chmod(0o600)
    feeds = "".join(
        f'[[feeds]]\nname = "{kind}"\nsource = "{system}"\noverlap = "10m"\nprofile = "regional"\n'
        f'mapping = "{_site_mapping(folder) if kind == "C0004" else name}"\n'
        for kind, (system, name) in MAPPINGS.items()
    )
    path = folder / "agent.toml"
    path.write_text(
        f'[institution]\nid = "{INSTITUTION[0]}"\nname = "{INSTITUTION[1]}"\n'
        f'[secrets]\nfolder = "{secrets}"\n'
        + "".join(
            f'[sources.{system}]\nurl = "{server.url(f"{system}_more")}"\nsecret = "database"\n'
            'waiver = { who = "test", reason = "it made the database", until = 9999-12-31 }\n'
            for system in DUMPS
        )
        + f'[destinations.platform]\ntype = "platform"\nurl = "{url}"\n'
        + feeds,
        encoding="utf-8",
    )
    return path


def _run(folder: Path, config: Path) -> Run:
    state = folder / "agent"
    state.mkdir(mode=0o700, exist_ok=True)
    with App(load_config(config), state) as app:
        Daemon(app).once()
        held: dict[str, dict[str, set[str]]] = {kind: {} for kind in MAPPINGS}
        for case in app.spool.quarantine_list():
            held[case.kind][case.key] = {_line(f) for f in case.findings if f.severity is Severity.HOLD}
        waiting = app.waiting("platform")
    return Run(list(documents(folder / "platform")), held, waiting)

"""What the documentation tells people to type can be typed: in every page and language, each command and option is one of ours, and
nothing it needs lacks. What the commands do is in tests/integration/test_guides.py."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from frontend_agent.alarms.model import Facts, LogFacts
from frontend_agent.alarms.monitoring import figures_of
from frontend_agent.calendar import load_calendar
from frontend_agent.codes import parse_code_table
from frontend_agent.config_alarms import AlarmsConfig
from frontend_agent.mapping_file import sql_aliases
from frontend_agent.people import Person, refusal
from tests.conftest import REPOSITORY
from tests.guide_kit import FOLDER, PROGRAM, blocks, mentioned, name_of, pages, parsed, typed

PAGES = pages()


def problems(lines: list[str], forgiven: tuple[str, ...] = ()) -> list[str]:
    found = []
    for line in dict.fromkeys(lines):
        try:
            parsed(line)
        except Exception as problem:  # noqa: BLE001 - all of a page at once
            if type(problem).__name__ not in forgiven:
                found.append(f"{line}: {getattr(problem, 'message', '') or problem!r}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_to_be_typed_can_be(page: Path) -> None:
    assert problems(typed(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_named_is_there(page: Path) -> None:
    assert problems(mentioned(page), ("MissingParameter", "NoArgsIsHelpError")) == []  # what it needs may be left out


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_with_commands_says_that_it_is_one(page: Path) -> None:
    """So that nothing is overlooked: what is no shell holds no command at the beginning of a line."""
    for block in blocks(page):
        if not block.is_shell:
            assert not re.search(
                r"^ *(\$ |sudo )?(frontend-agent|curl|systemctl|apt|\./) ", block.text, re.MULTILINE
            ), block


@pytest.mark.parametrize(
    "line", ["images lst", "images list --held", "images backfill begin --from 2020-01-01", "platform studies want"]
)
def test_what_cannot_be_typed_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"No such|Missing"):
        parsed(f"{PROGRAM} {line}")


def test_commands_are_found_in_the_guides() -> None:
    assert sum(len(typed(page)) for page in PAGES) > 200
    assert sum(len(mentioned(page)) for page in PAGES) > 100


# Blocks that are neither commands nor settings: what they are, and what holds them true.
DRAWING = "a drawing"
OTHERS = (
    ("README.md", "extract ─▶ normalise", DRAWING),
    ("README.zh-CN.md", "─▶", DRAWING),
    ("images.md", "arrive   collect", DRAWING),
    ("images-checks.md", "─▶", DRAWING),
    ("gap.md", "inner ─▶ out", DRAWING),
    ("white-paper.md", "PACS", DRAWING),
    ("images-platform.md", "platform-state/images/KEY/institution", "tests/unit/test_platform_layout.py"),
    ("packs.md", "gd/pack.toml  gd/profiles", "tests/unit/test_packs.py"),
    ("accounts.md", "CREATE ROLE frontend_reader", "tests/integration/test_grants.py"),
    ("audit.md", '{"hash"', "tests/unit/test_qc_verifier.py"),
    ("audit.md", "countersigned up to", "tests/unit/test_qc_verifier.py"),
    ("destinations.md", "json $.code = 0|200", "tests/unit/test_answers.py"),
    ("destinations.md", "{record.patient.name!}", "tests/integration/test_rest_outlet.py"),
    ("images-checks.md", "FROM ris_jc", "test_the_query_of_orders_has_its_aliases"),
    ("monitoring.md", "FRONTEND-AGENT WARNING", "test_the_line_for_monitoring_has_the_shape_of_a_real_one"),
    ("monitoring.md", "UserParameter=", "test_what_zabbix_runs_is_a_command"),
    ("gap.md", "ReadWritePaths=", "tests/unit/test_units.py"),
    ("people.md", "PrivateUsers=no", "tests/unit/test_units.py"),
    ("people.md", "is system administrator", "test_a_refusal_reads_as_it_is_shown"),
    ("quality-rules.md", "OB-PARITY", "test_the_rule_that_is_shown_is_there"),
    ("scheduling.md", "date,kind,name", "test_the_calendar_is_taken"),
    ("service.md", "MemoryMax=2G", "tests/unit/test_units.py"),
    ("terms.md", "code,name,target", "test_the_code_map_is_taken"),
    ("windows.md", "install.ps1", "tests/unit/test_on_windows.py"),
    ("tls.md", "upstream agents", "tests/integration/test_joining_proxy.py"),
)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_known(page: Path) -> None:
    """Commands, settings, or what stands in the table above: a block that nobody looks at is found here."""
    for block in blocks(page):
        if not (block.is_shell or block.language == "toml" or block.page.startswith("extend-")):
            proofs = [
                proof for of, text, proof in OTHERS if of == block.page.replace(".en.md", ".md") and text in block.text
            ]
            assert proofs, f"{block}: no test knows it"
            assert proofs[0] == DRAWING or proofs[0] in globals() or (REPOSITORY / proofs[0]).is_file(), proofs


def shown(page: str, text: str) -> str:
    """The block of a page in which that stands."""
    return next(
        block.text
        for block in blocks(FOLDER / page)
        if text in block.text and not block.is_shell and block.language != "toml"
    )


def test_the_query_of_orders_has_its_aliases() -> None:
    assert {"examination_number", "patient_id", "final", "void"} <= set(
        sql_aliases(shown("images-checks.md", "FROM ris_jc"))
    )


def test_the_line_for_monitoring_has_the_shape_of_a_real_one() -> None:
    shape = r"FRONTEND-AGENT (OK|WARNING|CRITICAL): .+ \| (\w+=[\d.]+\w*(;[\d.]*){0,4} ?)+"
    now = datetime(2026, 11, 18, tzinfo=UTC)
    (printed,) = re.findall(shape, shown("monitoring.md", "FRONTEND-AGENT WARNING").replace(" …", ""))
    assert printed
    figures = figures_of(Facts(now=now, log=LogFacts()), AlarmsConfig())
    assert {"oldest", "waiting"} <= figures.keys()


def test_what_zabbix_runs_is_a_command() -> None:
    assert parsed(shown("monitoring.md", "UserParameter=").strip().partition(",")[2]) == "status"


def test_the_rule_that_is_shown_is_there() -> None:
    rule = (REPOSITORY / "frontend_agent" / "checks" / "obstetrics.py").read_text("utf-8")
    assert " ".join(shown("quality-rules.md", "OB-PARITY").split()) in " ".join(
        re.sub(r'\n    """.*?"""', "", rule, flags=re.DOTALL).split()
    )


def test_the_calendar_is_taken(tmp_path: Path) -> None:
    (tmp_path / "days.csv").write_text(shown("scheduling.md", "date,kind,name"), "utf-8")
    calendar = load_calendar(str(tmp_path / "days.csv"))
    assert not calendar.is_working(date(2030, 2, 4))
    assert calendar.is_working(date(2030, 2, 9))


def test_the_code_map_is_taken() -> None:
    assert parse_code_table("rh", "rh.csv", shown("terms.md", "code,name,target")).codes["1"] == "2"


def test_a_refusal_reads_as_it_is_shown() -> None:
    who = Person(name="王芳", account="wangfang", roles=frozenset({"system"}))
    assert refusal(who, "qc_verify") == shown("people.md", "is system administrator").strip()

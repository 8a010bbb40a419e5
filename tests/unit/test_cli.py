"""The command line: texts in two languages, exit codes, and never a traceback."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from frontend_agent.cli import work
from frontend_agent.cli.main import run, shared_first
from frontend_agent.cli.texts import TEXTS, language_of
from frontend_agent.config import parse_config

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = (
    ["demo", "init", "check", "run", "once", "preview", "try", "status", "quarantine", "qc", "trace", "receipts", "kinds", "rules", "platform", "terms", "adopt", "withheld", "reconcile", "source", "tables"]
)  # fmt: skip
SUBCOMMANDS = (
    "quarantine list", "quarantine who", "quarantine show", "quarantine release", "quarantine releases", "quarantine discard", "qc log", "qc export", "qc verify", "qc visits", "receipts confirm", "receipts reopen", "registrations list", "registrations known",
    "terms unmapped", "terms list", "terms sets", "terms show", "terms check", "terms approve", "terms reject", "terms undo",
    "terms history", "terms export", "terms import", "kinds list", "kinds show", "platform serve", "platform documents", "platform show",
    "platform hospitals", "withheld list", "withheld acknowledge", "rules shadow", "rules pack build", "rules pack verify",
    "backfill start", "backfill plan", "backfill list", "backfill show", "backfill stop", "backfill resume",
    "source list", "source show", "source pause", "source resume", "source report", "closing list", "reconcile feed", "reconcile list", "reconcile show", "platform reconciliations", "closing close", "closing open", "rules pack show", "rules pack list", "rules pack install", "rules pack shadow", "rules pack activate",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("LC_ALL", "LC_MESSAGES", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.mark.parametrize("command", [*COMMANDS, *SUBCOMMANDS])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_command_explains_itself(command: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help", "--lang", language]) == 0
    out, _ = said(capsys)
    assert bool(re.search(r"[\u4e00-\u9fff]{4}", out)) == (language == "zh")


def test_the_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out, _ = said(capsys)
    for command in COMMANDS:
        assert f"\n  {command} " in out
    assert "78 a" in out


def test_every_text_is_there_in_both_languages_and_is_used() -> None:
    sources = "".join(path.read_text("utf-8") for path in (REPOSITORY / "frontend_agent" / "cli").glob("*.py"))
    for key, (english, chinese) in TEXTS.items():
        assert english
        assert chinese
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", chinese)), key
    used = set(re.findall(r'\bt\(\s*"([\w.]+)"', sources))
    assert used <= TEXTS.keys()
    headings = {
        f"head.{name}" for name in re.findall(r'"(\w+)"', " ".join(re.findall(r"\(\s*t,\s*\(([^)]*)\)", sources)))
    }
    assert headings <= TEXTS.keys()
    unused = TEXTS.keys() - used - headings
    assert not [key for key in unused if not key.startswith(("head.", "said.would."))]


@pytest.mark.parametrize(
    ("arguments", "environment", "language"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        (["status", "--lang", "zh"], {"LANG": "en_US.UTF-8"}, "zh"),
        (["--lang=en"], {"LANG": "zh_CN.UTF-8"}, "en"),
        (["--lang"], {"LANG": "zh_CN.UTF-8"}, "zh"),
    ],
)
def test_the_language_is_asked_for_or_the_systems(
    arguments: list[str], environment: dict[str, str], language: str
) -> None:
    assert language_of(arguments, environment) == language


def test_shared_options_may_stand_anywhere() -> None:
    given = ["once", "--json", "--config", "a.toml", "--state=x", "--", "--lang", "zh"]
    assert shared_first(given) == ["--config", "a.toml", "--state=x", "once", "--json", "--", "--lang", "zh"]
    assert shared_first(["run", "--config"]) == ["--config", "run"]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", said(capsys)[0])


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["preview", "lab_report"],
        ["preview"],
        ["platform", "serve", "--port", "many"],
        ["trace"],
        ["trace", "C0007-X-1", "--feed", "a", "--key", "b"],
        ["demo", "--visits", "0"],
        ["--config"],
    ],
)
def test_wrong_use_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Traceback" not in "".join(said(capsys))


def test_init_writes_a_working_example_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init"]) == 0
    written = (tmp_path / "agent.toml").read_text("utf-8")
    assert parse_config(written, folder=tmp_path).feeds
    (tmp_path / "agent.toml").write_text("mine")
    said(capsys)
    assert run(["init", "--lang", "zh"]) == 1
    assert said(capsys) == ("", "agent.toml 已存在，未作改动\n")
    assert (tmp_path / "agent.toml").read_text() == "mine"


def test_the_example_at_the_top_is_what_init_writes() -> None:
    assert (REPOSITORY / "agent.toml").read_text("utf-8") == work.example()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (None, "agent.toml: no such file (frontend-agent init writes one)"),
        ("[institution\n", "agent.toml: not TOML:"),
        ("[institution]\nid = 'x'\nnam = 'y'", "agent.toml: institution: unknown key 'nam' (did you mean 'name'?"),
    ],
)
@pytest.mark.parametrize("command", ["run", "once", "status", "quarantine list", "qc verify"])
def test_a_wrong_file_is_one_line_and_exit_78(
    command: str, text: str | None, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "agent.toml").write_text(text)
    assert run(command.split()) == 78
    out, err = said(capsys)
    assert not out
    assert err.startswith(first)
    assert err.count("\n") == 1


def test_check_prints_every_problem_of_the_file_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = work.example().replace('every   = "5m"', 'every = "5"').replace("http://127.0.0.1", "http://10.0.0.1")
    (tmp_path / "agent.toml").write_text(text)
    assert run(["check", "--json"]) == 78
    problems = [line["problem"] for line in json.loads(said(capsys)[0])]
    assert len(problems) == 2
    assert any("feeds[0].every" in problem for problem in problems)
    assert any("plain http is for this machine only" in problem for problem in problems)


def test_check_goes_on_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mapping that is not there, two sources and a platform that cannot be reached: all are told."""
    text = work.example().replace('"demo_his/prescription"', '"demo_his/prescriptions"')
    (tmp_path / "agent.toml").write_text(text.replace(":8480", ":9"))
    assert run(["check", "--json"]) == 78
    told = {line["what"]: line for line in json.loads(said(capsys)[0])}
    assert (
        "did you mean 'demo_his/prescription'?"
        in told["feed prescription: demo_his/prescriptions, regional"]["problem"]
    )
    assert told["source his"]["exit_code"] == 1
    assert told["source lis"]["exit_code"] == 1
    assert told["destination platform"]["exit_code"] == 1
    assert not told["feed lab_report: demo_lis/lab_report, regional"]["problem"]


@pytest.mark.parametrize(
    "command", ["status", "quarantine list", "quarantine show Q1", "qc log", "qc visits", "receipts", "adopt"]
)
def test_looking_makes_no_state(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init"]) == 0
    said(capsys)
    assert run(command.split()) == 1
    _, err = said(capsys)
    assert "no agent has run with this state directory yet" in err
    assert not (tmp_path / "state").exists()


def test_kinds_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["kinds", "list", "--json"]) == 0
    kinds = {kind["code"]: kind for kind in json.loads(said(capsys)[0])}
    assert {"C0002", "C0004", "C0007"} <= kinds.keys()
    assert kinds["C0007"]["name"]["zh"] == "检验报告"
    assert run(["kinds", "show", "C0007", "--json"]) == 0
    assert "items.unit" in [field["name"] for field in json.loads(said(capsys)[0])["fields"]]
    assert run(["kinds", "show", "C0007", "--lang", "zh"]) == 0
    assert "items.unit" in said(capsys)[0]
    assert run(["kinds", "show", "C0007", "--reference"]) == 0
    assert "<html" in said(capsys)[0]
    assert run(["kinds", "show", "C0007", "--skeleton"]) == 0
    assert 'kind = "C0007"' in said(capsys)[0]
    assert run(["kinds", "show", "C9999"]) == 1
    assert said(capsys)[1].count("\n") == 1


def test_rules_are_listed_with_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "list", "--json", "--lang", "zh"]) == 0
    rules = {rule["id"]: rule for rule in json.loads(said(capsys)[0])}
    assert rules["ID-CHECK-DIGIT"]["severity"] == "hold"
    assert rules["ID-CHECK-DIGIT"]["dimension_name"] == "规范性"
    assert run(["rules", "list", "--profile", "nowhere"]) == 78


def test_rules_are_listed_by_kind_dimension_and_severity(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "list", "--kind", "C0007", "--dimension", "consistency", "--severity", "hold", "--json"]) == 0
    listed = json.loads(said(capsys)[0])
    assert "LAB-ORDER" in {rule["id"] for rule in listed}
    assert {(rule["dimension"], rule["severity"]) for rule in listed} == {("consistency", "hold")}
    assert run(["rules", "list", "--kind", "C0004", "--json"]) == 0
    assert "LAB-ORDER" not in {rule["id"] for rule in json.loads(said(capsys)[0])}
    assert run(["rules", "list", "--dimension", "beauty"]) == 2
    said(capsys)


def test_a_rule_is_shown_with_what_it_lets_pass_and_what_it_objects_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "show", "lab-order", "--lang", "zh"]) == 0
    shown = said(capsys)[0]
    assert "检验时间顺序颠倒" in shown
    assert "不通过 (C0007)  ◀ items[0].received_at" in shown
    assert run(["rules", "show", "LAB-ORDER", "--json"]) == 0
    told = json.loads(said(capsys)[0])
    assert told["category"] == "plausibility"
    assert "items.received_at" not in told["example"]["passing"]
    assert "C0007" in told["kinds"]
    assert run(["rules", "show", "LAB-ODER"]) == 1
    assert "did you mean 'LAB-ORDER'?" in said(capsys)[1]


def test_platform_commands_without_a_platform_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["platform", "documents", "--state", str(tmp_path / "none")]) == 1
    assert said(capsys)[1].count("\n") == 1
    assert run(["platform", "serve", "--host", "0.0.0.0"]) == 78
    assert said(capsys)[1].count("\n") == 1


def test_an_unforeseen_error_shows_type_and_reference_and_no_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stumble(path: Path) -> None:
        raise RuntimeError("canary 张三")

    monkeypatch.setattr("frontend_agent.cli.session.load_config", stumble)
    assert run(["status"]) == 1
    out, err = said(capsys)
    assert not out
    assert "canary" not in err
    assert "张三" not in err
    assert "Traceback" not in err
    assert re.search(r"unexpected error: RuntimeError \(reference [0-9a-f]{8}\)", err)


@pytest.mark.parametrize("file", ["nowhere.jsonl", "agent.toml"])
def test_verifying_what_is_no_export_is_one_line(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["init"])
    said(capsys)
    key = tmp_path / "key.pub"
    key.write_text("no key")
    assert run(["qc", "verify", file, "--key", str(key)]) == 78
    assert said(capsys)[1].count("\n") == 1
    assert run(["qc", "verify", file]) == 78
    assert "--key" in said(capsys)[1]


def test_the_command_line_waits_for_no_driver() -> None:
    """What only some commands need is loaded by those: half of the time that any command took was the drivers'."""
    loaded = "import sys, frontend_agent.cli.main; print(*{name.partition('.')[0] for name in sys.modules})"
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()

    assert {"frontend_agent", "typer"} <= set(told)
    assert not {"connectors", "sqlalchemy", "sqlglot", "pyodbc", "lxml", "openpyxl", "pypinyin"} & set(told)

"""Every command of the CLI stands in a table here: it asks the door, says by itself what it is about to do, or neither needs to, and why.

A new command without a line fails. What a line says is tried: a command that asks is seen asking, one that works beside the agent
is refused to the wrong person and stands in the log before it does anything.
"""

import inspect
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main

from frontend_agent import upgrading
from frontend_agent.app import App
from frontend_agent.certificates import Token, token_text
from frontend_agent.cli import upgrade
from frontend_agent.cli.main import build, run
from frontend_agent.cli.session import Settings
from frontend_agent.config import load_config
from frontend_agent.people import ACTS, BESIDE

# Asks the agent, or the state through the same door: command -> what it needs to be called with.
ASKS: Mapping[str, Sequence[str]] = {
    "preview": ("lab", "--key", "1"), "status": (), "trace": ("D",), "diagnose": (),
    "quarantine list": (), "quarantine who": (), "quarantine show": ("Q1",), "quarantine release": ("Q1",),
    "quarantine releases": (), "quarantine discard": ("Q1", "--reason", "x"), "withheld list": (),
    "withheld acknowledge": (), "receipts confirm": (), "receipts reopen": (),
    "registrations list": (), "registrations known": (), "qc report": (), "qc evidence": ("--out", "e.xlsx"),
    "qc silence": (), "qc log": (), "qc export": (), "qc visits": (), "qc verify": (), "rules shadow": (),
    "terms unmapped": (), "terms list": (), "terms show": (), "terms history": (), "terms approve": (), "terms reject": (),
    "terms undo": (), "terms export": ("--csv", "out.csv"), "terms import": ("sheet.csv",), "closing list": (),
    "closing close": ("2026-09",), "closing open": ("2026-09", "--reason", "x"), "reconcile feed": (), "reconcile list": (),
    "reconcile show": (), "backfill start": (), "backfill plan": (), "backfill list": (), "backfill show": (),
    "backfill stop": (), "backfill resume": (), "source list": (), "source show": (), "source pause": (),
    "source resume": (), "source report": (), "vanished list": (), "vanished accept": (), "vanished look-again": (),
    "vanished void": (), "alarms list": (), "alarms history": (), "alarms mute": (), "alarms test": (), "alarms unmute": (),
    "inlet list": (), "inlet show": (), "inlet messages": (), "inlet message": (), "inlet read": (), "inlet discard": (),
    "inlet tap": (), "images list": (), "images show": (), "images instances": (), "images release": (), "images look": (),
    "images discard": (), "images send": (), "images pull": (), "images wants": (), "images orders": (), "images inlets": (),
    "images key": (), "images backfill begin": (), "images backfill list": (), "images backfill stop": (),
    "images backfill resume": (), "people list": (), "people me": (), "console link": (), "console people": (),
    "gap status": (), "gap restart": (), "console password": (), "console remove": (),
}  # fmt: skip
# Works on files, on the state or on a source by itself: command -> the acts that it says before (people.ACTS).
BESIDE_THE_AGENT: Mapping[str, Sequence[str]] = {
    "adopt": ("adopt",),
    "once": ("run_once",),
    "init": ("look_at_system",),  # where there is a configuration; before there is one it has nobody to ask
    "doctor": ("try_write",),  # otherwise it only looks: names, grants and plans, no row of a patient
    "enroll": ("enroll",),
    "certificate": ("certificate_renew", "certificate_leave"),  # otherwise it shows our own certificates
    "secret set": ("secret_set",),
    "at-rest rekey": ("at_rest_rekey",),
    "at-rest secret": ("at_rest_secret",),
    "rules pack install": ("pack_install",),
    "rules pack shadow": ("pack_shadow",),
    "rules pack activate": ("pack_activate",),
    "images deidentify": ("images_deidentify",),
    "upgrade install": ("upgrade_install",),
    "gap keys": ("gap_keys",),
    "gap pair": ("gap_pair",),
    "upgrade rollback": ("upgrade_rollback",),
    "upgrade confirm": ("upgrade_confirm",),
}
# Changes something at a platform, or shows patients' records there: said in the platform's own log.
AT_THE_PLATFORM: Mapping[str, Sequence[str]] = {
    "platform documents": ("platform_documents",),
    "platform show": ("platform_show",),
    "platform add": ("platform_add",),
    "platform enroll-token": ("platform_token", "platform_token_withdraw"),
    "platform approve": ("platform_approve", "platform_refuse"),
    "platform revoke": ("platform_revoke",),
    "platform upgrades add": ("platform_upgrade_add",),
    "platform upgrades drop": ("platform_upgrade_drop",),
    "platform upgrades offer": ("platform_upgrade_offer",),
    "platform upgrades withdraw": ("platform_upgrade_withdraw",),
    "platform people add": ("platform_people_add",),
    "platform people password": ("platform_people_password",),
    "platform people remove": ("platform_people_remove",),
    "platform studies list": ("platform_studies",),
    "platform studies show": ("platform_study",),
    "platform studies want": ("platform_want", "platform_unwant"),
    "platform studies drop": ("platform_drop",),
    "platform ca init": ("platform_ca_init",),
    "platform ca import": ("platform_ca_import",),
    "platform ca server": ("platform_ca_server",),
    "platform ca renew": ("platform_ca_renew",),
    "platform ca rotate": ("platform_ca_rotate",),
}
# Shows nothing of a patient and changes nothing of an agent or a platform; or shows a person the file that he holds in his hand.
LOOKS: Mapping[str, str] = {
    "check": "tries what is configured: names of parts and their problems",
    "spec": "writes what a vendor must supply, out of our own tables",
    "tables": "writes SQL of shared tables, out of our own tables",
    "verify": "files of the person's own",
    "try": "rows of the person's own file; a period of a feed asks the door (rehearse)",
    "qc verifier": "a file of ours",
    "kinds messages": "reference", "kinds list": "reference", "kinds show": "reference", "kinds skeleton": "reference",
    "kinds reference": "reference", "rules list": "reference", "rules show": "reference", "rules reference": "reference",
    "rules pack build": "the region makes a pack out of files of its own", "rules pack key": "a public key of a file",
    "rules pack verify": "a file of the person's own", "rules pack show": "rules, no records", "rules pack list": "names of packs",
    "terms sets": "reference", "terms check": "the hospital's own code tables",
    "source engines": "reference", "source procedures": "names and digests of procedures",
    "secret list": "names of secrets and where they lie", "secret test": "whether they open what they are for",
    "at-rest status": "numbers of files by key",
    "program verify": "the program's own files", "program contents": "the same", "program audit": "the same",
    "people acts": "reference",
    "upgrade status": "versions, and what is offered", "upgrade schema": "numbers of schemas",
    "platform hospitals": "numbers of documents by hospital, versions, alarms",
    "platform reconciliations": "numbers by day and department",
    "platform examine": "files of the person's own",
    "platform enrolments": "machines that ask to join",
    "platform certificates": "machines that have joined",
    "platform signatures": "verdicts on signatures: documents' ids and who signed",
    "platform studies conflicts": "ids and digests", "platform studies verify": "ids and digests",
    "platform ca show": "our own certificates",
    "platform upgrades list": "packages of the program", "platform upgrades status": "versions by hospital",
    "docs": "reference",
    "platform log": "what people did: identifiers",
    "platform people list": "who may log in at the platform's pages",
}  # fmt: skip
# Processes. They say when they begin and end, and what people do through them stands in the log by the door.
SERVE: Mapping[str, str] = {
    "run": "the agent: lifetime.py",
    "console serve": "begun by the agent; each page asks the door",
    "platform serve": "the platform: own_log.lived",
    "gap outer": "the half outside: it holds sealed bundles, and no key to them",
    "upgrade take": "a unit's, not a person's: what agent.toml lets install by itself; its outcome is in the program's history",
    "upgrade watch": "judges a trial that a person began; its outcome is in the program's history",
    "demo": "a demonstration with invented patients, in a folder of its own",
}


@cache
def commands() -> dict[str, Any]:
    def walk(found: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        if not hasattr(found, "commands"):
            yield " ".join(path), found
            return
        for name, one in found.commands.items():
            yield from walk(one, (*path, name))

    return dict(walk(typer.main.get_command(build("en")), ()))


def test_every_command_stands_in_the_table_once() -> None:
    tables = (ASKS, BESIDE_THE_AGENT, AT_THE_PLATFORM, LOOKS, SERVE)
    listed = [name for table in tables for name in table]
    assert len(listed) == len(set(listed))
    assert set(commands()) - set(listed) == set(), "a new command: say here what it asks, or why nothing"
    assert set(listed) - set(commands()) == set(), "no such command any more"


def test_every_act_beside_the_agent_is_some_commands() -> None:
    assert {act for acts in BESIDE_THE_AGENT.values() for act in acts} == BESIDE


@pytest.mark.parametrize("name", [*BESIDE_THE_AGENT, *AT_THE_PLATFORM])
def test_what_a_command_says_stands_in_its_code(name: str) -> None:
    text = inspect.getsource(inspect.getmodule(inspect.unwrap(commands()[name].callback)))  # type: ignore[arg-type]
    for act in {**BESIDE_THE_AGENT, **AT_THE_PLATFORM}[name]:
        assert f'"{act}"' in text


# --- those that ask ----------------------------------------------------------------------------------------------------


class Asked(BaseException):
    """What a command asked first. Not an Exception: nobody on the way is to take it for a problem."""

    def __init__(self, questions: Sequence[str]) -> None:
        self.questions = questions


CONFIG = """
[institution]
id = "H1"
name = "示范医院"
[sources.his]
url = "sqlite:///his.db"
[destinations.platform]
url = "https://127.0.0.1:9/"
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
"""
PEOPLE = """
[people]
socket = "/run/no-agent-here/people.sock"
[[people.persons]]
name = "王芳"
account = "wangfang"
role = "system"
[[people.persons]]
name = "李强"
account = "liqiang"
role = "security"
[[people.persons]]
name = "赵敏"
account = "zhaomin"
role = "audit"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "sheet.csv").write_text("", encoding="utf-8")
    return tmp_path


def needed(command: Any) -> list[str]:
    """Something for each argument and option that has to be there."""
    given: list[str] = []
    for one in command.params:
        if not one.required:
            continue
        value = "2026-09-01" if one.name in ("low", "high", "begin", "end") else "1"
        given += [value] if one.param_type_name == "argument" else [one.opts[0], value]
    return given


@pytest.mark.parametrize("name", ASKS)
def test_a_command_that_asks_is_seen_asking(name: str, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def asking(self: Settings, *questions: str) -> Iterator[None]:
        raise Asked(questions)
        yield

    def daemon(self: Settings, config: Any) -> Any:
        return lambda question, **_: (_ for _ in ()).throw(Asked((question,)))

    monkeypatch.setattr(Settings, "asking", asking)
    monkeypatch.setattr(Settings, "daemon", daemon)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    words = [*name.split(), *(ASKS[name] or needed(commands()[name]))]
    if name == "console link":
        monkeypatch.setattr(Settings, "daemon", lambda self, config: print)
    with pytest.raises(Asked) as asked:
        run(["--lang", "en", *words])
    assert asked.value.questions
    assert set(asked.value.questions) <= set(ACTS)


# --- those that work beside it -----------------------------------------------------------------------------------------


class Machine:
    """A state that an agent has left, people, and whoever sits at the keyboard."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch

    def by(self, account: str, *arguments: str) -> int:
        self._monkeypatch.setattr("frontend_agent.control.this_account", lambda: account)
        return run(["--lang", "en", *arguments])

    def log(self) -> list[dict[str, Any]]:
        with (
            App(load_config(self.folder / "agent.toml"), self.folder / "state", alone=True).open_state().spool as spool
        ):
            return [msgspec.json.decode(entry.body) for entry in spool.log_entries()]


@pytest.fixture
def machine(site: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (site / "agent.toml").write_text(CONFIG + PEOPLE, encoding="utf-8")
    made = Machine(site, monkeypatch)
    (site / "state").mkdir(mode=0o700)
    made.log()  # makes the state
    return made


TOKEN = token_text(Token("s" * 43, "0" * 64))
TRIED: Mapping[str, tuple[str, Sequence[str]]] = {
    # act: (who may, the command)
    "adopt": ("wangfang", ("adopt",)),
    "run_once": ("wangfang", ("once",)),
    "look_at_system": (
        "wangfang",
        ("init", "--source", "sqlite:///other.db", "--kind", "C0007", "--yes", "--name", "other"),
    ),
    "try_write": ("wangfang", ("doctor", "his", "--try-write")),
    "images_deidentify": ("wangfang", ("images", "deidentify", "x.dcm", "--as-for", "pacs", "--to", "out")),
    "upgrade_install": ("wangfang", ("upgrade", "install", "x.tar.zst", "--no-wait")),
    "upgrade_rollback": ("wangfang", ("upgrade", "rollback", "--no-wait")),
    "upgrade_confirm": ("wangfang", ("upgrade", "confirm")),
    "secret_set": ("liqiang", ("secret", "set", "lis_password", "--random", "--in", "file")),
    "at_rest_rekey": ("liqiang", ("at-rest", "rekey")),
    "at_rest_secret": ("liqiang", ("at-rest", "secret", "another")),
    "pack_install": ("liqiang", ("rules", "pack", "install", "x.pack")),
    "pack_shadow": ("liqiang", ("rules", "pack", "shadow", "national")),
    "pack_activate": ("liqiang", ("rules", "pack", "activate", "national")),
    "enroll": ("liqiang", ("enroll", "--platform", "https://127.0.0.1:9/", "--token", TOKEN)),
    "certificate_renew": ("liqiang", ("certificate", "--renew")),
    "certificate_leave": ("liqiang", ("certificate", "--leave", "https://127.0.0.1:9/")),
}


@pytest.fixture
def parts(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the commands of TRIED work on, and a list of what they have done."""
    done: list[str] = []
    monkeypatch.setattr(upgrade, "_only_root", lambda t: None)

    def stage(file: Path, keys: Any, accept: Any) -> str:
        accept(type("Manifest", (), {"version": "9.9.9"}))
        done.append("laid it on the disk")
        return "9.9.9"

    monkeypatch.setattr(upgrading, "stage", stage)
    monkeypatch.setattr(upgrading, "probe", lambda folder: upgrade.schemas())
    for name in ("begin", "roll_back", "confirm"):
        monkeypatch.setattr(upgrading, name, lambda *_, name=name: done.append(name) or pytest.skip.Exception)
    monkeypatch.setattr(
        "frontend_agent.imaging.variants.profile_of", lambda config, name: done.append("read the profile")
    )
    pack = type("Pack", (), {"id": "gd-2026.1", "digest": "d" * 64})()
    (machine.folder / "x.pack").write_bytes(b"pack")
    monkeypatch.setattr("frontend_agent.cli.packs._proven", lambda settings, body, expired=False: pack)
    (machine.folder / "secrets").mkdir(mode=0o700)
    (machine.folder / "at_rest").write_text("")
    with (machine.folder / "agent.toml").open("a", encoding="utf-8") as file:
        file.write(f'[secrets]\nfolder = "{machine.folder}/secrets"\n')
    (machine.folder / "state" / "identity" / "127.0.0.1_9").mkdir(parents=True)
    return done


@pytest.mark.parametrize("act", [act for act in TRIED if not act.startswith("at_rest")])
def test_the_wrong_person_is_refused_and_nothing_is_done(
    act: str, machine: Machine, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    allowed, command = TRIED[act]
    before = files_of(machine.folder)
    for account in ({"wangfang": "liqiang"}.get(allowed, "wangfang"), "root"):
        assert machine.by(account, *command) == 1, account
        said = capsys.readouterr().err
        assert "this is for the" in said, said
        assert "administrator" in said
    assert [one for one in parts if one != "read the profile"] == []
    assert files_of(machine.folder) == before
    refused = [one for one in machine.log() if one["event"] == "act refused"]
    assert {one["act"] for one in refused} == {act}


@pytest.mark.parametrize("act", [act for act in TRIED if not act.startswith("at_rest")])
def test_the_right_person_stands_in_the_log(act: str, machine: Machine, parts: list[str]) -> None:
    account, command = TRIED[act]
    machine.by(account, *command)  # most fail for want of a network, a file …: what they were about to do stands there
    (entry,) = [one for one in machine.log() if one["event"] == "act"]
    assert (entry["act"], entry["account"]) == (act, account)
    assert entry["who"] in ("王芳", "李强")


@pytest.mark.parametrize("act", [act for act in TRIED if not act.startswith("at_rest")])
def test_a_log_that_cannot_be_written_stops_the_command(
    act: str, machine: Machine, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    account, command = TRIED[act]
    before = files_of(machine.folder)
    with App(load_config(machine.folder / "agent.toml"), machine.folder / "state", alone=True).open_state().spool:
        assert machine.by(account, *command) == 1  # somebody else has the state open, and does not answer
    assert "in use" in capsys.readouterr().err
    assert [one for one in parts if one != "read the profile"] == []
    assert files_of(machine.folder) == before


def files_of(folder: Path) -> dict[str, int]:
    """Everything but the log itself and what SQLite has beside it."""
    return {
        str(path): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("spool.db", "agent.log"))
    }


def test_a_preview_of_a_system_needs_a_reason(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    looking = ("init", "--source", "sqlite:///other.db", "--kind", "C0007", "--name", "other", "--yes", "--document")
    assert machine.by("wangfang", *looking) == 1
    assert "--why" in capsys.readouterr().err
    machine.by("wangfang", *looking, "--why", "新系统接入")
    (entry,) = [one for one in machine.log() if one["event"] == "act"]
    assert (entry["reason"], entry["shows"]) == ("新系统接入", True)


def test_a_secret_set_before_the_first_start_is_in_the_log_after_it(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "agent.toml").write_text(CONFIG + PEOPLE + f'[secrets]\nfolder = "{site}/secrets"\n', encoding="utf-8")
    (site / "state").mkdir(mode=0o700)
    found = Machine(site, monkeypatch)
    assert found.by("wangfang", "secret", "set", "lis_password", "--random", "--in", "file") == 1
    assert found.by("liqiang", "secret", "set", "lis_password", "--random", "--in", "file") == 0
    assert not (site / "state" / "spool.db").exists()
    assert [(one["event"], one["who"]) for one in found.log()] == [("act refused", "王芳"), ("act", "李强")]
    assert len(found.log()) == 2  # once

"""`secret set | list | test`: a value comes in by standard input, lies in the best place there is, and is shown nowhere."""

import io
import json
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from frontend_agent import secret_places
from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.errors import ConfigurationError
from frontend_agent.secret_places import FilePlace, KeyringPlace, SystemdPlace, keep
from frontend_agent.secret_uses import uses
from frontend_agent.secrets import Secrets

REPOSITORY = Path(__file__).resolve().parents[2]
CANARY = "c4nary-密码-7731"

CONFIG = """
[institution]
id = "470001234"
name = "示范医院"
[sources.his]
url = "postgresql://reader@127.0.0.1:1/his"
secret = "his_password"
[inlets.lab]
type = "webhook"
host = "127.0.0.1"
port = 18731
auth = "hmac"
path = "/hooks/lab"
id = ["$.id"]
secret = "lab_hook"
[destinations.region]
url = "http://127.0.0.1:1"
[[feeds]]
name = "lab"
source = "his"
mapping = "demo_lis/lab_report"
[secrets]
folder = "{folder}"
credentials = "{credentials}"
"""


@pytest.fixture(autouse=True)
def _nobodys_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = CONFIG.format(folder=tmp_path / "kept", credentials=tmp_path / "credentials")
    (tmp_path / "agent.toml").write_text(text, "utf-8")
    return tmp_path


def typed(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(value))


def test_every_setting_that_is_said_to_name_a_secret_is_found_by_the_walk() -> None:
    """Comments and docstrings say `the NAME of a secret`; the walk goes by names and metadata. They must agree."""
    from dataclasses import fields, is_dataclass

    from frontend_agent import config, config_fetchers, config_files, config_images, config_outlets, config_web

    said, walked = set(), set()
    for module in (config, config_fetchers, config_files, config_images, config_outlets, config_web):
        text = Path(module.__file__ or "").read_text("utf-8")
        said |= set(re.findall(r'^    (\w+): str = (?:""|field\([^)]*\)) *# the NAME of', text, re.MULTILINE))
        for cls in vars(module).values():
            if isinstance(cls, type) and is_dataclass(cls):
                walked |= {
                    m.name
                    for m in fields(cls)
                    if m.name == "secret" or m.name.endswith("_secret") or m.metadata.get("secret")
                }
    assert {"secret", "pseudonym_key", "key_secret"} <= said <= walked
    assert {"old_secret", "patients_key"} <= walked


def test_the_walk_names_each_place(site: Path) -> None:
    found = uses(parse_config((site / "agent.toml").read_text("utf-8")))
    assert {(use.secret, use.place) for use in found} == {
        ("his_password", "sources.his.secret"),
        ("lab_hook", "inlets.lab.secret"),
    }


def test_a_file_needs_a_persons_word_and_is_its_owners_alone(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(secret_places, "BOOTED", site / "no systemd")
    typed(monkeypatch, CANARY + "\n")
    assert run(["secret", "set", "his_password"]) == 78
    said = capsys.readouterr()
    assert "systemd does not run this machine" in said.err
    assert "--in file" in said.err
    assert not (site / "kept").exists()

    typed(monkeypatch, CANARY + "\n")
    assert run(["secret", "set", "his_password", "--in", "file"]) == 0
    path = site / "kept" / "his_password"
    assert path.stat().st_mode & 0o777 == 0o600
    assert Secrets(site / "kept")("his_password") == CANARY
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err


def test_a_key_of_many_lines_comes_whole(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"
    typed(monkeypatch, key + "\n")
    assert run(["secret", "set", "sftp", "--in", "file"]) == 0
    assert Secrets(site / "kept")("sftp") == key


def test_nothing_is_no_secret_and_a_path_is_no_name(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "\n")
    assert run(["secret", "set", "his_password", "--in", "file"]) == 2
    typed(monkeypatch, CANARY)
    assert run(["secret", "set", "../agent", "--in", "file"]) == 78
    assert run(["secret", "set", "his_password", CANARY]) == 2  # a value is never an argument


def test_a_random_key_is_made_and_never_shown(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["secret", "set", "at_rest", "--random", "--in", "file", "--json"]) == 0
    value = (site / "kept" / "at_rest").read_text().strip()
    assert len(value) == 44
    assert value not in capsys.readouterr().out


def test_list_says_what_is_there_and_what_is_missing(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, CANARY)
    assert run(["secret", "set", "his_password", "--in", "file", "--json"]) == 0
    capsys.readouterr()
    assert run(["secret", "list", "--json"]) == 78
    told = {one["secret"]: one for one in json.loads(capsys.readouterr().out)}
    assert told["his_password"]["found_in"] == "file"
    assert told["his_password"]["used_at"] == ["sources.his.secret"]
    assert not told["his_password"]["problem"]
    assert told["lab_hook"]["found_in"] == ""
    assert "secret set lab_hook" in told["lab_hook"]["problem"]

    (site / "kept" / "his_password").chmod(0o644)
    typed(monkeypatch, CANARY)
    assert run(["secret", "set", "lab_hook", "--in", "file", "--json"]) == 0
    capsys.readouterr()
    assert run(["secret", "list"]) == 78
    said = capsys.readouterr().out
    assert "chmod 600" in said
    assert CANARY not in said


def test_test_asks_the_system_where_the_secret_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One source answers, one is not there; a key of our own can only be found."""
    monkeypatch.chdir(tmp_path)
    sqlite3.connect(tmp_path / "lis.db").execute("CREATE TABLE report (id)").connection.close()
    text = CONFIG.replace(
        'secret = "his_password"', 'secret = "his_password"\n[sources.lis]\nurl = "sqlite:///lis.db"\nsecret = "lis"'
    )
    text = text.replace(
        "[secrets]",
        '[[withhold]]\nname = "w"\ndecided_by = "d"\nreason = "r"\npatients = "p"\npatients_key = "own"\n[secrets]',
    )
    (tmp_path / "agent.toml").write_text(text.format(folder=tmp_path / "kept", credentials=tmp_path / "none"), "utf-8")
    for name in ("his_password", "lis", "own", "lab_hook"):
        typed(monkeypatch, CANARY)
        assert run(["secret", "set", name, "--in", "file", "--json"]) == 0
    capsys.readouterr()
    assert run(["secret", "test", "--json"]) == 1  # the HIS cannot be reached: not now
    said = capsys.readouterr().out
    told = {one["secret"]: one for one in json.loads(said)}
    assert told["lis"]["result"] == "works"
    assert told["his_password"]["result"] == "fails"
    assert told["own"]["result"] == "found"
    assert told["lab_hook"]["result"] == "works"
    assert CANARY not in said
    assert run(["secret", "test", "lis"]) == 0
    (tmp_path / "kept" / "lis").unlink()
    assert run(["secret", "test", "lis"]) == 78
    assert run(["secret", "test", "nonsense"]) == 78


needs_systemd_creds = pytest.mark.skipif(
    secret_places.systemd_version() < secret_places.OLDEST or not shutil.which("systemd-creds"),
    reason="needs systemd-creds of systemd 250 or newer, and root",
)


@needs_systemd_creds
def test_systemd_keeps_it_encrypted_and_the_unit_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_places, "BOOTED", tmp_path)
    place = SystemdPlace(tmp_path / "credentials", "frontend-agent.service", tmp_path / "units")
    if place.problem():
        pytest.skip(place.problem())
    kept = keep("his_password", "another", [place])
    kept = keep("his_password", CANARY, [place])  # in place of what was there
    keep("lab_hook", "x", [place])
    assert "systemctl daemon-reload" in kept.next
    drop_in = (tmp_path / "units" / "frontend-agent.service.d" / "50-secrets.conf").read_text()
    names = re.findall(r"^LoadCredentialEncrypted=(\w+):", drop_in, re.MULTILINE)
    assert names == ["his_password", "lab_hook"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]

    find = Secrets(None, tmp_path / "credentials")
    assert find.places("his_password")[0].place == "systemd"
    assert find("his_password") == CANARY
    (tmp_path / "credentials" / "his_password.cred").rename(tmp_path / "credentials" / "other.cred")
    with pytest.raises(ConfigurationError, match="under another name"):
        find("other")  # systemd-creds binds the name


def test_an_older_systemd_is_said_and_the_next_place_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def older(*_: Any, **__: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], 0, b"systemd 249 (249.11)\n", b"")

    monkeypatch.setattr("frontend_agent.secret_places.subprocess.run", older)
    places = [SystemdPlace(tmp_path / "c", "a.service", tmp_path), KeyringPlace(), FilePlace(str(tmp_path / "kept"))]
    with pytest.raises(ConfigurationError, match="systemd 249 is older than 250"):
        keep("his", CANARY, places)
    kept = keep("his", CANARY, places, plain=True)
    assert kept.place == "file"
    assert [place for place, _ in kept.passed_over] == ["systemd", "keyring"]

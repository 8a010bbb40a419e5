"""[gap] in agent.toml, the keys of two halves, and what is refused before anything starts."""

from pathlib import Path

import pytest

from frontend_agent.cli.main import run
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.config_gap import NO_GAP

INSTITUTION = 'institution = { id = "H1", name = "一院" }\n'
SOURCE = 'sources.his = { url = "sqlite:///his.db" }\nfeeds = [{ name = "lab", source = "his", mapping = "demo_lis/lab_report" }]\n'
INNER = INSTITUTION + SOURCE + 'destinations.platform = {}\n[gap]\nrole = "inner"\nout = "out"\nin = "in"\n'
OUTER = (
    INSTITUTION
    + 'destinations.platform = { url = "https://p.example" }\n[gap]\nrole = "outer"\nout = "out"\nin = "in"\n'
)


def problems(text: str) -> str:
    with pytest.raises(ConfigurationProblems) as found:
        parse_config(text)
    return "\n".join(found.value.problems)


def test_an_agent_without_a_gap_is_one_whole() -> None:
    whole = INSTITUTION + SOURCE + 'destinations.platform = { url = "http://127.0.0.1:1" }\n'
    assert parse_config(whole).gap == NO_GAP
    assert "destinations.platform: missing key 'url'" in problems(INSTITUTION + SOURCE + "destinations.platform = {}\n")


def test_both_halves_are_read_and_their_folders_are_meant_from_the_file(tmp_path: Path) -> None:
    inner, outer = parse_config(INNER, folder=tmp_path), parse_config(OUTER, folder=tmp_path)
    assert inner.gap.is_inner
    assert outer.gap.is_outer
    assert (inner.gap.out, inner.gap.in_) == (str(tmp_path / "out"), str(tmp_path / "in"))


def test_the_inner_half_has_no_address_of_a_platform_and_sends_no_studies() -> None:
    told = problems(
        INNER.replace("destinations.platform = {}", 'destinations.platform = { url = "https://p.example" }')
    )
    assert "destinations.platform.url" in told
    assert "outer half's agent.toml" in told
    studies = INNER + '[images.destinations.region]\ntype = "stow"\nurl = "https://p.example/dicom-web"\n'
    assert "images.destinations.region: studies do not cross a gap" in problems(studies)


def test_the_outer_half_reads_nothing_and_speaks_to_platforms_alone() -> None:
    told = problems(
        INSTITUTION + SOURCE + 'destinations.platform = { url = "https://p.example" }\n'
        'destinations.region = { type = "mllp", url = "mllps://r.example:2575" }\n[gap]\nrole = "outer"\nout = "o"\nin = "i"\n'
    )
    for place in ("sources:", "feeds:", "destinations.region: of the type mllp"):
        assert place in told
    assert "no destination of the type platform" in problems(
        INSTITUTION + '[gap]\nrole = "outer"\nout = "o"\nin = "i"\n'
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('out = "in"', "the same folder"),
        ('largest = "1 KiB"', "largest"),
        ('unfinished = ".feb"', "unfinished"),
        ('unfinished = "part"', "unfinished"),
        ('wait = "20m"', "wait must be at most"),
        ('answer_within = "1m"', "answer_within"),
        ('window = "1 MiB"', "window"),
        ('suite = "DES"', "suite"),
        ('late = "0s"', "late"),
    ],
)
def test_a_mistake_is_told_by_its_key(line: str, told: str) -> None:
    text = INNER.replace('out = "out"\n', "") if line.startswith("out") else INNER
    assert told in problems(text + line + "\n")


def test_keys_or_folders_without_a_role_are_a_mistake() -> None:
    assert "role is missing" in problems(INNER.replace('role = "inner"\n', ""))
    assert "missing key 'in'" in problems(INNER.replace('in = "in"\n', ""))


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("LC_ALL", "LC_MESSAGES", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for role, text in (("inner", INNER), ("outer", OUTER)):
        (tmp_path / role).mkdir()
        (tmp_path / role / "agent.toml").write_text(text, "utf-8")
        for way in ("in", "out"):
            (tmp_path / role / way).mkdir()
    return tmp_path


def say(role: str, *arguments: str) -> int:
    return run(["--config", f"{role}/agent.toml", "gap", *arguments])


def fingerprint(text: str) -> str:
    return text.partition("fingerprint ")[2].splitlines()[0]


def test_two_halves_are_paired_by_their_fingerprints(halves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("inner", "keys", "--write", "inner.keys") == 0
    inner = fingerprint(capsys.readouterr().out)
    assert say("outer", "keys", "--write", "outer.keys") == 0
    outer = fingerprint(capsys.readouterr().out)
    assert (halves / "inner/state/identity/gap.key").stat().st_mode & 0o777 == 0o600
    assert say("inner", "keys") == 0
    assert fingerprint(capsys.readouterr().out) == inner, "made once"

    assert say("inner", "pair", "outer.keys", "--fingerprint", inner) == 78
    assert "nothing was paired" in capsys.readouterr().err
    assert say("inner", "pair", "inner.keys", "--fingerprint", inner) == 78
    assert "bring the other half's file" in capsys.readouterr().err
    assert say("inner", "pair", "agent.toml", "--fingerprint", inner) == 78
    (halves / "not.keys").write_text("{}", "utf-8")
    assert say("inner", "pair", "not.keys", "--fingerprint", inner) == 78

    assert say("inner", "pair", "outer.keys", "--fingerprint", outer) == 0
    assert say("outer", "pair", "inner.keys", "--fingerprint", inner.upper().replace(" ", "")) == 0
    capsys.readouterr()
    run(["--config", "inner/agent.toml", "check"])
    told = capsys.readouterr().out
    assert "gap: keys, paired with" in told
    assert outer.split()[0] in told
    assert say("inner", "keys", "--write", "inner.keys") == 1, "no file is written over"


def test_a_half_that_is_not_paired_does_not_start(halves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--config", "outer/agent.toml", "run"]) == 78
    assert "frontend-agent gap keys" in capsys.readouterr().err
    assert say("outer", "keys") == 0
    assert run(["--config", "outer/agent.toml", "run"]) == 78
    assert "frontend-agent gap pair" in capsys.readouterr().err
    assert run(["--config", "outer/agent.toml", "once"]) == 78
    assert say("inner", "outer") == 78


def test_check_says_what_is_wrong_with_a_folder(halves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (halves / "inner/out").rmdir()
    assert run(["--config", "inner/agent.toml", "check"]) == 78
    told = " ".join(capsys.readouterr().out.split())
    assert "no such folder" in told
    assert "not paired yet" in told or "has no keys yet" in told


def test_keys_may_come_of_a_secret(halves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (halves / "secrets").mkdir()
    secret = halves / "secrets/gap_key"
    secret.write_text("AAAA", "utf-8")
    secret.chmod(0o600)
    text = OUTER + 'key = "gap_key"\n[secrets]\nfolder = "../secrets"\n'
    (halves / "outer/agent.toml").write_text(text.replace("../secrets", str(halves / "secrets")), "utf-8")
    assert say("outer", "keys") == 78
    assert "secret set gap_key --random" in capsys.readouterr().err
    secret.write_text("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n", "utf-8")
    assert say("outer", "keys") == 0
    assert "outer half" in capsys.readouterr().out
    assert not (halves / "outer/state/identity/gap.key").exists()

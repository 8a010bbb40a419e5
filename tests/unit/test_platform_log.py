"""The platform's own log: who did what there, before it is done; when it began and ended. Chained, and verifiable like an agent's."""

import os
import threading
from pathlib import Path

import apsw
import pytest

from frontend_agent import qc_verifier, qclog
from frontend_agent.cli.main import run
from frontend_agent.platform.own_log import FILE, LogNotWritten, OwnLog, lived


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("frontend_agent.control.this_account", lambda: "zhouyan")
    monkeypatch.setattr("frontend_agent.control.process_account", lambda: "root")
    return tmp_path / "platform"


def platform(folder: Path, *arguments: str) -> int:
    return run(["--lang", "en", "platform", *arguments, "--state", str(folder)])


def acts(folder: Path) -> list[dict[str, object]]:
    with OwnLog(folder) as log:
        return log.newest(1000)[::-1]


def test_each_command_that_changes_something_is_an_entry_with_who_and_what(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "root.key"
    assert platform(folder, "ca", "init", "--root-key", str(key), "--name", "Region") == 0
    assert platform(folder, "enroll-token", "H1", "H2", "--approve") == 0
    assert platform(folder, "enroll-token", "H1", "--withdraw") == 0
    assert platform(folder, "revoke", "H1", "--reason", "lost") == 1  # it has none: that somebody tried stands there
    assert platform(folder, "ca", "renew", "--root-key", str(key)) == 0
    assert platform(folder, "ca", "rotate", "--root-key", str(tmp_path / "next.key")) == 0
    assert platform(folder, "ca", "rotate", "--cancel") == 0
    assert platform(folder, "ca", "server", "--name", "region.example", "--out", str(tmp_path / "server")) == 0
    found = acts(folder)
    assert [one["act"] for one in found] == [
        "platform_ca_init", "platform_token", "platform_token_withdraw", "platform_revoke", "platform_ca_renew",
        "platform_ca_rotate", "platform_ca_rotate", "platform_ca_server",
    ]  # fmt: skip
    assert {(one["who"], one["through"]) for one in found} == {("zhouyan", "root")}
    assert found[1]["what"] == {"institutions": ["H1", "H2"], "needs_approval": True}
    assert found[3]["what"] == {"which": "H1", "why": "lost"}
    assert found[5]["what"] == {"step": "begin"}


def test_an_approval_that_is_refused_is_an_entry_too(folder: Path, tmp_path: Path) -> None:
    assert platform(folder, "ca", "init", "--root-key", str(tmp_path / "root.key")) == 0
    assert platform(folder, "approve", "7") == 1  # there is none of that number: that somebody tried stands there
    assert acts(folder)[-1]["act"] == "platform_approve"


def test_where_the_log_takes_no_entry_nothing_is_changed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert platform(folder, "ca", "init", "--root-key", str(tmp_path / "root.key")) == 0
    (folder / FILE).unlink()
    (folder / FILE).write_bytes(b"no database at all, of some length" * 100)
    assert platform(folder, "enroll-token", "H1") == 1
    assert "nothing was done" in capsys.readouterr().err
    (folder / FILE).unlink()
    for beside in ("-wal", "-shm"):
        (folder / f"{FILE}{beside}").unlink(missing_ok=True)
    registry = apsw.Connection(str(folder / "joining" / "registry.sqlite"))
    assert registry.execute("SELECT count(*) FROM token").get == 0


def test_it_is_exported_and_verified_by_both_verifiers(
    folder: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert platform(folder, "ca", "init", "--root-key", str(tmp_path / "root.key")) == 0
    for number in range(5):
        assert platform(folder, "enroll-token", f"H{number}") == 0
    capsysbinary.readouterr()
    assert platform(folder, "log", "--export") == 0
    exported = tmp_path / "acts.jsonl"
    exported.write_bytes(capsysbinary.readouterr().out)
    verdict = qclog.verify_export(lambda: exported.open("rb"), None)
    assert verdict.ok
    assert verdict.entries == 6
    assert platform(folder, "log", "--verify") == 0
    assert hasattr(qc_verifier, "main")
    with apsw.Connection(str(folder / FILE)) as db:
        db.execute("UPDATE entry SET body = replace(CAST(body AS TEXT), 'zhouyan', 'somebody') WHERE seq = 3")
    assert platform(folder, "log", "--verify") == 1


def test_many_at_once_make_one_chain(folder: Path) -> None:
    def write(who: int) -> None:
        for number in range(20):
            with OwnLog(folder) as log:
                log.write({"event": "act", "act": "test", "who": f"{who}", "number": number})

    with OwnLog(folder):
        pass
    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with OwnLog(folder) as log:
        verdict = log.verify()
        assert verdict.ok
        assert verdict.entries == 80


def test_its_beginning_and_end_are_entries_and_that_it_was_killed(folder: Path) -> None:
    with lived(folder, {"signatures": "aa"}):
        pass
    killed = lived(folder, {"signatures": "aa"})
    killed.__enter__()
    with lived(folder, {"signatures": "bb"}):
        found = acts(folder)
    assert [(one["event"], one.get("how", "")) for one in found] == [
        ("platform began", ""), ("platform ended", "by itself or asked"), ("platform began", ""),
        ("platform ended", "without a word"), ("configuration changed", ""), ("platform began", ""),
    ]  # fmt: skip
    assert found[4]["before"] == {"signatures": "aa"}
    assert found[4]["after"] == {"signatures": "bb"}


@pytest.mark.skipif(os.geteuid() != 0, reason="another account's folder: only root writes there")
def test_what_root_writes_first_belongs_to_whom_the_folder_does(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with OwnLog(folder) as log:
        log.write({"event": "act", "act": "test", "who": "zhouyan"})
        assert {path.stat().st_uid for path in folder.iterdir()} == {12345}


def test_a_log_that_cannot_be_made_stops_what_was_to_be_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogNotWritten), OwnLog(tmp_path / "file" / "platform"):
        pass

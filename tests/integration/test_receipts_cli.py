"""`receipts confirm|reopen`, `registrations list|known` and what `trace` says of them: with a running daemon and without one."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import parse_config
from frontend_agent.control import is_running
from frontend_agent.daemon import Daemon
from frontend_agent.delivery import State
from frontend_agent.model import Document, Outcome, Receipt
from frontend_agent.registrations import Names
from frontend_agent.spool import Spool, Taken
from tests.console_kit import SMALL
from tests.platform_kit import HOSPITAL, document

NOW = datetime(2026, 9, 30, 8, 15, tzinfo=UTC)
PATIENT, DOCTOR = "patient:0012345", "staff:D1"
CONFIG = (
    SMALL
    + """[destinations.region]
type = "mllp"
url = "mllp://127.0.0.1:9"
register_first = true
"""
)
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three documents were accepted by the region; a fourth waits for its patient and its doctor."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "C.UTF-8")
    for name in ("LC_ALL", "LC_MESSAGES", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "agent.toml").write_text(CONFIG, encoding="utf-8")
    with Spool(tmp_path / "state", reserve=0).open() as spool:
        _commit(spool, *(document(n) for n in (1, 2, 3)))
        spool.claim("region", now=NOW)
        answers = [Receipt(document(n).document_id, Outcome.ACCEPTED) for n in (1, 2, 3)]
        spool.settle("region", answers, now=NOW)
        _commit(spool, document(4), needs=(PATIENT, DOCTOR))
    return tmp_path


def _commit(spool: Spool, *documents: Document, needs: tuple[str, ...] = ()) -> None:
    spool.commit(
        Taken(
            feed="lab", kind="C0007", institution=HOSPITAL, digests="digests-1", at=NOW, destinations=("region",),
            documents=documents, names={one.document_id: Names(needs) for one in documents} if needs else {},
            register_first={"region": ()},
        )
    )  # fmt: skip


@pytest.fixture(params=["alone", "running"])
def say(request: pytest.FixtureRequest, site: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Say]:
    """One command: its exit code, what it said, and what it said of errors."""

    def said(*arguments: str) -> tuple[int, str, str]:
        code = run(["--state", "state", *arguments])
        return code, *capsys.readouterr()

    if request.param == "alone":
        assert not is_running(site / "state")
        yield said
        return
    with App(parse_config(CONFIG, folder=site), site / "state") as app:
        daemon = Daemon(app)
        at_work = threading.Thread(target=daemon.run, daemon=True)
        at_work.start()
        try:
            end = time.monotonic() + 20
            while not is_running(site / "state") and time.monotonic() < end:
                time.sleep(0.05)
            assert is_running(site / "state")
            yield said
        finally:
            daemon.stopping.set()
            at_work.join(20)


def told(say: Say, *arguments: str) -> Any:
    code, out, err = say(*arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def state_of(say: Say, n: int) -> str:
    (delivery,) = told(say, "trace", document(n).document_id)["deliveries"]
    return str(delivery["state"])


def outcomes(say: Say) -> dict[str, list[str]]:
    return {one["document_id"]: [one["outcome"], *one["reasons"]] for one in told(say, "receipts")}


ON_ITS_WAY = {State.READY, State.SENDING, State.UNCERTAIN, State.WAITING}


def test_a_person_confirms_and_reopens(say: Say) -> None:
    one, two, three = (document(n).document_id for n in (1, 2, 3))
    assert outcomes(say) == {one: ["accepted"], two: ["accepted"], three: ["accepted"]}

    confirm = ("receipts", "confirm", "region", one, "--who", "wang", "--reason", "seen in their portal")
    assert told(say, *confirm) == {"confirmed": 1, "unchanged": 0}
    assert told(say, *confirm) == {"confirmed": 0, "unchanged": 1}
    assert outcomes(say)[one] == ["confirmed", "person: seen in their portal"]

    again = told(say, "receipts", "reopen", "region", one, two, "--reason", "lost")
    assert again == {"again": 2, "refused": 0, "made_again": 0, "unchanged": 0}
    assert state_of(say, 2) in ON_ITS_WAY

    refused = told(say, "receipts", "reopen", "region", three, "--reason", "lost", "--refused")
    assert refused == {"again": 0, "refused": 1, "made_again": 0, "unchanged": 0}
    (delivery,) = told(say, "trace", three)["deliveries"]
    assert (delivery["state"], delivery["reasons"]) == ("refused", ["lost"])
    assert told(say, "quarantine", "list")["documents"] == 1
    entries = told(say, "qc", "log")
    assert {(e["event"], e["who"]) for e in entries if e["event"] == "confirmed"} == {("confirmed", "wang")}
    assert sum(e["event"] == "reopened" for e in entries) == 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_is_said_in_words(say: Say, language: str) -> None:
    one, two = (document(n).document_id for n in (1, 2))
    chinese = []
    for arguments in (
        ("receipts", "confirm", "region", one, "--reason", "x"),
        ("receipts", "reopen", "region", two, "--reason", "x"),
        ("registrations", "list"),
        ("trace", document(4).document_id),
        ("registrations", "known", "region", PATIENT, "--reason", "x"),
    ):
        code, out, err = say(*arguments, "--lang", language)
        assert (code, err) == (0, ""), arguments
        assert re.search(r"\d", out)
        chinese.append(bool(re.search(r"[\u4e00-\u9fff]", out)))
    assert set(chinese) == {language == "zh"}


def test_what_waits_is_listed_traced_and_let_go(say: Say) -> None:
    listed = told(say, "registrations", "list", "--destination", "region")
    assert [(one["registration"], one["documents"]) for one in listed] == [(PATIENT, 1), (DOCTOR, 1)]
    assert told(say, "registrations", "list") == listed
    waiting = document(4).document_id
    (delivery,) = told(say, "trace", waiting)["deliveries"]
    assert delivery["state"] == "awaiting"
    assert [one["registration"] for one in delivery["waits_for"]] == [PATIENT, DOCTOR]
    code, out, _ = say("trace", waiting)
    assert code == 0
    assert f"{PATIENT}, {DOCTOR}" in out

    known = ("registrations", "known", "region", PATIENT, "--reason", "entered by their operator")
    assert told(say, *known) == {"known": 1, "let_go": 0}
    (delivery,) = told(say, "trace", waiting)["deliveries"]
    assert [one["registration"] for one in delivery["waits_for"]] == [DOCTOR]
    assert told(say, *known[:3], PATIENT, DOCTOR, *known[4:]) == {"known": 1, "let_go": 1}
    (delivery,) = told(say, "trace", waiting)["deliveries"]
    assert delivery["waits_for"] == []
    assert delivery["state"] in ON_ITS_WAY, delivery
    assert told(say, "registrations", "list") == []


ONE = document(1).document_id


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("receipts", "confirm", "regoin", ONE, "--reason", "x"), 78, "did you mean 'region'"),
        (("receipts", "confirm", "platform", ONE, "--reason", "x"), 1, "signed receipts decide"),
        (("receipts", "confirm", "region", ONE, "C0007-NOBODY-1", "--reason", "x"), 1, "C0007-NOBODY-1"),
        (("receipts", "confirm", "region", ONE, "张三", "--reason", "x"), 1, "nothing was changed"),
        (("receipts", "confirm", "region", ONE, "--reason", " "), 1, "--reason"),
        (("receipts", "confirm", "region", ONE), 2, "--reason"),
        (("receipts", "confirm", "region", "--reason", "x"), 2, ""),
        (("receipts", "reopen", "regoin", ONE, "--reason", "x"), 78, "did you mean 'region'"),
        (("receipts", "reopen", "platform", ONE, "--reason", "x"), 1, "signed receipts decide"),
        (("receipts", "reopen", "region", ONE, "C0007-NOBODY-1", "--reason", "x"), 1, "nothing was changed"),
        (("receipts", "--destination", "regoin"), 78, "did you mean 'region'"),
        (("registrations", "list", "--destination", "regoin"), 78, "did you mean 'region'"),
        (("registrations", "list", "--destination", "platform"), 1, "our own platform"),
        (("registrations", "known", "regoin", PATIENT, "--reason", "x"), 78, "did you mean 'region'"),
        (("registrations", "known", "platform", PATIENT, "--reason", "x"), 1, "our own platform"),
        (("registrations", "known", "region", "0012345", "--reason", "x"), 1, "patient:0012345"),
        (("registrations", "known", "region", "pateint:0012345", "--reason", "x"), 1, "patient, institution, staff"),
        (("registrations", "known", "region", "patient: ", "--reason", "x"), 1, "patient:0012345"),
        (("registrations", "known", "region", PATIENT), 2, "--reason"),
    ],
)
def test_mistakes_are_told_and_change_nothing(site: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...],
                                              code: int, says: str) -> None:  # fmt: skip
    assert run(["--state", "state", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "Traceback" not in err
    with Spool(site / "state", reserve=0).open() as spool:
        states = {state: n for state, n in spool.counts().deliveries["region"].items() if n}
    assert states == {"accepted": 3, "awaiting": 1}


def test_a_running_daemon_tells_the_same_mistakes(say: Say) -> None:
    for arguments, code, says in (
        (("receipts", "confirm", "regoin", ONE, "--reason", "x"), 78, "did you mean 'region'"),
        (("receipts", "reopen", "region", ONE, "C0007-NOBODY-1", "--reason", "x"), 1, "nothing was changed"),
        (("registrations", "known", "platform", PATIENT, "--reason", "x"), 1, "our own platform"),
        (("registrations", "list", "--destination", "regoin"), 78, "did you mean 'region'"),
    ):
        found, out, err = say(*arguments)
        assert (found, out) == (code, ""), arguments
        assert says in err
    assert state_of(say, 1) == "accepted"


def test_without_a_state_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.toml").write_text(CONFIG, encoding="utf-8")
    assert run(["--state", "none", "registrations", "list"]) == 1
    assert run(["--state", "none", "receipts", "confirm", "region", ONE, "--reason", "x"]) == 1
    assert not (tmp_path / "none").exists()


def test_a_release_says_what_it_does_not_send_after_a_newer_version(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Spool(site / "state", reserve=0).open() as spool:
        spool.accepted.reopen("region", [ONE], ["no such patient"], False, NOW)
        newer = document(1, version=2)
        _commit(spool, newer)
        assert [one.document.document_id for one in spool.claim("region", now=NOW)] == [newer.document_id]
        spool.settle("region", [Receipt(newer.document_id, Outcome.ACCEPTED)], now=NOW)
        (case,) = spool.quarantine_list()

    assert run(["--state", "state", "quarantine", "release", case.id, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["overtaken"], told["sent_again"]) == ([case.id], 0)
    assert run(["--state", "state", "quarantine", "release", case.id]) == 0
    assert f"newer version may be there already: {case.id}" in capsys.readouterr().out

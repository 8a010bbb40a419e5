"""The audit guide, in both languages: every logged act and every event of the log is in it, and what tampering looks like is what the
verifier says of a log that was tampered with so."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent import qc_verifier, qclog
from frontend_agent.people import ACTS, ROLE_NAMES, Act, Role
from frontend_agent.qclog import Entry, Head, Title
from frontend_agent.wire.parcel import LogHead
from frontend_agent.wire.receipts import public_bytes, read_reply, seal

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"zh": ROOT / "docs/guide/audit.md", "en": ROOT / "docs/guide/audit.en.md"}
TEXTS = {language: page.read_text("utf-8") for language, page in PAGES.items()}
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

in_both = pytest.mark.parametrize("language", TEXTS)


# --- acts and events --------------------------------------------------------------------------------------------------


def logged() -> dict[str, Act]:
    never = Act(frozenset()).shows
    return {name: act for name, act in ACTS.items() if act.told or act.shows is not never}


def role_in(language: str, role: Role) -> str:
    return ROLE_NAMES[role][1] if language == "zh" else role.value


def shown_in(language: str, act: Act) -> str:
    if act.shows is Act(frozenset()).shows:
        return ""
    return {"zh": ("要求时", "是"), "en": ("when asked for", "yes")}[language][act.shows({})]


@in_both
def test_each_logged_act_has_its_line_with_who_may_and_what_it_shows(language: str) -> None:
    lines = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| ([^|]+) \| ([^|]*) \|$", TEXTS[language], re.MULTILINE)
    told = {name: (set(re.split(r"[、,] ?", roles)), shows.strip()) for name, roles, shows in lines}
    wanted = {
        name: ({role_in(language, role) for role in act.roles}, shown_in(language, act))
        for name, act in logged().items()
    }
    assert told == wanted


def events() -> Iterator[str]:
    """Those that the program writes, as they stand in it; of those that it puts together, their forms."""
    for path in (ROOT / "frontend_agent").rglob("*.py"):
        text = path.read_text("utf-8")
        if path.parent.name == "spool" or "ledger" in text or ".log(" in text or "note" in text:
            yield from re.findall(r'"event": "([a-z. ]+)"', text)
    yield from ("alarm begins", "alarm worsens", "alarm ends", "confirmed", "reopened", "vanished accepted")


@in_both
def test_each_event_is_told(language: str) -> None:
    told = set(re.findall(r"`([a-z. ]+)`", TEXTS[language]))
    assert len(set(events())) > 50
    assert sorted(set(events()) - told) == []


# --- what tampering looks like ----------------------------------------------------------------------------------------


def chain(entries: list[Entry], at: int, event: str) -> list[Entry]:
    """With another entry at this number (from 1), and everything after it chained anew."""
    chained, previous = entries[: at - 1], entries[at - 2].hash
    for one in entries[at - 1 :]:
        body = {name: value for name, value in json.loads(one.body).items() if name not in ("seq", "prev")}
        body |= {"event": event} if one.seq == at else {}
        chained.append(qclog.chained(one.seq, previous, body))
        previous = chained[-1].hash
    return chained


def whole() -> list[Entry]:
    entries: list[Entry] = []
    for seq in range(1, 19):
        entries.append(qclog.chained(seq, entries[-1].hash if entries else qclog.GENESIS, {"event": f"event {seq}"}))
    return entries


def countersigned(entry: Entry) -> Head:
    reply = seal(KEY, [], [], "H1", "i", "2026-11-21T00:00:00+00:00", LogHead(entry.seq, entry.hash))
    return Head(entry.seq, entry.hash, read_reply(reply, public_bytes(KEY)).countersignature)


WHOLE = whole()
HEADS = [countersigned(WHOLE[number - 1]) for number in (6, 8, 10)]
SEVENTH, EIGHTH = WHOLE[6:8]
ALTERED = Entry(7, SEVENTH.hash, SEVENTH.body.replace(b"event 7", b"event 9"))
REHASHED = Entry(7, qclog.entry_hash(WHOLE[5].hash, ALTERED.body), ALTERED.body)
TAMPERED = {  # in the order of the guide
    "altered": [*WHOLE[:6], ALTERED, *WHOLE[7:]],
    "altered and hashed": [*WHOLE[:6], REHASHED, *WHOLE[7:]],
    "cut out": [*WHOLE[:6], *WHOLE[7:]],
    "doubled": [*WHOLE[:7], SEVENTH, *WHOLE[7:]],
    "exchanged": [*WHOLE[:6], EIGHTH, SEVENTH, *WHOLE[8:]],
    "rewritten": chain(WHOLE, 7, "invented"),
    "cut off": WHOLE[:8],
}


def said(path: Path) -> list[str]:
    return qc_verifier.told(qc_verifier.verify(qc_verifier.Log(str(path), [public_bytes(KEY)])))


def exported(path: Path, entries: list[Entry], heads: list[Head], cut: int = 0) -> Path:
    content = b"".join(qclog.export(Title(instance="i"), [], heads)) + b"".join(
        list(qclog.export(Title(instance="i"), entries, []))[1:]
    )
    path.write_bytes(content[: len(content) - cut])
    return path


@in_both
def test_tampering_looks_as_the_guide_says(language: str, tmp_path: Path) -> None:
    wanted = [said(exported(tmp_path / "log.jsonl", entries, HEADS))[0] for entries in TAMPERED.values()]
    wanted.append(said(exported(tmp_path / "log.jsonl", WHOLE, HEADS, cut=40))[1])
    wanted.append(said(exported(tmp_path / "log.jsonl", WHOLE, []))[1])
    told = re.findall(
        r"^\| [^|]+ \| `((?:TAMPERED|INCOMPLETE|NOTHING)[^`]+: [^`]+)` \|$", TEXTS[language], re.MULTILINE
    )
    assert told == wanted
    assert all(one.startswith("TAMPERED") for one in wanted[: len(TAMPERED)])


@in_both
def test_a_whole_log_looks_as_the_guide_says(language: str, tmp_path: Path) -> None:
    (block,) = re.findall(r"```text\n(WHOLE.*)\n```", TEXTS[language])
    assert said(exported(tmp_path / "log.jsonl", WHOLE, HEADS)) == [block]

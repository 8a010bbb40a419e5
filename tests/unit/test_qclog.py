"""The quality log: every kind of tampering is found, with the right first bad entry, and a torn end is not tampering."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipe import NOW, FakePlatform, document, feed, fill, rows, taken

from frontend_agent import qclog
from frontend_agent.intake import take_in
from frontend_agent.qclog import GENESIS, Entry, Head, NotALog, Title, chained, verify, verify_export
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool

LENGTH = 60


def log(length: int = LENGTH) -> list[Entry]:
    entries, previous = [], GENESIS
    for seq in range(1, length + 1):
        entries.append(chained(seq, previous, {"event": "taken", "documents": [f"D{seq}"]}))
        previous = entries[-1].hash
    return entries


def heads(entries: list[Entry], every: int = 1) -> list[Head]:
    return [Head(entry.seq, entry.hash, b"signed") for entry in entries if entry.seq % every == 0]


def signed(head: Head) -> bool:
    return head.evidence == b"signed"


def rechained(entries: list[Entry], start: int) -> list[Entry]:
    """Write the chain anew from a place on, hashes and all, as one would who knows how."""
    done = entries[:start]
    for entry in entries[start:]:
        body = {k: v for k, v in msgspec.json.decode(entry.body).items() if k not in ("seq", "prev")}
        done.append(chained(len(done) + 1, done[-1].hash if done else GENESIS, body))
    return done


# Each takes the log and a place (0-based), and gives the forged log and the number of the first entry that is not right.
def edit(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    forged = entries[at].body.replace(b'"D', b'"X')
    return [*entries[:at], Entry(at + 1, entries[at].hash, forged), *entries[at + 1 :]], at + 1


def edit_with_its_hash(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    forged = entries[at].body.replace(b'"D', b'"X')
    previous = entries[at - 1].hash if at else GENESIS
    return [*entries[:at], Entry(at + 1, qclog.entry_hash(previous, forged), forged), *entries[at + 1 :]], at + 1


def edit_the_hash(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    return [*entries[:at], Entry(at + 1, "5a" * 32, entries[at].body), *entries[at + 1 :]], at + 1


def cut_out(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    return entries[:at] + entries[at + 1 :], at + 1


def insert(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    previous = entries[at - 1].hash if at else GENESIS
    return [*entries[:at], chained(at + 1, previous, {"event": "invented"}), *entries[at:]], at + 1


def double(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    return [*entries[: at + 1], *entries[at:]], at + 2


def swap(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    at = min(at, len(entries) - 2)
    return [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]], at + 1


def cut_off(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    return entries[:at], at + 1


def rewrite(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    forged = [*entries[:at], msgspec.structs.replace(entries[at], body=entries[at].body.replace(b'"D', b'"X'))]
    return rechained([*forged, *entries[at + 1 :]], at), at + 1


def cut_out_and_rewrite(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    return rechained(entries[:at] + entries[at + 1 :], at), at + 1


def no_json(entries: list[Entry], at: int) -> tuple[list[Entry], int]:
    return [*entries[:at], Entry(at + 1, entries[at].hash, b"\xff\x00"), *entries[at + 1 :]], at + 1


KINDS = [
    edit, edit_with_its_hash, edit_the_hash, cut_out, insert, double, swap, cut_off, rewrite, cut_out_and_rewrite, no_json
]  # fmt: skip
WHOLE = log()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(LENGTH))
def test_every_kind_of_tampering_at_every_place_is_found_there(
    kind: Callable[[list[Entry], int], tuple[list[Entry], int]], at: int
) -> None:
    forged, first_bad = kind(WHOLE, at)
    # The platform countersigned every entry: that is the anchor interval.
    verdict = verify(forged, heads(WHOLE), signed)
    assert verdict.first_bad == first_bad, verdict.reason
    assert verdict.proven == first_bad - 1
    assert not verdict.ok


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(0, LENGTH, 3))
def test_with_rarer_heads_it_is_found_within_the_interval(
    kind: Callable[[list[Entry], int], tuple[list[Entry], int]], at: int
) -> None:
    forged, first_bad = kind(WHOLE, at)
    verdict = verify(forged, heads(WHOLE, every=10), signed)
    assert not verdict.ok
    assert verdict.first_bad <= first_bad
    assert first_bad <= max(verdict.last_bad, verdict.first_bad)
    assert verdict.proven == (first_bad - 1) // 10 * 10


def test_without_heads_a_whole_chain_is_whole_but_nothing_is_proven() -> None:
    verdict = verify(WHOLE)
    assert (verdict.ok, verdict.entries, verdict.proven, verdict.not_yet_proven) == (True, LENGTH, 0, LENGTH)


def test_what_is_younger_than_the_last_head_is_not_yet_proven() -> None:
    verdict = verify(WHOLE, heads(WHOLE[:47]), signed)
    assert (verdict.ok, verdict.proven, verdict.not_yet_proven) == (True, 47, 13)


def test_a_rewriting_of_what_was_never_countersigned_cannot_be_told_and_is_not_called_proven() -> None:
    forged, _ = rewrite(WHOLE, 50)
    verdict = verify(forged, heads(WHOLE[:40]), signed)
    assert (verdict.ok, verdict.proven, verdict.not_yet_proven) == (True, 40, 20)


def test_forged_heads_prove_nothing_and_are_named() -> None:
    forged, _ = rewrite(WHOLE, 10)
    mine = [Head(entry.seq, entry.hash, b"forged") for entry in forged]
    verdict = verify(forged, [*mine, *heads(WHOLE, every=20)], signed)
    assert verdict.first_bad == 1
    assert verdict.last_bad == 20
    assert len(verdict.forged_heads) == LENGTH


def test_two_contradicting_genuine_heads_are_never_both_believed() -> None:
    other, _ = rewrite(WHOLE, 10)
    assert not verify(WHOLE, [*heads(WHOLE), *heads(other)], signed).ok
    assert not verify(other, [*heads(WHOLE), *heads(other)], signed).ok


# --- exports ----------------------------------------------------------------------------------------------------------


def exported(entries: list[Entry], countersigned: list[Head]) -> list[bytes]:
    return list(qclog.export(Title(instance="i"), entries, countersigned))


def test_an_export_is_verified_offline() -> None:
    lines = exported(WHOLE, heads(WHOLE[:40]))
    verdict = verify_export(lambda: lines, signed)
    assert (verdict.ok, verdict.proven, verdict.not_yet_proven, verdict.incomplete) == (True, 40, 20, False)


def test_an_export_can_be_verified_without_our_code() -> None:
    """Anyone who reads the title of this module can do it: the entry as it stands, the hash before it, SHA-256."""
    previous = bytes(32)
    for line in exported(WHOLE, []):
        if b'"entry":' in line:
            body = line.rstrip(b"\n")[:-1].split(b'"entry":', 1)[1]
            previous = hashlib.sha256(previous + body).digest()
            assert msgspec.json.decode(line)["hash"] == previous.hex()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(0, LENGTH, 7))
def test_a_forged_export_is_found_out(kind: Callable[[list[Entry], int], tuple[list[Entry], int]], at: int) -> None:
    if kind is no_json:
        return  # its line is torn differently: below
    forged, first_bad = kind(WHOLE, at)
    lines = exported(forged, heads(WHOLE))
    assert verify_export(lambda: lines, signed).first_bad == first_bad


def test_a_line_that_is_no_json_is_a_bad_entry() -> None:
    lines = exported(WHOLE, heads(WHOLE))
    lines[10] = b"{{{\n"
    assert verify_export(lambda: lines, signed).first_bad == 10


def test_a_torn_last_line_is_incomplete_not_tampered() -> None:
    lines = exported(WHOLE, [])
    for length in range(1, len(lines[-1]) - 1, 5):
        torn = [*lines[:-1], lines[-1][:length]]
        verdict = verify_export(lambda torn=torn: torn, signed)  # type: ignore[misc]
        assert (verdict.ok, verdict.incomplete, verdict.entries) == (True, True, LENGTH - 1)


def test_a_torn_head_is_incomplete_not_tampered() -> None:
    lines = exported(WHOLE, heads(WHOLE[:3]))
    lines[-1] = lines[-1][:30]
    verdict = verify_export(lambda: lines, signed)
    assert (verdict.ok, verdict.incomplete, verdict.proven) == (True, True, 2)


def test_a_torn_end_that_was_countersigned_is_missing() -> None:
    lines = exported(WHOLE, heads(WHOLE))
    del lines[LENGTH]
    assert verify_export(lambda: lines, signed).first_bad == LENGTH


@pytest.mark.parametrize("title", [b"", b"hello\n", b"[]\n", b'{"qc_log":2}\n'])
def test_a_file_that_is_no_log_is_told(title: bytes) -> None:
    with pytest.raises(NotALog):
        verify_export(lambda: [title], signed)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_one_changed_byte_anywhere_never_passes_for_the_whole_log(data: st.DataObject) -> None:
    whole = b"".join(exported(WHOLE[:8], heads(WHOLE[:8])))
    place = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    forged = whole[:place] + bytes([byte]) + whole[place + 1 :]

    def lines() -> Iterator[bytes]:
        yield from forged.splitlines(keepends=True)

    def genuine(head: Head) -> bool:
        return head in heads(WHOLE[:8])

    try:
        verdict = verify_export(lines, genuine)
    except NotALog:
        return
    same_entries = [entry.body for entry in qclog.Export(lines).entries()] == [entry.body for entry in WHOLE[:8]]
    assert not verdict.ok or verdict.forged_heads or same_entries


# --- the log of a real spool ------------------------------------------------------------------------------------------


def test_a_spools_own_log_is_found_out_where_it_was_edited(tmp_path: Path) -> None:
    platform = FakePlatform()
    with Spool(tmp_path / "s").open() as spool:
        for n in range(10):
            fill(spool, [f"k{n}"])
            platform.countersigns = spool.log_head()
            send_out(platform, spool, NOW)
        assert spool.verify_log(lambda head: True).proven == 19
        before = list(spool.export_log())
        assert verify_export(lambda: before, lambda head: True).ok
        spool._database.execute("UPDATE log SET body = (SELECT body FROM log WHERE seq = 3) WHERE seq = 7")
        assert spool.verify_log(lambda head: True).first_bad == 7
        spool._database.execute("DELETE FROM log WHERE seq >= 15")
        spool._database.execute("UPDATE log SET body = x'00' WHERE seq = 4")
        verdict = spool.verify_log(lambda head: True)
        assert verdict.first_bad == 4


def test_cutting_the_end_off_the_spools_own_log_is_found_out(tmp_path: Path) -> None:
    platform = FakePlatform()
    with Spool(tmp_path / "s").open() as spool:
        for n in range(5):
            fill(spool, [f"k{n}"])
            platform.countersigns = spool.log_head()
            send_out(platform, spool, NOW)
        spool._database.execute("DELETE FROM log WHERE seq >= 8")
        verdict = spool.verify_log(lambda head: True)
        assert (verdict.first_bad, verdict.last_bad) == (8, 9)


def test_no_patient_content_is_in_the_log(tmp_path: Path) -> None:
    canary = "张三丰-canary"
    plan = feed(render=lambda record, envelope: (_ for _ in ()).throw(RuntimeError(canary)))
    with Spool(tmp_path / "s").open() as spool:
        take_in(plan, rows(("a", canary), ("b", "bad " + canary)), None, spool, None, NOW)
        spool.commit(taken(document("c")))
        written = b"".join(spool.export_log())
        cases = repr(spool.quarantine_list())
    assert canary.encode() not in written
    assert canary not in cases
    assert base64.b64encode(canary.encode()) not in written

"""The quality log's term: what is dropped, from where the chain goes on, and what cutting it otherwise looks like."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pipe import NOW, FakePlatform, SignedReply, fill
from test_reports import CONFIG

from frontend_agent import qclog
from frontend_agent.app import App
from frontend_agent.cli.main import run
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.proving import genuine_by
from frontend_agent.qclog import Head, verify_export
from frontend_agent.sending import send_out
from frontend_agent.spool import Spool, this_machine
from frontend_agent.wire.parcel import LogHead
from frontend_agent.wire.receipts import Leaf, public_bytes, read_reply, seal

DAY = timedelta(days=1)
KEY = Ed25519PrivateKey.generate()
GENUINE = genuine_by([public_bytes(KEY)])


def evidence(seq: int, digest: str, when: datetime, key: Ed25519PrivateKey = KEY) -> bytes:
    """What a platform's signature over a head looks like."""
    body = seal(key, [Leaf("i", "d", "stored")], [], "i", "n", when.isoformat(), LogHead(seq, digest))
    return read_reply(body, public_bytes(key)).countersignature


class Countersigning(FakePlatform):
    """Stores, and countersigns the log's head as of its own clock."""

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        self.spool, self.now, self.key = spool, NOW, KEY

    def take_replies(self):
        seq, digest = self.spool.log_head()
        signed = evidence(seq, digest, self.now, self.key)
        return [SignedReply(r.id, r.body, seq, digest, signed) for r in super().take_replies()]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as opened:
        opened.bind(this_machine())
        yield opened


def lived(spool: Spool, days: int, every: int = 10) -> Countersigning:
    """An agent that works every few days; what it wrote is countersigned with the next exchange."""
    platform = Countersigning(spool)
    for day in range(0, days, every):
        platform.now = NOW + day * DAY
        fill(spool, [f"k{day}"])
        send_out(platform, spool, platform.now)
    return platform


def lines(spool: Spool):
    written = list(spool.export_log())
    return lambda: iter(written)


def kept(spool: Spool) -> list[int]:
    return [entry.seq for entry in spool.log_entries()]


def test_what_is_older_than_the_term_goes_and_the_rest_is_proven(spool: Spool) -> None:
    lived(spool, 400)
    before = len(kept(spool))
    dropped = spool.drop_log(200 * DAY, GENUINE, NOW + 400 * DAY)
    first = kept(spool)[0]
    assert dropped == first - 1 > 30
    assert len(kept(spool)) == before - dropped + 1  # it is itself in the log
    oldest = msgspec.json.decode(next(iter(spool.log_entries())).body)
    assert datetime.fromisoformat(oldest["at"]) >= NOW + 190 * DAY - 11 * DAY
    newest = msgspec.json.decode(spool.log_newest(1)[0].body)
    assert (newest["event"], newest["first"], newest["last"]) == ("log dropped", 1, dropped)

    verdict = spool.verify_log(GENUINE)
    assert verdict.ok
    assert verdict.first == first
    assert verdict.proven > first
    assert verify_export(lines(spool), GENUINE) == verdict


def test_dropping_goes_on_from_checkpoint_to_checkpoint(spool: Spool) -> None:
    platform = lived(spool, 400)
    spool.drop_log(200 * DAY, GENUINE, NOW)
    assert spool.drop_log(200 * DAY, GENUINE, NOW) == 0
    first = kept(spool)[0]
    platform.now = NOW + 500 * DAY
    fill(spool, ["later"])
    send_out(platform, spool, platform.now)
    assert spool.drop_log(200 * DAY, GENUINE, NOW) > 0
    assert kept(spool)[0] > first
    assert spool.verify_log(GENUINE).ok
    assert spool.heads()[0].seq == kept(spool)[0] - 1
    assert all(head.seq >= kept(spool)[0] - 1 for head in spool.heads())


def test_never_below_six_months_whatever_is_asked(spool: Spool) -> None:
    lived(spool, 180)
    assert spool.drop_log(timedelta(0), GENUINE, NOW + 9_999 * DAY) == 0
    assert kept(spool)[0] == 1


def test_our_own_clock_decides_nothing(spool: Spool) -> None:
    """A machine whose clock jumps to 2099 drops nothing: the platform has not seen the time go by."""
    lived(spool, 100)
    assert spool.drop_log(183 * DAY, GENUINE, datetime(2099, 1, 1, tzinfo=UTC)) == 0


def test_nothing_goes_without_a_countersignature(spool: Spool) -> None:
    lived(spool, 400)
    assert spool.drop_log(183 * DAY, genuine_by([]), NOW) == 0
    assert spool.drop_log(183 * DAY, lambda head: True, NOW) == 0  # genuine, and nobody says when
    assert kept(spool)[0] == 1


def test_forged_heads_are_passed_over(spool: Spool) -> None:
    platform = lived(spool, 200)
    platform.key = Ed25519PrivateKey.generate()
    for day in range(200, 260, 10):
        platform.now = NOW + day * DAY
        fill(spool, [f"forged {day}"])
        send_out(platform, spool, platform.now)
    platform.key = KEY
    platform.now = NOW + 420 * DAY
    fill(spool, ["real"])
    send_out(platform, spool, platform.now)
    assert spool.drop_log(183 * DAY, GENUINE, NOW) > 0
    assert GENUINE(spool.heads()[0])
    assert spool.verify_log(GENUINE).ok


def test_what_a_crash_left_is_dropped_with_the_next_look(spool: Spool) -> None:
    lived(spool, 400)
    whole = set(kept(spool))
    ledger = spool._ledger
    sweep, ledger.sweep = ledger.sweep, lambda: 0  # type: ignore[method-assign]
    spool.drop_log(200 * DAY, GENUINE, NOW)
    first = kept(spool)[0]
    assert first > 1
    assert spool.verify_log(GENUINE).ok
    rows = spool._database.rows("log.page", first=1)
    assert {row[0] for row in rows} & whole != set(kept(spool))
    ledger.sweep = sweep  # type: ignore[method-assign]
    assert spool.drop_log(200 * DAY, GENUINE, NOW) == first - 1
    assert spool._database.rows("log.page", first=1)[0][0] == first


# --- cutting it otherwise ---------------------------------------------------------------------------------------------


def test_a_log_cut_in_front_without_a_checkpoint_is_found_out(spool: Spool) -> None:
    lived(spool, 400)
    entries, heads = list(spool.log_entries()), spool.heads()
    for cut in (1, 5, 20):
        rest = [head for head in heads if head.seq > cut]
        verdict = qclog.verify(entries[cut:], rest, GENUINE, cut + 1, entries[cut - 1].hash)
        assert not verdict.ok
        assert verdict.first_bad == cut + 1
        assert "no countersigned checkpoint" in verdict.reason


def test_a_log_cut_too_early_is_found_out(spool: Spool) -> None:
    """A real checkpoint, and the real end; but the platform's own times say that the term was not over."""
    lived(spool, 400)
    entries, heads = list(spool.log_entries()), spool.heads()
    young = next(head for head in heads if GENUINE(head) > NOW + 300 * DAY)
    verdict = qclog.verify(
        entries[young.seq :], [h for h in heads if h.seq >= young.seq], GENUINE, young.seq + 1, young.hash
    )
    assert not verdict.ok
    assert "before their term" in verdict.reason
    old = next(head for head in heads if head.seq > 3)
    whole = qclog.verify(entries[old.seq :], [h for h in heads if h.seq >= old.seq], GENUINE, old.seq + 1, old.hash)
    assert whole.ok
    assert whole.first == old.seq + 1


def test_another_hash_before_the_beginning_is_found_out(spool: Spool) -> None:
    lived(spool, 400)
    entries, heads = list(spool.log_entries()), spool.heads()
    old = next(head for head in heads if head.seq > 3)
    verdict = qclog.verify(entries[old.seq :], heads, GENUINE, old.seq + 1, "ab" * 32)
    assert verdict.first_bad == old.seq + 1


def test_without_a_key_the_chain_alone_is_walked(spool: Spool) -> None:
    lived(spool, 400)
    spool.drop_log(200 * DAY, GENUINE, NOW)
    verdict = verify_export(lines(spool), None)
    assert verdict.ok
    assert verdict.proven < kept(spool)[0]


def test_an_edit_after_dropping_is_found_where_it_is(spool: Spool) -> None:
    lived(spool, 400)
    spool.drop_log(200 * DAY, GENUINE, NOW)
    place = kept(spool)[3]
    spool._database.execute(f"UPDATE log SET body = x'00' WHERE seq = {place}")
    assert spool.verify_log(GENUINE).first_bad == place


def test_the_checkpoint_is_the_newest_that_is_old_enough() -> None:
    times = {n: NOW + n * 7 * DAY for n in range(3, 90, 3)}

    def heads(seq: int) -> Head | None:
        found = max((n for n in times if n <= seq), default=None)
        return Head(found, "00") if found else None

    for term in (183, 200, 400, 620):
        limit = times[87] - term * DAY
        expected = max((n for n in times if times[n] <= limit), default=None)
        found = qclog.checkpoint(heads, 1, 95, lambda head: times[head.seq], term * DAY)
        assert (found.seq if found else None) == expected
    assert qclog.checkpoint(heads, 85, 95, lambda head: times[head.seq], 200 * DAY) is None
    assert qclog.checkpoint(lambda seq: None, 1, 95, lambda head: NOW, DAY) is None


# --- the command and the configuration --------------------------------------------------------------------------------


def test_verify_says_from_where_on(spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:

    lived(spool, 400)
    spool.meta.put("key:platform", base64.b64encode(public_bytes(KEY)).decode())
    spool.close()
    (tmp_path / "agent.toml").write_text(CONFIG + '\n[qc_log]\nretention = "200d"\n', encoding="utf-8")
    app = App(parse_config((tmp_path / "agent.toml").read_text("utf-8")), tmp_path / "state", alone=True).open_state()
    app.retire()
    first = next(iter(app.spool.log_entries())).seq
    app.close()
    assert first > 1
    shared = ["--config", str(tmp_path / "agent.toml"), "--state", str(tmp_path / "state"), "--lang", "en"]
    assert run([*shared, "qc", "verify"]) == 0
    assert f"begins with entry {first}" in capsys.readouterr().out
    assert run([*shared, "qc", "export", "-o", str(tmp_path / "log.jsonl")]) == 0
    assert run([*shared, "qc", "verify", str(tmp_path / "log.jsonl")]) == 0
    assert f"begins with entry {first}" in capsys.readouterr().out
    spool.open()


@pytest.mark.parametrize("text", ["182d", "30d", "1h", "182.9d"])
def test_a_term_below_six_months_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationProblems, match=r"qc_log: retention must be at least \"183d\"") as problem:
        parse_config(CONFIG + f'\n[qc_log]\nretention = "{text}"\n')
    assert problem.value.exit_code == 78
    assert parse_config(CONFIG + '\n[qc_log]\nretention = "183d"\n').qc_log.retention == 183 * DAY

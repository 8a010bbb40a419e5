"""The state directory encrypted: nothing readable in its raw files, and nothing lost by turning it on, off, or to another key."""

import base64
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from connectors.arrivals import Arrived
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.sealed_files import HEAD, SEALED, SEGMENT, Reader, is_sealed, sealed
from frontend_agent.sealing import KEY_BYTES, SUITES, NotGenuine, Sealer, Suite, derived
from frontend_agent.spool import Spool
from frontend_agent.spool.at_rest import under
from frontend_agent.spool.inbox import parcel
from frontend_agent.spool.vault import FILE, AtRest, Key
from tests.unit.test_spool import NOW, document, taken

CANARY = b"C4NARY-\xe7\x8e\x8b\xe5\xb0\x8f\xe6\x98\x8e-110101199003077731"
ONE, TWO = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
SECRETS = {"one": ONE, "two": TWO, "word": "correct horse battery staple"}


def at_rest(suite: Suite | None = "AES-256-GCM", secret: str = "one") -> AtRest:
    return AtRest(suite, secret, SECRETS.__getitem__)


def raw_hits(state: Path, wanted: bytes = CANARY) -> list[str]:
    files = [path for path in state.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(state)) for path in files if wanted in path.read_bytes())


def filled(spool: Spool) -> list[str]:
    """Short and long frames, a business key, a message: all with the canary. Returns the documents."""
    short = [document(f"k{n}-{CANARY.decode()}", frame=CANARY + os.urandom(900)) for n in range(40)]
    long = [document(f"l{n}", frame=os.urandom(1 << 20) + CANARY * 3) for n in range(2)]
    spool.commit(taken(*short, *long))
    spool.inbox.keep(
        [parcel(Arrived(inlet="lab", body=os.urandom(2 << 20) + CANARY, control_id=CANARY.decode(), received_at=NOW))]
    )
    return [made.document_id for made in (*short, *long)]


def readable(spool: Spool, ids: list[str]) -> int:
    return sum(CANARY in (spool.frame(one) or b"") for one in ids)


# --- the suites -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_what_was_sealed_opens_with_the_same_key_for_the_same_place_only(suite: Suite) -> None:
    key = os.urandom(KEY_BYTES[suite])
    sealer, nonce = Sealer(suite, key), os.urandom(12)
    hidden = sealer.seal(nonce, CANARY, b"here")
    assert sealer.open(nonce, hidden, b"here") == CANARY
    for other, about, changed in (
        (sealer, b"there", hidden),
        (Sealer(suite, os.urandom(KEY_BYTES[suite])), b"here", hidden),
        (sealer, b"here", hidden[:-1] + bytes([hidden[-1] ^ 1])),
        (sealer, b"here", b""),
    ):
        with pytest.raises(NotGenuine):
            other.open(nonce, changed, about)


def test_the_suites_are_the_standards() -> None:
    """SP 800-38D (McGrew and Viega, case 16) and RFC 8998 A.1, SM4-GCM: known answers."""
    aes = Sealer("AES-256-GCM", bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2))
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    about = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    assert (
        aes.seal(bytes.fromhex("cafebabefacedbaddecaf888"), plain, about)[-16:].hex()
        == "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    sm4 = Sealer("SM4-GCM", bytes.fromhex("0123456789abcdeffedcba9876543210"))
    plain = b"".join(bytes([byte]) * 8 for byte in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA))
    answer = sm4.seal(bytes.fromhex("00001234567800000000abcd"), plain, about)
    assert answer[:16].hex() == "17f399f08c67d5ee19d0dc9969c4bb7d"
    assert answer[-16:].hex() == "83de3541e4c2b58177e065a9bf7b62ec"


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT + 7])
def test_a_file_is_read_in_any_range_and_found_changed_cut_or_exchanged(size: int) -> None:
    key = Key("0123abcd", "AES-256-GCM", os.urandom(32))
    plain = os.urandom(size)
    whole = sealed(plain, key, b"a")
    assert is_sealed(whole)
    assert len(whole) == HEAD + size + 16 * (max(size - 1, 0) // SEGMENT + 1)

    def reader(content: bytes, about: bytes = b"a") -> Reader:
        return Reader(BytesIO(content), lambda _: key, about)

    assert reader(whole).size == size
    assert reader(whole).read() == plain == b"".join(reader(whole).chunks())
    for place, length in ((0, 10), (SEGMENT - 3, 6), (size // 2, 70_000), (size, 5)):
        ranged = reader(whole)
        ranged.seek(place)
        assert ranged.read(length) == plain[place : place + length]
    for spoiled in (whole[:-1], whole[:HEAD], whole[: HEAD + SEALED] if size > SEGMENT else whole[:-2]):
        with pytest.raises(NotGenuine):
            reader(spoiled).read()
    with pytest.raises(NotGenuine):
        reader(whole, b"another").read()
    for place in {8 + 8, len(whole) - 1, HEAD + size // 2}:
        with pytest.raises(NotGenuine):
            reader(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]).read()


# --- the state --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
def test_nothing_of_a_patient_is_in_the_raw_files(tmp_path: Path, suite: Suite) -> None:
    with Spool(tmp_path, at_rest=at_rest(suite)).open() as spool:
        ids = filled(spool)
        assert raw_hits(tmp_path) == []  # with the write-ahead log as it is
        assert (tmp_path / "spool.db-wal").stat().st_size > 0
        spool._database.execute("DELETE FROM frame WHERE document < 10")
        assert raw_hits(tmp_path) == []
    assert raw_hits(tmp_path) == []
    with Spool(tmp_path, at_rest=at_rest(suite)).open() as spool:
        assert readable(spool, ids) == len(ids) - 9
        assert spool.inbox.one(1) is not None
    with Spool(tmp_path / "plain").open() as spool:  # the search finds what is there
        filled(spool)
        assert len(raw_hits(tmp_path / "plain")) >= 3


def test_after_a_crash_the_log_is_read_back(tmp_path: Path) -> None:
    with Spool(tmp_path / "a", at_rest=at_rest()).open() as spool:
        ids = filled(spool)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    wal = tmp_path / "b" / "spool.db-wal"
    assert wal.stat().st_size > 0
    with Spool(tmp_path / "b", at_rest=at_rest()).open() as spool:
        assert readable(spool, ids) == len(ids)


def test_a_torn_log_ends_at_its_last_whole_commit(tmp_path: Path) -> None:
    with Spool(tmp_path / "a", at_rest=at_rest()).open() as spool:
        first = filled(spool)
        spool.commit(taken(document("last", frame=CANARY)))
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    wal = tmp_path / "b" / "spool.db-wal"
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size - 100)
    with Spool(tmp_path / "b", at_rest=at_rest()).open() as spool:
        assert readable(spool, first) == len(first)
        assert spool.counts().documents == len(first)


FULL = """
import os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, "tests/unit")
from pipe import document, taken
from frontend_agent.errors import FrontendAgentError
from frontend_agent.spool import Spool
from frontend_agent.spool.vault import AtRest
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a disk that is full
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
state = Path(sys.argv[1])
def one(name):
    return document(name, frame=os.urandom(60_000))
with Spool(state, at_rest=AtRest("AES-256-GCM", "one", lambda name: sys.argv[2])).open() as spool:
    kept = [one("before")]
    spool.commit(taken(*kept))
    resource.setrlimit(resource.RLIMIT_FSIZE, ((state / "spool.db-wal").stat().st_size + 30_000, most))
    try:
        spool.commit(taken(*[one(f"lost{n}") for n in range(5)]))
    except FrontendAgentError as error:
        print(type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    kept.append(one("after"))
    spool.commit(taken(kept[-1]))
    print(*[made.document_id for made in kept])
    os._exit(1)  # no checkpoint: what is there is in the log
"""


def test_a_disk_that_is_full_takes_a_whole_commit_back_and_the_next_one_is_kept(tmp_path: Path) -> None:
    """Frames wait for their sync: that is where the disk says so then."""
    arguments = [sys.executable, "-c", FULL, str(tmp_path / "state"), ONE]
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    said, *kept = ran.stdout.split()
    assert said in ("SpoolFull", "StateError"), ran.stderr
    with Spool(tmp_path / "state", at_rest=at_rest()).open() as spool:
        assert spool.counts().documents == len(kept) == 2
        assert all(spool.frame(one) for one in kept)
        assert spool._database._connection.execute("PRAGMA integrity_check").get == "ok"


def test_a_changed_page_is_damage_and_not_other_data(tmp_path: Path) -> None:
    with Spool(tmp_path, at_rest=at_rest()).open() as spool:
        filled(spool)
    content = bytearray((tmp_path / "spool.db").read_bytes())
    for page in range(1, len(content) // 8192):
        content[page * 8192 + 77] ^= 1
    (tmp_path / "spool.db").write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        Spool(tmp_path, at_rest=at_rest()).open()


PATHS: list[tuple[AtRest | None, AtRest | None]] = [
    (None, at_rest()),
    (at_rest(), at_rest("SM4-GCM")),
    (at_rest("SM4-GCM"), at_rest(None)),
]


@pytest.mark.parametrize(("before", "after"), PATHS, ids=["turned on", "another suite", "turned off"])
def test_what_lies_here_comes_under_what_agent_toml_says(tmp_path: Path, before: AtRest | None, after: AtRest) -> None:
    with Spool(tmp_path, at_rest=before).open() as spool:
        ids = filled(spool)
    with Spool(tmp_path, at_rest=after).open() as spool:
        assert spool.sealed_anew == 4  # the database, two long frames, a long message
        assert readable(spool, ids) == len(ids)
        assert len(under(tmp_path)) == 1
        assert bool(raw_hits(tmp_path)) == (after.suite is None)
    with Spool(tmp_path, at_rest=after).open() as spool:
        assert spool.sealed_anew == 0
    if after.suite is None:
        assert not (tmp_path / FILE).exists()
        with Spool(tmp_path).open() as spool:
            assert readable(spool, ids) == len(ids)


KILLED = """
import os, sys
from pathlib import Path
from frontend_agent.spool import Spool
from frontend_agent.spool.sealed_database import _Pages
from frontend_agent.spool.vault import AtRest
nth, pages = int(sys.argv[2]), int(sys.argv[3])
for name in ("replace", "rename", "unlink", "fsync"):
    def dying(*arguments, _do=getattr(os, name), **more):
        global nth
        nth -= 1
        if nth == 0:
            os.kill(os.getpid(), 9)
        return _do(*arguments, **more)
    setattr(os, name, dying)
def write(self, data, offset, _do=_Pages.xWrite):
    global pages
    pages -= 1
    if pages == 0:
        os.kill(os.getpid(), 9)
    return _do(self, data, offset)
_Pages.xWrite = write
Spool(Path(sys.argv[1]), at_rest=AtRest("AES-256-GCM", "one", lambda name: sys.argv[4])).open().close()
print("whole")
"""


def killed(state: Path, copy: Path, step: int, page: int) -> bool:
    """Turn it on in a copy, killed before that step or page (0: not at all). Whether it came to its end."""
    shutil.copytree(state, copy)
    arguments = [sys.executable, "-c", KILLED, str(copy), str(step), str(page), ONE]
    ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert ran.returncode == -9 or "whole" in ran.stdout, ran.stderr
    return "whole" in ran.stdout


def goes_on(copy: Path, ids: list[str]) -> None:
    with Spool(copy, at_rest=at_rest()).open() as spool:
        assert readable(spool, ids) == len(ids)
        assert raw_hits(copy) == []
        assert not list(copy.rglob("*.part"))
    shutil.rmtree(copy)


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.release)])
def test_killed_at_each_step_of_turning_it_on_it_goes_on_and_nothing_is_lost(tmp_path: Path, every: int) -> None:
    with Spool(tmp_path / "state").open() as spool:
        ids = filled(spool)
    for page in (1, 40):
        assert not killed(tmp_path / "state", tmp_path / "copy", 0, page)
        goes_on(tmp_path / "copy", ids)
    for step in range(1, 100, every):
        came_to_its_end = killed(tmp_path / "state", tmp_path / "copy", step, 0)
        goes_on(tmp_path / "copy", ids)
        if came_to_its_end:
            assert step > 12
            return
    raise AssertionError("it never came to its end")


# --- keys that do not fit ---------------------------------------------------------------------------------------------


def test_a_wrong_key_is_told_with_its_mend(tmp_path: Path) -> None:
    with Spool(tmp_path, at_rest=at_rest()).open() as spool:
        filled(spool)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigurationError, match="secret 'two' is not the one") as caught:
        Spool(tmp_path, at_rest=at_rest(secret="two")).open()
    assert caught.value.exit_code == 78
    with pytest.raises(ConfigurationError, match=r"is encrypted, and agent\.toml does not say with which secret"):
        Spool(tmp_path).open()
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    for settings in (at_rest(), None):
        with pytest.raises(ConfigurationError, match="restore at-rest"):
            Spool(tmp_path, at_rest=settings).open()
    (tmp_path / "elsewhere").rename(tmp_path / FILE)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_word_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="secret set word --random"):
        Spool(tmp_path, at_rest=at_rest(secret="word")).open()


def test_a_state_that_a_daemon_has_open_is_not_converted(tmp_path: Path) -> None:
    with Spool(tmp_path).open() as spool:
        ids = filled(spool)
        with pytest.raises(StateError, match="in use"):
            Spool(tmp_path, at_rest=at_rest()).open()
        assert readable(spool, ids) == len(ids)


# --- by people --------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    sqlite3.connect(tmp_path / "lis.db").close()
    configured(tmp_path, "at_rest_key")
    return tmp_path


def configured(site: Path, key: str) -> None:
    text = f"""
[institution]
id = "470001234"
name = "示范医院"
[sources.lis]
url = "sqlite:///lis.db"
[destinations.region]
url = "http://127.0.0.1:1"
[[feeds]]
name = "lab"
source = "lis"
mapping = "demo_lis/lab_report"
[secrets]
folder = "{site}/kept"
credentials = "{site}/none"
[at_rest]
key = "{key}"
"""
    (site / "agent.toml").write_text(text, "utf-8")


def command(*arguments: str) -> int:
    from frontend_agent.cli.main import run

    return run(list(arguments))


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_turned_on_rekeyed_and_given_another_secret_at_the_command_line(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Spool(site / "state").open() as spool:
        ids = filled(spool)
    assert command("status") == 78  # the secret is not there yet
    assert "secret set at_rest_key" in capsys.readouterr().err
    for name in ("at_rest_key", "new_key"):
        assert command("secret", "set", name, "--random", "--in", "file", "--json") == 0
    capsys.readouterr()
    assert command("at-rest", "status", "--json") == 0
    assert told(capsys)["files"] == {"": 4}
    assert command("status", "--json") == 0
    capsys.readouterr()
    assert command("at-rest", "status", "--json") == 0
    first = told(capsys)
    assert first["files"] == {first["current"]: 4}
    assert raw_hits(site / "state") == []

    assert command("at-rest", "rekey", "--json") == 0
    second = told(capsys)
    assert second["current"] != first["current"]
    assert second["files"] == {second["current"]: 4}
    assert [key["id"] for key in second["keys"]] == [second["current"]]

    assert command("at-rest", "secret", "new_key") == 0
    assert command("status", "--json") == 0  # with the old one, as long as agent.toml names it
    capsys.readouterr()
    assert command("at-rest", "rekey") == 78
    assert "name it here first" in capsys.readouterr().err
    configured(site, "new_key")
    assert command("status", "--json") == 0
    configured(site, "at_rest_key")
    capsys.readouterr()
    assert command("status") == 78  # the old one opens nothing any more
    assert "is not the one" in capsys.readouterr().err
    assert command("secret", "test", "at_rest_key", "--json") == 78
    assert [one["result"] for one in told(capsys)] == ["fails"]
    configured(site, "new_key")
    assert command("secret", "test", "new_key", "--json") == 0
    assert [one["result"] for one in told(capsys)] == ["works"]
    assert command("qc", "log", "--json") == 0
    assert "at rest" in capsys.readouterr().out

    from frontend_agent.config import load_config
    from frontend_agent.keeping_sealed import at_rest_of

    with Spool(site / "state", at_rest=at_rest_of(load_config(site / "agent.toml"))).open() as spool:
        assert readable(spool, ids) == len(ids)
        entries = [entry.body for entry in spool.log_entries() if b'"at rest"' in entry.body]
    assert len(entries) == 3
    assert b'"secret":"new_key"' in entries[-1]


def test_of_the_people_only_the_security_administrator_changes_keys(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("secret", "set", "at_rest_key", "--random", "--in", "file") == 0
    people = "".join(
        f'[[people.persons]]\nname = "{name}"\nrole = "{name}"\naccount = "{name}"\n'
        for name in ("system", "security", "audit")
    )
    with (site / "agent.toml").open("a") as file:
        file.write(people)
    capsys.readouterr()
    for account, code in (("system", 1), ("audit", 1), ("security", 0), ("root", 1)):  # root by himself is nobody
        monkeypatch.setattr("frontend_agent.control.this_account", lambda account=account: account)
        assert command("secret", "set", "another", "--random", "--in", "file") == code, account
        assert command("at-rest", "rekey") == code, account
    said = capsys.readouterr().err
    assert "this is for the security administrator" in said


def test_keys_are_derived_for_one_purpose_each() -> None:
    for suite in SUITES:
        key = os.urandom(KEY_BYTES[suite])
        made = [
            derived(suite, key, purpose) for purpose in ("files", "database", "write-ahead log", "frame heads", "wrap")
        ]
        assert len({*made, key}) == 6
        assert {len(one) for one in made} == {KEY_BYTES[suite]}

"""The MLLP listener against its enemies (threats H1–H6). Full counts in ./test --release, short forms always."""

import contextlib
import itertools
import os
import random
import re
import resource
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.listening import Door
from connectors.mllp import framed
from connectors.mllp.pressure import DISK, LARGE, ROOM, Pressure
from frontend_agent.config_inlets import MllpInlet
from frontend_agent.er7 import read
from frontend_agent.errors import ConfigurationError
from frontend_agent.spool import Spool
from frontend_agent.spool.keeping import Keeper
from tests.hl7_messages import NO_REAL_MESSAGES, WHY_NOT, corpus, oru, real_messages
from tests.mllp_kit import Authority, Inbox, Sender, eventually, listening, reasons, said

REPORT = oru(items=12).encode()


def report(number: int) -> bytes:
    return REPORT.replace(b"|M-1|", b"|M-%d|" % number)


# -- H1: who may come, plain and over TLS -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allow", "address", "is_allowed"),
    [
        ((), "127.0.0.1", True),
        ((), "::1", True),
        ((), "10.0.0.1", False),
        (("10.1.0.0/16",), "10.1.2.3", True),
        (("10.1.0.0/16",), "10.2.2.3", False),
        (("10.1.0.0/16",), "127.0.0.1", False),
        (("10.1.2.3",), "::ffff:10.1.2.3", True),
        (("fd00::/8",), "fd00::1%eth0", True),
        (("0.0.0.0/0",), "not an address", False),
    ],
)
def test_only_who_is_allowed_comes_in(allow, address, is_allowed):
    assert Door(MllpInlet(type="mllp", port=0, allow=allow)).is_allowed(address) is is_allowed


def test_another_address_is_refused_before_a_byte_is_read():
    seen = []
    with listening(Inbox(), lambda *one: seen.append(one), allow=("127.0.0.2",)) as listener:
        with Sender(listener) as stranger:
            with contextlib.suppress(ConnectionError):
                stranger.send(REPORT)
            assert stranger.is_closed()
        with Sender(listener, source="127.0.0.2") as known:
            assert said(known.ask(REPORT)) == ("AA", "M-1")
        told = listener.told()
    assert told["turned_away"] == {"not allowed": 1}
    assert told["problem"] == "127.0.0.1: not allowed"
    assert len(seen) == 2


def test_connections_are_counted_in_all_and_by_address():
    with listening(Inbox(), connections=3, per_address=2, allow=("127.0.0.0/8",)) as listener:
        with Sender(listener) as first, Sender(listener) as second, Sender(listener) as third:
            assert third.is_closed()
            with Sender(listener, source="127.0.0.2") as other, Sender(listener, source="127.0.0.3") as fourth:
                assert fourth.is_closed()
                assert all(said(one.ask(REPORT)) == ("AA", "M-1") for one in (first, second, other))
            assert eventually(lambda: listener.told()["connections"] == 2)
        assert eventually(lambda: listener.told()["connections"] == 0)
        with Sender(listener) as again:
            assert said(again.ask(REPORT)) == ("AA", "M-1")
        assert listener.told()["turned_away"] == {"too many from one address": 1, "too many connections": 1}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_mllps_takes_who_shows_a_certificate_of_its_authority_and_nobody_else(authority, tmp_path):
    own, lis = authority.certificate("localhost"), authority.certificate("LIS of the first hospital")
    stranger = Authority(tmp_path, "another")
    theirs = stranger.certificate("LIS of nobody")
    expired = authority.certificate("an old LIS", days=-1)
    inbox = Inbox()
    tls = {"certificate": str(own.certificate), "key": str(own.key), "client_ca": str(authority.pem)}
    with listening(inbox, **tls) as listener:
        with Sender(listener, authority.client(lis)) as sender:
            assert said(sender.ask(REPORT)) == ("AA", "M-1")
            sender.raw(b"".join(framed(report(n)) for n in range(100, 400)))
            assert [said(read(sender.answer().decode()))[1] for _ in range(300)] == [f"M-{n}" for n in range(100, 400)]
        for refused in (authority.client(), authority.client(theirs), authority.client(expired)):
            with pytest.raises((ssl.SSLError, EOFError, ConnectionError)), Sender(listener, refused) as sender:
                sender.ask(REPORT)
        old = authority.client(lis, ssl.TLSVersion.TLSv1_1)
        with pytest.raises((ssl.SSLError, ConnectionError)), Sender(listener, old):
            pass
        with Sender(listener) as plain:
            plain.send(REPORT)
            assert plain.is_closed()
        assert eventually(lambda: listener.told()["turned_away"].get("no TLS that is taken", 0) >= 5)
        told = listener.told()
    assert inbox.arrived[0].sender == "127.0.0.1 LIS of the first hospital"
    assert len(inbox.arrived) == 301
    assert told["address"].startswith("mllps://")
    assert told["is_plain"] is False


def test_tls_that_is_begun_and_not_finished_holds_nobody_and_ends(authority):
    own = authority.certificate("localhost")
    tls = {"certificate": str(own.certificate), "key": str(own.key)}
    with listening(Inbox(), slowest=timedelta(seconds=1), **tls) as listener, Sender(listener) as silent:
        with Sender(listener, authority.client()) as sender:
            assert said(sender.ask(REPORT)) == ("AA", "M-1")
        assert silent.is_closed()


@pytest.mark.parametrize("key", ["certificate", "key", "client_ca"])
def test_a_file_of_tls_that_cannot_be_used_is_named(authority, tmp_path, key):
    own = authority.certificate("localhost")
    tls = {"certificate": str(own.certificate), "key": str(own.key), "client_ca": str(authority.pem)}
    with pytest.raises(ConfigurationError, match=rf"inlets\.lis\.{key}: there is no file"):
        listening(Inbox(), **{**tls, key: str(tmp_path / "none.pem")}).__enter__()
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"inlets\.lis\.(certificate|client_ca)"):
        listening(Inbox(), **{**tls, key: str(wrong)}).__enter__()


# -- H2: endless, slow, silent, greedy --------------------------------------------------------------------------------


def memory() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def slow_senders(count: int, seconds: float) -> tuple[float, int]:
    """(p95 of a good sender's answers in seconds, by how many bytes we grew), beside so many that send a byte at a time."""
    stop = threading.Event()

    def trickle(senders: list[Sender]) -> None:
        wire = itertools.cycle(framed(REPORT)[:-2])
        while not stop.is_set():
            byte = bytes([next(wire)])
            for one in senders:
                with contextlib.suppress(OSError):
                    one.raw(byte)
            stop.wait(0.05)

    with (
        listening(Inbox(), connections=count + 10, per_address=count + 10, slowest=timedelta(minutes=5)) as listener,
        contextlib.ExitStack() as held,
    ):
        slow = [held.enter_context(Sender(listener)) for _ in range(count)]
        thread = threading.Thread(target=trickle, args=(slow,), daemon=True)
        thread.start()
        took, before, until = [], memory(), time.monotonic() + seconds
        with Sender(listener) as good:
            for number in itertools.count(1):
                began = time.monotonic()
                assert said(good.ask(report(number))) == ("AA", f"M-{number}")
                took.append(time.monotonic() - began)
                time.sleep(0.01)
                if time.monotonic() > until:
                    break
        stop.set()
        thread.join()
        assert listener.told()["connections"] >= count
    return statistics.quantiles(took, n=20)[-1], memory() - before


def test_slow_senders_delay_no_good_one():
    p95, grown = slow_senders(40, 1.5)
    assert p95 < 1.0
    assert grown < 32 * 1024**2


@pytest.mark.release
def test_two_hundred_slow_senders_delay_no_good_one():
    p95, grown = slow_senders(200, 30)
    assert p95 < 1.0
    assert grown < 32 * 1024**2


def test_a_message_that_has_begun_must_come_whole_in_time():
    with listening(Inbox(), slowest=timedelta(seconds=0.5)) as listener, Sender(listener) as slow:
        with Sender(listener) as good, Sender(listener) as silent:
            slow.raw(b"\x0b" + REPORT[:50])
            began = time.monotonic()
            assert slow.is_closed()
            assert time.monotonic() - began < 5
            assert said(good.ask(REPORT)) == ("AA", "M-1")
            assert said(silent.ask(report(2))) == ("AA", "M-2")  # silence between messages is another matter
        assert listener.told()["troubles"]["too slow within a message"] == 1


def test_a_silent_connection_is_closed_after_a_while_unless_it_waits_for_us():
    inbox = Inbox(seconds=1.5)
    with listening(inbox, idle=timedelta(seconds=0.5)) as listener, Sender(listener) as idle, Sender(listener) as busy:
        busy.send(REPORT)
        assert idle.is_closed()
        assert said(read(busy.answer().decode())) == ("AA", "M-1")


def test_an_endless_message_is_refused_at_once_and_closed_in_time():
    before = memory()
    with listening(Inbox(), largest=1_000_000, slowest=timedelta(seconds=1)) as listener, Sender(listener) as sender:
        sender.raw(b"\x0b" + REPORT)
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                sender.raw(b"A" * 1_000_000)
        answer = read(sender.answer().decode())
        assert said(answer) == ("AR", "M-1")
        assert "larger than 1000000 bytes" in reasons(answer)[0]
        assert sender.is_closed()
        assert listener.pressure.held == 0
    assert memory() - before < 24 * 1024**2


def test_after_a_message_that_is_too_large_the_next_is_read():
    with listening(Inbox(), largest=100_000) as listener, Sender(listener) as sender:
        large = sender.ask(oru(items=5_000).replace("M-1", "M-0").encode())
        assert said(large) == ("AR", "M-0")
        assert said(sender.ask(REPORT)) == ("AA", "M-1")


def test_bytes_outside_of_frames_end_a_connection():
    with listening(Inbox()) as listener, Sender(listener) as sender, Sender(listener) as good:
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                sender.raw(b"GET / HTTP/1.1\r\n" * 1_000)
        assert sender.is_closed()
        assert said(good.ask(REPORT)) == ("AA", "M-1")
        assert listener.told()["troubles"]["bytes outside of frames"] == 1


def test_a_sender_that_takes_no_answers_is_not_read_further_and_dropped():
    count, name = 6_000, b"L" * 7_000
    with listening(Inbox(), slowest=timedelta(seconds=1)) as listener, Sender(listener, timeout=15) as greedy:
        greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        wire = b"".join(framed(b"MSH|^~\\&|%b|B|||1||ORU^R01|%d|P|2.5\r" % (name, n)) for n in range(count))
        with contextlib.suppress(OSError):
            greedy.raw(wire)
        assert eventually(lambda: listener.told()["troubles"].get("answers not taken", 0) == 1)
        assert listener.told()["messages"] < count
        with Sender(listener) as good:
            assert said(good.ask(REPORT)) == ("AA", "M-1")


class Waiting:
    """A connection that is only asked to wait."""

    def __init__(self):
        self.holds = set()

    def hold(self, why):
        self.holds.add(why)

    def release(self, why):
        self.holds.discard(why)


def test_what_waits_for_the_disk_is_bounded_over_all_connections():
    pressure = Pressure(1_000)
    first, second = Waiting(), Waiting()
    pressure.join(first)
    pressure.hand_over(1_001)
    pressure.join(second)
    assert first.holds == second.holds == {DISK}
    pressure.kept(400)
    assert first.holds == {DISK}
    pressure.kept(101)
    assert first.holds == second.holds == set()


def test_of_large_messages_the_first_goes_on_and_small_ones_never_wait():
    pressure = Pressure(4 * LARGE)
    eldest, other, third, small = (Waiting() for _ in range(4))
    pressure.of_frame(eldest, 2 * LARGE)
    pressure.of_frame(other, 2 * LARGE)
    pressure.of_frame(third, LARGE + 1)
    pressure.of_frame(small, LARGE)
    assert [len(one.holds) for one in (eldest, other, third, small)] == [0, 0, 1, 0]
    pressure.of_frame(eldest, 3 * LARGE)  # reads on although it is too much
    pressure.of_frame(other, 3 * LARGE)
    assert (eldest.holds, other.holds) == (set(), {ROOM})
    pressure.of_frame(eldest, 0)
    assert other.holds == set()  # it is the eldest now
    pressure.leave(other)
    assert third.holds == set()
    pressure.leave(third)
    assert pressure.held == 0


def test_the_disk_holds_back_senders_and_nothing_is_lost(monkeypatch):
    monkeypatch.setattr("connectors.mllp.listener.MOST_HELD", 0)
    inbox = Inbox(seconds=0.0)
    inbox.closed.set()
    body = report(0) + b"NTE|1||" + b"x" * 100_000
    with listening(inbox, largest=200_000) as listener, contextlib.ExitStack() as held:  # so 400,000 bytes are the most
        senders = [held.enter_context(Sender(listener)) for _ in range(4)]
        threads = [
            threading.Thread(
                target=one.raw,
                args=(b"".join(framed(body.replace(b"M-0", b"M-%d-%d" % (place, n))) for n in range(20)),),
                daemon=True,
            )
            for place, one in enumerate(senders)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        assert listener.pressure.handed_over <= 400_000 + 4 * 400_000  # and what each had in hand when it was stopped
        inbox.closed.clear()
        for place, one in enumerate(senders):
            assert [said(read(one.answer().decode()))[1] for _ in range(20)] == [f"M-{place}-{n}" for n in range(20)]
        assert listener.pressure.held == 0
    assert len(inbox.arrived) == 80


# -- H3: character sets, and what they are mixed with ------------------------------------------------------------------


def test_every_message_of_the_corpus_is_kept_as_it_came_and_answered_as_it_is():
    cases = list(corpus())
    assert len(cases) >= 200
    contents = [case.content.replace(b"|M-1|", b"|C-%d|" % number, 1) for number, case in enumerate(cases)]
    inbox = Inbox()
    answers = []
    with listening(inbox) as listener, Sender(listener) as sender:
        for content in contents:
            sender.send(content)
            answers.append(sender.answer())
    assert inbox.bodies == contents
    for number, (case, raw) in enumerate(zip(cases, answers, strict=True)):
        is_readable = case.text is not None
        answer = read(raw.decode("utf-8"))
        assert said(answer)[0] == ("AA" if is_readable else "AE"), case.name
        assert said(answer)[1] in (f"C-{number}", ""), case.name
        assert (reasons(answer) == []) is is_readable, case.name
        assert "\ufffd" not in raw.decode("utf-8")


def test_vt_and_fs_inside_a_text_do_not_cut_a_message():
    content = REPORT.replace("未见异常".encode(), "未见\x0b异\x1c常".encode())
    inbox = Inbox()
    with listening(inbox) as listener, Sender(listener) as sender:
        for byte in framed(content):
            sender.raw(bytes([byte]))
        assert said(read(sender.answer().decode())) == ("AA", "M-1")
    assert inbox.bodies == [content]


# -- H4: wide messages -------------------------------------------------------------------------------------------------


def test_ten_thousand_results_are_kept_in_two_seconds():
    wide = oru(items=10_000).encode()
    with listening(Inbox()) as listener, Sender(listener) as sender:
        began = time.process_time()
        assert said(sender.ask(wide)) == ("AA", "M-1")
        assert time.process_time() - began < 2.0


# -- H5: nothing is acknowledged that is not on disk -------------------------------------------------------------------

SERVED = """
import sys
from pathlib import Path
from frontend_agent.spool import Spool
from frontend_agent.spool.keeping import Keeper
from tests.mllp_kit import listening
with Spool(Path(sys.argv[1])).open() as spool:
    keeper = Keeper(spool.inbox).start()
    with listening(keeper) as listener:
        print(listener.address[1], flush=True)
        sys.stdin.read()
    keeper.stop()
"""


def traced(folder: Path, messages: int, at_once: int) -> tuple[int, int, int]:
    """(answers written, those written with no commit on disk since their message was read, commits) as strace saw it."""
    log = folder / "strace"
    process = subprocess.Popen(
        ["strace", "-f", "-qq", "-s", "300000", "-xx", "-e", "trace=fdatasync,fsync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg",
         "-o", str(log), sys.executable, "-c", SERVED, str(folder / "state")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    port = int(process.stdout.readline())

    class There:
        address = ("127.0.0.1", port)

    with Sender(There(), timeout=60) as sender:  # type: ignore[arg-type]
        for start in range(0, messages, at_once):
            numbers = range(start, min(start + at_once, messages))
            sender.raw(b"".join(framed(report(n)) for n in numbers))
            assert [said(read(sender.answer().decode()))[1] for _ in numbers] == [f"M-{n}" for n in numbers]
    process.stdin.close()
    process.wait(60)
    return _judged(log.read_text())


ASKED, ANSWERED = re.compile(r"\|M-(\d+)\|P\|"), re.compile(r"MSA\|AA\|M-(\d+)\r")


def _judged(log: str) -> tuple[int, int, int]:
    """A commit counts from where its call begins, once it has returned: one that was under way when a message was read is another's."""
    read_at, begun_at = dict[str, int](), dict[str, int]()
    synced_from, answers, early, commits, tail = -1, 0, 0, 0, ""
    for number, line in enumerate(log.splitlines()):
        thread = line.split(maxsplit=1)[0]
        if re.search(r"\bf(data)?sync\b", line):
            if "resumed>" not in line:
                begun_at[thread] = number
            if line.endswith("= 0"):
                synced_from, commits = max(synced_from, begun_at[thread]), commits + 1
            continue
        text = bytes.fromhex("".join(re.findall(r"\\x([0-9a-f]{2})", line))).decode("latin-1")
        if "MSA|" in text:
            for one in ANSWERED.findall(text):
                answers += 1
                early += not read_at[one] < synced_from
        elif re.search(r"\b(read|recvfrom|recvmsg)\b", line):
            read_at.update(dict.fromkeys(ASKED.findall(tail + text), number))
            tail = text[-40:]  # an id may be cut between two reads
    return answers, early, commits


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_commit_is_on_disk_before_its_answer_is_written(tmp_path):
    answers, early, commits = traced(tmp_path, 60, 7)
    assert (answers, early) == (60, 0)
    assert commits >= 9


@pytest.mark.release
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_commit_is_on_disk_before_every_one_of_two_thousand_answers(tmp_path):
    for at_once in (1, 50):
        folder = tmp_path / str(at_once)
        folder.mkdir()
        answers, early, _ = traced(folder, 2_000, at_once)
        assert (answers, early) == (2_000, 0)


def test_the_judge_of_the_trace_finds_an_answer_that_came_too_early():
    def seen(call: str, text: str, end: str) -> str:
        return f'7 {call}(3, "{"".join(f"{chr(92)}x{byte:02x}" for byte in text.encode())}"{end}'

    asked, told = seen("read", "MSH|x|M-5|P|", ", 9) = 9"), seen("write", "MSA|AA|M-5\r", ", 9) = 9")
    assert _judged("\n".join([asked, "8 fdatasync(5) = 0", told])) == (1, 0, 1)
    assert _judged("\n".join([asked, "8 fdatasync(5 <unfinished ...>", told, "8 <... fdatasync resumed>) = 0"])) == (
        1,
        1,
        1,
    )
    assert _judged("\n".join(["8 fdatasync(5) = 0", asked, told])) == (1, 1, 1)
    others = ["8 fdatasync(5 <unfinished ...>", asked, "8 <... fdatasync resumed>) = 0", told]
    assert _judged("\n".join(others)) == (1, 1, 1)


# -- H6 with the real inbox: one effect, conflicts kept for a person ---------------------------------------------------


def test_repeated_a_hundred_times_it_has_one_effect(tmp_path):
    with Spool(tmp_path).open() as spool:
        keeper = Keeper(spool.inbox).start()
        with listening(keeper) as listener, Sender(listener) as sender, Sender(listener) as other:
            for _ in range(50):
                assert said(sender.ask(REPORT)) == said(other.ask(REPORT)) == ("AA", "M-1")
            changed = sender.ask(REPORT.replace("张三".encode(), "李四".encode()))
        keeper.stop()
        assert said(changed) == ("AR", "M-1")
        assert spool.inbox.counts() == {"lis": {"new": 1, "conflict": 1}}


# -- fuzz --------------------------------------------------------------------------------------------------------------


def fuzz(rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    inbox = Inbox()
    bits = [
        b"\x0b",
        b"\x1c",
        b"\r",
        b"\x1c\r",
        b"MSH|^~\\&|",
        b"MSH",
        b"FHS|^~\\&|",
        b"BHS|^~\\&|\r",
        b"BTS|1\r",
        REPORT,
        REPORT[:90],
        b"|",
        b"^",
        b"\0",
    ]
    with listening(inbox, largest=50_000) as listener:
        for number in range(rounds):
            with Sender(listener) as sender:
                for _ in range(chance.randrange(1, 8)):
                    piece = chance.choice(bits) if chance.random() < 0.7 else chance.randbytes(chance.randrange(1, 400))
                    with contextlib.suppress(ConnectionError):
                        sender.raw(piece)
                if chance.random() < 0.3:
                    sender.socket.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                    )  # ends in a reset
            if number % 50 == 0:
                with Sender(listener) as good:
                    assert said(good.ask(report(number))) == ("AA", f"M-{number}")
        with Sender(listener) as good:
            assert said(good.ask(report(rounds))) == ("AA", f"M-{rounds}")
        assert eventually(lambda: listener.told()["connections"] == 0)
        assert listener.pressure.held == 0
        assert not [what for what in listener.told()["troubles"] if what.startswith("could not keep")]


def test_random_bytes_do_it_no_harm():
    fuzz(300, 1)


@pytest.mark.release
@pytest.mark.parametrize("seed", range(10))
def test_many_random_bytes_do_it_no_harm(seed):
    fuzz(3_000, seed)


# -- what real systems send --------------------------------------------------------------------------------------------


@pytest.mark.skipif(NO_REAL_MESSAGES, reason=WHY_NOT)
@pytest.mark.parametrize(
    ("size", "every"),
    [(0, 1), (65_536, 1), (1, 10), pytest.param(1, 1, marks=pytest.mark.release)],
    ids=["whole", "64 KB", "byte by byte", "byte by byte, all"],
)
def test_every_real_message_is_answered(size, every):
    contents = [path.read_bytes() for path in real_messages()][::every]
    inbox = Inbox()
    with listening(inbox) as listener:
        for content in contents:
            with Sender(listener) as sender:
                wire = framed(content)
                for start in range(0, len(wire), size or len(wire)):
                    sender.raw(wire[start : start + (size or len(wire))])
                if b"|NE|NE" not in content:  # two of them want no answer
                    answer = read(sender.answer().decode("utf-8", "surrogateescape"))
                    assert answer.value("MSA-1") in ("AA", "AE", "AR", "CA", "CE", "CR")
        assert eventually(lambda: set(inbox.bodies) == set(contents))

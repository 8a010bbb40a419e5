"""The MLLP listener: acknowledged when it is kept and not before, in order, in the sender's own words."""

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from connectors.mllp import framed
from connectors.mllp.listener import MllpListener
from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.config_inlets import MllpInlet
from frontend_agent.config_types import Count
from frontend_agent.er7 import read
from frontend_agent.errors import ConfigurationError
from frontend_agent.inlets import Hands, make
from tests.hl7_messages import oru
from tests.mllp_kit import Inbox, Sender, eventually, listening, no_tap, reasons, said, utc_now


def report(number: int = 1, name: str = "张三", **more: object) -> str:
    return oru(name, **more).replace("|M-1|", f"|M-{number}|")


def enhanced(accept: str, application: str, number: int = 1) -> bytes:
    lines = report(number, declared="UNICODE UTF-8").split("\r")
    fields = lines[0].split("|")
    fields[14], fields[15] = accept, application
    return "\r".join(["|".join(fields), *lines[1:]]).encode()


def test_a_message_is_kept_and_acknowledged_in_the_senders_words():
    inbox = Inbox()
    seen: list[tuple[str, str, bytes, str]] = []
    content = report(declared="GB 18030-2000").replace("|LIS|HOSP|", "|检验|市一院|").encode("gb18030")
    with listening(inbox, lambda *one: seen.append(one)) as listener, Sender(listener) as sender:
        sender.send(content)
        raw = sender.answer()
        told = listener.told()
    answer = read(raw.decode("gb18030"))
    assert said(answer) == ("AA", "M-1")
    assert [answer.value(f"MSH-{n}") for n in (3, 4, 5, 6)] == ["REGION", "PLAT", "检验", "市一院"]
    assert answer.value("MSH-9") == "ACK^R01^ACK"
    assert (answer.value("MSH-9.2"), answer.value("MSH-12"), answer.value("MSH-18")) == (
        "R01",
        "2.5.1",
        "GB 18030-2000",
    )
    (kept,) = inbox.arrived
    assert (kept.inlet, kept.body, kept.control_id, kept.about) == ("lis", content, "检验|市一院|M-1", "ORU^R01")
    assert (kept.sender, kept.unreadable) == ("127.0.0.1", ())
    assert [(inlet, content, way) for inlet, _, content, way in seen] == [
        ("lis", content, "received"),
        ("lis", raw, "answered"),
    ]
    assert (told["messages"], told["answers"], told["problem"]) == (1, {"accepted": 1}, "")


def test_other_delimiters_come_back_as_they_came():
    content = report().replace("|", "#").replace("^", "@").replace("#@~\\&#", "#@~\\&#").encode()
    with listening(Inbox()) as listener, Sender(listener) as sender:
        sender.send(content)
        raw = sender.answer().decode()
    assert raw.startswith("MSH#@~\\&#REGION#PLAT#LIS#HOSP#")
    assert "\rMSA#AA#M-1\r" in raw


def test_nothing_is_answered_before_it_is_kept():
    inbox = Inbox()
    inbox.closed.set()
    with listening(inbox) as listener, Sender(listener, timeout=0.4) as sender:
        sender.send(report().encode())
        with pytest.raises(TimeoutError):
            sender.answer()
        assert listener.told()["waiting"] == 1
        inbox.closed.clear()
        sender.socket.settimeout(10)
        assert said(read(sender.answer().decode())) == ("AA", "M-1")


def test_several_under_way_are_answered_in_their_order():
    """Each is kept in another time; the first takes longest."""
    inbox = Inbox()
    delays = iter([0.4, 0.2, 0.0, 0.1, 0.0])

    def keep(arrived):
        inbox.seconds = next(delays)
        return inbox(arrived)

    with listening(keep) as listener, Sender(listener) as sender:
        for number in range(5):
            sender.send(report(number).encode())
            time.sleep(0.03)
        answers = [said(read(sender.answer().decode())) for _ in range(5)]
    assert answers == [("AA", f"M-{number}") for number in range(5)]
    assert len(inbox.arrived) == 5


def test_a_thousand_at_once_on_one_connection():
    inbox = Inbox(seconds=0.01)
    with listening(inbox) as listener, Sender(listener) as sender:
        threading.Thread(
            target=sender.raw, args=(b"".join(framed(report(n).encode()) for n in range(3_000)),), daemon=True
        ).start()
        answers = [said(read(sender.answer().decode()))[1] for _ in range(3_000)]
    assert answers == [f"M-{number}" for number in range(3_000)]
    assert len(inbox.arrived) == 3_000


# -- what is refused, and how ----------------------------------------------------------------------------------------


def test_the_same_again_is_acknowledged_again_and_has_one_effect():
    inbox = Inbox()
    with listening(inbox) as listener, Sender(listener) as sender:
        first = sender.ask(report().encode())
        again = sender.ask(report().encode())
    assert said(first) == said(again) == ("AA", "M-1")
    assert first.value("MSH-10") == again.value("MSH-10")
    assert len(inbox.arrived) == 1


def test_the_same_id_with_other_bytes_is_refused_with_the_reason():
    inbox = Inbox()
    with listening(inbox) as listener, Sender(listener) as sender:
        sender.ask(report().encode())
        other = sender.ask(report(name="李四").encode())
        elsewhere = sender.ask(report(name="李四").replace("|LIS|", "|PACS|").encode())
    assert said(other) == ("AR", "M-1")
    assert "came before, with another content" in reasons(other)[0]
    assert other.value("ERR-2") == "MSH^1^10"
    assert other.value("ERR-3.1") == "205"
    assert said(elsewhere) == ("AA", "M-1")  # another application counts by itself


def test_what_cannot_be_read_is_kept_and_answered_with_all_reasons():
    inbox = Inbox()
    broken = report().encode().replace("张三".encode(), "张三".encode("gb18030"))
    twice = (report(2) + report(3)).encode()
    with listening(inbox) as listener, Sender(listener) as sender:
        undecided, several = sender.ask(broken), sender.ask(twice)
        mended = sender.ask(report().encode())
    assert said(undecided) == ("AE", "M-1")
    assert said(several) == ("AE", "M-2")
    assert "not UTF-8" in reasons(undecided)[0]
    assert "more than one MSH" in reasons(several)[0]
    assert [bool(one.unreadable) for one in inbox.arrived] == [True, True, False]
    assert said(mended) == ("AA", "M-1")  # what nobody could read has not used up its id


def test_what_is_no_message_at_all_is_kept_and_answered():
    inbox = Inbox()
    with listening(inbox) as listener, Sender(listener) as sender:
        answer = sender.ask(b"hello")
        assert said(sender.ask(report().encode())) == ("AA", "M-1")
    assert said(answer) == ("AE", "")
    assert inbox.arrived[0].unreadable == ("does not begin with MSH",)


def test_a_full_inbox_asks_to_come_again():
    inbox = Inbox()
    inbox.is_full = True
    with listening(inbox) as listener, Sender(listener) as sender:
        full = sender.ask(report().encode())
        inbox.is_full, inbox.fails = False, OSError("disk")
        broken = sender.ask(report().encode())
        inbox.fails = None
        assert said(sender.ask(report().encode())) == ("AA", "M-1")
        told = listener.told()
    assert said(full) == said(broken) == ("AE", "M-1")
    assert "send it again later" in reasons(full)[0]
    assert "OSError" in told["problem"]
    assert "disk" not in told["problem"]
    assert len(inbox.arrived) == 1


def test_an_old_version_gets_its_reasons_in_msa():
    inbox = Inbox()
    inbox.is_full = True
    with listening(inbox) as listener, Sender(listener) as sender:
        answer = sender.ask(report(version="2.3").encode())
    assert "send it again later" in answer.value("MSA-3")
    assert not answer.find("ERR")


def test_our_own_acknowledgements_are_not_acknowledged():
    inbox = Inbox()
    ack = report().replace("ORU^R01^ORU_R01", "ACK").encode()
    with listening(inbox) as listener, Sender(listener) as sender:
        sender.send(ack)
        assert said(sender.ask(report().encode())) == ("AA", "M-1")
    assert len(inbox.arrived) == 1


@pytest.mark.parametrize("start", ["MSH,^", "MSH(", "MSH:^~", "MSH;&"])
def test_a_sender_without_an_escape_character_gets_its_reasons_all_the_same(start):
    """Its delimiters stand in our words."""
    rest = ",LIS,HOSP,A,B,20260930,,ORU^R01,M-1,P,2.5,,,,,,\0,".replace(",", start[3])
    for version in ("2.5", "2.3"):
        with listening(Inbox()) as listener, Sender(listener) as sender:
            sender.send((start + rest.replace("2.5", version) + "\r").encode())
            assert f"MSA{start[3]}AE{start[3]}M-1" in sender.answer().decode()


def test_a_message_that_we_stumble_over_is_kept_for_a_person():
    def judge(body):
        raise RecursionError(body)

    inbox = Inbox()
    listener = MllpListener("lis", MllpInlet(type="mllp", port=0), inbox, no_tap, utc_now, judge)
    listener.start()
    try:
        with Sender(listener) as sender:
            assert said(sender.ask(report().encode())) == ("AE", "")
        assert inbox.arrived[0].unreadable == ("our reader failed on it (RecursionError)",)
        assert "RecursionError" in listener.told()["problem"]
    finally:
        listener.stop(5)


# -- enhanced mode ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("AL", "NE", ["CA"], ["CR"]),
        ("AL", "AL", ["CA", "AA"], ["CR", "AR"]),
        ("NE", "AL", ["AA"], ["AR"]),
        ("ER", "NE", [], ["CR"]),
        ("SU", "ER", ["CA"], ["AR"]),
        ("", "AL", ["AA"], ["AR"]),
        ("AL", "", ["CA"], ["CR"]),
        ("NE", "NE", [], []),
    ],
)
def test_enhanced_mode_says_what_is_wanted(accept, application, good, bad):
    inbox = Inbox()
    with listening(inbox) as listener, Sender(listener) as sender:
        first = enhanced(accept, application)
        for content in (first, first.replace("张三".encode(), "李四".encode()), report(9).encode()):
            sender.send(content)
        answers = [sender.answer() for _ in range(len(good) + len(bad) + 1)]
    codes = [said(read(one.decode())) for one in answers]
    assert codes == [*((code, "M-1") for code in (*good, *bad)), ("AA", "M-9")]
    assert len({read(one.decode()).value("MSH-10") for one in answers}) == len(answers)
    assert len(inbox.arrived) == 3


# -- batches ---------------------------------------------------------------------------------------------------------


def batch(*messages: str, count: int | None = None, file: bool = True) -> bytes:
    inner = "BHS|^~\\&|LIS|HOSP|REGION|PLAT|20260930||||B-7\r" + "".join(messages)
    inner += f"BTS|{len(messages) if count is None else count}\r"
    return (f"FHS|^~\\&|LIS|HOSP|REGION|PLAT|20260930||||F-7\r{inner}FTS|1\r" if file else inner).encode()


def test_a_batch_is_kept_message_by_message_and_answered_as_one():
    inbox = Inbox()
    cut = "\ufffd"
    with listening(inbox) as listener, Sender(listener) as sender:
        sender.send(batch(report(1), report(2, name=cut), report(3)))
        lines = sender.answer().decode().split("\r")
    assert [one.control_id for one in inbox.arrived] == ["LIS|HOSP|M-1", "LIS|HOSP|M-2", "LIS|HOSP|M-3"]
    assert lines[0].startswith("FHS|^~\\&|REGION|PLAT|LIS|HOSP|")
    assert lines[0].endswith("|AF-7|F-7")
    assert lines[1].startswith("BHS|^~\\&|REGION|PLAT|LIS|HOSP|")
    assert [line for line in lines if line.startswith("MSA")] == ["MSA|AA|M-1", "MSA|AE|M-2", "MSA|AA|M-3"]
    assert sum(line.startswith("ERR") for line in lines) == 1
    assert lines[-3:] == ["BTS|3", "FTS|1", ""]


def test_a_batch_that_counts_wrongly_is_told_so():
    with listening(Inbox()) as listener, Sender(listener) as sender:
        sender.send(batch(report(1), count=2, file=False))
        lines = sender.answer().decode().split("\r")
        sender.send(batch())
        empty = sender.answer().decode()
    assert lines[0].split("|")[9] == "BTS-1 says 2 messages, there are 1"
    assert lines[-2:] == ["BTS|1", ""]
    assert "MSA|AE|" in empty
    assert "a batch without a message" in empty


# -- ends ------------------------------------------------------------------------------------------------------------


def test_a_sender_that_says_no_more_still_gets_its_answers():
    inbox = Inbox(seconds=0.2)
    with listening(inbox) as listener, Sender(listener) as sender:
        sender.raw(framed(report().encode())[:-1])  # and ends in a bare FS
        sender.socket.shutdown(1)
        assert said(read(sender.answer().decode())) == ("AA", "M-1")
        assert sender.is_closed()
        assert eventually(lambda: listener.told()["connections"] == 0)


def test_a_bare_fs_is_an_end_after_a_moment():
    with listening(Inbox()) as listener, Sender(listener) as sender:
        sender.raw(framed(report().encode())[:-1])
        assert said(read(sender.answer().decode())) == ("AA", "M-1")


def test_stopping_answers_what_was_taken_and_takes_no_more():
    inbox = Inbox(seconds=0.5)
    with listening(inbox) as listener:
        with Sender(listener) as sender, Sender(listener) as half:
            half.raw(framed(report(2).encode())[:100])
            sender.send(report().encode())
            assert eventually(lambda: listener.told()["waiting"] == 1)
            began = time.monotonic()
            listener.stop(10)
            assert time.monotonic() - began < 5
            assert said(read(sender.answer().decode())) == ("AA", "M-1")
            assert sender.is_closed()
            assert half.is_closed()
        address = listener.told()["address"]
    assert not listener.told()["is_running"]
    assert address.startswith("mllp://127.0.0.1:")


def test_stopping_does_not_wait_longer_than_it_is_told():
    inbox = Inbox()
    inbox.closed.set()
    with listening(inbox) as listener, Sender(listener) as sender:
        sender.send(report().encode())
        assert eventually(lambda: listener.told()["waiting"] == 1)
        began = time.monotonic()
        listener.stop(0.3)
        assert time.monotonic() - began < 4
        assert sender.is_closed()
        inbox.closed.clear()


def test_a_port_that_is_taken_is_told():
    with listening(Inbox()) as listener:
        port = listener.address[1]
        with pytest.raises(ConfigurationError, match="another program has it"), listening(Inbox(), port=port):
            pass
        listener.probe()
    listener.probe()


# -- as a daemon makes it ----------------------------------------------------------------------------------------------


def test_a_site_settles_a_set_that_the_bytes_do_not_tell():
    """鑭 ends in a delimiter's byte in GBK: undecided by itself."""
    content = report(name="鑭某").encode("gb18030")
    for charset, code in (("", "AE"), ("gb18030", "AA"), ("utf-8", "AE")):
        inbox = Inbox()
        hands = SimpleNamespace(keep=inbox, tap=no_tap, clock=utc_now)
        listener = make("lis", MllpInlet(type="mllp", port=0, charset=charset), cast(Hands, hands))
        assert isinstance(listener, MllpListener)
        listener.start()
        try:
            with Sender(listener) as sender:
                assert said(sender.ask(content)) == (code, "M-1")
        finally:
            listener.stop(5)
        assert bool(inbox.arrived[0].unreadable) is (code == "AE")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('charset = "gbx"', "charset 'gbx' is not known"),
        ("port = 70000", "port 70000"),
        ('allow = ["10.1.2"]', "neither an address nor a network"),
        ('certificate = "a.pem"', "certificate and key go together"),
        ('client_ca = "a.pem"', "client_ca needs TLS"),
    ],
)
def test_settings_that_cannot_be_are_told(table, problem):
    port = "" if "port" in table else "port = 2575\n"
    with pytest.raises(ConfigurationProblems) as found:
        parse_config(f'[inlets.lis]\ntype = "mllp"\n{port}{table}\n')
    assert any("inlets.lis" in one and problem in one for one in found.value.problems)


def test_who_may_send_without_tls_from_elsewhere_is_told() -> None:
    def inlet(**settings: Any) -> MllpInlet:
        return MllpInlet(type="mllp", port=Count(2575), **settings)

    assert inlet(allow=("127.0.0.0/8", "10.0.0.5", "::1")).plain_for == ("10.0.0.5",)
    assert inlet().plain_for == ()
    assert inlet(allow=("10.0.0.5",), certificate="ours.pem", key="ours.key").plain_for == ()

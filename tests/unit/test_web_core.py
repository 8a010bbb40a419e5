"""The listening core: hostile and slow senders, limits, many inlets on one port (threats H1, H2, C2, C6)."""

import contextlib
import logging
import ssl
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from connectors.web import Ports, WebListener
from frontend_agent.errors import ConfigurationError
from tests.ports import free_port
from tests.web_kit import Echo, Inbox, connected, everything, listening, port, post, raw, status, url

SHORT = timedelta(seconds=0.4)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def listener(inbox: Inbox) -> Iterator[WebListener]:
    with listening(inbox) as one:
        yield one


def test_what_is_posted_is_kept_and_then_acknowledged(inbox: Inbox, listener: WebListener) -> None:
    answer = requests.post(url(listener), data="一份报告".encode(), timeout=10)

    assert (answer.status_code, answer.text) == (202, "kept")
    assert inbox.bodies == ["一份报告".encode()]
    assert inbox.messages[0].sender == "127.0.0.1"
    assert [(one[0], one[3]) for one in inbox.tapped] == [("echo", "received"), ("echo", "answered")]
    assert listener.told()["messages"] == 1


def test_nothing_is_answered_before_it_is_kept(inbox: Inbox, listener: WebListener) -> None:
    inbox.gate = threading.Event()
    with connected(listener, timeout=0.4) as wire:
        wire.sendall(post(b"one"))
        with pytest.raises(TimeoutError):
            wire.recv(1)
        inbox.gate.set()
        wire.settimeout(10)
        assert status(wire.recv(1000)) == 202


def test_a_full_inbox_asks_to_come_again(inbox: Inbox, listener: WebListener) -> None:
    inbox.is_full = True
    answer = requests.post(url(listener), data=b"one", timeout=10)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert not inbox.messages


def test_a_fault_of_ours_is_no_500_and_tells_nothing_of_the_message(
    inbox: Inbox, listener: WebListener, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        raised = requests.post(url(listener), data=b"raise", timeout=10)
        inbox.fails = OSError("张三 is on this disk")
        unkept = requests.post(url(listener), data=b"one", timeout=10)

    assert (raised.status_code, unkept.status_code) == (503, 503)
    assert "张三" not in caplog.text + raised.text + unkept.text + str(listener.told())
    assert "ValueError" in caplog.text


def test_what_the_judge_cannot_read_is_kept_with_all_reasons_and_refused(inbox: Inbox) -> None:
    with listening(inbox, judge=lambda body: ("no HL7", "no UTF-8")) as listener:
        answer = requests.post(url(listener), data=b"?", timeout=10)

    assert answer.status_code == 422
    assert inbox.messages[0].unreadable == ("no HL7", "no UTF-8")


def test_a_connection_is_used_again_and_requests_in_a_row_are_answered_in_order(
    inbox: Inbox, listener: WebListener
) -> None:
    with connected(listener) as wire:
        wire.sendall(b"".join(post(f"{n}".encode()) for n in range(50)) + post(b"last", "/in", "Connection: close"))
        answers = everything(wire)

    assert answers.count(b"HTTP/1.1 202") == 51
    assert inbox.bodies == [*(f"{n}".encode() for n in range(50)), b"last"]


def test_a_body_in_chunks_and_byte_by_byte(inbox: Inbox, listener: WebListener) -> None:
    chunked = b"POST /in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with connected(listener) as wire:
        for byte in chunked:
            wire.sendall(bytes([byte]))
        assert status(wire.recv(1000)) == 202
    assert inbox.bodies == [b"abc"]


def test_whoever_asks_is_told_to_continue(listener: WebListener, inbox: Inbox) -> None:
    with connected(listener) as wire:
        wire.sendall(b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert wire.recv(1000).startswith(b"HTTP/1.1 100")
        wire.sendall(b"abc")
        assert status(wire.recv(1000)) == 202


def test_a_sender_that_closes_its_half_is_still_answered(inbox: Inbox, listener: WebListener) -> None:
    inbox.gate = threading.Event()
    with connected(listener) as wire:
        wire.sendall(post(b"one"))
        wire.shutdown(1)
        time.sleep(0.1)
        inbox.gate.set()
        assert status(everything(wire)) == 202


# -- who may come in ---------------------------------------------------------------------------------------------------


def test_a_stranger_is_turned_away_before_anything_is_read(inbox: Inbox) -> None:
    with listening(inbox, allow=("192.0.2.1",)) as listener:
        assert raw(listener, b"") == b""  # nothing was sent, and it is over
        with pytest.raises(requests.ConnectionError):
            requests.post(url(listener), data=b"one", timeout=10)
        assert listener.told()["turned_away"] >= 2
    assert not inbox.messages


def test_connections_per_address_and_in_all(inbox: Inbox) -> None:
    with listening(inbox, per_address=3) as listener:
        held = [connected(listener) for _ in range(3)]
        time.sleep(0.1)
        with contextlib.suppress(ConnectionResetError):  # turned away before we had said anything
            assert raw(listener, post(b"one")) == b""
        held.pop().close()
        time.sleep(0.1)
        assert requests.post(url(listener), data=b"two", timeout=10).status_code == 202
        for one in held:
            one.close()
    assert inbox.bodies == [b"two"]


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "expected"), [(999, 202), (1000, 202), (1001, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_largest_body(inbox: Inbox, size: int, expected: int, chunked: bool) -> None:
    with listening(inbox, Echo(largest=1000)) as listener:
        body = iter([b"x" * size]) if chunked else b"x" * size
        assert requests.post(url(listener), data=body, timeout=10).status_code == expected
    assert len(inbox.messages) == (expected == 202)


def test_a_length_that_is_too_much_is_not_awaited(listener: WebListener) -> None:
    answer = raw(listener, b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    assert status(answer) == 413


def test_a_refusal_is_read_by_who_goes_on_sending(inbox: Inbox) -> None:
    with listening(inbox, Echo(largest=1000)) as listener:
        assert requests.post(url(listener), data=b"x" * 8_000_000, timeout=10).status_code == 413


HOSTILE = {
    "endless header": (b"POST /in HTTP/1.1\r\nX: " + b"a" * 100_000, 431),
    "endless line": (b"POST /" + b"a" * 100_000, 431),
    "many headers": (b"POST /in HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, 431),
    "two lengths": (b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
    "a length that is none": (b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "an unknown coding": (b"POST /in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "a chunk that is none": (b"POST /in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "gzip": (b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 415),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50, 400),
    "no host": (b"POST /in HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "another path": (b"POST /../etc/passwd HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404),
    "another method": (b"DELETE /in HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "CONNECT": (b"CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "cut headers": (b"POST /in HTTP/1.1\r\nHo", 400),
    "HEAD": (b"HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests(inbox: Inbox, listener: WebListener, name: str) -> None:
    content, expected = HOSTILE[name]
    with connected(listener) as wire:
        wire.sendall(content)
        wire.shutdown(1)
        answer = everything(wire)
    assert status(answer) == expected
    assert requests.post(url(listener), data=b"good", timeout=10).status_code == 202
    assert inbox.bodies == [b"good"]


def test_too_many_chunks(inbox: Inbox, listener: WebListener) -> None:
    head = b"POST /in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert status(raw(listener, head + b"1\r\nx\r\n" * 65_600)) == 400


@seed(5)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(
    st.sampled_from([b"POST /in HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
                     b"\r\n", b"\r\n\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc", b"GET /in HTTP/1.0\r\n", b"Expect: 100-continue\r\n",
                     b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"\0", b"\n", b"HEAD /in HTTP/1.1\r\nHost: x\r\n\r\n"]),
    st.binary(max_size=20),
), max_size=14))  # fmt: skip
def test_whatever_is_sent_is_answered_without_a_500(listener: WebListener, pieces: list[bytes]) -> None:
    with connected(listener) as wire:
        wire.sendall(b"".join(pieces))
        wire.shutdown(1)
        answer = everything(wire)
    assert b"HTTP/1.1 500" not in answer
    assert not answer or 200 <= status(answer) < 506 or answer.startswith(b"HTTP/1.1 100")
    assert listener.told()["last_problem"].find("Error") < 0


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun", [b"", b"PO", b"POST /in HTTP/1.1\r\n", b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"]
)
def test_a_request_that_does_not_come_whole_in_time(inbox: Inbox, begun: bytes) -> None:
    with listening(inbox, slowest=SHORT) as listener:
        started = time.monotonic()
        answer = raw(listener, begun)
        assert status(answer) == 408
        assert time.monotonic() - started < 5


def test_dripping_bytes_does_not_make_the_time_longer(inbox: Inbox) -> None:
    with listening(inbox, slowest=SHORT) as listener, connected(listener) as wire:
        started = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT012  the other side ends it while we send
            for byte in post(b"x" * 1000):
                wire.sendall(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - started < 5
    assert not inbox.messages


def test_a_connection_on_which_nothing_is_asked_is_closed(inbox: Inbox) -> None:
    with listening(inbox, idle=SHORT) as listener, connected(listener) as wire:
        wire.sendall(post(b"one"))
        assert status(everything(wire)) == 202


def test_answers_that_are_not_read_hold_nothing_up(inbox: Inbox) -> None:
    with listening(inbox, slowest=SHORT) as listener, connected(listener) as wire:
        wire.settimeout(5)
        with pytest.raises(ConnectionError):  # noqa: PT012  it stops reading, and then cuts
            for _ in range(100_000):
                wire.sendall(b"GET /in HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        assert requests.post(url(listener), data=b"good", timeout=10).status_code == 202


def test_what_large_bodies_may_hold_together(inbox: Inbox) -> None:
    with listening(inbox, in_flight=200_000) as listener:
        with connected(listener) as first, connected(listener) as second:
            first.sendall(post(b"x" * 250_000)[:-1])
            time.sleep(0.2)
            second.sendall(post(b"y" * 200_000)[:-1])
            assert status(second.recv(1000)) == 503
            assert requests.post(url(listener), data=b"z" * 60_000, timeout=10).status_code == 202
            first.sendall(b"x")
            assert status(first.recv(1000)) == 202
        assert requests.post(url(listener), data=b"y" * 250_000, timeout=10).status_code == 202


def test_two_hundred_slow_senders_do_not_delay_a_good_one(inbox: Inbox) -> None:
    with listening(inbox, per_address=250) as listener:
        slow = [connected(listener) for _ in range(200)]
        beginning = post(b"x" * 50_000)
        stop = threading.Event()

        def drip() -> None:
            for place in range(len(beginning)):
                for one in slow:
                    one.sendall(beginning[place : place + 1])
                if stop.wait(0.05):
                    return

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        took = []
        with requests.Session() as session:
            for n in range(60):
                started = time.perf_counter()
                assert session.post(url(listener), data=f"good {n}".encode(), timeout=10).status_code == 202
                took.append(time.perf_counter() - started)
        stop.set()
        dripping.join(10)
        for one in slow:
            one.close()
    assert statistics.quantiles(took, n=20)[-1] < 1.0
    assert len(inbox.messages) == 60


# -- TLS ---------------------------------------------------------------------------------------------------------------


def test_tls_with_certificates_of_those_who_connect(inbox: Inbox, tmp_path: Path) -> None:
    certificates = certificates_in(tmp_path)
    ours = {
        "certificate": str(tmp_path / "server.pem"),
        "key": str(tmp_path / "server.key"),
        "client_ca": str(certificates),
    }
    with listening(inbox, **ours) as listener:
        known = (str(tmp_path / "client.pem"), str(tmp_path / "client.key"))
        session = requests.Session()
        session.trust_env = False
        answer = session.post(url(listener), data=b"one", verify=str(certificates), cert=known, timeout=10)
        assert answer.status_code == 202
        with pytest.raises((requests.ConnectionError, requests.exceptions.SSLError)):
            session.post(url(listener), data=b"two", verify=str(certificates), timeout=10)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, OSError)), connected(listener) as wire:
            old.wrap_socket(wire, server_hostname="localhost")
        with connected(listener) as wire:  # plain HTTP on a TLS port
            wire.sendall(post(b"three"))
            assert b"202" not in everything(wire)
        assert listener.told()["turned_away"] >= 2
        session.close()
    assert inbox.bodies == [b"one"]
    assert inbox.messages[0].sender == "his.hospital 127.0.0.1"


def test_a_handshake_that_never_comes_is_ended(inbox: Inbox, tmp_path: Path) -> None:
    certificates_in(tmp_path)
    ours = {"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.key")}
    with listening(inbox, slowest=SHORT, **ours) as listener:
        assert raw(listener, b"\x16\x03\x01") == b""
        time.sleep(0.3)  # the loop hears of the end a moment after we do
        assert listener.told()["connections"] == 0


def certificates_in(folder: Path) -> Path:
    """server.pem, server.key, client.pem, client.key, and the CA that both are of."""
    from datetime import UTC, datetime
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)
    authority = ec.generate_private_key(ec.SECP256R1())
    for kind, common in (("ca", "test CA"), ("server", "localhost"), ("client", "his.hospital")):
        key = authority if kind == "ca" else ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name("test CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=kind == "ca", path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )
        if kind == "server":
            names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if kind == "ca":
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            made = made.add_extension(usage, critical=True)
        signed = made.sign(authority, hashes.SHA256())
        (folder / f"{kind}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        (folder / f"{kind}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return folder / "ca.pem"


# -- ports -------------------------------------------------------------------------------------------------------------


def test_inlets_share_a_port_by_path(inbox: Inbox) -> None:
    ports = Ports()
    at = free_port()
    shared = {"port": at}
    with listening(inbox, Echo("one"), "/one", ports=ports, **shared) as one:
        with listening(inbox, Echo("two"), "/two", ports=ports, below=True, **shared) as two:
            assert port(two) == at
            assert requests.post(url(one), data=b"1", timeout=10).status_code == 202
            assert requests.post(url(two) + "/below", data=b"2", timeout=10).status_code == 202
            assert requests.post(url(one) + "/below", data=b"3", timeout=10).status_code == 404
            with (
                pytest.raises(ConfigurationError, match="another inlet"),
                listening(inbox, Echo("three"), "/two", ports=ports, **shared),
            ):
                pass
            with (
                pytest.raises(ConfigurationError, match="must agree"),
                listening(inbox, Echo("three"), "/three", ports=ports, idle=SHORT, **shared),
            ):
                pass
        gone = requests.post(f"http://127.0.0.1:{at}/two", data=b"4", timeout=10)
        assert gone.status_code == 503
    assert [one.inlet for one in inbox.messages] == ["one", "two"]


def test_a_port_that_is_taken_is_said(inbox: Inbox, listener: WebListener) -> None:
    with pytest.raises(ConfigurationError, match="cannot listen"), listening(inbox, port=port(listener)):
        pass


def test_a_certificate_that_is_none_is_said(inbox: Inbox, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("x")
    with (
        pytest.raises(ConfigurationError, match="are no certificate"),
        listening(inbox, certificate=str(tmp_path / "x.pem"), key=str(tmp_path / "x.pem")),
    ):
        pass
    with (
        pytest.raises(ConfigurationError, match="there is no file"),
        listening(inbox, certificate=str(tmp_path / "y.pem"), key=str(tmp_path / "x.pem")),
    ):
        pass


def test_stopping_answers_what_is_under_way(inbox: Inbox) -> None:
    inbox.gate = threading.Event()
    with listening(inbox) as listener:
        idle, busy = connected(listener), connected(listener)
        idle.sendall(b"GET /in HTTP/1.1\r\nHost: x\r\n\r\n")
        answered = b""
        while len(answered) < 40_000:
            answered += idle.recv(65536)
        busy.sendall(post(b"one"))
        time.sleep(0.2)
        stopping = threading.Thread(target=listener.stop, args=(10,))
        stopping.start()
        everything(idle)  # it is closed
        inbox.gate.set()
        answer = everything(busy)
        stopping.join(10)
    assert status(answer) == 202
    assert b"connection: close" in answer.lower()


def test_stopping_does_not_wait_for_ever(inbox: Inbox) -> None:
    inbox.gate = threading.Event()
    with listening(inbox) as listener, connected(listener) as wire:
        wire.sendall(post(b"one"))
        time.sleep(0.2)
        started = time.monotonic()
        listener.stop(0.3)
        assert time.monotonic() - started < 5
        assert everything(wire) == b""
        inbox.gate.set()

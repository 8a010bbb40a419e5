"""For tests of MLLP: an inbox in memory, a sender on bare sockets, and certificates of an authority of the test's own."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.arrivals import Arrived, InboxFull, Kept
from connectors.mllp import Framer, Message, framed
from connectors.mllp.listener import MllpListener
from frontend_agent.config_inlets import MllpInlet
from frontend_agent.er7 import Message as Er7
from frontend_agent.er7 import read


class Inbox:
    """Keeps in memory, in a thread's time where `seconds` says so; a duplicate and a conflict are told as the real one does."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.arrived: list[Arrived] = []
        self.seconds = seconds
        self.is_full = False
        self.fails: Exception | None = None
        self.closed = threading.Event()  # set: nothing is kept until it is cleared
        self._lock = threading.Lock()
        self._ids: dict[str, bytes] = {}
        self._bodies: set[bytes] = set()

    def __call__(self, arrived: Sequence[Arrived], /) -> Future[list[Kept]]:
        future: Future[list[Kept]] = Future()
        if self.is_full:
            future.set_exception(InboxFull())
        elif self.fails is not None:
            raise self.fails
        elif self.seconds or self.closed.is_set():
            threading.Thread(target=self._later, args=(arrived, future), daemon=True).start()
        else:
            future.set_result([self._keep(one) for one in arrived])
        return future

    def _later(self, arrived: Sequence[Arrived], future: Future[list[Kept]]) -> None:
        time.sleep(self.seconds)
        while self.closed.is_set():
            time.sleep(0.01)
        future.set_result([self._keep(one) for one in arrived])

    def _keep(self, one: Arrived) -> Kept:
        with self._lock:
            before = self._ids.get(one.control_id) if one.control_id else None
            if before == one.body or (before is None and one.body in self._bodies):
                return Kept.DUPLICATE
            self.arrived.append(one)
            if before is not None:
                return Kept.CONFLICT
            if not one.unreadable:
                self._ids[one.control_id] = one.body
            self._bodies.add(one.body)
            return Kept.KEPT

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.arrived]


def no_tap(inlet: str, sender: str, content: bytes, way: str) -> None:
    """Nobody looks on."""


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@contextmanager
def listening(inbox: Callable[..., Any], tap: Callable[..., None] = no_tap, **settings: Any) -> Iterator[MllpListener]:
    """A listener on a free port of loopback."""
    options = MllpInlet(type="mllp", **{"port": 0, **settings})
    listener = MllpListener("lis", options, inbox, tap, utc_now)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop(5)


class Sender:
    """One connection that sends bytes as it is told and reads answers."""

    def __init__(
        self, listener: MllpListener, tls: ssl.SSLContext | None = None, timeout: float = 20, source: str = ""
    ) -> None:
        raw = socket.create_connection(listener.address, timeout, (source, 0) if source else None)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        self._framer = Framer()
        self._answers: list[bytes] = []

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(framed(content))

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> bytes:
        """The next answer; EOFError if the other side has closed."""
        while not self._answers:
            data = self.socket.recv(65_536)
            events = self._framer.receive(data) if data else self._framer.close()
            self._answers += [event.content for event in events if isinstance(event, Message)]
            if not data and not self._answers:
                raise EOFError
        return self._answers.pop(0)

    def ask(self, content: bytes) -> Er7:
        """Send, and read the answer."""
        self.send(content)
        return read(self.answer().decode())

    def is_closed(self) -> bool:
        """The other side closes, and says nothing before that."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


def said(answer: Er7) -> tuple[str, str]:
    """(MSA-1, MSA-2)"""
    return answer.value("MSA-1"), answer.value("MSA-2")


def reasons(answer: Er7) -> list[str]:
    return [segment.fields[8] for segment in answer.find("ERR[*]")]


def eventually(is_so: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it becomes so, in time."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


# -- certificates -----------------------------------------------------------------------------------------------------


class Pem(NamedTuple):
    certificate: Path
    key: Path


class Authority:
    """Signs certificates into a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._signed(self._name, self._key, is_authority=True)
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def certificate(self, name: str, days: int = 30) -> Pem:
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, days=days)
        made = Pem(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        made.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made

    def client(self, own: Pem | None = None, most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.pem))
        if own:
            context.load_cert_chain(own.certificate, own.key)
        if most:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = most
        return context

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, is_authority: bool = False, days: int = 30
    ) -> x509.Certificate:
        now = utc_now()
        hosts = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(hosts, critical=False)
            .sign(self._key, hashes.SHA256())
        )

"""A platform with a door for agents on loopback, machines that join it, and certificates of every kind to try it with."""

from __future__ import annotations

import contextlib
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.joining import Joining, first_authorities
from connectors.outlets.http import Tls
from connectors.platform import PlatformDestination, PlatformOptions
from frontend_agent.certificates import fingerprint, request_of, token_text
from frontend_agent.notify import Notifier
from frontend_agent.platform.joining.authority import Authority, make_issuer, make_root
from frontend_agent.platform.joining.registry import Registry
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.server import (
    AgentsListening,
    Joined,
    PlatformServer,
    behind_door,
    config_of,
    listening_at,
    operations_of,
)
from frontend_agent.platform.store import Store
from frontend_agent.renewing import Belonging
from frontend_agent.spool.membership import Membership
from frontend_agent.wire.joining import EnrolmentAsked
from tests.platform_kit import FileMemory, dictionary

NAMES = ("localhost", "127.0.0.1")
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_authority(name: str = "Region") -> Authority:
    root, key = make_root(name, utc_now())
    return make_issuer(name, root, key, utc_now())


class Region:
    """A running platform. `url`: where agents connect; `pages`: where people look."""

    def __init__(self, state: Path, agents: AgentsListening | None = None):
        self.state = state
        with contextlib.closing(Registry(state).make()) as registry:
            if not registry.trusted():
                registry.add_authority(new_authority(), "current")
        self.store = Store(state).open()
        metrics = Metrics(self.store)
        self.joined = Joined(state, agents or AgentsListening(tls=(("127.0.0.1", 0),), names=NAMES))
        self.registry = self.joined.registry
        self.operations: list[Operation] = operations_of(self.store, metrics, self.registry)
        doors = self.joined.doors(self.operations, metrics)
        self.doors = doors
        listening = listening_at("127.0.0.1", 0)
        self.pages = f"http://127.0.0.1:{listening.getsockname()[1]}"
        port = next((door.listening.getsockname()[1] for door in doors if door.context is not None), 0)
        self.url = f"https://localhost:{port}"
        served = [one for one in self.operations if one.who != "agents"]
        ready = threading.Event()
        config = config_of(behind_door(served, metrics))
        self._server = PlatformServer(config, ready.set, Notifier(), self.store.tallies, doors)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        assert ready.wait(30)

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(20)
        self.joined.stop()
        self.store.close()

    def roots(self, folder: Path) -> Path:
        path = folder / "region-roots.pem"
        path.write_text(self.registry.list_of_trusted().roots)
        return path

    def token(self, *institutions: str, approve: bool = False) -> str:
        return token_text(self.registry.make_token(institutions, timedelta(hours=24), approve))

    def member(self, state: Path, *institutions: str) -> Membership:
        """A machine that has joined, as `frontend-agent enroll` does it."""
        return join(self.url, state, self.registry.make_token(institutions, timedelta(hours=24)), institutions[0])


@contextlib.contextmanager
def region(state: Path, agents: AgentsListening | None = None) -> Iterator[Region]:
    found = Region(state, agents)
    try:
        yield found
    finally:
        found.stop()


def joined_long_ago(there: Region, state: Path, ago: timedelta, institution: str) -> Membership:
    """A machine that has joined so long ago, and has heard nothing since."""
    one = Membership(state, there.url)
    one.trust(there.registry.list_of_trusted())
    with Registry(there.state, lambda: utc_now() - ago).open() as then:
        token = then.make_token([institution], timedelta(hours=24))
        request = request_of(one.next_key()).decode()
        enrolled = then.enrol(EnrolmentAsked(token=token.secret, request=request, institution=institution), "")
    one.keep(enrolled.certificate, tuple(enrolled.institutions), enrolled.authorities, utc_now() - ago)
    return one


def join(url: str, state: Path, token: Any, institution: str) -> Membership:
    one = Membership(state, url)
    one.trust(first_authorities(url, token.root))
    asking = Joining(url, lambda: Tls(ca=str(one.ca_file)))
    request = request_of(one.next_key()).decode()
    enrolled = asking.enrol(EnrolmentAsked(token=token.secret, request=request, institution=institution)).enrolled
    asking.close()
    one.keep(enrolled.certificate, tuple(enrolled.institutions), enrolled.authorities, utc_now())
    return one


def destination(member: Membership, institution: str, **more: Any) -> PlatformDestination:
    """Our platform as that machine's destination."""
    return PlatformDestination(
        PlatformOptions(name="region", url=member.url, institution=institution),
        FileMemory(member.folder / "memory.json", f"instance-{institution}"),
        dictionary=dictionary,
        member=Belonging(member.folder.parent.parent, member.url, Tls(), utc_now),
        **more,
    )


def session(member: Membership) -> requests.Session:
    """Plain requests with that machine's certificate: what somebody with its key could send."""
    found = requests.Session()
    found.trust_env = False
    found.cert = str(member.own_file)
    found.verify = str(member.ca_file)
    return found


# --- certificates of every kind ------------------------------------------------------------------------------------------


def certificate(
    folder: Path,
    name: str,
    issuer: Authority | None,
    *,
    subject: str = "470000001",
    uris: Sequence[str] = (),
    hosts: Sequence[str] = (),
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CLIENT_AUTH,
    begins: timedelta = timedelta(hours=-1),
    ends: timedelta = timedelta(days=30),
    key: Key | None = None,
    is_authority: bool = False,
    change: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda builder: builder,
) -> tuple[Path, x509.Certificate, Key]:
    """A PEM file with key and chain. `issuer` None: signed by itself."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(issuer.issuer.subject if issuer else whose)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() + begins)
        .not_valid_after(utc_now() + ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signing: Any = issuer.key if issuer else own
    made = change(builder).sign(signing, hashes.SHA256())
    return write(folder / f"{name}.pem", own, made, issuer), made, own


def write(path: Path, key: Key, made: x509.Certificate, issuer: Authority | None) -> Path:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = [made, *(issuer.issuers if issuer else ())]
    path.write_bytes(pem + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
    path.chmod(0o600)
    return path


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for what a thread does meanwhile."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.05)


__all__ = [
    "NAMES",
    "Region",
    "certificate",
    "destination",
    "fingerprint",
    "join",
    "new_authority",
    "region",
    "session",
    "until",
]

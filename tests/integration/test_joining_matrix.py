"""Certificates that must not be taken, both ways: the platform by its agents, an agent by whoever says to be the platform
(threats C2, C4). Real TLS on loopback, certificates made here."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from connectors.outlets.http import HttpEdge, Tls
from frontend_agent.certificates import INSTITUTION, fingerprint, pem_of
from frontend_agent.errors import ConfigurationError, DestinationUnreachable, NotAllowed
from frontend_agent.platform.joining.authority import Authority, client_certificate, new_key, revoked_list
from frontend_agent.wire.joining import Authorities
from tests.joining_kit import Region, certificate, new_authority, region, utc_now

A, B = "470000001", "470000002"
SERVER = ExtendedKeyUsageOID.SERVER_AUTH


class Bench:
    """A platform whose own authority signs what the test wants, known to its registry or not."""

    def __init__(self, there: Region, folder: Path):
        self.there, self.folder = there, folder
        self.own = there.registry._signing(there.registry.current())
        self.roots = there.roots(folder)

    def known(self, made: x509.Certificate) -> None:
        """As if the platform had given it: what is wrong with it must be seen all the same."""
        registry = self.there.registry
        with registry._transaction():
            registry._keep_certificate(made, self.own.issuers, 1, "gate", [A], None)

    def client(self, name: str, issuer: Authority | None = None, *, is_known: bool = True, **more: object) -> Path:
        path, made, _ = certificate(self.folder, name, issuer or self.own, uris=[INSTITUTION + A], **more)  # type: ignore[arg-type]
        if is_known:
            self.known(made)
        return path

    def answer(self, path: Path) -> tuple[int, str]:
        """Status and detail; 0 where TLS was refused."""
        with requests.Session() as http:
            http.trust_env = False
            try:
                answered = http.get(
                    f"{self.there.url}/v1/receipts?institution={A}&document_id=x",
                    cert=str(path), verify=str(self.roots), timeout=20,
                )  # fmt: skip
            except requests.ConnectionError as error:  # an SSLError is one
                return 0, str(error)
        return answered.status_code, "" if answered.ok else answered.json()["detail"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("matrix")
    with region(folder / "platform") as there:
        yield Bench(there, folder)


def by_openssl(folder: Path, name: str, issuer: Authority, digest: str) -> Path:
    """What the library at hand refuses to make: a certificate signed with an old hash."""
    key, ca, ca_key = folder / f"{name}.key", folder / f"{name}-ca.pem", folder / f"{name}-ca.key"
    assert issuer.key is not None
    ca.write_bytes(pem_of([issuer.issuer]))
    ca_key.write_bytes(issuer.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName=URI:{INSTITUTION}{A},DNS:localhost\nextendedKeyUsage=clientAuth,serverAuth\nbasicConstraints=critical,CA:FALSE\n")  # fmt: skip
    request, made = folder / f"{name}.csr", folder / f"{name}.crt"
    for command in (
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-subj", f"/CN={A}", "-out", request],
        ["openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, f"-{digest}", "-days", "30", "-extfile", extensions, "-set_serial", "77", "-out", made],
    ):  # fmt: skip
        subprocess.run([*map(str, command)], check=True, capture_output=True)
    path = folder / f"{name}.pem"
    path.write_bytes(key.read_bytes() + made.read_bytes() + pem_of(issuer.issuers))
    return path


def below_a_leaf(bench: Bench) -> Path:
    """A hospital plays authority: its certificate signs another's."""
    _, leaf, key = certificate(bench.folder, "leaf", bench.own, uris=[INSTITUTION + A])
    bench.known(leaf)
    fake = Authority(bench.own.root, (leaf, *bench.own.issuers), key)
    return bench.client("below-a-leaf", fake)


def of_another_key(bench: Bench) -> Path:
    """A true certificate, and somebody else's key."""
    path = bench.client("true")
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())  # fmt: skip
    stolen = bench.folder / "stolen.pem"
    stolen.write_bytes(pem + path.read_bytes().split(b"-----END PRIVATE KEY-----\n")[1])
    return stolen


def revoked(bench: Bench) -> Path:
    path = bench.client("revoked")
    bench.there.registry.revoke(fingerprint(x509.load_pem_x509_certificates(path.read_bytes())[0]), "wang", "lost")
    return path


# What a client may show -> what it is answered: 0 (TLS refuses), 401 with this word, 200.
CLIENTS: dict[str, tuple[Callable[[Bench], Path], int, str]] = {
    "good": (lambda b: b.client("good"), 200, ""),
    "expired": (lambda b: b.client("expired", begins=timedelta(days=-9), ends=timedelta(days=-1)), 0, ""),
    "not yet valid": (lambda b: b.client("early", begins=timedelta(days=1)), 0, ""),
    "made for servers": (lambda b: b.client("server", usage=SERVER), 0, ""),
    "made for nothing": (lambda b: b.client("nothing", usage=None), 401, "not made for clients"),
    "unknown authority": (lambda b: b.client("unknown", new_authority("Elsewhere")), 0, ""),
    "authority of the same name": (lambda b: b.client("namesake", new_authority("Region")), 0, ""),
    "signed by itself": (lambda b: certificate(b.folder, "self", None, uris=[INSTITUTION + A])[0], 0, ""),
    "revoked": (revoked, 401, "revoked"),
    "never given": (lambda b: b.client("never", is_known=False), 401, "did not give"),
    "weak key": (lambda b: b.client("weak", key=rsa.generate_private_key(65537, 1024)), 0, ""),
    "SHA-1": (lambda b: by_openssl(b.folder, "sha1", b.own, "sha1"), 0, ""),
    "an authority's": (lambda b: b.client("authority", is_authority=True), 401, "authority"),
    "below a leaf": (below_a_leaf, 0, ""),
    "another's key": (of_another_key, 0, ""),
    "names other institutions": (lambda b: _other_names(b), 401, "other institutions"),
}  # fmt: skip


def _other_names(bench: Bench) -> Path:
    path, made, _ = certificate(bench.folder, "other", bench.own, uris=[INSTITUTION + A, INSTITUTION + B])
    bench.known(made)
    return path


@pytest.mark.parametrize("kind", CLIENTS)
def test_what_a_client_may_show(bench: Bench, kind: str) -> None:
    make, status, word = CLIENTS[kind]
    try:
        path = make(bench)
        got, detail = bench.answer(path)
    except (ssl.SSLError, OSError) as error:  # our own library does not even load it
        got, detail = 0, str(error)

    assert got == status
    assert word in detail.lower() or word in detail


def test_not_yet_valid_says_check_the_clocks(bench: Bench) -> None:
    """TLS has no alert for it, so the agent looks at its own certificate."""
    path = bench.client("early-2", begins=timedelta(days=1))
    edge = HttpEdge("region", Tls(str(path), str(path), str(bench.roots)), timedelta(seconds=10))
    with pytest.raises(NotAllowed, match="check the clocks"):
        edge.ask("GET", bench.there.url + "/v1/receipts")


def test_expired_is_told_to_the_agent(bench: Bench) -> None:
    path = bench.client("expired-2", begins=timedelta(days=-9), ends=timedelta(days=-1))
    edge = HttpEdge("region", Tls(str(path), str(path), str(bench.roots)), timedelta(seconds=10))
    with pytest.raises(NotAllowed, match="expired"):
        edge.ask("GET", bench.there.url + "/v1/receipts")


# --- who says to be the platform -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def pretender(file: Path, versions: tuple[ssl.TLSVersion, ssl.TLSVersion] | None = None) -> Iterator[str]:
    """Somebody at the platform's address, with this certificate; he takes what he is given and answers 200."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    if versions:
        context.minimum_version, context.maximum_version = versions
    context.load_cert_chain(file)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as line:
                line.recv(65536)
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


class Trusting:
    """An agent's pinned authorities."""

    def __init__(self, folder: Path):
        self.folder, self.own = folder, new_authority()
        self.ca, self.revoked = folder / "ca.pem", folder / "revoked.pem"
        self.ca.write_bytes(pem_of([self.own.root]))
        self.tell_revoked([])

    def tell_revoked(self, serials: list[int]) -> None:
        told = revoked_list(self.own, [(one, utc_now()) for one in serials], 1, utc_now())
        self.revoked.write_bytes(told.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str, issuer: Authority | None = None, **more: object) -> Path:
        settings: dict[str, object] = {
            "hosts": ["localhost", "127.0.0.1"],
            "usage": SERVER,
            "subject": "region",
            **more,
        }
        return certificate(self.folder, name, issuer or self.own, **settings)[0]  # type: ignore[arg-type]

    def ask(self, url: str) -> int:
        tls = Tls(ca=str(self.ca), revoked=str(self.revoked))
        return HttpEdge("region", tls, timedelta(seconds=10)).ask("GET", url + "/v1/key").status


def a_hospitals(t: Trusting) -> Path:
    """A hospital's own certificate plays platform."""
    assert isinstance(t.own, Authority)
    key = new_key()
    made = client_certificate(t.own, key.public_key(), [A], utc_now(), timedelta(days=9))
    path = t.folder / "hospital.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + pem_of([made, *t.own.issuers]))
    return path


def revoked_server(t: Trusting) -> Path:
    path, made, _ = certificate(t.folder, "revoked-server", t.own, hosts=["localhost"], usage=SERVER)
    t.tell_revoked([made.serial_number])
    return path


def below_a_server(t: Trusting) -> Path:
    _, leaf, key = certificate(t.folder, "leaf", t.own, hosts=["localhost"], usage=SERVER)
    return t.server("below", Authority(t.own.root, (leaf, *t.own.issuers), key))


SERVERS: dict[str, tuple[Callable[[Trusting], Path], str]] = {
    "expired": (lambda t: t.server("expired", begins=timedelta(days=-9), ends=timedelta(days=-1)), "has expired"),
    "not yet valid": (lambda t: t.server("early", begins=timedelta(days=1)), "compare the clocks"),
    "made for clients": (lambda t: t.server("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH), "TLS with"),
    "a hospital's": (a_hospitals, "TLS with"),
    "unknown authority": (lambda t: t.server("unknown", new_authority("Elsewhere")), "signed by nobody we trust"),
    "authority of the same name": (lambda t: t.server("namesake", new_authority("Region")), "signed by nobody we trust"),
    "signed by itself": (lambda t: certificate(t.folder, "self", None, hosts=["localhost"], usage=SERVER)[0], "signed by nobody we trust"),
    "another name": (lambda t: t.server("name", hosts=["elsewhere.example"]), "not that of the host"),
    "no name": (lambda t: t.server("no-name", hosts=[]), "not that of the host"),
    "name in the subject alone": (lambda t: t.server("subject", hosts=[], subject="localhost"), "not that of the host"),
    "revoked": (revoked_server, "revoked"),
    "weak key": (lambda t: t.server("weak", key=rsa.generate_private_key(65537, 1024)), "TLS with"),
    "SHA-1": (lambda t: by_openssl(t.folder, "sha1", t.own, "sha1"), "TLS with"),
    "below a leaf": (below_a_server, "TLS with"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SERVERS)
def test_who_may_say_to_be_the_platform(tmp_path: Path, kind: str) -> None:
    make, word = SERVERS[kind]
    trusting = Trusting(tmp_path)
    with pretender(make(trusting)) as url, pytest.raises(NotAllowed, match=word):
        trusting.ask(url)


def test_the_platform_itself_is_known(tmp_path: Path) -> None:
    """By name and by address: a machine with two cards is known by each."""
    trusting = Trusting(tmp_path)
    with pretender(trusting.server("good")) as url:
        assert trusting.ask(url) == 200
        assert trusting.ask(url.replace("localhost", "127.0.0.1")) == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_not_spoken(tmp_path: Path, bench: Bench, version: ssl.TLSVersion) -> None:
    trusting = Trusting(tmp_path)
    with pretender(trusting.server("good"), (version, version)) as url, pytest.raises(NotAllowed):
        trusting.ask(url)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = old.maximum_version = version
    port = int(bench.there.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain)


def test_plain_http_at_the_port_of_tls_is_told(bench: Bench) -> None:
    port = bench.there.url.rpartition(":")[2]
    with pytest.raises(Exception):  # noqa: B017 - whatever the library calls it, no answer comes
        requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).raise_for_status()


def test_a_list_of_authorities_that_is_none_is_not_taken_up(tmp_path: Path) -> None:
    from frontend_agent.errors import StateError
    from frontend_agent.spool.membership import Membership

    member = Membership(tmp_path, "https://region.example:8443")
    with pytest.raises(StateError, match="authorities"):
        member.trust(Authorities("d", "nothing"))
    assert not member.ca_file.exists()


def test_files_that_are_wrong_are_named(tmp_path: Path) -> None:
    nothing = tmp_path / "none.pem"
    with pytest.raises(ConfigurationError, match="no such file"):
        HttpEdge("region", Tls(str(nothing), str(nothing)), timedelta(seconds=1))
    with pytest.raises(DestinationUnreachable):
        HttpEdge("region", Tls(), timedelta(seconds=1)).ask("GET", "https://127.0.0.1:9/")


def test_a_certificate_is_held_against_the_clock_at_every_request(bench: Bench) -> None:
    """Not only when the connection is made: one that is kept open outlives its certificate."""
    path = bench.client("short", ends=timedelta(seconds=4))
    with requests.Session() as http:
        http.trust_env = False
        http.cert, http.verify = str(path), str(bench.roots)
        url = f"{bench.there.url}/v1/receipts?institution={A}&document_id=x"
        assert http.get(url, timeout=20).status_code == 200
        import time

        time.sleep(4.5)
        answered = http.get(url, timeout=20)
    assert answered.status_code == 401
    assert "expired" in answered.json()["detail"]

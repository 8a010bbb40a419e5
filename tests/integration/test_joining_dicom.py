"""The platform's DICOM port by the certificates of those who joined: no hospital stores for another (threat C1)."""

import io
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE

from frontend_agent.errors import ConfigurationError
from frontend_agent.platform.images.listener import DicomPort, read_peers
from frontend_agent.platform.metrics import Metrics
from frontend_agent.spool.membership import Membership
from tests.instances_made import CT, as_file, ct
from tests.joining_kit import Region, certificate, region

A, B = "470000001", "470000002"
PEERS = f"""
ae_title = "REGION"
joined = true
[[peers]]
ae_title = "AGENT_A"
institution = "{A}"
[[peers]]
ae_title = "AGENT_B"
institution = "{B}"
"""


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Region]:
    with region(tmp_path / "platform") as found:
        yield found


@pytest.fixture
def port(there: Region, tmp_path: Path) -> Iterator[int]:
    file = tmp_path / "peers.toml"
    file.write_text(PEERS)
    opened = DicomPort(there.store.images, read_peers(file), 0, Metrics(there.store), there.joined)
    opened.start()
    assert opened.address.startswith("dicoms://")
    try:
        yield int(opened.address.rpartition(":")[2])
    finally:
        opened.stop(2)


def stored(port: int, own: Path, ca: Path, title: str, number: int = 1) -> int | None:
    """Status of a C-STORE; None where no association came about."""
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(own)
    entity = AE(title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(CT)
    line = entity.associate("localhost", port, ae_title="REGION", tls_args=(context, "localhost"))
    if not line.is_established:
        return None
    status = line.send_c_store(dcmread(io.BytesIO(as_file(ct(number)))))
    line.release()
    return int(status.Status) if "Status" in status else None


def _says_nothing(port: int, context: ssl.SSLContext) -> None:
    """OSError: the other side does not go on without a certificate; with TLS 1.3 it shows at the first read."""
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        if line.recv(1) == b"":
            raise ConnectionResetError("closed without an alert")


def by(member: Membership, port: int, title: str, number: int = 1) -> int | None:
    return stored(port, member.own_file, member.ca_file, title, number)


def test_each_stores_for_its_own_hospital_alone(there: Region, port: int, tmp_path: Path) -> None:
    a, b = there.member(tmp_path / A, A), there.member(tmp_path / B, B)

    assert by(a, port, "AGENT_A") == 0
    assert by(b, port, "AGENT_A") is None  # A's title, and not A's certificate
    assert by(a, port, "AGENT_B") is None
    assert {one.institution for one in there.store.images.find(str(ct().StudyInstanceUID))} == {A}


def test_who_calls_himself_another_hospitals_machine_is_an_incident(there: Region, port: int, tmp_path: Path) -> None:
    a, b = there.member(tmp_path / A, A), there.member(tmp_path / B, B)
    assert by(a, port, "AGENT_A") == 0
    assert by(a, port, "NOBODY") is None  # a title of nobody's is a mistake, not somebody else's
    assert there.registry.incidents() == []

    assert by(b, port, "AGENT_A") is None
    assert by(b, port, "AGENT_A") is None
    (told,) = there.registry.incidents()
    (own,) = there.registry.certificates(B)
    assert (told.certificate, told.named, told.times) == (own.sha256, A, 2)
    assert told.what == "DICOM association as AGENT_A"
    assert told.address == "127.0.0.1"


def test_revoked_stores_nothing_any_more(there: Region, port: int, tmp_path: Path) -> None:
    a = there.member(tmp_path / A, A)
    assert by(a, port, "AGENT_A") == 0
    there.registry.revoke(A, "wang", "lost")
    assert by(a, port, "AGENT_A", 2) is None


def test_nobody_stores_without_a_certificate_or_with_a_strangers(there: Region, port: int, tmp_path: Path) -> None:
    a = there.member(tmp_path / A, A)
    stranger, _, _ = certificate(tmp_path, "stranger", None)
    assert stored(port, stranger, a.ca_file, "AGENT_A") is None
    with pytest.raises(OSError):
        _says_nothing(port, ssl.create_default_context(cafile=str(a.ca_file)))


def test_without_a_door_for_agents_nobody_can_have_joined(there: Region, tmp_path: Path) -> None:
    file = tmp_path / "peers.toml"
    file.write_text(PEERS)
    with pytest.raises(ConfigurationError, match="--tls"):
        DicomPort(there.store.images, read_peers(file), 0, Metrics(there.store))
    file.write_text(PEERS.replace("joined = true", 'joined = true\ncertificate = "x"\nkey = "y"'))
    with pytest.raises(ConfigurationError, match="leave them out"):
        read_peers(file)

"""Images over TLS, both ways and with certificates on both sides: dcmtk, Orthanc and our own platform as the other side.

What does not hold is refused, and who reads why knows whose certificate it is about and what mends it.
"""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from connectors.dicom.listener import DicomListener
from connectors.dicomweb.stow import qido_or_none
from frontend_agent.config_images import DicomInlet, DicomQueryInlet, DicomwebInlet, StowOutlet
from frontend_agent.config_types import Count
from frontend_agent.delivery import State
from frontend_agent.errors import DestinationUnreachable, FrontendAgentError, NotAllowed, SourceRefused
from frontend_agent.imaging.reports import CommitmentReports
from frontend_agent.imaging.sending import StudySender, pause_name
from frontend_agent.platform.images.catalogue import StudySearch
from frontend_agent.platform.images.listener import DicomPort, read_peers
from frontend_agent.platform.metrics import Metrics
from frontend_agent.platform.store import Store
from tests.dicom_kit import data_set, dcmsend, file_bytes, made, storescp, uid
from tests.fetching_kit import Site
from tests.integration.test_fetching_studies import fetcher, want
from tests.mllp_kit import Authority, Pem
from tests.orthanc_kit import Orthanc, needs_orthanc, orthanc
from tests.platform_kit import HOSPITAL
from tests.sending_kit import Book, Clock, Pauses, study_files
from tests.study_kit import Kept, until
from tests.unit.test_dicom_sending import edge

pytestmark = pytest.mark.slow


class Papers(NamedTuple):
    """An authority that all trust, what it has signed, and one that nobody trusts."""

    authority: Authority
    stranger: Authority
    server: Pem
    agent: Pem

    def ours(self, own: Pem | None = None) -> dict[str, str]:
        """Settings of an inlet or a destination."""
        own = own or self.agent
        return {"certificate": str(own.certificate), "key": str(own.key), "ca": str(self.authority.pem)}

    def server_context(self) -> ssl.SSLContext:
        """A server's that asks for a certificate of the authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.certificate, self.server.key)
        context.load_verify_locations(self.authority.pem)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority = Authority(folder)
    return Papers(
        authority, Authority(folder, "stranger"), authority.certificate("server"), authority.certificate("agent")
    )


@pytest.fixture(scope="module")
def pacs(papers: Papers) -> Iterator[Orthanc]:
    """It speaks DICOM by TLS alone."""
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(papers.server.certificate),
        "DicomTlsPrivateKey": str(papers.server.key),
        "DicomTlsTrustedCertificates": str(papers.authority.pem),
        "DicomTlsRemoteCertificateRequired": True,
    }
    with orthanc(settings=settings) as found:
        yield found


@pytest.fixture(scope="module")
def web(pacs: Orthanc, papers: Papers) -> Iterator[int]:
    """Orthanc's DICOMweb behind a proxy of HTTPS, as in hospitals: its own HTTPS (Debian's 1.10.1 with OpenSSL 3) dies of a request."""
    with terminating(pacs.http_port, papers.server_context()) as port:
        yield port


@contextmanager
def terminating(to: int, context: ssl.SSLContext) -> Iterator[int]:
    """TLS ends here, and goes on in plain to a port of this machine."""

    def carry(here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while data := here.recv(1 << 16):
                there.sendall(data)
        for one in (here, there):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve(raw: socket.socket) -> None:
        with raw, suppress(OSError), context.wrap_socket(raw, server_side=True) as line:
            line.settimeout(None)
            with socket.create_connection(("127.0.0.1", to)) as plain:
                answers = threading.Thread(target=carry, args=(plain, line), daemon=True)
                answers.start()
                carry(line, plain)
                answers.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                line, _ = listening.accept()
                line.settimeout(10)
                threading.Thread(target=serve, args=(line,), daemon=True).start()

    with socket.create_server(("0.0.0.0", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Book:
    (tmp_path / "book").mkdir()
    return Book(tmp_path / "book", clock)


def sent(outlet: Any, book: Book, clock: Clock) -> Pauses:
    pauses = Pauses()
    one = StudySender("region", outlet.options, outlet, book, pauses, clock, "Asia/Shanghai")  # type: ignore[arg-type]
    while one.send_once():
        pass
    outlet.close()
    return pauses


# --- sending ----------------------------------------------------------------------------------------------------------


@contextmanager
def tls_storescp(folder: Path, papers: Papers, own: Pem | None = None) -> Iterator[int]:
    """It asks for a certificate of the authority."""
    own = own or papers.server
    with storescp(folder, "+tls", str(own.key), str(own.certificate), "+cf", str(papers.authority.pem), "+B") as port:
        yield port


def test_a_study_goes_to_storescp_by_tls(papers: Papers, book: Book, clock: Clock, tmp_path: Path) -> None:
    book.add(study_files(5, pixels=300_000))
    with tls_storescp(tmp_path / "scp", papers) as port:
        outlet = edge(port, url=f"dicoms://STORESCP@127.0.0.1:{port}", **papers.ours())
        outlet.probe()
        sent(outlet, book, clock)
    assert set(book.states()) == {State.ACCEPTED}
    assert len(list((tmp_path / "scp").iterdir())) == 5


SIGNED_BY_NOBODY = r"signed by nobody we trust .*: set ca to the certificate of its authority"
# With TLS 1.3 the peer says it after the handshake, and its word is lost where it closes the connection at once: the second ones.
NOT_TAKEN = (
    "does not take our certificate .*: whoever runs it must trust the authority|closed.*have it trust their authority"
)
NONE_SHOWN = "asks for a certificate of ours.*set certificate and key"
WRONG_HOST = r"not that of the host in url .*: name it in url as its certificate does"
EXPIRED = r"its certificate has expired .*: whoever runs it must renew it"


@contextmanager
def wrong(what: str, papers: Papers, folder: Path) -> Iterator[tuple[dict[str, str], Pem | None, str]]:
    """Settings of ours that do not fit, the peer's certificate, and the host that is called."""
    settings, own, host = papers.ours(), None, "127.0.0.1"
    if what == SIGNED_BY_NOBODY:
        settings["ca"] = str(papers.stranger.pem)
    elif what == NOT_TAKEN:
        settings = {**papers.ours(papers.stranger.certificate("somebody")), "ca": str(papers.authority.pem)}
    elif what == NONE_SHOWN:
        settings = {"ca": str(papers.authority.pem)}
    elif what == WRONG_HOST:
        host = "127.0.0.2"
    elif what == EXPIRED:
        own = papers.authority.certificate("expired", days=-1)
    yield settings, own, host


@pytest.mark.parametrize("what", [SIGNED_BY_NOBODY, NOT_TAKEN, NONE_SHOWN, WRONG_HOST, EXPIRED])
def test_what_does_not_hold_stops_sending_and_says_who_mends_it(
    papers: Papers, book: Book, clock: Clock, tmp_path: Path, what: str
) -> None:
    book.add(study_files(1))
    with ExitStack() as opened:
        settings, own, host = opened.enter_context(wrong(what, papers, tmp_path))
        port = opened.enter_context(tls_storescp(tmp_path / "scp", papers, own))
        url = f"dicoms://STORESCP@{host}:{port}"
        with pytest.raises(FrontendAgentError, match=what):
            edge(port, url=url, **settings).probe()
        pause = sent(edge(port, url=url, **settings), book, clock).pause(pause_name("region"))
    assert re.search(what, pause.problem)
    assert pause.blame == "platform" or what in (NOT_TAKEN, NONE_SHOWN)  # "network" where its word was lost
    assert book.states() == [State.READY]  # nothing is lost, and nothing counts against the study
    assert list((tmp_path / "scp").iterdir()) == []


def test_who_does_not_speak_tls_is_asked_about(papers: Papers, tmp_path: Path) -> None:
    with (
        storescp(tmp_path / "scp") as port,
        pytest.raises(DestinationUnreachable, match="does it speak TLS at this port"),
    ):
        edge(port, url=f"dicoms://STORESCP@127.0.0.1:{port}", **papers.ours()).probe()
    with Site() as site:
        web = stowing(site.port, **papers.ours())
        with pytest.raises(NotAllowed, match="does not speak TLS at this port"):
            web.probe()


# --- our own platform's DICOM port ------------------------------------------------------------------------------------


@contextmanager
def platform_port(folder: Path, papers: Papers) -> Iterator[tuple[Store, int]]:
    file = folder / "peers.toml"
    file.write_text(
        f"""
ae_title = "REGION"
certificate = "{papers.server.certificate}"
key = "{papers.server.key}"
client_ca = "{papers.authority.pem}"
[[peers]]
ae_title = "FRONTEND"
institution = "{HOSPITAL}"
certificate = "agent"
"""
    )
    store = Store(folder / "platform").open()
    port = DicomPort(store.images, read_peers(file), 0, Metrics(store))
    port.start()
    try:
        yield store, int(port.address.rpartition(":")[2])
    finally:
        port.stop(2)
        store.close()


def test_the_platform_takes_what_comes_with_the_certificate_of_its_peer(
    papers: Papers, book: Book, clock: Clock, tmp_path: Path
) -> None:
    book.add(study_files(4, pixels=200_000))
    with platform_port(tmp_path, papers) as (store, port):
        url = f"dicoms://REGION@127.0.0.1:{port}"
        outlet = edge(port, url=url, book=book, clock=clock, proof="commitment", **papers.ours())
        outlet.probe()
        pauses = Pauses()
        one = StudySender("region", outlet.options, outlet, book, pauses, clock, "Asia/Shanghai")  # type: ignore[arg-type]
        assert one.send_once()
        clock.forward(seconds=60)
        assert until(lambda: one.prove_once() is not None and set(book.states()) == {State.DELIVERED})
        outlet.close()
        (study,) = store.images.studies(StudySearch())
        assert (study.institution, study.study_instance_uid) == (HOSPITAL, uid(1))
        assert [one.sender for one in store.images.find(uid(1))] == ["FRONTEND@127.0.0.1"] * 4


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ("other", "rejects the association of FRONTEND"),  # of the authority, and not this peer's
        ("stranger", NOT_TAKEN),
        ("", NONE_SHOWN),
    ],
)
def test_the_platform_refuses_another_certificate(
    papers: Papers, book: Book, clock: Clock, tmp_path: Path, own: str, problem: str
) -> None:
    book.add(study_files(1))
    by = papers.stranger if own == "stranger" else papers.authority
    settings = papers.ours(by.certificate(own)) if own else {"ca": str(papers.authority.pem)}
    with platform_port(tmp_path, papers) as (store, port):
        pauses = sent(edge(port, url=f"dicoms://REGION@127.0.0.1:{port}", **settings), book, clock)
        assert store.images.studies(StudySearch()) == []
    assert re.search(problem, pauses.pause(pause_name("region")).problem)
    assert book.states() == [State.READY]


# --- asking a PACS, and being sent to ---------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with Kept(tmp_path / "state") as found:
        yield found


@pytest.fixture
def filled(pacs: Orthanc) -> Orthanc:
    pacs.clear()
    pacs.add(*(file_bytes(data_set(1, series, number)) for series in (1, 2) for number in (1, 2, 3)))
    return pacs


def asking(kind: str, pacs: Orthanc, web: int, host: str = "127.0.0.1", **settings: Any) -> Any:
    if kind == "dicom-query":
        url = f"dicoms://ORTHANC@{host}:{pacs.dicom_port}"
        return DicomQueryInlet(type="dicom-query", url=url, timeout=timedelta(seconds=20), **settings)
    return DicomwebInlet(type="dicomweb", url=f"https://{host}:{web}/dicom-web", **settings)


@needs_orthanc
@pytest.mark.parametrize("kind", ["dicom-query", "dicomweb"])
class TestAsking:
    def test_a_study_is_asked_for_and_fetched(
        self, papers: Papers, filled: Orthanc, web: int, kept: Kept, kind: str
    ) -> None:
        inlet = fetcher(kept, asking(kind, filled, web, **papers.ours()))
        inlet.probe()
        want(kept, study_instance_uid=uid(1))
        assert inlet.fetch() == 6
        assert dict(kept.book.counts(uid(1))) == {uid(1, 1): 3, uid(1, 2): 3}

    @pytest.mark.parametrize("what", [SIGNED_BY_NOBODY, NOT_TAKEN, NONE_SHOWN, WRONG_HOST])
    def test_what_does_not_hold_is_told_with_its_mend(
        self, papers: Papers, filled: Orthanc, web: int, kept: Kept, kind: str, tmp_path: Path, what: str
    ) -> None:
        with wrong(what, papers, tmp_path) as (settings, _, host):
            inlet = fetcher(kept, asking(kind, filled, web, host, **settings))
            with pytest.raises(SourceRefused, match=what):
                inlet.probe()
            want(kept, study_instance_uid=uid(1))
            with pytest.raises(FrontendAgentError, match=what):
                inlet.fetch()
        assert [one.attempts for one in kept.book.wants()] == [1]  # it is asked for again: no fault of the study


@needs_orthanc
def test_a_pacs_sends_to_us_by_tls(papers: Papers, filled: Orthanc, kept: Kept, tmp_path: Path) -> None:
    mine = {"certificate": str(papers.agent.certificate), "key": str(papers.agent.key)}
    options = DicomInlet(
        type="dicom", port=Count(0), client_ca=str(papers.authority.pem), client_names=("server",), **mine
    )
    listener = DicomListener("arrivals", options, kept.desk, CommitmentReports(), kept.clock)
    listener.start()
    try:
        name = filled.knows("FRONTEND", listener.address[1], UseDicomTls=True)
        filled.sends(name, *filled.get("/studies"))
        assert sum(kept.book.counts(uid(1)).values()) == 6
        plain = dcmsend(listener.address[1], *made(tmp_path / "in", instances=1), called="FRONTEND")
        assert plain.code != 0
    finally:
        listener.stop(5)


# --- DICOMweb ---------------------------------------------------------------------------------------------------------


def stowing(web: int, host: str = "127.0.0.1", **settings: Any) -> Any:
    options = StowOutlet(type="stow", url=f"https://{host}:{web}/dicom-web", proof="qido", **settings)
    return qido_or_none("region", options, lambda name: name)


@needs_orthanc
def test_a_study_is_stored_and_recounted_by_https(
    papers: Papers, pacs: Orthanc, web: int, book: Book, clock: Clock
) -> None:
    pacs.clear()
    book.add(study_files(5))
    outlet = stowing(web, **papers.ours())
    outlet.probe()
    one = StudySender("region", outlet.options, outlet, book, Pauses(), clock, "Asia/Shanghai")  # type: ignore[arg-type]
    while one.send_once():
        pass
    clock.forward(minutes=10)
    assert until(lambda: one.prove_once() is not None and set(book.states()) == {State.DELIVERED})
    outlet.close()
    assert pacs.count() == 5


@needs_orthanc
@pytest.mark.parametrize("what", [SIGNED_BY_NOBODY, NOT_TAKEN, NONE_SHOWN, WRONG_HOST])
def test_a_study_is_not_stored_where_https_does_not_hold(
    papers: Papers, pacs: Orthanc, web: int, book: Book, clock: Clock, tmp_path: Path, what: str
) -> None:
    pacs.clear()
    book.add(study_files(2))
    with wrong(what, papers, tmp_path) as (settings, _, host):
        with pytest.raises(NotAllowed, match=what):
            stowing(web, host, **settings).probe()
        pause = sent(stowing(web, host, **settings), book, clock).pause(pause_name("region"))
    assert pause.blame == "platform"
    assert set(book.states()) == {State.READY}
    assert pacs.count() == 0

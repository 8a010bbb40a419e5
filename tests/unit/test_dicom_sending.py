"""Studies to an application entity by C-STORE: dcmtk and Orthanc as the other side, pynetdicom where it has to behave oddly."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from connectors.dicom.links import links_of
from connectors.dicom.listener import DicomListener
from connectors.dicom.proving import CommitmentProof, FindProof, Transactions, Unproven
from connectors.dicom.requesting import Peer, associate
from connectors.dicom.sending import Proof, StoreEdge
from frontend_agent.config_images import DicomInlet, DicomOutlet
from frontend_agent.config_types import Count, Size
from frontend_agent.delivery import State
from frontend_agent.dicom.negotiation import proposed
from frontend_agent.dicom.part10 import read_meta
from frontend_agent.dicom.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from frontend_agent.errors import DestinationUnreachable, NotAllowed
from frontend_agent.imaging.reports import CommitmentReports
from frontend_agent.imaging.sending import StudySender, pause_name
from tests.dicom_kit import CT, JPEG_2000, MR, data_set, dcmqrscp, encapsulated, storescp
from tests.mllp_kit import Authority
from tests.orthanc_kit import needs_orthanc, orthanc
from tests.ports import free_port
from tests.sending_kit import Book, Clock, Pauses, headed, kept, study_files

_config.LOG_REQUEST_IDENTIFIERS = False
_outlets: list[StoreEdge] = []  # of one test
Store = Callable[[str], int | Dataset | None]  # SOP Instance UID -> the answer; None: the peer aborts


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Book:
    folder = tmp_path / "book"
    folder.mkdir()
    return Book(folder, clock)


def edge(
    port: int, title: str = "PEER", book: Book | None = None, clock: Clock | None = None, **options: Any
) -> StoreEdge:
    """A destination at 127.0.0.1."""
    url = f"dicom://{title}@127.0.0.1:{port}"
    settings = {"url": url, "timeout": timedelta(seconds=20), "proof": "none", **options}
    table = DicomOutlet(type="dicom", **settings)
    proof: Proof = Unproven()
    if table.proof == "commitment":
        assert book is not None
        assert clock is not None
        proof = CommitmentProof("region", links_of("region", table), book, clock, 5.0)
    elif table.proof == "find":
        proof = FindProof("region", links_of("region", table))
    outlet = StoreEdge("region", table, links_of("region", table), proof)
    _outlets.append(outlet)
    return outlet


def sender(outlet: StoreEdge, book: Book, clock: Clock, pauses: Pauses | None = None) -> StudySender:
    return StudySender(
        "region",
        outlet.options,
        outlet,
        book,
        pauses or Pauses(),
        clock,
        "Asia/Shanghai",  # type: ignore[arg-type]
    )


def sent(outlet: StoreEdge, book: Book, clock: Clock) -> Pauses:
    """Send until nothing is due."""
    pauses = Pauses()
    one = sender(outlet, book, clock, pauses)
    while one.send_once():
        pass
    outlet.close()
    return pauses


class Scp:
    """pynetdicom as an SCP that answers what it is told to."""

    def __init__(self, store: Store, syntaxes: Sequence[str], classes: Sequence[str]) -> None:
        self.port = free_port()
        self.received: list[str] = []
        self.associations = 0
        self.actions: list[tuple[str, list[str]]] = []
        self.on_action: Callable[[Any, Dataset], int] = lambda event, asked: 0
        self._store = store
        ae = AE("PEER")
        for one in classes:
            ae.add_supported_context(one, list(syntaxes))
        ae.add_supported_context(Verification)
        ae.add_supported_context(StorageCommitmentPushModel)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._stored),
            (evt.EVT_N_ACTION, self._acted),
            (evt.EVT_ACCEPTED, self._accepted),
        ]
        self.ae, self.handlers = ae, handlers
        self.server: Any = None

    def _accepted(self, event: Any) -> None:
        self.associations += 1

    def _stored(self, event: Any) -> Any:
        uid = event.request.AffectedSOPInstanceUID
        answer = self._store(uid)
        if answer is None:
            event.assoc.abort()
            return 0xC000
        self.received.append(uid)
        return answer

    def _acted(self, event: Any) -> Any:
        asked = event.action_information
        self.actions.append(
            (asked.TransactionUID, [one.ReferencedSOPInstanceUID for one in asked.ReferencedSOPSequence])
        )
        return self.on_action(event, asked), None


@contextmanager
def scp(
    store: Store = lambda uid: 0,
    *,
    syntaxes: Sequence[str] = (EXPLICIT_LE, IMPLICIT_LE),
    classes: Sequence[str] = (CT, MR),
) -> Iterator[Scp]:
    found = Scp(store, syntaxes, classes)
    with serving(found.ae, found.port, found.handlers) as found.server:
        yield found


@contextmanager
def serving(ae: AE, port: int, handlers: Sequence[Any] = ()) -> Iterator[Any]:
    """A server of pynetdicom; we close our connections first, for it waits for who does not."""
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers))
    try:
        yield server
    finally:
        for outlet in _outlets:
            outlet.close()
        _outlets.clear()
        until = time.monotonic() + 5
        while server.active_associations and time.monotonic() < until:
            time.sleep(0.02)
        server.shutdown()


def report(asked: Dataset, failed: Sequence[str] = (), reason: int = 0x0112) -> Dataset:
    """What an N-EVENT-REPORT says of what was asked for."""
    found = Dataset()
    found.TransactionUID = asked.TransactionUID
    found.ReferencedSOPSequence = [
        one for one in asked.ReferencedSOPSequence if one.ReferencedSOPInstanceUID not in failed
    ]
    if failed:
        found.FailedSOPSequence = [one for one in asked.ReferencedSOPSequence if one.ReferencedSOPInstanceUID in failed]
        for one in found.FailedSOPSequence:
            one.FailureReason = reason
    return found


# --- what an answer means ---------------------------------------------------------------------------------------------


def test_every_status_settles_its_own_instance(book: Book, clock: Clock) -> None:
    book.add(study_files(9))
    nothing = Dataset()  # a C-STORE-RSP without a status
    answers = [0x0000, 0xB000, 0xB007, 0x0111, 0xA700, 0xA900, 0xC001, 0x0122, nothing]
    names = {one.header.sop_instance_uid: answer for one, answer in zip(book.instances(1), answers, strict=True)}
    with scp(lambda uid: names[uid]) as peer:
        sender(edge(peer.port), book, clock).send_once()
    accepted, refused = State.ACCEPTED, State.REFUSED
    assert book.states()[:8] == [accepted, accepted, accepted, accepted, State.WAITING, refused, refused, refused]
    assert book.states()[8] in (State.UNCERTAIN, State.REFUSED)
    assert "0xB000 (it changed data elements)" in book.reasons[2][0]
    assert "0xA900" in book.reasons[6][0]


def test_a_destination_that_has_no_room_is_left_alone(book: Book, clock: Clock) -> None:
    book.add(study_files(6))
    with scp(lambda uid: 0xA700) as peer:
        pauses = Pauses()
        sender(edge(peer.port), book, clock, pauses).send_once()
    assert len(peer.received) == 3
    assert set(book.states()) == {State.WAITING, State.READY}
    assert "it asks for time" in pauses.pause(pause_name("region")).problem


def test_not_authorized_is_no_fault_of_an_instance(book: Book, clock: Clock) -> None:
    book.add(study_files(2))
    with scp(lambda uid: 0x0124) as peer:
        pauses = sent(edge(peer.port), book, clock)
    assert set(book.states()) == {State.READY}
    assert pauses.pause(pause_name("region")).blame == "platform"


def test_an_abort_at_one_instance_does_not_stop_the_others_and_at_last_it_is_blocked(book: Book, clock: Clock) -> None:
    book.add(study_files(6))
    poison = book.instances(1)[2].header.sop_instance_uid
    with scp(lambda uid: None if uid == poison else 0) as peer:
        outlet = edge(peer.port)
        one = sender(outlet, book, clock)
        one.send_once()
        assert book.states() == [State.ACCEPTED] * 2 + [State.UNCERTAIN] + [State.ACCEPTED] * 3
        for study in (2, 3):
            book.add(study_files(2, study=study))
            for _ in range(3):
                clock.forward(minutes=6)
                one.send_once()
        outlet.close()
    assert book.state[3] is State.BLOCKED
    assert "3 times the association was aborted at it" in book.reasons[3][0]
    assert book.states()[6:] == [State.ACCEPTED] * 4


def test_nobody_there_and_who_does_not_know_us_are_told_apart(book: Book, clock: Clock) -> None:
    book.add(study_files(1))
    nobody = sent(edge(free_port()), book, clock)
    assert nobody.pause(pause_name("region")).blame == "network"
    ae = AE("PEER")
    ae.add_supported_context(CT)
    ae.require_calling_aet = ["OTHER"]
    port = free_port()
    with serving(ae, port):
        strange = sent(edge(port), book, clock)
    assert strange.pause(pause_name("region")).blame == "platform"
    assert "calling AE title not recognised" in strange.pause(pause_name("region")).problem
    assert set(book.states()) == {State.READY}


def test_a_compressed_syntax_that_is_not_taken_is_refused_with_the_reason(book: Book, clock: Clock) -> None:
    squeezed = kept(encapsulated(data_set(1, 1, 2), [b"\xff\x4f\xff\x51" * 20]), JPEG_2000)
    other_class = kept(data_set(1, 2, 3, sop_class=MR))
    book.add([*study_files(1), squeezed, other_class])
    with scp(classes=(CT,)) as peer:
        sent(edge(peer.port), book, clock)
    assert book.states() == [State.ACCEPTED, State.REFUSED, State.REFUSED]
    assert "does not take CT Image Storage in JPEG 2000" in book.reasons[2][0]
    assert "it takes Explicit VR Little Endian" in book.reasons[2][0]
    assert book.reasons[3][0] == "the destination does not take MR Image Storage"


def test_who_takes_implicit_vr_only_gets_native_instances_in_it(book: Book, clock: Clock) -> None:
    squeezed = kept(encapsulated(data_set(1, 1, 40), [b"\xff\x4f\xff\x51" * 20]), JPEG_2000)
    book.add([*study_files(3, pixels=300_000), squeezed])
    with scp(syntaxes=(IMPLICIT_LE,)) as peer:
        outlet = edge(peer.port)
        pauses = sent(outlet, book, clock)
        assert not pauses.by_name
        assert len(peer.received) == 3
    assert sorted(book.states()) == [State.ACCEPTED] * 3 + [State.REFUSED]
    assert outlet.told()["in_implicit_vr"] == 3
    assert sum("sent in Implicit VR" in " ".join(one) for one in book.reasons.values()) == 3


@pytest.mark.slow
def test_storescp_of_implicit_vr_gets_the_same_values(book: Book, clock: Clock, tmp_path: Path) -> None:
    files = study_files(4, pixels=2_500_000)
    book.add(files)
    folder = tmp_path / "scp"
    with storescp(folder, "+B", "+xi") as port:
        sent(edge(port, "STORESCP"), book, clock)
    assert set(book.states()) == {State.ACCEPTED}
    wanted = {str(one.SOPInstanceUID): one for one in (dcmread(BytesIO(body)) for body in files)}
    for path in folder.iterdir():
        got = dcmread(path)
        assert got.file_meta.TransferSyntaxUID == IMPLICIT_LE
        assert got.PixelData == wanted[str(got.SOPInstanceUID)].PixelData
        assert got.PatientName == wanted.pop(str(got.SOPInstanceUID)).PatientName
    assert not wanted


def test_an_association_that_ended_while_it_rested_is_opened_anew(book: Book, clock: Clock) -> None:
    book.add(study_files(2))
    with scp() as peer:
        outlet = edge(peer.port)
        one = sender(outlet, book, clock)
        one.send_once()
        for association in peer.server.active_associations:
            association.abort()
        book.add(study_files(2, study=2))
        one.send_once()
        assert set(book.states()) == {State.ACCEPTED}
        assert peer.associations == 2
        outlet.close()


def test_associations_are_kept_for_what_comes_next_and_released_when_they_rest(book: Book, clock: Clock) -> None:
    with scp() as peer:
        outlet = edge(peer.port)
        one = sender(outlet, book, clock)
        for study in range(1, 4):
            book.add(study_files(2, study=study))
            one.send_once()
        assert peer.associations == 1
        until = time.monotonic() + 10
        while len(outlet.links) and time.monotonic() < until:
            time.sleep(0.1)
        assert not len(outlet.links)
        outlet.close()


def test_large_files_go_in_pieces_and_arrive_as_they_are(book: Book, clock: Clock, tmp_path: Path) -> None:
    files = [kept(data_set(1, 1, number, pixels=size)) for number, size in enumerate((16_000, 1 << 20, 3_500_000), 1)]
    book.add(files)
    received: dict[str, str] = {}

    def stored(event: Any) -> int:
        received[event.request.AffectedSOPInstanceUID] = sha256(event.request.DataSet.getvalue()).hexdigest()
        return 0

    ae = AE("PEER")
    ae.maximum_pdu_size = 16_382
    ae.add_supported_context(CT, [EXPLICIT_LE])
    port = free_port()
    with serving(ae, port, [(evt.EVT_C_STORE, stored)]):
        sent(edge(port), book, clock)
    for body in files:
        told = read_meta(body)
        assert received[told.sop_instance_uid] == sha256(body[told.data_set_at :]).hexdigest()


def test_bandwidth_bounds_what_goes(book: Book, clock: Clock) -> None:
    book.add(study_files(4, pixels=100_000))
    with scp() as peer:
        began = time.monotonic()
        sent(edge(peer.port, bandwidth=Size(400_000)), book, clock)
        seconds = time.monotonic() - began
    assert set(book.states()) == {State.ACCEPTED}
    assert seconds > 0.6  # 400 kB, the last piece of which may still be on its way


def test_a_peer_that_falls_silent_ends_by_the_time_out(book: Book, clock: Clock) -> None:
    book.add(study_files(1))
    listener = socket.create_server(("127.0.0.1", 0))
    outlet = edge(listener.getsockname()[1], timeout=timedelta(seconds=1))
    pauses = Pauses()
    began = time.monotonic()
    sender(outlet, book, clock, pauses).send_once()
    assert time.monotonic() - began < 10
    assert book.states() == [State.READY]
    assert "silent" in pauses.pause(pause_name("region")).problem
    listener.close()


def test_stopping_cuts_what_is_under_way_and_it_goes_at_the_next_start(book: Book) -> None:
    clock = Clock()
    book.add(study_files(3))
    gate = threading.Event()

    def slow(uid: str) -> int:
        gate.wait(20)
        return 0

    with scp(slow) as peer:
        outlet = edge(peer.port, connections=Count(1))
        one = sender(outlet, book, clock)
        one.start()
        time.sleep(0.5)
        began = time.monotonic()
        one.stop(0.5)
        assert time.monotonic() - began < 5
        gate.set()
    assert State.SENDING not in book.states()
    assert set(book.states()) <= {State.READY, State.UNCERTAIN}


def test_over_tls_the_peer_is_held_against_our_authority(book: Book, clock: Clock, tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    pem = authority.certificate("peer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem.certificate, pem.key)
    book.add([*study_files(3, pixels=200_000)])
    ae = AE("PEER")
    ae.add_supported_context(CT, [EXPLICIT_LE])
    received = []

    def stored(event: Any) -> int:
        received.append(sha256(event.request.DataSet.getvalue()).hexdigest())
        return 0

    port = free_port()
    server = ae.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)], ssl_context=context
    )
    url = f"dicoms://PEER@127.0.0.1:{port}"
    try:
        refused = sent(edge(port, url=url, ca=str(stranger.pem)), book, clock)
        assert "TLS" in refused.pause(pause_name("region")).problem
        assert refused.pause(pause_name("region")).blame == "platform"
        sent(edge(port, url=url, ca=str(authority.pem)), book, clock)
    finally:
        server.shutdown()
    assert set(book.states()) == {State.ACCEPTED}
    assert sorted(received) == sorted(
        sha256(one[read_meta(one).data_set_at :]).hexdigest() for one in study_files(3, pixels=200_000)
    )


def test_reports_of_a_renamed_instance_speak_of_its_name_there(book: Book, clock: Clock) -> None:
    book.add(study_files(1))
    other = headed(book.all[1], sop_instance_uid="2.25.99")
    outlet = edge(free_port(), book=book, clock=clock, proof="commitment")
    outlet.known_as(lambda instance: other)
    proof = outlet._proof
    assert isinstance(proof, CommitmentProof)
    assert proof.heard(proof.transactions.new(1), [(CT, "2.25.99")], [])
    assert book.states() == [State.DELIVERED]


# --- proof ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
def test_commitment_reported_over_the_same_association(book: Book, clock: Clock, when: str) -> None:
    book.add(study_files(3))
    with scp() as peer:

        def acted(event: Any, asked: Dataset) -> int:
            def say() -> None:
                if when == "after the answer":
                    time.sleep(0.3)
                event.assoc.send_n_event_report(report(asked), 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")

            thread = threading.Thread(target=say, daemon=True)
            thread.start()
            if when == "before the answer":
                thread.join(0.3)
            return 0

        peer.on_action = acted
        outlet = edge(peer.port, book=book, clock=clock, proof="commitment")
        outlet.probe()
        one = sender(outlet, book, clock)
        one.send_once()
        assert one.prove_once() == 3
        outlet.close()
    assert set(book.states()) == {State.DELIVERED}
    assert book.proof[1] == f"commitment {peer.actions[0][0]}"


def test_a_report_over_another_association_after_a_restart_settles_as_well(book: Book, clock: Clock) -> None:
    book.add(study_files(3))
    with scp() as peer:
        outlet = edge(peer.port, book=book, clock=clock, proof="commitment")
        outlet._proof._waits = 0.1  # type: ignore[attr-defined]
        one = sender(outlet, book, clock)
        one.send_once()
        assert one.prove_once() == 0
        outlet.close()
    (transaction, uids) = peer.actions[0]
    again = edge(peer.port, book=book, clock=clock, proof="commitment")._proof  # as made by the next start
    assert isinstance(again, CommitmentProof)
    committed = [(CT, uid) for uid in uids[:2]]
    assert again.heard(transaction, committed, [(CT, uids[2], 0x0112)])
    assert book.states() == [State.DELIVERED, State.DELIVERED, State.READY]
    assert not again.heard("2.25.12345", committed, [])
    assert not again.heard("1.2.3", committed, [])
    assert "0x0112 (no such instance)" in book.reasons[3][0]


def test_a_peer_without_commitment_is_told_with_the_mend(book: Book, clock: Clock) -> None:
    ae = AE("PEER")
    ae.add_supported_context(CT)
    ae.add_supported_context(Verification)
    port = free_port()
    with serving(ae, port), pytest.raises(NotAllowed, match='proof = "find"'):
        edge(port, book=book, clock=clock, proof="commitment").probe()


def test_transactions_name_their_study_and_cannot_be_guessed() -> None:
    ours = Transactions("region", b"k" * 32)
    made = {ours.new(study) for study in (1, 77, (1 << 40) - 1)}
    assert {ours.study(uid) for uid in made} == {1, 77, (1 << 40) - 1}
    assert all(len(uid) <= 64 for uid in made)
    assert Transactions("other", b"k" * 32).study(next(iter(made))) is None
    assert Transactions("region", b"K" * 32).study(next(iter(made))) is None
    for odd in ("", "2.25.", "2.25.x", "2.25." + "9" * 39, "2.25.1", "1.2.840.10008.1.20.1"):
        assert ours.study(odd) is None
    one = next(iter(made))
    assert ours.study(f"2.25.{int(one[5:]) ^ 1}") is None


# --- dcmtk and Orthanc ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_storescp_gets_the_bytes_of_every_native_and_compressed_syntax(
    book: Book, clock: Clock, tmp_path: Path
) -> None:
    squeezed = kept(encapsulated(data_set(1, 1, 40), [b"\xff\x4f\xff\x51" * 20]), JPEG_2000)
    big = kept(data_set(1, 1, 41), EXPLICIT_BE)
    implicit = kept(data_set(1, 1, 42), IMPLICIT_LE)
    files = [*study_files(20, pixels=50_000), squeezed, big, implicit]
    book.add(files)
    folder = tmp_path / "scp"
    with storescp(folder, "+B") as port:
        pauses = sent(edge(port, "STORESCP"), book, clock)
    assert not pauses.by_name
    assert set(book.states()) == {State.ACCEPTED}
    got = {}
    for path in folder.iterdir():
        body = path.read_bytes()
        told = read_meta(body)
        got[told.sop_instance_uid] = sha256(body[told.data_set_at :]).hexdigest()
    assert got == {
        read_meta(body).sop_instance_uid: sha256(body[read_meta(body).data_set_at :]).hexdigest() for body in files
    }


@pytest.mark.slow
def test_dcmqrscp_is_recounted_by_find(book: Book, clock: Clock, tmp_path: Path) -> None:
    book.add(study_files(12, series=2))
    with dcmqrscp(tmp_path / "qr") as port:
        outlet = edge(port, "DCMQRSCP", proof="find")
        outlet.probe()
        one = sender(outlet, book, clock)
        while one.send_once():
            pass
        assert one.prove_once() == 12
        outlet.close()
    assert set(book.states()) == {State.DELIVERED}
    assert set(book.proof.values()) == {"find"}


@pytest.mark.slow
@needs_orthanc
def test_orthanc_takes_four_associations_at_once_and_is_recounted(book: Book) -> None:
    clock = Clock()
    for study in range(1, 4):
        book.add(study_files(40, study=study, series=2))
    with orthanc() as server:
        outlet = edge(server.dicom_port, server.title, proof="find", connections=Count(4))
        one = sender(outlet, book, clock)
        one.start()
        until = time.monotonic() + 60
        while set(book.states()) != {State.DELIVERED} and time.monotonic() < until:
            time.sleep(0.1)
        assert one.is_well()
        one.stop(5.0)
        assert set(book.states()) == {State.DELIVERED}
        assert server.count() == 120


@pytest.mark.slow
@needs_orthanc
def test_orthanc_commits_over_an_association_of_its_own(book: Book, clock: Clock) -> None:
    """The inlet that takes its report is ours, too."""
    book.add(study_files(5))
    reports = CommitmentReports()
    table = DicomInlet(type="dicom", port=free_port(), host="127.0.0.1")
    inlet = DicomListener("pacs", table, Nowhere(), reports, clock)
    with orthanc() as pacs:
        pacs.knows("FRONTEND", table.port)
        outlet = edge(pacs.dicom_port, pacs.title, book=book, clock=clock, proof="commitment")
        assert isinstance(outlet._proof, CommitmentProof)
        outlet._proof._waits = 0.5
        reports.listen(outlet._proof.heard)
        inlet.start()
        try:
            outlet.probe()
            one = sender(outlet, book, clock)
            one.send_once()
            one.prove_once()
            until = time.monotonic() + 20
            while set(book.states()) != {State.DELIVERED} and time.monotonic() < until:
                time.sleep(0.1)
            outlet.close()
        finally:
            inlet.stop(2.0)
    assert set(book.states()) == {State.DELIVERED}
    assert len(set(book.proof.values())) == 1


class Nowhere:
    """A desk that is asked for nothing."""

    def begin(self, *args: Any, **more: Any) -> Any:
        raise AssertionError("nothing is sent to us")

    begin_file = begin


def test_probing_says_what_would_go_wrong() -> None:
    with pytest.raises(DestinationUnreachable, match="no connection"):
        edge(free_port()).probe()
    with scp() as peer:
        edge(peer.port).probe()
        line = associate(Peer("PEER", "127.0.0.1", peer.port), "FRONTEND", proposed([(CT, (EXPLICIT_LE,))]), timeout=5)
        assert not line.is_readable()
        line.release()

"""What an inlet of images takes and how it answers: over real sockets, the desk over files."""

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.dicom.requesting import Peer, Rejected, associate
from frontend_agent.config_images import DicomInlet
from frontend_agent.dicom.commands import Operation, Status, c_echo, c_store, n_action, n_event_report
from frontend_agent.dicom.commitment import Commitment, read_commitment, written_commitment
from frontend_agent.dicom.negotiation import (
    RELEASE_RP,
    RELEASE_RQ,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    STORAGE_SERVICE,
    VERIFICATION,
    Rejection,
    Role,
    proposed,
    read_answer,
    read_rejection,
)
from frontend_agent.dicom.part10 import meta
from frontend_agent.dicom.pdus import Pdu, PduType
from frontend_agent.dicom.serving import Answer, Caller, Committed, Limits, Reception, is_served
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.dicom_kit import (
    CT,
    JPEG_2000,
    JPEG_BASELINE,
    PRIVATE_CLASS,
    FilesDesk,
    data_set,
    data_set_bytes,
    encapsulated,
    uid,
)
from tests.dicom_listening import TITLE, Line, files_below, listening, storing, until
from tests.mllp_kit import Authority

INSTANCE = uid(1, 1, 1)
DATA = data_set_bytes(data_set())


def peer(port: int, title: str = TITLE, context: ssl.SSLContext | None = None) -> Peer:
    return Peer(title, "127.0.0.1", port, context)


@pytest.mark.parametrize(
    ("sop_class", "syntax"),
    [
        (CT, IMPLICIT_LE),
        (CT, EXPLICIT_LE),
        (CT, EXPLICIT_BE),
        (CT, DEFLATED_LE),
        (CT, JPEG_BASELINE),
        (CT, JPEG_2000),
        (PRIVATE_CLASS, EXPLICIT_BE),
        (PRIVATE_CLASS, "1.2.840.113619.5.2"),  # a private transfer syntax
    ],
)
def test_every_class_and_transfer_syntax_is_kept_byte_for_byte(tmp_path: Path, sop_class: str, syntax: str) -> None:
    found = data_set(sop_class=sop_class)
    if syntax.startswith("1.2.840.10008.1.2.4"):
        encapsulated(found, [b"\xff\xd8 no real image \xff\xd9"])
    data = data_set_bytes(found, syntax if syntax != "1.2.840.113619.5.2" else EXPLICIT_LE)
    with listening(tmp_path) as (inlet, desk):
        contexts = proposed([(sop_class, (syntax,))])
        with associate(peer(inlet.address[1]), "TEST", contexts, timeout=10) as association:
            context, _ = association.context_of(sop_class) or (0, "")
            association.send(context, c_store(5, sop_class, INSTANCE), data)
            _, answer = association.receive()
        assert (answer.status, answer.message_id_being_responded_to) == (0, 5)
        ((header, path),) = desk.kept.values()
        assert path.read_bytes() == meta(sop_class, INSTANCE, syntax) + data
        assert not any(path.read_bytes()[:128])  # no preamble of anyone's (threat D7)
        assert header.transfer_syntax_uid == syntax
        assert desk.senders == ["TEST@127.0.0.1"]
        assert inlet.told()["answers"] == {"0000": 1}


def test_what_is_served() -> None:
    from pynetdicom import sop_class as classes

    for name in (
        "_STORAGE_CLASSES",
        "_NON_PATIENT_OBJECT_CLASSES",
        "_PROTOCOL_APPROVAL_CLASSES",
        "_VERIFICATION_CLASSES",
    ):
        assert all(map(is_served, getattr(classes, name).values())), name
    for name in ("_QR_CLASSES", "_BASIC_WORKLIST_CLASSES", "_PRINT_MANAGEMENT_CLASSES", "_PROCEDURE_STEP_CLASSES"):
        refused = set(getattr(classes, name).values()) - {"1.2.840.10008.5.1.4.1.1.201.6"}  # of inventories
        assert not any(map(is_served, refused)), name


def test_it_is_told_who_is_let_in_and_why_not(tmp_path: Path) -> None:
    with listening(tmp_path, calling=("PACS", "CT1@10.0.0.0/8", "MR1@127.0.0.0/8")) as (inlet, _):
        port = inlet.address[1]
        for calling, called, welcome in (
            ("PACS", TITLE, True),
            ("MR1", TITLE, True),
            ("CT1", TITLE, False),
            ("OTHER", TITLE, False),
            ("PACS", "OTHER", False),
        ):
            if welcome:
                associate(peer(port, called), calling, proposed([(CT, (EXPLICIT_LE,))]), timeout=10).release()
                continue
            with pytest.raises(Rejected) as raised:
                associate(peer(port, called), calling, proposed([(CT, (EXPLICIT_LE,))]), timeout=10)
            assert raised.value.rejection in (Rejection(1, 1, 3), Rejection(1, 1, 7))
        assert inlet.told()["turned_away"] == {
            "calling AE title not recognised": 2,
            "called AE title not recognised": 1,
        }
    with listening(tmp_path, called="any") as (inlet, _):
        associate(peer(inlet.address[1], "WHOEVER"), "X", proposed([(CT, (EXPLICIT_LE,))]), timeout=10).release()


def test_who_is_not_allowed_is_turned_away_before_a_byte(tmp_path: Path) -> None:
    with listening(tmp_path, allow=("127.0.0.2",)) as (inlet, _):
        with Line(inlet.address[1]) as line:
            assert line.next() is None
        with Line(inlet.address[1], "127.0.0.2") as line:
            assert line.associate().type is PduType.A_ASSOCIATE_AC
        assert inlet.told()["turned_away"] == {"not allowed": 1}


def test_echo(tmp_path: Path) -> None:
    with (
        listening(tmp_path) as (inlet, _),
        associate(
            peer(inlet.address[1]), "TEST", proposed([(VERIFICATION, (IMPLICIT_LE,))]), timeout=10
        ) as association,
    ):
        association.send(1, c_echo(3))
        _, answer = association.receive()
        assert (answer.operation, answer.is_response, answer.status) == (Operation.C_ECHO, True, 0)


def test_when_nothing_more_can_be_kept_the_sender_is_asked_to_come_again(tmp_path: Path) -> None:
    with listening(tmp_path, room=0) as (inlet, desk), Line(inlet.address[1]) as line:
        line.associate()
        answer = line.store(DATA, INSTANCE)
        assert answer.status == Status.OUT_OF_RESOURCES == 0xA700
        assert "come again" in answer.error_comment
        assert files_below(tmp_path) == []
        desk.room = 1 << 30  # there is room again: the same association goes on
        assert line.store(DATA, INSTANCE).status == 0
        assert len(desk.kept) == 1


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_cannot_be_kept_is_refused_and_the_next_is_taken(tmp_path: Path) -> None:
    with listening(tmp_path, largest=100_000) as (inlet, desk), Line(inlet.address[1]) as line:
        line.associate([(CT, (EXPLICIT_LE,)), (VERIFICATION, (EXPLICIT_LE,))])
        too_large = line.store(data_set_bytes(data_set(pixels=200_000)), INSTANCE)
        assert (too_large.status, too_large.error_comment) == (0xC000, "it is larger than its inlet takes")
        assert line.store(b"\x00" * 500, INSTANCE).status == 0xC000
        assert line.store(DATA[:-10], INSTANCE).status == 0xC000  # cut off
        assert line.store(data_set_bytes(data_set(StudyInstanceUID="x")), INSTANCE).status == 0xC000
        assert line.store(DATA, "../../etc/passwd").status == Status.INVALID_ARGUMENT_VALUE
        assert line.store(DATA, INSTANCE, context=3).status == Status.SOP_CLASS_NOT_SUPPORTED
        assert line.store(DATA, INSTANCE).status == 0
        assert files_below(tmp_path) == [path for _, path in desk.kept.values()]


def test_the_same_again_is_acknowledged_and_other_bytes_are_not(tmp_path: Path) -> None:
    with listening(tmp_path) as (inlet, desk), Line(inlet.address[1]) as line:
        line.associate()
        assert [line.store(DATA, INSTANCE).status for _ in range(2)] == [0, 0]
        other = line.store(data_set_bytes(data_set(PatientID="OTHER")), INSTANCE)
        assert other.status == Status.DUPLICATE_SOP_INSTANCE
        assert "other content" in other.error_comment
        assert len(desk.kept) == 2


def test_a_fault_of_ours_is_answered_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(tmp_path) as (inlet, desk), Line(inlet.address[1]) as line:
        line.associate()
        with monkeypatch.context() as broken:
            broken.setattr(desk, "keep", lambda *_: 1 / 0)
            assert line.store(DATA, INSTANCE).status == 0xA700
        assert line.store(DATA, INSTANCE).status == 0


def test_a_commit_that_does_not_come_back_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import Future

    from frontend_agent.dicom import serving
    from tests import dicom_kit

    monkeypatch.setattr(serving, "KEPT_WITHIN", 0.2)
    with listening(tmp_path) as (inlet, _), Line(inlet.address[1]) as line:
        line.associate()
        with monkeypatch.context() as stuck:
            stuck.setattr(dicom_kit._FilesWriter, "keep", lambda writer: writer.abort() or Future())
            assert line.store(DATA, INSTANCE).status == 0xA700
        assert line.store(DATA, INSTANCE).status == 0


def test_what_steers_a_terminal_is_not_told(tmp_path: Path) -> None:
    with listening(tmp_path, calling=("PACS",)) as (inlet, _), Line(inlet.address[1]) as line:
        assert read_rejection(line.associate(calling="\x1b[2J\r\nX")) == Rejection(1, 1, 3)
        assert inlet.told()["problem"].startswith("?[2J??X@127.0.0.1: ")


def test_hands_that_are_never_shaken_keep_nobody_out(tmp_path: Path) -> None:
    """TLS: what is before an association holds no thread either."""
    authority = Authority(tmp_path)
    server, known = authority.certificate("server"), authority.certificate("pacs")
    options = {"certificate": str(server.certificate), "key": str(server.key), "client_ca": str(authority.pem)}
    before = threading.active_count()
    with listening(tmp_path / "state", slowest=timedelta(seconds=2), **options) as (inlet, desk):
        lines = [Line(inlet.address[1]) for _ in range(150)]
        for line in lines[::2]:
            line.send(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a greeting
        assert threading.active_count() <= before + 1
        tls = peer(inlet.address[1], context=authority.client(known))
        with associate(tls, "TEST", proposed([(CT, (EXPLICIT_LE,))]), timeout=5) as association:
            association.send(1, c_store(1, CT, INSTANCE), data_set_bytes(data_set(pixels=900_000)))
            assert association.receive()[1].status == 0
        assert len(desk.kept) == 1
        assert until(lambda: inlet.told()["waiting"] == 0)  # sent away in time
        for line in lines:
            line.socket.close()
    assert inlet.told()["connections"] == 0  # also told where it does not run


def test_instances_side_by_side_by_the_window(tmp_path: Path) -> None:
    """PS3.7 D.3.3.3: as many C-STOREs as were agreed on without waiting; each response names its request."""
    with listening(tmp_path) as (inlet, desk), Line(inlet.address[1]) as line:
        answer = read_answer(line.associate(window=(0, 1)))
        assert answer.information.window == (16, 1)
        desk.delay = 0.01
        wanted = {}
        content = b""
        for number in range(1, 41):
            data = data_set_bytes(data_set(number=number))
            content += storing(data, uid(1, 1, number), message_id=number)
            wanted[number] = uid(1, 1, number)
        line.send(content)
        found = {}
        for _ in wanted:
            response = line.response()
            assert response.status == 0
            found[response.message_id_being_responded_to] = response.affected_sop_instance_uid
        assert found == wanted
        assert len(desk.kept) == 40


def test_without_a_window_none_is_answered_with(tmp_path: Path) -> None:
    with listening(tmp_path) as (inlet, _), Line(inlet.address[1]) as line:
        assert read_answer(line.associate()).information.window is None


def test_several_pieces_of_one_value_and_several_values_in_one_pdu(tmp_path: Path) -> None:
    with listening(tmp_path) as (inlet, desk), Line(inlet.address[1]) as line:
        line.associate()
        line.send(storing(DATA, INSTANCE, max_length=20))
        assert line.response().status == 0
        assert len(desk.kept) == 1


@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_LE])
def test_a_commitment_that_is_reported_to_us(tmp_path: Path, syntax: str) -> None:
    heard = []

    def listen(transaction: str, safe: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]]) -> bool:
        heard.append((transaction, list(safe), list(failed)))
        if transaction == "1.2.500":
            raise RuntimeError("the spool is busy")
        return transaction == "1.2.9"

    with listening(tmp_path) as (inlet, _):
        inlet._receiving._reports.listen(listen)  # type: ignore[attr-defined]
        contexts, roles = proposed([(STORAGE_COMMITMENT, (syntax,))]), [Role(STORAGE_COMMITMENT, False, True)]
        with associate(peer(inlet.address[1]), "PACS", contexts, roles, timeout=10) as association:
            assert association.roles == {STORAGE_COMMITMENT: Role(STORAGE_COMMITMENT, False, True)}
            said = []
            for transaction, event in (("1.2.9", 1), ("1.2.404", 2), ("1.2.500", 2)):
                about = Commitment(transaction, [(CT, INSTANCE)], [(CT, "1.2.3", 0x0112)])
                command = n_event_report(event, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, event)
                association.send(1, command, written_commitment(about, syntax))
                said.append(association.receive()[1].status)
            association.send(1, command, b"nonsense")
            said.append(association.receive()[1].status)
        assert said == [0, Status.INVALID_ARGUMENT_VALUE, Status.OUT_OF_RESOURCES, Status.INVALID_ARGUMENT_VALUE]
        assert heard[0] == ("1.2.9", [(CT, INSTANCE)], [(CT, "1.2.3", 0x0112)])


def test_a_commitment_that_nobody_offers_is_refused(tmp_path: Path) -> None:
    with (
        listening(tmp_path) as (inlet, _),
        associate(
            peer(inlet.address[1]), "X", proposed([(STORAGE_COMMITMENT, (EXPLICIT_LE,))]), timeout=10
        ) as association,
    ):
        command = n_action(1, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1)
        association.send(1, command, written_commitment(Commitment("1.2.9", [(CT, INSTANCE)], []), EXPLICIT_LE))
        assert association.receive()[1].status == Status.UNRECOGNIZED_OPERATION


class Archive:
    """Services of who offers storage commitment, as the platform does."""

    offers_commitment = True

    def __init__(self, desk: FilesDesk) -> None:
        self.desk = desk

    def admit(self, caller: Caller) -> Rejection | None:
        return None

    def begin(self, caller: Caller, sop_class: str, sop_instance: str, transfer_syntax: str):  # type: ignore[no-untyped-def]
        return self.desk.begin("x", sop_class, sop_instance, transfer_syntax, sender=caller.sender)

    def verdict(self, outcome: object) -> Answer:
        return Answer(0x0110 if isinstance(outcome, Exception) else 0)

    def commit(self, caller: Caller, transaction_uid: str, instances: Sequence[tuple[str, str]]) -> Committed:
        if transaction_uid == "1.2.500":
            raise OSError("the disk")
        known = {header.sop_instance_uid for header, _ in self.desk.kept.values()}
        return Committed(
            [one for one in instances if one[1] in known],
            [(*one, Status.NO_SUCH_OBJECT_INSTANCE) for one in instances if one[1] not in known],
        )

    def reported(self, *_: object) -> bool:
        return False


def test_a_commitment_that_is_asked_of_us_is_reported_on_the_same_association(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    port = listener.getsockname()[1]
    reception = Reception("archive", listener, lambda _: True, Archive(FilesDesk(tmp_path)))
    reception.start()
    contexts = proposed([(CT, (EXPLICIT_LE,)), (STORAGE_COMMITMENT, (EXPLICIT_BE, IMPLICIT_LE))])
    try:
        with associate(peer(port), "X", contexts, [Role(STORAGE_COMMITMENT, True, False)], timeout=10) as association:
            assert association.roles == {STORAGE_COMMITMENT: Role(STORAGE_COMMITMENT, True, False)}
            association.send(1, c_store(1, CT, INSTANCE), DATA)
            assert association.receive()[1].status == 0
            for transaction, status in (("1.2.9", 0), ("1.2.500", 0x0110), ("no uid", 0x0115)):
                about = Commitment(transaction, [(CT, INSTANCE), (CT, "1.2.3")], [])
                command = n_action(2, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1)
                association.send(3, command, written_commitment(about, IMPLICIT_LE))
                assert association.receive()[1].status == status
                if status:
                    continue
                _, report = association.receive()
                assert (report.operation, report.event_type_id) == (Operation.N_EVENT_REPORT, 2)
                said = read_commitment(association.data_set(3, 10_000), IMPLICIT_LE)
                assert said == Commitment("1.2.9", [(CT, INSTANCE)], [(CT, "1.2.3", 0x0112)])
                association.send(
                    3, type(report)(command_field=0x8100, message_id_being_responded_to=report.message_id, status=0)
                )
    finally:
        reception.stop(5)
    assert not reception.is_alive()


def test_a_private_class_that_says_it_is_storage(tmp_path: Path) -> None:
    with listening(tmp_path) as (inlet, _), Line(inlet.address[1]) as line:
        private = "1.2.840.10008.5.1.4.31"  # would be refused: a worklist
        answer = read_answer(line.associate([(private, (EXPLICIT_LE,))]))
        assert [one.result for one in answer.contexts] == [3]
    with listening(tmp_path) as (inlet, _), Line(inlet.address[1]) as line:
        answer = read_answer(
            line.associate(
                [("1.3.12.2.1107.5", (EXPLICIT_LE,))],
                common_extended={"1.3.12.2.1107.5": STORAGE_SERVICE},
                extended={"1.3.12.2.1107.5": b"\x02"},
            )
        )
        assert [one.result for one in answer.contexts] == [0]
        assert answer.information.extended["1.3.12.2.1107.5"][0] == 2  # full storage


def test_stopping_answers_what_is_under_way_and_it_begins_again(tmp_path: Path) -> None:
    with listening(tmp_path) as (inlet, desk), Line(inlet.address[1]) as idle, Line(inlet.address[1]) as busy:
        port = inlet.address[1]
        idle.associate()
        busy.associate()
        desk.delay = 0.5
        busy.send(storing(DATA, INSTANCE))
        assert until(lambda: desk.room < 1 << 62)  # it is being kept
        began = time.monotonic()
        inlet.stop(10)
        assert time.monotonic() - began < 5
        assert busy.response().status == 0
        assert busy.is_closed()
        found = idle.next()
        assert isinstance(found, Pdu)
        assert found.type is PduType.A_ABORT
        with pytest.raises(ConnectionError):
            Line(port)
        inlet.start()
        assert inlet.is_alive()
        with Line(inlet.address[1]) as line:
            line.associate()
            assert line.store(DATA, INSTANCE).status == 0


def test_stopping_does_not_wait_for_ever(tmp_path: Path) -> None:
    with listening(tmp_path) as (inlet, desk), Line(inlet.address[1]) as line:
        line.associate()
        line.send(storing(DATA, INSTANCE)[:-20])
        assert until(lambda: bool(files_below(tmp_path)))
        began = time.monotonic()
        inlet.stop(0.5)
        assert time.monotonic() - began < 4
        assert files_below(tmp_path) == []
        assert not desk.kept


def test_release_is_answered_and_what_is_there_too_often_is_not_welcome(tmp_path: Path) -> None:
    with listening(tmp_path, connections=1, per_address=3) as (inlet, _), Line(inlet.address[1]) as line:
        line.associate()
        with Line(inlet.address[1]) as second:
            rejected = second.associate()
            assert read_rejection(rejected) == Rejection(2, 3, 2)
        line.send(RELEASE_RQ)
        found = line.next()
        assert isinstance(found, Pdu)
        assert RELEASE_RP.startswith(bytes((found.type,)))
        assert line.is_closed()
        assert until(lambda: inlet.told()["connections"] == 0)
        with Line(inlet.address[1]) as third:
            assert third.associate().type is PduType.A_ASSOCIATE_AC
        assert inlet.told()["troubles"] == {}


def test_what_is_silent_between_two_messages_is_sent_away(tmp_path: Path) -> None:
    with listening(tmp_path, idle=timedelta(seconds=0.3)) as (inlet, _), Line(inlet.address[1]) as line:
        line.associate()
        began = time.monotonic()
        assert line.is_closed()
        assert 0.2 < time.monotonic() - began < 5
        assert inlet.told()["troubles"] == {}


def test_settings_that_cannot_be() -> None:
    from frontend_agent.config_images import CHECKS

    for options, said in (
        ({"calling": ("PACS@10.0.0.0/33",)}, "neither an address nor a network"),
        ({"calling": ("THIS IS FAR TOO LONG",)}, "no AE title"),
        ({"client_names": ("pacs",)}, "client_ca"),
    ):
        problems = list(CHECKS[DicomInlet](DicomInlet(type="dicom", port=0, **options)))  # type: ignore[arg-type]
        assert any(said in problem for problem in problems)


def test_no_thread_is_left(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with listening(tmp_path) as (inlet, _):
        for _ in range(3):
            with Line(inlet.address[1]) as line:
                line.associate()
    assert until(lambda: not {t for t in set(threading.enumerate()) - before if t.name.startswith("inlet-")})


def test_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    with listening(tmp_path, connections=7, per_address=3, largest=12345) as (inlet, _):
        assert inlet._limits == Limits(7, 3, 600.0, 30.0, 12345)

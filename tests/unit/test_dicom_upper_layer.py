"""The upper layer without I/O, held against pynetdicom's codec; cut at every byte, and given nonsense."""

import contextlib
import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import pdu as theirs
from pynetdicom.dsutils import decode
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import build_context

from frontend_agent.dicom.commands import (
    Command,
    CommandMalformed,
    Operation,
    answered,
    c_store,
    is_warning,
    n_action,
    read_command,
    written,
)
from frontend_agent.dicom.commitment import Commitment, read_commitment, written_commitment
from frontend_agent.dicom.elements import DataSetMalformed
from frontend_agent.dicom.negotiation import (
    RELEASE_RQ,
    STORAGE_COMMITMENT,
    STORAGE_SERVICE,
    VERIFICATION,
    Abort,
    AssociateAnswer,
    AssociateRequest,
    Information,
    Rejection,
    Result,
    Role,
    UserIdentity,
    accepted,
    answer,
    chosen,
    proposed,
    read_abort,
    read_answer,
    read_rejection,
    read_request,
    written_abort,
    written_answer,
    written_rejection,
    written_request,
)
from frontend_agent.dicom.pdus import LARGEST_CONTROL, Pdu, PduMalformed, PduReader, PduType, Piece, joined, p_data
from frontend_agent.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.dicom_kit import CT, JPEG_2000, JPEG_BASELINE, MR, PRIVATE_CLASS

REQUEST = AssociateRequest(
    called="FRONTEND",
    calling="PACS",
    contexts=proposed([(CT, (EXPLICIT_LE, IMPLICIT_LE)), (MR, (JPEG_2000,)), (PRIVATE_CLASS, (EXPLICIT_BE,))]),
    information=Information(
        max_length=16384,
        window=(0, 3),
        roles=(Role(CT, True, True),),
        extended={MR: b"\x02\x00\x01\x00\x01\x00"},
        common_extended={PRIVATE_CLASS: STORAGE_SERVICE},
        identity=UserIdentity(2, True, b"someone", b"a word"),
    ),
)


def read(data: bytes, step: int = 1 << 20, max_length: int = 131_072) -> list[Pdu | tuple[int, bool, bool, bytes]]:
    """Everything in `data`, given in pieces of `step` bytes; neighbouring pieces of one value joined."""
    reader = PduReader(max_length)
    found: list[Pdu | tuple[int, bool, bool, bytes]] = []
    part = b""
    while data:
        room = reader.space()
        now, data = data[: min(step, len(room))], data[min(step, len(room)) :]
        room[: len(now)] = now
        for one in reader.received(len(now)):
            if isinstance(one, Piece):
                part += bytes(one.data)
                if one.is_last:
                    found.append((one.context, one.is_command, True, part))
                    part = b""
            else:
                found.append(one)
    if part:
        found.append((0, False, False, part))
    assert reader.is_between
    return found


def one_pdu(data: bytes) -> Pdu:
    (found,) = read(data)
    assert isinstance(found, Pdu)
    return found


def test_a_request_is_what_pynetdicom_reads() -> None:
    parsed = theirs.A_ASSOCIATE_RQ()
    parsed.decode(written_request(REQUEST))
    primitive = parsed.to_primitive()
    assert (primitive.called_ae_title, primitive.calling_ae_title) == ("FRONTEND", "PACS")
    assert [
        (c.context_id, str(c.abstract_syntax), list(map(str, c.transfer_syntax))) for c in parsed_contexts(primitive)
    ] == [
        (1, CT, [EXPLICIT_LE, IMPLICIT_LE]),
        (3, MR, [JPEG_2000]),
        (5, PRIVATE_CLASS, [EXPLICIT_BE]),
    ]
    told = {type(item).__name__: item for item in primitive.user_information}
    assert told["MaximumLengthNotification"].maximum_length_received == 16384
    assert told["AsynchronousOperationsWindowNegotiation"].maximum_number_operations_performed == 3
    assert told["SCP_SCU_RoleSelectionNegotiation"].scp_role is True
    assert told["SOPClassExtendedNegotiation"].service_class_application_information == b"\x02\x00\x01\x00\x01\x00"
    assert told["SOPClassCommonExtendedNegotiation"].service_class_uid == STORAGE_SERVICE
    assert told["UserIdentityNegotiation"].secondary_field == b"a word"
    assert parsed.encode() == written_request(REQUEST)


def parsed_contexts(primitive: A_ASSOCIATE) -> list:  # type: ignore[type-arg]
    return primitive.presentation_context_definition_list


def test_what_pynetdicom_asks_is_read() -> None:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "MODALITY 1", "FRONTEND"
    contexts = [build_context(CT, [IMPLICIT_LE, EXPLICIT_LE]), build_context(PRIVATE_CLASS, [JPEG_BASELINE])]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 28_672, "1.2.3"
    window, role = AsynchronousOperationsWindowNegotiation(), SCP_SCU_RoleSelectionNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 0
    role.sop_class_uid, role.scu_role, role.scp_role = CT, False, True
    extended, common = SOPClassExtendedNegotiation(), SOPClassCommonExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\x02"
    common.sop_class_uid, common.service_class_uid = PRIVATE_CLASS, STORAGE_SERVICE
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field, identity.positive_response_requested = 1, b"u", True
    primitive.user_information = [length, implementation, window, role, extended, common, identity]
    asked = theirs.A_ASSOCIATE_RQ()
    asked.from_primitive(primitive)

    found = read_request(one_pdu(asked.encode()))
    assert (found.calling, found.called, found.is_version_1) == ("MODALITY 1", "FRONTEND", True)
    assert [(one.id, one.abstract_syntax) for one in found.contexts] == [(1, CT), (3, PRIVATE_CLASS)]
    assert found.information == Information(
        max_length=28_672,
        implementation_class_uid="1.2.3",
        implementation_version_name="",
        window=(5, 0),
        roles=(Role(CT, False, True),),
        extended={CT: b"\x02"},
        common_extended={PRIVATE_CLASS: STORAGE_SERVICE},
        identity=UserIdentity(1, True, b"u", b""),
    )


def test_request_and_answer_are_read_back() -> None:
    assert read_request(one_pdu(written_request(REQUEST))) == REQUEST
    made = answer(REQUEST, lambda _: True, roles={}, window=8)
    assert read_answer(one_pdu(written_answer(made))) == made
    parsed = theirs.A_ASSOCIATE_AC()
    parsed.decode(written_answer(made))
    assert [c.result for c in parsed.presentation_context] == [0, 0, 0]
    assert parsed.encode() == written_answer(made)


def test_rejection_abort_and_release_are_those_of_the_standard() -> None:
    rejected = theirs.A_ASSOCIATE_RJ()
    rejected.decode(written_rejection(Rejection(2, 3, 2)))
    assert (rejected.result, rejected.source, rejected.reason_diagnostic) == (2, 3, 2)
    assert read_rejection(one_pdu(written_rejection(Rejection(2, 3, 2)))) == Rejection(2, 3, 2)
    aborted = theirs.A_ABORT_RQ()
    aborted.decode(written_abort(Abort(2, 6)))
    assert (aborted.source, aborted.reason_diagnostic) == (2, 6)
    assert read_abort(one_pdu(written_abort(Abort(2, 6)))) == Abort(2, 6)
    assert theirs.A_RELEASE_RQ().encode() == RELEASE_RQ


def test_what_is_accepted() -> None:
    asked = AssociateRequest(
        called="A",
        calling="B",
        contexts=proposed(
            [
                (VERIFICATION, (IMPLICIT_LE,)),
                (CT, (IMPLICIT_LE, EXPLICIT_LE)),
                (CT, (JPEG_2000, EXPLICIT_LE)),
                ("1.2.840.10008.5.1.4.31", (IMPLICIT_LE,)),
                (PRIVATE_CLASS, (EXPLICIT_BE,)),
                (MR, ("not a syntax",)),
            ]
        ),
        information=Information(
            roles=(Role(CT, True, True), Role(VERIFICATION, False, True)),
            window=(0, 0),
            extended={CT: b"\x02", "1.2.840.10008.5.1.4.31": b"\x01"},
            common_extended={PRIVATE_CLASS: STORAGE_SERVICE},
            identity=UserIdentity(1, True, b"u", b""),
        ),
    )
    given = answer(
        asked, lambda one: one in (VERIFICATION, CT, MR, STORAGE_SERVICE), roles={VERIFICATION: (True, True)}, window=8
    )
    assert [(one.result, one.transfer_syntax) for one in given.contexts] == [
        (Result.ACCEPTANCE, IMPLICIT_LE),
        (Result.ACCEPTANCE, EXPLICIT_LE),
        (Result.ACCEPTANCE, JPEG_2000),
        (Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_LE),
        (Result.ACCEPTANCE, EXPLICIT_BE),
        (Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_LE),
    ]
    assert given.information.roles == (Role(CT, True, False), Role(VERIFICATION, False, True))
    assert given.information.window == (8, 1)
    assert given.information.extended == {CT: b"\x02\0\0\0\0\0"}
    assert given.information.identity_response == b""
    assert accepted(asked, given) == {
        (VERIFICATION, IMPLICIT_LE): 1,
        (CT, EXPLICIT_LE): 3,
        (CT, JPEG_2000): 5,
        (PRIVATE_CLASS, EXPLICIT_BE): 9,
    }


@pytest.mark.parametrize(
    ("syntaxes", "taken"),
    [
        ((IMPLICIT_LE, EXPLICIT_LE), EXPLICIT_LE),
        ((IMPLICIT_LE, JPEG_2000), IMPLICIT_LE),  # its pixels are native
        ((JPEG_2000, JPEG_BASELINE, EXPLICIT_LE), JPEG_2000),
        ((DEFLATED_LE, EXPLICIT_BE), EXPLICIT_BE),
        (("1.2.3.4",), "1.2.3.4"),  # a private one
        (("../../x",), ""),
        ((), ""),
    ],
)
def test_the_transfer_syntax_that_is_taken(syntaxes: tuple[str, ...], taken: str) -> None:
    assert chosen(CT, syntaxes) == taken
    assert chosen(STORAGE_COMMITMENT, syntaxes) == (
        taken if taken in (EXPLICIT_LE, IMPLICIT_LE) else EXPLICIT_LE if EXPLICIT_LE in syntaxes else ""
    )


def test_an_answer_that_was_never_asked_for_is_no_agreement() -> None:
    asked = AssociateRequest(called="A", calling="B", contexts=proposed([(CT, (EXPLICIT_LE,))]))
    odd = answer(asked, lambda _: True, roles={})
    other = AssociateAnswer(called="A", calling="B", contexts=tuple(type(c)(c.id, 0, JPEG_2000) for c in odd.contexts))
    assert accepted(asked, other) == {}


# -- P-DATA ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_length", [0, 8, 9, 4096, 16_384])
@pytest.mark.parametrize("size", [0, 1, 2, 16_378, 40_000])
def test_p_data_comes_back_as_it_was_however_it_is_cut(max_length: int, size: int) -> None:
    content = bytes(i * 7 & 0xFF for i in range(size))
    sent = joined(p_data(5, content, max_length)) + RELEASE_RQ
    for step in (1, 7, 4096, 1 << 20):
        if len(sent) // step > 100_000:
            continue
        first, second = read(sent, step)
        assert first == (5, False, True, content)
        assert isinstance(second, Pdu)
        assert second.type is PduType.A_RELEASE_RQ


def test_no_p_data_is_longer_than_the_peer_takes() -> None:
    for head, part in p_data(1, bytes(100_000), 16_384, is_command=True):
        kind, length = struct.unpack_from(">BxI", head)
        assert kind == PduType.P_DATA_TF
        assert length == len(part) + 6 <= 16_384
        assert not len(part) % 2


def test_several_values_in_one_pdu() -> None:
    inner = b"".join(
        struct.pack(">IBB", 2 + len(v), 1, flags) + v for v, flags in ((b"ab", 1), (b"", 1), (b"cd", 3), (b"x", 2))
    )
    sent = struct.pack(">BxI", 4, len(inner)) + inner
    for step in (1, 3, 100):
        assert read(sent, step) == [(1, True, True, b"abcd"), (1, False, True, b"x")]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (struct.pack(">BxI", 4, 0xFFFF_FFFF), "131072 are taken"),
        (struct.pack(">BxI", 1, LARGEST_CONTROL + 1), "are taken"),
        (struct.pack(">BxI", 9, 4), "type 9"),
        (b"GET / HTTP/1.1\r\n", "type 71"),
        (struct.pack(">BxI", 4, 3), "no presentation data value"),
        (struct.pack(">BxIIBB", 4, 10, 1, 1, 1), "does not fit"),
        (struct.pack(">BxIIBB", 4, 10, 0xFFFF_FFFF, 1, 1), "does not fit"),
        (struct.pack(">BxIIBB", 4, 10, 4, 1, 1), "does not fit"),  # two bytes behind it
    ],
)
def test_what_is_no_pdu_is_refused_before_it_is_held(sent: bytes, said: str) -> None:
    with pytest.raises(PduMalformed, match=said):
        read(sent)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_bytes_are_pdus_or_refused(data: bytes, step: int) -> None:
    try:
        reader = PduReader()
        while data:
            now, data = data[:step], data[step:]
            reader.space()[: len(now)] = now
            for found in reader.received(len(now)):
                if isinstance(found, Pdu) and found.type is PduType.A_ASSOCIATE_RQ:
                    read_request(found)
    except PduMalformed:
        pass


@given(st.data())
def test_a_request_with_wrong_bytes_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(written_request(REQUEST)[6:])
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    for kind, reading in ((PduType.A_ASSOCIATE_RQ, read_request), (PduType.A_ASSOCIATE_AC, read_answer)):
        with contextlib.suppress(PduMalformed):
            reading(Pdu(kind, bytes(raw)))


# -- commands ----------------------------------------------------------------------------------------------------------


def test_commands_are_what_pynetdicom_reads() -> None:
    for made in (
        c_store(7, CT, "1.2.3.4", originator=("MOVER", 3)),
        n_action(2, "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", 1),
        answered(c_store(7, CT, "1.2.3"), 0xA700, "the quota is used up"),
    ):
        data = decode(BytesIO(written(made)), True, True)
        assert data.CommandField == made.command_field
        assert read_command(written(made)) == made
        assert data.CommandGroupLength == len(written(made)) - 12


def test_what_a_response_says() -> None:
    request = c_store(7, CT, "1.2.3")
    said = answered(request, 0xC000, "x" * 100)
    assert (said.operation, said.is_response, said.has_data_set) == (Operation.C_STORE, True, False)
    assert said.message_id_being_responded_to == 7
    assert len(said.error_comment) == 64
    assert (request.operation, request.is_response, request.has_data_set) == (Operation.C_STORE, False, True)
    assert Command(command_field=0x0FFF).is_response is False
    assert Command(command_field=0x4242).operation is None
    assert [is_warning(one) for one in (0xB000, 0xB007, 0x0107, 0x0000, 0xA700, 0xC000)] == [True] * 3 + [False] * 3


def test_commands_cut_at_every_byte_are_refused_or_less() -> None:
    whole = written(c_store(1, CT, "1.2.3"))
    for end in range(len(whole)):
        try:
            found = read_command(whole[:end])
        except CommandMalformed:
            continue
        assert found.command_field == Operation.C_STORE


# -- storage commitment ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_LE])
def test_commitment_is_read_back_and_is_what_pydicom_reads(syntax: str) -> None:
    about = Commitment("1.2.9", [(CT, "1.2.3"), (MR, "1.2.34")], [(CT, "1.2.5", 0x0112)])
    data = written_commitment(about, syntax)
    assert read_commitment(data, syntax) == about
    found = decode(BytesIO(data), syntax == IMPLICIT_LE, True)
    assert found.ReferencedSOPSequence[1].ReferencedSOPInstanceUID == "1.2.34"
    assert found.FailedSOPSequence[0].FailureReason == 0x0112


@pytest.mark.parametrize(("is_implicit", "is_little"), [(True, True), (False, True), (False, False)])
def test_commitment_with_lengths_left_open(is_implicit: bool, is_little: bool) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence
    from pynetdicom.dsutils import encode

    made = Dataset()
    made.TransactionUID = "1.2.9"
    items = []
    for number in range(3):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, f"1.2.{number}"
        item.is_undefined_length_sequence_item = True
        items.append(item)
    made.ReferencedSOPSequence = Sequence(items)
    made["ReferencedSOPSequence"].is_undefined_length = True
    data = encode(made, is_implicit, is_little)
    assert data is not None
    syntax = IMPLICIT_LE if is_implicit else EXPLICIT_LE if is_little else EXPLICIT_BE
    assert read_commitment(data, syntax).referenced == [(CT, f"1.2.{number}") for number in range(3)]


@given(st.data())
def test_commitment_with_wrong_bytes_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(written_commitment(Commitment("1.2.9", [(CT, "1.2.3")] * 3, [(CT, "1.2.5", 1)]), EXPLICIT_LE))
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataSetMalformed):
        read_commitment(bytes(raw[: data.draw(st.integers(0, len(raw)))]), EXPLICIT_LE)

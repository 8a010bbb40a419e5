"""DIMSE command sets (PS3.7 §6.3, annex E): implicit VR little endian, few elements, always short."""

import struct
from enum import IntEnum

import msgspec

from frontend_agent.dicom.elements import InMemory

LARGEST_COMMAND = 64 * 1024  # bytes; real ones stay below 1 KiB
NO_DATA_SET = 0x0101
_HAS_DATA_SET = 0x0001
_LONGEST_COMMENT = 64  # characters of ErrorComment (LO)


class Operation(IntEnum):
    """CommandField. A response is its request with bit 15 set."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


RESPONSE = 0x8000


class Status(IntEnum):
    """Those that we say ourselves (PS3.7 annex C, PS3.4 B.2.3, J.3)."""

    SUCCESS = 0x0000
    PENDING = 0xFF00
    OUT_OF_RESOURCES = 0xA700  # come again
    DATA_SET_DOES_NOT_MATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    INVALID_ARGUMENT_VALUE = 0x0115
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORIZED = 0x0124
    RESOURCE_LIMITATION = 0x0213
    UNRECOGNIZED_OPERATION = 0x0211


def is_warning(status: int) -> bool:
    """The instance is stored, with a remark (PS3.7 C.3, PS3.4 table B.2-1)."""
    return status in (0x0001, 0x0107, 0x0116) or status >> 12 == 0xB


class CommandMalformed(ValueError):
    """No command set. Says what is wrong, and quotes nothing."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command set, by the standard's keywords. None and "" where it does not say it."""

    command_field: int
    message_id: int | None = None
    message_id_being_responded_to: int | None = None
    affected_sop_class_uid: str = ""
    requested_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    requested_sop_instance_uid: str = ""
    priority: int | None = None  # 0 medium, 1 high, 2 low
    command_data_set_type: int = NO_DATA_SET
    status: int | None = None
    offending_element: bytes = b""
    error_comment: str = ""
    error_id: int | None = None
    move_destination: str = ""
    move_originator_application_entity_title: str = ""
    move_originator_message_id: int | None = None
    event_type_id: int | None = None
    action_type_id: int | None = None
    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None

    @property
    def has_data_set(self) -> bool:
        return self.command_data_set_type != NO_DATA_SET

    @property
    def is_response(self) -> bool:
        return bool(self.command_field & RESPONSE) and self.command_field != Operation.C_CANCEL

    @property
    def operation(self) -> Operation | None:
        """What it asks, or answers; None where there is no such operation."""
        try:
            return Operation(self.command_field & ~RESPONSE)
        except ValueError:
            return None


# Element number in group 0000 -> (keyword, VR); in the order in which they are written.
_ELEMENTS: dict[int, tuple[str, str]] = {
    0x0002: ("affected_sop_class_uid", "UI"),
    0x0003: ("requested_sop_class_uid", "UI"),
    0x0100: ("command_field", "US"),
    0x0110: ("message_id", "US"),
    0x0120: ("message_id_being_responded_to", "US"),
    0x0600: ("move_destination", "AE"),
    0x0700: ("priority", "US"),
    0x0800: ("command_data_set_type", "US"),
    0x0900: ("status", "US"),
    0x0901: ("offending_element", "AT"),
    0x0902: ("error_comment", "LO"),
    0x0903: ("error_id", "US"),
    0x1000: ("affected_sop_instance_uid", "UI"),
    0x1001: ("requested_sop_instance_uid", "UI"),
    0x1002: ("event_type_id", "US"),
    0x1008: ("action_type_id", "US"),
    0x1020: ("number_of_remaining_suboperations", "US"),
    0x1021: ("number_of_completed_suboperations", "US"),
    0x1022: ("number_of_failed_suboperations", "US"),
    0x1023: ("number_of_warning_suboperations", "US"),
    0x1030: ("move_originator_application_entity_title", "AE"),
    0x1031: ("move_originator_message_id", "US"),
}
_HEAD = struct.Struct("<HHI")


def read_command(data: InMemory) -> Command:
    """What a command set says. CommandMalformed: it is none."""
    values: dict[str, int | str | bytes] = {}
    at, size = 0, len(data)
    while at < size:
        if size - at < _HEAD.size:
            raise CommandMalformed(f"{size - at} bytes are left over")
        group, element, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if group or length > size - at:
            raise CommandMalformed(f"no element of a command set stands at byte {at - _HEAD.size}")
        known = _ELEMENTS.get(element)
        if known is not None:
            _take(values, *known, bytes(data[at : at + length]))
        at += length
    if "command_field" not in values:
        raise CommandMalformed("it does not say what it asks (CommandField)")
    return Command(**values)  # type: ignore[arg-type]


def _take(values: dict[str, int | str | bytes], name: str, vr: str, value: bytes) -> None:
    if vr == "US":
        if len(value) >= 2:
            values[name] = int.from_bytes(value[:2], "little")
        elif value:
            raise CommandMalformed(f"{name} is no number of two bytes")
    elif vr == "AT":
        values[name] = value
    else:
        values[name] = value.strip(b" \0").decode("ascii", "replace")


def written(command: Command) -> bytes:
    """The command set as it is sent."""
    body = b""
    for element, (name, vr) in _ELEMENTS.items():
        value = getattr(command, name)
        if value is None or value == "" or value == b"":
            continue
        if vr == "US":
            raw = struct.pack("<H", value)
        elif vr == "AT":
            raw = value
        else:
            raw = value.encode("ascii", "replace")
            raw += (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)
        body += _HEAD.pack(0, element, len(raw)) + raw
    return _HEAD.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def answered(request: Command, status: int, comment: str = "", *, has_data_set: bool = False) -> Command:
    """The response to a request. `comment`: why not, in ASCII; 64 characters of it are sent."""
    return Command(
        command_field=request.command_field | RESPONSE,
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.affected_sop_class_uid or request.requested_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid or request.requested_sop_instance_uid,
        event_type_id=request.event_type_id,
        action_type_id=request.action_type_id,
        command_data_set_type=_HAS_DATA_SET if has_data_set else NO_DATA_SET,
        status=status,
        error_comment=comment[:_LONGEST_COMMENT],
    )


def c_store(
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    *,
    priority: int = 0,
    originator: tuple[str, int] | None = None,
) -> Command:
    """C-STORE-RQ (PS3.7 §9.3.1). `originator`: AE title and message id of the C-MOVE that asked for it."""
    return Command(
        command_field=Operation.C_STORE,
        message_id=message_id,
        affected_sop_class_uid=sop_class_uid,
        affected_sop_instance_uid=sop_instance_uid,
        priority=priority,
        command_data_set_type=_HAS_DATA_SET,
        move_originator_application_entity_title=originator[0] if originator else "",
        move_originator_message_id=originator[1] if originator else None,
    )


def c_echo(message_id: int) -> Command:
    """C-ECHO-RQ (PS3.7 §9.3.5)."""
    return Command(command_field=Operation.C_ECHO, message_id=message_id, affected_sop_class_uid="1.2.840.10008.1.1")


def c_query(operation: Operation, message_id: int, sop_class_uid: str, *, move_destination: str = "") -> Command:
    """C-FIND-RQ, C-GET-RQ or C-MOVE-RQ (PS3.7 §9.3.2–9.3.4) with its identifier, of low priority: who asks is a guest."""
    return Command(
        command_field=operation,
        message_id=message_id,
        affected_sop_class_uid=sop_class_uid,
        priority=2,
        move_destination=move_destination,
        command_data_set_type=_HAS_DATA_SET,
    )


def c_cancel(message_id: int) -> Command:
    """C-CANCEL-RQ of a C-FIND, C-GET or C-MOVE that is under way (PS3.7 §9.3.2.3)."""
    return Command(command_field=Operation.C_CANCEL, message_id_being_responded_to=message_id)


def n_action(message_id: int, sop_class_uid: str, sop_instance_uid: str, action_type_id: int) -> Command:
    """N-ACTION-RQ with a data set (PS3.7 §10.3.4)."""
    return Command(
        command_field=Operation.N_ACTION,
        message_id=message_id,
        requested_sop_class_uid=sop_class_uid,
        requested_sop_instance_uid=sop_instance_uid,
        action_type_id=action_type_id,
        command_data_set_type=_HAS_DATA_SET,
    )


def n_event_report(message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type_id: int) -> Command:
    """N-EVENT-REPORT-RQ with a data set (PS3.7 §10.3.1)."""
    return Command(
        command_field=Operation.N_EVENT_REPORT,
        message_id=message_id,
        affected_sop_class_uid=sop_class_uid,
        affected_sop_instance_uid=sop_instance_uid,
        event_type_id=event_type_id,
        command_data_set_type=_HAS_DATA_SET,
    )

"""What two application entities agree on before they speak (PS3.8 §9.3.2–9.3.8, PS3.7 annex D): the association's PDUs as values,
and what we answer as acceptor. Values in, values out.

A codec of our own, and not pynetdicom's: it is held against that one in the tests, reads every byte at most once, gives one error for
whatever is wrong, and takes AE titles as real modalities write them.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum

import msgspec

from frontend_agent.dicom.pdus import OUR_MAX_LENGTH, Pdu, PduMalformed, PduType, pdu
from frontend_agent.dicom.uids import (
    DEFLATED_LE,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    IMPLICIT_LE,
    is_uid,
)

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"  # its well-known SOP instance (PS3.4 J.3.5)
STORAGE_SERVICE = "1.2.840.10008.4.2"
MOST_CONTEXTS = 128  # odd identifiers from 1 to 255


class Result(IntEnum):
    """Of a presentation context (PS3.8 table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class ProposedContext(msgspec.Struct, frozen=True):
    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class AnsweredContext(msgspec.Struct, frozen=True):
    id: int
    result: int
    transfer_syntax: str

    @property
    def is_accepted(self) -> bool:
        return self.result == Result.ACCEPTANCE


class Role(msgspec.Struct, frozen=True):
    """SCP/SCU role selection (PS3.7 D.3.3.4): which roles the requestor proposes for itself, or the acceptor lets it have."""

    sop_class_uid: str
    scu: bool
    scp: bool


class UserIdentity(msgspec.Struct, frozen=True):
    """PS3.7 D.3.3.7. Never logged."""

    type: int  # 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JWT
    response_requested: bool
    primary: bytes
    secondary: bytes


class Information(msgspec.Struct, frozen=True, kw_only=True):
    """User information of either side (PS3.7 annex D)."""

    max_length: int = OUR_MAX_LENGTH  # bytes of the variable field of a P-DATA-TF that it takes; 0: any
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME
    window: tuple[int, int] | None = (
        None  # operations invoked and performed without waiting for each other; 0: any number
    )
    roles: tuple[Role, ...] = ()
    extended: Mapping[str, bytes] = {}  # SOP class -> service class application information
    common_extended: Mapping[str, str] = {}  # SOP class -> service class; of a request only
    identity: UserIdentity | None = None  # of a request only
    identity_response: bytes | None = None  # of an answer only


class AssociateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A-ASSOCIATE-RQ."""

    called: str
    calling: str
    contexts: tuple[ProposedContext, ...]
    information: Information = Information()
    application_context: str = APPLICATION_CONTEXT
    is_version_1: bool = True


class AssociateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A-ASSOCIATE-AC."""

    called: str
    calling: str
    contexts: tuple[AnsweredContext, ...]
    information: Information = Information()


class Rejection(msgspec.Struct, frozen=True):
    """A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int  # 1 for good, 2 for now
    source: int  # 1 user, 2 provider (ACSE), 3 provider (presentation)
    reason: int
    why: str = ""  # in our words; it does not travel

    @property
    def is_for_now(self) -> bool:
        return self.result == 2

    def __str__(self) -> str:
        return self.why or _REJECTIONS.get((self.source, self.reason), f"source {self.source}, reason {self.reason}")


NOT_WELCOME = Rejection(1, 1, 1)  # no reason given: whoever is not let in learns nothing
UNKNOWN_CALLING = Rejection(1, 1, 3)
UNKNOWN_CALLED = Rejection(1, 1, 7)
NO_APPLICATION_CONTEXT = Rejection(1, 1, 2)
NO_SUCH_VERSION = Rejection(1, 2, 2)
CONGESTED = Rejection(2, 3, 1)
TOO_MANY = Rejection(2, 3, 2)
_REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


class Abort(msgspec.Struct, frozen=True):
    """A-ABORT (PS3.8 table 9-26)."""

    source: int = 0  # 0 user, 2 provider
    reason: int = 0  # of a provider: 1 unrecognised PDU, 2 unexpected PDU, 4, 5, 6 a parameter

    def __str__(self) -> str:
        return "by the user" if self.source == 0 else f"by the provider, reason {self.reason}"


UNRECOGNISED = Abort(2, 1)
UNEXPECTED = Abort(2, 2)
INVALID = Abort(2, 6)


# -- writing -----------------------------------------------------------------------------------------------------------

_ITEM = struct.Struct(">BxH")
_FIXED = struct.Struct(">H2x16s16s32x")


def written_request(request: AssociateRequest) -> bytes:
    items = [_item(0x10, request.application_context.encode())]
    for context in request.contexts:
        body = bytes((context.id, 0, 0, 0)) + _item(0x30, context.abstract_syntax.encode())
        items.append(_item(0x20, body + b"".join(_item(0x40, one.encode()) for one in context.transfer_syntaxes)))
    items.append(_item(0x50, _information(request.information)))
    return pdu(PduType.A_ASSOCIATE_RQ, _fixed(request.called, request.calling) + b"".join(items))


def written_answer(answer: AssociateAnswer) -> bytes:
    items = [_item(0x10, APPLICATION_CONTEXT.encode())]
    for context in answer.contexts:
        body = bytes((context.id, 0, context.result, 0)) + _item(0x40, context.transfer_syntax.encode())
        items.append(_item(0x21, body))
    items.append(_item(0x50, _information(answer.information)))
    return pdu(PduType.A_ASSOCIATE_AC, _fixed(answer.called, answer.calling) + b"".join(items))


def written_rejection(rejection: Rejection) -> bytes:
    return pdu(PduType.A_ASSOCIATE_RJ, bytes((0, rejection.result, rejection.source, rejection.reason)))


def written_abort(abort: Abort) -> bytes:
    return pdu(PduType.A_ABORT, bytes((0, 0, abort.source, abort.reason)))


RELEASE_RQ = pdu(PduType.A_RELEASE_RQ, bytes(4))
RELEASE_RP = pdu(PduType.A_RELEASE_RP, bytes(4))


def _fixed(called: str, calling: str) -> bytes:
    titles = (title.encode("latin-1", "replace")[:16].ljust(16) for title in (called, calling))
    return _FIXED.pack(1, *titles)


def _item(kind: int, body: bytes) -> bytes:
    return _ITEM.pack(kind, len(body)) + body


def _counted(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(raw)) + raw


def _information(about: Information) -> bytes:
    """Sub-items in ascending order of their types, as most write them."""
    items = [_item(0x51, struct.pack(">I", about.max_length)), _item(0x52, about.implementation_class_uid.encode())]
    if about.window is not None:
        items.append(_item(0x53, struct.pack(">HH", *about.window)))
    items += [_item(0x54, _counted(one.sop_class_uid) + bytes((one.scu, one.scp))) for one in about.roles]
    if about.implementation_version_name:
        items.append(_item(0x55, about.implementation_version_name.encode("ascii", "replace")[:16]))
    items += [_item(0x56, _counted(sop_class) + told) for sop_class, told in about.extended.items()]
    items += [_item(0x57, _counted(a) + _counted(b) + _counted(b"")) for a, b in about.common_extended.items()]
    if about.identity is not None:
        one = about.identity
        head = bytes((one.type, one.response_requested))
        items.append(_item(0x58, head + _counted(one.primary) + _counted(one.secondary)))
    if about.identity_response is not None:
        items.append(_item(0x59, _counted(about.identity_response)))
    return b"".join(items)


# -- reading -----------------------------------------------------------------------------------------------------------


def read_request(found: Pdu) -> AssociateRequest:
    """PduMalformed: it is no A-ASSOCIATE-RQ that can be answered."""
    called, calling, version = _read_fixed(found, PduType.A_ASSOCIATE_RQ)
    contexts: list[ProposedContext] = []
    application, about = "", Information(max_length=0, implementation_class_uid="", implementation_version_name="")
    for kind, body in _items(found.body, _FIXED.size):
        if kind == 0x10:
            application = _uid(body)
        elif kind == 0x20:
            contexts.append(_proposed(body))
        elif kind == 0x50:
            about = _read_information(body)
    if len({one.id for one in contexts}) != len(contexts):
        raise PduMalformed("two presentation contexts have one identifier")
    if not contexts:
        raise PduMalformed("no presentation context is proposed")
    return AssociateRequest(
        called=called,
        calling=calling,
        contexts=tuple(contexts),
        information=about,
        application_context=application,
        is_version_1=bool(version & 1),
    )


def read_answer(found: Pdu) -> AssociateAnswer:
    """PduMalformed: it is no A-ASSOCIATE-AC."""
    called, calling, _ = _read_fixed(found, PduType.A_ASSOCIATE_AC)
    contexts: list[AnsweredContext] = []
    about = Information(max_length=0, implementation_class_uid="", implementation_version_name="")
    for kind, body in _items(found.body, _FIXED.size):
        if kind == 0x21:
            if len(body) < 4:
                raise PduMalformed("a presentation context is cut off")
            syntaxes = [_uid(inner) for inner_kind, inner in _items(body, 4) if inner_kind == 0x40]
            contexts.append(AnsweredContext(body[0], body[2], syntaxes[0] if syntaxes else ""))
        elif kind == 0x50:
            about = _read_information(body)
    return AssociateAnswer(called=called, calling=calling, contexts=tuple(contexts), information=about)


def read_rejection(found: Pdu) -> Rejection:
    if found.type is not PduType.A_ASSOCIATE_RJ or len(found.body) < 4:
        raise PduMalformed("no A_ASSOCIATE_RJ")
    return Rejection(*found.body[1:4])


def read_abort(found: Pdu) -> Abort:
    if found.type is not PduType.A_ABORT or len(found.body) < 4:
        raise PduMalformed("no A_ABORT")
    return Abort(*found.body[2:4])


def _read_fixed(found: Pdu, kind: PduType) -> tuple[str, str, int]:
    if found.type is not kind:
        raise PduMalformed(f"{found.type.name} where {kind.name} should come")
    if len(found.body) < _FIXED.size:
        raise PduMalformed(f"{kind.name} is cut off")
    version, called, calling = _FIXED.unpack_from(found.body)
    return _title(called), _title(calling), version


def _title(raw: bytes) -> str:
    """An AE title, without the spaces around it that do not count (PS3.5 §6.2) and the zeros that some write instead. What would steer
    the terminal of whoever is told of it becomes a question mark."""
    text = raw.strip(b" \0").decode("latin-1")
    return "".join(one if one.isprintable() else "?" for one in text)


def _items(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    size = len(body)
    while at < size:
        if size - at < _ITEM.size:
            raise PduMalformed("an item is cut off")
        kind, length = _ITEM.unpack_from(body, at)
        at += _ITEM.size
        if length > size - at:
            raise PduMalformed(f"an item of type {kind:#x} says more bytes than there are")
        yield kind, body[at : at + length]
        at += length


def _uid(raw: bytes) -> str:
    return raw.strip(b" \0").decode("latin-1")


def _proposed(body: bytes) -> ProposedContext:
    if len(body) < 4:
        raise PduMalformed("a presentation context is cut off")
    abstract, syntaxes = "", []
    for kind, inner in _items(body, 4):
        if kind == 0x30:
            abstract = _uid(inner)
        elif kind == 0x40:
            syntaxes.append(_uid(inner))
    if not body[0] & 1:
        raise PduMalformed("the identifier of a presentation context is even")
    return ProposedContext(body[0], abstract, tuple(syntaxes))


def _split(body: bytes, at: int = 0) -> tuple[bytes, int]:
    """A field with its length before it, and where the next begins."""
    if len(body) - at < 2:
        raise PduMalformed("an item of user information is cut off")
    length = int.from_bytes(body[at : at + 2], "big")
    end = at + 2 + length
    if end > len(body):
        raise PduMalformed("an item of user information says more bytes than there are")
    return body[at + 2 : end], end


def _read_information(body: bytes) -> Information:
    max_length, window = 0, None
    texts = {0x52: "", 0x55: ""}
    roles: list[Role] = []
    extended: dict[str, bytes] = {}
    common: dict[str, str] = {}
    identity: UserIdentity | None = None
    response: bytes | None = None
    for kind, inner in _items(body, 0):
        if kind == 0x51 and len(inner) == 4:
            max_length = int.from_bytes(inner, "big")
        elif kind in texts:
            texts[kind] = _uid(inner)
        elif kind == 0x53 and len(inner) == 4:
            window = (int.from_bytes(inner[:2], "big"), int.from_bytes(inner[2:], "big"))
        elif kind == 0x54:
            uid, at = _split(inner)
            if len(inner) - at < 2:
                raise PduMalformed("a role selection is cut off")
            roles.append(Role(_uid(uid), bool(inner[at]), bool(inner[at + 1])))
        elif kind == 0x56:
            uid, at = _split(inner)
            extended[_uid(uid)] = inner[at:]
        elif kind == 0x57:
            uid, at = _split(inner)
            common[_uid(uid)] = _uid(_split(inner, at)[0])
        elif kind == 0x58:
            if len(inner) < 2:
                raise PduMalformed("a user identity is cut off")
            primary, at = _split(inner, 2)
            identity = UserIdentity(inner[0], bool(inner[1]), primary, _split(inner, at)[0])
        elif kind == 0x59:
            response = _split(inner)[0]
    return Information(
        max_length=max_length,
        implementation_class_uid=texts[0x52],
        implementation_version_name=texts[0x55],
        window=window,
        roles=tuple(roles),
        extended=extended,
        common_extended=common,
        identity=identity,
        identity_response=response,
    )


# -- as requestor ------------------------------------------------------------------------------------------------------


def proposed(pairs: Iterable[tuple[str, Sequence[str]]]) -> tuple[ProposedContext, ...]:
    """Presentation contexts of (abstract syntax, transfer syntaxes), with their identifiers. ValueError: more than MOST_CONTEXTS."""
    made = tuple(
        ProposedContext(2 * number + 1, abstract, tuple(syntaxes)) for number, (abstract, syntaxes) in enumerate(pairs)
    )
    if len(made) > MOST_CONTEXTS:
        raise ValueError(f"{len(made)} presentation contexts; an association has {MOST_CONTEXTS} at most")
    return made


def accepted(request: AssociateRequest, answer: AssociateAnswer) -> dict[tuple[str, str], int]:
    """(abstract syntax, transfer syntax) -> identifier of what both agree on. The first where there are several."""
    offered = {one.id: one for one in request.contexts}
    found: dict[tuple[str, str], int] = {}
    for one in answer.contexts:
        if one.is_accepted and one.id in offered and one.transfer_syntax in offered[one.id].transfer_syntaxes:
            found.setdefault((offered[one.id].abstract_syntax, one.transfer_syntax), one.id)
    return found


# -- as acceptor -------------------------------------------------------------------------------------------------------

# Of several native syntaxes in one context: explicit VR keeps the VRs of private elements, big endian and deflated cost more.
_NATIVE = (EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE)
# Level 2 (full), no digital signatures of our own, no coercion (PS3.4 B.3.1.3).
_STORAGE_ANSWER = b"\x02\x00\x00\x00\x00\x00"


def chosen(abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> str:
    """Which of them we take; "" where there is none. Whoever names a compressed one first has compressed pixels: it stays as it is."""
    if abstract_syntax in (VERIFICATION, STORAGE_COMMITMENT):
        return next((one for one in (EXPLICIT_LE, IMPLICIT_LE) if one in transfer_syntaxes), "")
    known = [one for one in transfer_syntaxes if is_uid(one)]
    if not known or known[0] not in _NATIVE:
        return known[0] if known else ""
    return next(one for one in _NATIVE if one in known)


def answer(
    request: AssociateRequest,
    serves: Callable[[str], bool],
    *,
    roles: Mapping[str, tuple[bool, bool]],
    window: int = 1,
    max_length: int = OUR_MAX_LENGTH,
) -> AssociateAnswer:
    """What we accept. `serves`: whether we take an abstract syntax; where the requestor says that a class of its own is one of storage
    (common extended negotiation), it is asked for STORAGE_SERVICE instead.

    roles: abstract syntax -> (scu, scp) that a requestor may have who asks for roles; for others it may be SCU only.
    window: operations that we perform side by side, at most.
    """
    told = request.information
    asked = told.common_extended
    contexts, classes = [], set()
    for one in request.contexts:
        serving = serves(one.abstract_syntax) or (
            asked.get(one.abstract_syntax) == STORAGE_SERVICE and serves(STORAGE_SERVICE)
        )
        syntax = chosen(one.abstract_syntax, one.transfer_syntaxes)
        if not serving:
            # The transfer syntax is not looked at then, and must stand there (PS3.8 §9.3.3.2).
            contexts.append(AnsweredContext(one.id, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, syntax or IMPLICIT_LE))
        elif not syntax:
            contexts.append(AnsweredContext(one.id, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_LE))
        else:
            contexts.append(AnsweredContext(one.id, Result.ACCEPTANCE, syntax))
            classes.add(one.abstract_syntax)
    information = Information(
        max_length=max_length,
        window=_window(told.window, window),
        roles=tuple(_role(one, roles) for one in told.roles if one.sop_class_uid in classes),
        extended={
            one: _STORAGE_ANSWER
            for one in told.extended
            if one in classes and one not in (VERIFICATION, STORAGE_COMMITMENT)
        },
        identity_response=b"" if told.identity is not None and told.identity.response_requested else None,
    )
    return AssociateAnswer(
        called=request.called, calling=request.calling, contexts=tuple(contexts), information=information
    )


def _window(asked: tuple[int, int] | None, most: int) -> tuple[int, int] | None:
    """(operations that the requestor may invoke, that it must perform) at once: we perform `most`, and invoke one (PS3.7 D.3.3.3)."""
    if asked is None:
        return None
    return min(asked[0] or most, most), 1


def _role(asked: Role, roles: Mapping[str, tuple[bool, bool]]) -> Role:
    scu, scp = roles.get(asked.sop_class_uid, (True, False))
    return Role(asked.sop_class_uid, asked.scu and scu, asked.scp and scp)

"""Associations that others open with us, over sockets that are given: the agent's inlet and the platform's DICOM port share it.

What is done with what comes is the part's that gives `Services`; who may connect at all is asked before a byte is read.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

from frontend_agent.dicom.negotiation import Rejection


class Caller(NamedTuple):
    """Who opened an association."""

    calling: str  # its AE title
    called: str  # whom it means
    address: str
    certificate: str = ""  # the common name it shows; "" without TLS, or where none is asked for

    @property
    def sender(self) -> str:
        return f"{self.calling}@{self.address}"


class Answer(NamedTuple):
    """What an instance is answered with: a status (PS3.7 annex C) and ErrorComment, in ASCII and without a value of the instance."""

    status: int
    comment: str = ""


class Writer(Protocol):
    """One instance on its way in: connectors.instances.InstanceWriter, or the platform's. After `keep` or `abort` it is done with."""

    def write(self, chunk: bytes | bytearray | memoryview, /) -> None: ...
    def keep(self) -> "Future[Any]":
        """Done when it is on disk and committed. `Services.verdict` says what its result, or its exception, is answered with."""

    def abort(self) -> None: ...


class Committed(NamedTuple):
    """What is safe here of what storage commitment was asked for (PS3.4 annex J)."""

    safe: Sequence[tuple[str, str]]  # (SOP class, SOP instance)
    failed: Sequence[tuple[str, str, int]]  # and FailureReason: NO_SUCH_OBJECT_INSTANCE …


class Services(Protocol):
    """What is done with what comes. Called from the thread of each association: safe to use from several. Errors of it are answered
    as a failure of ours, and counted; they end nothing."""

    offers_commitment: bool  # N-ACTION is answered by `commit`

    def admit(self, caller: Caller, /) -> Rejection | None:
        """Why its association is rejected; with `why` in our words. None: welcome."""

    def begin(self, caller: Caller, sop_class: str, sop_instance: str, transfer_syntax: str, /) -> Writer:
        """An instance begins. Raises what `verdict` has an answer for."""

    def verdict(self, outcome: Any, /) -> Answer:
        """What is said of a kept instance, or of the exception that `begin`, `write` or `keep` ended with."""

    def commit(self, caller: Caller, transaction_uid: str, instances: Sequence[tuple[str, str]], /) -> Committed:
        """Storage commitment that is asked of us (N-ACTION): which of these (SOP class, SOP instance) are safe here. It is answered by
        N-EVENT-REPORT on the same association: we open none (law 11)."""

    def reported(
        self,
        caller: Caller,
        transaction_uid: str,
        safe: Sequence[tuple[str, str]],
        failed: Sequence[tuple[str, str, int]],
        /,
    ) -> bool:
        """Storage commitment that we had asked for (N-EVENT-REPORT). False: nobody here knows the transaction."""

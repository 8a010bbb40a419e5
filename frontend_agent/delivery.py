"""What happens next to a delivery, as tables. Takes values, returns values.

behind ─▶ awaiting                      a registration that it names goes first
   └────────┴─▶ ready ─▶ sending ─▶ delivered
            ▲          ├────▶ accepted     a foreign platform said yes, which proves no storage: unproven (law 5)
            │          │                   later confirmed ─▶ delivered, or reopened ─▶ ready or refused
            │          ├────▶ refused      the platform's reasons: a person must look
            │          ├────▶ blocked      stood alone when a request was refused whole, while others were stored
            ├─ waiting ◀┤                  the platform asked for time
            └ uncertain ◀┘                 it may have arrived: our platform is sent the same again
"""

from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from frontend_agent.model import Outcome


class State(StrEnum):
    """Where one document stands on its way to one destination."""

    BEHIND = "behind"  # an older version, or an older document of the same order, is still on its way
    AWAITING = "awaiting"  # a registration that it names was not accepted there yet
    READY = "ready"
    SENDING = "sending"  # claimed, under a lease
    WAITING = "waiting"  # due later
    UNCERTAIN = "uncertain"  # sent, and no answer: due later
    DELIVERED = "delivered"  # proven stored, or confirmed later by the foreign platform that accepted it
    ACCEPTED = "accepted"  # by a foreign platform whose answer proves no storage
    REFUSED = "refused"  # by name, with reasons: the same bytes would be refused again
    BLOCKED = "blocked"  # refused alone, without being named
    DAMAGED = "damaged"  # its frame on our disk is not what was written
    DISCARDED = "discarded"  # a person decided


OPEN = (State.READY, State.SENDING, State.WAITING, State.UNCERTAIN, State.BEHIND, State.AWAITING)
MOVING = (State.READY, State.SENDING, State.WAITING, State.UNCERTAIN)  # by themselves: nothing else has to come first
STUCK = (State.REFUSED, State.BLOCKED, State.DAMAGED)  # wait for a person


class Event(StrEnum):
    """What can happen to a delivery beside an answer."""

    STOOD_ALONE = "stood alone"  # in a request refused whole, when the destination takes others
    NOT_SENT = "not sent"  # the request it was to travel in was given up, or refused for another's sake
    LAPSED = "lapsed"  # its lease ran out, or we died: it may have arrived
    DUE = "due"
    LOST = "lost"  # delivered and proven, and the destination signs now that it does not have it (law 5)
    REGISTERED = "registered"  # all registrations that it names were accepted there
    CONFIRMED = "confirmed"  # the foreign platform, or a person who asked there, says that it has what it accepted
    REJECTED = "rejected"  # it says later that it will not have what it accepted: the same bytes would be refused again
    SEND_AGAIN = "send again"  # it says later that it does not have what it accepted


AFTER: dict[tuple[State, Outcome | Event], State] = {
    (State.SENDING, Outcome.STORED): State.DELIVERED,
    (State.SENDING, Outcome.DUPLICATE): State.DELIVERED,
    (State.SENDING, Outcome.REFUSED): State.REFUSED,
    (State.SENDING, Outcome.RETRY): State.WAITING,
    (State.SENDING, Outcome.UNREACHABLE): State.READY,  # nothing arrived
    (State.SENDING, Outcome.UNANSWERED): State.UNCERTAIN,  # the same bytes go again: law 6 makes that harmless
    (State.SENDING, Event.STOOD_ALONE): State.BLOCKED,
    (State.SENDING, Event.NOT_SENT): State.READY,
    (State.SENDING, Event.LAPSED): State.UNCERTAIN,
    (State.WAITING, Event.DUE): State.READY,
    (State.UNCERTAIN, Event.DUE): State.READY,
    (State.DELIVERED, Event.LOST): State.READY,
    # A late yes: the lease had lapsed, and the answer came all the same.
    **{
        (state, Outcome.ACCEPTED): State.ACCEPTED
        for state in (State.SENDING, State.READY, State.WAITING, State.UNCERTAIN)
    },
    (State.AWAITING, Event.REGISTERED): State.READY,
    # A later word of a foreign platform counts for what it said yes to, and for what it never answered.
    **{
        (state, event): ended
        for state in (State.ACCEPTED, State.UNCERTAIN)
        for event, ended in ((Event.REJECTED, State.REFUSED), (Event.SEND_AGAIN, State.READY))
    },
    **{
        (state, Event.CONFIRMED): State.DELIVERED
        for state in (State.ACCEPTED, State.UNCERTAIN, State.READY, State.WAITING, State.REFUSED, State.BLOCKED)
    },
    # A proof counts whenever it comes: after the lease lapsed, or when receipts were asked for by id.
    **{
        (state, proof): State.DELIVERED
        for state in (State.READY, State.WAITING, State.UNCERTAIN, State.BEHIND, State.ACCEPTED, *STUCK)
        for proof in (Outcome.STORED, Outcome.DUPLICATE)
    },
    (State.UNCERTAIN, Outcome.REFUSED): State.REFUSED,
    # Across a gap what was sent waits as uncertain, without a lease: its answer comes hours later (decision 0053).
    (State.UNCERTAIN, Outcome.RETRY): State.WAITING,
    (State.UNCERTAIN, Event.NOT_SENT): State.READY,
    (State.UNCERTAIN, Event.STOOD_ALONE): State.BLOCKED,
}


def after(state: State, event: Outcome | Event) -> State:
    """The next state; the same one when the event says nothing new about it."""
    return AFTER.get((state, event), state)


def back_off(failures: int, spread: float, first: timedelta, longest: timedelta) -> timedelta:
    """How long to leave a destination alone after so many failures in a row.

    Doubles up to `longest`; `spread` (0…1, a random number) takes off up to half, so that a hundred hospitals do not
    come back in the same second.
    """
    whole: timedelta = min(first * 2 ** min(max(failures - 1, 0), 30), longest)
    return whole * (1 - spread / 2)


class SignedReply(Protocol):
    """One signed answer of a destination, as it came: its receipts are proven from it.

    A platform that countersigns our log says up to where (`log_seq` 0: it did not), and `evidence` is what proves that
    alone, without the reply.
    """

    @property
    def id(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def log_seq(self) -> int: ...
    @property
    def log_hash(self) -> str: ...
    @property
    def evidence(self) -> bytes: ...

"""Which agent may speak for an institution (law 14): a lease that is rotated at every hello. Pure.

An agent's state directory holds one lease. Two copies of it hold the same one; the first to say hello gets the next, and
the other is found out. What an agent presents, and what follows:

    the current lease     rotated; the presented one stays good until the new one is seen in use
    the previous lease    our answer was lost on the way: rotated again, the lost one is dead
    anything else         a copied or restored state: refused, with who holds the lease and since when
    another machine       the same
    an unknown instance   the state was lost and begun anew: it supersedes the older, which is refused from now on
"""

import msgspec


class Agent(msgspec.Struct, frozen=True):
    """One instance (one life of a state directory) of one institution's agent."""

    institution: str
    instance: str
    machine: str
    current: str
    previous: str
    first_seen: str
    last_seen: str
    superseded_by: str = ""
    superseded_at: str = ""


class LeaseRefused(Exception):
    """This agent may not speak for the institution. No document is to blame; a person must look."""

    def __init__(self, code: str, detail: str, holder: Agent | None = None):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.holder = holder


def greet(known: Agent | None, hello: Agent, now: str) -> Agent:
    """What is remembered after this hello. `hello` carries the presented lease as `previous`, a fresh one as `current`."""
    if known is None:
        return msgspec.structs.replace(hello, first_seen=now, last_seen=now)
    _still_speaks(known)
    if known.machine != hello.machine:
        raise LeaseRefused("other-machine", _since("this state belongs to another machine", known), known)
    # An operator's admission leaves no current lease: then, and only then, any is taken.
    if known.current and hello.previous not in (known.current, known.previous):
        raise LeaseRefused(
            "copied-state", _since("this state is a copy, or was restored from an older one", known), known
        )
    return msgspec.structs.replace(known, current=hello.current, previous=hello.previous, last_seen=now)


def speaks(known: Agent | None, lease: str) -> Agent:
    """The agent as remembered after it used this lease, or LeaseRefused."""
    if known is None:
        raise LeaseRefused("hello-first", "this instance has not said hello")
    _still_speaks(known)
    if lease and lease == known.current:
        # The answer to its hello has arrived, so nobody honest needs the lease before any more.
        return msgspec.structs.replace(known, previous=known.current) if known.previous != known.current else known
    if lease and lease == known.previous:
        return known
    raise LeaseRefused("copied-state", _since("this state is a copy, or was restored from an older one", known), known)


def _still_speaks(known: Agent) -> None:
    if known.superseded_by:
        detail = f"superseded by instance {known.superseded_by} at {known.superseded_at}"
        raise LeaseRefused("superseded", detail, known)


def _since(what: str, holder: Agent) -> str:
    return f"{what}; the lease is held by instance {holder.instance} on machine {holder.machine}, last seen {holder.last_seen}"

"""What is proposed but not sure enough to be written in force: a low score, or a join that does not find its one row.

joins_of   ──▶ the joins that a proposal's queries make
doubted    ──▶ the proposal with a doubt told at every field that has one; `write` leaves these out, as comments
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from frontend_agent.proposing.proposal import Answer, Proposal
from frontend_agent.proposing.reaching import BESIDE, UP, Hop

DOUBTFUL = 0.55  # of what lies below, about half is wrong, measured on four systems (docs/guide/init.md)
FINDS = 0.05  # of values, up a reference: rows whose partners are gone are everyday, none at all is a wrong way
FINDS_PATIENT = 0.9  # on the way to whom the document is about


class Join(NamedTuple):
    """One join of a proposal, from the table before it."""

    before: str
    hop: Hop


class Met(NamedTuple):
    """What sampled values of the table before found on the other side of a join."""

    asked: int
    one: int
    several: int

    @property
    def share(self) -> float:
        """Of the values that were asked, those that find exactly one row."""
        return self.one / self.asked if self.asked else 1.0


def joins_of(proposal: Proposal) -> list[Join]:
    """Every join once, in the order in which the fields need them."""
    found: dict[Join, None] = {}
    for rows in proposal.groups.values():
        for join in _along(rows.table.id, rows.way):
            found.setdefault(join)
    for start, hops in _ways(proposal):
        for join in _along(start, hops):
            found.setdefault(join)
    return list(found)


def _ways(proposal: Proposal) -> Iterable[tuple[str, tuple[Hop, ...]]]:
    for answer in proposal.answers:
        if answer.pick is not None:
            yield _start(proposal, answer), answer.pick.place.hops


def _start(proposal: Proposal, answer: Answer) -> str:
    rows = proposal.groups.get(answer.field.partition(".")[0])
    return rows.table.id if rows is not None else proposal.anchor.id


def _along(start: str, hops: Iterable[Hop]) -> Iterable[Join]:
    before = start
    for hop in hops:
        if hop.way != BESIDE:
            yield Join(before, hop)
        before = hop.table


def doubted(proposal: Proposal, met: Mapping[Join, Met], key: str) -> Proposal:
    """With what speaks against each field. The record's key, and what a person chose, are not doubted."""
    answers = [
        answer
        if answer.pick is None or answer.chosen or answer.field == key
        else msgspec.structs.replace(answer, doubt=_doubt(proposal, answer, met))
        for answer in proposal.answers
    ]
    return msgspec.structs.replace(proposal, answers=tuple(answers))


def _doubt(proposal: Proposal, answer: Answer, met: Mapping[Join, Met]) -> str:
    pick = answer.pick
    if pick is None:
        return ""
    if pick.score < DOUBTFUL:
        return f"{pick.score:.2f} is below {DOUBTFUL:.2f}"
    least = FINDS_PATIENT if answer.field.startswith(("patient.", "fact.")) else FINDS
    for join in _along(_start(proposal, answer), pick.place.hops):
        seen = met.get(join)
        if join.hop.way == UP and seen is not None and (seen.share < least or seen.several):
            return (
                f"{join.before}.{join.hop.column}: {seen.one} of {seen.asked} values find one row of {join.hop.table}"
            )
    return ""

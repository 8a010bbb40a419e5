"""The comparison by itself: every record gets the one word that is true of it, whatever else there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend_agent.delivery import OPEN, STUCK, State
from frontend_agent.intake import Step, next_step
from frontend_agent.model import SourceRecord
from frontend_agent.reconciling import (
    DIFFERENCES,
    EXPLAINED,
    Difference,
    Gap,
    Place,
    Sheet,
    differing_places,
    gap_of_absent,
    gap_of_journey,
    gap_of_record,
    gap_of_set,
    gap_of_unreadable,
    lost_among,
)
from frontend_agent.spool.reconciliations import Kept
from frontend_agent.wire.reconciliation import Count, Digest, set_line

HERE = Place(20260929, "内科")


def kept(version: int = 1, document: str = "a", held: str | None = None, void: bool = False, **more: object) -> Kept:
    fields = {
        "set_id": "S",
        "day": HERE.day,
        "department": HERE.department,
        "withheld": False,
        "made_here": True,
    } | more
    return Kept(version=version, document_hash=document, held_hash=held, void=void, **fields)  # type: ignore[arg-type]


def record(content: str = "a", final: bool = True, void: bool = False, key: str = "K") -> SourceRecord:
    return SourceRecord(key, {}, content, final=final, void=void)


@pytest.mark.parametrize(
    ("source", "known", "waiting", "gap"),
    [
        (record(), kept(), False, None),
        (record("b"), kept(), False, Gap.STALE),
        (record(), None, False, Gap.MISSED),
        (record(), None, True, Gap.WAITING),
        (record(final=False), None, False, Gap.NOT_FINAL),
        (record("b", final=False), kept(), False, Gap.NOT_FINAL),
        (record(void=True), None, False, Gap.WITHDRAWN),
        (record(void=True), kept(0, "", held="a"), False, Gap.WITHDRAWN),
        (record(void=True), kept(), False, Gap.STALE),
        (record("b", void=True), kept(2, void=True), False, None),
        (record(), kept(2, void=True), False, Gap.STALE),
        (record("b"), kept(held="b"), False, Gap.HELD),
        (record("c"), kept(held="b"), False, Gap.STALE),
        (record(), kept(held="b"), False, Gap.STALE),  # back to what was delivered
        (record("b"), kept(0, "", held="b"), False, Gap.HELD),
        (record("b"), kept(0, "b"), False, Gap.DISCARDED),
        (record("b"), kept(0, "", held="b", withheld=True), False, Gap.WITHHELD),
        (record("c"), kept(1, "", held="b", withheld=True), False, Gap.WITHHELD),
    ],
)
def test_the_word_for_a_record(source: SourceRecord, known: Kept | None, waiting: bool, gap: Gap | None) -> None:
    assert gap_of_record(source, known, waiting) is gap


@given(
    content=st.sampled_from("abc"),
    final=st.booleans(),
    void=st.booleans(),
    waiting=st.booleans(),
    known=st.none()
    | st.builds(
        kept,
        version=st.integers(0, 2),
        document=st.sampled_from(["", "a", "b"]),
        held=st.none() | st.sampled_from("ab"),
        void=st.booleans(),
        withheld=st.booleans(),
    ),
)
def test_it_never_says_other_than_what_taking_in_would_do(
    content: str, final: bool, void: bool, waiting: bool, known: Kept | None
) -> None:
    """A difference is exactly what reading again would change; what is explained, reading again would leave as it is."""
    source = record(content, final, void)
    gap = gap_of_record(source, known, waiting)
    head = known.head if known else None
    step = next_step(head, source, head.digests if head else "")
    assert gap is None or gap in DIFFERENCES or gap in EXPLAINED
    if gap in DIFFERENCES:
        assert step in (Step.MAKE, Step.RETURNED)
        assert gap is (Gap.STALE if known else Gap.MISSED)
    elif gap in (None, Gap.HELD, Gap.DISCARDED):
        assert step is Step.UNCHANGED


@pytest.mark.parametrize(
    ("known", "gap"),
    [
        (None, None),
        (kept(0, "", held="a"), None),
        (kept(), Gap.VANISHED),
        (kept(2, void=True), None),
        (kept(held="b"), Gap.HELD),
        (kept(withheld=True), Gap.WITHHELD),
    ],
)
def test_a_key_that_the_source_does_not_have(known: Kept | None, gap: Gap | None) -> None:
    assert gap_of_absent(known) is gap


def test_rows_that_cannot_be_read_are_held_or_were_never_met() -> None:
    assert gap_of_unreadable(kept(0, "", held="AGT001")) is Gap.HELD
    assert gap_of_unreadable(kept()) is Gap.MISSED
    assert gap_of_unreadable(None) is Gap.MISSED


@pytest.mark.parametrize("state", State)
def test_every_journey_is_explained_or_over(state: State) -> None:
    gap = gap_of_journey(state)
    assert (
        gap
        is {
            **dict.fromkeys(OPEN, Gap.ON_ITS_WAY),
            **dict.fromkeys(STUCK, Gap.STUCK),
            State.DISCARDED: Gap.DISCARDED,
            State.ACCEPTED: Gap.UNPROVEN,
            State.DELIVERED: None,
        }[state]
    )
    assert gap is None or gap in EXPLAINED


# -- sets at the platform ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Version:
    version: int
    sha256: str
    state: State = State.DELIVERED


Store = dict[str, tuple[int, str]]  # set -> newest version, bytes
sets = st.dictionaries(st.sampled_from("ABCDEFGH"), st.tuples(st.integers(1, 3), st.sampled_from("xy")), max_size=8)


def digests(store: Store) -> dict[Place, Digest]:
    return {HERE: Digest(set_line(name, *one) for name, one in store.items())} if store else {}


def counts(store: Store) -> list[Count]:
    return [Count(*HERE, digest.count, digest.hex) for digest in digests(store).values()]


@given(sets, sets)
def test_only_what_differs_is_asked_for_set_by_set(ours: Store, theirs: Store) -> None:
    assert differing_places(digests(ours), counts(theirs)) == ([] if ours == theirs else [HERE])


@given(st.lists(st.text(max_size=6), max_size=12), st.randoms())
def test_the_digest_knows_no_order(lines: list[str], random: object) -> None:
    shuffled = list(lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert Digest(lines).hex == Digest(shuffled).hex
    assert Digest([*lines, "one more"]).hex != Digest(lines).hex
    assert Digest([*lines, "one more", "one more"]).hex != Digest(lines).hex  # two alike do not cancel each other


@given(sets, sets)
def test_every_set_that_differs_is_named_and_nothing_else(ours: Store, theirs: Store) -> None:
    """The platform answers honestly by id: what it does not hold in that version and with those bytes it denies."""
    made: Mapping[str, dict[int, Version]] = {name: {v: Version(v, b)} for name, (v, b) in ours.items()}
    named = {
        name: gap
        for name, (version, content) in theirs.items()
        if (gap := gap_of_set(made.get(name, {}), version, content)) is not None
    }
    absent = {f"{name}-{v}": b for name, (v, b) in ours.items() if name not in theirs or theirs[name][0] < v}
    proofs = dict.fromkeys(absent, "")
    lost = {document.partition("-")[0] for document, gap in lost_among(absent, proofs).items() if gap is Gap.LOST}
    differing = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
    assert set(named) | lost == differing
    for name in differing:
        if name not in ours:
            assert named[name] is Gap.UNKNOWN_HERE
        elif name not in theirs:
            assert name not in named
        elif ours[name][0] == theirs[name][0]:
            assert named[name] is Gap.OTHER_BYTES


def test_only_a_signed_word_makes_a_document_lost() -> None:
    assert lost_among({"A-1": "x", "B-1": "x", "C-1": "x", "D-1": "x"}, {"A-1": "", "B-1": "x", "C-1": "y"}) == {
        "A-1": Gap.LOST,
        "C-1": Gap.OTHER_BYTES,
    }


# -- the sheet --------------------------------------------------------------------------------------------------------


def test_other_days_are_told_only_where_something_is_wrong() -> None:
    sheet = Sheet(20260929, 20260930)
    other = Place(20260901, "内科")
    sheet.at_source(other, record())
    sheet.at_agent(other, "K", "a", False)
    sheet.gap(other, Gap.NOT_FINAL)
    assert sheet.told() == []
    sheet.differs(Difference(gap=Gap.MISSED, place=other, key="K"))
    assert [(row["day"], row["gaps"]) for row in sheet.told()] == [(20260901, {"missed": 1})]


def test_one_department_alone() -> None:
    sheet = Sheet(20260929, 20260929, "外科")
    for place in (HERE, Place(20260929, "外科")):
        sheet.at_source(place, record())
        sheet.differs(Difference(gap=Gap.STALE, place=place, key="K"))
    assert [one.place.department for one in sheet.differences] == ["外科"]
    assert sheet.totals() == {"source": 1, "agent": 0, "stale": 1}


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from("xyz")), unique_by=lambda one: one[0])
)
def test_source_and_agent_agree_exactly_when_they_hold_the_same(lines: list[tuple[str, str]]) -> None:
    sheet = Sheet(HERE.day, HERE.day)
    for key, content in lines:
        sheet.at_source(HERE, record(content, key=key))
        sheet.at_agent(HERE, key, content, False)
    assert all(row["equal"] for row in sheet.told())
    sheet.at_source(HERE, record("x", key="more"))
    assert not any(row["equal"] for row in sheet.told())


def test_what_is_explained_counts_and_need_not_be_equal() -> None:
    sheet = Sheet(HERE.day, HERE.day)
    sheet.at_source(HERE, record("b"), explained=True)
    sheet.at_agent(HERE, "K", "a", False, explained=True)  # an earlier version, the newest is held
    (row,) = sheet.told()
    assert (row["source"]["records"], row["agent"]["records"], row["equal"]) == (1, 1, True)


def test_what_the_platform_is_told_are_numbers() -> None:
    sheet = Sheet(HERE.day, HERE.day)
    sheet.at_source(HERE, record(key="330100199001011234"))
    sheet.differs(Difference(gap=Gap.MISSED, place=HERE, key="330100199001011234", mended=True))
    (said,) = sheet.said("visit", "C0002")
    assert (said.source, said.agent, said.missed, said.differing, said.mended) == (1, 0, 1, 1, 1)
    assert b"330100199001011234" not in msgspec.json.encode(said)


def test_each_difference_says_who_is_to_blame_and_what_mends_it() -> None:
    assert set(DIFFERENCES) | set(EXPLAINED) == set(Gap)
    told = Difference(gap=Gap.LOST, place=HERE, key="K", destination="platform").told()
    assert (told["blame"], told["mendable"]) == ("platform", True)

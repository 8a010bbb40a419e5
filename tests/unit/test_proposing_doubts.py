"""What is proposed but not sure enough is left out: a low score, a way on which rows do not find their one partner."""

import msgspec
import pytest

from frontend_agent.formats import load_kinds
from frontend_agent.proposing.doubts import DOUBTFUL, Join, Met, doubted, joins_of
from frontend_agent.proposing.proposal import Answer, Pick, Proposal
from frontend_agent.proposing.reaching import BESIDE, DOWN, UP, Hop, Place
from frontend_agent.proposing.schema import Column, Table
from frontend_agent.proposing.writing import write

_ID, _NAME, _PATIENT = Column("id", "int"), Column("name", "varchar"), Column("patient_id", "int")
VISIT = Table("", "visit", (_ID, _PATIENT), key=("id",))
PATIENT = Table("", "patient", (_ID, _NAME), key=("id",))
TO_PATIENT = Hop("patient", UP, "patient_id", "id", "foreign key")
JOIN = Join("visit", TO_PATIENT)
SURE = DOUBTFUL + 0.3


def _proposal(score: float = SURE, field: str = "patient.name") -> Proposal:
    pick = Pick(Place(PATIENT, (TO_PATIENT,), 0.97, "patient"), _NAME, "", score, ("because",))
    return Proposal("C0002", VISIT, 1.0, (Answer(field, pick, (), True),), {})


def _doubt(proposal: Proposal, met: dict[Join, Met], key: str = "id") -> str:
    return doubted(proposal, met, key).answers[0].doubt


@pytest.mark.parametrize(
    ("field", "met", "doubtful"),
    [
        ("patient.name", Met(20, 20, 0), False),
        ("patient.name", Met(20, 17, 0), True),  # to whom the document is about, nearly all have to find one
        ("department.name", Met(20, 17, 0), False),  # what was retired long ago is gone from many a dictionary
        ("department.name", Met(20, 0, 0), True),
        ("department.name", Met(20, 19, 1), True),  # several: rows would be doubled, or somebody else's
    ],
)
def test_a_way_on_which_rows_do_not_find_their_one_partner_is_doubted(field: str, met: Met, doubtful: bool) -> None:
    assert bool(_doubt(_proposal(field=field), {JOIN: met})) is doubtful


def test_what_could_not_be_asked_is_not_doubted() -> None:
    assert _doubt(_proposal(), {}) == ""


def test_a_low_score_is_doubted_but_not_what_a_person_chose_nor_the_key() -> None:
    low = _proposal(DOUBTFUL - 0.01)
    chosen = msgspec.structs.replace(low, answers=(msgspec.structs.replace(low.answers[0], chosen=True),))

    assert str(DOUBTFUL) in _doubt(low, {})
    assert _doubt(chosen, {}) == ""
    assert _doubt(low, {}, "patient.name") == ""


def test_down_the_newest_is_taken_and_a_setting_is_no_join() -> None:
    down = Hop("patient", DOWN, "id", "id", "foreign key")
    aside = Hop("patient", BESIDE, "name", "", "a setting", ("name", "x"))
    pick = Pick(Place(PATIENT, (down, aside), 0.9, ""), _NAME, "", SURE, ())
    proposal = msgspec.structs.replace(_proposal(), answers=(Answer("patient.name", pick),))

    assert joins_of(proposal) == [Join("visit", down)]
    assert _doubt(proposal, {Join("visit", down): Met(20, 5, 15)}) == ""


def test_what_is_doubted_is_in_the_query_as_a_comment_with_the_join_that_it_needs() -> None:
    kind = load_kinds()["C0002"]
    proposal = doubted(_proposal(), {JOIN: Met(20, 3, 0)}, kind.key)
    schema = {"visit": VISIT, "patient": PATIENT}
    written = write(proposal, kind, schema, {}, "postgresql")
    sql = written.files[f"{kind.short_name}.sql"]
    in_force = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))

    assert written.doubtful == ("patient.name",)
    assert "patient" not in in_force
    assert 'AS "patient.name": visit.patient_id: 3 of 20 values find one row of patient' in sql
    assert "--   LEFT JOIN patient t1 ON t1.id = a.patient_id" in sql
    assert "DOUBTFUL" in written.files[f"{kind.short_name}.toml"]

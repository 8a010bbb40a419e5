"""Three administrators who are different people: who may do what, and what of it the log keeps."""

import pytest

from frontend_agent.config import ConfigurationProblems, parse_config
from frontend_agent.config_people import PeopleConfig
from frontend_agent.operations import Operations
from frontend_agent.people import ACTS, ALL, Person, Role, anybody, may, needs_reason, nobody, refusal, told_arguments

SYSTEM, SECURITY, AUDIT = (Person(role, frozenset({role}), role) for role in Role)
THREE = (SYSTEM, SECURITY, AUDIT)

AGENT = """
[institution]
id = "H1"
name = "示范医院"
[sources.his]
url = "sqlite:///his.db"
[destinations.platform]
url = "http://127.0.0.1:9/"
[[feeds]]
name = "f"
source = "his"
mapping = "demo_lis/lab_report"
"""
PEOPLE = """
[[people.persons]]
name = "王芳"
account = "wangfang"
role = "system"
[[people.persons]]
name = "李强"
account = "liqiang"
role = "security"
[[people.persons]]
name = "赵敏"
role = "audit"
"""


def people(text: str = PEOPLE) -> PeopleConfig:
    return parse_config(AGENT + text).people


def test_every_question_of_the_agent_has_a_line_in_the_table_of_acts() -> None:
    questions = {name for name in dir(Operations) if not name.startswith("_")}
    assert questions <= set(ACTS), "say in frontend_agent/people.py who may ask it"


def test_nobody_has_two_of_the_three_roles() -> None:
    with pytest.raises(ValueError, match="nobody has two"):
        Person("王芳", frozenset({Role.SYSTEM, Role.AUDIT}))


def test_what_changes_something_is_the_act_of_one_role_alone() -> None:
    for name, act in ACTS.items():
        if act.told:
            assert len(act.roles) == 1, name
            assert sum(may(person, name) for person in THREE) == 1, name


def test_the_auditor_changes_nothing() -> None:
    changing = {"qc_export", "report_consent"}  # these take something away, and say so in the log
    assert {name for name, act in ACTS.items() if act.told and may(AUDIT, name)} == changing


def test_the_security_administrator_sees_no_patients_contents() -> None:
    everything = {"patient": "P1", "show": True, "whole": True, "document": "1.2.3"}
    assert [name for name, act in ACTS.items() if act.shows(everything) and may(SECURITY, name)] == []


def test_the_log_is_verified_by_the_auditor_and_not_by_who_keeps_it_running() -> None:
    assert may(AUDIT, "qc_verify")
    assert not may(SYSTEM, "qc_verify")
    assert not may(SECURITY, "qc_verify")


def test_who_is_nobody_sees_how_it_goes_and_no_more() -> None:
    somebody = nobody("zabbix")
    assert may(somebody, "status")
    assert not may(somebody, "preview")
    assert not may(somebody, "qc_log")
    assert "'zabbix' is nobody's in [people]" in refusal(somebody, "preview")


def test_an_act_that_is_not_in_the_table_is_nobodys() -> None:
    assert not any(may(person, "format_disk") for person in THREE)
    assert "no role has this act" in refusal(SYSTEM, "format_disk")


def test_a_refusal_says_who_he_is_and_who_may() -> None:
    said = refusal(SYSTEM, "qc_export")
    assert "system administrator" in said
    assert "audit administrator (审计管理员)" in said


def test_contents_need_a_reason_where_people_are_configured() -> None:
    assert needs_reason(SYSTEM, "preview", {"feed": "f", "key": "1"})
    assert not needs_reason(anybody("frontend-agent"), "preview", {"feed": "f", "key": "1"})
    assert not needs_reason(SYSTEM, "status", {})
    assert needs_reason(SYSTEM, "trace_element", {"document": "D", "element": "patient.name", "show": True})
    assert not needs_reason(SYSTEM, "trace_element", {"document": "D", "element": "patient.name"})
    assert needs_reason(SYSTEM, "trace", {"document": "1.2.840.113619.2"})
    assert not needs_reason(SYSTEM, "trace", {"document": "C0007-L1-1"})


def test_the_log_keeps_the_identifiers_of_a_question_and_nothing_else() -> None:
    asked = {"state": "", "patient": "P0001", "accession": "A1", "limit": 50}
    assert told_arguments("images_list", asked) == {"accession": "A1"}
    many = told_arguments("quarantine_discard", {"ids": [f"Q{n}" for n in range(1000)], "who": "x", "reason": "张三"})
    assert many["ids"][:2] == ["Q0", "Q1"]
    assert many["ids"][-1] == "… 1000"
    assert set(many) == {"ids"}


def test_without_people_the_local_account_is_all_three() -> None:
    found = parse_config(AGENT).people.person("frontend-agent")
    assert found.roles == ALL
    assert found.role == "all"
    assert not found.is_named
    assert all(may(found, name) for name in ACTS)


def test_an_account_is_one_person_with_one_role() -> None:
    known = people()
    assert known.person("wangfang") == Person("王芳", frozenset({Role.SYSTEM}), "wangfang")
    assert known.person("root").roles == frozenset()
    assert known.person("").roles == frozenset()  # who has no account is not found by having none
    assert known.named("赵敏") == Person("赵敏", frozenset({Role.AUDIT}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PEOPLE.replace('"audit"', '"system"'), "nobody is the audit administrator (审计管理员)"),
        (PEOPLE.replace("李强", "王芳"), "'王芳' is there twice"),
        (PEOPLE.replace("liqiang", "wangfang"), "the account 'wangfang' is given to 2 people"),
        (PEOPLE.replace("liqiang", "root"), "known by root"),
        (PEOPLE.replace('"security"', '"boss"'), "unknown value 'boss'"),
        ('[people]\nsocket = "people.sock"\n' + PEOPLE, "socket must be a whole path"),
    ],
)
def test_people_who_are_not_three_are_refused_at_the_door(text: str, said: str) -> None:
    with pytest.raises(ConfigurationProblems) as error:
        people(text)
    assert any(said in problem for problem in error.value.problems), error.value.problems

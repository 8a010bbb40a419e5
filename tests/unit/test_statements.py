"""The allow-list of statements: nothing hostile is accepted, nothing honest is refused, and all that we write passes."""

from __future__ import annotations

import gc
import re

import pytest
from sqlglot import exp, parse_one

from connectors import statements
from connectors.engines import ENGINES, Dialect
from connectors.lexing import Ambiguous, lexemes
from connectors.source import (
    _beyond,
    _by_keys_text,
    _newest_text,
    _nothing_of,
    _null_text,
    _sample_text,
    _window_text,
)
from connectors.statements import Own, Rules, StatementRefused, must_be_allowed, refusal, rules_of
from frontend_agent.mapping_file import load_mapping
from frontend_agent.shipped import shipped_names
from tests import statements as corpus

ENGINES_WITH_LISTS = corpus.ENGINES


@pytest.mark.parametrize("engine", ENGINES_WITH_LISTS)
def test_nothing_hostile_is_accepted(engine: str) -> None:
    texts = corpus.hostile(engine)
    assert len(texts) >= 500

    assert [text for text in texts if not refusal(text, Rules(engine))] == []


@pytest.mark.parametrize("engine", ENGINES_WITH_LISTS)
def test_nothing_hostile_is_accepted_of_an_engine_we_do_not_know(engine: str) -> None:
    assert [text for text in corpus.hostile(engine) if not refusal(text, Rules("other"))] == []


@pytest.mark.parametrize("engine", ENGINES_WITH_LISTS)
def test_what_hospitals_write_is_accepted(engine: str) -> None:
    texts = corpus.honest(engine)
    assert len(texts) >= 150

    rules = Rules(engine)
    assert [(text, reason) for text in texts if (reason := refusal(text, rules))] == []


@pytest.mark.parametrize("engine", ENGINES_WITH_LISTS)
def test_a_hostile_function_is_refused_wherever_it_stands_for_being_unknown(engine: str) -> None:
    """Not for the place: the same place with a function that only computes is fine."""
    refused = [refusal(f"SELECT {call} AS x FROM patient p", Rules(engine)) for call in corpus.calls(engine)]
    by_name = [reason for reason in refused if "function" in reason or "package" in reason]

    assert len(by_name) >= 0.8 * len(refused)
    for place in corpus.places():
        if "{f} q" not in place:
            assert refusal(place.format(f="UPPER(name)", name="UPPER", arguments="(name)"), Rules(engine)) == ""


def test_statements_of_one_engine_that_another_reads_otherwise() -> None:
    """A backslash ends a text on some servers, `#` and `--1` begin a comment on some, `$$` quotes on some."""
    text = "SELECT 'a\\' FROM patient"
    assert refusal(text, Rules("oracle")) == ""
    assert "backslash" in refusal(text, Rules("mysql"))
    assert "backslash" in refusal(text, Rules("postgresql"))
    assert refusal("SELECT 'a\\\\' FROM patient", Rules("mysql")) == ""


def test_a_refusal_names_the_function_and_how_a_site_may_allow_it() -> None:
    reason = refusal("SELECT dbo.FN_Age(birth) FROM patient", Rules("sqlserver"))

    assert "dbo.FN_Age" in reason
    assert 'allow_functions = ["dbo.fn_age"]' in reason
    assert refusal("SELECT dbo.FN_Age(birth) FROM patient", rules_of("tsql", ("dbo.fn_age",), False, False)) == ""


def test_what_a_site_allows_is_that_name_and_no_other() -> None:
    rules = rules_of("tsql", ("dbo.fn_age",), False, False)

    for name in ("fn_age", "his.dbo.fn_age", "dbo.fn_age2", "xp.fn_age"):
        assert refusal(f"SELECT {name}(birth) FROM patient", rules)


def test_dirty_reads_only_where_the_vendor_imposes_them() -> None:
    text = "SELECT id FROM patient WITH (NOLOCK)"
    allowed = rules_of("tsql", (), True, False)

    assert "nolock = true" in refusal(text, Rules("sqlserver"))
    assert refusal(text, allowed) == ""
    assert refusal("SELECT id FROM patient WITH (NOLOCK, UPDLOCK)", allowed)
    assert refusal("SELECT id FROM patient WITH (UPDLOCK)", allowed)


def test_an_engine_without_a_list_gets_what_all_engines_share() -> None:
    rules = rules_of("", (), False, False)

    assert refusal('SELECT UPPER(name) AS "x" FROM patient WHERE id > ?', rules) == ""
    assert refusal("SELECT to_char(day, 'YYYY') FROM patient", rules)
    assert refusal("SELECT a[1] FROM patient", rules)
    assert rules_of("a grammar we have no list for", (), False, False).engine == "other"


def test_a_formatting_driver_is_judged_by_what_it_sends() -> None:
    rules = rules_of("mysql", (), False, True)

    assert refusal("SELECT id FROM t WHERE name LIKE '%%x%%' AND id = %s", rules) == ""
    assert refusal("SELECT id FROM t WHERE name LIKE '%x'", rules)
    assert refusal("SELECT SLEEP(%s)", rules)


def test_our_own_statements_have_a_door_of_their_own() -> None:
    must_be_allowed("his", "", Own("SHOW GRANTS"), Rules("mysql"))

    with pytest.raises(StatementRefused, match="source his: query 'changed': not sent: it is no SELECT"):
        must_be_allowed("his", "changed", "SHOW GRANTS", Rules("mysql"))
    with pytest.raises(StatementRefused):
        must_be_allowed("his", "", str(Own("SHOW GRANTS")) + " ", Rules("mysql"))


def test_a_refusal_is_told_with_the_exit_code_of_a_configuration() -> None:
    with pytest.raises(StatementRefused) as caught:
        must_be_allowed("his", "parent", "DELETE FROM patient", Rules("mysql"))

    assert caught.value.exit_code == 78


@pytest.mark.parametrize("engine", [engine.name for engine in ENGINES])
def test_all_that_we_write_around_a_query_passes(engine: str) -> None:
    made = next(one for one in ENGINES if one.name == engine)
    for version in ((), (8,), (11, 2), (19, 3)):
        dialect = made.dialect(version)
        for one in (dialect, Dialect(**{**vars(dialect), "mark": "$"}) if made.grammar == "postgres" else dialect):
            _all_texts_pass(one, made.grammar)


@pytest.mark.parametrize(
    ("grammar", "dialect"),
    [
        ("postgres", Dialect(mark="$")),
        ("mysql", Dialect(quote="`", mark="%s", percent="%%")),
        ("oracle", Dialect(mark=":", limit="FETCH FIRST {n} ROWS ONLY")),
        ("sqlite", Dialect()),
    ],
)
def test_all_that_we_write_around_a_query_passes_natively(grammar: str, dialect: Dialect) -> None:
    _all_texts_pass(dialect, grammar)


def _all_texts_pass(dialect: Dialect, grammar: str) -> None:
    rules = rules_of(grammar, (), False, dialect.percent != "%")
    quoted = "`" if dialect.quote == "`" else '"'
    sql = f"SELECT changed_at AS {quoted}cursor{quoted}, id AS {quoted}key{quoted} FROM report WHERE code LIKE '9%' -- 报告"
    positions = (None, ("2026-01-01", None, False), ("2026-01-01", "7", True))
    texts = [_window_text(dialect, sql, _beyond(dialect, at, top)[0]) for at in positions for top in (None, "2027")]
    texts += [_by_keys_text(dialect, sql, '报告 " 号', count, 200_001) for count in (1, 8, 64, 500)]
    texts += [_by_keys_text(dialect, sql, "key", 8, 200_001, "key")]
    texts += [_null_text(dialect, sql, resumed) for resumed in (False, True)]
    texts += [_newest_text(dialect, sql, below) for below in (False, True)]
    texts += [
        _sample_text(dialect, sql, "cursor"),
        _nothing_of(dialect, sql, ("cursor", "key")),
        _nothing_of(dialect, sql, ()),
    ]
    texts += [dialect.one]
    assert [(text, reason) for text in texts if (reason := refusal(text, rules))] == []


SHIPPED_ON = {
    "demo_his": "sqlite",
    "demo_lis": "sqlite",
    "demo_ris": "sqlite",
    "openhis": "postgres",
    "openelis": "postgres",
}


@pytest.mark.parametrize(
    "name", [name for name in shipped_names("mappings", depth=2) if load_mapping(name).message is None]
)
def test_every_shipped_mapping_passes(name: str) -> None:
    queries = load_mapping(name, "999000013").queries
    rules = rules_of(SHIPPED_ON[name.split("/")[0]], (), False, False)
    texts = [queries.changed, queries.parent, *(detail.sql for detail in queries.details.values())]
    texts += [partner.sql for partner in queries.partners.values()]

    assert [(text, reason) for text in texts if (reason := refusal(text, rules))] == []


def test_a_statement_is_judged_once() -> None:
    statements.refusal.cache_clear()
    for _ in range(100):
        must_be_allowed("his", "", "SELECT id FROM patient", Rules("mysql"))

    assert statements.refusal.cache_info().misses == 1


def test_deep_nesting_is_refused_and_not_fatal() -> None:
    assert refusal("SELECT " + "(" * 5000 + "1" + ")" * 5000, Rules("postgresql"))
    assert refusal("SELECT '" + "x" * 300_000 + "'", Rules("postgresql"))


@pytest.mark.parametrize("engine", [*ENGINES_WITH_LISTS, "other"])
def test_the_lexer_gives_back_the_text_it_was_given(engine: str) -> None:
    """What it cuts, put together again with the white space between, is the statement."""
    for text in corpus.honest(engine) if engine != "other" else ['SELECT a AS "b" FROM c -- d']:
        at, between = 0, []
        for one in lexemes(text, engine):
            between.append(text[at : one.start])
            assert text[one.start : one.end] == one.text
            at = one.end
        assert not "".join([*between, text[at:]]).strip()


def test_every_way_of_being_ambiguous_says_what_to_write_instead() -> None:
    for text in ("SELECT 'a", "SELECT 1 /* a", "SELECT $$a$$", "SELECT q'[a]'", "SELECT 1;", "SELECT\u3000a"):
        with pytest.raises(Ambiguous) as caught:
            lexemes(text, "mysql")
        assert re.search(r"[a-z]{3,}", str(caught.value))


def test_what_may_never_stand_bare_may_stand_in_texts_and_names() -> None:
    assert refusal('SELECT \'DELETE\' AS "update", "insert" FROM patient', Rules("postgresql")) == ""


@pytest.mark.parametrize(
    ("grammar", "mark"), [("sqlite", "?"), ("postgres", "${}"), ("oracle", ":{}"), ("mysql", "%s")]
)
def test_pages_of_keys_are_judged_as_one_statement(grammar: str, mark: str) -> None:
    rules = rules_of(grammar, (), False, mark == "%s")

    def asked(count: int, more: str = "") -> str:
        marks = ", ".join(mark.format(number) for number in [1, *range(2, count), 9])
        return f"SELECT q.* FROM (SELECT code FROM visit -- all of them\n) q WHERE q.code IN ({marks}{more})"

    statements._refusal.cache_clear()
    assert {refusal(asked(count), rules) for count in (8, 32, 100, 500)} == {""}
    assert statements._refusal.cache_info().misses == 1
    for more in (", evil(1)", ") AND evil(1) IN (1", ", (SELECT evil(1))", ") AND code IN (evil(1)"):
        assert "evil" in refusal(asked(100, more), rules)
    assert refusal(asked(100, "); DROP TABLE visit; SELECT (1"), rules)
    assert refusal(asked(100, ") FOR UPDATE --"), rules)


def test_only_lists_of_parameters_are_shortened() -> None:
    for text in (
        "SELECT evil(?, ?, ?, ?) FROM t",
        "SELECT a FROM t WHERE a IN (?, ?, /* ?, */ ?, ?)",
        "SELECT a FROM t WHERE a IN (?, ?, ?, 1)",
        "SELECT 'IN (?, ?, ?, ?)' AS a FROM t",
        "SELECT a FROM t WHERE a IN (?, ?)",
    ):
        assert statements._with_short_lists(text, lexemes(text, "sqlite")) == text
    text = "SELECT a FROM t WHERE a in( ?,?,\n?, ? ) AND b IN (?, ?, ?)"
    short = "SELECT a FROM t WHERE a in( ?, ? ) AND b IN (?, ?)"
    assert statements._with_short_lists(text, lexemes(text, "sqlite")) == short


def test_what_was_judged_leaves_nothing_behind() -> None:
    """A tree whose children know their parents waits for a collection; a process that reads has few of them."""
    text = "SELECT a, b FROM t WHERE a = 1 AND b IN (SELECT c FROM u WHERE d BETWEEN 1 AND 2)"
    assert refusal(text, Rules("sqlite")) == ""
    gc.collect()
    gc.disable()
    try:
        assert refusal(text.replace("d", "e"), Rules("sqlite")) == ""
        assert not [one for one in gc.get_objects() if isinstance(one, exp.Select | exp.Column)]
        parse_one(text)
        assert [one for one in gc.get_objects() if isinstance(one, exp.Select)]  # what it would have been
    finally:
        gc.enable()

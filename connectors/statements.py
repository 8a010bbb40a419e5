"""The second layer against writing: a statement is sent only when everything in it is on a list. Pure.

    refusal(text, rules) -> "" or the reason

Twice over, by two readers that must agree. `lexing` cuts the text and refuses what servers might cut differently; every
word before a bracket must be a known function of that engine. Then sqlglot reads it, and every node of its tree must be
of a kind that a query needs: one SELECT, with WITH, UNION and subqueries of SELECTs. What neither knows is refused.

What a text cannot show stays with the other layers (the account's grants, the read-only transaction): a view or an
operator that calls a function, PostgreSQL's `row.function`, Oracle's functions without brackets on a table's column.

Statements that our own code makes (the session's preamble, SHOW GRANTS, EXPLAIN) come in by a door of their own, `Own`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from connectors import statement_names as names
from connectors.lexing import Ambiguous, Lexeme, lexemes
from frontend_agent.errors import SourceRefused

GRAMMARS = {
    "postgresql": "postgres",
    "mysql": "mysql",
    "sqlite": "sqlite",
    "sqlserver": "tsql",
    "oracle": "oracle",
    "other": "postgres",  # read by the standard's nearest relative, with the lists of what all engines share
}
MOST_REPEATED = 10_000  # characters that REPEAT, RPAD and their like may be asked for by a number
MOST_COUNTED = 1_000_000  # rows of a series
MOST_ROUNDS = 10_000  # rows that a recursion may count up to


class StatementRefused(SourceRefused):
    """A query holds something that is not on the list of what a query may hold. Nothing was sent."""


class Own(str):
    """A statement that our own code wrote, of constants and quoted names: never a text of a configuration, a pack or a row."""

    __slots__ = ()


class Rules(NamedTuple):
    """By what a source's statements are judged."""

    engine: str  # a key of GRAMMARS; anything else is judged as "other"
    functions: frozenset[str] = frozenset()  # allow_functions of the source: its hospital answers for them
    nolock: bool = False
    formatted: bool = False  # the driver replaces %s and %%


@lru_cache(maxsize=64)
def rules_of(grammar: str, functions: tuple[str, ...], nolock: bool, formatted: bool) -> Rules:
    """The rules of a source. `grammar` is sqlglot's name (`tsql`); one that we have no list for is judged as "other"."""
    engine = next((engine for engine, name in GRAMMARS.items() if name == grammar), "other")
    return Rules(engine, frozenset(name.lower() for name in functions), nolock, formatted)


def must_be_allowed(source: str, query: str, text: str, rules: Rules) -> None:
    """Raise StatementRefused unless the statement may be sent. What was asked before is known: it costs nothing again."""
    if isinstance(text, Own):
        return
    if reason := refusal(text, rules):
        where = f"source {source}" + (f": query {query!r}" if query else "")
        raise StatementRefused(f"{where}: not sent: {reason}")


@lru_cache(maxsize=4096)
def refusal(text: str, rules: Rules) -> str:
    """Why this statement may not be sent; empty when it may."""
    engine = rules.engine if rules.engine in GRAMMARS else "other"
    try:
        text = _formatted(text) if rules.formatted else text
        return _refusal(_with_short_lists(text, lexemes(text, engine)), engine, rules)
    except Ambiguous as reason:
        return str(reason)


def load(grammars: Iterable[str] = GRAMMARS.values()) -> None:
    """What judging takes, before processes are forked that would each load it: the parser, and these grammars of it."""
    for grammar in grammars:
        refusal("SELECT 1", rules_of(grammar, (), False, False))


@lru_cache(maxsize=4096)
def _refusal(text: str, engine: str, rules: Rules) -> str:
    try:
        found = lexemes(text, engine)
        tree = _tree(text, engine, found)
        _judge_words(found, tree, engine, rules)
        _judge_tree(tree, engine, rules)
        _let_go(tree)
    except (Ambiguous, _Refused) as reason:
        return str(reason)
    except RecursionError:
        return "it is nested too deeply"
    return ""


def _let_go(tree: Any) -> None:
    """Children know their parents: left to the next collection, judged trees would fill megabytes of each process."""
    for node in list(tree.walk()):
        node.parent = None


class _Refused(ValueError):
    """The text is the reason."""


def _with_short_lists(text: str, found: Sequence[Lexeme]) -> str:
    """The text with `IN (?, ?, ?, ?)` as `IN (?, ?)`: a page of 500 keys is no other statement than one of 8.

    Nothing but marks, commas and space between them is left out, so all else is judged as it is sent.
    """
    kept, end = [], 0
    for first, last in _lists_of_marks(found):
        kept += [text[end : first.end], ", "]
        end = last.start
    return "".join([*kept, text[end:]])


def _lists_of_marks(found: Sequence[Lexeme]) -> Iterator[tuple[Lexeme, Lexeme]]:
    """The first and the last mark of each `IN (…)` that holds three or more, and nothing else."""
    for place in range(2, len(found)):
        if found[place].kind != "mark" or [one.text.upper() for one in found[place - 2 : place]] != ["IN", "("]:
            continue
        last = place
        while last + 2 < len(found) and found[last + 1].text == "," and found[last + 2].kind == "mark":
            last += 2
        if last > place + 2 and last + 1 < len(found) and found[last + 1].text == ")":
            yield found[place], found[last]


def _formatted(text: str) -> str:
    """As the server gets it from a driver that formats: a parameter where %s stands. Raises Ambiguous."""
    if "%" in text.replace("%%", "").replace("%s", ""):
        raise Ambiguous("it holds a single % where the driver expects %% or %s")
    return re.sub(r"%[s%]", lambda one: "?" if one[0] == "%s" else "%", text)


def tables_in(text: str) -> set[str]:
    """The tables that a query names, as it writes them (`his.visit`); none where it cannot be read."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    for grammar in dict.fromkeys(GRAMMARS.values()):
        try:
            tree = sqlglot.parse_one(text, dialect=grammar)
        except (SqlglotError, RecursionError):
            continue
        within = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        named = [table for table in tree.find_all(exp.Table) if isinstance(table.this, exp.Identifier)]
        return {".".join(part.name for part in table.parts) for table in named if table.name.lower() not in within}
    return set()


# -- by words ---------------------------------------------------------------------------------------------------------


def _judge_words(found: Sequence[Lexeme], tree: Any, engine: str, rules: Rules) -> None:
    words = [one for one in found if one.kind != "comment"]
    for one in found:
        if one.kind == "comment" and one.text.startswith("/*+"):
            _judge_hints(one.text[3:-2])
    if not words or words[0].text.upper() not in ("SELECT", "WITH", "("):
        raise _Refused("it is no SELECT")
    never = names.NEVER | names.NEVER_OF.get(engine, frozenset())
    for place, one in enumerate(words):
        bare = one.text.lower()
        if one.kind == "word" and bare in never and not _is_called(words, place, engine):
            raise _Refused(f"it holds the word {one.text.upper()}: a query only reads")
        if one.kind in ("word", "name") and _unquoted(one).lower() in ("nextval", "currval"):
            raise _Refused("it counts up a sequence (NEXTVAL, CURRVAL)")
        if engine == "oracle" and re.match(r"(dbms|utl|owa|ctx|htp|htf)_", _unquoted(one).lower()):
            called = "".join(_unquoted(part) for part in words[place : place + 3]).lower()
            if called not in names.FUNCTIONS[engine] | rules.functions:
                raise _Refused(f"{one.text} is the name of a package")
    aliases = _places_of_aliases(tree)
    for place, one in enumerate(words):
        if one.text == "(" and one.kind == "sign" and place:
            _judge_call(words, place, aliases, engine, rules)


def _is_called(words: Sequence[Lexeme], place: int, engine: str) -> bool:
    """A function that is called like a word of the list: SQL Server has none; MySQL's INSERT(…) is not on its list either."""
    following = words[place + 1].text if place + 1 < len(words) else ""
    return following == "(" and words[place].text.lower() in names.FUNCTIONS[engine]


def _judge_call(words: Sequence[Lexeme], place: int, aliases: frozenset[int], engine: str, rules: Rules) -> None:
    before = words[place - 1]
    if before.kind not in ("word", "name"):
        return
    if before.start in aliases:
        return
    if engine == "oracle" and [one.text for one in words[place : place + 3]] == ["(", "+", ")"]:
        return  # an outer join
    parts = _chain(words, place - 1)
    name = ".".join(parts).lower()
    dotted = place >= 2 and words[place - 2].text == "."
    if dotted and _is_method(words, place, engine):
        return
    computed = dotted and len(parts) == 1  # a method of a type of the hospital's own, whatever it is called
    if not computed and (name in names.FUNCTIONS[engine] or name in rules.functions):
        return
    if len(parts) == 1 and not dotted and before.kind == "word" and _is_syntax(words, place - 1, engine):
        return
    shown = ".".join(parts)
    raise _Refused(
        f"the function {shown} is not on the list of those that only compute; if the hospital answers for it:"
        f' allow_functions = ["{name}"] in this source\'s table'
    )


def _is_method(words: Sequence[Lexeme], place: int, engine: str) -> bool:
    """SQL Server's methods of an XML value, whose argument is a text that stands there; Oracle's behind a bracket."""
    name, following = words[place - 1], words[place + 1 : place + 2]
    if name.kind != "word" or not following:
        return False
    if engine == "sqlserver":
        return name.text in names.XML_METHODS and following[0].kind == "text"
    behind = place >= 3 and words[place - 3].text == ")"
    return (
        engine == "oracle"
        and behind
        and name.text.lower() in names.ORACLE_XML_METHODS
        and (following[0].kind == "text" or following[0].text == ")")
    )


def _is_syntax(words: Sequence[Lexeme], place: int, engine: str) -> bool:
    """Whether the word there opens its bracket by the grammar of that engine. Few of them are reserved on every engine: where
    an expression begins, `start (1)` calls a function of that name."""
    word = words[place].text.lower()
    if word not in names.SYNTAX | names.SYNTAX_OF[engine] | names.TYPES:
        return False
    before = words[place - 1]
    if word in ("any", "some"):
        return before.text.lower() in names.COMPARING
    if word in names.RESERVED | names.RESERVED_ON[engine]:
        return True
    begins = before.text.lower() in names.BEFORE_EXPRESSIONS if before.kind == "word" else before.kind == "sign"
    begins = begins and before.text not in (")", "]", "::")
    if word == "materialized" and begins:
        return before.text.lower() == "not" and words[place - 2].text.lower() == "as"
    return not begins or (word in names.TYPES and _opened_by(words, place) in ("convert", "try_convert"))


def _opened_by(words: Sequence[Lexeme], place: int) -> str:
    """The word before the bracket in which that place is."""
    depth = 0
    for at in range(place - 1, 0, -1):
        depth += {")": 1, "(": -1}.get(words[at].text if words[at].kind == "sign" else "", 0)
        if depth < 0:
            return words[at - 1].text.lower()
    return ""


def _chain(words: Sequence[Lexeme], place: int) -> list[str]:
    """The name that ends there, with what stands before its dots."""
    parts = [_unquoted(words[place])]
    while place >= 2 and words[place - 1].text == "." and words[place - 2].kind in ("word", "name"):
        place -= 2
        parts.insert(0, _unquoted(words[place]))
    return parts


def _unquoted(one: Lexeme) -> str:
    if one.kind != "name":
        return one.text
    quote = "]" if one.text[0] == "[" else one.text[0]
    return one.text[1:-1].replace(quote * 2, quote)


def _judge_hints(text: str) -> None:
    for hint in re.findall(r"[A-Za-z_]\w*(?=\s*\(|\s|$)", re.sub(r"\([^()]*\)", "()", text)):
        if hint.lower() not in names.HINTS:
            raise _Refused(f"the hint {hint} is not on the list of those that only choose a plan")


# -- by sqlglot's tree -------------------------------------------------------------------------------------------------


def _tree(text: str, engine: str, found: Sequence[Lexeme]) -> Any:
    # Not at the top: it costs a tenth of a second, and asking a daemon or for help needs no query judged.
    import sqlglot
    from sqlglot.errors import ErrorLevel, SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it would write the statement into our log
    dialect = sqlglot.Dialect.get_or_raise(GRAMMARS[engine])
    try:
        if engine == "other":
            text, found = _without_top(text, found)
        for one in found:
            if one.kind == "mark" and one.text[0] == ":":  # Oracle's numbered marks, in a form that sqlglot knows
                text = f"{text[: one.start]}{'?':<{one.end - one.start}}{text[one.end :]}"
        tokens = dialect.tokenize(text)
        _must_agree(text, found, tokens)
        trees = dialect.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens, text)
    except SqlglotError:
        raise _Refused("it is no query that we can read to its end (syntax)") from None
    if len(trees) != 1 or trees[0] is None:
        raise _Refused("one statement, and one alone")
    return trees[0]


def _without_top(text: str, found: Sequence[Lexeme]) -> tuple[str, Sequence[Lexeme]]:
    """Without the `TOP 10` or `FIRST 10` that some engines limit their rows with, and no grammar of all engines has."""
    words = [one for one in found if one.kind != "comment"]
    for select, top, number in zip(words, words[1:], words[2:], strict=False):
        limits = top.kind == "word" and top.text.upper() in ("TOP", "FIRST") and number.kind == "number"
        if limits and select.text.upper() == "SELECT":
            text = text[: top.start] + " " * (number.end - top.start) + text[number.end :]
            found = [one for one in found if one not in (top, number)]
    return text, found


def _must_agree(text: str, found: Sequence[Lexeme], tokens: Sequence[Any]) -> None:
    """Both readers must see the same comments and the same quoted things, or one of them was led astray."""
    covered = bytearray(len(text))
    ends: dict[int, int] = {}
    for token in tokens:
        covered[token.start : token.end + 1] = b"\1" * (token.end + 1 - token.start)
        ends[token.end + 1] = token.start
    for one in found:
        if one.kind == "comment":
            if not one.text.startswith("/*+") and any(covered[one.start : one.end]):
                raise _Refused("a comment stands where it could be read as part of the statement")
        elif not covered[one.start] or not (one.kind == "mark" or covered[one.end - 1]):
            raise _Refused("it could be read in more than one way; write it more plainly")
        if one.kind in ("text", "name") and not one.start - 10 <= ends.get(one.end, -100) <= one.start:
            raise _Refused("a text in it could end in more than one place; write it more plainly")


def _judge_tree(tree: Any, engine: str, rules: Rules) -> None:
    from sqlglot import exp

    if not isinstance(tree, exp.Select | exp.SetOperation | exp.Subquery):
        raise _Refused("it is no SELECT")
    for node in tree.walk():
        kind = type(node).__name__
        if kind in names.NODES or (isinstance(node, exp.Func) and kind not in names.NOT_FUNCTIONS):
            _JUDGES.get(kind, _nothing)(node, engine, rules)
            continue
        raise _Refused(_WHY_NOT.get(kind, f"it holds something that is not on the list ({kind})"))
    if engine in ("oracle", "other"):
        _judge_qualifiers(tree)
    if engine in ("oracle", "other", "postgresql"):
        _judge_xquery(tree)


def _judge_xquery(tree: Any) -> None:
    """An XQuery may open documents and, by `oradb:`, any table."""
    from sqlglot import exp

    for node in tree.find_all(exp.XMLTable, exp.Anonymous):
        if isinstance(node, exp.XMLTable) or node.name.lower() in ("xmlquery", "xmlexists", "xmltable"):
            for text in node.find_all(exp.Literal):
                if text.is_string and re.search(r"\b(doc|doc-available|collection|view)\s*\(|oradb:", text.name, re.I):
                    raise _Refused("an XQuery in it opens documents or tables of its own")


def _nothing(node: Any, engine: str, rules: Rules) -> None:
    """Nothing more to ask of this kind of node."""


_WHY_NOT = {
    "Into": "SELECT … INTO writes",
    "Lock": "FOR UPDATE, FOR SHARE and LOCK IN SHARE MODE lock rows of the hospital",
    "Command": "it is no query that we can read to its end (syntax)",
    "Insert": "INSERT inside of WITH writes",
    "Update": "UPDATE inside of WITH writes",
    "Delete": "DELETE inside of WITH writes",
    "Merge": "MERGE inside of WITH writes",
    "NextValueFor": "NEXT VALUE FOR counts up a sequence",
    "PropertyEQ": "it sets a variable",
    "SessionParameter": "it names a server variable",
}


def _judge_select(node: Any, engine: str, rules: Rules) -> None:
    for modifier in node.args.get("operation_modifiers") or ():
        if str(modifier).upper() not in ("STRAIGHT_JOIN", "SQL_NO_CACHE", "SQL_SMALL_RESULT", "SQL_BIG_RESULT"):
            raise _Refused(f"the modifier {modifier} is not on the list")
    if node.args.get("kind") or not node.expressions:
        raise _Refused("it is no plain SELECT of columns")


def _judge_for(node: Any, engine: str, rules: Rules) -> None:
    if str(node.args.get("kind")).upper() not in ("XML", "JSON"):
        raise _Refused(f"FOR {node.args.get('kind')} is not on the list")


def _judge_cte(node: Any, engine: str, rules: Rules) -> None:
    from sqlglot import exp

    if not isinstance(node.this, exp.Select | exp.SetOperation | exp.Subquery):
        raise _Refused("inside of WITH stands something else than a SELECT")


def _judge_subquery(node: Any, engine: str, rules: Rules) -> None:
    from sqlglot import exp

    inner = node.this
    if isinstance(inner, exp.Table) and not (inner.args.get("joins") or node.args.get("joins")):
        raise _Refused("in brackets stands something else than a SELECT")
    if not isinstance(inner, exp.Select | exp.SetOperation | exp.Subquery | exp.Table | exp.Values):
        raise _Refused("in brackets stands something else than a SELECT")


def _judge_parameter(node: Any, engine: str, rules: Rules) -> None:
    from sqlglot import exp

    if not isinstance(node.this, exp.Literal):
        raise _Refused("it names a variable")


def _judge_table(node: Any, engine: str, rules: Rules) -> None:
    from sqlglot import exp

    if isinstance(node.this, exp.Dot):
        raise _Refused("a name of more than three parts leads to another server")
    parts = [
        part.name.lower() for part in (node.args.get("db"), node.this) if part
    ]  # SQL Server's `his..visit` has no db
    if parts[-1] in names.SECRET_TABLES or ".".join(parts) in names.SECRET_TABLES:
        raise _Refused(f"the table {'.'.join(parts)} holds accounts and passwords")
    if any(node.args.get(key) for key in ("version", "when", "changes")):
        raise _Refused("reading a table as of another time is no part of a query")
    if engine in ("sqlite", "other") and re.match(_MADE, parts[-1]):
        raise _Refused(f"the table {parts[-1]} is made by a function")
    alias = node.args.get("alias")
    named = [alias.name.lower(), *(column.name.lower() for column in alias.columns)] if alias is not None else []
    if engine in ("sqlserver", "other") and not names.ALL_HINTS.isdisjoint(named):
        raise _Refused("a hint is written WITH (…)")


# SQLite's tables without a table: each runs something, or reads files.
_MADE = r"pragma_|sqlite_(dbpage|stmt|memstat)|dbstat|fsdir|zipfile|csv$|bytecode$|tables_used$|completion$|generate_series$"


def _judge_table_hint(node: Any, engine: str, rules: Rules) -> None:
    for hint in node.expressions:
        name = hint.name.lower() if hint.name else str(hint).lower()
        if name in names.DIRTY_HINTS:
            if not rules.nolock:
                raise _Refused(
                    f"the hint {name.upper()} reads what is not committed; where the vendor imposes it say nolock = true"
                    " in this source's table"
                )
        elif name not in names.TABLE_HINTS:
            raise _Refused(f"the hint {name.upper()} locks or skips rows")


def _judge_with(node: Any, engine: str, rules: Rules) -> None:
    """A recursion walks the hospital's own rows, or counts up to a number that is written there."""
    from sqlglot import exp

    for cte in node.expressions:
        own = cte.alias.lower()
        within = cte.this
        if not any(table.name.lower() == own for table in within.find_all(exp.Table)):
            continue
        walked = [table for table in within.find_all(exp.Table) if table.name.lower() != own]
        for part in _parts_of(within):
            of_itself = [table for table in part.find_all(exp.Table) if table.name.lower() == own]
            if not of_itself:
                continue
            joined = any(table in walked for table in part.find_all(exp.Table))
            if not joined and not _is_bounded(part.args.get("where")):
                raise _Refused(f"the recursion {cte.alias} has no end that we can see: WHERE n < {MOST_ROUNDS} at most")


def _parts_of(node: Any) -> Iterator[Any]:
    from sqlglot import exp

    if isinstance(node, exp.SetOperation):
        yield from _parts_of(node.left)
        yield from _parts_of(node.right)
    elif isinstance(node, exp.Subquery):
        yield from _parts_of(node.this)
    else:
        yield node


def _is_bounded(where: Any) -> bool:
    """Whether one of the conditions that must all hold ends a count: a column below a small number, a length or another's
    column; or Oracle's `REGEXP_SUBSTR(…, LEVEL) IS NOT NULL`."""
    from sqlglot import exp

    condition = getattr(where, "this", None)
    conditions = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    return any(_ends(one.unnest()) for one in conditions if isinstance(one, exp.Expression))


def _ends(one: Any) -> bool:
    from sqlglot import exp

    if isinstance(one, exp.Not):
        found = one.this.unnest()
        cut = isinstance(found, exp.Is) and isinstance(found.expression, exp.Null) and found.this
        return bool(cut) and type(cut).__name__ in ("RegexpExtract", "RegexpSubstr") and _counts(cut)
    if not isinstance(one, exp.LT | exp.LTE | exp.GT | exp.GTE):
        return False
    small, large = (one.this, one.expression) if isinstance(one, exp.LT | exp.LTE) else (one.expression, one.this)
    small = small.unnest()
    counted = small.this if isinstance(small, exp.Add) and isinstance(small.expression, exp.Literal) else small
    if not isinstance(counted, exp.Column | exp.Pseudocolumn) or large.find(exp.Mul, exp.Pow, exp.BitwiseLeftShift):
        return False
    if any(column == counted for column in large.find_all(type(counted))):
        return False
    numbers = [number for number in large.find_all(exp.Literal) if not number.is_string]
    return all(number.is_int and int(number.name) <= MOST_ROUNDS for number in numbers)


def _counts(node: Any) -> bool:
    from sqlglot import exp

    return any(column.name.upper() == "LEVEL" for column in node.find_all(exp.Column, exp.Pseudocolumn))


def _judge_connect(node: Any, engine: str, rules: Rules) -> None:
    from sqlglot import exp

    if any(prior.find(exp.Column, exp.Pseudocolumn) for prior in node.find_all(exp.Prior)):
        return
    if not _is_bounded(exp.Where(this=node.args.get("connect"))):
        raise _Refused(f"CONNECT BY without PRIOR needs an end that we can see: LEVEL <= {MOST_ROUNDS} at most")


def _judge_repeated(node: Any, engine: str, rules: Rules) -> None:
    """REPEAT, SPACE, RPAD: a text of a thousand million characters is made by one small number."""
    from sqlglot import exp

    amounts = [
        part
        for key, part in node.args.items()
        if key not in ("this", "fill_pattern") and isinstance(part, exp.Expression)
    ]
    if type(node).__name__ == "Space":
        amounts = [node.this]
    if isinstance(node, exp.Anonymous):
        amounts = list(node.expressions[1:2])
    for amount in amounts:
        for number in amount.find_all(exp.Literal):
            if not (number.name.isdecimal() and int(number.name) <= MOST_REPEATED):
                raise _Refused(f"a text is repeated or filled up to more than {MOST_REPEATED} characters")
        if any(type(part).__name__ not in names.AMOUNTS for part in amount.walk()):
            raise _Refused("how often a text is repeated must be a small number or a length")
    if any(type(inner).__name__ in _REPEATING for inner in node.walk() if inner is not node):
        raise _Refused("a repeated text inside of a repeated text")


_REPEATING = ("Repeat", "Space", "Pad")


def _judge_anonymous(node: Any, engine: str, rules: Rules) -> None:
    if node.name.lower() in ("rpad", "lpad", "repeat", "replicate", "space"):
        _judge_repeated(node, engine, rules)
    if node.name.lower() in ("printf", "format"):
        _judge_format(node, engine, rules)


def _judge_format(node: Any, engine: str, rules: Rules) -> None:
    """SQLite's printf, PostgreSQL's format: a width in the pattern is as good as REPEAT."""
    from sqlglot import exp

    pattern = node.expressions[0] if isinstance(node, exp.Anonymous) and node.expressions else node.this
    text = pattern.name if isinstance(pattern, exp.Literal) else None
    if engine in ("sqlite", "postgresql") and (text is None or "*" in text or re.search(r"\d{5,}", text)):
        raise _Refused("the pattern of format and printf must be a text with widths below 10000")


def _judge_option(node: Any, engine: str, rules: Rules) -> None:
    name = str(getattr(node.this, "name", node.this)).upper()
    allowed = (
        "MAXDOP",
        "RECOMPILE",
        "FAST",
        "XML PATH",
        "XML RAW",
        "XML AUTO",
        "JSON PATH",
        "JSON AUTO",
        "TYPE",
        "ROOT",
        "ELEMENTS",
    )
    known = name in allowed or name.startswith(
        ("XML", "JSON", "PATH", "RAW", "AUTO", "WITHOUT_ARRAY_WRAPPER", "INCLUDE_NULL")
    )
    if not known:
        raise _Refused(f"OPTION ({name}) is not on the list")
    number = node.args.get("expression")
    if name == "MAXDOP" and getattr(number, "name", "") not in ("1", "2"):
        raise _Refused("MAXDOP may be 1 or 2: a guest takes no more")


def _judge_type(node: Any, engine: str, rules: Rules) -> None:
    if str(getattr(node.this, "name", node.this)).upper() in ("USERDEFINED", "USER-DEFINED"):
        raise _Refused("it converts to a type of the hospital's own, whose input function could do anything")


def _judge_qualifiers(tree: Any) -> None:
    """Oracle calls `package.function` without brackets: what stands before a dot must be a table of this query."""
    from sqlglot import exp

    known = {part.alias_or_name.lower() for part in tree.find_all(exp.Table, exp.Subquery, exp.CTE, exp.Lateral)}
    known |= {alias.name.lower() for alias in tree.find_all(exp.TableAlias)}
    known |= {table.name.lower() for table in tree.find_all(exp.Table)}
    for column in tree.find_all(exp.Column):
        before = column.table.lower()
        if before and before not in known:
            raise _Refused(
                f"{column.table}.{column.name} is no column of a table in this query: it could be a function"
            )
    _judge_dual(tree)


_OF_DUAL = frozenset(
    {"sysdate", "systimestamp", "user", "rownum", "level", "dummy", "current_date", "current_timestamp", "uid", "rowid"}
)


def _judge_dual(tree: Any) -> None:
    """DUAL has one column: any other word there is a function."""
    from sqlglot import exp

    for select in tree.find_all(exp.Select):
        tables = [table.name.lower() for table in select.find_all(exp.Table) if table.parent_select is select]
        if tables != ["dual"]:
            continue
        for column in select.find_all(exp.Column):
            mine = column.parent_select is select and not column.table
            if mine and column.name.lower() not in _OF_DUAL and select.parent_select is None:
                raise _Refused(f"{column.name} is no column of DUAL: it could be a function")


def _judge_series(node: Any, engine: str, rules: Rules) -> None:
    from sqlglot import exp

    numbers = [number.name for number in node.find_all(exp.Literal) if re.fullmatch(r"[\d.eE+]+", number.name)]
    if any(float(number) > MOST_COUNTED for number in numbers):
        raise _Refused(f"a series of more than {MOST_COUNTED} rows")


def _judge_limit(node: Any, engine: str, rules: Rules) -> None:
    from sqlglot import exp

    named = [one for one in node.find_all(exp.Identifier, exp.Var) if not isinstance(one.parent, exp.Placeholder)]
    if named or node.find(exp.Column, exp.Select):
        raise _Refused("how many rows are wanted must be a number or a parameter")


_JUDGES = {
    "GenerateSeries": _judge_series,
    "ExplodingGenerateSeries": _judge_series,
    "Limit": _judge_limit,
    "Offset": _judge_limit,
    "Fetch": _judge_limit,
    "Select": _judge_select,
    "ForClause": _judge_for,
    "CTE": _judge_cte,
    "Subquery": _judge_subquery,
    "Parameter": _judge_parameter,
    "Table": _judge_table,
    "WithTableHint": _judge_table_hint,
    "With": _judge_with,
    "Connect": _judge_connect,
    "Repeat": _judge_repeated,
    "Space": _judge_repeated,
    "Pad": _judge_repeated,
    "Anonymous": _judge_anonymous,
    "Format": _judge_format,
    "QueryOption": _judge_option,
    "DataType": _judge_type,
}


def _places_of_aliases(tree: Any) -> frozenset[int]:
    """Where names stand that may have a bracket after them: `WITH t (a, b) AS`, `AS q (a, b)`, `IN ix (…)` of a hint."""
    from sqlglot import exp

    places: set[int] = set()
    for alias in tree.find_all(exp.TableAlias):
        if alias.this is not None and alias.args.get("columns"):
            start = alias.this.meta.get("start")
            if isinstance(start, int):
                places.add(start)
    return frozenset(places)

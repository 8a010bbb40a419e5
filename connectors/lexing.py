"""Cutting a statement into words, texts and signs, and refusing what two lexers could cut differently. Pure.

A guard that reads a statement otherwise than the server does guards nothing: a comment that nests on one side, a
backslash that ends a text on the other, and half of the statement is invisible to one of them. So whatever engines or
their settings are known to disagree on is refused here, with the sentence that says how to write it instead.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 200_000  # characters of one statement; ours have a few thousand


class Ambiguous(ValueError):
    """This could be read in more than one way. The text says where, and what to write instead."""


class Lexeme(NamedTuple):
    """`kind` is word, name (a quoted identifier), text (a literal), number, mark (a parameter), sign or comment."""

    kind: str
    text: str
    start: int
    end: int  # exclusive


class Ways(NamedTuple):
    """How an engine cuts its statements."""

    backslash: bool = False  # a backslash before the closing quote may or may not end a text there
    hash_comment: bool = False
    dashes_need_space: bool = False
    brackets: bool = False  # [name]
    backtick: bool = False
    dollar_marks: bool = False  # $1
    colon_marks: bool = False  # :1
    in_words: str = "$"
    subscripts: bool = False  # a[1]
    at: bool = False  # operators with an @
    hints: bool = False  # /*+ … */ may stand, the caller looks into it


WAYS = {
    "postgresql": Ways(backslash=True, dollar_marks=True, subscripts=True, at=True),
    "mysql": Ways(backslash=True, hash_comment=True, dashes_need_space=True, backtick=True),
    "sqlite": Ways(brackets=True, backtick=True),
    "sqlserver": Ways(brackets=True, in_words="$#"),
    "oracle": Ways(colon_marks=True, in_words="$#", hints=True),
    # Of an engine we do not know only what all engines agree on.
    "other": Ways(backslash=True, dashes_need_space=True, in_words=""),
}

# Invisible or turning characters: what a person reads is not what is sent.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
# A narrower character set on the way turns these into ' or ".
_LIKE_QUOTES = re.compile("[\u02b9-\u02bd\u02c8\u02ca\u02cb\u02ee\u2032\u2033\u2035\u2036\uff02\uff07\uff40]")
_WIDE_SPACE = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_MARK = re.compile(r"[$:]\d+|\?")
_TYPED = frozenset({"N", "X", "B", "DATE", "TIME", "TIMESTAMP", "INTERVAL"})  # may stand right before a text
_SIGNS = re.compile(r"::|<=|>=|<>|!=|\|\||->>|->|=>|[-+*/%=<>(),.!~^&|?:\[\]#]")


def lexemes(text: str, engine: str) -> list[Lexeme]:
    """The statement's lexemes in order, comments among them. Raises Ambiguous."""
    ways = WAYS[engine]
    _refuse_characters(text)
    found: list[Lexeme] = []
    place = 0
    while place < len(text):
        if text[place] in " \t\r\n":
            place += 1
            continue
        one = _next(text, place, ways)
        _refuse_neighbours(found, one)
        found.append(one)
        place = one.end
    return found


def _refuse_characters(text: str) -> None:
    if len(text) > LONGEST:
        raise Ambiguous(f"it is longer than {LONGEST} characters")
    if found := _UNSEEN.search(text):
        raise Ambiguous(f"it holds an invisible or control character (U+{ord(found[0]):04X}); remove it")
    if re.search(r"\r(?!\n)", text):
        raise Ambiguous("it holds a carriage return that ends no line; save the file with ordinary line ends")
    if found := _LIKE_QUOTES.search(text):
        raise Ambiguous(f"it holds a character that may become a quote on the way (U+{ord(found[0]):04X})")


def _next(text: str, place: int, ways: Ways) -> Lexeme:
    character, pair = text[place], text[place : place + 2]
    if pair == "--" or (ways.hash_comment and character == "#"):
        return _line_comment(text, place, ways)
    if pair == "/*":
        return _block_comment(text, place, ways)
    if pair in ("*/", ":="):
        raise Ambiguous(f"it holds {pair!r}")
    if character in "'\"":
        return _quoted(text, place, character, "text" if character == "'" else "name", ways.backslash)
    if character == "`" and ways.backtick:
        return _quoted(text, place, "`", "name", False)
    if character == "[" and ways.brackets:
        return _quoted(text, place, "]", "name", False)
    if character.isalpha() or character == "_":
        return _word(text, place, ways)
    return _sign(text, place, ways)


def _line_comment(text: str, place: int, ways: Ways) -> Lexeme:
    if text[place] == "-" and ways.dashes_need_space and text[place + 2 : place + 3].strip():
        raise Ambiguous("-- begins a comment on some servers only when a space follows; write '-- '")
    if text[place] == "-" and text[place + 2 : place + 3] == "+":
        raise Ambiguous("--+ is a hint on some servers; write '-- '")
    end = text.find("\n", place)
    end = len(text) if end < 0 else end
    return Lexeme("comment", text[place:end], place, end)


def _block_comment(text: str, place: int, ways: Ways) -> Lexeme:
    end = text.find("*/", place + 2)
    if end < 0:
        raise Ambiguous("a comment does not end")
    inside = text[place + 2 : end]
    if inside.startswith(("!", "M!")):
        raise Ambiguous("/*! … */ is run by MySQL and MariaDB; leave it out")
    if inside.startswith("+") and not ways.hints:
        raise Ambiguous("/*+ … */ changes how the server runs it; leave the hint out")
    if "/*" in inside or inside.endswith("/"):
        raise Ambiguous("a comment inside of a comment ends in different places on different servers")
    return Lexeme("comment", text[place : end + 2], place, end + 2)


def _quoted(text: str, place: int, close: str, kind: str, backslash: bool) -> Lexeme:
    at = place + 1
    while True:
        at = text.find(close, at)
        if at < 0:
            raise Ambiguous("a text or a quoted name does not end")
        before = at
        while before > place + 1 and text[before - 1] == "\\":
            before -= 1
        if backslash and (at - before) % 2:
            raise Ambiguous(
                "a backslash before a quote ends the text on some servers and not on others; use CHR or CHAR"
            )
        if text[at + 1 : at + 2] != close:
            break
        at += 2
    if kind == "name" and at == place + 1:
        raise Ambiguous("a quoted name is empty")
    return Lexeme(kind, text[place : at + 1], place, at + 1)


def _word(text: str, place: int, ways: Ways) -> Lexeme:
    end = place + 1
    while end < len(text) and (text[end].isalnum() or text[end] == "_" or text[end] in ways.in_words):
        end += 1
    word = text[place:end]
    if text[end : end + 1] == "'" and word.upper() not in _TYPED:
        raise Ambiguous(f"{word}'…' is a text with rules of its own; write '…' alone")
    if word.upper() == "U" and re.match(r"&['\"]", text[end : end + 2]):
        raise Ambiguous("U&'…' is a text with rules of its own; write '…' alone")
    return Lexeme("word", word, place, end)


def _sign(text: str, place: int, ways: Ways) -> Lexeme:
    if _WIDE_SPACE.match(text, place):
        raise Ambiguous("it holds a wide space outside of texts; write an ordinary one (全角空格)")
    if found := _NUMBER.match(text, place):
        after = text[found.end() : found.end() + 1]
        if after.isalnum() or after == "_":
            raise Ambiguous("a number runs into a word; put a space between them")
        return Lexeme("number", found[0], place, found.end())
    marks = "?" + "$" * ways.dollar_marks + ":" * ways.colon_marks
    if text[place] in marks and (found := _MARK.match(text, place)):
        return Lexeme("mark", found[0], place, found.end())
    if ways.at and (found := re.compile(r"@>|<@|@@|#>>|#>").match(text, place)):
        return Lexeme("sign", found[0], place, found.end())
    if found := _SIGNS.match(text, place):
        if found[0] == "#" and "#" not in ways.in_words and not ways.at:
            raise Ambiguous("it holds '#'")
        if found[0] in "[]" and not ways.subscripts:
            raise Ambiguous("[ and ] quote names on some servers only; use double quotes")
        return Lexeme("sign", found[0], place, found.end())
    raise Ambiguous(_SAID.get(text[place], f"it holds the character {text[place]!r} outside of a text"))


_SAID = {
    ";": "it holds ';': one statement, and one alone",
    "$": "$…$ is a text on some servers only; write '…'",
    "@": "it holds '@': variables and remote tables are no part of a query",
    "`": "` quotes names on some servers only; use double quotes",
    "\\": "it holds a backslash outside of a text",
    "{": "it holds '{': ODBC's escapes are no part of a query",
}


def _refuse_neighbours(found: list[Lexeme], one: Lexeme) -> None:
    """Two quoted things that touch: a doubled quote to one lexer, two texts to another."""
    if not found or found[-1].end != one.start:
        return
    if found[-1].kind in ("text", "name") and one.kind in ("text", "name", "word", "number"):
        raise Ambiguous("a text or quoted name runs into the next word; put a space between them")

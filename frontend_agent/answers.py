"""What a foreign platform's answer means, by settings. Takes values, returns values.

A 200 is not an acknowledgement: what stands in the answer is. A pattern is one line:

    status 2xx                                  the HTTP status: 200, 2xx, 200|202
    xml //acknowledgement/@typeCode = AA|CA     the whole text at a path agrees with a regular expression
    json $.code = 0
    hl7 MSA-1 = AA|CA
    json $.data.id                              the path leads to a text that is not empty
    text 成功|success                           the regular expression is found anywhere in the text
    status 2xx and json $.code = 0              all of them

Of several patterns any one does. A failure is looked for first, then a wish to be asked again, then a success: a refusal
inside a friendly answer is a refusal. What matches nothing is no answer: nobody guesses, neither yes nor no.

Answers are hostile until read: at most so many bytes, one safe XML parser, strict code pages, bounded paths, short reasons.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from frontend_agent.config_answers import AnswerConfig
from frontend_agent.er7 import MessageUnreadable, field_path, read
from frontend_agent.errors import ConfigurationError
from frontend_agent.model import Outcome
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import compile_path, json_tree, xml_tree, xml_value

LARGEST = 1 << 20  # bytes of an answer that are read
LARGEST_TEXT = 1 << 16  # characters in which a regular expression is looked for
LARGEST_VALUE = 4_096  # characters of a value that it is held against
LONGEST_REASON = 300
MOST_REASONS = 20

_PATTERN = re.compile(r"(?P<where>status|xml|json|hl7|text)\s+(?P<rest>\S.*)", re.DOTALL)
_STATUS = re.compile(r"[1-5](?:\d\d|xx)(?:\|[1-5](?:\d\d|xx))*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_AND = re.compile(r"\s+and\s+(?=(?:status|xml|json|hl7|text)\s)")


class Answered(NamedTuple):
    """What one answer means. `outcome` is None where no pattern matches: what then, its edge decides by the protocol."""

    outcome: Outcome | None
    reasons: tuple[str, ...] = ()


class _Body:
    """One answer, each way of reading it tried once."""

    def __init__(self, status: int, body: bytes, charset: str) -> None:
        self.status = status
        self._body = body
        self._charset = charset
        self._trees: dict[str, Any] = {}

    def tree(self, where: str) -> Any:
        """The tree of that reader; None where the answer is none such."""
        if where not in self._trees:
            try:
                self._trees[where] = _TREES[where](self)
            except (Unreadable, MessageUnreadable, UnicodeError, LookupError, ValueError, RecursionError):
                self._trees[where] = None
        return self._trees[where]

    def xml(self) -> Any:
        # Its own declaration counts; where the carrier says another charset, the carrier has recoded it (RFC 7303 §3).
        return xml_tree(self.text() if self._charset else self._body, LARGEST)

    def json(self) -> Any:
        return json_tree(self.text())

    def hl7(self) -> Any:
        return read(self.text().strip("\x0b\x1c\r\n ") + "\r")

    def text(self) -> str:
        name = self._charset.lower()
        codec = "gb18030" if name in ("gb2312", "gbk", "gb18030") else name or "utf-8"
        return self._body.decode(codec).removeprefix("\ufeff")


_TREES: dict[str, Callable[[_Body], Any]] = {
    "xml": _Body.xml,
    "json": _Body.json,
    "hl7": _Body.hl7,
    "text": _Body.text,
}
Test = Callable[[_Body], bool]
Find = Callable[[_Body], list[str]]


@dataclass(frozen=True)
class Patterns:
    """Compiled: `read` says what an answer means."""

    success: Sequence[Test]
    failure: Sequence[Test]
    retry: Sequence[Test]
    reasons: Sequence[Find]
    charset: str = field(default="")

    def read(self, status: int, body: bytes, charset: str = "") -> Answered:
        """`status`: of HTTP, 0 where there is none. `charset`: as the carrier says it, empty where it does not."""
        if len(body) > LARGEST:
            return Answered(None, (f"an answer of {len(body):,} bytes is not read",))
        seen = _Body(status, body, charset or self.charset)
        for outcome, tests in (
            (Outcome.REFUSED, self.failure),
            (Outcome.RETRY, self.retry),
            (Outcome.ACCEPTED, self.success),
        ):
            if any(test(seen) for test in tests):
                told = self._reasons(seen) if outcome is not Outcome.ACCEPTED else ()
                return Answered(outcome, told)
        return Answered(None, (f"no pattern of [answer] matches: {_described(status, body)}", *self._reasons(seen)))

    def _reasons(self, seen: _Body) -> tuple[str, ...]:
        found = (short(reason) for find in self.reasons for reason in find(seen))
        return tuple(dict.fromkeys(reason for reason in found if reason))[:MOST_REASONS]


def compile_patterns(config: AnswerConfig, usual: AnswerConfig | None = None) -> Patterns:
    """The settings, and where they say nothing those of the dialect. ConfigurationError names the pattern and the mend."""
    usual = usual or AnswerConfig()
    return Patterns(
        success=_tests("success", config.success or usual.success),
        failure=_tests("failure", config.failure or usual.failure),
        retry=_tests("retry", config.retry or usual.retry),
        reasons=[_find(one) for one in (config.reason or usual.reason)],
        charset=_codec(config.charset or usual.charset),
    )


def problems(config: AnswerConfig) -> Iterable[str]:
    """Everything that is wrong with the patterns of a table."""
    for name in ("success", "failure", "retry"):
        for text in getattr(config, name):
            try:
                _test(text)
            except ConfigurationError as error:
                yield f"{name}: {error}"
    for text in config.reason:
        try:
            _find(text)
        except ConfigurationError as error:
            yield f"reason: {error}"
    try:
        _codec(config.charset)
    except ConfigurationError as error:
        yield str(error)


# What the dialects say by themselves; a destination's own patterns take their place, each kind of pattern by itself.
HL7_V2 = AnswerConfig(
    success=("hl7 MSA-1 = AA|CA",),
    failure=("hl7 MSA-1 = AE|AR|CE|CR",),
    reason=("hl7 ERR-8", "hl7 ERR-7", "hl7 MSA-3"),
)
HL7_V3 = (
    AnswerConfig(  # exchange.md §2: there is no list of error codes, and interaction ids in answers are often wrong
        success=("xml //acknowledgement/@typeCode = AA|CA",),
        failure=("xml //acknowledgement/@typeCode = AE|AR|CE|CR",),
        reason=("xml //acknowledgementDetail/text/@value", "xml //acknowledgementDetail/text"),
    )
)
REST = AnswerConfig(retry=("status 408|429|503",))  # what is a yes there, only its interface description can say


def finder(text: str) -> Callable[[int, bytes, str], list[str]]:
    """What stands at a path (`json $.data.token`) of an answer: its status, bytes and charset are given."""
    find = _find(text)
    return lambda status, body, charset: [] if len(body) > LARGEST else find(_Body(status, body, charset))


def walker(text: str) -> Callable[[bytes, str], list[bytes]]:
    """The parts of a JSON answer at a path (`json $.results[*]`), each as JSON of its own."""
    where, path = _where(text)
    if where != "json":
        raise ConfigurationError(f"{text!r}: parts of an answer are named by a JSON path (json $.results[*])")
    walk = compile_path("json", path)

    def parts(body: bytes, charset: str) -> list[bytes]:
        tree = None if len(body) > LARGEST else _Body(0, body, charset).tree("json")
        try:
            return [] if tree is None else [json.dumps(node, default=str).encode() for node in walk(tree)]
        except Unreadable:
            return []

    return parts


# --- patterns ---------------------------------------------------------------------------------------------------------


def _tests(name: str, texts: Sequence[str]) -> list[Test]:
    try:
        return [_test(text) for text in texts]
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def _test(text: str) -> Test:
    parts = [_one(part) for part in _AND.split(text.strip())]
    return lambda seen: all(part(seen) for part in parts)


def _one(text: str) -> Test:
    where, rest = _where(text)
    if where == "status":
        if not _STATUS.fullmatch(rest):
            raise ConfigurationError(f"{text!r}: a status is like 200, 2xx or 200|202")
        wanted = re.compile(rest.replace("x", r"\d"))
        return lambda seen: wanted.fullmatch(str(seen.status)) is not None
    if where == "text":
        looked_for = _expression(rest, text)
        return lambda seen: looked_for.search(_text(seen)) is not None
    path, _, expected = (part.strip() for part in _equals(rest))
    find = _values(where, path, text)
    agrees = _expression(expected, text) if expected else None
    if agrees is None:
        return lambda seen: any(value.strip() for value in find(seen))
    return lambda seen: any(agrees.fullmatch(value.strip()) for value in find(seen) if len(value) <= LARGEST_VALUE)


def _find(text: str) -> Find:
    """Where reasons stand: a path, or an expression whose first group (or all of it) is the reason."""
    where, rest = _where(text)
    if where == "status":
        raise ConfigurationError(f"{text!r}: a status is no reason; name a path")
    if where == "text":
        looked_for = _expression(rest, text)
        return lambda seen: [
            match[1] or "" if looked_for.groups else match[0] for match in looked_for.finditer(_text(seen))
        ]
    return _values(where, rest, text)


def _where(text: str) -> tuple[str, str]:
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(
            f"{text!r} is no pattern (like: status 2xx · json $.code = 0 · xml //a/@b = AA · hl7 MSA-1 = AA · text 成功)"
        )
    return match["where"], match["rest"].strip()


def _equals(rest: str) -> tuple[str, str, str]:
    """The path and the expression around ` = `: within brackets it is the path's own."""
    depth = 0
    for place, character in enumerate(rest):
        depth += (character == "[") - (character == "]")
        if character == "=" and not depth:
            return rest[:place], "=", rest[place + 1 :]
    return rest, "", ""


def _values(where: str, path: str, text: str) -> Find:
    if where == "hl7":
        try:
            compiled = field_path(path)
        except (ConfigurationError, ValueError) as error:
            raise ConfigurationError(f"{text!r}: {error}") from None
        return lambda seen: _found(seen, "hl7", lambda tree: tree.values(compiled))
    try:
        walk = compile_path(where, path)
    except ConfigurationError as error:
        raise ConfigurationError(f"{text!r}: {error}") from None
    value = xml_value if where == "xml" else _json_text
    return lambda seen: _found(seen, where, lambda tree: [value(node) for node in walk(tree)])


def _found(seen: _Body, where: str, find: Callable[[Any], list[str]]) -> list[str]:
    tree = seen.tree(where)
    if tree is None:
        return []
    try:
        return find(tree)
    except (Unreadable, MessageUnreadable, ValueError):
        return []


def _json_text(node: Any) -> str:
    """A plain value as its text: `0`, `true`, `成功`; nothing for null, a list or an object."""
    if isinstance(node, bool):
        return "true" if node else "false"
    return "" if node is None or isinstance(node, dict | list) else str(node)


def _text(seen: _Body) -> str:
    return (seen.tree("text") or "")[:LARGEST_TEXT]


def _expression(text: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ConfigurationError(f"{pattern!r}: not a regular expression: {error}") from None


def _codec(charset: str) -> str:
    try:
        "".encode(charset or "utf-8")
    except LookupError:
        raise ConfigurationError(f"charset {charset!r}: there is no such code page (UTF-8, GB18030, …)") from None
    return charset


# --- words ------------------------------------------------------------------------------------------------------------


def short(reason: str) -> str:
    """A reason for a person: one line, not endless."""
    line = _CONTROL.sub(" ", reason).strip()
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def _described(status: int, body: bytes) -> str:
    """What can be told of an answer without quoting it."""
    looks = "XML" if body.lstrip()[:1] == b"<" else "JSON" if body.lstrip()[:1] in (b"{", b"[") else "text"
    said = f"{len(body):,} bytes of {looks}" if body else "an empty answer"
    return f"status {status}, {said}" if status else said

"""What a region says in files of what it accepted: each answer's document, verdict and reasons, by the paths of the settings.

b"documentId,result,reason\\n…"  ─▶  Heard(answers by number, what cannot be understood)
"""

from collections.abc import Callable, Sequence

import msgspec

from connectors.folders.naming import Named
from connectors.folders.reasons import FileRefused, Reason, reason
from frontend_agent.config_files import FeedbackConfig
from frontend_agent.er7 import MessageUnreadable
from frontend_agent.errors import ConfigurationError
from frontend_agent.messages.formats import Node, Opened, Options, format_of
from frontend_agent.reading.errors import Unreadable

ANY = "*"
MOST_TOLD = 50
LONGEST_REASON = 300


class Answer(msgspec.Struct, frozen=True):
    """What is said of one document. `number`: the how-manieth of its file, from 1."""

    number: int
    document_id: str
    stored: bool
    again: bool = False
    reasons: tuple[str, ...] = ()


class Answers(msgspec.Struct, frozen=True):
    """One file. `problems`: what is said in it and could not be understood."""

    answers: tuple[Answer, ...]
    problems: tuple[Reason, ...] = ()


Read = Callable[[bytes], Answers]


def compile_feedback(name: str, settings: FeedbackConfig, template: str = "") -> Read:
    """What reads a destination's files of feedback. `template`: of the names of files that we lay down there, if we do.

    It raises FileRefused for what is no such file at all. ConfigurationError: a path that is none.
    """
    where = f"destinations.{name}.feedback"
    options = Options(settings.charset, settings.delimiter, settings.sheet, settings.inside)
    format_ = format_of(settings.format, options)
    for key, path in (
        ("document", settings.document),
        ("verdict", settings.verdict),
        ("inside", settings.inside),
        *(("reasons", path) for path in settings.reasons),
    ):
        if path:
            format_.check_path(path, f"{where}: {key}")
    if settings.each:
        format_.check_each(settings.each, f"{where}: each")
    if len(settings.delimiter) != 1:
        raise ConfigurationError(f"{where}: delimiter must be one character")
    named = Named(template) if template else None

    def read(content: bytes) -> Answers:
        try:
            return _Reading(format_.read(content), settings, named).answers()
        except (MessageUnreadable, Unreadable) as error:
            reasons = error.reasons if isinstance(error, MessageUnreadable) else (str(error),)
            raise FileRefused(*(reason("unreadable", one) for one in reasons)) from None

    return read


class _Reading:
    """One file while it is read."""

    def __init__(self, opened: Opened, settings: FeedbackConfig, named: Named | None) -> None:
        self._opened, self._settings, self._named = opened, settings, named
        self._problems: list[Reason] = []

    def answers(self) -> Answers:
        document = self._opened.values(self._settings.document)
        verdict = self._opened.values(self._settings.verdict) if self._settings.verdict else None
        reasons = [self._opened.values(path) for path in self._settings.reasons]
        nodes = self._opened.records(self._settings.each)
        if not nodes:
            raise FileRefused(reason("no_answers"))
        found: dict[str, Answer] = {}
        disputed: set[str] = set()
        for number, node in enumerate(nodes, 1):
            name = self._document(_one(document(node)))
            if not name:
                self._problem("no_document", number)
                continue
            said = self._said(_one(verdict(node)) if verdict is not None else ANY)
            if said is None:
                self._problem("no_verdict", number)
                continue
            answer = Answer(number, name, said[0], said[1], tuple(_texts(reasons, node)))
            earlier = found.setdefault(name, answer)
            if (earlier.stored, earlier.again) != (answer.stored, answer.again):
                self._problem("two_verdicts", number)
                disputed.add(name)
        kept = tuple(answer for name, answer in found.items() if name not in disputed)
        return Answers(kept, tuple(self._problems[:MOST_TOLD]))

    def _document(self, text: str) -> str:
        """An id as it is, or the one in the name of a file of ours."""
        return (self._named.document_id(text) if self._named is not None else "") or text

    def _said(self, verdict: str) -> tuple[bool, bool] | None:
        """(stored, again); None for a verdict that the settings do not know."""
        settings = self._settings
        for values, said in (
            (settings.accepted, (True, False)),
            (settings.rejected, (False, False)),
            (settings.again, (False, True)),
        ):
            if verdict in values:
                return said
        for values, said in (
            (settings.accepted, (True, False)),
            (settings.rejected, (False, False)),
            (settings.again, (False, True)),
        ):
            if ANY in values and verdict:
                return said
        return None

    def _problem(self, word: str, number: int) -> None:
        self._problems.append(reason(word, number))


def _one(values: Sequence[object]) -> str:
    return str(values[0]).strip() if values else ""


def _texts(reasons: Sequence[Callable[[Node], Sequence[object]]], node: Node) -> list[str]:
    return [str(value).strip()[:LONGEST_REASON] for values in reasons for value in values(node) if str(value).strip()]

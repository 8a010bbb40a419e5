"""Texts that mean "empty" (R-CO-4): they count as absent, except where the profile lists them as an answer."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from frontend_agent.conversion import PLACEHOLDERS
from frontend_agent.model import FACT, Record
from frontend_agent.records import texts_of


class Answering(Protocol):
    """An element that knows which placeholders are answers to it."""

    @property
    def answers(self) -> frozenset[str]: ...


def without_placeholders(elements: Mapping[str, Answering], record: Record) -> tuple[Record, dict[str, str]]:
    """The record without the texts that mean "empty", and what was left out: path -> text.

    Rows keep their places, so that a path names the same row as in the source.
    """
    if PLACEHOLDERS.isdisjoint(texts_of(record)):
        return record, {}
    left_out = dict(_placeholders(elements, record))
    if not left_out:  # all of them are answers
        return record, {}
    kept: Record = {}
    for name, value in record.items():
        if not isinstance(value, str):
            kept[name] = [
                {key: text for key, text in row.items() if f"{name}[{at}].{key}" not in left_out}
                for at, row in enumerate(value)
            ]
        elif name not in left_out:
            kept[name] = value
    return kept, left_out


def _placeholders(elements: Mapping[str, Answering], record: Record) -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, str):
            if value in PLACEHOLDERS and not name.startswith(FACT) and not _answers(elements, name, value):
                yield name, value
            continue
        for at, row in enumerate(value):
            for key, text in row.items():
                if text in PLACEHOLDERS and not _answers(elements, f"{name}.{key}", text):
                    yield f"{name}[{at}].{key}", text


def _answers(elements: Mapping[str, Answering], name: str, text: str) -> bool:
    return name in elements and text in elements[name].answers

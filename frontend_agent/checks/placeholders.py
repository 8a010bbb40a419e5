"""Texts that mean "empty" (R-CO-4): they count as absent, except where the profile lists them as an answer."""

from collections.abc import Mapping
from typing import Protocol

from frontend_agent.conversion import PLACEHOLDERS
from frontend_agent.model import FACT, Record


class Answering(Protocol):
    """An element that knows which placeholders are answers to it."""

    @property
    def answers(self) -> frozenset[str]: ...


def texts_of(record: Record) -> list[str]:
    """All texts of a record, facts included."""
    texts: list[str] = []
    for value in record.values():
        if value.__class__ is str:
            texts.append(value)
        else:
            for row in value:
                texts += row.values()
    return texts


def without_placeholders(elements: Mapping[str, Answering], record: Record) -> tuple[Record, dict[str, str]]:
    """The record without the texts that mean "empty", and what was left out: path -> text.

    Rows keep their places, so that a path names the same row as in the source.
    """
    if PLACEHOLDERS.isdisjoint(texts_of(record)):
        return record, {}
    left_out: dict[str, str] = {}
    kept: Record = {}
    for name, value in record.items():
        if isinstance(value, str):
            if _is_placeholder(elements.get(name), name, value):
                left_out[name] = value
            else:
                kept[name] = value
            continue
        rows = kept[name] = []
        for at, row in enumerate(value):
            clean = {}
            for key, text in row.items():
                if _is_placeholder(elements.get(f"{name}.{key}"), name, text):
                    left_out[f"{name}[{at}].{key}"] = text
                else:
                    clean[key] = text
            rows.append(clean)
    return kept, left_out


def _is_placeholder(element: Answering | None, name: str, text: str) -> bool:
    return text in PLACEHOLDERS and not name.startswith(FACT) and (element is None or text not in element.answers)

"""Where in a message its id stands: the paths that mappings use, too."""

from collections.abc import Callable, Sequence
from typing import Any

from frontend_agent.reading import Unreadable, compile_path
from frontend_agent.reading.trees import json_value, xml_value


def first_text(reader: str, texts: Sequence[str]) -> Callable[[Any], str]:
    """The first text that one of these paths finds in a tree of `xml` or `json`; empty where none does."""
    paths = [compile_path(reader, text) for text in texts]
    value = json_value if reader == "json" else xml_value

    def first(tree: Any) -> str:
        for path in paths:
            try:
                found = [str(value(one) if value(one) is not None else "").strip() for one in path(tree)]
            except Unreadable:  # a path that leads to a table or a list names nothing
                continue
            if any(found):
                return next(text for text in found if text)
        return ""

    return first

"""What mkdocs asks while it makes one language: the way to the same page in the other, and words of Chinese text for the search."""

import sys
from types import SimpleNamespace
from typing import Any

import rjieba

NAMES = {"zh": "简体中文", "en": "English"}


def on_config(config: Any) -> Any:
    """The theme's search asks a module called jieba for words, which has no wheels; rjieba is the same in Rust."""
    words = SimpleNamespace(cut=lambda text: rjieba.cut(text.decode() if isinstance(text, bytes) else text))
    sys.modules["material.plugins.search.plugin"].jieba = words  # type: ignore[attr-defined]
    return config


def on_page_context(context: Any, page: Any, config: Any, nav: Any) -> Any:
    """The switch of languages leads to this page, not to the first one."""
    config.extra["alternate"] = [
        {"name": name, "lang": lang, "link": f"../{lang}/{page.url}"} for lang, name in NAMES.items()
    ]
    return context

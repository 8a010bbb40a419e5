"""The words of the platform's pages: both languages have the same, and each is used."""

import re
import tomllib
from pathlib import Path

PLATFORM = Path(__file__).resolve().parents[2] / "frontend_agent" / "platform"
MADE = ("loinc_", "kind_", "key_", "fleet_upgrade_")  # named by what a document, a study or a heartbeat says


def test_both_languages_have_every_word_and_each_is_used() -> None:
    words = tomllib.loads((PLATFORM / "texts.toml").read_text("utf-8"))
    assert words["zh"].keys() == words["en"].keys()
    files = [*PLATFORM.rglob("*.py"), *(PLATFORM / "templates").rglob("*.html")]
    sources = "\n".join(path.read_text("utf-8") for path in files if "ohif" not in path.parts)
    used = set(re.findall(r"\w[\w-]*", sources))
    assert [word for word in words["zh"] if word not in used and not word.startswith(MADE)] == []

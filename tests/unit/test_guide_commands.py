"""What the documentation tells people to type can be typed: in every page and language, each command and option is one of ours, and
nothing it needs lacks. What the commands do is in tests/integration/test_guides.py."""

import re
from pathlib import Path

import pytest

from tests.guide_kit import PROGRAM, blocks, mentioned, name_of, pages, parsed, typed

PAGES = pages()


def problems(lines: list[str], forgiven: tuple[str, ...] = ()) -> list[str]:
    found = []
    for line in dict.fromkeys(lines):
        try:
            parsed(line)
        except Exception as problem:  # noqa: BLE001 - all of a page at once
            if type(problem).__name__ not in forgiven:
                found.append(f"{line}: {getattr(problem, 'message', '') or problem!r}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_to_be_typed_can_be(page: Path) -> None:
    assert problems(typed(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_is_named_is_there(page: Path) -> None:
    assert problems(mentioned(page), ("MissingParameter", "NoArgsIsHelpError")) == []  # what it needs may be left out


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_block_with_commands_says_that_it_is_one(page: Path) -> None:
    """So that nothing is overlooked: what is no shell holds no command at the beginning of a line."""
    for block in blocks(page):
        if not block.is_shell:
            assert not re.search(
                r"^ *(\$ |sudo )?(frontend-agent|curl|systemctl|apt|\./) ", block.text, re.MULTILINE
            ), block


@pytest.mark.parametrize(
    "line", ["images lst", "images list --held", "images backfill begin --from 2020-01-01", "platform studies want"]
)
def test_what_cannot_be_typed_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"No such|Missing"):
        parsed(f"{PROGRAM} {line}")


def test_commands_are_found_in_the_guides() -> None:
    assert sum(len(typed(page)) for page in PAGES) > 200
    assert sum(len(mentioned(page)) for page in PAGES) > 100

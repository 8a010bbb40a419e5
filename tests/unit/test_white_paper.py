"""The white paper, in both languages: every claim is in the table of proofs, and every page, threat and test named there is there."""

import re
from pathlib import Path

import pytest

from tests.unit.test_threats import names_in, rows

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = {"zh": GUIDE / "white-paper.md", "en": GUIDE / "white-paper.en.md"}
LINE = re.compile(r"^\| (S\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
LEVEL_THREE = (
    "身份鉴别", "访问控制", "安全审计", "入侵防范", "恶意代码防范", "数据完整性", "数据保密性", "备份恢复", "剩余信息保护",
    "个人信息保护",
)  # fmt: skip

in_both = pytest.mark.parametrize("language", PAGES)


def text(language: str) -> str:
    return PAGES[language].read_text("utf-8")


def claims(language: str) -> dict[str, tuple[list[str], list[str], list[str]]]:
    """Its guides, threats and tests by its mark."""
    return {
        mark: (
            re.findall(r"\]\(([\w-]+?)(?:\.en)?\.md\)", guides),
            re.findall(r"[A-Z]\d+", threats),
            re.findall(r"`(tests/[\w/]+\.py::\w+)`", tests),
        )
        for mark, _, guides, threats, tests in LINE.findall(text(language))
    }


def test_both_languages_prove_the_same_in_the_same_order() -> None:
    assert list(claims("zh").items()) == list(claims("en").items())
    assert len(claims("en")) > 30


@in_both
def test_each_mark_of_the_text_has_its_line_and_each_line_is_used(language: str) -> None:
    marks = set(re.findall(r"\[(S\d+)\]", text(language)))
    assert marks == claims(language).keys()


@in_both
def test_everything_that_a_claim_names_is_there(language: str) -> None:
    for mark, (guides, threats, tests) in claims(language).items():
        assert guides, mark
        assert tests, mark
        assert [name for name in guides if not (GUIDE / f"{name}.md").is_file()] == []
        assert [row for row in threats if row not in rows()] == []
        for test in tests:
            path, _, name = test.partition("::")
            assert name in names_in(ROOT / path), f"{mark}: {test}"


@in_both
def test_each_heading_of_level_three_has_its_section(language: str) -> None:
    headings = " ".join(re.findall(r"^### (.*)$", text(language), re.MULTILINE))
    assert [name for name in LEVEL_THREE if name not in headings] == []

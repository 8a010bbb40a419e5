"""What alarms say: every kind in both languages, in figures that a person reads, with mends that can be typed."""

import re
from datetime import UTC, datetime

import pytest

from frontend_agent.alarms import KINDS, Alarm, Level, tell
from frontend_agent.alarms.texts import TEXTS, figures_named, only_numbers, plain_texts, size, span
from tests.unit.test_guide_commands import parsed

AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def alarm(kind: str, subject: str = "", **figures: str | int | float) -> Alarm:
    return Alarm(1, kind, subject, Level.WARNING, AT, AT, figures)


def test_every_kind_has_texts_and_no_text_is_without_a_kind() -> None:
    assert TEXTS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_both_languages_say_the_same_figures(kind: str) -> None:
    en, zh = TEXTS[kind]
    for ours, theirs in zip(en, zh, strict=True):
        assert ours.strip()
        assert theirs.strip()
        assert figures_named(ours) == figures_named(theirs)
    assert re.search(r"[\u4e00-\u9fff]", zh.title)
    assert not re.search(r"[\u4e00-\u9fff]", "".join(en))


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_that_mend_it_are_ours(kind: str) -> None:
    for text in (TEXTS[kind].en.mend, TEXTS[kind].zh.mend, TEXTS[kind].en.cause, TEXTS[kind].zh.cause):
        for line in re.findall(r"`(frontend-agent [^`]+)`", text.replace("{subject}", "lab")):
            try:
                assert parsed(line)
            except Exception as problem:
                if type(problem).__name__ not in ("MissingParameter", "NoArgsIsHelpError"):  # to be completed
                    raise


def test_an_alarm_is_told_in_its_figures() -> None:
    told = tell(alarm("backlog", "platform", waiting=1207, oldest=7500, problem="timed out"), "en")
    assert told.title == "Backlog at platform: 1207 wait, the oldest for 2 h 5 min"
    assert told.cause.endswith("timed out")
    zh = tell(alarm("backlog", "platform", waiting=1207, oldest=7500, problem=""), "zh")
    assert zh.title == "platform 积压：1207 份等待，最早的已等待 2 小时 5 分钟"


def test_what_is_not_known_is_no_error() -> None:
    assert tell(alarm("backlog", "platform"), "en").title == "Backlog at platform: ? wait, the oldest for ?"
    assert tell(alarm("from_a_newer_version", "x"), "en").title == "from_a_newer_version x"
    assert plain_texts(alarm("held", "lab", share=0.4, held=4, taken=10, window=3600))["en"]["title"] == (
        "40 % of what feed lab brought in the last 1 h is held (4 of 10)"
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (90061, "1 d 1 h"),
        (86400 * 3 + 60, "3 d"),
    ],
)
def test_durations_are_said_in_two_units(seconds: int, said: str) -> None:
    assert span(seconds, "en") == said


def test_sizes_and_what_may_leave() -> None:
    assert [size(512), size(1536), size(20 * 1024**3), size(3 * 1024**4)] == ["512 B", "1.5 KiB", "20.0 GiB", "3.0 TiB"]
    assert only_numbers({"waiting": 3, "share": 0.5, "problem": "it said 张三"}) == {"waiting": 3, "share": 0.5}

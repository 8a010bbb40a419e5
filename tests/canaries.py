"""Patients' names, identity numbers and telephones that tests plant, and looking for them where no patient may be (threat L1).

Everything that the demonstration hospital invents is a canary: its identity numbers begin with a division that was never
assigned (99) and end with a correct check digit, its telephones are in a range no operator has (100), its names are
remembered as they are invented. The same holds for what the tests' own records say. After every test, its captured log and
standard error and the log files under its folder are looked through: a canary in one of them fails the test.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

from frontend_agent.demo import persons

NUMBER = re.compile(r"(?<![0-9A-Za-z.])99\d{4}(?:19|20)\d{6}\d{3}[\dX](?![0-9A-Za-z])")
TELEPHONE = re.compile(r"(?<![0-9A-Za-z.:_-])100\d{8}(?![0-9A-Za-z]|\.\d)")
ADDRESS = re.compile(r"[\u4e00-\u9fff]{2,}(?:路|街|巷|弄)\d+号")
HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]{3,}")
NAMES: set[str] = {"张小满", "阿依古丽", "古丽努尔", "买买提江"}  # of the tests' own records, and parts of long ones
NAME_LENGTHS = (3, 4)  # two characters are a common word as often as a name
LARGEST_LOG = 20 << 20
LOGS = ("*.log", "*.log.[0-9]")


def remember_names() -> None:
    """From now on every name that is invented in this process is a canary."""
    persons.person_name = _remembering(persons.person_name)


def _remembering(invent: Callable[..., str]) -> Callable[..., str]:
    @wraps(invent)
    def remembered(*arguments: Any, **more: Any) -> str:
        name = invent(*arguments, **more)
        if len(name) in NAME_LENGTHS:
            NAMES.add(name)
        return name

    return remembered


def canaries_in(text: str) -> list[str]:
    """What kinds of canary are there: never the values, for this goes into reports as well."""
    found = [
        kind
        for kind, pattern in (("identity number", NUMBER), ("telephone", TELEPHONE), ("address", ADDRESS))
        if pattern.search(text)
    ]
    if any(part in NAMES for run in HAN.findall(text) for part in _parts(run)):
        found.append("name")
    return found


def _parts(run: str) -> Iterator[str]:
    for length in NAME_LENGTHS:
        yield from (run[start : start + length] for start in range(len(run) - length + 1))


def in_files(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Log files below a folder that hold a canary."""
    for pattern in LOGS:
        for path in folder.rglob(pattern):
            if (
                path.is_file()
                and path.stat().st_size <= LARGEST_LOG
                and (found := canaries_in(path.read_text("utf-8", "replace")))
            ):
                yield path.name, found


def in_sections(sections: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """What pytest captured of a test: its log, and what went to standard error."""
    for name, text in sections:
        if ("log" in name or "stderr" in name) and (found := canaries_in(text)):
            yield name, found

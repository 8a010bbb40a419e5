"""docs/walk.md is true: one laboratory feed is run, and the functions it names are called, in the order it names them."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from frontend_agent.demo.hospital import create_hospital
from frontend_agent.demo.run import agent_toml
from frontend_agent.formats import load_kind
from frontend_agent.platform.catalogue import Search
from frontend_agent.platform.store import Store
from tests.crash.victim import cycle
from tests.platform_kit import running

ROOT = Path(__file__).resolve().parents[2]
STEP = re.compile(r"^(\d+)\. `([\w./]+)` `([\w.]+)`", re.MULTILINE)
Call = tuple[str, str]  # file, qualified name


def steps() -> list[Call]:
    found = STEP.findall((ROOT / "docs" / "walk.md").read_text("utf-8"))
    assert [int(number) for number, _, _ in found] == list(range(1, len(found) + 1))
    return [(file, name) for _, file, name in found]


@contextmanager
def watched() -> Iterator[dict[Call, int]]:
    """Every function of ours in the order of its first call, in all threads that start from now on."""
    first: dict[Call, int] = {}
    prefix = str(ROOT) + "/"

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(prefix):
            first.setdefault((code.co_filename.removeprefix(prefix), code.co_qualname), len(first))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield first
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]  # typeshed: None ends it, as for sys


def laboratory_alone(hospital: Path, url: str) -> str:
    """The demonstration's configuration, with the laboratory's feed alone."""
    text = agent_toml(hospital, url)
    head, *feeds = text.split("[[feeds]]")
    return head + "[[feeds]]" + next(feed for feed in feeds if "lab_report" in feed)


def test_the_walk_is_the_way_the_code_takes(tmp_path: Path) -> None:
    create_hospital(tmp_path / "hospital", 6, seed=3)
    (tmp_path / "agent").mkdir()
    load_kind.cache_clear()  # another test may have loaded it
    with watched() as first:
        store = Store(tmp_path / "platform").open()
        try:
            with running(store) as url:
                (tmp_path / "agent.toml").write_text(laboratory_alone(tmp_path / "hospital", url), encoding="utf-8")
                cycle(tmp_path / "agent.toml", tmp_path / "agent")
            assert store.documents(Search())
        finally:
            store.close()
    walk = steps()
    assert len(walk) > 30
    assert [step for step in walk if step not in first] == [], "never called"
    order = [first[step] for step in walk]
    late = [walk[index] for index in range(1, len(walk)) if order[index] < order[index - 1]]
    assert not late, "called before the step above it"

"""Every command of the documentation is run, as it is printed, in the order of its page."""

import signal
from collections.abc import Iterator

import pytest

from tests import guide_table as table
from tests.conftest import REPOSITORY
from tests.guide_kit import blocks, name_of, pages
from tests.guide_places import Demonstration, Place

pytestmark = pytest.mark.slow
PAGES = [one for one in pages() if not name_of(one).endswith((".en.md", "zh-CN.md"))]
TYPED = {name_of(page): [line for block in blocks(page) if block.is_shell for line in block.lines()] for page in PAGES}


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANG", "C.UTF-8")
        patch.delenv("STATE_DIRECTORY", raising=False)
        yield Demonstration(tmp_path_factory.mktemp("guides"))


@pytest.mark.parametrize("page", [page for page, lines in TYPED.items() if lines])
def test_what_a_page_tells_to_type_works(
    page: str, demonstration: Demonstration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    if all(table.elsewhere(page, line) for line in TYPED[page]):
        return
    with demonstration.empty() if page in table.EMPTY else demonstration.place(table.MORE.get(page, "")) as place:
        if page in table.BEFORE:
            table.BEFORE[page](place)
        wrong = [told for line in TYPED[page] if (told := tried(page, line, place))]
    assert not wrong, "\n".join(wrong)


def tried(page: str, line: str, place: Place) -> str:
    """What was not as it should be."""
    if table.elsewhere(page, line):
        table.after(page, line, place)
        return ""
    typed = table.as_here(page, line, place)
    assert table.is_at_home(typed, place), f"{typed}: this names another machine, or a folder that is not the test's"
    ready, goes_on = table.lasting(page, line)
    if ready:
        place.starts(typed, ready)
        codes = [] if goes_on else place.ends(signal.SIGINT)
        return f"{typed}: {codes}" if any(codes) else ""
    done = place.do(typed, table.given(line))
    table.after(page, line, place)
    return "" if done.code == table.code(page, line) else f"{typed}: {done}"


@pytest.mark.parametrize("one", table.ELSEWHERE, ids=lambda one: one.lines[:40])
def test_what_is_run_elsewhere_is_run_there(one: table.Elsewhere) -> None:
    assert one.says in (REPOSITORY / one.file).read_text("utf-8")
    assert any(table.elsewhere(page, line) is one for page, lines in TYPED.items() for line in lines), "no page says it"

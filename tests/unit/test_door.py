"""Between whoever asks and the operations: the right person, for a reason, and in the log before it is done."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from frontend_agent import qclog
from frontend_agent.config_people import PeopleConfig, PersonConfig
from frontend_agent.control import ControlError
from frontend_agent.door import Asker, Door, LogCannotBeWritten
from frontend_agent.people import NotAllowedHere, Person, ReasonMissing, Role
from frontend_agent.spool import Spool

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
WANG = PersonConfig(name="王芳", role="system", account="wangfang")
LI = PersonConfig(name="李强", role="security", account="liqiang")
ZHAO = PersonConfig(name="赵敏", role="audit", account="zhaomin")
PEOPLE = PeopleConfig(persons=(WANG, LI, ZHAO))
SYSTEM, SECURITY, AUDIT = Asker("wangfang"), Asker("liqiang"), Asker("zhaomin")


class Site:
    """A door before operations that note what they were asked, over a real spool."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.done: list[tuple[str, dict[str, Any]]] = []
        self.now = NOW

    def operations(self) -> dict[str, Any]:
        def status() -> str:
            return "well"

        def preview(feed: str, key: str) -> str:
            self.done.append(("preview", {"feed": feed, "key": key}))
            return "张三"

        def quarantine_discard(ids: list[str], who: str, reason: str) -> int:
            self.done.append(("quarantine_discard", {"ids": ids, "who": who, "reason": reason}))
            return len(ids)

        def qc_verify() -> bool:
            return True

        return {one.__name__: one for one in (status, preview, quarantine_discard, qc_verify)}

    def door(self, people: PeopleConfig = PEOPLE, **more: Any) -> Door:
        return Door(self.operations(), people, self.spool.record_act, lambda: self.now, **more)

    def log(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(entry.body) for entry in self.spool.log_entries()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Spool(tmp_path, reserve=0).open() as spool:
        yield Site(spool)


def test_an_act_is_one_chained_entry_with_who_and_in_which_role(site: Site) -> None:
    asked = {"ids": ["Q1", "Q2"], "who": "wangfang", "reason": "测试数据"}
    assert site.door().ask(SYSTEM, "quarantine_discard", asked) == 2
    (entry,) = site.log()
    assert {k: v for k, v in entry.items() if k not in ("at", "seq", "prev")} == {
        "event": "act", "act": "quarantine_discard", "who": "王芳", "role": "system", "account": "wangfang",
        "reason": "测试数据", "what": {"ids": ["Q1", "Q2"]},
    }  # fmt: skip
    assert site.done == [("quarantine_discard", {"ids": ["Q1", "Q2"], "who": "王芳", "reason": "测试数据"})]
    assert qclog.verify(site.spool.log_entries()).ok


def test_a_wrong_role_is_refused_and_that_is_in_the_log(site: Site) -> None:
    with pytest.raises(NotAllowedHere, match="audit administrator") as refused:
        site.door().ask(SYSTEM, "qc_verify", {})
    assert refused.value.exit_code == 1
    (entry,) = site.log()
    assert (entry["event"], entry["act"], entry["who"], entry["role"]) == ("act refused", "qc_verify", "王芳", "system")


@pytest.mark.parametrize(
    ("asker", "act"),
    [(SECURITY, "preview"), (AUDIT, "quarantine_discard"), (AUDIT, "preview"), (SECURITY, "qc_verify")],
)
def test_nothing_is_done_for_who_may_not(site: Site, asker: Asker, act: str) -> None:
    with pytest.raises(NotAllowedHere):
        site.door().ask(asker, act, {"feed": "f", "key": "1", "ids": [], "who": "", "reason": "x"})
    assert site.done == []


def test_a_thousand_refusals_are_not_a_thousand_entries(site: Site) -> None:
    door = site.door()
    for _ in range(1000):
        with pytest.raises(NotAllowedHere):
            door.ask(Asker("zabbix"), "preview", {})
    assert len(site.log()) == 1
    site.now += timedelta(minutes=2)
    with pytest.raises(NotAllowedHere):
        door.ask(Asker("zabbix"), "preview", {})
    assert len(site.log()) == 2


def test_patients_contents_are_shown_for_a_reason_and_said_before(site: Site) -> None:
    door = site.door()
    with pytest.raises(ReasonMissing, match="--why"):
        door.ask(SYSTEM, "preview", {"feed": "f", "key": "L1"})
    assert (site.done, site.log()) == ([], [])
    assert door.ask(Asker("wangfang", why="投诉 4711"), "preview", {"feed": "f", "key": "L1"}) == "张三"
    (entry,) = site.log()
    assert (entry["who"], entry["reason"], entry["shows"]) == ("王芳", "投诉 4711", True)
    assert entry["what"] == {"feed": "f", "key": "L1"}
    assert "张三" not in str(entry)


def test_looking_at_how_it_goes_is_everybodys_and_no_entry(site: Site) -> None:
    for asker in (SYSTEM, SECURITY, AUDIT, Asker("zabbix"), Asker("root")):
        assert site.door().ask(asker, "status", {}) == "well"
    assert site.log() == []


def test_nobody_acts_in_anothers_name(site: Site) -> None:
    with pytest.raises(NotAllowedHere, match="cannot act as '李强'"):
        site.door().ask(SYSTEM, "quarantine_discard", {"ids": ["Q1"], "who": "李强", "reason": "x"})
    assert site.done == []


def test_without_people_the_local_account_does_all_of_it_and_all_of_it_is_said(site: Site) -> None:
    door = site.door(PeopleConfig())
    asker = Asker("frontend-agent")
    door.ask(asker, "preview", {"feed": "f", "key": "L1"})
    door.ask(asker, "quarantine_discard", {"ids": ["Q1"], "who": "王工", "reason": "x"})
    assert door.ask(asker, "qc_verify", {}) is True
    assert [(e["act"], e["who"], e["role"], e["account"]) for e in site.log()] == [
        ("preview", "frontend-agent", "all", "frontend-agent"),
        ("quarantine_discard", "王工", "all", "frontend-agent"),
    ]


def test_the_console_asks_in_the_name_of_whom_it_has_let_in(site: Site) -> None:
    zhao = Person("赵敏", frozenset({Role.AUDIT}))
    door = site.door(of_session={"token": zhao}.__getitem__)
    assert door.ask(Asker("frontend-agent", session="token"), "qc_verify", {}) is True
    with pytest.raises(NotAllowedHere):
        door.ask(Asker("frontend-agent", session="token"), "preview", {"feed": "f", "key": "L1"})
    assert [(e["event"], e["who"], e["by"]) for e in site.log()] == [("act refused", "赵敏", "console")]
    with pytest.raises(NotAllowedHere, match="no console"):
        site.door().ask(Asker("wangfang", session="token"), "status", {})


def test_where_the_log_takes_no_entry_nothing_is_done_and_looking_goes_on(site: Site) -> None:
    """L4: the disk of the log is full, for real: the file may not grow by a page."""
    door = site.door(PeopleConfig())
    pages = site.spool._database._connection.pragma("page_count")
    site.spool._database._connection.pragma("max_page_count", pages)
    for n in range(500):  # what room is left on the last pages
        try:
            door.ask(Asker("a"), "quarantine_discard", {"ids": [f"Q{n}"] * 20, "who": "w", "reason": "r" * 400})
        except LogCannotBeWritten:
            break
    before = len(site.done)
    assert before < 499
    for act in ("quarantine_discard", "preview"):
        asked = (
            {"ids": ["Q1"] * 20, "who": "w", "reason": "r" * 400}
            if act != "preview"
            else {"feed": "f" * 900, "key": "k" * 900}
        )
        with pytest.raises(LogCannotBeWritten, match="nothing was done"):
            door.ask(Asker("a"), act, asked)
    assert len(site.done) == before
    assert door.ask(Asker("a"), "status", {}) == "well"
    assert door.ask(Asker("a"), "qc_verify", {}) is True
    site.spool._database._connection.pragma("max_page_count", 1 << 30)
    door.ask(Asker("a"), "preview", {"feed": "f", "key": "L1"})
    assert qclog.verify(site.spool.log_entries()).ok


def test_who_asks_is_told_who_he_is_taken_for(site: Site) -> None:
    told = site.door().ask(AUDIT, "whoami", {})
    assert (told["name"], told["roles"], told["people"]) == ("赵敏", ["audit"], True)
    assert told["acts"] == ["qc_verify", "status"]
    assert site.door().ask(Asker("zabbix"), "whoami", {})["acts"] == ["status"]


def test_an_unknown_question_is_not_understood(site: Site) -> None:
    with pytest.raises(ControlError):
        site.door().ask(SYSTEM, "format_disk", {})

"""对账 on real databases and a real platform process: exactly what was planted is named, and what can be mended is mended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from frontend_agent.closing import MonthClosed
from frontend_agent.reconciliation import reconcile
from tests.reconciling_kit import (
    DAY,
    Engine,
    Site,
    explained,
    found,
    platform_process,
    sqlite_engine,
)
from tests.servers import READER_PASSWORD, mariadb_server, postgres_server

EVERYTHING_FINE = {"withdrawn": 1, "not final": 1, "withheld": 1, "held": 1}

GRANTS = {
    "postgres": "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    "mariadb": "GRANT SELECT ON his.* TO reader@'127.0.0.1'",
}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, object]]:
    with postgres_server() as postgres, mariadb_server() as mariadb:
        yield {"postgres": postgres, "mariadb": mariadb}


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    settings = ""
    if request.param == "sqlite":
        engine = sqlite_engine(tmp_path)
    else:
        server = request.getfixturevalue("servers")[request.param]
        server.create("his")
        (tmp_path / "secrets").mkdir(mode=0o700)
        (tmp_path / "secrets" / "his").write_text(READER_PASSWORD, encoding="utf-8")
        (tmp_path / "secrets" / "his").chmod(0o600)
        settings = f'[secrets]\nfolder = "{tmp_path / "secrets"}"\n'
        engine = Engine(
            request.param,
            lambda *statements: server.execute(*statements, database="his"),
            f'url = "{server.url("his", "reader")}"\nsecret = "his"',
            "TIMESTAMP" if request.param == "postgres" else "DATETIME",
        )
    with platform_process(tmp_path / "platform") as url:
        made = Site(tmp_path, engine, url, tmp_path / "platform", settings=settings).make()
        if request.param != "sqlite":
            server.execute(GRANTS[request.param], database="his")
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Site]:
    """On SQLite alone: what does not depend on the engine."""
    with platform_process(tmp_path / "platform") as url:
        yield Site(tmp_path, sqlite_engine(tmp_path), url, tmp_path / "platform").make()


def hospital(site: Site) -> list[str]:
    """Two departments, the neighbouring days, and one of everything that is not sent."""
    inner, outer = site.visits(60), site.visits(12, dept="外科")
    site.visit("V1", void=1)  # withdrawn before anything was sent
    site.visit("N1", final=0)
    site.visit("H1", xm="")
    site.visit("W1", code="B20.100")
    site.visit("B1", seen="2026-09-28 23:59:59")
    site.visit("A1", seen="2026-09-30 00:00:00")
    site.visit("Z1", seen="2026-09-30 09:30:00")  # where the watermark stands
    return [*inner, *outer]


def documents_of(site: Site, app: object, *keys: str) -> list[str]:
    feed = app.feeds["visit"]  # type: ignore[attr-defined]
    from frontend_agent.mending.previewing import set_of

    heads = app.spool.series([set_of(feed, key) for key in keys])  # type: ignore[attr-defined]
    return [head.document_id for head in heads.values()]


@pytest.mark.parametrize("way", ["cursor", "day"])
def test_what_is_planted_is_named_and_mended(site: Site, way: str) -> None:
    if way == "day":
        site.more = 'day = "day.sql"'
        site.make_mapping()
    keys = hospital(site)
    with site.app() as app:
        site.run(app)
        clean = site.reconcile(app)
        assert (found(clean), explained(clean), clean["walked_by"]) == ({}, EVERYTHING_FINE, way)
        rows = {row["department"]: row for row in clean["days"]}
        assert {dept: (row["source"]["records"], row["agent"]["records"]) for dept, row in rows.items()} == {
            "内科": (62, 60),  # one held, one withheld
            "外科": (12, 12),
        }
        assert all(row["equal"] for row in rows.values())  # what is held or withheld is explained
        assert {dept: row["destinations"]["platform"]["platform"] for dept, row in rows.items()} == {
            "内科": 60,
            "外科": 12,
        }
        assert (
            rows["外科"]["destinations"]["platform"]["digest"]
            == rows["外科"]["destinations"]["platform"]["platform_digest"]
        )

        # 1: rows with old cursors, behind the watermark and its overlap. 2: other content, the cursor stays.
        site.visits(3, first=900, dept="外科")
        site.visit("M1", updated="2026-09-29 12:00:00")
        site.engine.execute(f"UPDATE visit SET chief = '咳嗽' WHERE no IN ('{keys[0]}', '{keys[61]}')")
        site.engine.execute(f"UPDATE diagnosis SET code = 'J06.900' WHERE no = '{keys[1]}'")
        # 3: gone at the platform.
        lost = documents_of(site, app, keys[5], keys[62])
        site.lose(*lost)
        # 4: taken in and not delivered. Newer than the watermark, but by now read.
        site.visit("U1", seen="2026-09-29 17:00:00", updated="2026-09-30 09:50:00")
        site.run(app, send=False)
        # Not yet read: nobody has to do anything.
        site.visit("R1", seen="2026-09-29 18:00:00", updated="2026-09-30 09:55:00")
        # 7: withdrawn after it was sent, with and without its cursor.
        site.engine.execute(f"UPDATE visit SET void = 1 WHERE no = '{keys[7]}'")

        told = site.reconcile(app)
        assert found(told) == {
            "missed": ["M1", "外00900", "外00901", "外00902"],
            "stale": sorted([keys[0], keys[1], keys[7], keys[61]]),
            "lost": sorted([keys[5], keys[62]]),
        }
        assert explained(told) == EVERYTHING_FINE | {"on its way": 1, "unread": 1}
        blames = {one["gap"]: one["blame"] for one in told["differences"]}
        assert blames == {"missed": "mapping", "stale": "mapping", "lost": "platform"}
        by_department = {(one["gap"], one["department"]) for one in told["differences"]}
        assert ("missed", "外科") in by_department
        assert ("lost", "外科") in by_department
        assert {one["document"] for one in told["differences"] if one["gap"] == "lost"} == set(lost)

        only = site.reconcile(app, department="外科")
        assert {one["department"] for one in only["differences"]} == {"外科"}
        assert [row["department"] for row in only["days"]] == ["外科"]

        mended = site.reconcile(app, resend=True)
        assert mended["differing"] == mended["mended"] == 10, mended["differences"]
        again = site.reconcile(app)
        assert found(again) == {}
        assert (
            again["days"][0]["destinations"]["platform"]["platform"] == 62
        )  # M1 and U1 came, the withdrawn one is a version
        assert app.spool.verify_log().ok
        assert app.spool.statistics.missed(20260929, 20260929) == [
            (20260929, "visit", "C0002", "999000013", "内科", 1),
            (20260929, "visit", "C0002", "999000013", "外科", 3),
        ]


def test_the_same_bytes_go_to_a_platform_that_lost_them(small: Site) -> None:
    """Law 2: the platform's own index of sets is the proof, the SHA-256 before and after."""
    keys = small.visits(5)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        (lost,) = documents_of(small, app, keys[2])
        before = app.destinations["platform"].proofs([lost])[lost]
        small.lose(lost)
        assert app.destinations["platform"].proofs([lost]) == {lost: ""}
        small.reconcile(app, resend=True)
        assert app.destinations["platform"].proofs([lost]) == {lost: before}


def test_bytes_that_are_no_longer_kept_become_the_next_version(small: Site) -> None:
    keys = small.visits(5)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        (lost,) = documents_of(small, app, keys[2])
        assert app.spool.retire(timedelta(0), small.now + timedelta(days=1)) == 6
        small.lose(lost)
        told = small.reconcile(app, resend=True)
        assert (found(told), told["mended"]) == ({"lost": [keys[2]]}, 1)
        (next_one,) = documents_of(small, app, keys[2])
        assert next_one == lost.removesuffix("-1") + "-2"
        assert app.destinations["platform"].proofs([next_one])[next_one]
        assert found(small.reconcile(app)) == {}


def test_a_platform_that_denies_nothing_is_believed_only_by_signature(small: Site) -> None:
    """Deleted from the day but not from the index: the signed word by its id counts, nothing is sent again."""
    import apsw

    keys = small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        with apsw.Connection(str(small.platform / "index.sqlite")) as database:
            database.execute("UPDATE document SET day = 0 WHERE document_id = ?", documents_of(small, app, keys[0]))
        told = small.reconcile(app)
        assert found(told) == {}
        assert told["destinations"]["platform"]["by_id"] == 1
        assert told["days"][0]["destinations"]["platform"]["platform"] == 4


def test_other_bytes_and_unknown_sets_at_the_platform_are_named(small: Site) -> None:
    import apsw

    keys = small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        one, other = documents_of(small, app, keys[0]), documents_of(small, app, keys[1])
        with apsw.Connection(str(small.platform / "index.sqlite")) as database:
            database.execute("UPDATE document SET sha256 = randomblob(32) WHERE document_id = ?", one)
            database.execute(
                "UPDATE document SET set_id = 'C0002-NOBODY', document_id = 'C0002-NOBODY-1' WHERE document_id = ?",
                other,
            )
        told = small.reconcile(app, resend=True)
        assert found(told) == {"other bytes": [keys[0]], "unknown here": [""], "lost": [keys[1]]}
        assert {one["gap"]: (one["mendable"], one["mended"]) for one in told["differences"]} == {
            "other bytes": (False, False),
            "unknown here": (False, False),
            "lost": (True, True),
        }


def test_a_key_that_vanished_is_named_and_nothing_is_withdrawn(small: Site) -> None:
    keys = small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        small.engine.execute(f"DELETE FROM visit WHERE no = '{keys[3]}'")
        told = small.reconcile(app, resend=True)
        assert found(told) == {"vanished": [keys[3]]}
        assert len(app.destinations["platform"].proofs(documents_of(small, app, keys[3]))) == 1
        small.run(app)  # looks for it, and holds it: a person decides
        again = small.reconcile(app)
        assert (found(again), explained(again)) == ({}, {"held": 1})
        assert app.spool.counts().held == 1


def test_a_row_that_moved_to_the_history_is_compared_there(small: Site) -> None:
    small.more = 'history = [{ parent = "history.sql", details = { diagnoses = "diagnoses.sql" } }]'
    small.make_mapping()
    (small.folder / "history.sql").write_text(
        (small.folder / "visit.sql").read_text("utf-8").replace("FROM visit", "FROM visit_2025"), encoding="utf-8"
    )
    keys = small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    small.engine.execute("CREATE TABLE visit_2025 AS SELECT * FROM visit WHERE 1 = 0")
    with small.app() as app:
        small.run(app)
        small.engine.execute(
            f"INSERT INTO visit_2025 SELECT * FROM visit WHERE no = '{keys[3]}'",
            f"DELETE FROM visit WHERE no = '{keys[3]}'",
        )
        assert found(small.reconcile(app)) == {}


def test_many_keys_that_are_gone_do_not_stop_the_feed_from_here(small: Site) -> None:
    keys = small.visits(25)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        small.engine.execute("DELETE FROM visit WHERE no <> 'Z1'")
        told = small.reconcile(app, resend=True)
        assert found(told) == {"vanished": sorted(keys)}
        small.run(app)
        assert app.spool.finding.stopped("visit") is None


def test_a_closed_month_is_not_sent_again_unless_somebody_says_why(small: Site) -> None:
    small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        small.visit("M1")
        app.spool.closing.close(202609, "li", "月报已上报", small.now)
        with pytest.raises(MonthClosed):
            small.reconcile(app, resend=True)
        by_itself = small.reconcile(app, resend=True, who="")
        assert (found(by_itself), by_itself["mended"], by_itself["closed"]) == ({"missed": ["M1"]}, 0, [202609])
        assert found(small.reconcile(app)) == {"missed": ["M1"]}
        on_a_word = small.reconcile(app, resend=True, closed=True, reason="漏报")
        assert on_a_word["mended"] == 1
        assert found(small.reconcile(app)) == {}


def test_an_unreachable_platform_cannot_be_asked_and_is_no_difference(small: Site) -> None:
    small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
    small.url = "http://127.0.0.1:9"
    with small.app() as app:
        told = small.reconcile(app)
        assert found(told) == {}
        assert not told["destinations"]["platform"]["asked"]
        assert "no connection" in told["destinations"]["platform"]["why"]
        assert told["days"][0]["destinations"]["platform"]["platform"] is None


def test_what_the_feed_takes_meanwhile_is_no_difference(small: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The feed reads on between our look at the source and our look at the state, and the source changes in between."""
    from frontend_agent.reconciliation import Reconciler

    keys = small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        read = Reconciler._read
        done = threading.Event()

        def reading(self: Reconciler, some: list[str]) -> object:
            rows = read(self, some)
            if not done.is_set():
                done.set()
                small.engine.execute(
                    f"UPDATE visit SET chief = '咳嗽', updated = '2026-09-30 09:40:00' WHERE no = '{keys[0]}'"
                )
                small.run(app)
            return rows

        monkeypatch.setattr(Reconciler, "_read", reading)
        assert found(small.reconcile(app)) == {}
        assert done.is_set()


def test_what_was_missed_on_other_days_is_not_kept_back(small: Site) -> None:
    """A row that came late for a day that nobody asks for any more."""
    small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        small.visit("L1", seen="2026-09-10 09:00:00", updated="2026-09-29 09:00:00")
        told = small.reconcile(app)
        assert [(one["gap"], one["key"], one["day"]) for one in told["differences"]] == [("missed", "L1", 20260910)]


def test_a_cursor_that_is_no_time_is_told_and_what_we_have_is_compared(small: Site) -> None:
    (small.folder / "changed.sql").write_text(
        'SELECT CAST(substr(no, 2) AS INTEGER) AS "cursor", no AS "key" FROM visit'
    )
    keys = small.visits(4)
    with small.app() as app:
        small.run(app)
        small.engine.execute(f"UPDATE visit SET chief = '咳嗽' WHERE no = '{keys[0]}'")
        told = small.reconcile(app)
        assert (told["walked_by"], found(told)) == ("", {"stale": [keys[0]]})


def test_a_state_that_was_lost_does_not_accuse_the_platform(small: Site) -> None:
    import shutil

    small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
    shutil.rmtree(small.folder / "state")
    with small.app() as app:
        app.greet("platform")
        small.run(app)
        told = small.reconcile(app)
        assert found(told) == {}


def test_days_that_are_none_are_refused(small: Site) -> None:
    from frontend_agent.errors import ConfigurationError

    with small.app() as app:
        for first, last in ((DAY, date(2026, 9, 1)), (date(2020, 1, 1), DAY)):
            with pytest.raises(ConfigurationError):
                list(reconcile(app, None, "visit", first, last))


def test_several_days_cost_one_walk(small: Site) -> None:
    small.visits(4)
    small.visit("B1", seen="2026-09-28 23:59:59")
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        told = small.reconcile(app, date(2026, 9, 27), date(2026, 9, 29))
        assert [(row["day"], row["source"]["records"]) for row in told["days"]] == [(20260928, 1), (20260929, 4)]
        assert told["cost"]["walked"] == 6
        assert told["cost"]["read"] == 5  # what was walked of other days is known, and not read


# -- through a running daemon: the source in a process of its own, the platform in another ------------------------------


def test_through_a_running_daemon(tmp_path: Path) -> None:
    """The same command, answered by the daemon: it reads through its extractor, sends, and looks once more."""
    import json
    import os
    import subprocess
    import sys
    import time

    from frontend_agent import control

    with platform_process(tmp_path / "platform") as url:
        site = Site(tmp_path, sqlite_engine(tmp_path), url, tmp_path / "platform").make()
        site.visits(30)
        site.visit("Z1", seen="2026-09-30 09:30:00")
        (tmp_path / "agent.toml").write_text(
            site.config()
            .replace("workers = 0", "workers = 1")
            .replace('overlap = "10m"', 'overlap = "10m"\nevery = "1h"'),
            encoding="utf-8",
        )
        program = [sys.executable, "-m", "frontend_agent.cli.main"]

        def command(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*program, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=100,
                env=os.environ | {"LANG": "C.UTF-8"},
            )  # fmt: skip

        daemon = subprocess.Popen([*program, "run"], cwd=tmp_path, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            delivered = 0
            while delivered < 31:
                assert time.monotonic() < deadline, delivered
                time.sleep(0.2)
                if control.is_running(tmp_path / "state"):
                    status = control.ask(tmp_path / "state", "status")
                    delivered = status["destinations"][0]["states"].get("delivered", 0)
            site.visits(3, first=900)
            site.engine.execute("UPDATE visit SET chief = '咳嗽' WHERE no = '内00003'")
            site.lose(*[row["document_id"] for row in _listed(site)[:2]])
            told = json.loads(command("reconcile", "visit", "--day", "2026-09-29", "--json").stdout)
            assert {gap: len(keys) for gap, keys in found(told).items()} == {"missed": 3, "stale": 1, "lost": 2}
            assert told["cost"]["statements"] > 0
            mended = command("reconcile", "visit", "--day", "2026-09-29", "--resend", "--json")
            assert mended.returncode == 0, mended.stdout
            again = command("reconcile", "visit", "--day", "2026-09-29")
            assert again.returncode == 0, again.stdout
            assert "Nothing differs" in again.stdout
        finally:
            daemon.terminate()
            daemon.wait(30)


def _listed(site: Site) -> list[dict[str, str]]:
    from frontend_agent.platform.catalogue import Catalogue, Search

    catalogue = Catalogue(site.platform).open()
    try:
        search = Search(kind="C0002", last_day="20260929")
        return [{"document_id": one.document_id} for one in catalogue.documents(search, 1, 10)]
    finally:
        catalogue.close()


# -- destinations that may not have all of it, and older platforms ------------------------------------------------------

TWO = """
[destinations.research]
url = "{url}"
deidentified = true
pseudonym_key = "research"
"""


def test_a_deidentified_destination_is_compared_by_ids_and_never_told_a_day(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "research").write_text("a secret of sixteen", encoding="utf-8")
    (tmp_path / "secrets" / "research").chmod(0o600)
    with platform_process(tmp_path / "platform") as url, platform_process(tmp_path / "second") as other:
        settings = TWO.format(url=other) + f'[secrets]\nfolder = "{tmp_path / "secrets"}"\n'
        site = Site(tmp_path, sqlite_engine(tmp_path), url, tmp_path / "platform", settings=settings).make()
        keys = site.visits(4)
        site.visit("Z1", seen="2026-09-30 09:30:00")
        with site.app() as app:
            site.run(app)
            while app.waiting("research") and app.greet("research") and app.send("research"):
                pass
            assert app.destinations["research"].counted("C0002", 20260101, 20261231) == []
            told = site.reconcile(app)
            assert found(told) == {}
            assert (told["destinations"]["platform"]["by_id"], told["destinations"]["research"]["by_id"]) == (0, 4)

            edition = app.feeds["visit"].plan.editions[0].set_of(keys[1])
            site.platform = tmp_path / "second"
            site.lose(f"{edition}-1")
            told = site.reconcile(app, resend=True)
            assert found(told) == {"lost": [keys[1]]}
            assert told["differences"][0]["destination"] == "research"
            assert told["mended"] == 1
            assert found(site.reconcile(app)) == {}


def test_an_older_platform_cannot_be_asked(small: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.platform import PlatformDestination

    small.visits(4)
    small.visit("Z1", seen="2026-09-30 09:30:00")
    with small.app() as app:
        small.run(app)
        monkeypatch.setattr(PlatformDestination, "_speak", lambda self, *asked: _NotFound())
        told = small.reconcile(app)
        assert found(told) == {}
        assert not told["destinations"]["platform"]["asked"]
        assert "earlier version" in told["destinations"]["platform"]["why"]


class _NotFound:
    status = 404
    body = b""


def test_a_day_that_is_a_number_is_told(small: Site) -> None:
    from frontend_agent.errors import ConfigurationError

    small.more = 'day = "day.sql"'
    small.make_mapping()
    (small.folder / "day.sql").write_text('SELECT 20260929 AS "day", no AS "key" FROM visit')
    small.visits(2)
    with small.app() as app:
        small.run(app)
        with pytest.raises(ConfigurationError, match="is no time"):
            small.reconcile(app)


def test_the_demonstration_hospital_reconciles_clean(tmp_path: Path) -> None:
    """Five feeds with all that is planted in them: double rows, late details, withdrawals, what is held. No false alarm."""
    from frontend_agent.app import App
    from frontend_agent.config import load_config
    from frontend_agent.demo.hospital import create_hospital
    from frontend_agent.demo.later import advance
    from frontend_agent.demo.run import agent_toml

    hospital = tmp_path / "hospital"
    create_hospital(hospital, 60, 3)
    with platform_process(tmp_path / "platform") as url:
        (tmp_path / "agent.toml").write_text(agent_toml(hospital, url), encoding="utf-8")
        with App(load_config(tmp_path / "agent.toml"), tmp_path / "state", alone=True) as app:
            for step in (0, 1, 2):
                if step:
                    advance(hospital, step)
                for name in app.feeds:
                    assert app.run_feed(name, threading.Event()).error is None
                for name in app.destinations:
                    while app.waiting(name) and app.greet(name) and app.send(name):
                        pass
                for name in app.feeds:
                    *_, row = reconcile(app, None, name, date(2026, 1, 1), date(2026, 6, 30))
                    told = row["result"]
                    assert found(told) == {}, (step, name)
                    assert told["totals"]["agent"] > 0
                    assert "unread" not in told["totals"]

"""Files as an inlet, with the real inbox behind it: each message once, whatever the file does, and wherever we die."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.arrivals import Arrived, InboxFull, Kept
from connectors.folders.inlet import FilesInlet
from connectors.folders.local import LocalPlace
from connectors.folders.sftp import SftpPlace
from frontend_agent.config import Config, parse_config
from frontend_agent.config_files import FolderInlet
from frontend_agent.errors import ConfigurationError
from frontend_agent.inlets import Hands, make
from frontend_agent.spool import Spool
from frontend_agent.spool.keeping import Keeper
from tests.servers import ServerMissing
from tests.sshd import sshd
from tests.unit.test_unpacking import XML, message, zipped

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
TODAY = "2026-11-21"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path / "state").open() as one:
        yield one


@pytest.fixture
def keeper(spool: Spool) -> Iterator[Keeper]:
    one = Keeper(spool.inbox).start()
    yield one
    one.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    return path


def settings(folder: Path, **more: Any) -> FolderInlet:
    more.setdefault("whole", "rename")
    return FolderInlet(type="folder", path=str(folder), **more)


class Tapped:
    """Who looks on."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, inlet: str, sender: str, body: bytes, what: str) -> None:
        self.seen.append((sender, what))


def inlet(spool: Spool, keep: Any, folder: Path, told: list[str] | None = None, **more: Any) -> FilesInlet:
    table = settings(folder, **more)
    return FilesInlet(
        "lis", table, table, LocalPlace(folder), keep, Tapped(), lambda: NOW, memory=spool.picked("lis"),
        told=lambda event, fields: told.append(f"{event} {fields}") if told is not None else None,
    )  # fmt: skip


def kept(spool: Spool) -> list[tuple[str, str, str]]:
    """(sender, about, state), the oldest first."""
    return [(one.sender, one.about, one.state) for one in reversed(spool.inbox.listed("lis"))]


def there(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_message_of_a_batch_is_a_message_of_its_own(spool: Spool, keeper: Keeper, folder: Path) -> None:
    (folder / "a.hl7").write_bytes(b"BHS|^~\\&|LIS\r" + message(1) + message(2) + b"BTS|2\r")
    (folder / "b.xml").write_bytes(XML)
    one = inlet(spool, keeper, folder)
    one.look()
    assert kept(spool) == [("a.hl7!#1", "ORU^R01", "new"), ("a.hl7!#2", "ORU^R01", "new"), ("b.xml", "bg", "new")]
    assert there(folder) == [f"done/{TODAY}/a.hl7", f"done/{TODAY}/b.xml"]
    assert spool.inbox.messages([1])[0].body == message(1)
    assert (one.told()["taken"], one.told()["messages"]) == (2, 3)


def test_the_same_messages_in_another_file_have_no_second_effect(spool: Spool, keeper: Keeper, folder: Path) -> None:
    one = inlet(spool, keeper, folder)
    for name, content in (("a.hl7", message(1) + message(2)), ("b.hl7", message(2) + message(3))):
        (folder / name).write_bytes(content)
        one.look()
    assert [sender for sender, _, _ in kept(spool)] == ["a.hl7!#1", "a.hl7!#2", "b.hl7!#2"]
    assert one.told()["duplicates"] == 1


def test_an_id_that_came_with_other_content_is_for_a_person_and_the_file_is_refused(
    spool: Spool, keeper: Keeper, folder: Path
) -> None:
    one = inlet(spool, keeper, folder)
    (folder / "a.hl7").write_bytes(message(1))
    one.look()
    (folder / "b.hl7").write_bytes(message(1).replace(b"R1", b"R9") + message(2))
    one.look()
    assert [state for _, _, state in kept(spool)] == ["new", "conflict", "new"]
    assert there(folder) == [f"done/{TODAY}/a.hl7", "refused/b.hl7", "refused/b.hl7.reason.txt"]
    said = (folder / "refused/b.hl7.reason.txt").read_text("utf-8-sig")
    assert "第 1 条（共 2 条）的消息号以前来过" in said
    assert "The other 1 were taken" in said


def test_counters_that_begin_anew_with_every_file(spool: Spool, keeper: Keeper, folder: Path) -> None:
    one = inlet(spool, keeper, folder, ids="file")
    for name in ("monday.hl7", "tuesday.hl7"):
        (folder / name).write_bytes(message(1).replace(b"R1", name.encode()))
        one.look()
    assert [state for _, _, state in kept(spool)] == ["new", "new"]


def test_a_message_that_nobody_can_read_is_kept_for_a_person_and_the_others_are_taken(
    spool: Spool, keeper: Keeper, folder: Path
) -> None:
    (folder / "a.hl7").write_bytes(message(1) + message(2).replace(b"P2", b"\xff\xfe\xfa") + message(3))
    told: list[str] = []
    inlet(spool, keeper, folder, told).look()
    assert [state for _, _, state in kept(spool)] == ["new", "unreadable", "new"]
    assert "refused/a.hl7.reason.txt" in there(folder)
    assert any("inlet.file_refused" in line for line in told)
    assert not any("a.hl7" in line for line in told), "a file's name may name a patient"


def test_an_archive_and_a_name_in_gbk(spool: Spool, keeper: Keeper, folder: Path) -> None:
    import os

    (folder / os.fsdecode("张三.zip".encode("gbk"))).write_bytes(zipped({"检验.xml": XML, "b.hl7": message(1)}))
    inlet(spool, keeper, folder).look()
    assert [sender for sender, _, _ in kept(spool)] == ["张三.zip!检验.xml", "张三.zip!b.hl7"]


def test_nothing_is_put_away_that_is_not_on_disk(spool: Spool, folder: Path) -> None:
    """And after a restart all of it is there once."""
    (folder / "a.hl7").write_bytes(message(1) + message(2))

    def full(arrived: Sequence[Arrived]) -> Future[list[Kept]]:
        future: Future[list[Kept]] = Future()
        future.set_exception(InboxFull("the disk is full"))
        return future

    one = inlet(spool, full, folder)
    one.look()
    assert one.told()["problem"] == "the disk is full"
    assert there(folder) == ["a.hl7"]
    keeper = Keeper(spool.inbox).start()
    inlet(spool, keeper, folder).look()
    keeper.stop()
    assert len(kept(spool)) == 2
    assert there(folder) == [f"done/{TODAY}/a.hl7"]


def test_kept_and_not_put_away_is_known_to_the_inbox(spool: Spool, keeper: Keeper, folder: Path) -> None:
    """We died between the inbox's commit and our own note."""
    (folder / "a.hl7").write_bytes(message(1))

    class Dies:
        def __call__(self, arrived: Sequence[Arrived]) -> Future[list[Kept]]:
            keeper(arrived).result()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inlet(spool, Dies(), folder).look()
    assert there(folder) == ["a.hl7"]
    one = inlet(spool, keeper, folder)
    one.look()
    assert len(kept(spool)) == 1
    assert there(folder) == [f"done/{TODAY}/a.hl7"]
    assert one.told()["duplicates"] == 1


def test_left_files_are_known_after_a_restart(tmp_path: Path, folder: Path) -> None:
    for name in ("a.xml", "b.xml"):
        (folder / name).write_bytes(XML)
    for run in range(2):
        with Spool(tmp_path / "state").open() as spool:
            keeper = Keeper(spool.inbox).start()
            one = inlet(spool, keeper, folder, after="leave")
            one.look()
            keeper.stop()
            assert (one.told()["taken"], one.told()["duplicates"]) == ((2, 0) if run == 0 else (0, 0))
    assert there(folder) == ["a.xml", "b.xml"]


def test_files_that_went_long_ago_are_forgotten_and_those_that_lie_there_are_not(spool: Spool) -> None:
    from connectors.folders.collecting import Known

    files = spool.picked("lis")
    odd = "\udcff/检验"
    files.remember([Known(name, 1, 2, "d", NOW) for name in ("gone", odd)])
    spool.picked("other").remember([Known("gone", 1, 2, "d", NOW)])
    later = NOW + timedelta(days=91)
    files.still_there([odd], later)
    files.forget(later - timedelta(days=90))
    assert set(files.known(["gone", odd, "never"])) == {odd}
    assert set(spool.picked("other").known(["gone"])) == {"gone"}


def test_it_works_in_a_thread_and_ends_when_it_is_told(spool: Spool, keeper: Keeper, folder: Path) -> None:
    one = inlet(spool, keeper, folder, every=timedelta(seconds=1))
    one.probe()
    one.start()
    (folder / "a.xml").write_bytes(XML)
    end = time.monotonic() + 30
    while not kept(spool) and time.monotonic() < end:
        time.sleep(0.05)
    one.stop(10)
    assert len(kept(spool)) == 1


def test_a_folder_that_is_away_is_told_once_and_asked_less_often(spool: Spool, keeper: Keeper, folder: Path) -> None:
    told: list[str] = []
    one = inlet(spool, keeper, folder / "nowhere", told)
    waits = [one.look() for _ in range(8)]
    assert waits[-1] > waits[0]
    assert len(told) == 1
    (folder / "nowhere").mkdir()
    assert one.look() == 5
    assert "inlet.reached" in told[-1]


def test_fetching_once_waits_until_files_have_settled(spool: Spool, keeper: Keeper, folder: Path) -> None:
    (folder / "a.xml").write_bytes(XML)
    one = inlet(spool, keeper, folder, whole="settle", settle=timedelta(milliseconds=200))
    assert one.fetch() == 1
    assert len(kept(spool)) == 1


# -- behind SFTP


def test_files_behind_sftp_are_taken_and_moved_there(spool: Spool, keeper: Keeper) -> None:
    try:
        with sshd() as server:
            text = f"""
                [institution]
                id = "4201"
                name = "x"
                [sources.his]
                url = "sqlite:///his.db"
                [destinations.platform]
                url = "http://127.0.0.1:1"
                [inlets.lis]
                type = "sftp"
                url = "{server.url()}"
                key_secret = "sftp-key"
                host_key = ["{server.fingerprint}"]
                whole = "marker"
                [[feeds]]
                name = "labs"
                source = "his"
                mapping = "demo_lis/lab_report"
            """
            config = parse_config(text)
            secrets = {"sftp-key": server.private_key}
            hands = Hands(
                keeper, Tapped(), lambda: NOW, lambda: "", secrets.__getitem__, "Asia/Shanghai", lambda day, days: True,
                spool.picked("lis"),
            )  # fmt: skip
            one = make("lis", config.inlets["lis"], hands)
            assert isinstance(one, FilesInlet)
            (server.folder / "a.hl7").write_bytes(message(1) + message(2))
            (server.folder / "half.hl7").write_bytes(message(3))
            (server.folder / "a.hl7.ok").touch()
            one.probe()
            assert one.fetch() == 1
            assert [sender for sender, _, _ in kept(spool)] == ["a.hl7!#1", "a.hl7!#2"]
            assert there(server.folder) == [f"done/{TODAY}/a.hl7", "half.hl7"]
            server.stop()
            assert one.look() > 0
            assert "Errno" not in one.told()["problem"]
            server.start()
            (server.folder / "half.ok").touch()
            one.look()
            assert len(kept(spool)) == 3
            one.stop(5)
    except ServerMissing as missing:
        pytest.skip(str(missing))


# -- settings


def config_of(inlet: str) -> Config:
    return parse_config(
        f"""
        [institution]
        id = "4201"
        name = "x"
        [sources.his]
        url = "sqlite:///his.db"
        [destinations.platform]
        url = "http://127.0.0.1:1"
        [[feeds]]
        name = "labs"
        source = "his"
        mapping = "demo_lis/lab_report"
        [inlets.lis]
        {inlet}
        """,
        folder=Path("/etc/frontend-agent"),
    )


def test_paths_are_meant_from_the_file(tmp_path: Path) -> None:
    table = config_of('type = "folder"\npath = "in"').inlets["lis"]
    assert isinstance(table, FolderInlet)
    assert table.path == "/etc/frontend-agent/in"


@pytest.mark.parametrize(
    ("inlet", "problem"),
    [
        ('type = "folder"', "missing key 'path'"),
        ('type = "folder"\npath = "in"\ndone = "../out"', "done = '../out' must be a folder inside"),
        ('type = "folder"\npath = "in"\ndone = "x"\nrefused = "x"', "one folder"),
        ('type = "folder"\npath = "in"\nwhole = "marker"\nmarker = "ok"', 'an ending like ".ok"'),
        ('type = "folder"\npath = "in"\npatterns = []', "patterns: there is none"),
        ('type = "folder"\npath = "in"\ncharset = "klingon"', "unknown character set"),
        ('type = "folder"\npath = "in"\nmount = "mnt"', "mount must be an absolute path"),
        ('type = "sftp"\nurl = "sftp://u@h/in"\nsecret = "x"', "not pinned"),
        ('type = "sftp"\nurl = "sftp://u:p-canary@h/in"\nsecret = "x"\nknown_hosts = "k"', "write its secret's name"),
        ('type = "sftp"\nurl = "ftp://u@h/in"\nsecret = "x"\nknown_hosts = "k"', "no"),
        ('type = "sftp"\nurl = "sftp://u@h/in"\nknown_hosts = "k"', "nothing to come in with"),
        ('type = "sftp"\nurl = "sftp://u@h/in"\nsecret = "x"\nhost_key = ["MD5:aa"]', "no fingerprint"),
    ],
)
def test_mistakes_are_told_before_anything_starts(inlet: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        config_of(inlet)
    assert problem in str(told.value)


def test_a_place_is_made_by_its_settings() -> None:
    from connectors.folders.making import sftp_place

    table: Any = config_of('type = "sftp"\nurl = "sftp://l%C3%ADs@[::1]:2222/~/out"\nsecret = "x"\nknown_hosts = "k"')
    place = sftp_place(table.inlets["lis"], timedelta(seconds=1), lambda name: f"value of {name}")
    assert isinstance(place, SftpPlace)
    options = place._options
    assert (options.user, options.host, options.port, options.folder) == ("lís", "::1", 2222, "out")
    assert (options.password, options.known_hosts) == ("value of x", "/etc/frontend-agent/k")
    place.close()


def test_a_workbook_in_a_zip_is_read_as_one(spool: Spool, keeper: Keeper, folder: Path) -> None:
    from openpyxl import Workbook

    Workbook().save(folder.parent / "a.xlsx")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder.parent / "a.xlsx", "a.xlsx")
    inlet(spool, keeper, folder).look()
    assert kept(spool) == [("a.zip!a.xlsx", "xlsx", "new")]

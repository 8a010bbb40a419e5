"""The small file system under inlets, outlets and feedback: a folder of this machine, and one behind OpenSSH's SFTP."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import asyncssh
import pytest

from connectors.folders.local import LocalPlace
from connectors.folders.local_windows import WindowsPlace, is_safe
from connectors.folders.place import (
    FILE,
    FOLDER,
    OTHER,
    Gone,
    NoPermission,
    Place,
    PlaceRefused,
    PlaceUnreachable,
    Taken,
    TooLarge,
    shown,
)
from connectors.folders.sftp import SftpOptions, SftpPlace
from tests.ports import free_port
from tests.servers import ServerMissing
from tests.sshd import Sshd, sshd

GBK_NAME = os.fsdecode("检验报告.xml".encode("gbk"))


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    try:
        with sshd() as one:
            yield one
    except ServerMissing as missing:
        pytest.skip(str(missing))


def options_of(server: Sshd, folder: Path) -> SftpOptions:
    return SftpOptions(
        host="127.0.0.1",
        port=server.port,
        user=server.user,
        folder=str(folder),
        timeout=timedelta(seconds=20),
        private_key=server.private_key,
        host_keys=(server.fingerprint,),
    )


@pytest.fixture(params=["folder", "folder on Windows", "sftp"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        yield LocalPlace(tmp_path)
        return
    if request.param == "folder on Windows":  # it asks nothing of Windows that is not here, too
        yield WindowsPlace(tmp_path)
        return
    one = SftpPlace(options_of(request.getfixturevalue("server"), tmp_path))
    yield one
    one.close()


def test_what_is_there_is_listed_with_its_kind_and_links_are_not_followed(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(b"12345")
    (tmp_path / "inner").mkdir()
    (tmp_path / "link.xml").symlink_to(tmp_path / "a.xml")
    os.mkfifo(tmp_path / "pipe.xml")
    found = {seen.path: (seen.what, seen.size) for seen in place.entries("")}
    assert found["a.xml"] == (FILE, 5)
    assert found["inner"][0] == FOLDER
    assert (found["link.xml"][0], found["pipe.xml"][0]) == (OTHER, OTHER)


def test_a_name_in_gbk_is_found_read_and_moved_by_its_own_bytes(place: Place, tmp_path: Path) -> None:
    (tmp_path / GBK_NAME).write_bytes(b"content")
    (found,) = place.entries("")
    assert found.path == GBK_NAME
    assert shown(found.path) == "检验报告.xml"
    assert place.read(found.path, 100) == b"content"
    place.move(found.path, f"done/{found.path}")
    assert (tmp_path / "done" / GBK_NAME).read_bytes() == b"content"


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "a/../../b", "a//b", "a\0b", "."])
def test_no_path_leads_out_of_a_place(place: Place, path: str) -> None:
    for ask in (lambda: place.read(path, 10), lambda: place.write(path, b"x"), lambda: place.move(path, "b")):
        with pytest.raises(ValueError, match="leads out"):
            ask()


def test_a_link_is_neither_read_nor_gone_through(place: Place, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(outside / "secret")
    (tmp_path / "way").symlink_to(outside)
    with pytest.raises(NoPermission):
        place.read("link", 100)
    with pytest.raises((NoPermission, Gone, PlaceUnreachable)):
        place.write("way/new", b"x")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_a_pipe_holds_nobody(place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoPermission):
        place.read("pipe", 100)


def test_too_large_a_file_is_not_read(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 101)
    with pytest.raises(TooLarge):
        place.read("a", 100)
    assert len(place.read("a", 101)) == 101


def test_writing_makes_folders_and_leaves_nothing_unfinished(place: Place, tmp_path: Path) -> None:
    place.write("2026/11/a.xml", "内容".encode())
    assert (tmp_path / "2026/11/a.xml").read_text("utf-8") == "内容"
    assert [path.name for path in (tmp_path / "2026/11").iterdir()] == ["a.xml"]


def test_the_same_bytes_again_are_no_second_effect_and_others_are_refused(place: Place, tmp_path: Path) -> None:
    place.write("a.xml", b"one")
    before = (tmp_path / "a.xml").stat().st_ino
    place.write("a.xml", b"one")
    with pytest.raises(Taken):
        place.write("a.xml", b"two")
    with pytest.raises(Taken):
        place.write("a.xml", b"longer than one")
    assert (tmp_path / "a.xml").read_bytes() == b"one"
    assert (tmp_path / "a.xml").stat().st_ino == before


def test_a_move_replaces_nothing(place: Place, tmp_path: Path) -> None:
    place.write("a", b"one")
    place.write("done/a", b"before")
    with pytest.raises(Taken):
        place.move("a", "done/a")
    assert (tmp_path / "done/a").read_bytes() == b"before"
    assert (tmp_path / "a").read_bytes() == b"one"


def test_a_folder_that_somebody_took_away_is_made_again(place: Place, tmp_path: Path) -> None:
    for name in ("a", "b"):
        place.write(name, b"x")
    place.move("a", "done/1/a")
    shutil.rmtree(tmp_path / "done")
    for _ in range(2):  # the first try may find out
        if place.look("b") is not None:
            with suppress(Gone):
                place.move("b", "done/1/b")
    assert (tmp_path / "done/1/b").read_bytes() == b"x"
    shutil.rmtree(tmp_path / "done")
    with suppress(Gone):
        place.write("done/1/c", b"x")
    place.write("done/1/c", b"x")
    assert (tmp_path / "done/1/c").read_bytes() == b"x"


def test_what_is_gone_is_told_so(place: Place) -> None:
    assert place.look("a") is None
    with pytest.raises(Gone):
        place.read("a", 10)
    with pytest.raises(Gone):
        place.move("a", "b")
    place.remove("a")


def test_lines_are_appended(place: Place, tmp_path: Path) -> None:
    place.append("index.csv", b"one\n")
    place.append("index.csv", b"two\n")
    assert (tmp_path / "index.csv").read_bytes() == b"one\ntwo\n"


def test_a_probe_leaves_nothing_behind_and_says_what_is_missing(place: Place, tmp_path: Path) -> None:
    place.probe(writing=True)
    assert list(tmp_path.iterdir()) == []
    tmp_path.rmdir()
    with pytest.raises(PlaceUnreachable, match="no such folder"):
        place.probe(writing=False)


def test_a_share_that_is_not_mounted_is_no_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(PlaceUnreachable, match="not mounted"):
        list(LocalPlace(tmp_path, mount=str(tmp_path)).entries(""))


# -- SFTP alone


def test_an_unknown_key_is_refused_with_its_fingerprint(server: Sshd, tmp_path: Path) -> None:
    wrong = "SHA256:" + "A" * 43
    place = SftpPlace(replace(options_of(server, tmp_path), host_keys=(wrong,)))
    with pytest.raises(PlaceRefused) as told:
        place.probe(writing=False)
    assert server.fingerprint in str(told.value)
    place.close()


def test_nobody_is_trusted_at_first_sight(server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not by what ~/.ssh/known_hosts says: what counts is in agent.toml."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    public = (server.home / "host.pub").read_text()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {public}")
    monkeypatch.setenv("HOME", str(home))
    place = SftpPlace(replace(options_of(server, tmp_path), host_keys=()))
    with pytest.raises(PlaceRefused, match="not the pinned one"):
        place.probe(writing=False)
    place.close()


def test_a_pinned_key_of_another_type_is_asked_for(server: Sshd, tmp_path: Path) -> None:
    place = SftpPlace(replace(options_of(server, tmp_path), host_keys=(server.rsa_fingerprint,)))
    place.probe(writing=True)
    place.close()


def test_known_hosts_pins_as_well(server: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"[127.0.0.1]:{server.port} {(server.home / 'host.pub').read_text()}")
    place = SftpPlace(replace(options_of(server, tmp_path), host_keys=(), known_hosts=str(file)))
    place.probe(writing=True)
    place.close()


def test_a_key_that_is_not_let_in_is_told(server: Sshd, tmp_path: Path) -> None:
    place = SftpPlace(replace(options_of(server, tmp_path), private_key=(server.home / "host").read_text()))
    with pytest.raises(PlaceRefused, match="not accepted"):
        place.probe(writing=False)
    place.close()


def test_what_is_no_key_is_told_without_being_quoted(server: Sshd, tmp_path: Path) -> None:
    place = SftpPlace(replace(options_of(server, tmp_path), private_key="not a key at all"))
    with pytest.raises(PlaceRefused) as told:
        place.probe(writing=False)
    assert "not a key" not in str(told.value)
    place.close()


def test_a_server_that_is_away_is_unreachable_and_found_again(tmp_path: Path) -> None:
    try:
        with sshd() as one:
            place = SftpPlace(options_of(one, one.folder))
            place.write("a", b"1")
            one.stop()
            with pytest.raises(PlaceUnreachable):
                place.read("a", 10)
            one.start()
            assert place.read("a", 10) == b"1"
            place.close()
    except ServerMissing as missing:
        pytest.skip(str(missing))


def test_nobody_listens_there(server: Sshd, tmp_path: Path) -> None:
    place = SftpPlace(replace(options_of(server, tmp_path), port=free_port()))
    with pytest.raises(PlaceUnreachable):
        place.probe(writing=False)
    place.close()


def test_a_server_that_says_nothing_is_not_waited_for(server: Sshd, tmp_path: Path) -> None:
    import socket
    import time

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        silent = replace(options_of(server, tmp_path), port=listener.getsockname()[1], timeout=timedelta(seconds=1))
        place = SftpPlace(silent)
        began = time.monotonic()
        with pytest.raises(PlaceUnreachable):
            place.probe(writing=False)
        assert time.monotonic() - began < 15
        place.close()


def test_a_private_key_with_a_passphrase(server: Sshd, tmp_path: Path) -> None:
    shutil.copy(server.home / "user", tmp_path / "locked")
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", "", "-N", "a right one", "-f", str(tmp_path / "locked")],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    locked = replace(options_of(server, tmp_path), private_key=(tmp_path / "locked").read_text())
    opened = SftpPlace(replace(locked, passphrase="a right one"))
    opened.probe(writing=True)
    opened.close()
    for passphrase in ("", "another one"):
        place = SftpPlace(replace(locked, passphrase=passphrase))
        with pytest.raises(PlaceRefused, match="passphrase") as told:
            place.probe(writing=False)
        assert "another one" not in str(told.value)
        place.close()


class _Password(asyncssh.SSHServer):
    """A server that asks for a password, and is asked whether it was offered one."""

    offered: ClassVar[list[str]] = []

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self.offered.append(password)
        return password == "右 one"


@contextmanager
def password_server(folder: Path) -> Iterator[tuple[int, str]]:
    """(its port, the fingerprint of its key)"""
    key, loop, ready = asyncssh.generate_private_key("ssh-ed25519"), asyncio.new_event_loop(), threading.Event()
    port: list[int] = []

    async def serve() -> None:
        acceptor = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=_Password, server_host_keys=[key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder).encode()),
        )  # fmt: skip
        port.append(acceptor.get_port())
        ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(serve()), loop.run_forever()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield port[0], key.get_fingerprint()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def test_a_password_is_offered_to_the_pinned_server_alone(tmp_path: Path) -> None:
    with password_server(tmp_path) as (port, fingerprint):
        right = SftpOptions(
            host="127.0.0.1", port=port, user="lis", folder="/", timeout=timedelta(seconds=20), password="右 one",
            host_keys=(fingerprint,),
        )  # fmt: skip
        _Password.offered.clear()
        for options, said in (
            (replace(right, host_keys=("SHA256:" + "A" * 43,)), "not the pinned one"),
            (replace(right, password="wrong"), "not accepted"),
        ):
            place = SftpPlace(options)
            with pytest.raises(PlaceRefused, match=said):
                place.probe(writing=False)
            place.close()
        assert set(_Password.offered) == {"wrong"}
        place = SftpPlace(right)
        place.write("in/a.xml", b"content")
        assert [seen.path for seen in place.entries("in")] == ["in/a.xml"]
        place.close()
    assert (tmp_path / "in/a.xml").read_bytes() == b"content"


def test_secrets_are_not_shown() -> None:
    options = SftpOptions(
        host="h",
        port=22,
        user="u",
        folder="/",
        timeout=timedelta(seconds=1),
        password="p-canary",
        private_key="k-canary",
    )
    assert "canary" not in repr(options)


@pytest.mark.parametrize("name", ["CON", "nul.xml", "COM1.txt", "lpt9", "a:stream", "a.xml::$DATA", "a?", "a*", "a.", "a ", "a\x01b", "aux .xml"])  # fmt: skip
def test_what_windows_takes_for_a_device_or_a_stream_is_no_file(name: str, tmp_path: Path) -> None:
    place = WindowsPlace(tmp_path)
    for ask in (lambda: place.write(name, b"x"), lambda: place.read(name, 9), lambda: place.append(name, b"x")):
        with pytest.raises(NoPermission):
            ask()
    assert list(tmp_path.iterdir()) == []


def test_names_of_every_day_are_files_to_windows() -> None:
    assert all(
        is_safe(name) for name in ("检验报告.xml", "a.b.c", "console.xml", "com.txt", "com10.txt", ".part", "a b.xml")
    )

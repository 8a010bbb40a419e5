"""OpenSSH's own server for the tests: a real sshd on a free port of this machine, with its SFTP, gone afterwards.

    with sshd() as server:
        server.folder            # what its SFTP shows under server.folder
        server.fingerprint       # of its host key

It lets in the user that the tests run as, by a key that is made for the run. Passwords need the system's accounts, which tests
leave alone: those are tried with asyncssh's own server (test_places.py).
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port
from tests.servers import ServerMissing

PROGRAM = "/usr/sbin/sshd"


@dataclass
class Sshd:
    port: int
    home: Path
    folder: Path
    private_key: str
    fingerprint: str
    rsa_fingerprint: str
    user: str = field(default_factory=getpass.getuser)
    process: subprocess.Popen[bytes] | None = None

    def url(self, folder: str = "") -> str:
        return f"sftp://{self.user}@127.0.0.1:{self.port}{self.folder}{folder}"

    def start(self) -> None:
        log = (self.home / "log").open("ab")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "--", PROGRAM, "-D", "-e", "-f", str(self.home / "sshd_config")],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("sshd did not start: " + (self.home / "log").read_text(errors="replace")[-1000:])

    def stop(self) -> None:
        """The server and all its connections."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for one in _sessions(self.home):
            os.kill(one, signal.SIGKILL)


def _sessions(home: Path) -> list[int]:
    """Processes of connections: sshd puts each into a session of its own. Found by the file that they hold open for their log."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if os.path.realpath(process / "fd" / "2") == str((home / "log").resolve()):
                    found.append(int(process.name))
            except OSError:
                continue
    return found


@contextmanager
def sshd() -> Iterator[Sshd]:
    if not Path(PROGRAM).exists():
        raise ServerMissing("OpenSSH's server is not installed (apt install openssh-server)")
    Path("/run/sshd").mkdir(exist_ok=True)  # privilege separation: what Debian's service would make
    home = Path(tempfile.mkdtemp(prefix="fea-sshd-", dir="/tmp"))
    try:
        for name, kind in (("host", "ed25519"), ("host_rsa", "rsa"), ("user", "ed25519")):
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(home / name)], check=True)
        port = free_port()
        shutil.copy(home / "user.pub", home / "authorized")
        (home / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nHostKey {home}/host_rsa\n"
            f"AuthorizedKeysFile {home}/authorized\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "PermitRootLogin yes\nSubsystem sftp internal-sftp\nMaxStartups 100\nLogLevel ERROR\n"
        )
        folder = home / "data"
        folder.mkdir()
        server = Sshd(
            port,
            home,
            folder,
            (home / "user").read_text(),
            _fingerprint(home / "host"),
            _fingerprint(home / "host_rsa"),
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _fingerprint(key: Path) -> str:
    shown = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True).stdout
    return shown.split()[1]

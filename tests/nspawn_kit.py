"""A machine of a hospital: a fresh Debian made by debootstrap, booted by systemd-nspawn, with no network but its own loopback.

    with machine(folder) as hospital:                 # off
        hospital.put("/etc/frontend-agent/agent.toml", text)
        hospital.boot()
        hospital.run("systemctl", "start", "postgresql")
        hospital.reboot()
        hospital.cut_power()

The Debian is made once and kept outside of the checkout, under a name that says what it was made of; every machine is an
overlay over it, so that nothing that a test does stays. Needs root, systemd-container and debootstrap.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

RELEASE = "bookworm"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "postgresql", "strace")
# What a server does by itself at times is none of a test's business.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "console-getty.service", "getty.target", "systemd-networkd-wait-online.service",
)  # fmt: skip
MADE_BY = 2  # counts up when how a Debian is made changes
BOOT_WITHIN = 90.0  # seconds
END_WITHIN = 60.0


class Failed(AssertionError):
    """A command in the machine did not end with 0."""


@dataclass
class Machine:
    """One machine over a root folder. What it is asked goes into its namespaces, as root."""

    root: Path
    options: Sequence[str] = ()
    _nspawn: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _leader: int = 0  # its process 1, as we see it
    _cgroups_made: list[Path] = field(default_factory=list, repr=False)

    # --- on and off ---------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Until systemd says that everything is started (or that something failed: that is for the test to see)."""
        command = [
            "setpriv", "--pdeathsig=KILL", "--",
            "systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine=fa-{os.getpid()}-{self.root.parent.name[-8:]}",
            "--register=no", "--keep-unit", "--private-network", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
            *self.options, "--boot",
        ]  # fmt: skip
        # Cgroups of its own: its units can be held to their memory, and are no other machine's of the same name.
        environment = {**os.environ, "SYSTEMD_NSPAWN_USE_CGNS": "1", "TERM": "dumb"}
        self._make_cgroups()
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=environment,
                start_new_session=True,
                preexec_fn=self._enter_cgroups,
            )
        self._await_boot()

    def _cgroups(self) -> list[Path]:
        """A group of our own in every hierarchy, under the one that we are in ourselves."""
        found = []
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, ours = line.split(":", 2)
            name = controllers.removeprefix("name=") or ("unified" if Path("/sys/fs/cgroup/unified").is_dir() else "")
            place = Path("/sys/fs/cgroup") / name
            if place.is_dir():
                found.append(
                    place
                    / ours.lstrip("/")
                    / f"fa-{os.getpid()}-{self.root.parent.parent.name}-{self.root.parent.name}"
                )
        return found

    def _make_cgroups(self) -> None:
        for group in self._cgroups():
            with suppress(OSError):  # a hierarchy that may not be written: the machine shares it then
                group.mkdir(exist_ok=True)
                for name in ("cpuset.cpus", "cpuset.mems"):  # a group of processors takes nobody before it knows which
                    if "cpuset" in group.parts:
                        (group / name).write_text((group.parent / name).read_text())
                self._cgroups_made.append(group)

    def _enter_cgroups(self) -> None:
        """In the child, before it becomes systemd-nspawn."""
        for group in self._cgroups_made:
            with suppress(OSError):
                (group / "cgroup.procs").write_text("0")

    def _drop_cgroups(self) -> None:
        for group in self._cgroups_made:
            for folder, _, _ in os.walk(group, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)
        self._cgroups_made = []

    @property
    def console(self) -> Path:
        return self.root.parent / "console.log"

    def power_off(self) -> None:
        """In order, as by its button."""
        if self._nspawn is None:
            return
        with suppress(Failed, subprocess.TimeoutExpired, ProcessLookupError):
            self.run("systemctl", "poweroff", "--no-block", within=10)
        with suppress(subprocess.TimeoutExpired):
            self._nspawn.wait(END_WITHIN)
        self.cut_power()

    def cut_power(self) -> None:
        """Everything in it ends at this moment."""
        if self._nspawn is None:
            return
        if self._leader:
            with suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._nspawn.wait(5)
        self._nspawn.kill()
        self._nspawn.wait()
        self._nspawn, self._leader = None, 0
        self._drop_cgroups()

    def reboot(self) -> None:
        self.power_off()
        self.boot()

    def _await_boot(self) -> None:
        deadline = time.monotonic() + BOOT_WITHIN
        while time.monotonic() < deadline:
            assert self._nspawn is not None
            if self._nspawn.poll() is not None:
                raise AssertionError(f"the machine did not boot: {self.console.read_text(errors='replace')[-2000:]}")
            self._leader = _child(self._nspawn.pid)
            if self._leader:
                with suppress(subprocess.TimeoutExpired):
                    if self._try("systemctl", "is-system-running", within=10).stdout.strip() in ("running", "degraded"):
                        self._let_memory_be_held()
                        return
            time.sleep(0.1)
        raise AssertionError(f"the machine did not come up: {self.console.read_text(errors='replace')[-2000:]}")

    def _let_memory_be_held(self) -> None:
        """On hosts of the older kind of cgroups a machine sees its memory controller read-only: MemoryMax would be a word."""
        if self._try("test", "-d", "/sys/fs/cgroup/memory").returncode == 0:
            self.run("mount", "-o", "remount,rw,bind", "/sys/fs/cgroup/memory")
            self.run("systemctl", "daemon-reexec")

    # --- commands in it -----------------------------------------------------------------------------------------------

    def run(self, *command: str, input: str | None = None, within: float = 120.0, code: int = 0) -> str:
        """What a command printed to standard output. Failed: it ended with another code."""
        done = self._try(*command, input=input, within=within)
        if done.returncode != code:
            raise Failed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def says(self, *command: str, within: float = 120.0) -> subprocess.CompletedProcess[str]:
        """How it ended, whatever that was."""
        return self._try(*command, within=within)

    def _try(self, *command: str, input: str | None = None, within: float = 30.0) -> subprocess.CompletedProcess[str]:
        assert self._leader, "it is off"
        return subprocess.run(
            ["nsenter", "--all", f"--target={self._leader}", "--", "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
             "LANG=C.UTF-8", "HOME=/", "USER=root", *command],
            input=input, capture_output=True, text=True, errors="replace", timeout=within, cwd="/",
        )  # fmt: skip

    def plug(self, card: str) -> None:
        """Put one of our network interfaces into it; it is gone from here, and everywhere once the machine is off."""
        assert self._leader, "it is off"
        subprocess.run(["ip", "link", "set", card, "netns", str(self._leader)], check=True, capture_output=True)

    def shows(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit: ActiveState, MainPID, NRestarts …"""
        told = self.run("systemctl", "show", unit, *(f"--property={name}" for name in properties))
        return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)

    def pid(self, unit: str) -> int:
        return int(self.shows(unit, "MainPID")["MainPID"])

    def journal(self, *matches: str) -> list[dict[str, object]]:
        """Entries of its journal, whole."""
        told = self.run("journalctl", "--no-pager", "--output=json", *matches)
        return [json.loads(line) for line in told.splitlines()]

    # --- its files ----------------------------------------------------------------------------------------------------

    def path(self, name: str) -> Path:
        """A file of it as we see it. Not of its /run and /tmp, which are in its memory."""
        return self.root / name.lstrip("/")

    def put(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)


def eventually(is_so: Callable[[], object], within: float = 30.0, every: float = 0.2, what: str = "it") -> float:
    """Wait for it; how many seconds that took."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < within, f"{what} did not come to be within {within:.0f} s"
        time.sleep(every)
    return time.monotonic() - began


# -- Making them ------------------------------------------------------------------------------------------------------


def missing(what: str) -> NoReturn:
    """Skips at a desk without a network; fails in CI, where a test that skips is one that never runs."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def machine(folder: Path, *options: str, layers: Sequence[Path] = ()) -> Iterator[Machine]:
    """A machine that is off, over a Debian of its own; whatever happens to the test, it is gone afterwards.

    `options`: of systemd-nspawn. `layers`: folders that lie over the Debian, the uppermost first.
    """
    base = debian()
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "root"
    with (base.parent / "machines.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time: they are judged by how soon they do something, on two cores
        undo = _overlay([*layers, base], folder, root)
        made = Machine(root, options)
        try:
            yield made
        finally:
            made.cut_power()
            undo()


def debian() -> Path:
    """The root folder that every machine begins with; made where it is not there yet (a minute), or a skip that says why not."""
    if os.geteuid() != 0:
        pytest.skip("machines are booted by root only")
    for program in ("systemd-nspawn", "debootstrap", "nsenter"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            pytest.skip(f"{program} is not installed (Debian: systemd-container, debootstrap)")
    name = hashlib.sha256(repr((RELEASE, PACKAGES, MASKED, MADE_BY)).encode()).hexdigest()[:16]
    folder = _cache() / f"{RELEASE}-{name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes of one run need it once
        if not folder.is_dir():
            _make(folder)
    return folder


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "frontend-agent-machines"


def _make(folder: Path) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, str(part), *_mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(part, ignore_errors=True)
        missing(f"no Debian could be made: {done.stdout.strip().splitlines()[-1:]}{done.stderr[-300:]}")
    shutil.rmtree(part / "var/cache/apt/archives", ignore_errors=True)
    subprocess.run(["systemctl", "--quiet", f"--root={part}", "mask", *MASKED], check=True, capture_output=True)
    subprocess.run(["systemctl", "--quiet", f"--root={part}", "disable", "postgresql"], check=True, capture_output=True)
    (part / "etc/hostname").write_text("qianzhiji\n")
    (part / "etc/machine-id").write_text("")  # each machine gets its own at its first start
    part.rename(folder)


def _mirror() -> list[str]:
    """Where this machine itself has its Debian from; else debootstrap's own."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {RELEASE}", "Component: main"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.split()[:1]


def _overlay(layers: Sequence[Path], folder: Path, root: Path) -> Callable[[], None]:
    """`root` over the layers, the uppermost first; where overlays are not allowed, a copy."""
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    options = f"lowerdir={':'.join(map(str, layers))},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    mounted = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", options, str(root)], capture_output=True, check=False
    )
    if mounted.returncode:
        for layer in reversed(layers):
            subprocess.run(["cp", "-a", "--reflink=auto", f"{layer}/.", str(root)], check=True)

    def undo() -> None:
        if not mounted.returncode:
            subprocess.run(["umount", "--lazy", str(root)], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)

    return undo


def _child(pid: int) -> int:
    """The machine's process 1: the first child of systemd-nspawn; 0 as long as there is none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0

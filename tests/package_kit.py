"""What a hospital is given, made once per source and kept outside of the checkout, and bare Debians to try it in.

made = package()                          # the program, .deb, .rpm and .tar.zst, signed by made.key; or a skip that says why not
with debian(folder, "trixie") as root:    # a fresh Debian in a folder; nothing that is done to it stays
    root.run("dpkg", "-i", "/given/frontend-agent.deb")     # in it, with no network but its own loopback
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent import program
from installer import carriers, inputs, runtime, tree
from tests.nspawn_kit import missing

ROOT = Path(__file__).resolve().parents[1]
# What ends up in a package; another byte in any of it makes another one.
SOURCES = (
    "frontend_agent",
    "connectors",
    "mappings",
    "cda_templates",
    "installer",
    "systemd",
    "docs",
    "tools/documentation",
    "pyproject.toml",
    "requirements.lock",
)
MADE_BY = 1  # counts up when what is kept here changes


@dataclass(frozen=True)
class Package:
    """Everything that `tools/package` makes. `folder` holds the files, `program` the program as a folder."""

    folder: Path
    program: Path
    version: str
    architecture: inputs.Architecture

    @property
    def key(self) -> Ed25519PrivateKey:
        """The private key that signed it; it is one of tests."""
        return Ed25519PrivateKey.from_private_bytes(b"\7" * 32)

    @property
    def keys(self) -> program.Keys:
        public = self.key.public_key().public_bytes_raw()
        return program.Keys({program.key_id(public): public})

    @property
    def deb(self) -> Path:
        return next(self.folder.glob("*.deb"))

    @property
    def archive(self) -> Path:
        return next(self.folder.glob("*.tar.zst"))

    @property
    def rpm(self) -> Path:
        return next(self.folder.glob("*.rpm"))


@cache
def package(source: Path = ROOT, machine: str = "") -> Package:
    """The package of a checkout. Making takes a minute or two, once per content; a network is needed once per lock."""
    for name in ("patchelf", "dpkg-deb", "rpmbuild"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed (Debian: {inputs.PACKAGES_OF[name]})")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("packages are made with Python 3.11, the interpreter that they carry")
    architecture = inputs.ARCHITECTURES[machine or os.uname().machine]
    with _locked(f"inputs-{architecture.name}"):
        found = _inputs(architecture, source / "requirements.lock")
    what = hashlib.sha256(f"{MADE_BY} {found.digest()} {content_of(source)}".encode()).hexdigest()[:16]
    folder = cache_folder() / f"package-{architecture.name}-{what}"
    with _locked(folder.name):
        if not folder.is_dir():
            _forget_old(architecture)
            _make(source, found, folder)
    version = tree.version_of(source)
    return Package(folder, folder / f"frontend-agent-{version}", version, architecture)


def _inputs(architecture: inputs.Architecture, lock: Path) -> inputs.Inputs:
    folder = inputs.default_folder(architecture)
    if not inputs.is_fetched(folder, lock):
        try:
            return inputs.fetch(architecture, folder, lock)
        except inputs.NotMade as error:
            missing(f"what a package is made of could not be fetched: {error}")
    return inputs.Inputs(folder, architecture)


def _make(source: Path, found: inputs.Inputs, folder: Path) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    key = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    root = tree.make(source, found, part, key, inputs.default_folder(found.architecture).parent / "kept")
    epoch = tree.epoch_of(source)
    made = [carriers.make(kind, root, found.architecture, part, epoch, key, True) for kind in ("deb", "rpm", "archive")]
    carriers.sums(part, made, key)
    part.rename(folder)


def content_of(source: Path) -> str:
    """SHA-256 (hex) over every file that a package is made from."""
    digest = hashlib.sha256()
    for name in SOURCES:
        place = source / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(
                    str(path.relative_to(source)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest()
                )
    return digest.hexdigest()


def _forget_old(architecture: inputs.Architecture) -> None:
    """What was made of other contents: one or two gigabytes each. The last four stay, for whoever tests them now."""
    made = sorted(cache_folder().glob(f"package-{architecture.name}-*[0-9a-f]"), key=lambda path: path.stat().st_mtime)
    for folder in [one for one in made if one.is_dir()][:-4]:
        shutil.rmtree(folder, ignore_errors=True)


def cache_folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "frontend-agent-machines"


@contextmanager
def _locked(name: str) -> Iterator[None]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes of one run need it once
        yield


# --- bare Debians -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Root:
    """A Debian in a folder that is not booted: no systemd runs in it."""

    path: Path

    def run(self, *command: str, code: int = 0, within: float = 240.0, input: str | None = None) -> str:
        """What a command printed, both streams; it runs as root with processes and network of its own."""
        around = (
            "/usr/bin/env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "DEBIAN_FRONTEND=noninteractive",
        )
        return self.bare(*around, *command, code=code, within=within, input=input)

    def bare(self, *command: str, code: int = 0, within: float = 240.0, input: str | None = None) -> str:
        """The same in a root that may hold nothing but the command."""
        # Its loopback is brought up from here: the smallest Debian has no ip.
        inside = 'ip link set lo up && exec chroot "$@"'
        ran = subprocess.run(
            ["unshare", "--net", "--mount", "--pid", "--fork", f"--mount-proc={self.path / 'proc'}", "--kill-child",
             "sh", "-c", inside, "sh", str(self.path), *command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=within, input=input,
            check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip
        assert ran.returncode == code, f"{' '.join(command)}: exit {ran.returncode}\n{ran.stdout[-4000:]}"
        return ran.stdout

    def give(self, path: Path, name: str = "") -> str:
        """Put a file onto it, as from a USB stick; returns where it lies."""
        place = self.path / "given" / (name or path.name)
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, place)
        return f"/given/{place.name}"


@contextmanager
def debian(folder: Path, release: str = "bookworm") -> Iterator[Root]:
    """A fresh Debian as debootstrap makes the smallest; a skip where there is none to be had."""
    base = _debian(release)
    root, undo = overlay(base, folder)
    try:
        yield Root(root)
    finally:
        undo()


def _debian(release: str) -> Path:
    if os.geteuid() != 0:
        pytest.skip("roots of other Debians are made by root only")
    debootstrap = shutil.which("debootstrap", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if debootstrap is None:
        pytest.skip("debootstrap is not installed")
    folder = cache_folder() / f"smallest-{release}"
    with _locked(folder.name):
        if not folder.is_dir():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            command = [debootstrap, "--variant=minbase", release, str(part), inputs.mirrors()[0]]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                missing(f"no Debian {release} could be made: {(ran.stdout.strip().splitlines() or ['?'])[-1]}")
            shutil.rmtree(part / "var/cache/apt/archives", ignore_errors=True)
            part.rename(folder)
    return folder


def overlay(base: Path, folder: Path) -> tuple[Path, Callable[[], None]]:
    """A folder over `base` in which nothing that is done reaches it; and what takes it away."""
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    options = f"lowerdir={base},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    root = folder / "root"
    mount: Sequence[str] = ("mount", "-t", "overlay", "overlay", "-o", options, str(root))
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    if not mounted:
        subprocess.run(["cp", "-a", "--reflink=auto", f"{base}/.", str(root)], check=True)

    def undo() -> None:
        if mounted:
            subprocess.run(["umount", "--lazy", str(root)], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)

    return root, undo


# --- other packages ---------------------------------------------------------------------------------------------------


def renumbered(package: Package, version: str, folder: Path, kind: str) -> Path:
    """The same program under another version, carried by one kind of file ("deb", "rpm", "archive")."""
    folder.mkdir(parents=True)
    root = folder / f"frontend-agent-{version}"
    shutil.copytree(package.program, root)
    shutil.rmtree(root / "share" / "release-keys")
    init = root / tree.PACKAGES / "frontend_agent" / "__init__.py"
    init.write_text(init.read_text("utf-8").replace(f'"{package.version}"', f'"{version}"'), "utf-8")
    for stale in init.parent.glob("__pycache__/__init__.*.pyc"):
        stale.unlink()
    (root / "share" / "version").write_text(version + "\n", "utf-8")
    runtime.settle(root, f"{program.HOME}/versions/{version}", package.architecture)
    epoch = int((package.program / program.MANIFEST).stat().st_mtime)
    tree.seal(root, version, package.architecture.name, package.key, epoch)
    return carriers.make(kind, root, package.architecture, folder, epoch, package.key, True)


def made_again(package: Package, folder: Path) -> Path:
    """The program from its inputs on, with nothing kept from before."""
    found = inputs.Inputs(inputs.default_folder(package.architecture), package.architecture)
    return tree.make(ROOT, found, folder / "again", package.key, folder / "kept")

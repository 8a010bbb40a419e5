"""What a package is made of, fetched once while there is a network and kept: everything after this works without one.

Debian's packages come through apt, which proves them by Debian's signature; wheels through pip, which proves them by the
hashes of requirements.lock. `inputs.json` says what was taken, with the hash of each file.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

RELEASE = "bookworm"  # whose interpreter and C library are taken; decision 0044 says why
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# With what they depend on: the interpreter, the C++ library of wheels, ODBC and those of its drivers whose licences allow it.
SEEDS = ("python3.11", "libstdc++6", "odbc-postgresql", "odbc-mariadb", "tdsodbc", "libsqliteodbc", "libodbc2")
# Of those that apt adds nothing is taken but libraries; these hold none.
NEVER = frozenset({"dpkg", "tar", "debconf", "readline-common", "libreadline8", "media-types", "odbcinst"})


class NotMade(Exception):
    """Why there is no package. Says who can help."""


@dataclass(frozen=True)
class Architecture:
    """One machine type under the names that the kernel, Debian and RPM have for it."""

    name: str  # uname -m, and RPM's and pip's name
    debian: str
    triplet: str
    loader: str  # file name of the dynamic loader
    elf: int  # e_machine


ARCHITECTURES = {
    one.name: one
    for one in (
        Architecture("x86_64", "amd64", "x86_64-linux-gnu", "ld-linux-x86-64.so.2", 62),
        Architecture("aarch64", "arm64", "aarch64-linux-gnu", "ld-linux-aarch64.so.1", 183),
    )
}


@dataclass(frozen=True)
class Inputs:
    """A folder of inputs: debs/, wheels/, viewer/ and inputs.json."""

    folder: Path
    architecture: Architecture

    @property
    def debs(self) -> list[Path]:
        return sorted((self.folder / "debs").glob("*.deb"))

    @property
    def wheels(self) -> list[Path]:
        return sorted((self.folder / "wheels").glob("*.whl"))

    @property
    def viewer(self) -> Path | None:
        return next(iter(sorted((self.folder / "viewer").glob("*.tgz"))), None)

    def digest(self) -> str:
        """SHA-256 (hex) over the names and hashes of everything in it."""
        return hashlib.sha256((self.folder / "inputs.json").read_bytes()).hexdigest()

    def check(self, lock: Path) -> None:
        """Raise NotMade unless every file is the one that was fetched, and every wheel one that the lock names."""
        described = json.loads((self.folder / "inputs.json").read_text("utf-8"))
        if described["lock"] != digest_of(lock):
            raise NotMade(f"{self.folder} was fetched for another {lock.name}; run: tools/package fetch")
        found = {str(path.relative_to(self.folder)): digest_of(path) for path in self._files()}
        if wrong := sorted(set(found.items()) ^ set(described["files"].items())):
            raise NotMade(f"{self.folder / wrong[0][0]} is not as it was fetched; run: tools/package fetch --again")
        allowed = hashes_of(lock)
        for wheel in self.wheels:
            if digest_of(wheel) not in allowed:
                raise NotMade(f"{wheel.name}: its hash is not in {lock.name}")

    def describe(self, lock: Path) -> None:
        files = {str(path.relative_to(self.folder)): digest_of(path) for path in self._files()}
        text = json.dumps({"lock": digest_of(lock), "release": RELEASE, "files": files}, indent=1, sort_keys=True)
        (self.folder / "inputs.json").write_text(text + "\n", "utf-8")

    def _files(self) -> list[Path]:
        return [*self.debs, *self.wheels, *([self.viewer] if self.viewer else [])]


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes_of(lock: Path) -> set[str]:
    return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock.read_text("utf-8")))


def default_folder(architecture: Architecture) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "frontend-agent-package" / architecture.name


def is_fetched(folder: Path, lock: Path) -> bool:
    """Whether the inputs in this folder are those of this lock."""
    described = folder / "inputs.json"
    return described.is_file() and json.loads(described.read_text("utf-8"))["lock"] == digest_of(lock)


def fetch(architecture: Architecture, folder: Path, lock: Path, mirror: str = "") -> Inputs:
    """Fetch everything anew, beside the folder, and put it in its place when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _fetch_debs(architecture, fresh / "debs", mirror)
        _fetch_wheels(architecture, fresh / "wheels", lock)
        _fetch_viewer(fresh / "viewer")
        Inputs(fresh, architecture).describe(lock)
        fresh.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Inputs(folder, architecture)


# --- Debian's packages, by an apt that has nothing to do with this machine's ------------------------------------------


def mirrors() -> tuple[str, str]:
    """Where this machine's own apt finds Debian, and its security updates ("" where there are none)."""
    told = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)", "Identifier: Packages"])
    found = {label: uri for uri, _, label in (line.partition(" ") for line in told.splitlines())}
    if "Debian" not in found:
        raise NotMade("this machine's apt knows no Debian: run apt-get update, or name a mirror: --mirror URL")
    return found["Debian"], found.get("Debian-Security", "")


def _fetch_debs(architecture: Architecture, folder: Path, mirror: str) -> None:
    if not KEYRING.is_file():
        raise NotMade(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
    debian, security = (mirror, "") if mirror else mirrors()
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="frontend-agent-apt.") as place:
        environment = os.environ | {"APT_CONFIG": str(_apt(Path(place), architecture, debian, security))}
        run(["apt-get", "-qq", "update"], environment)
        told = run(["apt-get", "-qq", "install", "--print-uris", "--no-install-recommends", *SEEDS], environment)
        names = {name.partition("_")[0] for name in re.findall(r"^'\S+' (\S+)", told, re.MULTILINE)}
        run(["apt-get", "-qq", "download", *sorted(names - NEVER)], environment, folder)


def _apt(place: Path, architecture: Architecture, debian: str, security: str) -> Path:
    """The configuration of an apt with a state of its own: no package is installed, and any architecture may be asked for."""
    for name in ("lists/partial", "archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (place / name).mkdir(parents=True)
    (place / "status").touch()
    lines = [f"deb [signed-by={KEYRING}] {debian} {RELEASE} main"]
    if security:
        lines.append(f"deb [signed-by={KEYRING}] {security} {RELEASE}-security main")
    (place / "sources.list").write_text("\n".join(lines) + "\n", "utf-8")
    settings = {
        "Dir::State": place,
        "Dir::State::lists": place / "lists",
        "Dir::State::status": place / "status",
        "Dir::Cache": place,
        "Dir::Cache::archives": place / "archives",
        "Dir::Etc": place / "etc",
        "Dir::Etc::sourcelist": place / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": architecture.debian,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",
    }
    text = "".join(f'{name} "{value}";\n' for name, value in settings.items())
    path = place / "apt.conf"
    path.write_text(text + f'APT::Architectures {{"{architecture.debian}";}};\n', "utf-8")
    return path


# --- wheels and the viewer --------------------------------------------------------------------------------------------


def platforms(architecture: Architecture) -> list[str]:
    """What a wheel may ask for: every C library up to the one that we bring (bookworm's is 2.36)."""
    minors = [f"manylinux_2_{minor}" for minor in range(36, 16, -1)]
    return [
        f"{name}_{architecture.name}" for name in (*minors, "manylinux2014", "manylinux2010", "manylinux1", "linux")
    ]


def _fetch_wheels(architecture: Architecture, folder: Path, lock: Path) -> None:
    if sys.version_info[:2] != (3, 11):  # pip judges the lock's markers by the Python that it runs in
        raise NotMade(
            "packages are made with Python 3.11, the interpreter that they carry; name it: PYTHON=… tools/package"
        )
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-qq", "--require-hashes"]
    command += ["--only-binary", ":all:", "--no-deps", "-d", str(folder)]
    command += [
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
        "--abi",
        "cp311",
        "--abi",
        "abi3",
        "--abi",
        "none",
    ]
    command += [word for name in platforms(architecture) for word in ("--platform", name)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(lock_for(lock.read_text("utf-8"), architecture.name))
        file.flush()
        run([*command, "-r", file.name])


def lock_for(lock: str, machine: str) -> str:
    """The lines of a lock file that hold on this machine type, without their markers: pip judges them by its own machine."""
    kept = []
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock):
        first, marked, rest = entry.partition(" ; ")
        if not marked:
            kept.append(entry)
            continue
        marker, _, hashes = rest.partition(" \\\n")
        if Marker(marker).evaluate({"platform_machine": machine}):
            kept.append(f"{first} \\\n{hashes}")
    return "\n".join(kept) + "\n"


def _fetch_viewer(folder: Path) -> None:
    """The viewer of the platform's image pages; without npm, or a registry, the package is made without it."""
    from tools import viewer

    folder.mkdir()
    try:
        viewer.verify(viewer.fetched(folder))
    except (viewer.NotBuilt, subprocess.TimeoutExpired) as error:
        print(f"without the image viewer: {error}", file=sys.stderr)


PACKAGES_OF = {"dpkg-deb": "dpkg", "rpmbuild": "rpm", "patchelf": "patchelf", "apt-get": "apt"}  # Debian's, of programs


def run(
    command: Sequence[str], environment: dict[str, str] | None = None, folder: Path | None = None, quiet: bool = True
) -> str:
    """Run a program and return what it printed; what it complained of is told when it fails, or unless `quiet`."""
    try:
        ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        program = Path(command[0]).name
        raise NotMade(
            f"{program} is not on this machine: apt-get install {PACKAGES_OF.get(program, program)}"
        ) from None
    if ran.returncode:
        raise NotMade(f"{' '.join(command[:4])} …: {_last_lines((ran.stderr or ran.stdout).splitlines())}")
    if ran.stderr and not quiet:
        print(ran.stderr, end="", file=sys.stderr)
    return ran.stdout


def _last_lines(lines: Iterable[str]) -> str:
    return "; ".join([line.strip() for line in lines if line.strip()][-3:]) or "it said nothing"

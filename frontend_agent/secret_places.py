"""Where `secret set` keeps a value: the best place that this machine has, and why not a better one.

    systemd   encrypted by systemd-creds (TPM2, or the host's key) in `[secrets] credentials`, and named in a drop-in of the
              service's unit, which hands it over when it starts; needs systemd 250 and root
    keyring   the Windows Credential Locker
    file      in `[secrets] folder`, mode 0600: readable for whoever gets at the disk; only when a person says so

A value goes by standard input to systemd-creds, never as an argument and never into the environment.
"""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from frontend_agent.config import SecretsConfig
from frontend_agent.durable import take_over
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.machine import give_to_owner_of, is_administrator
from frontend_agent.secrets import SECONDS, SERVICE, SYSTEMD_CREDS, checked_name

OLDEST = 250  # of systemd, that has systemd-creds
UNITS = Path("/etc/systemd/system")
BOOTED = Path("/run/systemd/system")  # sd_booted(3)
DROP_IN = "50-secrets.conf"


class Place(Protocol):
    """Somewhere a secret can be kept."""

    name: str

    def problem(self) -> str:
        """Why nothing can be kept there on this machine; empty: it can."""

    def keep(self, name: str, value: str) -> str:
        """Keep it, in place of what was there. Returns what is left to do, for a person; empty: nothing."""


class Kept(NamedTuple):
    """Where it was kept, what is left to do, and why no better place was taken."""

    place: str
    next: str
    passed_over: Sequence[tuple[str, str]]


class SystemdPlace:
    """Encrypted credentials of the service."""

    name = "systemd"

    def __init__(self, folder: Path, unit: str, units: Path = UNITS) -> None:
        self._folder, self._unit, self._units = folder, unit, units

    def problem(self) -> str:
        version = systemd_version()
        if not version:
            return "there is no systemd-creds on this machine"
        if version < OLDEST:
            return f"systemd {version} is older than {OLDEST} and encrypts no credentials"
        if not BOOTED.is_dir():
            return "systemd does not run this machine"
        return "" if is_administrator() else "only root can: run this command with sudo"

    def keep(self, name: str, value: str) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{checked_name(name)}.cred"
        part = path.with_name(f".{path.name}.part")
        command = [SYSTEMD_CREDS, "encrypt", f"--name={name}", "-", str(part)]
        part.unlink(missing_ok=True)  # systemd-creds overwrites nothing
        done = subprocess.run(command, input=value.encode(), capture_output=True, timeout=SECONDS, check=False)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise FrontendAgentError(
                f"secret {name!r}: systemd-creds could not encrypt it: {said[-1] if said else '?'}"
            )
        take_over(part, path)
        self._write_drop_in()
        return f"systemctl daemon-reload && systemctl restart {self._unit}"

    def _write_drop_in(self) -> None:
        """All of them in one file, so that it never says what is not there."""
        folder = self._units / f"{self._unit}.d"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"LoadCredentialEncrypted={path.stem}:{path}" for path in sorted(self._folder.glob("[!.]*.cred"))]
        text = "\n".join(["# Written by: frontend-agent secret set", "[Service]", *lines, ""])
        _write(folder / DROP_IN, text.encode(), 0o644)


class KeyringPlace:
    """The system's keyring: on Windows its Credential Locker, encrypted for the service's own account."""

    name = "keyring"

    def problem(self) -> str:
        if os.name != "nt":
            return "the keyring of a desktop is locked when nobody is logged in: for Windows services only"
        return ""

    def keep(self, name: str, value: str) -> str:
        import keyring  # its back-ends take long to load
        import keyring.errors

        try:
            keyring.set_password(SERVICE, checked_name(name), value)
        except keyring.errors.KeyringError as error:
            raise FrontendAgentError(f"secret {name!r}: the keyring does not take it: {type(error).__name__}") from None
        return ""


class FilePlace:
    """A file of mode 0600. Whoever has the disk, or a copy of it, has the secret."""

    name = "file"

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None

    def problem(self) -> str:
        return "" if self._folder else 'agent.toml says of no folder: [secrets] folder = "/etc/frontend-agent/secrets"'

    def keep(self, name: str, value: str) -> str:
        if self._folder is None:
            raise ConfigurationError(f"secret {name!r}: {self.problem()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / checked_name(name)
            _write(path, value.encode() + b"\n", 0o600)
            give_to_owner_of(path, self._folder)  # root sets it, the service reads it
        except OSError as error:
            raise FrontendAgentError(f"secret {name!r}: {self._folder} cannot be written: {error.strerror}") from None
        return ""


def places_of(settings: SecretsConfig, units: Path = UNITS) -> list[Place]:
    """All there are, the best first."""
    return [
        SystemdPlace(Path(settings.credentials), settings.unit, units),
        KeyringPlace(),
        FilePlace(settings.folder),
    ]


def keep(name: str, value: str, places: Sequence[Place], wanted: str = "", plain: bool = False) -> Kept:
    """Keep it in the place that a person wants, or in the best there is. `plain`: a file will do, somebody said so."""
    checked_name(name)
    passed: list[tuple[str, str]] = []
    for place in places:
        if wanted and place.name != wanted:
            continue
        problem = place.problem()
        if not problem and place.name == "file" and not (plain or wanted):
            problem = "a file is readable for whoever gets at the disk or a copy of it: allow it with --in file"
        if not problem:
            return Kept(place.name, place.keep(name, value), passed)
        passed.append((place.name, problem))
    raise ConfigurationError(f"secret {name!r}: " + "; ".join(f"{place}: {problem}" for place, problem in passed))


def systemd_version() -> int:
    """Of systemd-creds; 0 where there is none."""
    try:
        done = subprocess.run([SYSTEMD_CREDS, "--version"], capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(rb"systemd (\d+)", done.stdout)
    return int(found[1]) if found else 0


def _write(path: Path, content: bytes, mode: int) -> None:
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.chmod(mode)  # whatever the umask
    take_over(part, path)

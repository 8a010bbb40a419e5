"""Secrets are named in agent.toml and kept elsewhere. Asked in this order:

    credential   what systemd handed to this process (LoadCredentialEncrypted=), readable by it alone
    systemd      the same, still encrypted, in `[secrets] credentials`: for a command of root outside of the service
    file         a file of that name in `[secrets] folder` which nobody but its owner may read
    keyring      the system's: the Windows Credential Locker

How one gets there is `secret_places.py`; which ones a configuration names is `secret_uses.py`.
"""

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

from frontend_agent.config import Config
from frontend_agent.errors import ConfigurationError
from frontend_agent.machine import is_administrator

SERVICE = "frontend-agent"
SYSTEMD_CREDS = "systemd-creds"
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
SECONDS = 30  # that systemd-creds may take: a TPM is slow


class Found(NamedTuple):
    """Where a secret lies, and what is wrong with it there (empty: nothing that can be seen without reading it)."""

    place: str  # credential, systemd, file, keyring
    where: str
    problem: str = ""


class Secrets:
    """Finds a secret by its name. `folder`: of files; `credentials`: of what systemd-creds encrypted. None: not looked there."""

    def __init__(self, folder: Path | None = None, credentials: Path | None = None) -> None:
        self._folder = folder
        self._credentials = credentials

    def __call__(self, name: str) -> str:
        """The secret, or a ConfigurationError that says where it was looked for. Never logged, never in an error."""
        checked_name(name)
        for find in (self._credential, self._encrypted, self._file, self._keyring):
            value = find(name)
            if value is not None:
                return value
        folders = "".join(f", the folder {folder}" for folder in (self._credentials, self._folder) if folder)
        raise ConfigurationError(
            f"secret {name!r}: not found in systemd credentials (LoadCredential={name}:…){folders} or the keyring; "
            f"frontend-agent secret set {name}"
        )

    def places(self, name: str) -> list[Found]:
        """Where it lies, in the order in which it is asked for: the first is the one that counts. Reads no value but the keyring's."""
        checked_name(name)
        found: list[Found] = []
        if (given := self._given(name)) is not None:
            found.append(Found("credential", str(given)))
        if (path := self._encrypted_file(name)) is not None:
            found.append(Found("systemd", str(path)))
        if (path := self._plain_file(name)) is not None:
            found.append(Found("file", str(path), _mode_problem(name, path)))
        if self._keyring(name) is not None:
            found.append(Found("keyring", SERVICE))
        return found

    def _given(self, name: str) -> Path | None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        path = Path(folder) / name if folder else None
        return path if path is not None and path.is_file() else None

    def _credential(self, name: str) -> str | None:
        path = self._given(name)
        return _text(path) if path is not None else None

    def _encrypted_file(self, name: str) -> Path | None:
        path = self._credentials / f"{name}.cred" if self._credentials else None
        try:
            return path if path is not None and path.is_file() else None
        except OSError:  # a folder that is root's alone
            return None

    def _encrypted(self, name: str) -> str | None:
        path = self._encrypted_file(name)
        if path is None or "CREDENTIALS_DIRECTORY" in os.environ:  # systemd decrypts for the service
            return None
        return decrypted(name, path)

    def _plain_file(self, name: str) -> Path | None:
        path = self._folder / name if self._folder else None
        return path if path is not None and path.is_file() else None

    def _file(self, name: str) -> str | None:
        path = self._plain_file(name)
        if path is None:
            return None
        if problem := _mode_problem(name, path):
            raise ConfigurationError(problem)
        return _text(path)

    def _keyring(self, name: str) -> str | None:
        import keyring  # here, because loading its back-ends takes longer than the rest of the program's start
        import keyring.errors

        try:
            return keyring.get_password(SERVICE, name)
        except keyring.errors.KeyringError:
            return None  # no keyring on this machine is the usual case for a service


def checked_name(name: str) -> str:
    """The name, or a ConfigurationError: it becomes the name of a file and of a credential."""
    if not NAME.fullmatch(name) or name.startswith("."):
        raise ConfigurationError(f"secret {name!r}: a secret's name holds letters, digits, '.', '-' and '_' only")
    return name


def decrypted(name: str, path: Path) -> str:
    """What systemd-creds encrypted under that name on this machine. Only root may."""
    command = [SYSTEMD_CREDS, "decrypt", f"--name={name}", str(path), "-"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise ConfigurationError(f"secret {name!r}: {path} needs systemd-creds (systemd 250 or newer)") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"secret {name!r}: systemd-creds did not answer within {SECONDS} s") from None
    if done.returncode:
        mend = (
            f"it was encrypted on another machine or under another name; frontend-agent secret set {name}"
            if is_administrator()
            else "only root and the service itself can read it: run this command with sudo"
        )
        raise ConfigurationError(f"secret {name!r}: {path} cannot be decrypted here: {mend}")
    return done.stdout.decode("utf-8", "replace").rstrip("\r\n")


def private_text(path: Path, wanted_by: str) -> str:
    """The text of a file about patients that a person wrote: it may be read by its owner alone."""
    try:
        if _is_open(path):
            raise ConfigurationError(f"{wanted_by}: {path} can be read by others; chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{wanted_by}: {path}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{wanted_by}: {path} cannot be read: {error.strerror}") from None


def _is_open(path: Path) -> bool:
    return os.name != "nt" and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _mode_problem(name: str, path: Path) -> str:
    return f"secret {name!r}: {path} can be read by others; chmod 600 {path}" if _is_open(path) else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"secret {path.name!r}: {path} is not UTF-8 text") from None
    except OSError as error:
        raise ConfigurationError(f"secret {path.name!r}: {path} cannot be read: {error.strerror}") from None


def secrets_of(config: Config) -> Secrets:
    """The secrets that this configuration names."""
    settings = config.secrets
    return Secrets(
        Path(settings.folder) if settings.folder else None, Path(settings.credentials) if settings.credentials else None
    )

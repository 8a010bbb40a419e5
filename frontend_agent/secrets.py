"""Secrets are named in agent.toml and kept elsewhere. Asked in this order: systemd credentials,
a file of that name in `[secrets] folder` which nobody but its owner may read, the system's keyring."""

import os
import re
import stat
from pathlib import Path

from frontend_agent.config import Config
from frontend_agent.errors import ConfigurationError

SERVICE = "frontend-agent"
NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Secrets:
    """Finds a secret by its name. `folder` is the third place to look, empty for none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def __call__(self, name: str) -> str:
        """The secret, or a ConfigurationError that says where it was looked for. Never logged, never in an error."""
        if not NAME.fullmatch(name) or name.startswith("."):
            raise ConfigurationError(f"secret {name!r}: a secret's name holds letters, digits, '.', '-' and '_' only")
        for find in (self._credential, self._file, self._keyring):
            value = find(name)
            if value is not None:
                return value
        place = f", the folder {self._folder}" if self._folder else ""
        raise ConfigurationError(
            f"secret {name!r}: not found in systemd credentials (LoadCredential={name}:…){place} or the keyring "
            f"(keyring set {SERVICE} {name})"
        )

    def _credential(self, name: str) -> str | None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        path = Path(folder) / name if folder else None
        return _line(path) if path is not None and path.is_file() else None

    def _file(self, name: str) -> str | None:
        path = self._folder / name if self._folder else None
        if path is None or not path.is_file():
            return None
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(f"secret {name!r}: {path} can be read by others; chmod 600 {path}")
        return _line(path)

    def _keyring(self, name: str) -> str | None:
        import keyring  # here, because loading its back-ends takes longer than the rest of the program's start
        import keyring.errors

        try:
            return keyring.get_password(SERVICE, name)
        except keyring.errors.KeyringError:
            return None  # no keyring on this machine is the usual case for a service


def private_text(path: Path, wanted_by: str) -> str:
    """The text of a file about patients that a person wrote: it may be read by its owner alone."""
    try:
        if os.name != "nt" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(f"{wanted_by}: {path} can be read by others; chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{wanted_by}: {path}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{wanted_by}: {path} cannot be read: {error.strerror}") from None


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(f"secret {path.name!r}: {path} cannot be read: {error.strerror}") from None


def secrets_of(config: Config) -> Secrets:
    """The secrets that this configuration names."""
    return Secrets(Path(config.secrets.folder) if config.secrets.folder else None)

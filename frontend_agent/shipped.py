"""The thin loader: the text of a file that ships with us (by name) or of a site's own file (by path).

Mapping, code tables and profiles are read through one callable, so that they stay pure and a test can hand them any text.
A shipped file is named, a site's file is a path that ends in `.toml`: nothing shadows anything.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from frontend_agent.errors import ConfigurationError

Read = Callable[[str], str]  # a path -> its text


def is_site_file(name_or_path: str) -> bool:
    return name_or_path.endswith(".toml")


def read_file(path: str) -> str:
    """The text of a site's file."""
    return Path(path).read_text(encoding="utf-8")


def read_shipped(package: str) -> Read:
    """A reader of the files of one of our packages; the path is relative to the package."""

    def read(path: str) -> str:
        return resources.files(package).joinpath(*PurePosixPath(path).parts).read_text(encoding="utf-8")

    return read


def shipped_names(package: str, depth: int = 1) -> list[str]:
    """The names (without `.toml`) of what a package ships, for messages and lists."""
    names: list[str] = []
    for entry in resources.files(package).iterdir():
        if entry.is_file() and entry.name.endswith(".toml"):
            names.append(entry.name.removesuffix(".toml"))
        elif depth > 1 and entry.is_dir():
            names += [
                f"{entry.name}/{inner.name.removesuffix('.toml')}"
                for inner in entry.iterdir()
                if inner.is_file() and inner.name.endswith(".toml")
            ]
    return sorted(names)


def shipped_texts(package: str, suffix: str) -> dict[str, str]:
    """The texts of a package's own files that end so, by name and in its order."""
    found = [file for file in resources.files(package).iterdir() if file.name.endswith(suffix)]
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(found, key=lambda file: file.name)}


def text_of(read: Read, path: str, wanted_by: str) -> str:
    """Read a file that another one names; what goes wrong is one line that names both."""
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ConfigurationError(f"{wanted_by}: there is no file '{path}'") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{wanted_by}: cannot read '{path}': {error.strerror or error}") from None


def toml_of(text: str, path: str) -> dict[str, Any]:
    """Parse TOML; a mistake is one line naming the file."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ""


def only_known_keys(table: dict[str, Any], known: Iterable[str], where: str) -> None:
    """Refuse a key nobody reads: it is a typing error that would otherwise do nothing, silently."""
    known = list(known)
    for key in table:
        if key not in known:
            raise ConfigurationError(
                f"{where}: unknown key '{key}'{did_you_mean(key, known)} (known: {', '.join(known)})"
            )

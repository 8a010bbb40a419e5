"""The thin loader of the package's own files: templates and tables in `cda_templates/`."""

import csv
import io
from importlib.resources import files


def text(name: str) -> str:
    """A file of `cda_templates/`, as text."""
    return (files("cda_templates") / name).read_text(encoding="utf-8")


def table(name: str) -> list[dict[str, str]]:
    """A CSV file of `cda_templates/`, one dictionary per row."""
    return list(csv.DictReader(io.StringIO(text(name))))


def exists(name: str) -> bool:
    """Whether `cda_templates/` has this file."""
    return (files("cda_templates") / name).is_file()


def names(suffix: str) -> list[str]:
    """The files of `cda_templates/` that end so, sorted."""
    return sorted(f.name for f in files("cda_templates").iterdir() if f.name.endswith(suffix))

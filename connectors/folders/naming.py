"""Names of files that we lay down: made by a template, the same each time, and a document's id is found in one again."""

import re
from collections.abc import Mapping

_PLACE = re.compile(r"\{([a-z_]+)\}")
_ODD = re.compile(r"[^\w.\-]", re.ASCII)
_EXTENSIONS = {"cda": "xml", "hl7v2": "hl7", "json": "json"}
_ID = r"[A-Za-z0-9]+-[A-Z2-7]{26}-\d{1,9}"  # as `identity` makes them
_VALUE = r"[A-Za-z0-9_.\-]+?"


def extension_of(format_: str) -> str:
    return _EXTENSIONS[format_]


def file_name(template: str, values: Mapping[str, str]) -> str:
    """The template with its values. What no file system likes in a name is `_`: nothing in a value makes a folder."""
    name = _PLACE.sub(lambda found: _plain(values[found[1]]), template)
    return "/".join(part.lstrip(".") or "_" for part in name.split("/"))


def _plain(value: str) -> str:
    return _ODD.sub("_", value).strip(".") or "_"


class Named:
    """Finds a document's id in the name of a file that the template made. Folders before it, and a marker behind, are nothing."""

    def __init__(self, template: str) -> None:
        name = template.rpartition("/")[2]
        known: set[str] = set()
        pattern = "".join(
            re.escape(part) if number % 2 == 0 else _group(part, known)
            for number, part in enumerate(_PLACE.split(name))
        )
        self.finds = "document_id" in known
        self._pattern = re.compile(pattern)

    def document_id(self, name: str) -> str:
        """ "" where the name is none of ours."""
        found = self._pattern.fullmatch(re.split(r"[/\\]", name.strip())[-1])
        return found["document_id"] if found is not None and self.finds else ""


def _group(name: str, known: set[str]) -> str:
    if name in known:
        return f"(?P={name})"
    known.add(name)
    return f"(?P<{name}>{_ID if name == 'document_id' else _VALUE})"

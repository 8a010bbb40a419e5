"""A schema that the site gives, for documents that are not national ones. An option: our own declarations do the checking.

The stock CDA schema rejects valid WS/T 500 documents (age, township, patientType), so it is never asked about those.
"""

from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from lxml import etree

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.foreign import Examined, examine

MOST_ERRORS = 20  # of one document


def with_schema(path: Path) -> Callable[[bytes], Examined]:
    """`examine` with this XML Schema behind it. Its answers name the file and what is in it."""
    try:
        schema = etree.XMLSchema(file=str(path))
    except (OSError, etree.XMLSyntaxError, etree.XMLSchemaParseError) as error:
        raise ConfigurationError(
            f"--schema {path}: not an XML Schema that can be used ({_first_line(error)})"
        ) from None
    name = f"{path.name} {sha256(path.read_bytes()).hexdigest()[:16]}"

    def errors(root: etree._Element) -> list[str]:
        if schema.validate(root):
            return []
        # The message may quote the document: line and kind of error only (law 9).
        log: Any = schema.error_log  # the stubs do not know that it can be walked
        return [f"{path.name}: line {one.line}: {one.type_name}" for one in islice(log, MOST_ERRORS)]

    return lambda document: examine(document, errors, name)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

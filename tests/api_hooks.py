"""What schemathesis (test_api_fuzz.py) is told of our platform: ids that exist, so that calls get past "not found", and bytes for
media types that it does not know."""

import json
import os
import random
import zlib
from typing import Any

import schemathesis

KNOWN: dict[str, str] = json.loads(os.environ["KNOWN_IDS"])
BODIES = (
    b"",
    b"\0" * 64,
    b"FEP1",
    b"--x\r\nContent-Type: application/dicom\r\n\r\n" + b"\0" * 132 + b"DICM",
    random.Random(1).randbytes(512),
)


def _number(value: object) -> int:
    """The same in every run: Python's own hash of a text is not."""
    return zlib.crc32(str(value).encode("utf-8", "replace"))


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Half of the time the ids that are there."""
    if path_parameters and _number(path_parameters) % 2:
        return {name: KNOWN.get(name, value) for name, value in path_parameters.items()}
    return path_parameters


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    if query and "institution" in query and _number(query) % 2:
        return query | {name: KNOWN[name] for name in ("institution", "document_id") if name in query}
    return query


@schemathesis.serializer(
    "application/vnd.frontend-agent.parcel", "multipart/related; type=application/dicom", "multipart/related"
)
def raw(context: Any, value: Any) -> bytes:
    """Whatever it has made, as bytes; mostly something that begins like what is meant."""
    made = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return BODIES[len(made) % len(BODIES)] + made


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Where a test wants to know (test_api_fuzz_over_tls.py): what was asked and answered, and whether another hospital's patient was in it."""
    heard = os.environ.get("FUZZ_HEARD")
    if heard:
        foreign = any(word.encode() in response.content for word in json.loads(os.environ["FOREIGN_WORDS"]))
        line = {"path": case.operation.path, "method": case.method, "status": response.status_code, "foreign": foreign}
        with open(heard, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

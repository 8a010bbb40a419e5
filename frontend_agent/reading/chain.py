"""Chains of readers, checked when they are compiled: `base64 | gzip | gb18030 | xml`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from frontend_agent.errors import ConfigurationError
from frontend_agent.formats.enclosed import NotEnclosable, enclose
from frontend_agent.model import NotFetched
from frontend_agent.reading import packing
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.html import text_of_html
from frontend_agent.reading.packing import LARGEST
from frontend_agent.reading.rtf import text_of_rtf
from frontend_agent.reading.trees import json_tree, xml_tree
from frontend_agent.shipped import did_you_mean

BYTES, TEXT, EITHER, TREE = "bytes", "text", "bytes or text", "a tree"


class _Step(NamedTuple):
    takes: str
    gives: str
    read: Callable[[Any], Any]


def _text_in(encoding: str) -> Callable[[bytes], str]:
    """Bytes of one code page, all of them: a byte that is no text makes the column unreadable, never a question mark."""

    def read(data: bytes) -> str:
        try:
            return data.rstrip(b"\0").decode(encoding) if not encoding.startswith("utf-16") else data.decode(encoding)
        except UnicodeDecodeError:
            raise Unreadable(f"bytes that are no text in {encoding}") from None

    return read


def _utf16(data: bytes) -> str:
    """With its byte-order mark; without one little-endian, as the systems that write it are."""
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return _text_in("utf-16" if marked else "utf-16-le")(data)


def _as_bytes(read: Callable[[bytes], bytes]) -> Callable[[bytes | str], bytes]:
    """For steps whose bytes a database may keep as text."""

    def reading(data: bytes | str) -> bytes:
        if isinstance(data, str):
            try:
                data = data.encode("ascii")
            except UnicodeEncodeError:
                raise Unreadable("not ASCII") from None
        return read(data)

    return reading


def _fetched(value: bytes | str) -> bytes:
    """The file whose path a column holds: its bytes were put in place of the path where the rows were read."""
    if isinstance(value, bytes):
        return value
    raise Unreadable(value if isinstance(value, NotFetched) else "a path whose file was not read")


def _enclosed(content: bytes) -> dict[str, str]:
    try:
        return enclose(content)._asdict()
    except NotEnclosable as error:
        raise Unreadable(str(error)) from None


_STEPS = {
    "file": _Step(EITHER, BYTES, _fetched),
    "base64": _Step(EITHER, BYTES, _as_bytes(packing.from_base64)),
    "hex": _Step(EITHER, BYTES, _as_bytes(packing.from_hex)),
    "gzip": _Step(BYTES, BYTES, packing.from_gzip),
    "zlib": _Step(BYTES, BYTES, packing.from_zlib),
    "deflate": _Step(BYTES, BYTES, packing.from_deflate),
    "zip": _Step(BYTES, BYTES, packing.from_zip),
    "gbk": _Step(BYTES, TEXT, _text_in("gb18030")),  # GB18030 holds GBK and GB2312
    "gb2312": _Step(BYTES, TEXT, _text_in("gb18030")),
    "gb18030": _Step(BYTES, TEXT, _text_in("gb18030")),
    "big5": _Step(BYTES, TEXT, _text_in("cp950")),
    "utf-8": _Step(BYTES, TEXT, _text_in("utf-8-sig")),
    "utf-16": _Step(BYTES, TEXT, _utf16),
    "utf-16-be": _Step(BYTES, TEXT, _text_in("utf-16-be")),
    "html": _Step(TEXT, TEXT, text_of_html),
    "rtf": _Step(EITHER, TEXT, text_of_rtf),
    "xml": _Step(EITHER, TREE, xml_tree),
    "json": _Step(EITHER, TREE, json_tree),
    "enclosed": _Step(BYTES, TREE, _enclosed),
}


def readers() -> list[str]:
    """The names of all readers."""
    return list(_STEPS)


class Chain:
    """Some readers in a row. `gives` is what the last of them answers: BYTES, TEXT or TREE."""

    def __init__(self, name: str, steps: list[_Step]) -> None:
        self.name = name
        self._steps = steps
        self.gives = steps[-1].gives

    @property
    def is_tree(self) -> bool:
        return self.gives == TREE

    @property
    def last(self) -> str:
        """The last reader's name: in whose language the paths are."""
        return self.name.rpartition("|")[2].strip()

    def read(self, value: Any) -> Any:
        """Text, or the root of a tree. Unreadable, whatever is wrong with the value."""
        if isinstance(value, memoryview | bytearray):
            value = bytes(value)
        if not isinstance(value, bytes | str):
            raise Unreadable("neither text nor bytes")
        if len(value) > LARGEST:
            raise Unreadable(f"longer than {LARGEST} bytes")
        for step in self._steps:
            if step.takes != EITHER and isinstance(value, bytes) != (step.takes == BYTES):
                if step.takes == TEXT:
                    raise Unreadable("bytes where text is expected: name their code page in the chain")
                raise Unreadable("text where bytes are expected")
            value = step.read(value)
        return value


def compile_chain(text: str) -> Chain:
    """`base64 | gzip | gb18030 | xml`, or a ConfigurationError without a place."""
    names = [name.strip() for name in text.split("|")]
    steps: list[_Step] = []
    for name in names:
        step = _step(name)
        if steps and step.takes != EITHER and steps[-1].gives != step.takes:
            given = steps[-1].gives
            mend = "; put a code page between them, like gb18030" if (given, step.takes) == (BYTES, TEXT) else ""
            raise ConfigurationError(
                f"reader '{text}': '{name}' reads {step.takes}, but what comes before gives {given}{mend}"
            )
        if steps and steps[-1].gives == TREE:
            raise ConfigurationError(f"reader '{text}': nothing can follow {names[len(steps) - 1]}; name its fields")
        steps.append(step)
    if steps[-1].gives == BYTES:
        raise ConfigurationError(f"reader '{text}': ends with bytes; put a code page behind, like gb18030")
    return Chain(" | ".join(names), steps)


def _step(name: str) -> _Step:
    if name.startswith("zip:") and len(name) > 4:
        member = name[4:]
        return _Step(BYTES, BYTES, lambda data: packing.from_zip(data, member))
    found = _STEPS.get(name)
    if found is None:
        raise ConfigurationError(
            f"reader '{name}' is not known{did_you_mean(name, _STEPS)} (known: {', '.join(_STEPS)}, zip:MEMBER)"
        )
    return found

"""multipart/related is taken apart however it is cut, and what is none is told."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend_agent.dicom.multipart import (
    LARGEST_HEAD,
    MultipartMalformed,
    MultipartReader,
    PartBegins,
    PartData,
    PartEnds,
    boundary_of,
    content_type,
)

BOUNDARY = "a-boundary-1"


def written(parts: Iterable[tuple[dict[str, str], bytes]], boundary: str = BOUNDARY) -> bytes:
    out = b""
    for headers, body in parts:
        out += f"\r\n--{boundary}\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items())
        out += b"\r\n" + body
    return out.removeprefix(b"\r\n") + f"\r\n--{boundary}--\r\n".encode()


def read(
    data: bytes, cuts: Iterable[int] = (), boundary: str = BOUNDARY
) -> tuple[list[tuple[dict[str, str], bytes]], bool]:
    reader = MultipartReader(boundary)
    parts: list[tuple[dict[str, str], bytes]] = []
    whole: list[bool] = []
    edges = [0, *sorted(cuts), len(data)]
    for begin, end in pairwise(edges):
        for found in reader.receive(data[begin:end]):
            if isinstance(found, PartBegins):
                parts.append((dict(found.headers), b""))
                whole.append(False)
            elif isinstance(found, PartData):
                parts[-1] = (parts[-1][0], parts[-1][1] + bytes(found.data))
            elif isinstance(found, PartEnds):
                whole[-1] = True
    return [part for part, is_whole in zip(parts, whole, strict=True) if is_whole], reader.is_whole


def test_parts_come_back_cut_at_every_byte() -> None:
    parts = [
        ({"content-type": "application/dicom"}, b"\r\n--a-boundary-\r\n--a-boundary"),
        ({"content-type": "application/dicom", "content-location": "x/y"}, b""),
        ({}, b"without headers\r\n"),
        ({"content-type": "application/dicom"}, bytes(range(256)) * 4),
    ]
    data = written(parts)
    assert read(data) == (parts, True)
    assert read(data, range(1, len(data))) == (parts, True)
    for cut in range(1, len(data)):
        assert read(data, [cut]) == (parts, True), cut


@given(
    bodies=st.lists(st.binary(max_size=60) | st.text("\r\n-ab1boundary").map(str.encode), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_any_bodies_come_back(bodies: list[bytes], cuts: list[int]) -> None:
    bodies = [body for body in bodies if f"\r\n--{BOUNDARY}".encode() not in b"\r\n" + body]
    data = written([({"content-type": "application/dicom"}, body) for body in bodies])
    found, is_whole = read(data, [cut for cut in cuts if cut < len(data)])
    assert [body for _, body in found] == bodies
    assert is_whole


def test_a_body_that_is_cut_off_is_not_whole_and_gives_only_whole_parts() -> None:
    data = written([({"content-type": "a/b"}, b"one"), ({"content-type": "a/b"}, b"two")])
    for cut in range(len(data) - len("--\r\n")):
        found, is_whole = read(data[:cut])
        assert not is_whole
        assert [body for _, body in found] in ([], [b"one"], [b"one", b"two"])


def test_a_preamble_padding_and_an_epilogue_are_passed_over() -> None:
    data = b"for old readers\r\n--b \t\r\nContent-Type: a/b\r\n\r\nbody\r\n--b--\r\nthe end\r\n--b\r\n"
    assert read(data, range(1, len(data)), "b") == ([({"content-type": "a/b"}, b"body")], True)


def test_headers_without_an_end_are_refused() -> None:
    reader = MultipartReader("b")
    list(reader.receive(b"--b\r\n" + b"x" * (LARGEST_HEAD - 2)))
    with pytest.raises(MultipartMalformed, match="longer"):
        list(reader.receive(b"x"))


def test_a_part_may_have_no_body_at_all() -> None:
    data = b"--b\r\na: b\r\n\r\n--b\r\n\r\n--b--"
    assert read(data, boundary="b") == ([({"a": "b"}, b""), ({}, b"")], True)
    assert read(data, range(1, len(data)), "b") == ([({"a": "b"}, b""), ({}, b"")], True)


def test_what_stands_behind_a_boundary_is_refused() -> None:
    with pytest.raises(MultipartMalformed, match="behind"):
        list(MultipartReader("b").receive(b"--boundary\r\n"))
    with pytest.raises(MultipartMalformed, match="colon"):
        list(MultipartReader("b").receive(b"--b\r\nno header\r\n\r\n"))


def test_content_types_are_read() -> None:
    header = 'multipart/related; type="application/dicom"; boundary=abc'
    assert content_type(header) == ("multipart/related", {"type": "application/dicom", "boundary": "abc"})
    assert boundary_of(header) == "abc"
    assert boundary_of('Multipart/Related;BOUNDARY="a b c"') == "a b c"
    assert len(boundary_of(f"multipart/related; boundary={'-'.join(['0' * 36] * 2)}")) == 73  # as Orthanc sends it
    for wrong in (
        "application/dicom",
        "multipart/related",
        'multipart/related; boundary=""',
        'multipart/related; boundary="é"',
    ):
        with pytest.raises(MultipartMalformed):
            boundary_of(wrong)

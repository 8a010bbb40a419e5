"""Talking to the platform's images in tests: STOW-RS requests by hand, and taking multipart answers apart."""

from collections.abc import Sequence
from typing import Any

import requests

from frontend_agent.dicom.multipart import MultipartReader, PartBegins, PartData, boundary_of
from frontend_agent.wire.images import dicomweb_path

BOUNDARY = "a-boundary-of-a-test"


def multipart(contents: Sequence[bytes], boundary: str = BOUNDARY, kind: str = "application/dicom") -> bytes:
    parts = [f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n" for content in contents]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def stow(url: str, institution: str, contents: Sequence[bytes], study: str = "", **headers: str) -> requests.Response:
    """Store instances, as files, in one request."""
    path = f"{url}{dicomweb_path(institution)}/studies" + (f"/{study}" if study else "")
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(path, data=multipart(contents), headers={"Content-Type": kind, **named}, timeout=60)


def parts(response: requests.Response) -> list[tuple[dict[str, str], bytes]]:
    """Headers and bytes of each part of a multipart answer."""
    found: list[tuple[dict[str, str], bytearray]] = []
    reader = MultipartReader(boundary_of(response.headers["content-type"]))
    for one in reader.receive(response.content):
        if isinstance(one, PartBegins):
            found.append((dict(one.headers), bytearray()))
        elif isinstance(one, PartData):
            found[-1][1].extend(one.data)
    assert reader.is_whole
    return [(headers, bytes(content)) for headers, content in found]


def values(element: dict[str, Any] | None) -> list[Any]:
    """Of one attribute of a DICOM JSON object."""
    return list((element or {}).get("Value", []))

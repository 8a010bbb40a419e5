"""MTOM: an envelope with a document beside it (W3C XOP, SOAP MTOM), as one multipart/related body, and the way back."""

import email
import email.policy
import secrets
from email.message import EmailMessage
from typing import NamedTuple

SOAP = "application/soap+xml"
XOP = "application/xop+xml"
ROOT = "envelope@frontend-agent"


class Beside(NamedTuple):
    """What is posted, and what its Content-Type says."""

    body: bytes
    content_type: str


def packed(envelope: bytes, action: str, content_id: str, content: bytes, media_type: str) -> Beside:
    """The envelope as the root part, and the content that its xop:Include names, as it is."""
    boundary = f"uuid:{secrets.token_hex(16)}"
    root = f'{XOP}; charset=UTF-8; type="{SOAP}"'
    parts = (
        (root, "binary", ROOT, envelope),
        (media_type, "binary", content_id, content),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\nContent-ID: <{name}>\r\n\r\n".encode()
        + part
        + b"\r\n"
        for kind, encoding, name, part in parts
    )
    content_type = f'multipart/related; boundary="{boundary}"; type="{XOP}"; start="<{ROOT}>"; start-info="{SOAP}"; action="{action}"'
    return Beside(body + f"--{boundary}--\r\n".encode(), content_type)


def envelope_in(content_type: str, body: bytes) -> bytes:
    """The envelope of an answer, whether or not it came with parts beside it. ValueError where there is none."""
    if not content_type.lower().lstrip().startswith("multipart/"):
        return body
    if "\r" in content_type or "\n" in content_type:
        raise ValueError("its Content-Type is broken")
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    parts = [part for part in message.iter_parts() if isinstance(part, EmailMessage)] if message.is_multipart() else []
    if not parts:
        raise ValueError("a multipart answer without parts")
    start = message.get_param("start")
    root = next((part for part in parts if start and part.get("Content-ID") == start), parts[0])
    found = root.get_payload(decode=True)
    if not isinstance(found, bytes):
        raise ValueError("its root part has no content")
    return found

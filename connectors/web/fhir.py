"""Notifications of FHIR R4 subscriptions as an inlet (hl7.org/fhir/R4/subscription.html, channel type rest-hook). No I/O.

    with a payload      PUT [endpoint]/[type]/[id], or POST [endpoint], and the resource (or a Bundle) as its body
    without a payload   POST [endpoint], empty: something has changed, ask for it. It is kept as a Parameters resource that says so
    deleted             DELETE [endpoint]/[type]/[id], which some servers send: kept in the same way

Answers are OperationOutcome, in the form that was sent.
"""

import json
import re
from datetime import datetime
from typing import Any
from uuid import uuid4

from connectors.arrivals import Arrived
from connectors.web.credentials import Credentials
from connectors.web.envelope import name_of
from connectors.web.exchange import RETRY_AFTER, Ending, Head, Offered, Request, Response
from connectors.web.texts import xml_of, xml_text
from connectors.web.webhook import status_of
from frontend_agent.reading import Unreadable
from frontend_agent.reading.trees import json_tree

FHIR = "http://hl7.org/fhir"
JSON, XML = "application/fhir+json", "application/fhir+xml"
_XML_TYPES = (XML, "application/xml", "text/xml", "application/xml+fhir")
_BELOW = re.compile(r"/([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})")
HINT = "notification"  # what it is about, where nothing but that came


class FhirService:
    """The endpoint of subscriptions, and what is below it."""

    def __init__(self, name: str, path: str, largest: int, credentials: Credentials) -> None:
        self.name, self.largest = name, largest
        self._path, self._credentials = path.rstrip("/"), credentials

    def admit(self, head: Head) -> Response | None:
        if head.method not in ("POST", "PUT", "DELETE"):
            return _refused(405, "POST, PUT and DELETE only", head, (("Allow", "POST, PUT, DELETE"),))
        why = self._credentials.before(head)
        if why:
            challenge = self._credentials.challenge
            refusal = _refused(401, "not allowed", head, (("WWW-Authenticate", challenge),) if challenge else ())
            return Response(401, refusal.body, refusal.media_type, refusal.headers, why)
        below = head.path.removeprefix(self._path)
        if below.strip("/") and _BELOW.fullmatch(below) is None:
            return _refused(404, "below the endpoint there is [type]/[id] only", head)
        return None

    def read(self, request: Request) -> Response | Offered:
        head = request.head
        reasons: tuple[str, ...] = ()
        if not request.body or head.method == "DELETE":
            body, id, about = self._hint(head)
        else:
            body = request.body
            id, about, reasons = _told(request, self.largest)
        arrived = Arrived(self.name, body, head.at, id, head.sender, about, unreadable=reasons)
        return Offered(arrived, lambda ending: _answered(ending, head))

    def _hint(self, head: Head) -> tuple[bytes, str, str]:
        """What stands for a notification without a payload: said to be ours, and each its own."""
        below = _BELOW.fullmatch(head.path.removeprefix(self._path))
        about = f"deleted {below[1]}" if head.method == "DELETE" and below else HINT
        id = f"{HINT}-{uuid4()}"
        parameters = [
            {"name": "event", "valueCode": "deleted" if head.method == "DELETE" else HINT},
            {"name": "received", "valueInstant": _instant(head.at)},
            *([{"name": "reference", "valueString": f"{below[1]}/{below[2]}"}] if below else []),
        ]
        resource = {"resourceType": "Parameters", "id": id, "parameter": parameters}
        return json.dumps(resource).encode(), id, about


def _told(request: Request, largest: int) -> tuple[str, str, tuple[str, ...]]:
    """(control id, type, all reasons why nobody can read it) of a resource."""
    try:
        if is_xml(request.head):
            root = xml_of(request.body, request.head.charset, largest)
            namespace, kind = name_of(root)
            if namespace != FHIR:
                return "", "", ("no resource of FHIR: another namespace",)
            return _id(kind, _xml(root, "id"), _xml(root, "meta", "versionId"), _xml(root, "timestamp")), kind, ()
        tree = json_tree(request.body)
    except Unreadable as error:
        return "", "", (str(error),)
    kind = _text(tree.get("resourceType")) if isinstance(tree, dict) else ""
    if not kind.isalnum():
        return "", "", ("no resource of FHIR: no resourceType",)
    meta = tree.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return _id(kind, _text(tree.get("id")), _text(version), _text(tree.get("timestamp"))), kind[:64], ()


def _id(kind: str, id: str, version: str, timestamp: str) -> str:
    """A version of a resource, or one Bundle; empty where that is not said: then the bytes decide."""
    if not id or len(id) > 64:
        return ""
    if kind == "Bundle":
        return f"Bundle/{id}" if timestamp or version else ""
    return f"{kind[:64]}/{id}/_history/{version[:64]}" if version else ""


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _xml(element: Any, *names: str) -> str:
    for name in names:
        found = [child for child in element if name_of(child) == (FHIR, name)]
        if not found:
            return ""
        element = found[0]
    return str(element.get("value", "")).strip()


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


# -- answers


def is_xml(head: Head) -> bool:
    return head.media_type in _XML_TYPES


def _answered(ending: Ending, head: Head) -> Response:
    if ending.is_accepted:
        return _outcome(200, "information", "informational", ("kept",), head)
    code = {503: "transient", 409: "conflict"}.get(status_of(ending), "invalid")
    headers = (("Retry-After", RETRY_AFTER),) if ending.is_transient else ()
    return _outcome(status_of(ending), "error", code, ending.told, head, headers)


def _refused(status: int, why: str, head: Head, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    code = {401: "login", 404: "not-found", 405: "not-supported"}[status]
    made = _outcome(status, "error", code, (why,), head, headers)
    return Response(made.status, made.body, made.media_type, made.headers, why)


def _outcome(
    status: int, severity: str, code: str, texts: tuple[str, ...], head: Head, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """An OperationOutcome with an issue for each text (hl7.org/fhir/R4/operationoutcome.html)."""
    if is_xml(head):
        issues = "".join(
            f'<issue><severity value="{severity}"/><code value="{code}"/><diagnostics value="{xml_text(text)}"/></issue>'
            for text in texts
        )
        body = f'<OperationOutcome xmlns="{FHIR}">{issues}</OperationOutcome>'
        return Response(status, body.encode(), f"{XML}; charset=utf-8", headers)
    told = [{"severity": severity, "code": code, "diagnostics": text} for text in texts]
    body = json.dumps({"resourceType": "OperationOutcome", "issue": told}, ensure_ascii=False)
    return Response(status, body.encode(), JSON, headers)

"""Webhooks as an inlet: JSON, XML or anything is POSTed, signed or with a token, and answered by settings. No I/O."""

import json
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Literal

from connectors.arrivals import Arrived
from connectors.web.answering import filled
from connectors.web.credentials import Credentials
from connectors.web.exchange import RETRY_AFTER, Ending, Fate, Head, Offered, Request, Response, plain
from connectors.web.paths import first_text
from connectors.web.texts import xml_of
from frontend_agent.er7 import why_unreadable
from frontend_agent.reading import Unreadable
from frontend_agent.reading.trees import json_tree

LONGEST_ID = 200  # characters of a control id
LONGEST_ABOUT = 100


@dataclass(frozen=True, kw_only=True)
class WebhookOptions:
    """How a sender calls."""

    largest: int = 16 * 1024 * 1024
    methods: tuple[str, ...] = ("POST",)
    format: Literal["json", "xml", "hl7v2", "any"] = "json"  # what nobody could read otherwise is refused at once
    id_header: str = ""
    ids: tuple[str, ...] = ()  # paths in the body
    about_header: str = ""  # what kind of event it is
    abouts: tuple[str, ...] = ()
    status: int = 202  # of an acknowledgement
    answer: str = ""  # its body, with places; empty: `{"status": "kept"}`, and all reasons of a refusal
    codes: tuple[str, str] = ("0", "-1")
    accepted: str = "成功"


class WebhookService:
    """A webhook at a path."""

    def __init__(self, name: str, options: WebhookOptions, zone: tzinfo, credentials: Credentials) -> None:
        self.name, self.largest = name, options.largest
        self._options, self._zone, self._credentials = options, zone, credentials
        reader = "xml" if options.format == "xml" else "json"
        self._ids, self._abouts = first_text(reader, options.ids), first_text(reader, options.abouts)

    def admit(self, head: Head) -> Response | None:
        if head.method not in self._options.methods:
            allowed = ", ".join(self._options.methods)
            return plain(405, f"{allowed} only", (("Allow", allowed),))
        return self._not_allowed(self._credentials.before(head))

    def read(self, request: Request) -> Response | Offered:
        refusal = self._not_allowed(self._credentials.after(request))
        if refusal is not None:
            return refusal
        head, options = request.head, self._options
        reasons, tree = _judged(request, options.format, self.largest)
        id = head.headers.get(options.id_header, "").strip() if options.id_header else ""
        about = head.headers.get(options.about_header, "").strip() if options.about_header else ""
        if tree is not None:
            id, about = id or self._ids(tree), about or self._abouts(tree)
        if len(id) > LONGEST_ID:
            reasons.append(f"an id of more than {LONGEST_ID} characters")
            id = ""
        if not request.body:
            reasons.append("an empty body")
        arrived = Arrived(
            self.name, request.body, head.at, id, head.sender, about[:LONGEST_ABOUT], unreadable=tuple(reasons)
        )
        return Offered(arrived, lambda ending: self._answer(ending, id, about, head))

    def _not_allowed(self, why: str) -> Response | None:
        """401 says no more than that; our own log says why."""
        if not why:
            return None
        challenge = self._credentials.challenge
        headers = (("WWW-Authenticate", challenge),) if challenge else ()
        return Response(401, b'{"status": "not allowed"}\n', "application/json", headers, why)

    def _answer(self, ending: Ending, id: str, about: str, head: Head) -> Response:
        options = self._options
        status = options.status if ending.is_accepted else status_of(ending)
        headers = (("Retry-After", RETRY_AFTER),) if ending.is_transient else ()
        if options.answer:
            at = head.at.astimezone(self._zone)
            text = filled(options.answer, ending, options.codes, options.accepted, at, id, about)
        else:
            told: dict[str, Any] = {"status": ending.fate.value, "reasons": list(ending.told)}
            text = json.dumps(told if ending.told else {"status": ending.fate.value}, ensure_ascii=False) + "\n"
        kind = "application/xml; charset=utf-8" if text.lstrip().startswith("<") else "application/json"
        return Response(status, text.encode() if status != 204 else b"", kind, headers)


def status_of(ending: Ending) -> int:
    """The status of a refusal (RFC 9110 §15): 409 another message of that id, 422 all that is wrong with it, 503 come again."""
    if ending.is_transient:
        return 503
    return 409 if ending.fate is Fate.CONFLICT else 422


def _judged(request: Request, format: str, largest: int) -> tuple[list[str], Any]:
    """All reasons why nobody can read it, and its tree where it has one."""
    if not request.body or format == "any":
        return [], None
    if format == "hl7v2":
        return list(why_unreadable(request.body)), None
    try:
        if format == "xml":
            return [], xml_of(request.body, request.head.charset, largest)
        return [], json_tree(request.body)
    except Unreadable as error:
        return [str(error)], None

"""Inlets over HTTP and HTTPS: one listening core (`server`), and what answers at its paths.

soap      SOAP 1.1 and 1.2: national interactions, action and message, one string, documents as they are
webhook   JSON, XML or anything, signed (HMAC) or with a token
fhir      notifications of FHIR R4 subscriptions (rest-hook)
"""

from connectors.web.exchange import Ending, Fate, Head, Offered, Request, Response, Service
from connectors.web.server import Ports, WebListener, WebOptions

__all__ = [
    "Ending",
    "Fate",
    "Head",
    "Offered",
    "Ports",
    "Request",
    "Response",
    "Service",
    "WebListener",
    "WebOptions",
]  # fmt: skip

"""The frame of the national interactions (WS/T 846, HL7 v3), as far as an answer needs it. No I/O.

A request's root is its interaction; `id`, `sender` say which message of whom. The answer is MCCI_IN000002UV01: AA or AE, the request's
id, and each reason in an acknowledgementDetail of its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from connectors.web.envelope import name_of
from connectors.web.texts import xml_text

HL7 = "urn:hl7-org:v3"
MESSAGE_IDS = "2.16.156.10011.2.5.1.1"  # root of message ids
INTERACTIONS = "2.16.156.10011.2.5.1.2"
LONGEST_REASON = 200  # characters of acknowledgementDetail/text

# Requests that want data back: an inlet takes, it does not tell.
_ASKS = re.compile(r".*(?:Query|QueryRequest|FindCandidatesQuery|DetailsQuery)|DocumentAccess|DocumentRetrieve")


@dataclass(frozen=True)
class Frame:
    """What the frame of a request says. Empty is what it does not say."""

    interaction: str = ""
    root: str = ""
    id: str = ""
    sender: str = ""


def frame_of(root: Any) -> Frame:
    """The frame of any tree: what has none has an empty one."""
    ids = _children(root, "id")
    item = _id_of(ids[0]) if ids else ("", "")
    devices = [device for sender in _children(root, "sender") for device in _children(sender, "device")]
    senders = [_id_of(one) for device in devices for one in _children(device, "id")]
    return Frame(name_of(root)[1], item[0], item[1], senders[0][1] if senders else "")


def is_interaction(name: str) -> bool:
    return re.fullmatch(r"[A-Z]{4}_IN\d{6}(UV|CN)\d{2}", name) is not None


def asks(action: str) -> bool:
    """Whether an action (of either vocabulary) wants data back."""
    return _ASKS.fullmatch(action) is not None


def acknowledgement(frame: Frame, reasons: Sequence[str], accepted: bool, at: datetime) -> str:
    """MCCI_IN000002UV01 as text, without a declaration. `at` is local time."""
    details = "".join(
        f'<acknowledgementDetail><text value="{xml_text(reason[:LONGEST_REASON])}"/></acknowledgementDetail>'
        for reason in reasons
    )
    target = ""
    if frame.id:
        target = f'<targetMessage><id root="{xml_text(frame.root or MESSAGE_IDS)}" extension="{xml_text(frame.id)}"/></targetMessage>'
    return (
        f'<MCCI_IN000002UV01 xmlns="{HL7}" ITSVersion="XML_1.0">'
        f'<id root="{MESSAGE_IDS}" extension="{uuid4()}"/>'
        f'<creationTime value="{at:%Y%m%d%H%M%S}"/>'
        f'<interactionId root="{INTERACTIONS}" extension="MCCI_IN000002UV01"/>'
        '<processingCode code="P"/><processingModeCode/><acceptAckCode code="NE"/>'
        f'<acknowledgement typeCode="{"AA" if accepted else "AE"}">{target}{details}</acknowledgement>'
        "</MCCI_IN000002UV01>"
    )


def _children(element: Any, name: str) -> list[Any]:
    return [child for child in element if name_of(child)[1] == name]


def _id_of(element: Any) -> tuple[str, str]:
    """Root and extension: of the element, or of the item inside (both are written)."""
    for one in (element, *_children(element, "item")):
        if one.get("extension"):
            return one.get("root", ""), str(one.get("extension")).strip()
    return "", ""

"""What is answered where the sender's protocol is a site's own: a text with places, by settings."""

import json
from collections.abc import Sequence
from datetime import datetime
from string import Template

from connectors.web.exchange import Ending
from connectors.web.texts import xml_text


def filled(
    template: str, ending: Ending, codes: tuple[str, str], accepted: str, at: datetime, id: str = "", action: str = ""
) -> str:
    """The template with its places filled: $code, $text (all reasons), $id, $action, $now. Escaped for JSON or XML, as it begins."""
    said = told(ending.told, accepted)
    values = {
        "code": codes[0] if ending.is_accepted else codes[1],
        "text": said,
        "id": id,
        "action": action,
        "now": f"{at:%Y%m%d%H%M%S}",
    }
    is_json = template.lstrip()[:1] in ("{", "[")
    escape = _json_text if is_json else xml_text
    return Template(template).substitute({name: escape(value) for name, value in values.items()})


def told(reasons: Sequence[str], accepted: str) -> str:
    return "; ".join(reasons) or accepted


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]

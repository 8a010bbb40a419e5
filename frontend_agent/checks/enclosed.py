"""X0001 模拟信息文档: a wrapped scan is what the record says of it."""

from frontend_agent.checks.registry import AGREES, HOLD, TECHNICAL, Problem, rule
from frontend_agent.formats.enclosed import DATA, KIND, MEDIA_TYPE, SHA256, NotEnclosable, disclose
from frontend_agent.model import Record


@rule(
    "ENC-CONTENT",
    HOLD,
    KIND,
    about=AGREES,
    clause="HL7 CDA R2: nonXMLBody",
    mark=TECHNICAL,
    needs=(DATA, MEDIA_TYPE, SHA256),
)
def the_content_is_what_it_is_said_to_be(record: Record) -> Problem | None:
    """Base64, not too large, of the media type that its first bytes show, and with the SHA-256 that is given."""
    try:
        disclose(record)
    except NotEnclosable as error:
        return DATA, "", str(error)
    return None

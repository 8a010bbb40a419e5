"""A key image note of a study is made here and handed over like everything that comes: it travels with the study."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.instances import InstanceDesk
from frontend_agent.config import InstitutionConfig
from frontend_agent.errors import ConfigurationError
from frontend_agent.imaging.keeping import StudyBook
from frontend_agent.imaging.model import Study
from frontend_agent.imaging.notes import NoNote, key_note

INLET = "key images"  # where a note came in, as the book has it
KEPT_WITHIN = 60.0  # seconds


def keep_note(
    book: StudyBook,
    desk: InstanceDesk,
    study: Study,
    chosen: Sequence[str],
    title: str,
    text: str,
    institution: InstitutionConfig,
    now: datetime,
    who: str,
) -> str:
    """The note's SOP Instance UID; it is on disk when this returns, and goes where the study goes. ConfigurationError: what is wrong."""
    whole = [one for one in book.instances(study.id) if not one.is_conflict]
    at = now.astimezone(ZoneInfo(institution.timezone)).strftime("%Y%m%d%H%M%S")
    try:
        made = key_note(whole, chosen, title, text, institution.name, at)
    except NoNote as error:
        raise ConfigurationError(str(error)) from None
    writer = desk.begin(INLET, made.sop_class_uid, made.sop_instance_uid, made.transfer_syntax_uid, sender=who)
    writer.write(made.head)
    writer.keep().result(KEPT_WITHIN)
    return made.sop_instance_uid

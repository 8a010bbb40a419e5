"""Who wants a study, and which PACS is asked for it. Pure.

order      RIS says that it was made: inlets that ask for `orders`
report     an exam report names its number: inlets that ask for `reports`
person, platform   somebody waits for it: every inlet that can ask, unless one is named
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from frontend_agent.config_images import AskingConfig, ImagesConfig
from frontend_agent.imaging.model import Want

REAL_TIME = 1  # urgency
EXAM_REPORT = "C0006"
LONGEST_NUMBER = 64  # characters; SH has 16, and some PACS take more


def asking(images: ImagesConfig, by: Literal["orders", "reports", "poll", ""] = "") -> dict[str, AskingConfig]:
    """The inlets that can ask a PACS; with `by` those that do so for that reason."""
    return {
        name: inlet
        for name, inlet in images.inlets.items()
        if isinstance(inlet, AskingConfig) and (not by or by in inlet.asks_for)
    }


def wants_of_report(record: Mapping[str, Any], key: str, images: ImagesConfig, now: datetime) -> list[Want]:
    """The study that an exam report speaks of, by the number that each inlet says is the accession number."""
    found = []
    for name, inlet in asking(images, "reports").items():
        number = str(record.get(inlet.accession_from) or "").strip()
        if (
            number and len(number) <= LONGEST_NUMBER and not set(number) & set("*?\\")
        ):  # what a PACS takes for wildcards
            found.append(
                Want(
                    inlet=name,
                    accession_number=number,
                    why=f"report {key}",
                    urgency=REAL_TIME,
                    since=now,
                    due_at=now,
                )
            )
    return found

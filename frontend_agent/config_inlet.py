"""What every table [inlets.NAME] has, whatever its type."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from frontend_agent.config_types import MiB16, Size


@dataclass(frozen=True, kw_only=True)
class InletConfig:
    """What every inlet has."""

    type: str
    largest: Size = MiB16  # of one message; a larger one is refused
    retention: timedelta = timedelta(days=30)  # how long a message that was taken is kept as it came
    remember: timedelta = timedelta(
        days=90
    )  # for so long an id (or the bytes of a message without one) does not come again
    unwanted: Literal["keep", "refuse"] = "keep"  # a message that no feed wants is acknowledged, or refused

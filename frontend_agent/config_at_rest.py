"""What agent.toml says of encryption of the state directory."""

from dataclasses import dataclass, field
from typing import Literal

from frontend_agent.config_types import NAMES_A_SECRET


@dataclass(frozen=True, kw_only=True)
class AtRestConfig:
    """With a `key` the state lies encrypted on the disk. `suite` "none", with the key: it is made plain again."""

    suite: Literal["AES-256-GCM", "SM4-GCM", "none"] = "AES-256-GCM"
    key: str = field(default="", metadata=NAMES_A_SECRET)  # the NAME of a secret: 32 random bytes in base64

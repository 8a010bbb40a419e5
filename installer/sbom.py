"""What a program is made of, as CycloneDX 1.6 (ECMA-424)."""

import json
import re
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from installer.inputs import NotMade, digest_of
from installer.wheels import metadata, normal

# What the packages of Debian that we take files of are under (SPDX), from their copyright files. None is under the GPL without
# an exception or a choice: what is not in this table is not shipped.
LICENCES = {}


def of_debs(debs: Iterable[Path], taken: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    return []


def of_wheels(required: Iterable[Path]) -> list[dict[str, Any]]:
    return []


def document(made_of: Mapping[str, Any], version: str, epoch: int) -> bytes:
    return b"{}"

"""What an instance must have by its class: attributes of type 1 and 2 (PS3.3 annex A), from `iods.toml`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from pydicom.datadict import tag_for_keyword

from frontend_agent.shipped import read_shipped

# Of every composite object, also of classes that nobody knows (PS3.3 A.1.2).
_COMMON = ("Patient", "GeneralStudy", "GeneralSeries")


class Required(NamedTuple):
    """Tags by keyword: those that must have a value, and those that must be there."""

    valued: Mapping[str, int]
    there: Mapping[str, int]
    is_known: bool


@cache
def _tables() -> tuple[Mapping[str, Mapping[str, list[str]]], Mapping[str, list[str]]]:
    table = tomllib.loads(read_shipped("frontend_agent.imaging")("iods.toml"))
    return table["modules"], table["classes"]


@cache
def required(sop_class_uid: str) -> Required:
    """What instances of a class must have; of a class that is not known what every one must have."""
    modules, classes = _tables()
    names = classes.get(sop_class_uid, _COMMON)
    valued = [keyword for name in names for keyword in modules[name].get("1", ())]
    there = [keyword for name in names for keyword in modules[name].get("2", ()) if keyword not in valued]
    return Required(_tags(valued), _tags(there), sop_class_uid in classes)


def known_classes() -> tuple[str, ...]:
    """The SOP Class UIDs of the table."""
    return tuple(_tables()[1])


def _tags(keywords: list[str]) -> Mapping[str, int]:
    return {keyword: tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None}

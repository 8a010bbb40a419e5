"""The data sets of WS 445, the kinds of document that carry them, and which element of a kind answers to which of theirs.

The table is one vendor's metadata (2015–2017), independent of the documents' templates; each line says how sure it is.
"""

import csv
import io
from functools import cache
from typing import NamedTuple

from frontend_agent.shipped import read_shipped


class Wanted(NamedTuple):
    """One data element of one data set."""

    dataset: str
    dataset_name: str
    kind: str  # empty: no document carries it
    position: int
    data_element: str
    name: str
    format: str
    in_document: str  # yes, no: whether the document's own tables have it; empty where no document is meant
    confidence: str


@cache
def wanted() -> tuple[Wanted, ...]:
    """Every line of the table, in its order."""
    rows = csv.DictReader(io.StringIO(read_shipped("frontend_agent.reports")("datasets_ws445.csv")))
    return tuple(
        Wanted(
            row["dataset"], row["name_zh"], row["kind"], int(row["position"]), row["de_code"], row["de_name"],
            row["format"], row["in_document"], row["confidence"],
        )
        for row in rows
    )  # fmt: skip

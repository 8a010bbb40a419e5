"""The national catalogue of data elements (WS 363): one table for all kinds, each row with its confidence mark."""

from dataclasses import dataclass

from frontend_agent.formats.tables import table


@dataclass(frozen=True)
class DataElement:
    """One element of the catalogue: `DE02.01.039.00 姓名 A..50`."""

    code: str
    name_zh: str
    type: str
    format: str
    unit: str
    value_domain: str
    value_domain_oid: str
    confidence: str


_loaded: dict[str, DataElement] = {}


def data_element(code: str) -> DataElement | None:
    """The catalogue's row for a code, or None."""
    return data_elements().get(code)


def data_elements() -> dict[str, DataElement]:
    """The whole catalogue by code."""
    if not _loaded:
        _loaded.update(
            {
                row["de_code"]: DataElement(
                    row["de_code"],
                    row["name_zh"],
                    row["ws363_type"],
                    row["format"],
                    row["unit"],
                    row["value_domain_id"],
                    row["value_domain_oid"],
                    row["confidence"],
                )
                for row in table("data_elements.csv")
            }
        )
    return _loaded

"""ODBC's types that a driver or pyodbc hands out wrong, or not at all, read from what the driver gives as bytes.

The numbers are ODBC's: the table must be readable where pyodbc cannot be loaded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta, timezone
from typing import Any
from uuid import UUID

Converters = Mapping[int, Callable[[bytes], Any]]

INTEGER, TIME, GUID = 4, 92, -11
DATETIMEOFFSET = -155  # SQL Server's own, of which ODBC knows nothing


def time_of_day(text: str) -> time | str:
    """A TIME that is a time of day as one. MySQL's may also be a duration, of many hours or before zero: its text."""
    try:
        return time.fromisoformat(text)
    except ValueError:
        return text


def _moment_with_offset(data: bytes) -> datetime:
    """Six numbers, nanoseconds, and the offset in hours and minutes."""
    year, month, day, hour, minute, second, nanoseconds, hours, minutes = struct.unpack("<6hI2h", data)
    zone = timezone(timedelta(hours=hours, minutes=minutes))
    return datetime(year, month, day, hour, minute, second, nanoseconds // 1000, zone)


def _guid(data: bytes) -> str:
    return str(UUID(bytes_le=data))


# pyodbc takes an INT UNSIGNED of MariaDB's driver for a signed one: 4294967295 was -1. The driver gives these as text.
MYSQL: Converters = {INTEGER: int, TIME: lambda data: time_of_day(data.decode())}
POSTGRESQL: Converters = {GUID: _guid}  # as PostgreSQL writes it, not in capitals
SQL_SERVER: Converters = {DATETIMEOFFSET: _moment_with_offset}

"""The thin loader of a hospital's own tables: CSV (UTF-8 or GB 18030) and .xlsx, as agent.toml names them."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from frontend_agent.config import CatalogueConfig
from frontend_agent.errors import ConfigurationError
from frontend_agent.shipped import did_you_mean
from frontend_agent.terms.catalogues import Catalogue, Catalogues, Shelf
from frontend_agent.workbooks import NoSuchSheet, NoWorkbook, sheet_rows


def load_catalogues(configured: Mapping[str, CatalogueConfig]) -> Catalogues:
    """Every configured table. A file is read once per process, and again only when it has changed."""
    by_value_set: dict[str, list[Catalogue]] = {}
    by_field: dict[str, list[Catalogue]] = {}
    for name, options in configured.items():
        catalogue = _load(name, options)
        for oid in options.value_sets:
            by_value_set.setdefault(oid, []).append(catalogue)
        for field in options.fields:
            by_field.setdefault(field, []).append(catalogue)
    return Catalogues(_shelves(by_value_set), _shelves(by_field))


def _shelves(found: Mapping[str, list[Catalogue]]) -> dict[str, Shelf]:
    return {name: Shelf(catalogues) for name, catalogues in found.items()}


def _load(name: str, options: CatalogueConfig) -> Catalogue:
    try:
        found = Path(options.path).stat()
    except OSError as error:
        raise ConfigurationError(f"agent.toml: catalogues.{name}: {options.path}: {error.strerror}") from None
    return _read(name, options, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=32)
def _read(name: str, options: CatalogueConfig, changed: int, size: int) -> Catalogue:
    grid = _csv_grid(options) if options.path.lower().endswith(".csv") else _xlsx_grid(options)
    heading = [cell.strip() for cell in next(grid, [])]
    code, called = (_place(name, options.path, heading, column) for column in (options.code, options.name))
    rows = ((row[code].strip(), row[called].strip()) for row in grid if len(row) > max(code, called))
    catalogue = Catalogue(
        name, (row for row in rows if row[0]), options.version, _day(options.valid_from), _day(options.valid_to)
    )
    if not len(catalogue):
        raise ConfigurationError(f"agent.toml: catalogues.{name}: {options.path}: has no row with a code")
    return catalogue


def _day(text: str) -> str:
    return text.replace("-", "")


def _place(name: str, path: str, heading: list[str], column: str) -> int:
    if column not in heading:
        raise ConfigurationError(
            f"agent.toml: catalogues.{name}: {path}: its first line has no column '{column}'{did_you_mean(column, heading)}"
            f" (there: {', '.join(cell for cell in heading if cell)})"
        )
    return heading.index(column)


def _csv_grid(options: CatalogueConfig) -> Iterator[list[str]]:
    content = Path(options.path).read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")  # what a Chinese Excel saves by default
        except UnicodeDecodeError:
            raise ConfigurationError(f"{options.path}: is neither UTF-8 nor GB 18030 text") from None
    return csv.reader(io.StringIO(text, newline=""))


def _xlsx_grid(options: CatalogueConfig) -> Iterator[list[str]]:
    try:
        yield from _texts(sheet_rows(Path(options.path).read_bytes(), options.sheet))
    except NoSuchSheet as error:
        raise ConfigurationError(
            f"{options.path}: has no sheet '{options.sheet}' (there: {', '.join(error.names)})"
        ) from None
    except NoWorkbook:
        raise ConfigurationError(f"{options.path}: is no workbook (.xlsx)") from None


def _texts(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[str]]:
    for row in rows:
        yield ["" if cell is None else str(cell) for cell in row]

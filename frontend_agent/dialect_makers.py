"""What foreign destinations send that is made of a record's values: the makers, from a destination's settings.

The makers themselves are pure (`frontend_agent/dialects/`); here their tables are read.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from connectors.outlets import Around, DocumentUnreadable, OpenedDocument
from frontend_agent.codes import CodeTable
from frontend_agent.config_outlets import HipOutlet, PackagesOutlet, TableOutlet, XdsOutlet
from frontend_agent.dialects.data_sets import SHIPPED
from frontend_agent.dialects.ebxml import Entry
from frontend_agent.dialects.hip import Messages, Request
from frontend_agent.dialects.packages import Packer, packer
from frontend_agent.dialects.shared_tables import Put, SharedTables, read_tables
from frontend_agent.dialects.statements import belonging, checked, nothing_of, put_away, read_back, status_of, upsert
from frontend_agent.dialects.values import Local, NotSaid, Region, local_in, nothing_local
from frontend_agent.dialects.xds import Describer, describer
from frontend_agent.errors import ConfigurationError
from frontend_agent.packs.content import Content
from frontend_agent.shipped import read_file, read_shipped

Codes = Callable[[str], Mapping[str, CodeTable]]


def packages(name: str, options: PackagesOutlet, content: Content, codes: Codes, around: Around) -> Packer:
    """What makes a destination's packages. ConfigurationError: what its table lacks."""
    texts = {SHIPPED: read_shipped("frontend_agent.dialects")(SHIPPED)}
    if options.data_sets:
        texts[options.data_sets] = site_text(name, "data_sets", options.data_sets)
    try:
        return packer(options, content.kind, local_in(codes), around.timezone, texts, content.compiling)
    except ConfigurationError as error:
        raise ConfigurationError(f"destinations.{name}: {error}") from error


class Tables:
    """A destination's tables: rows of documents, and the statements for them."""

    def __init__(self, tables: SharedTables) -> None:
        self.all = tables.all
        self._tables = tables
        self.upsert, self.read_back, self.belonging = upsert, read_back, belonging
        self.put_away, self.status_of, self.nothing_of = put_away, status_of, nothing_of

    def put(self, opened: OpenedDocument, now: str) -> Put | str:
        """The rows, or why there are none."""
        try:
            return self._tables.put(opened, now)
        except NotSaid as reason:
            return str(reason)


def tables(name: str, options: TableOutlet, content: Content, codes: Codes, around: Around) -> Tables:
    """What makes a destination's rows. ConfigurationError: what its file lacks, or that it is a source's own database."""
    return Tables(shared_tables(name, options, content, local_in(codes)))


def shared_tables(name: str, options: TableOutlet, content: Content, local: Local = nothing_local) -> SharedTables:
    """The tables that a destination's file names."""
    text = site_text(name, "tables", options.tables)
    region = Region(options.date_format, options.datetime_format, local)
    try:
        for column in filter(None, (options.status_column, options.reason_column)):
            checked(column)
        return read_tables(text, options.tables, content.kind, region, content.compiling)
    except ConfigurationError as error:
        raise ConfigurationError(f"destinations.{name}: {error}") from error


class Metadata:
    """A destination's XDS metadata."""

    def __init__(self, describer: Describer) -> None:
        self.unique_id = describer.unique_id
        self._describer = describer

    def entry(self, opened: OpenedDocument, now: datetime) -> Entry | str:
        """The metadata of a document, or why there are none."""
        try:
            return self._describer.entry(opened, now)
        except NotSaid as reason:
            return str(reason)


def metadata(name: str, options: XdsOutlet, content: Content, codes: Codes, around: Around) -> Metadata:
    """What describes a destination's documents. ConfigurationError: what its file of codes lacks."""
    text = site_text(name, "codes", options.codes)
    try:
        hospital = around.institution, around.institution_name
        return Metadata(describer(options, text, content.kind, around.timezone, hospital))
    except ConfigurationError as error:
        raise ConfigurationError(f"destinations.{name}: {error}") from error


def site_text(name: str, key: str, path: str) -> str:
    """A file that a destination names. ConfigurationError names the destination and the key."""
    try:
        return read_file(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"destinations.{name}: {key}: {path} cannot be read: {error}") from error


class _Hip(Messages):
    """The messages of a region's national services; what it has no word for cannot be sent."""

    def request(self, opened: OpenedDocument) -> Request:  # type: ignore[override]
        try:
            return super().request(opened)
        except NotSaid as reason:
            raise DocumentUnreadable(str(reason)) from reason

    def question(self, opened: OpenedDocument) -> Request:  # type: ignore[override]
        try:
            return super().question(opened)
        except NotSaid as reason:
            raise DocumentUnreadable(str(reason)) from reason


def hip(name: str, options: HipOutlet, content: Content, codes: Codes, around: Around) -> Messages:
    """What makes a destination's requests and reads its answers. ConfigurationError: what its settings get wrong."""
    try:
        return _Hip(options, content.kind, around.institution_name, around.patient_of)
    except ConfigurationError as error:
        raise ConfigurationError(f"destinations.{name}: {error}") from error

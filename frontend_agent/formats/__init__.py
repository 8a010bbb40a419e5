"""Kinds of document: one declaration each, and what is compiled from it (architecture §5, law 12).

load_kind("C0007").renderer(absences)(record, envelope) -> bytes      kind.reader(bytes) -> record
headline(bytes) -> what a document says of itself, without parsing it
"""

from frontend_agent.formats.data_elements import DataElement, data_element, data_elements
from frontend_agent.formats.errors import (
    FormatError,
    NotOurs,
    TemplateError,
    UnboundField,
    UnrenderableText,
    UnsafeDocument,
)
from frontend_agent.formats.headline import Headline, headline, read_envelope
from frontend_agent.formats.kind import Field, Group, Kind, Section
from frontend_agent.formats.library import Gap, gaps, kind_codes, load_kind, load_kinds, message_codes
from frontend_agent.formats.reference import reference
from frontend_agent.formats.skeleton import skeleton
from frontend_agent.formats.value_sets import Named, ValueSet, named, value_set, value_sets, versions
from frontend_agent.formats.view import View, view

__all__ = [
    "DataElement",
    "Field",
    "FormatError",
    "Gap",
    "Group",
    "Headline",
    "Kind",
    "Named",
    "NotOurs",
    "Section",
    "TemplateError",
    "UnboundField",
    "UnrenderableText",
    "UnsafeDocument",
    "ValueSet",
    "View",
    "data_element",
    "data_elements",
    "gaps",
    "headline",
    "kind_codes",
    "load_kind",
    "load_kinds",
    "message_codes",
    "named",
    "read_envelope",
    "reference",
    "skeleton",
    "value_set",
    "value_sets",
    "versions",
    "view",
]

"""What can go wrong between a record and its document. Every text names fields, never their values (law 9)."""

from frontend_agent.errors import ConfigurationError, FrontendAgentError


class FormatError(FrontendAgentError):
    """A record or a document does not fit the declaration of its kind."""


class UnboundField(FormatError):
    """The document needs a value that the record lacks, and no absence is declared lawful for it (law 3)."""

    def __init__(self, field: str) -> None:
        super().__init__(f"no value for {field}, and the profile names no lawful absence for it")
        self.field = field


class UnrenderableText(FormatError):
    """A value holds a character that XML cannot carry: a control character, half of a surrogate pair."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field}: holds a character that cannot stand in XML")
        self.field = field


class NotOurs(FormatError):
    """The bytes are not a document of a kind that we make."""


class UnsafeDocument(FormatError):
    """The XML is not well-formed, too large, or brings a DOCTYPE."""


class TemplateError(ConfigurationError):
    """A template contradicts itself or its tables. Names the file and the element."""

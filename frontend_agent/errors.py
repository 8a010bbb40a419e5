"""Every error answers two questions: will waiting help, and who has to act."""


class FrontendAgentError(Exception):
    """The base of all errors this program raises on purpose. Its text is what the operator reads."""

    exit_code = 1


class ConfigurationError(FrontendAgentError):
    """Something in a file that a person wrote. Names the file, the key and the mend. Exit 78 (EX_CONFIG)."""

    exit_code = 78


class SourceError(FrontendAgentError):
    """The hospital's system answered with an error, or not at all."""


class SourceUnreachable(SourceError):
    """The source cannot be reached. Waiting may help; the hospital's IT mends it."""


class SourceRefused(SourceError, ConfigurationError):
    """The source refused what the configuration asks of it: password, table, column. Waiting does not help."""

    exit_code = 78


class SourceResting(SourceError):
    """The source is to be left alone now: a person paused it, or a protected window holds. No fault; it passes by itself
    or by `source resume`. The text is the outcome of a run: `his: protected until 00:40`."""


class StateError(FrontendAgentError):
    """The state directory cannot be used: copied, locked by a running daemon, damaged, or from a newer version."""


class SpoolFull(FrontendAgentError):
    """The spool reached its quota, or the disk its reserve. Extraction stops until deliveries and retention make room."""


class DestinationError(FrontendAgentError):
    """The destination could not take a request as a whole."""


class RefusedWhole(DestinationError):
    """The request was refused as one (413, 500, nonsense): halve it until the cause stands alone (law 7)."""


class DestinationUnreachable(DestinationError):
    """Nothing arrived. Waiting may help."""


class NotAllowed(DestinationError):
    """The platform does not let this agent in (401, 403, 409 copied state). A person must act; no document is to blame."""


class SigningUnavailable(FrontendAgentError):
    """The key cannot be used now: token or device does not answer. Waiting may help; the hospital's IT mends it."""


class NoSigner(FrontendAgentError):
    """The author of this document has no signer, and there is none by default."""

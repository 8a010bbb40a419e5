"""What a reader says when it cannot read."""


class NotFetched(str):
    """In place of a file's bytes: why they could not be had. Quotes nothing of the path."""

    __slots__ = ()


class Unreadable(Exception):
    """The column's content is not what its reader reads. The text says why, and quotes nothing of the content."""

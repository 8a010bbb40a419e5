"""What a reader says when it cannot read."""


class Unreadable(Exception):
    """The column's content is not what its reader reads. The text says why, and quotes nothing of the content."""

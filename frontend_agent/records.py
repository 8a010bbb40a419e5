"""What several steps want of a record: all its texts, to look at them together."""

from frontend_agent.model import Record


def texts_of(record: Record) -> list[str]:
    """All texts of a record, facts included, in the order in which they stand in it."""
    texts: list[str] = []
    for value in record.values():
        if value.__class__ is str:
            texts.append(value)
        else:
            for row in value:
                texts += row.values()
    return texts

"""Bytes of bodies that are held at once (threat H2)."""


class Room:
    """Counts over all connections what each holds beyond its first few: those are free, so that whoever sends little is taken while
    others send much."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self, count: int) -> bool:
        """Whether there was so much left; it is taken then."""
        if count > self._free:
            return False
        self._free -= count
        return True

    def give_back(self, count: int) -> None:
        self._free += count

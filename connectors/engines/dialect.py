"""How an engine writes the few statements that we write ourselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """What differs between engines, and between the ways a driver takes parameters.

    A statement is limited in one of three places: in front (`TOP`, `FIRST`), behind (`LIMIT`, `FETCH FIRST`), or around
    (Oracle before 12c counts its rows with ROWNUM, before they are sorted).
    """

    quote: str = '"'
    mark: str = "?"  # "$" and ":" are numbered: $1, $2
    top: str = ""
    limit: str = "LIMIT {n}"
    around: str = ""
    percent: str = "%"  # how a literal % is written where the driver formats the statement
    one: str = "SELECT 1"
    most_parameters: int = 1000  # of one statement; an IN list of ours is never longer than this

    def marks(self, count: int, first: int = 1) -> list[str]:
        """The place-holders of so many parameters, of which the first is the nth of its statement."""
        if self.mark in "$:":
            return [f"{self.mark}{number}" for number in range(first, first + count)]
        return [self.mark] * count

    def select(self, columns: str, body: str, limit: int) -> str:
        """`SELECT columns body`, and no more than so many rows of it."""
        top = f"{self.top.format(n=limit)} " if self.top else ""
        behind = f"\n{self.limit.format(n=limit)}" if self.limit else ""
        inner = f"SELECT {top}{columns} {body}{behind}"
        return self.around.format(sql=inner, n=limit) if self.around else inner

    def quoted(self, name: str) -> str:
        """A name as it stands, in whatever letters: Chinese, mixed case, with a quote in it."""
        doubled = name.replace(self.quote, self.quote * 2).replace("%", self.percent)
        return f"{self.quote}{doubled}{self.quote}"

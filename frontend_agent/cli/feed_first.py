"""`reconcile FEED …` beside `reconcile list`: a group whose first word is a feed unless it is one of its commands."""

from typing import Any

from typer.core import TyperGroup

FEED = "feed"  # the command that a feed's name stands for


class FeedFirst(TyperGroup):
    """A feed that is called like a command is reached by `GROUP feed NAME`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [FEED, *args]
        return super().parse_args(ctx, args)

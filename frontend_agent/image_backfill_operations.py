"""What can be asked and said about backfills of images: see `operations.py`, which this is a part of."""

from datetime import date
from typing import Any

import msgspec

from frontend_agent.errors import ConfigurationError, FrontendAgentError


class NoImageBackfill(FrontendAgentError):
    """There is none at that inlet. Nothing was changed."""


class ImageBackfillOperations:
    """Questions and answers in plain values; part of Operations. One backfill at each inlet that asks a PACS."""

    _app: Any
    _spool: Any
    _daemon: Any

    def images_backfill_begin(self, begin: str, end: str, who: str, inlet: str = "") -> dict[str, Any]:
        """All studies of these days (yyyy-mm-dd), behind all that is new. ConfigurationError: why not."""
        name = self._backfilled(inlet)
        self._image_backfills().begin(name, _day(begin), _day(end), who, self._app.clock())
        return self._told_backfill(name)

    def images_backfill_list(self) -> list[dict[str, Any]]:
        """How each inlet's stands."""
        from frontend_agent.imaging.wanting import asking

        backfills = self._image_backfills()
        standings = (backfills.standing(name) for name in asking(self._app.config.images))
        return [msgspec.to_builtins(one) for one in standings if one is not None]

    def images_backfill_turn(self, inlet: str = "", running: bool = True) -> dict[str, Any]:
        """Stop it, or let it go on where it was."""
        name = self._backfilled(inlet)
        if self._image_backfills().turn(name, "running" if running else "stopped") is None:
            raise NoImageBackfill(f"no backfill of images was ever begun at {name}; nothing was changed")
        return self._told_backfill(name)

    def _told_backfill(self, inlet: str) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self._image_backfills().standing(inlet))
        return found

    def _image_backfills(self) -> Any:
        from frontend_agent.imaging.backfilling import BackfillBook  # who has no images loads none of it

        return BackfillBook(self._spool.images)

    def _backfilled(self, inlet: str) -> str:
        """The inlet that is meant: the only one that asks a PACS, where none is named."""
        from frontend_agent.imaging.wanting import asking

        able = asking(self._app.config.images)
        known = ", ".join(able) or "there is none: [images.inlets.NAME] with type dicom-query or dicomweb makes one"
        if inlet and inlet not in able:
            raise ConfigurationError(f"{inlet!r} is no inlet that asks a PACS ({known})")
        if not inlet and len(able) != 1:
            raise ConfigurationError(f"say which inlet, --inlet ({known})")
        return inlet or next(iter(able))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no day: yyyy-mm-dd") from None

"""The page of a region's hospitals: who is silent, what is wrong where, how much waits, which version runs."""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from frontend_agent.alarms.texts import Language, span
from frontend_agent.platform.fleet import Hospital, told_alarms
from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.pages import Pages
from frontend_agent.platform.store import Store
from frontend_agent.wire.heartbeat import Beat
from frontend_agent.wire.upgrades import CONFIRMED, STATES


class FleetPages:
    """/fleet, over the pages' own frame."""

    def __init__(self, store: Store, pages: Pages) -> None:
        self._store, self._pages = store, pages

    def operations(self) -> list[Operation]:
        answers = {200: "a page", 503: "the store cannot be read"}
        return [
            Operation("GET", "/fleet", self._pages.in_thread(self.fleet), "How each hospital stands", {"lang": "zh or en"}, answers=answers, media_type="text/html", shows="hospitals"),
        ]  # fmt: skip

    def fleet(self, request: Request, lang: str) -> Response:
        hospitals = self._store.hospitals()
        return self._pages.page(
            request, lang, "fleet.html",
            hospitals=[_row(one, lang, datetime.now(UTC)) for one in hospitals],
            silent=sum(bool(one.silent_since) for one in hospitals),
            alarmed=sum(bool(one.level) for one in hospitals),
        )  # fmt: skip


def _upgrade(beat: Beat) -> dict[str, str] | None:
    """How far its newest upgrade has come; None: there is none that anybody waits for."""
    told = beat.upgrade
    if told is None or (told.state == CONFIRMED and told.version == beat.version):
        return None
    state = told.state if told.state in STATES else "later"
    return {"version": told.version, "state": state, "reason": told.reason, "at": told.at}


def _row(hospital: Hospital, lang: str, now: datetime) -> dict[str, Any]:
    """What one line of the page shows, in its language."""
    figures = hospital.beat.figures
    language: Language = "en" if lang == "en" else "zh"
    silent = [one.name for one in hospital.beat.feeds if one.silent]
    return {
        "id": hospital.institution,
        "name": hospital.name,
        "level": hospital.level,
        "heard": hospital.received_at,
        "silent_since": hospital.silent_since,
        "version": hospital.beat.version,
        "started": hospital.beat.started,
        "upgrade": _upgrade(hospital.beat),
        "waiting": int(figures.get("waiting", 0)),
        "oldest": span(figures["oldest"], language) if figures.get("oldest") else "",
        "held": int(figures.get("held", 0)),
        "silent_feeds": silent,
        "days": int(figures["certificate_days"]) if "certificate_days" in figures else None,
        "skew": span(hospital.skew, language) if abs(hospital.skew) >= 60 else "",
        "alarms": [
            {**one, "text": one["texts"][language]} for one in told_alarms(hospital, now)
        ],
    }  # fmt: skip

"""What can be asked and said about records that are no longer at their source: see `operations.py`, which this is a part of."""

import base64
from collections.abc import Sequence
from typing import Any

from frontend_agent.config import unknown
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.intake import VANISHED_KEY, Read, prepare, what_is_known
from frontend_agent.model import SourceRecord
from frontend_agent.passing import DOCUMENT
from frontend_agent.telling import told_case
from frontend_agent.wire.frames import decompressor, open_frame

SHOWN = 1000


class NotVanished(FrontendAgentError):
    """There is no such case, or it can no longer be answered this way. Nothing was changed."""


class VanishedOperations:
    """Each public method is a question that can be asked by its name."""

    _app: Any
    _spool: Any
    _daemon: Any

    def vanished_list(self, feed: str | None = None) -> dict[str, Any]:
        """Feeds that stand still because too many keys are gone, with their keys; and what is held for it."""
        if feed is not None:
            self._must_be_feed(feed)
        stopped = []
        for one in self._app.config.feeds:
            state = self._spool.finding.stopped(one.name)
            if state and feed in (None, one.name):
                doubts = self._spool.finding.doubts(one.name, SHOWN)
                stopped.append(
                    {
                        "feed": one.name,
                        "count": state.count,
                        "at_most": one.vanished_at_most,
                        "since": state.at.isoformat(),
                        "accepted_by": state.accepted_by,
                        "keys": [doubt.key for doubt in doubts],
                    }
                )
        held = [
            told_case(case)
            for case in self._spool.cases(feed)
            if any(finding.rule == VANISHED_KEY for finding in case.findings)
        ]
        return {"stopped": stopped, "held": held}

    def vanished_decide(self, feed: str, accepted: bool, who: str, reason: str) -> dict[str, Any]:
        """A feed stands still: its keys are gone indeed, and each is held; or the source was mended, and is looked at again."""
        self._must_be_feed(feed)
        changed = self._spool.finding.decide(feed, accepted, who, reason, self._app.clock())
        if changed and self._daemon is not None:
            self._daemon.wake([feed])
        return {"feed": feed, "changed": changed}

    def vanished_void(self, cases: Sequence[str], who: str, reason: str) -> dict[str, Any]:
        """These records are void indeed: the newest document of each is sent once more, as a void version.

        Its content is taken from that document: the source has none any more. All are looked at before any is changed.
        """
        made = [(case, *self._last_said(case)) for case in dict.fromkeys(cases)]
        for _, feed, record in made:
            plan = self._app.feeds[feed].plan
            known = what_is_known(self._spool, None, plan, [record.key])
            self._spool.commit(prepare(plan, Read([record], []), None, known, self._app.clock()))
        named = [case for case, _, _ in made]
        self._spool.finding.voided(named, who, reason, self._app.clock())
        if self._daemon is not None:
            self._daemon.wake()
        return {"voided": named}

    def _last_said(self, name: str) -> tuple[str, SourceRecord]:
        """The feed of a case, and the record as its newest document says it."""
        shown = self._spool.quarantine_show(name)
        case = shown[0] if shown else None
        open_case = case is not None and case.state in ("open", "released")
        if case is None or not open_case or all(finding.rule != VANISHED_KEY for finding in case.findings):
            raise NotVanished(f"{name}: no open case of a record that vanished (frontend-agent vanished list)")
        head = self._spool.series([case.set_id]).get(case.set_id)
        if head is None or not head.version or case.feed not in self._app.feeds:
            raise NotVanished(f"{name}: there is no document of it, or its feed {case.feed} is not configured any more")
        trace = self._spool.trace(head.document_id)
        frame = self._spool.frame(head.document_id)
        if trace is None or frame is None:
            raise NotVanished(
                f"{name}: the bytes of its document are not here any more; let the platform declare {head.document_id} void"
            )
        content = open_frame(frame, trace.size, decompressor(self._app.dictionary(trace.dictionary)))
        feed = self._app.feeds[case.feed]
        record = feed.kind.reader(content)
        if feed.mapping.document:
            record = {**record, DOCUMENT: base64.b64encode(content).decode()}
        return case.feed, SourceRecord(key=case.key, record=record, source_hash=head.document_hash, void=True)

    def _must_be_feed(self, name: str) -> None:
        feeds = [feed.name for feed in self._app.config.feeds]
        if name not in feeds:
            raise ConfigurationError(unknown("feed", name, feeds))

"""What can be asked of an agent: by its CLI in the same process, or over the control socket of a running daemon.

Every operation takes plain values and answers plain values (text, numbers, lists, dictionaries); a long answer is an
iterator of rows. Nothing here prints, and nothing here knows who asks.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice
from typing import Any, Protocol

import msgspec

from frontend_agent import __version__, qclog
from frontend_agent.alarm_operations import AlarmOperations
from frontend_agent.app import RUNS_TOLD, App, Outcome, hl7_profiles
from frontend_agent.backfill_operations import BackfillOperations
from frontend_agent.backfilling import Backfilling
from frontend_agent.checks import mask
from frontend_agent.checks.masking import how_to_mask
from frontend_agent.closing import month_text
from frontend_agent.closing_operations import ClosingOperations
from frontend_agent.config import unknown
from frontend_agent.console_operations import ConsoleOperations, sessions_of
from frontend_agent.crossing.operations import GapOperations
from frontend_agent.delivery import Event, State
from frontend_agent.diagnose_operations import DiagnoseOperations
from frontend_agent.door import Door
from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.feeds import Feed
from frontend_agent.formats import FormatError, Kind, load_kind
from frontend_agent.guest_operations import GuestOperations
from frontend_agent.identity import document_id, set_id
from frontend_agent.image_backfill_operations import ImageBackfillOperations
from frontend_agent.image_operations import ImageOperations
from frontend_agent.inlet_operations import InletOperations
from frontend_agent.mending.groups import by_actor, what_waits
from frontend_agent.mending.previewing import previewed, set_of
from frontend_agent.mending.rehearsing import newest_keys, rehearse
from frontend_agent.mending.releasing import chosen, release, told_release
from frontend_agent.mending.tracing import element_of, rows_of, versions_of
from frontend_agent.model import Envelope, Record, SourceRecord
from frontend_agent.outlet_operations import OutletOperations, told_foreign
from frontend_agent.packs.shadow import NEWLY_HELD, NEWLY_PASSED, compared
from frontend_agent.proving import genuine_by
from frontend_agent.receiving import Receiving
from frontend_agent.reconciliation_operations import ReconciliationOperations, last_nights
from frontend_agent.spool import Case, Group, KeptBack, Run, Trace
from frontend_agent.telling import plain, told, told_case
from frontend_agent.terms.operations import TermOperations
from frontend_agent.turns import Turn
from frontend_agent.upgrade_operations import UpgradeOperations
from frontend_agent.vanished import VanishedOperations
from frontend_agent.visits import VISIT
from frontend_agent.wire.frames import decompressor, open_frame
from frontend_agent.withholding import Decision

PAGE = 1000
NEWEST = 1 << 62  # later than any entry of the log
LOG_LOOKED_AT = 50_000  # entries, for those of one event


class NotFound(FrontendAgentError):
    """There is nothing of that name or number."""


class Running(Protocol):
    """What operations want of the daemon around the app, where there is one."""

    started: datetime

    def next_runs(self) -> Mapping[str, str]: ...
    def run_now(self) -> list[Outcome]: ...
    def wake(self, feeds: Iterable[str] = (), /) -> None: ...
    def turn(self, source: str, /) -> Turn: ...

    @property
    def backfilling(self) -> Backfilling: ...

    @property
    def receiving(self) -> Receiving: ...

    @property
    def imaging(self) -> Any: ...


class Operations(
    TermOperations,
    ClosingOperations,
    ReconciliationOperations,
    BackfillOperations,
    ImageBackfillOperations,
    GuestOperations,
    VanishedOperations,
    InletOperations,
    OutletOperations,
    ImageOperations,
    AlarmOperations,
    ConsoleOperations,
    DiagnoseOperations,
    GapOperations,
    UpgradeOperations,
):
    """Each public method is a question that can be asked by its name."""

    _app: App

    def __init__(self, app: App, daemon: Running | None = None) -> None:
        self._app = app
        self._spool = app.spool
        self._daemon = daemon
        self._sessions = sessions_of(app.config.console)

    # --- how it goes --------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Feeds, destinations, quarantine, spool, and where the time goes."""
        app, spool = self._app, self._spool
        counts = spool.counts()
        next_runs = self._daemon.next_runs() if self._daemon else {}
        last = {run.feed: run for run in reversed(spool.runs(RUNS_TOLD))}
        pauses = {pause.name: pause for pause in spool.pauses()}
        silent = spool.silence.now()
        return {
            "version": __version__,
            "institution": app.config.institution.id,
            "institution_name": app.config.institution.name,
            "state": str(app.state),
            "daemon": {"pid": os.getpid(), "started": self._daemon.started.isoformat()} if self._daemon else None,
            "feeds": [
                {
                    "name": feed.name,
                    "source": feed.source,
                    "not_for": app.feeds[feed.name].not_for if feed.name in app.feeds else [],
                    "every_seconds": feed.every.total_seconds(),
                    "read_up_to": mark.cursor if (mark := spool.watermark(feed.name)) else None,
                    "counts": dict(counts.feeds.get(feed.name, {})),
                    "vanished": plain(stopped) if (stopped := spool.finding.stopped(feed.name)) else None,
                    "waiting_for_partner": counts.waiting.get(feed.name, 0),
                    "last_run": _last_run(last.get(feed.name), app.looked.get(feed.name)),
                    "next_run": next_runs.get(feed.name),
                    "silent_since": silent[feed.name].isoformat() if feed.name in silent else None,
                }
                for feed in app.config.feeds
            ],
            "upgrade": self.upgrades()["offer"],
            "destinations": [
                {
                    "name": name,
                    "url": options.url,
                    "waiting": spool.pending(name),
                    "states": dict(counts.deliveries.get(name, {})),
                    "skew": plain(app.skew(name)),
                    "foreign": told_foreign(spool, name, options, counts.deliveries.get(name, {}), app.clock()),
                    **({k: v for k, v in plain(pauses[name]).items() if k != "name"} if name in pauses else {}),
                }
                for name, options in app.config.destinations.items()
            ],
            "sources": self.source_list(),
            "inlets": self.inlet_list(),
            "accounts": {name: told for name in app.config.sources if (told := spool.account(name)) is not None},
            "quarantine": {"open": counts.held},
            "packs": app.which_packs(),
            "visits": {"with_findings": counts.visits_with_findings},
            "backfills": [self._told(job) for job in spool.backfills.running()],
            "closed_months": sorted(map(month_text, spool.closing.months), reverse=True),
            "calendar_missing": app.uncovered_years(),
            "reconciliation": last_nights(app),
            "withheld": {"open": counts.withheld, "alarms": counts.alarms},
            "images": self.images_status(),
            "gap": self.gap_status() if app.config.gap.role else None,
            "spool": {"documents": counts.documents, "bytes": counts.bytes_used, "quota": int(app.config.spool.quota)},
            "steps": plain(app.times.snapshot()),
        }

    def once(self) -> dict[str, Any]:
        """Every feed now, and all of it sent."""
        if self._daemon is None:
            raise FrontendAgentError("no daemon is running")
        return told_outcomes(self._app, self._daemon.run_now())

    # --- preview ------------------------------------------------------------------------------------------------------

    def preview(self, feed: str, key: str | None = None, newest: int = 0) -> dict[str, Any]:
        """What a row, or each of the newest, would become now: findings, document and its human-readable form.

        Keeps nothing, sends nothing.
        """
        compiled = self._feed(feed)
        keys = [key] if key is not None else newest_keys(self._app, compiled, newest)
        records = compiled.plan.normalise(self._app.rows_of(compiled, keys))
        if not records:
            raise NotFound(f"feed {feed}: the source has no row with key {key!r}" if key else f"feed {feed}: no rows")
        place = {name: number for number, name in enumerate(keys)}
        told_records = [
            self._previewed(compiled, one) for one in sorted(records, key=lambda one: place.get(one.key, 0))
        ]
        return {"feed": feed, "key": key, "records": told_records}

    def rehearse(
        self,
        feed: str,
        low: str,
        high: str,
        mapping: str | None = None,
        profile: str | None = None,
        pack: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """What a past period would come to now (or under another mapping, profile or pack), compared with what was sent.

        Reads the source by range and keys, keeps nothing, sends nothing. Rows of progress, then one with the `result`.
        """
        config = self._app.config.feed(feed)
        other = replace(config, mapping=mapping or config.mapping, profile=profile or config.profile)
        compiled = self._app.compiled(other, pack)
        return rehearse(self._app, compiled, datetime.fromisoformat(low), datetime.fromisoformat(high))

    def _messages(self, feed: Feed, record: Record, envelope: Envelope) -> list[dict[str, str]]:
        """The HL7 v2 messages of the same record, each with what its structure or the region's profile has against it."""
        from frontend_agent.formats import hl7v2  # costs a second, and few ask

        wanted = self._app.config.hl7
        settings = hl7v2.Settings(
            sending_application=wanted.sending_application,
            receiving_application=wanted.receiving_application,
            receiving_facility=wanted.receiving_facility,
            processing=wanted.processing,
            character_set=wanted.character_set,
        )
        try:
            made = hl7v2.build_all(feed.kind.code, record, envelope, settings)
        except FormatError as error:
            return [{"name": "", "message": "", "text": "", "problem": str(error)}]
        profiles = hl7_profiles(wanted.profiles)
        return [
            {
                "name": one.name,
                "message": one.message,
                "text": one.text(wanted.character_set),
                "problem": hl7v2.validate(one, profiles.get(one.structure), wanted.character_set),
            }
            for one in made
        ]

    def _withheld_by(self, feed: Feed, source: SourceRecord) -> Decision | None:
        plan = feed.plan
        if plan.withhold is None:
            return None
        today = self._app.clock().astimezone(plan.timezone).date()
        return plan.withhold(source.record, source.findings, today, source.unsaid)

    def _previewed(self, feed: Feed, source: SourceRecord) -> dict[str, Any]:
        named = set_of(feed, source.key)
        head = self._spool.series([named]).get(named)
        withheld = self._withheld_by(feed, source)
        answer, record, envelope = previewed(feed, source, head, self._app.clock(), withheld)
        return answer | {"messages": [] if answer["problem"] else self._messages(feed, record, envelope)}

    # --- quarantine ---------------------------------------------------------------------------------------------------

    def quarantine_list(self, feed: str | None = None, rule: str | None = None) -> Iterator[dict[str, Any]]:
        """Everything that waits for a person, the oldest first."""
        if feed is not None:
            self._feed_config(feed)
        found = (told_case(case) for case in self._cases(feed) if rule is None or _broke(case, rule))
        return found if feed is not None else chain(found, self.image_cases(rule))

    def _cases(self, feed: str | None) -> Iterator[Case]:
        after = 0
        stuck: set[str] = set()
        while True:
            page = self._spool.quarantine_list(feed, PAGE, after)
            records = [case for case in page if case.id.startswith("Q")]
            for case in page:
                if case.id not in stuck:
                    yield case
                if not case.id.startswith("Q"):
                    stuck.add(case.id)
            if len(records) < PAGE:
                return
            after = int(records[-1].id[1:])

    def quarantine_show(self, case: str) -> dict[str, Any]:
        """One case, its findings in words, and the record itself."""
        if case.startswith("I") and (image := self.image_case(case)) is not None:
            return image
        found = self._spool.quarantine_show(case)
        if found is None:
            raise NotFound(f"no case {case!r} waits in quarantine (frontend-agent quarantine list)")
        return {**told_case(found[0]), "record": found[1]}

    def quarantine_groups(
        self, feed: str | None = None, rule: str | None = None, actor: str | None = None
    ) -> dict[str, Any]:
        """What waits for a person by cause: one line for ten thousand failures alike, with an example and a mend."""
        if feed is not None:
            self._feed_config(feed)
        images = self.image_groups() if feed is None and rule is None and actor is None else []
        return {**what_waits(self._spool, feed, rule, actor), "images": images}

    def quarantine_actors(self, feed: str | None = None) -> list[dict[str, Any]]:
        """Who must act, on how much, since when."""
        if feed is not None:
            self._feed_config(feed)
        return by_actor(self._spool, feed)

    def quarantine_group(self, group: str) -> Iterator[dict[str, Any]]:
        """The cases of one group, the oldest first."""
        found = self._spool.group(group)
        if found is None:
            raise NotFound(f"no group {group!r} waits in quarantine (frontend-agent quarantine list)")
        return self._cases_of(found)

    def _cases_of(self, group: Group) -> Iterator[dict[str, Any]]:
        if group.destination:
            shown = (self._spool.quarantine_show(case) for case in self._spool.stuck_cases(group))
            yield from (told_case(case[0]) for case in shown if case is not None)
            return
        after = 0
        while page := self._spool.group_cases(group.id, PAGE, after):
            yield from map(told_case, page)
            after = int(page[-1].id[1:])

    def quarantine_release(
        self,
        ids: list[str],
        who: str,
        groups: list[str] | None = None,
        everything: bool = False,
        feed: str | None = None,
        rule: str | None = None,
        wait: bool = True,
        reason: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Judge them by the mapping, codes and rules of today: records are read again from their source, by key.

        What is of closed months stays as it is, unless `reason` says why it does not.

        Rows of progress, then one with the `result`. A mapping, code table or profile that changed since the start is
        compiled first; one that cannot be is the answer, and nothing is changed.
        """
        if feed is not None:
            self._feed_config(feed)
        images = [case for case in ids if case.startswith("I")]
        if images:
            self._must_exist(images)
            self.image_release(images, who)
            ids = [case for case in ids if not case.startswith("I")]
            if not (ids or groups or everything):
                return iter([{"images": len(images)}])
        causes, found, cases = chosen(self._app, ids, groups or (), everything, feed, rule)
        asked = [*ids, *(group.id for group in found)]
        return release(self._app, self._daemon, causes, cases, asked, who, wait, reason)

    def quarantine_releases(self, limit: int = 20) -> list[dict[str, Any]]:
        """Who let what go, the newest first."""
        return [plain(one) for one in self._spool.releases(limit)]

    def quarantine_released(self, release: int) -> dict[str, Any]:
        """What became of one release's records."""
        return told_release(self._app, release)

    def quarantine_discard(self, ids: list[str], who: str, reason: str) -> dict[str, Any]:
        """This content is known and not wanted."""
        self._must_exist(ids)
        images = [case for case in ids if case.startswith("I")]
        count = self.image_discard(images, who, reason)
        others = [case for case in ids if not case.startswith("I")]
        if others:
            count += self._spool.quarantine_discard(others, who, reason, self._app.clock())
        return {"discarded": count}

    def _must_exist(self, ids: list[str]) -> None:
        for case in ids:
            known = self.image_case(case) if case.startswith("I") else self._spool.quarantine_show(case)
            if known is None:
                raise NotFound(f"no case {case!r} waits in quarantine; nothing was changed")

    # --- withheld by rule ---------------------------------------------------------------------------------------------

    def withheld_list(
        self, feed: str | None = None, rule: str | None = None, everything: bool = False
    ) -> Iterator[dict[str, Any]]:
        """What is kept back by rule, and by whose decision; `everything`: what once was, too."""
        if feed is not None:
            self._feed_config(feed)
        return (told_kept_back(kept) for kept in self._spool.withheld_list(feed, rule, everything))

    def withheld_acknowledge(self, ids: list[str], who: str, reason: str) -> dict[str, Any]:
        """A person has told the region that it keeps what is withheld now."""
        return {"acknowledged": self._spool.withheld_acknowledge(ids, who, reason, self._app.clock())}

    # --- a pack in shadow -----------------------------------------------------------------------------------------------

    def shadow_report(self, over: str = "taken", limit: int = PAGE) -> dict[str, Any]:
        """What the pack in shadow would do otherwise: to what was taken in, to what is held, to the newest documents."""
        packs = self._app.which_packs()
        if not packs["shadow"]:
            raise NotFound("no pack is in shadow (frontend-agent rules pack shadow NAME, then start again)")
        if over == "taken":
            rows = self._spool.shadowed(packs["shadow"])
        else:
            found: dict[tuple[str, str, str, str, str], list[Any]] = {}
            for feed, key, verdicts in self._shadow_of_held(limit) if over == "held" else self._shadow_of_recent(limit):
                for verdict, rule, field in verdicts:
                    known = found.setdefault((feed.config.name, feed.kind.code, verdict, rule, field), [0, key])
                    known[0] += 1
            rows = [(*place, n, example) for place, (n, example) in found.items()]
        return told_shadow(packs, over, rows)

    def _shadow_of_held(self, limit: int) -> Iterator[tuple[Feed, str, list[tuple[str, str, str]]]]:
        for case in islice((one for one in self._cases(None) if one.id.startswith("Q")), limit):
            feed, shown = self._app.feeds.get(case.feed), self._spool.quarantine_show(case.id)
            if feed is None or feed.plan.shadow is None or shown is None:
                continue
            said = [one for one in case.findings if one.rule.startswith(("MAP", "CDA-"))]  # what no check says again
            source = SourceRecord(case.key, shown[1], case.source_hash, findings=said)
            yield feed, case.key, list(compared(case.findings, feed.plan.shadow(source)))

    def _shadow_of_recent(self, limit: int) -> Iterator[tuple[Feed, str, list[tuple[str, str, str]]]]:
        """Read back from their own bytes, and judged by both: what is not in a document (facts) neither of them knows."""
        for document, name, key, size, dictionary in self._spool.recent(limit):
            feed, frame = self._app.feeds.get(name), self._spool.frame(document)
            if feed is None or feed.plan.shadow is None or frame is None:
                continue
            content = open_frame(frame, size, decompressor(self._app.dictionary(dictionary)))
            try:
                record = feed.kind.reader(content)
            except FormatError:
                continue  # of an older template, or another edition
            findings = feed.plan.check(record, {}, ())
            yield feed, key, list(compared(findings, feed.plan.shadow(SourceRecord(key, record, ""))))

    # --- visits -------------------------------------------------------------------------------------------------------

    def visits(self, only: str = "") -> Iterator[dict[str, Any]]:
        """Visits with what the rules said of them: all, only the `open` ones, or those with `findings`."""
        page = self._spool.visits(0, PAGE, only)
        while page:
            for _, visit in page:
                yield {**plain(visit), "findings": [told(finding) for finding in visit.findings]}
            page = self._spool.visits(page[-1][0], PAGE, only)

    def visits_rebuild(self, who: str) -> dict[str, Any]:
        """Forget the visits, and have them told anew by the sources."""
        self._app.rebuild_visits(who)
        feeds = list(self._app.feeds)
        if self._daemon is not None:
            self._daemon.wake(feeds)
            return {"feeds": feeds, "read": False}
        for name in feeds:
            outcome = self._app.run_feed(name, threading.Event())
            if outcome.error is not None:
                raise FrontendAgentError(
                    f"visits are told anew with the next run of {name}, because now: {outcome.error}"
                )
        self._app.judge_visits()
        return {"feeds": feeds, "read": True}

    # --- proofs -------------------------------------------------------------------------------------------------------

    def qc_log(self, limit: int = 20, before: int = NEWEST, event: str = "") -> Iterator[dict[str, Any]]:
        """The newest entries before that number, oldest of them first; only those of one event, if it is named."""
        found: list[dict[str, Any]] = []
        looked = 0
        while len(found) < limit and looked < LOG_LOOKED_AT:
            page = self._spool.log_newest(min(limit, PAGE) if not event else PAGE, before)
            if not page:
                break
            looked += len(page)
            before = min(entry.seq for entry in page)
            bodies = ({"hash": entry.hash, **msgspec.json.decode(entry.body)} for entry in page)
            found += [body for body in bodies if not event or body.get("event") == event]
        yield from sorted(found[:limit], key=lambda body: body["seq"])

    def qc_export(self) -> Iterator[str]:
        """The whole log, line by line, as an auditor takes it away."""
        return (line.decode() for line in self._spool.export_log())

    def qc_verify(self) -> dict[str, Any]:
        """Is the chain whole, and up to where did the platform countersign it?"""
        return told_verdict(self._spool.verify_log(genuine_by(self._keys())))

    def public_keys(self) -> list[str]:
        """The platforms' keys that were pinned at the first hello, in hexadecimal."""
        return [key.hex() for key in self._keys()]

    def _keys(self) -> list[bytes]:
        return self._app.platform_keys()

    def trace(self, document: str, key: str | None = None) -> dict[str, Any]:
        """One document, from its source rows to its receipts. `document` may be a set's id (its newest version), or with
        `key` a kind: the newest document of that key."""
        if key is None and (image := self.image_trace(document)) is not None:
            return {"images": image}
        return self._told_trace(self._found_document(document, key))

    def trace_element(self, document: str, element: str, key: str | None = None, show: bool = False) -> dict[str, Any]:
        """One element of one document: value, column, query, conversion, code map entry, findings."""
        trace = self._found_document(document, key)
        frame = self._spool.frame(trace.document_id)
        content = None
        if frame is not None:
            content = open_frame(frame, trace.size, decompressor(self._app.dictionary(trace.dictionary)))
        return element_of(self._app, trace, content, element, show)

    def _found_document(self, document: str, key: str | None) -> Trace:
        """By its own id, its set's, or kind and key."""
        if key is not None:
            feeds = [feed for feed in self._app.feeds.values() if document in (feed.kind.code, feed.config.name)]
            if not feeds:
                kinds = sorted({feed.kind.code for feed in self._app.feeds.values()})
                raise ConfigurationError(unknown("kind", document, kinds))
            sets = [named for feed in feeds for named in self._sets_of(feed, key)]
        else:
            sets = [document]
        heads = self._spool.series(sets)
        made = next((head for name in sets if (head := heads.get(name)) and head.version), None)
        found: Trace | None = self._spool.trace(document_id(made.set_id, made.version) if made else document)
        if found is None:
            why = self._why_not(sets[0]) if sets[0] in heads else ""
            named = f"key {key!r} of {document}" if key is not None else f"{document!r}"
            raise NotFound(f"no document {named} was made here{why}")
        return found

    @staticmethod
    def _sets_of(feed: Feed, key: str) -> list[str]:
        return [set_of(feed, key), *(edition.set_of(key) for edition in feed.plan.editions)]

    def trace_key(self, feed: str, key: str) -> dict[str, Any]:
        """The newest document of a source row."""
        plan = self._feed(feed).plan
        named = set_id(plan.institution, plan.epoch, plan.kind, key)
        sets = [named, *(edition.set_of(key) for edition in plan.editions)]
        heads = self._spool.series(sets)
        made = next((head for name in sets if (head := heads.get(name)) and head.version), None)
        if made is None:
            why = self._why_not(named) if named in heads else ""
            raise NotFound(f"feed {feed}: no document was made of key {key!r}{why}")
        return self.trace(document_id(made.set_id, made.version))

    def _why_not(self, named: str) -> str:
        kept = [one for one in self._spool.withheld_of(named) if one.state == "open"]
        if kept:
            one = kept[-1]
            return f"; it is withheld by rule {one.rule!r} ({one.id}), decided by {one.decided_by}: {one.reason}"
        return "; its record is held in quarantine"

    def _told_trace(self, trace: Trace) -> dict[str, Any]:
        told_trace = plain(trace)
        told_trace["findings"] = [told(finding) for finding in trace.findings]
        told_trace["versions"] = versions_of(self._app, trace)
        told_trace["rows"] = rows_of(self._app, trace)
        told_trace["messages"] = [plain(one) for one in self._spool.inbox.messages_of(trace.feed, trace.key)]
        for delivery in told_trace["deliveries"]:
            delivery["reply_body"] = None if not delivery["reply_body"] else delivery["reply_body"]
        return dict(told_trace)

    def document(self, document: str) -> str:
        """The document's own bytes, while they are kept here."""
        trace = self._spool.trace(document)
        if trace is None:
            raise NotFound(f"no document {document!r} was made here")
        frame = self._spool.frame(document)
        if frame is None:
            raise NotFound(f"{document}: its bytes are no longer kept here; the platform has them")
        return open_frame(frame, trace.size, decompressor(self._app.dictionary(trace.dictionary))).decode()

    def receipts(self, destination: str | None = None, after: int = 0, limit: int = PAGE) -> Iterator[dict[str, Any]]:
        """What destinations answered."""
        if destination is not None and destination not in self._app.config.destinations:
            raise ConfigurationError(unknown("destination", destination, self._app.config.destinations))
        return (plain(receipt) for receipt in self._spool.receipts(destination, after, limit))

    def rule_counts(self) -> Iterator[dict[str, Any]]:
        """How often each rule spoke, per feed and field."""
        for feed, rule, severity, field, count in self._spool.rules():
            yield {"feed": feed, "rule": rule, "severity": severity, "field": field, "count": count}

    # --- people -------------------------------------------------------------------------------------------------------

    def people_list(self) -> list[dict[str, Any]]:
        """Who the three administrators are, and by which account each is known."""
        return [plain(one) for one in self._app.config.people.persons]

    # --- reports ------------------------------------------------------------------------------------------------------

    def report_about(self) -> dict[str, Any]:
        """What a report says of itself besides the figures."""
        seq, digest = self._spool.log_head()
        hospital = self._app.config.institution
        since = self._spool.statistics.since()
        return {
            "institution": f"{hospital.name} ({hospital.id})",
            "timezone": hospital.timezone,
            "since": since.isoformat() if since else "",
            "log": f"{seq} {digest}",
            "version": __version__,
        }

    def report_figures(self, first: int, last: int) -> Iterator[dict[str, Any]]:
        """The statistics of some days (yyyymmdd), table by table, a page at a time."""
        kept = self._spool.statistics
        for table in ("outcomes", "findings", "fill", "delays", "deliveries", "missed"):
            rows = getattr(kept, table)(first, last)
            for start in range(0, len(rows), PAGE):
                yield {"table": table, "rows": rows[start : start + PAGE]}

    def report_details(self, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        """Everything with findings, a page at a time: (day, id, state, kind, department, findings as JSON)."""
        for page in self._spool.statistics.documents(first, last):
            yield [
                (day, document, "void" if void else "document", kind, department, findings)
                for day, document, kind, department, void, findings in page
                if findings
            ]
        for page in self._spool.statistics.held(first, last):
            yield [(day, case, state, *rest) for day, case, _, state, *rest in page]
        for page in self._spool.statistics.visits(first, last):
            yield [(day, name, VISIT, VISIT, "", findings) for day, name, findings in page]

    def report_documents(self, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        """The documents of some days, a page at a time: (day, document, kind, department, void)."""
        for page in self._spool.statistics.documents(first, last):
            yield [row[:5] for row in page]

    def report_sample(self, document: str, whole: bool = False) -> dict[str, Any]:
        """One document for an auditor: where it stands and what it says, its values masked unless they are to be whole."""
        trace = self._spool.trace(document)
        if trace is None:
            raise NotFound(f"no document {document!r} was made here")
        day, department = self._spool.statistics.where(document)
        proven = [
            f"{one.destination} {one.settled_at:%Y-%m-%d %H:%M:%S}Z"
            + (f" {one.outcome}" if one.outcome == Event.CONFIRMED else "")  # no signature proves it (law 5)
            for one in trace.deliveries
            if one.settled_at and one.state is State.DELIVERED
        ]
        told_sample: dict[str, Any] = {
            "document_id": document,
            "kind": trace.kind,
            "department": department,
            "day": day,
            "sha256": trace.sha256,
            "delivered": "; ".join(proven),
            "problem": "",
            "values": [],
        }
        try:
            kind = load_kind(trace.kind)
            told_sample["values"] = sampled(kind, kind.reader(self.document(document).encode()), whole)
        except (FrontendAgentError, FormatError, KeyError) as error:
            told_sample["problem"] = str(error) if isinstance(error, FrontendAgentError) else type(error).__name__
        return told_sample

    def report_consent(self, documents: list[str], who: str, consent: str) -> int:
        """Somebody is about to see these documents whole: said in the quality log first. The entry's number."""
        entry: int = self._spool.record_showing(documents, who, consent, self._app.clock())
        return entry

    # --- names --------------------------------------------------------------------------------------------------------

    def _feed_config(self, name: str) -> None:
        self._app.config.feed(name)

    def _feed(self, name: str) -> Feed:
        self._feed_config(name)
        return self._app.feeds[name]


def sampled(kind: Kind, record: Record, whole: bool) -> list[tuple[str, str, str, str, str]]:
    """What a document says, value by value: (section, label, field, data element, value)."""
    found = []
    for field in kind.fields:
        rows = record.get(field.group, ()) if field.group else (record,)
        for number, row in enumerate(rows):
            value = row.get(field.key)
            if isinstance(value, str):
                how = how_to_mask(field.name, field.format, bool(field.value_set))
                name = f"{field.group}[{number}].{field.key}" if field.group else field.name
                shown_value = value if whole else mask(value, how)
                found.append((field.section_code, field.name_zh, name, field.de, shown_value))
    return found


def operations(app: App, daemon: Running | None = None) -> dict[str, Any]:
    """The questions by their names."""
    return _questions(Operations(app, daemon))


def _questions(asked: Operations) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in dir(Operations) if not name.startswith("_")}


def door(app: App, daemon: Running | None = None) -> Door:
    """Where people ask: each as who he is, and what he does is said in the log first."""
    asked = Operations(app, daemon)
    return Door(_questions(asked), app.config.people, app.spool.record_act, app.clock, asked._person_in)


# -- In plain values --------------------------------------------------------------------------------------------------


def told_shadow(packs: Mapping[str, str], over: str, rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """The report: totals, and the reasons of what changes, the commonest first."""
    totals: Counter[str] = Counter()
    reasons = []
    for feed, kind, verdict, rule, field, n, example, *_ in rows:
        if rule:
            reasons.append(
                {
                    "feed": feed,
                    "kind": kind,
                    "verdict": verdict,
                    "rule": rule,
                    "field": field,
                    "n": n,
                    "example": example,
                }
            )
        else:
            totals[verdict] += n
    return {
        "active": packs["active"],
        "pack": packs["shadow"],
        "over": over,
        "judged": sum(totals.values()),
        "newly_held": totals[NEWLY_HELD],
        "newly_passed": totals[NEWLY_PASSED],
        "reasons": sorted(reasons, key=lambda one: -one["n"]),
    }


def told_kept_back(kept: KeptBack) -> dict[str, Any]:
    return {**plain(kept), "alarm": kept.is_alarm}


def told_outcomes(app: App, outcomes: list[Outcome]) -> dict[str, Any]:
    """How a run of all feeds ended."""
    return {
        "feeds": [
            {
                "feed": outcome.feed,
                "counts": outcome.counts,
                "seconds": outcome.seconds,
                "problem": str(outcome.error) if outcome.error else "",
                "exit_code": outcome.error.exit_code if outcome.error else 0,
            }
            for outcome in outcomes
        ],
        "destinations": [
            {"name": pause.name, "waiting": app.waiting(pause.name), "problem": pause.problem if pause.failures else ""}
            for pause in app.spool.pauses()
            if pause.name in app.config.destinations
        ],
        "steps": plain(app.times.snapshot()),
    }


def told_verdict(verdict: qclog.Verdict) -> dict[str, Any]:
    return {**plain(verdict), "ok": verdict.ok}


def _broke(case: Case, rule: str) -> bool:
    return any(finding.rule == rule for finding in case.findings)


def _last_run(run: Run | None, looked: datetime | None) -> dict[str, Any] | None:
    """The newest run that came to something, with the time at which the feed was last asked for, where that is known."""
    newest = run or (Run("", looked, looked, {}) if looked else None)
    if newest is None:
        return None
    return dict(plain(msgspec.structs.replace(newest, ended_at=looked or newest.ended_at)))

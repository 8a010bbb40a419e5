"""What can be asked about terminology, of a running daemon or of the state: see `operations.py`, which this is a part of.

The worklist with its proposals, the maps as they are in use, and the decisions: each is checked against the value set and
the traps of the tables before it is kept, and what was held for it is read again at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from frontend_agent.checks import describe
from frontend_agent.codes import CodeTable, with_approved
from frontend_agent.config import unknown
from frontend_agent.errors import FrontendAgentError
from frontend_agent.formats.value_sets import ValueSet, named, value_set
from frontend_agent.mapping import FACT_VALUE_SETS
from frontend_agent.model import Finding, Severity
from frontend_agent.spool import Decision, Released, Standing, UnmappedCode
from frontend_agent.terms.catalogues import judged_by
from frontend_agent.terms.loading import load_catalogues
from frontend_agent.terms.said import Said, said
from frontend_agent.terms.traps import doubts, local_name

if TYPE_CHECKING:
    from frontend_agent.terms.proposals import Candidates, Proposal, Usage

PROPOSALS = 3
LONGEST_LIST = 5_000  # targets to choose from; a longer table is searched, not listed


class NotDecided(FrontendAgentError):
    """A decision about a local code that cannot be kept as it is. Nothing was changed."""


class CodeMap(NamedTuple):
    """One map as it is in use: with what was approved, and who uses it."""

    table: CodeTable
    known: ValueSet
    feeds: tuple[str, ...]
    fields: tuple[str, ...]


class TermOperations:
    """Each public method is a question that can be asked by its name."""

    _app: Any
    _spool: Any
    _daemon: Any

    # --- looking ------------------------------------------------------------------------------------------------------

    def terms_unmapped(self, everything: bool = False, proposals: int = PROPOSALS) -> Iterator[dict[str, Any]]:
        """The worklist: local codes that no map has, the most frequent first, each with what it may mean.

        `everything`: those that somebody rejected as well.
        """
        from frontend_agent.terms.proposals import usage_of  # the pinyin of all characters takes 55 MB, and few ask

        maps = self._maps()
        usage = usage_of([(one.known.oid, one.table) for one in maps.values()])
        ready: dict[str, Candidates] = {}
        for waiting in self._spool.terms.unmapped():
            code_map = maps.get(waiting.table)
            if (code_map and waiting.code in code_map.table.codes) or (waiting.rejected_by and not everything):
                continue  # a person mended the file since, or said that it has no code
            yield _told_waiting(waiting, _proposed(waiting, code_map, ready, usage, proposals))

    def terms_beyond(self) -> int:
        """How often a code was met that the worklist had no room for."""
        return int(self._spool.terms.beyond())

    def terms_list(self) -> Iterator[dict[str, Any]]:
        """The code maps in use."""
        waiting = [one.table for one in self._spool.terms.unmapped() if not one.rejected_by]
        standing: Mapping[tuple[str, str], Standing] = self._spool.terms.standing()
        for name, one in sorted(self._maps().items()):
            yield {
                **_told_map(name, one),
                "codes": len(one.table.codes),
                "approved": len(one.table.approved),
                "rejected": sum(table == name and s.state == "rejected" for (table, _), s in standing.items()),
                "unmapped": waiting.count(name),
                "doubts": len(doubts(one.table, one.known, self._today())),
            }

    def terms_show(self, table: str) -> dict[str, Any]:
        """One map, code by code: its target, and who decided where somebody did."""
        one = self._map(table)
        standing: Mapping[tuple[str, str], Standing] = self._spool.terms.standing()
        rows = [
            {
                **_told_standing(standing.get((table, code))),
                "code": code,
                "name": local_name(one.table, code),
                "target": target,
                "target_name": one.known.name(target),
                "approved": code in one.table.approved,
                "decided": one.table.decided.get(code) or one.table.decided.get("*", ""),
            }
            for code, target in one.table.codes.items()
        ]
        return {
            **_told_map(table, one),
            "rows": rows,
            "doubts": _told_doubts(doubts(one.table, one.known, self._today())),
        }

    def terms_targets(self, table: str) -> list[list[str]]:
        """What a local code of that map may be mapped to: (code, name) pairs; none where the value set is not known
        whole, or too long to be looked through.
        """
        known = self._map(table).known
        if not known.complete or len(known) > LONGEST_LIST:
            return []
        return [[entry.code, entry.name] for entry in known if entry.in_force(self._today())]

    def terms_history(self, table: str | None = None, code: str | None = None) -> Iterator[dict[str, Any]]:
        """Who decided what, and when; the newest first."""
        return (msgspec.to_builtins(one) for one in self._spool.terms.history(table, code))

    # --- deciding -----------------------------------------------------------------------------------------------------

    def terms_decide(self, decisions: list[dict[str, str]], who: str, even_so: bool = False) -> dict[str, Any]:
        """Many at once, all or none. Every problem is told."""
        wanted = [msgspec.convert(one, Decision) for one in decisions]
        problems = self.terms_problems(decisions, who, even_so)
        if problems:
            raise NotDecided("\n".join(problem["text"]["en"] for problem in problems))
        released: Released = self._spool.terms.decide(wanted, who, self._now())
        self._app.learn_approvals()
        approved = sum(bool(one.target) for one in wanted)
        return {"approved": approved, "rejected": len(wanted) - approved, **self._rebuilt(released)}

    def terms_problems(
        self, decisions: list[dict[str, str]], who: str, even_so: bool = False, listed: bool = False
    ) -> list[dict[str, Any]]:
        """What keeps these decisions from being taken: number of the decision, the column it is about and a sentence, all at
        once. `listed`: only of codes that we know (a spreadsheet makes a number of 01).
        """
        maps = self._maps()
        names = {(one.table, one.code): one.name for one in self._spool.terms.unmapped()}
        standing = self._spool.terms.standing()
        found: list[dict[str, Any]] = []
        seen: dict[tuple[str, str], str] = {}
        for number, given in enumerate(decisions):
            one = msgspec.convert(given, Decision)
            key = one.table, one.code
            wrong = list(_problems(one, maps, names.get(key, ""), even_so, self._today()))
            if not (one.who or who).strip():
                wrong.append(("by", said("nobody")))
            if not one.reason.strip():
                wrong.append(("reason", said("no_reason")))
            if seen.setdefault(key, one.target) != one.target:
                wrong.append(("target", said("twice")))
            known = key in names or key in standing or one.table not in maps or one.code in maps[one.table].table.codes
            if listed and not known:
                wrong.append(("code", said("unlisted")))
            found += [{"number": number, "column": column, "text": _about(one, sentence)} for column, sentence in wrong]
        return found

    def terms_undo(self, table: str, code: str, who: str, reason: str) -> dict[str, Any]:
        """Take the last decision about a code back. Documents that were made with it stay as they are."""
        undone = self._spool.terms.undo(table, code, who, reason, self._now())
        self._app.learn_approvals()
        return {"undone": msgspec.to_builtins(undone)}

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _rebuilt(self, released: Released) -> dict[str, Any]:
        """Have what was held for the codes read again: by the daemon in its next run, or here and now."""
        told: dict[str, Any] = {"read_again": released.cases, "documents": None, "held": None}
        feeds = [feed for feed in released.feeds if feed in self._app.feeds]
        if self._daemon is not None:
            self._daemon.wake(feeds)
            return told
        outcomes = [self._app.read_again(feed) for feed in feeds]
        for outcome in outcomes:
            if outcome.error is not None:
                raise FrontendAgentError(
                    f"decided; what was held is read with the next run, because now: {outcome.error}"
                )
        for word in ("documents", "held"):
            told[word] = sum(outcome.counts.get(word, 0) for outcome in outcomes)
        return told

    def _maps(self) -> dict[str, CodeMap]:
        overlay = self._app.approvals.overlay()
        found: dict[str, CodeMap] = {}
        for feed in self._app.feeds.values():
            wanted = {field.name: field.value_set for field in feed.kind.fields}
            shelves = load_catalogues(self._app.config.catalogues).in_kind(feed.kind)
            for field, table in with_approved(feed.mapping.codes, overlay).items():
                before = found.get(table.id)
                if before is None:
                    oid = wanted.get(field) or FACT_VALUE_SETS.get(field, "") or table.value_set
                    with feed.content.compiling():  # the tables of the pack in force
                        known = judged_by(field, value_set(oid), shelves)
                    found[table.id] = CodeMap(table, known, (feed.config.name,), (field,))
                else:
                    found[table.id] = before._replace(
                        feeds=_with(before.feeds, feed.config.name), fields=_with(before.fields, field)
                    )
        return found

    def _map(self, table: str) -> CodeMap:
        maps = self._maps()
        if table not in maps:
            raise NotDecided(unknown("code map", table, maps))
        return maps[table]

    def _now(self) -> datetime:
        now: datetime = self._app.clock()
        return now

    def _today(self) -> str:
        return f"{self._now():%Y%m%d}"


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)


def _about(one: Decision, sentence: Said) -> Said:
    return {language: f"{one.table} '{one.code}': {text}" for language, text in sentence.items()}


def _problems(
    one: Decision, maps: Mapping[str, CodeMap], name: str, even_so: bool, today: str
) -> Iterator[tuple[str, Said]]:
    code_map = maps.get(one.table)
    if code_map is None:
        yield "table", said("unknown_table", one.table, ", ".join(sorted(maps)))
        return
    if not one.code:
        yield "code", said("empty_code")
    table, known = code_map.table, code_map.known
    if not one.target:
        return
    if table.codes.get(one.code) == one.target:
        yield "target", said("mapped", one.target)
    if known.complete and one.target not in known:
        near = next((entry.code for entry in known if entry.code.lstrip("0") == one.target.lstrip("0")), "")
        title = known.name_zh or known.oid
        yield "target", said("foreign_near", one.target, title, near) if near else said("foreign", one.target, title)
        return
    for doubt in _doubts_about(one, table, known, name, today):
        if doubt.severity is Severity.HOLD and not even_so:
            yield "target", {"zh": describe(doubt, "zh"), "en": describe(doubt, "en")}


def _doubts_about(one: Decision, table: CodeTable, known: ValueSet, name: str, today: str) -> list[Finding]:
    alone = msgspec.structs.replace(
        table,
        codes={one.code: one.target},
        names={one.code: name or table.names.get(one.code, "")},
        decided={one.code: one.reason},
        approved=frozenset(),
    )
    return doubts(alone, known, today)


def _proposed(
    waiting: UnmappedCode, code_map: CodeMap | None, ready: dict[str, "Candidates"], usage: "Usage", limit: int
) -> list["Proposal"]:
    from frontend_agent.terms.proposals import Candidates

    known = code_map.known if code_map else value_set(waiting.value_set)
    if known.oid not in ready:
        ready[known.oid] = Candidates(known.oid, [(entry.code, entry.name) for entry in known])
    return ready[known.oid].propose(waiting.code, waiting.name, usage, limit)


def _told_waiting(waiting: UnmappedCode, proposals: Sequence["Proposal"]) -> dict[str, Any]:
    told = msgspec.to_builtins(waiting)
    name = value_set(waiting.value_set).name_zh or named(waiting.value_set).name_zh
    return {**told, "value_set_name": name, "proposals": msgspec.to_builtins(list(proposals))}


def _told_standing(standing: Standing | None) -> dict[str, str]:
    if standing is None:
        return {"by": "", "at": "", "reason": ""}
    return {"by": standing.who, "at": standing.at.isoformat(timespec="seconds"), "reason": standing.reason}


def _told_map(name: str, one: CodeMap) -> dict[str, Any]:
    known = one.known
    return {
        "table": name,
        "title": one.table.title,
        "path": one.table.path,
        "value_set": known.oid,
        "value_set_name": known.name_zh or named(known.oid).name_zh,
        "version": known.version,
        "confidence": known.confidence,
        "complete": known.complete,
        "feeds": list(one.feeds),
        "fields": list(one.fields),
    }


def _told_doubts(found: Iterable[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "rule": one.rule,
            "severity": one.severity.value,
            "code": one.value,
            "text": {"zh": describe(one, "zh"), "en": describe(one, "en")},
        }
        for one in found
    ]

"""What somebody should look at now, out of what the status says. Pure: one fact, one line, the gravest first."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

STUCK = ("refused", "blocked", "damaged")
RESTS = ("paused", "protected", "slow")  # why a source is left alone: each has its own sentence
NEARLY_FULL = 0.8  # of the quota


class Line(NamedTuple):
    """One thing that is not as it should be: how grave, a key of the texts with its figures, since when, where to go."""

    level: str  # bad, warn
    key: str
    values: dict[str, Any]
    since: str = ""
    link: str = ""


def attention(status: Mapping[str, Any]) -> list[Line]:
    """Bad before warnings, each in the order of the pipe."""
    found = [*_sources(status), *_feeds(status), *_destinations(status), *_images(status), *_rest(status)]
    return sorted(found, key=lambda line: line.level != "bad")


def _sources(status: Mapping[str, Any]) -> Iterator[Line]:
    for source in status["sources"]:
        if gone := source["unreachable"]:
            yield Line(
                "bad", "a.unreachable", {"name": source["name"], "problem": gone["problem"]}, gone["since"], "/sources"
            )
        elif source["state"] != "open":
            key = f"a.rest.{source['state']}" if source["state"] in RESTS else "a.rest"
            values = {"name": source["name"], "reason": source["reason"] or source["state"]}
            yield Line("warn", key, values, "", "/sources")
    for name, account in status["accounts"].items():
        if account["writes"]:
            waived = account["waiver"] and account["waiver"]["holds"]
            yield Line("warn" if waived else "bad", "a.writes", {"name": name}, "", "/sources")
    for inlet in status["inlets"]:
        if not inlet["running"]:
            yield Line("bad", "a.inlet", {"name": inlet["name"], "problem": inlet.get("problem", "")}, "", "/sources")


def _feeds(status: Mapping[str, Any]) -> Iterator[Line]:
    gone = {source["name"] for source in status["sources"] if source["unreachable"] or source["state"] != "open"}
    for feed in status["feeds"]:
        if feed["vanished"]:
            yield Line("bad", "a.vanished", {"name": feed["name"]}, "", "")
        elif feed["last_run"] and feed["last_run"]["problem"] and feed["source"] not in gone:
            values = {"name": feed["name"], "problem": feed["last_run"]["problem"]}
            yield Line("bad", "a.feed", values, feed["last_run"]["ended_at"], "")
        if feed["silent_since"]:
            yield Line("warn", "a.silent", {"name": feed["name"]}, feed["silent_since"], "")


def _destinations(status: Mapping[str, Any]) -> Iterator[Line]:
    for one in status["destinations"]:
        if one.get("problem"):
            yield Line("bad", "a.destination", {"name": one["name"], "problem": one["problem"], "n": one["waiting"]}, one["since"] or "")  # fmt: skip
        if stuck := sum(one["states"].get(state, 0) for state in STUCK):
            yield Line("warn", "a.stuck", {"name": one["name"], "n": stuck}, "", "/quarantine")
        if one["skew"]:
            yield Line("warn", "a.skew", {"name": one["name"], "n": len(one["skew"])}, "", "/trust")


def _images(status: Mapping[str, Any]) -> Iterator[Line]:
    images = status["images"]
    if not images:
        return
    for one in (*images["destinations"], *images["inlets"]):
        if one.get("problem"):
            yield Line("bad", "a.images", {"name": one["name"], "problem": one["problem"]}, "", "/images")
    if held := images["studies"].get("held", 0):
        yield Line("warn", "a.studies_held", {"n": held}, "", "/quarantine")


def _rest(status: Mapping[str, Any]) -> Iterator[Line]:
    spool = status["spool"]
    if spool["bytes"] > NEARLY_FULL * spool["quota"]:
        yield Line("bad", "a.full", {"part": f"{spool['bytes'] / spool['quota']:.0%}"})
    if status["packs"]["expired"]:
        yield Line("warn", "a.pack", {"until": status["packs"]["expired"]}, "", "/trust")
    if (upgrade := status["upgrade"]) and upgrade["size"] and upgrade["actor"] in ("hospital", "platform"):
        yield Line("warn", f"a.upgrade_{upgrade['state']}", {"version": upgrade["version"]}, upgrade["since"], "/trust")
    for night in status["reconciliation"]:
        if night["alarm"]:
            yield Line("warn", "a.night", {"name": night["feed"], "missed": night["missed"], "differing": night["differing"]}, night["ended_at"])  # fmt: skip
    if alarms := status["withheld"]["alarms"]:
        yield Line("warn", "a.withheld", {"n": alarms})
    if years := status["calendar_missing"]:
        yield Line("warn", "a.calendar", {"years": ", ".join(map(str, years))})

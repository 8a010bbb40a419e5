"""What waits for a person, by cause, and by who must act."""

from collections.abc import Iterable
from typing import Any

from frontend_agent.signatures.words import of_receipt
from frontend_agent.spool import Spool
from frontend_agent.telling import LANGUAGES, told_group


def what_waits(spool: Spool, feed: str | None, rule: str | None, actor: str | None) -> dict[str, Any]:
    """Every cause with an example and a mend, the most frequent first; and how many records and documents it all is.

    A record with several findings stands in each of their groups, and counts once in `records`.
    """
    causes = [told_group(group) for group in spool.groups(feed, rule)]
    refused = [told_group(group) for group in spool.stuck_groups(feed)] if rule is None else []
    if actor is not None:
        causes, refused = _of(causes, actor), _of(refused, actor)
    everything = feed is None and rule is None and actor is None
    return {
        "records": spool.counts().held if everything else spool.group_records(group["id"] for group in causes),
        "documents": sum(group["count"] for group in refused),
        "groups": sorted([*causes, *refused], key=lambda group: -group["count"]),
    }


def by_actor(spool: Spool, feed: str | None) -> list[dict[str, Any]]:
    """Who has how much to do: departments by the records that wait for them, each with its most frequent cause."""
    groups = what_waits(spool, feed, None, None)["groups"]
    told: list[dict[str, Any]] = []
    for actor in dict.fromkeys(group["actor"] for group in groups):
        own = _of(groups, actor)
        records = spool.group_records(group["id"] for group in own)
        told.append(
            {
                "actor": actor,
                "who": own[0]["who"],
                "groups": len(own),
                "records": records,
                "documents": sum(group["count"] for group in own if group.get("destination")),
                "since": min(group["since"] for group in own),
                "most": {"group": own[0]["id"], "text": _headline(own[0])},
            }
        )
    return sorted(told, key=lambda one: -(one["records"] + one["documents"]))


def _headline(group: dict[str, Any]) -> dict[str, str]:
    return {
        language: group["title"][language] or "; ".join(of_receipt(one, language) for one in group.get("reasons", ()))
        for language in LANGUAGES
    }


def _of(groups: Iterable[dict[str, Any]], actor: str) -> list[dict[str, Any]]:
    return [group for group in groups if group["actor"] == actor]

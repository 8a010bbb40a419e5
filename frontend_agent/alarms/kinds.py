"""The kinds of alarms. A name never changes: runbooks, mute windows and other people's monitoring speak of it."""

from typing import Literal, NamedTuple

Subject = Literal["agent", "feed", "source", "inlet", "destination", "certificate", "room", "hospital"]


class Kind(NamedTuple):
    """What it is about, and whose it is: the hospital's agent, or the platform that looks at its hospitals."""

    name: str
    of: Subject
    at: Literal["agent", "platform"] = "agent"


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("backlog", "destination"),
        Kind("silence", "feed"),
        Kind("feed", "feed"),
        Kind("vanished", "feed"),
        Kind("source", "source"),
        Kind("inlet", "inlet"),
        Kind("destination", "destination"),
        Kind("refused", "destination"),
        Kind("held", "feed"),
        Kind("unmapped", "agent"),
        Kind("certificate", "certificate"),
        Kind("clock", "destination"),
        Kind("quota", "room"),
        Kind("disk", "agent"),
        Kind("log", "agent"),
        Kind("damage", "agent"),
        Kind("restarts", "agent"),
        Kind("studies", "agent"),
        Kind("withheld", "agent"),
        Kind("reconciliation", "feed"),
        Kind("pack", "agent"),
        Kind("upgrade", "agent"),
        Kind("gap_silent", "agent"),
        Kind("gap_stopped", "agent"),
        Kind("gap_folder", "agent"),
        Kind("heartbeat", "hospital", "platform"),
    )
}

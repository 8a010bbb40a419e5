"""Alarms: what is wrong with an agent now, told once when it begins and once when it ends. Pure.

    Facts      what is known of an agent at one moment, gathered outside of here
    Raised     what a rule says of them: this is wrong, since then, in these figures
    Alarm      one that has begun, as the spool keeps it; `ended_at` says when it was over
    turns      which alarms begin, become worse or end, from those that stand and those that are raised

A kind of alarm is one rule, one text in both languages, and one section of the runbook (docs/guide/alarms.md); its name
never changes and is never used for anything else.
"""

from frontend_agent.alarms.kinds import KINDS, Kind
from frontend_agent.alarms.model import (
    Alarm,
    Change,
    Level,
    Raised,
    Turn,
)
from frontend_agent.alarms.texts import Told, tell

__all__ = ["KINDS", "Alarm", "Change", "Kind", "Level", "Raised", "Told", "Turn", "tell"]

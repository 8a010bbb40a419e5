"""The oracle: counts what should be and what is, from both ends, without asking the agent.

    hospital.py   the tables: which records there are, what they say
    platform.py   the platform's store: which documents there are, what they say
    agent.py      the one thing only the agent has: what it holds and what its rules said
    counting.py   all three against each other and against the list of planted faults
    studies.py    the same of images: PACS, platform and agent

Its code is its own: it reads XML with its own paths and never uses the agent's mapping, reader or counters.
"""

from .counting import Count, KindCount, count
from .studies import Studies, StudyCount

__all__ = ["Count", "KindCount", "Studies", "StudyCount", "count"]

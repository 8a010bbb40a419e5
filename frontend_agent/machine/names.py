"""Where an installed agent's things lie, and when two names are of one account. Pure."""

import sys

if sys.platform == "win32":
    CONFIGURATION = r"C:\ProgramData\frontend-agent\agent.toml"
    STATE = r"C:\ProgramData\frontend-agent\state"
    PEOPLE_SOCKET = r"C:\ProgramData\frontend-agent\people\people.pipe"
else:
    CONFIGURATION = "/etc/frontend-agent/agent.toml"
    STATE = "/var/lib/frontend-agent"
    PEOPLE_SOCKET = "/run/frontend-agent/people.sock"

GROUP = "frontend-agent"  # of those who may ask at the people's own door


def is_same_account(one: str, other: str) -> bool:
    """Windows does not tell capitals from small letters in the name of an account."""
    return one.casefold() == other.casefold() if sys.platform == "win32" else one == other

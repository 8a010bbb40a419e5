"""What an upgrade asks of systemd and of the running agent."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frontend_agent import control
from frontend_agent.errors import FrontendAgentError
from frontend_agent.upgrading import UpgradeProblem

RESTART_WITHIN = 330.0  # seconds: TimeoutStartSec of the unit, and its stop


class Systemd:
    """`upgrading.Services` on a machine with systemd. `state`: the agent's folder."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def restart(self, unit: str) -> None:
        """Whether it came up is asked afterwards: a start that fails is a reason to go back, and no error here."""
        _systemctl("reset-failed", unit)
        _systemctl("restart", "--no-block", unit)

    def state(self, unit: str) -> tuple[str, int]:
        told = dict(
            line.split("=", 1)
            for line in _systemctl("show", unit, "--property=ActiveState", "--property=NRestarts").splitlines()
            if "=" in line
        )
        return told.get("ActiveState", "unknown"), int(told.get("NRestarts") or 0)

    def status(self) -> Mapping[str, Any] | None:
        try:
            told: Mapping[str, Any] = control.ask(self._state, "status")
        except (FrontendAgentError, OSError):
            return None
        return told

    def watch(self, unit: str) -> None:
        """Begin it now, and after a power cut again. One that is just ending would not see what was written a moment ago."""
        _systemctl("enable", unit)
        done = subprocess.run(["systemctl", "restart", "--no-block", unit], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UpgradeProblem(f"systemctl restart {unit}: {done.stderr.strip()}")


def _systemctl(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *arguments], capture_output=True, text=True, timeout=RESTART_WITHIN, check=False
        )
    except FileNotFoundError:
        raise UpgradeProblem("systemctl: there is no systemd on this machine; see docs/guide/upgrade.md") from None
    return done.stdout

"""What memory a process had at its most.

Not `ru_maxrss`: that of a child begins with what its parent had (exec keeps it), and that of a process never falls, so a limit held
against it holds nothing once an earlier test took more.
"""

from __future__ import annotations

from pathlib import Path


def peak(process: int | str = "self") -> int:
    """Bytes that were resident at most since it began its program, or since `forget_peak`."""
    status = Path(f"/proc/{process}/status").read_text("ascii", "replace")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) << 10


def forget_peak() -> int:
    """From now on `peak` of this process counts from what it has. That, in bytes."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    return peak()

"""`frontend-agent platform serve --tls` as a process of its own, as a region starts it, and machines that have joined it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from frontend_agent.platform.joining.registry import Registry
from frontend_agent.platform.server import GRACE_SECONDS
from frontend_agent.spool.membership import Membership
from tests.joining_kit import join

STARTS_IN = 90.0  # seconds, on a loaded machine


class Served:
    """The process. `url`: where agents connect; `pages`: where people look, on this machine."""

    def __init__(self, state: Path, url: str, pages: str, process: "subprocess.Popen[str]") -> None:
        self.state, self.url, self.pages, self.process = state, url, pages, process

    def member(self, state: Path, *institutions: str) -> Membership:
        with Registry(self.state).open() as registry:
            token = registry.make_token(institutions, timedelta(hours=24))
        return join(self.url, state, token, institutions[0])

    def roots(self, folder: Path) -> Path:
        path = folder / "region-roots.pem"
        with Registry(self.state).open() as registry:
            path.write_text(registry.list_of_trusted().roots)
        return path


def platform(state: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "frontend_agent.cli.main", "--state", str(state), "platform", *arguments]


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """It has an authority of its own, and is called localhost."""
    state = folder / "region"
    subprocess.run(
        platform(state, "ca", "init", "--root-key", str(folder / "root.key")), check=True, capture_output=True
    )
    told = folder / "region.log"
    command = platform(
        state, "serve", "--port", "0", "--tls", "127.0.0.1:0", "--name", "localhost", "--name", "127.0.0.1"
    )
    with told.open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, text=True)
    try:
        ends = time.monotonic() + STARTS_IN
        while "platform ready " not in told.read_text():
            assert process.poll() is None, told.read_text()
            assert time.monotonic() < ends, told.read_text()
            time.sleep(0.1)
        lines = [line.rpartition(" ") for line in told.read_text().splitlines() if line.startswith("platform ")]
        addresses = {what: address for what, _, address in lines}
        url = addresses["platform takes agents"].replace("127.0.0.1", "localhost")
        yield Served(state, url, addresses["platform ready"], process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(GRACE_SECONDS + 30)

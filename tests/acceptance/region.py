"""A demonstration region for the acceptance tests: hospital, platform process and agent, run as often as a test wants."""

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from frontend_agent.demo.hospital import Plan, create_hospital
from frontend_agent.demo.later import advance
from frontend_agent.demo.oracle import Count, count
from frontend_agent.demo.oracle.platform import Stored, documents
from frontend_agent.demo.pacs import STUDY_FAULT, write_pacs
from frontend_agent.demo.run import Delivered, run_agent, start_platform
from frontend_agent.demo.service import PlatformProcess
from frontend_agent.demo.show import Screen


@dataclass
class Region:
    """One state directory as `demo` leaves it, and a platform that runs over it."""

    state: Path
    platform: PlatformProcess
    plan: Plan
    steps: int = 0
    faulty_studies: float = STUDY_FAULT

    def run(self) -> Delivered:
        """The agent once: every feed, then everything sent."""
        return run_agent(self.state, self.plan, Screen(None))

    def advance(self) -> None:
        """Later in the hospital."""
        self.steps += 1
        self.plan = advance(self.state / "hospital", self.steps)
        write_pacs(self.state / "hospital", self.faulty_studies)

    def count(self) -> Count:
        """What the oracle says, every document compared with its rows."""
        return count(self.state / "hospital", self.state / "platform", self.state / "agent", compared=100_000)

    def stored(self) -> dict[str, Stored]:
        """The platform's documents by id."""
        return {document.document_id: document for document in documents(self.state / "platform")}

    def events(self) -> Counter[str]:
        return Counter(event["event"] for event in self.plan.events)

    def lose_the_agents_state(self) -> None:
        shutil.rmtree(self.state / "agent")


def begin(state: Path, visits: int, seed: int, faulty_studies: float = STUDY_FAULT) -> Region:
    """A hospital, and a platform that waits for its documents and studies."""
    plan = create_hospital(state / "hospital", visits, seed)
    write_pacs(state / "hospital", faulty_studies)
    region = Region(state, PlatformProcess(state / "platform"), plan, faulty_studies=faulty_studies)
    start_platform(region.platform, state)
    return region

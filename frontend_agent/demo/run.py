"""`frontend-agent demo`: hospital, platform and agent, and what the oracle counted.

    STATE/hospital/   his.db lis.db ris.db planted.json, pacs/ studies.json      made once
    STATE/platform/   the platform's store            its own process
    STATE/agent/      the agent's spool and log       this process
    STATE/agent.toml  the agent's configuration: the same file a hospital would write

The state may be used again: what was delivered is not delivered a second time.
"""

import json as json_text
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frontend_agent import logs
from frontend_agent.app import App
from frontend_agent.config import load_config
from frontend_agent.daemon import Daemon, problem_of
from frontend_agent.delivery import State
from frontend_agent.errors import StateError
from frontend_agent.times import Step

from .hospital import HIS, HOSPITAL_CODE, HOSPITAL_NAME, LIS, PLANTED, RIS, Plan, create_hospital
from .oracle import Count, count
from .pacs import PACS, STUDIES, write_pacs
from .service import PlatformProcess
from .show import Screen, screen

VISITS = 1000
TICK = 0.1
CONFIG = "agent.toml"

AGENT_TOML = """\
# Written by `frontend-agent demo`. Anything may be changed; the demonstration uses the file as it finds it.

state = "agent"

[institution]
id = "{code}"
name = "{name}"
epoch = "1"
timezone = "Asia/Shanghai"

[sources.his]
url = "sqlite:///{his}"

[sources.lis]
url = "sqlite:///{lis}"

[sources.ris]
url = "sqlite:///{ris}"

[destinations.platform]
type = "platform"
url = "{url}"

[images]
patience = "0s"          # the PACS of this hospital is a folder: nothing comes later that would make a study whole

[images.orders]
source = "ris"
mapping = "demo_ris/orders"
every = "1m"
start = "2020-01-01"

[images.inlets.pacs]
type = "dicom-folder"
path = "{pacs}"
settle = "0s"
after = "leave"

[images.destinations.platform-images]
type = "stow"
url = "{url}"
proof = "platform"

[[feeds]]
name = "outpatient_visit"
source = "his"
mapping = "demo_his/outpatient_visit"
profile = "regional"
every = "1m"
overlap = "10m"

[[feeds]]
name = "prescription"
source = "his"
mapping = "demo_his/prescription"
profile = "regional"
every = "1m"
overlap = "10m"

[[feeds]]
name = "lab_report"
source = "lis"
mapping = "demo_lis/lab_report"
profile = "regional"
every = "1m"
overlap = "10m"

[[feeds]]
name = "admission_record"
source = "his"
mapping = "demo_his/admission_record"
profile = "regional"
every = "1m"
overlap = "10m"

[[feeds]]
name = "front_page"
source = "his"
mapping = "demo_his/front_page"
profile = "regional"
every = "1m"
overlap = "10m"

[[feeds]]
name = "exam_report"
source = "ris"
mapping = "demo_ris/exam_report"
profile = "regional"
every = "1m"
overlap = "10m"
"""


@dataclass(frozen=True)
class Delivered:
    """How the agent's run went, by its clock alone; the counting is the oracle's."""

    seconds: float
    documents: int  # new at the platform
    steps: Mapping[str, Step]

    @property
    def per_second(self) -> float:
        """Documents a second, from the first question to the hospital to the last receipt."""
        return self.documents / self.seconds if self.seconds > 0 else 0.0


def run_demo(
    visits: int = VISITS,
    seed: int = 1,
    state: Path = Path("demo-state"),
    json: bool = False,
    exit: bool = False,
    progress: bool = True,
) -> int:
    """The whole demonstration. Returns the exit code: 0 if nothing was lost, doubled or altered."""
    state = state.absolute()
    _end_in_order()
    with screen(progress and not json) as show:
        plan = hospital(state, visits, seed, show)
        platform = PlatformProcess(state / "platform")
        try:
            url = start_platform(platform, state)
            delivered = run_agent(state, plan, show)
            with show.counting() as told:
                counted = count(state / "hospital", state / "platform", state / "agent", told=told)
        except BaseException:
            platform.stop()
            raise
    try:
        if json:
            print(json_text.dumps(as_json(counted, delivered, url), ensure_ascii=False), flush=True)
        else:
            show.result(plan, counted, delivered.seconds, delivered.per_second, delivered.steps)
            show.address(url, state, stays=not exit)
        if not exit:
            platform.wait()
    except KeyboardInterrupt:
        pass
    finally:
        platform.stop()
    return 0 if is_whole(counted) else 1


def _end_in_order() -> None:
    """SIGTERM ends the platform we started as Ctrl-C does."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def is_whole(counted: Count) -> bool:
    """Nothing lost, nothing doubled, nothing altered on the way."""
    wrong = counted.lost or counted.duplicates or counted.altered or counted.damaged
    return not wrong and counted.images.is_whole


def as_json(counted: Count, delivered: Delivered, url: str) -> dict[str, Any]:
    """The object that programs read."""
    return {
        "kinds": counted.as_json()["kinds"],
        "images": counted.as_json()["images"],
        "seconds": round(delivered.seconds, 3),
        "documents_per_second": round(delivered.per_second, 1),
        "planted_faults": counted.planted_faults,
        "faults_found": counted.faults_found,
        "false_findings": counted.false_findings,
        "platform_url": url,
    }


def hospital(state: Path, visits: int, seed: int, show: Screen) -> Plan:
    """The hospital of this state: made now, or the one that is there."""
    folder = state / "hospital"
    if (folder / PLANTED).exists():
        if not (folder / RIS).exists():
            raise StateError(
                f"{state}: its hospital was made by a version without images; give another --state, or remove it"
            )
        plan = Plan.load(folder)
        if (plan.visits, plan.seed) != (visits, seed):
            print(
                f"{state}: has a hospital of {plan.visits} visits, seed {plan.seed}; it is used as it is"
                f" (another one needs another --state)",
                file=sys.stderr,
            )
        if not (folder / STUDIES).exists():
            with show.step("pacs"):
                write_pacs(folder)
        return plan
    for name in (HIS, LIS, RIS):  # half made, by a run that was cut short
        (folder / name).unlink(missing_ok=True)
    with show.step("hospital"):
        plan = create_hospital(folder, visits, seed)
    with show.step("pacs"):
        write_pacs(folder)
    return plan


def agent_toml(hospital: Path, url: str) -> str:
    """The agent's configuration for the demonstration hospital in that folder and a platform at that address."""
    files = {"his": hospital / HIS, "lis": hospital / LIS, "ris": hospital / RIS, "pacs": hospital / PACS}
    return AGENT_TOML.format(code=HOSPITAL_CODE, name=HOSPITAL_NAME, url=url, **files)


def start_platform(platform: PlatformProcess, state: Path) -> str:
    """Start the platform and let the agent's configuration name its address."""
    path = state / CONFIG
    before = load_config(path).destinations["platform"].url if path.exists() else ""
    url = platform.start(before)
    if not path.exists():
        path.write_text(agent_toml(state / "hospital", url), encoding="utf-8")
    elif url != before:
        path.write_text(path.read_text(encoding="utf-8").replace(f'"{before}"', f'"{url}"'), encoding="utf-8")
    return url


def run_agent(state: Path, plan: Plan, show: Screen) -> Delivered:
    """Run every feed once and send until nothing is due, in this process."""
    folder = state / "agent"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = logs.to_file(folder)
    try:
        with App(load_config(state / CONFIG), folder) as app:
            before = _settled(app)
            daemon = Daemon(app)
            started = time.perf_counter()
            with show.working(plan) as tick:
                ended = threading.Event()
                watching = threading.Thread(target=_watch, args=(app, ended, tick), daemon=True)
                watching.start()
                try:
                    outcomes = daemon.once()
                finally:
                    ended.set()
                    watching.join()
            seconds = time.perf_counter() - started
            problem = problem_of(app, outcomes)
            if problem is not None:
                raise problem
            return Delivered(seconds, _settled(app) - before, app.times.snapshot())
    finally:
        logs.log.removeHandler(handler)
        handler.close()


def _settled(app: App) -> int:
    states = app.spool.counts().deliveries.values()
    return sum(number for one in states for name, number in one.items() if name == State.DELIVERED)


def _watch(app: App, ended: threading.Event, tick: Any) -> None:
    while not ended.wait(TICK):
        tick(app.spool.counts())
    tick(app.spool.counts())

"""`[upgrades]` of agent.toml: what this hospital does with a signed upgrade that its platform offers (decision 0055)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from frontend_agent.config_types import Size
from frontend_agent.windows import Window

BY_ITSELF, BY_A_PERSON = "by itself", "by a person"
MiB1 = Size(1 << 20)
GiB1 = Size(1 << 30)
GiB2 = Size(2 << 30)


@dataclass(frozen=True, kw_only=True)
class UpgradesConfig:
    """Offers are fetched and verified; who installs them is the hospital's word."""

    fetch: bool = True  # false: an offer is shown, and a person brings the file
    install: Literal["by a person", "by itself"] = "by a person"
    hours: tuple[Window, ...] = ()  # in which it is installed by itself, local
    bandwidth: Size = MiB1  # bytes a second while it is fetched; 0: not bounded
    quota: Size = GiB1  # a larger file is not fetched
    keep_free: Size = GiB2  # bytes of the disk that fetching leaves
    watch: timedelta = timedelta(minutes=10)  # so long a version that was installed by itself is on trial

    def may_install(self, local: datetime) -> bool:
        """Whether it may be installed by itself at this moment."""
        return self.install == BY_ITSELF and any(window.covers(local) for window in self.hours)


DEFAULT_UPGRADES = UpgradesConfig()


def _problems(upgrades: UpgradesConfig) -> Iterable[str]:
    if upgrades.install == BY_ITSELF and not upgrades.hours:
        yield 'install = "by itself" needs hours = ["02:00-04:00"]: when the service may be begun anew'
    if upgrades.hours and upgrades.install != BY_ITSELF:
        yield 'hours are those in which it is installed by itself: set install = "by itself", or leave them out'
    if upgrades.install == BY_ITSELF and not upgrades.fetch:
        yield 'install = "by itself" installs what was fetched: leave out fetch = false'
    if upgrades.watch <= timedelta():
        yield 'watch must be longer than "0s": a version that nobody watches is not taken back'


CHECKS: dict[type[Any], Callable[[Any], Iterable[str]]] = {UpgradesConfig: _problems}

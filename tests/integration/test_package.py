"""What a hospital installs, as its files: put onto bare Debians without a network, and held against its signature."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import package_kit
from tests.package_kit import Package, Root

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def package() -> Package:
    return package_kit.package()


@pytest.fixture(params=["bookworm", "bullseye", "trixie"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Root]:
    with package_kit.debian(tmp_path / "root", request.param) as made:
        yield made


def test_the_deb_installs_and_runs_on_each_debian_without_anything_else(package: Package, root: Root) -> None:
    told = root.run("dpkg", "-i", root.give(package.deb))
    assert "frontend-agent init" in told

    assert root.run("frontend-agent", "--version").strip() == package.version
    summary = root.run(
        "frontend-agent", "demo", "--exit", "--json", "--visits", "40", "--state", "/var/tmp/demo", within=600
    )
    kinds = json.loads(summary[summary.index("{") : summary.rindex("}") + 1])["kinds"]
    assert kinds
    assert all(kind["lost"] == kind["duplicates"] == 0 for kind in kinds.values())
    assert root.run("stat", "-c", "%U %a", "/var/lib/frontend-agent").split() == ["frontend-agent", "700"]

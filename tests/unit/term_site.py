"""A small hospital whose laboratory map lacks what the sources send: local sex F, called 女 beside it."""

import shutil
from pathlib import Path

from frontend_agent.app import App
from frontend_agent.config import Config, load_config
from frontend_agent.demo.hospital import create_hospital
from frontend_agent.operations import Operations
from frontend_agent.spool import Spool

ROOT = Path(__file__).resolve().parents[2]
FEED, SEX, RESULT = "lab_report", "ourlis/sex", "ourlis/result"

AGENT = """
workers = {workers}
[institution]
id = "999000013"
name = "示范市第一人民医院"
[sources.lis]
url = "sqlite:///hospital/lis.db"
[destinations.platform]
url = "http://127.0.0.1:9"
[[feeds]]
name = "lab_report"
source = "lis"
mapping = "mappings/ourlis/lab_report.toml"
"""


def make_hospital(folder: Path) -> Path:
    create_hospital(folder, 40, 3)
    return folder


def make_site(folder: Path, hospital: Path, workers: int = 0) -> Path:
    """A folder with agent.toml, a copy of the hospital and a mapping whose maps are short of two codes."""
    shutil.copytree(hospital, folder / "hospital")
    mapping = folder / "mappings" / "ourlis"
    shutil.copytree(ROOT / "mappings" / "demo_lis", mapping)
    change(mapping / "lab_report.toml", '"patient.sex" = "sex"', '"patient.sex" = { table = "sex", name = "sex_text" }')
    change(
        mapping / "lab_report.sql",
        'AS "patient.sex",',
        "AS \"patient.sex\", CASE b.xb WHEN 'F' THEN '女' WHEN 'M' THEN '男' END AS \"sex_text\",",
    )
    change(mapping / "codes" / "sex.toml", '"F" = "2"\n', "")
    (folder / "agent.toml").write_text(AGENT.format(workers=workers), "utf-8")
    return folder


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text, (path.name, old)
    path.write_text(text.replace(old, new), "utf-8")


def config(site: Path) -> Config:
    return load_config(site / "agent.toml")


def app(site: Path) -> App:
    """An agent over its own new state, which no platform has to confirm."""
    state = site / "state"
    if not state.exists():
        with Spool(state).open() as spool:
            spool.meta.heads_known = True
    return App(config(site), state)


def asked(running: App) -> Operations:
    return Operations(running)

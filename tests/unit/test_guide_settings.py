"""Every block of TOML in the documentation is taken by the reader that it is for: a file of its own as it stands, a part of agent.toml or
of a mapping put into a small whole one. A block that no reader is known for is taken for a part of agent.toml."""

import copy
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from frontend_agent import config
from frontend_agent.codes import parse_code_table
from frontend_agent.config_outlets import PackagesOutlet, TableOutlet, XdsOutlet
from frontend_agent.dialect_makers import metadata, packages, shared_tables
from frontend_agent.formats import load_kind
from frontend_agent.mapping_file import parse_mapping
from frontend_agent.packs.content import content_of
from frontend_agent.profiles.profile import parse_profile
from frontend_agent.reports.formula import read_formula
from tests.guide_kit import Block, blocks, name_of, pages
from tests.unit.opened_documents import around

TOML = [block for page in pages() for block in blocks(page) if block.language == "toml"]
SMALL = """
[institution]
id = "H1"
name = "示范医院"
[sources.his]
url = "sqlite:///his.db"
[sources.ris]
url = "sqlite:///ris.db"
[[feeds]]
name = "base"
source = "his"
mapping = "demo_his/outpatient_visit"
[[feeds]]
name = "lab_report"
source = "his"
mapping = "demo_lis/lab_report"
[destinations.platform]
url = "https://platform.example"
"""
HEAD = 'kind = "C0007"\nkey = "report_number"\n'
QUERIES = {"changed": 'changed = "changed.sql"\n', "parent": 'parent = "parent.sql"\n'}
DETAILS = '[queries.details]\nitems = "items.sql"\n'
# What a reader puts in the place of dots and of numbers that are his own.
WORDS = (
    ("sha256:…", "sha256:" + "0" * 64),
    ("SHA256:…", "SHA256:" + "A" * 43),
    ("zYf5b83C…=", "A" * 43 + "="),
    ('sql = "…"', 'sql = "person.sql"'),
)
# What of it says of which table it is a part: the page says it in words.
UNDER: dict[tuple[str, str], str] = {
    ("accounts.md", "dbo.fn_age"): '[sources.his]\nurl = "sqlite:///his.db"\n',
    ("destinations.md", "register_first"): '[destinations.hip]\ntype = "hip"\nurl = "https://region.example"\n',
    (
        "files.md",
        "[destinations.region.feedback]",
    ): '[destinations.region]\ntype = "folder"\nurl = "file:///mnt/region/in"\n',
    (
        "images-deidentify.md",
        "compress",
    ): '[images.destinations.region]\ntype = "stow"\nurl = "https://region.example"\n',
    ("kinds.md", "/mnt/scans"): '[sources.pacs]\nurl = "sqlite:///pacs.db"\n',
    ("console.md", "0.0.0.0:8490"): "".join(
        f'[[people.persons]]\nname = "{name}"\naccount = "{role}"\nrole = "{role}"\n'
        for name, role in (("王芳", "system"), ("李强", "security"), ("赵敏", "audit"))
    ),
    ("images-scans.md", "xds-i"): '[images.destinations.region]\ntype = "stow"\nurl = "https://region.example"\n',
    (
        "images-sending.md",
        "commitment_to",
    ): '[images.inlets.pacs]\ntype = "dicom"\nport = 11112\nae_title = "FRONTEND"\n',
    ("visits.md", "after_archive"): 'extends = "regional"\n',
    ("signatures.md", "dr-li.p12"): '[signing]\ndefault = "dr-li"\n',
    ("scattered-records.md", 'sql = "…"'): "[queries.partners]\n",
}


def read_file(path: str) -> str:
    """The files that a mapping names: a query with every alias that anybody asks for, a code map."""
    name = Path(path).name
    if name.endswith(".toml"):
        return 'value_set = "2.16.156.10011.2.3.3.4"\n[map]\n"M" = "1"\n'
    if not name.endswith(".sql"):
        raise FileNotFoundError(path)
    aliases = (
        "cursor",
        "key",
        "day",
        "report_number",
        "examination_number",
        "request_number",
        "no",
        "content",
        "final",
        "his_patient",
        "route_local",
        "person_id",
        "patient.local_id",
    )
    return "SELECT " + ", ".join(f'a AS "{alias}"' for alias in aliases) + " FROM t"


def is_mapping(text: str) -> None:
    def read(path: str) -> str:
        return text if path == "page.toml" else read_file(path)

    parse_mapping("page.toml", "page.toml", "H1", read)


def is_part_of_a_mapping(text: str) -> None:
    named = tomllib.loads(text).get("queries", {}) if "[queries]" in text else {}
    queries = "[queries]\n" + "".join(line for name, line in QUERIES.items() if name not in named)
    details = "" if "procedures" in text else DETAILS
    before, mark, after = text.partition("[queries]\n")
    is_mapping(
        HEAD + queries + after + details
        if mark and all(line.startswith("#") for line in before.split("\n") if line)
        else HEAD + queries + details + text
    )


def is_whole(text: str) -> None:
    config.parse_config(text)


def is_inner_half(text: str) -> None:
    """The platform's address is the outer half's."""
    config.parse_config(SMALL.partition("[destinations.platform]")[0] + text)


def is_code_map(text: str) -> None:
    parse_code_table("rh", "codes/rh.toml", text)


def is_profile(text: str) -> None:
    parse_profile("ours", text, "ours.toml")


def is_formula(text: str) -> None:
    read_formula(text, "ours.toml", lambda kind: {field.name for field in load_kind(kind).fields})


def are_tables(text: str, folder: Path) -> None:
    (folder / "page.toml").write_text(text, "utf-8")
    made = shared_tables(
        "shared",
        TableOutlet(type="table", url="postgresql://w@127.0.0.1/r", tables=str(folder / "page.toml")),
        content_of(None),
    )
    assert made.all


def are_data_sets(text: str, folder: Path) -> None:
    (folder / "page.toml").write_text(text, "utf-8")
    options = PackagesOutlet(
        type="packages", url="https://p.example", inner_version="59083976eebd", data_sets=str(folder / "page.toml")
    )
    packages("region", options, content_of(None), lambda feed: {}, around())


def are_xds_codes(text: str, folder: Path) -> None:
    (folder / "page.toml").write_text(text, "utf-8")
    options = XdsOutlet(
        type="xds", url="https://xds.example/repository", codes=str(folder / "page.toml"), source_id="2.16.156.10011.9.1",
        assigning_authority="2.16.156.10011.1.12",
    )  # fmt: skip
    metadata("xds", options, content_of(None), lambda feed: {}, around())


def is_toml(text: str) -> None:
    """Read by a test of its own, which says so here: the block's file is made whole there."""
    assert tomllib.loads(text)


# A page, what stands in the block, and its reader.
READERS: dict[tuple[str, str], Callable[..., None]] = {
    ("README.md", 'kind = "C0007"'): is_mapping,
    ("README.zh-CN.md", 'kind = "C0007"'): is_mapping,
    **dict.fromkeys(
        (
            ("extend-mapping.md", 'kind = "H0201"'),
            ("files.md", 'kind = "C0034"'),
            ("foreign-documents.md", 'kind     = "C0034"'),
            ("images-checks.md", "IMAGE-ORDER"),
            ("messages.md", "[message]"),
        ),
        is_mapping,
    ),
    **dict.fromkeys(
        (
            ("finding-rows.md", "history"),
            ("reconciliation.md", "[queries]"),
            ("scattered-records.md", "[queries.partners]"),
            ("scattered-records.md", 'sql = "…"'),
            ("scattered-records.md", "[read]"),
            ("terms.md", "[codes]"),
            ("sources.md", "[procedures.changed]"),
        ),
        is_part_of_a_mapping,
    ),
    **dict.fromkeys((("terms.md", "value_set ="), ("extend-mapping.md", "value_set")), is_code_map),
    ("kinds.md", "X0001"): is_toml,  # tests/unit/test_kinds_enclosed.py
    ("extend-rule.md", "texts.toml"): is_toml,  # tests/integration/test_guides_extending.py
    ("extend-rule.md", "examples.toml"): is_toml,
    ("extend-connector.md", "[destinations.collector]"): is_toml,
    ("images-platform.md", "[[peers]]"): is_toml,  # tests/integration/test_platform_dicom_port.py
    ("images-platform.md", "[s3]"): is_toml,  # tests/integration/test_platform_objects.py
    ("signatures.md", "arrival_days"): is_toml,  # tests/integration/test_platform_signatures.py
    ("packs.md", 'name    = "gd"'): is_toml,  # tests/unit/test_cli_packs.py
    ("gap.md", 'role = "inner"'): is_inner_half,
    ("gap.md", 'role = "outer"'): is_whole,
    ("install.md", "[[except]]"): is_toml,  # tests of `program audit`
    ("quality-rules.md", "OP-STAY"): is_profile,
    ("visits.md", "after_archive"): is_profile,
    ("reports.md", "[[groups]]"): is_formula,
    ("shared-tables.md", "[[tables]]"): are_tables,
    ("packages.md", "[[data_sets]]"): are_data_sets,
    ("xds.md", "[kinds.C0007]"): are_xds_codes,
}


def of_this(table: Mapping[tuple[str, str], Any], block: Block, otherwise: Any) -> Any:
    """What the table says of the page and a text that stands in the block."""
    page = block.page.replace(".en.md", ".md")
    return next((value for (of, text), value in table.items() if of == page and text in block.text), otherwise)


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    whole = copy.deepcopy(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(whole.get(key), dict):
            whole[key] = merged(whole[key], value)
        elif key == "feeds":
            names = {feed["name"] for feed in value if "name" in feed}
            whole[key] = [feed for feed in whole[key] if feed["name"] not in names] + [
                {"name": "page", "source": "his", "mapping": "demo_lis/lab_report"} | feed for feed in value
            ]
        else:
            whole[key] = value
    return whole


def is_configuration(text: str, under: str = "") -> None:
    page = tomllib.loads(text)
    small = merged(tomllib.loads(SMALL), tomllib.loads(under))
    small["sources"] = {name: table for name, table in small["sources"].items() if name not in page.get("inlets", {})}
    for feed in page.get("feeds", ()):
        name = feed.get("source", "his")
        if name not in {**small["sources"], **page.get("sources", {}), **page.get("inlets", {})}:
            small["sources"][name] = {"url": "sqlite:///other.db"}
    table = merged(small, page)
    reader = config._Reader("agent.toml", Path("/etc/frontend-agent"), table)
    reader.build(config.Config, table, "")
    assert reader.problems == []


@pytest.mark.parametrize("block", TOML, ids=str)
def test_each_example_is_taken(block: Block, tmp_path: Path) -> None:
    text = block.text
    for before, after in WORDS:
        text = text.replace(before, after)
    text = re.sub(r"^ {1,3}", "", text, flags=re.MULTILINE)
    under, reader = of_this(UNDER, block, ""), of_this(READERS, block, is_configuration)
    if reader is is_configuration and text.lstrip("# \n").startswith("["):
        is_configuration(text, under)
        return
    text = under + text
    if reader in (are_tables, are_data_sets, are_xds_codes):
        reader(text, tmp_path)
    else:
        reader(text)


def test_each_reader_has_its_block() -> None:
    for page, text in (*READERS, *UNDER):
        assert any(block.page == page and text in block.text for block in TOML), (page, text)


@pytest.mark.parametrize(
    "text", ["[inlets.lis]\ntyp = 'mllp'", "[reconciliation]\nat = 'soon'", "[[feeds]]\nevry = '5m'"]
)
def test_what_would_not_be_taken_is_found(text: str) -> None:
    with pytest.raises(AssertionError):
        is_configuration(text)


def test_examples_are_found() -> None:
    assert len(TOML) > 120
    assert {name_of(page) for page in pages()} >= {block.page for block in TOML}

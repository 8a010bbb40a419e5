"""Where things live, held by reading the source (architecture §4), and the house rules that a reader would otherwise check.

Each law is one table of who may do what and one test. A new module that must be an exception is added to a table here,
with its reason, where a reviewer sees it.
"""

import ast
import re
import shutil
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("frontend_agent", "connectors", "mappings", "cda_templates")


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, its tree, and what it imports from anywhere in it (also inside functions)."""

    name: str
    path: Path
    tree: ast.Module
    imports: frozenset[str]

    def reaches(self, *targets: str) -> set[str]:
        return {name for name in self.imports for target in targets if within(name, target)}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def imported(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: from . import x
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            # `from frontend_agent import spool` names a module; `from frontend_agent.spool import Spool` names one too many.
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def modules() -> tuple[Module, ...]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            tree = ast.parse(path.read_text("utf-8"), str(path))
            found.append(
                Module(name, path, tree, frozenset(imported(tree, name if is_package else name.rpartition(".")[0])))
            )
    return tuple(found)


def in_any(name: str, packages: tuple[str, ...] | dict[str, str]) -> bool:
    return any(within(name, package) for package in packages)


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call as the text of what is called: `open`, `path.write_text`, `datetime.now`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


# --- Only connectors/ opens connections to systems we do not own ------------------------------------------------------

CONNECTING = (
    "ftplib", "http.client", "imaplib", "psycopg", "pymysql", "pynetdicom", "pyodbc", "oracledb", "requests", "smtplib",
    "socket", "socketserver", "sqlalchemy", "telnetlib", "urllib.request", "urllib3", "httpx", "zeep", "aiohttp", "asyncssh",
)  # fmt: skip
MAY_CONNECT = {
    "frontend_agent.machine": "our own Unix socket; whether a socket that it is given has something to read",
    "frontend_agent.daemon": "sd_notify to systemd",
    "frontend_agent.notify": "sd_notify to systemd",
    "frontend_agent.logs": "the journal's socket",
    "frontend_agent.cli": "the control socket of our own daemon",
    "frontend_agent.demo": "the demonstration platform on loopback",
    "frontend_agent.platform.server": "the listening sockets, one of them for nginx in the file system",
    "frontend_agent.console.server": "the listening socket of the console",
    "frontend_agent.dicom.serving": "an association over a socket that it is given: the agent's inlet and the platform share it",
    "frontend_agent.dicom.association": "the same: one association's socket, for whoever has opened or accepted it",
    "frontend_agent.platform.images.listener": "the platform's DICOM port",
    "frontend_agent.platform.rendering": "a socket pair with its own child process",
}


def test_only_connectors_open_connections_to_systems_we_do_not_own() -> None:
    offenders = {
        module.name: module.reaches(*CONNECTING)
        for module in modules()
        if not within(module.name, "connectors")
        and not in_any(module.name, MAY_CONNECT)
        and module.reaches(*CONNECTING)
    }
    assert not offenders


# --- Only the spool and the platform's store write durable state ------------------------------------------------------

DATABASES = ("apsw", "sqlite3")
MAY_KEEP_STATE = {
    "frontend_agent.spool": "the agent's state",
    "frontend_agent.platform.store": "the platform's state",
    "frontend_agent.platform.catalogue": "the platform's state: its index",
    "frontend_agent.platform.reconciliations": "the platform's state: what agents reconcile with",
    "frontend_agent.platform.fleet": "the platform's state: how hospitals stand",
    "frontend_agent.platform.signatures": "the platform's state: what was to be said of each signature",
    "frontend_agent.platform.files": "the platform's state: its parcels",
    "frontend_agent.platform.images": "the platform's state: its images",
    "frontend_agent.platform.upgrades": "the platform's state: packages of the program, and to whom they are offered",
    "frontend_agent.platform.joining.registry": "the platform's state: who may join, and who may stay",
    "frontend_agent.platform.people.registry": "the platform's state: whose accounts its pages know",
    "frontend_agent.platform.own_log": "the platform's state: what its people did",
    "frontend_agent.instance_files": "instances as files, of agent and platform",
    "frontend_agent.demo": "writes the demonstration hospital and reads both sides as the oracle",
    "connectors.natives": "reads a hospital's SQLite file, read-only",
    "connectors.folders": "moves files that others lay in a folder, and lays files there for them: no state of ours",
}
WRITING = re.compile(r"(^|\.)(write_text|write_bytes|fsync|fdatasync|replace|rename|unlink|mkdir|makedirs|rmtree)$")
PATH_LIKE = re.compile(r"path|file|folder|dir|os\b|shutil|tempor", re.IGNORECASE)
MAY_WRITE_FILES = {
    **MAY_KEEP_STATE,
    "frontend_agent.platform.server": "its Unix socket for nginx",
    "frontend_agent.cli": "writes what the user asks for: exports, skeletons",
    "frontend_agent.machine": "the control channel: its socket, or the name of its pipe, in the state folder",
    "frontend_agent.supervising": "what the agent says before it has a log of its own",
    "frontend_agent.app": "makes the state folder",
    "frontend_agent.daemon": "its process id and lock",
    "frontend_agent.config": "agent.toml of `init`",
    "frontend_agent.durable": "how files of those here get their names",
    "frontend_agent.secret_places": "secrets that a person sets: a file of mode 0600, what systemd-creds encrypted, its unit's drop-in",
    "frontend_agent.upgrading": "versions of the program itself, and the trial of one",
    "frontend_agent.reporting": "drops its own reports when their term is over",
    "frontend_agent.console.server": "offers itself to be ended first where memory runs out (/proc/self/oom_score_adj)",
}


def test_only_the_spool_and_the_platform_store_open_databases() -> None:
    offenders = {
        module.name: module.reaches(*DATABASES)
        for module in modules()
        if module.reaches(*DATABASES) and not in_any(module.name, MAY_KEEP_STATE)
    }
    assert not offenders


def opens_for_writing(name: str, call: ast.Call) -> bool:
    if name.rpartition(".")[2] != "open":
        return False
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return any(isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax+") for mode in modes)


def writes(tree: ast.Module) -> list[str]:
    found = []
    for name, call in calls(tree):
        # str.replace is not Path.replace: the thing it is called on must look like a path.
        on_a_path = WRITING.search(name) and PATH_LIKE.search(name.rpartition(".")[0])
        if on_a_path or opens_for_writing(name, call):
            found.append(f"line {call.lineno}: {name}")
    return found


def test_only_the_spool_and_the_platform_store_write_files() -> None:
    offenders = {m.name: writes(m.tree) for m in modules() if writes(m.tree) and not in_any(m.name, MAY_WRITE_FILES)}
    assert not offenders


# --- Pure modules: values in, values out ------------------------------------------------------------------------------

PURE = (
    "frontend_agent.model", "frontend_agent.errors", "frontend_agent.mapping", "frontend_agent.conversion",
    "frontend_agent.codes", "frontend_agent.terms.names", "frontend_agent.terms.traps", "frontend_agent.terms.proposals",
    "frontend_agent.terms.sheets", "frontend_agent.terms.catalogues", "frontend_agent.terms.said", "frontend_agent.checks", "frontend_agent.profiles", "frontend_agent.formats",
    "frontend_agent.delivery", "frontend_agent.registrations", "frontend_agent.answers", "frontend_agent.identity", "frontend_agent.qclog", "frontend_agent.wire",
    "frontend_agent.measuring", "frontend_agent.reports", "frontend_agent.proposing", "frontend_agent.certificates",
    "frontend_agent.unmade", "frontend_agent.policy", "frontend_agent.withholding", "frontend_agent.deidentifying", "frontend_agent.packs",
    "frontend_agent.windows", "frontend_agent.workbooks", "frontend_agent.usage", "frontend_agent.er7", "frontend_agent.messages",
    "frontend_agent.dialects", "frontend_agent.alarms",
    "frontend_agent.people", "frontend_agent.config_people", "frontend_agent.config_console", "frontend_agent.passwords", "frontend_agent.console.attention",
    "frontend_agent.dicom.uids", "frontend_agent.dicom.elements", "frontend_agent.dicom.part10", "frontend_agent.dicom.header",
    "frontend_agent.dicom.charsets", "frontend_agent.dicom.pdus", "frontend_agent.dicom.commands", "frontend_agent.dicom.multipart", "frontend_agent.dicom.identifiers", "frontend_agent.imaging.model",
    "frontend_agent.imaging.changing", "frontend_agent.imaging.aligning", "frontend_agent.imaging.values",
    "frontend_agent.imaging.rules", "frontend_agent.imaging.character_sets",
    "frontend_agent.dicom.nesting", "frontend_agent.dicom.rewriting", "frontend_agent.dicom.directory",
    "frontend_agent.dicom.negotiation", "frontend_agent.dicom.commitment", "frontend_agent.signatures", "frontend_agent.advisories",
)  # fmt: skip
# No clock, no socket, no file, no logger, no chance.
IMPURE_MODULES = (
    *CONNECTING,
    *DATABASES,
    "logging",
    "os",
    "random",
    "secrets",
    "shutil",
    "subprocess",
    "tempfile",
    "threading",
    "time",
)
IMPURE_CALLS = re.compile(
    r"(^|\.)(open|print|input|now|utcnow|today|uuid1|uuid4|read_text|read_bytes|write_text|write_bytes)$"
)
THIN_LOADERS = {
    "frontend_agent.shipped": "reads files that a person wrote, and the files we ship",
    "frontend_agent.formats.tables": "the national tables we ship",
    "frontend_agent.formats.hl7v2.files": "the messages we ship",
    "frontend_agent.formats.kind": "the templates we ship",
    "frontend_agent.formats.loader": "the templates we ship",
    "frontend_agent.formats.kinds": "the templates we ship",
    "frontend_agent.checks.texts": "the texts we ship",
    "frontend_agent.profiles": "a profile is named by path or shipped",
    "frontend_agent.formats": "the templates we ship",
}
READING = re.compile(r"(^|\.)(open|read_text|read_bytes)$")


def impurities(module: Module) -> list[str]:
    found = [f"imports {name}" for name in sorted(module.reaches(*IMPURE_MODULES))]
    for name, call in calls(module.tree):
        if IMPURE_CALLS.search(name) and not (module.name in THIN_LOADERS and READING.search(name)):
            found.append(f"line {call.lineno}: {name}()")
    return found


def test_pure_modules_have_no_clock_no_socket_no_file_and_no_logger() -> None:
    offenders = {m.name: impurities(m) for m in modules() if in_any(m.name, PURE) and impurities(m)}
    assert not offenders


# --- Who may know whom ------------------------------------------------------------------------------------------------

OUTERMOST = (
    "frontend_agent.app", "frontend_agent.cli", "frontend_agent.daemon", "frontend_agent.demo", "frontend_agent.operations",
    "frontend_agent.mending", "frontend_agent.housekeeping", "frontend_agent.closing_operations", "frontend_agent.backfilling",
    "frontend_agent.reconciliation", "frontend_agent.reconciliation_operations", "frontend_agent.nights",
    "frontend_agent.backfill_operations", "frontend_agent.backfill_planning",
    "frontend_agent.guest_operations",
    "frontend_agent.outlet_operations",
    "frontend_agent.introducing",
    "frontend_agent.receiving",
    "frontend_agent.inlet_operations",
    "frontend_agent.image_backfill_operations",
    "frontend_agent.alarming", "frontend_agent.alarm_operations", "frontend_agent.alarm_tellers", "frontend_agent.heartbeat",
    "frontend_agent.console_operations",
    "frontend_agent.upgrade_offers", "frontend_agent.upgrade_operations",
    "frontend_agent.console",
    "frontend_agent.today",
    "frontend_agent.crossing.process",
)  # fmt: skip
SHARED_WITH_THE_PLATFORM = (
    "frontend_agent.certificates",
    "frontend_agent.model", "frontend_agent.errors", "frontend_agent.formats", "frontend_agent.checks", "frontend_agent.wire",
    "frontend_agent.platform", "frontend_agent.__version__",
    "frontend_agent.profiles",  # how severe a rule is: documents that other senders post are answered with findings,
    "frontend_agent.packs",
    "frontend_agent.dicom",  # instances as bytes, associations
    "frontend_agent.instance_files",
    "frontend_agent.alarms",  # what an alarm is, and what it says: hospitals' alarms are shown there
    "frontend_agent.notify",  # what systemd is told
    "frontend_agent.machine",  # what differs between operating systems
    "frontend_agent.guarding",  # around every page for browsers
    "frontend_agent.browser_tls",
    "frontend_agent.sessions",  # who is logged in
    "frontend_agent.passwords",
    "frontend_agent.confine",  # what a process that decodes a stranger's bytes gives up
    "frontend_agent.signatures",  # who signed a document
    "frontend_agent.qclog",  # how a log is chained: the platform has one of its own
)  # fmt: skip
SHARED_WITH_CONNECTORS = (
    "frontend_agent.certificates",
    "frontend_agent.model", "frontend_agent.errors", "frontend_agent.wire", "frontend_agent.formats.xml", "frontend_agent.formats.errors", "frontend_agent.__version__",
    "frontend_agent.config_inlets", "frontend_agent.config_outlets", "frontend_agent.config_answers", "frontend_agent.config_types",  # their settings, as typed values
    "frontend_agent.config_fetchers",  # the same, of inlets that ask
    "frontend_agent.logs",  # what was asked, by place and status
    "frontend_agent.reading",  # paths into an answer: where its messages begin, not what they mean
    "frontend_agent.answers",  # what a foreign answer means, by settings
    "frontend_agent.dialects.ebxml",  # XDS messages as they are written: they know no record
    "frontend_agent.delivery",  # the shape of a signed reply
    "frontend_agent.usage",  # what we cost, in words
    "frontend_agent.er7",  # HL7 v2 as it is written: a listener answers in the sender's own protocol
    "frontend_agent.windows",  # times of day: no value of the hospital's
    "frontend_agent.config_inlets",  # the settings of inlets, plain values
    "frontend_agent.config_types",
    "frontend_agent.machine",  # what differs between operating systems: no value of the hospital's
    "frontend_agent.processes",  # how a process of ours is started and ended: a source lives in one
    "frontend_agent.config_files",  # what a site says of files and SFTP servers: settings, no value of the hospital's
    "frontend_agent.config_images",  # the settings of images
    "frontend_agent.dicom",  # instances as bytes, associations
    "frontend_agent.imaging.model",  # the words of imaging
    "frontend_agent.alarms",  # what a mail or a webhook says of one
    "frontend_agent.config_alarms",  # where the mail server is
    "frontend_agent.imaging.keeping",  # what is asked of whoever keeps studies
    "frontend_agent.instance_reading",  # the bytes of an instance, plain or sealed
    "frontend_agent.signatures",  # what a key in a token or device is asked: bytes to sign, and the certificate of it
)  # fmt: skip
PARTS = (
    "connectors",
    "frontend_agent.spool",
    "frontend_agent.mapping",
    "frontend_agent.checks",
    "frontend_agent.formats",
)


def own_imports(module: Module) -> set[str]:
    return {name for name in module.imports if within(name, "frontend_agent") and name != "frontend_agent"}


def test_the_platform_imports_nothing_of_the_agent_but_what_they_share() -> None:
    offenders = {
        module.name: strangers
        for module in modules()
        if within(module.name, "frontend_agent.platform")
        and (
            strangers := {name for name in own_imports(module) if not in_any(name, SHARED_WITH_THE_PLATFORM)}
            | module.reaches("connectors", "mappings")
        )
    }
    assert not offenders


def test_connectors_do_not_know_what_a_value_means() -> None:
    offenders = {
        module.name: strangers
        for module in modules()
        if within(module.name, "connectors")
        and (strangers := {name for name in own_imports(module) if not in_any(name, SHARED_WITH_CONNECTORS)})
    }
    assert not offenders


def test_only_app_knows_all_the_parts() -> None:
    know_all = {
        module.name
        for module in modules()
        if all(module.reaches(part) for part in PARTS) and not within(module.name, "frontend_agent.demo")
    }
    assert know_all <= {"frontend_agent.app"}


def test_inner_modules_do_not_import_outer_ones() -> None:
    offenders = {
        module.name: module.reaches(*OUTERMOST)
        for module in modules()
        if not in_any(module.name, OUTERMOST)
        and not in_any(module.name, ("frontend_agent.control", "frontend_agent.scheduler", "frontend_agent.__main__"))
        and module.reaches(*OUTERMOST)
    }
    assert not offenders


def test_pure_modules_do_not_know_connectors_spool_or_platform() -> None:
    outer = (
        "connectors",
        "frontend_agent.spool",
        "frontend_agent.platform",
        "frontend_agent.intake",
        "frontend_agent.sending",
    )
    offenders = {m.name: m.reaches(*outer) for m in modules() if in_any(m.name, PURE) and m.reaches(*outer)}
    assert not offenders


def test_mappings_and_templates_contain_no_logic() -> None:
    for package in ("mappings", "cda_templates"):
        for path in (ROOT / package).rglob("*.py"):
            statements = [node for node in ast.parse(path.read_text("utf-8")).body if not isinstance(node, ast.Expr)]
            assert not statements, f"{path.relative_to(ROOT)} has logic"


# --- One safe XML parser ----------------------------------------------------------------------------------------------

XML_FACTORY = "frontend_agent.formats.xml"
PARSING = re.compile(r"^(etree|lxml\.etree|objectify|html)\.(parse|iterparse|fromstring|fromstringlist|XML|HTML|XMLParser|XMLPullParser|XMLID|ETCompatXMLParser)$")  # fmt: skip
OTHER_PARSERS = ("xml.etree", "xml.dom", "xml.sax", "xml.parsers", "lxml.html", "lxml.objectify")


def test_xml_is_parsed_by_the_one_safe_factory_only() -> None:
    offenders = {}
    for module in modules():
        if module.name == XML_FACTORY:
            continue
        found = [f"line {call.lineno}: {name}" for name, call in calls(module.tree) if PARSING.match(name)]
        found += sorted(module.reaches(*OTHER_PARSERS))
        found += sorted(
            name for name in module.imports if re.match(r"lxml\.etree\.(parse|fromstring|XML|iterparse)", name)
        )
        if found:
            offenders[module.name] = found
    assert not offenders


RUNNING = re.compile(r"\b(XSLT|xslt|XInclude|xinclude|ElementInclude|Schematron)\s*\(")


def test_nothing_runs_a_stylesheet_or_an_inclusion() -> None:
    """Threat X4: both read and write files by themselves."""
    offenders = [
        f"{module.path.relative_to(ROOT)}: {name}"
        for module in modules()
        for name, _ in calls(module.tree)
        if RUNNING.search(f"{name}(")
    ]
    assert not offenders


# --- A catch-all says why ---------------------------------------------------------------------------------------------


def broad_handlers(tree: ast.Module) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            is_broad = any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in caught)
            raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if is_broad and not raises_again:  # undoing and raising again hides nothing
                yield node


def comment_lines(path: Path) -> set[int]:
    """Lines with a comment that says something: a bare `noqa` or `type: ignore` is not a reason."""
    with path.open("rb") as file:
        return {
            token.start[0]
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT
            and re.sub(r"#\s*(noqa(:\s*[A-Z0-9, ]+)?|type:\s*ignore(\[[^\]]*\])?)", "", token.string).strip("# -—:")
        }


def test_every_broad_except_says_why() -> None:
    offenders = []
    for module in modules():
        handlers = list(broad_handlers(module.tree))
        if not handlers:
            continue
        commented = comment_lines(module.path)
        # on the line, just above it, or the first thing inside
        offenders += [
            f"{module.path.relative_to(ROOT)}:{handler.lineno}"
            for handler in handlers
            if not commented & set(range(handler.lineno - 1, handler.body[0].lineno + 1))
        ]
    assert not offenders


# --- Nothing of one machine in the repository -------------------------------------------------------------------------


@cache
def tracked_files() -> tuple[Path, ...]:
    """What git tracks; without git, everything that is not obviously made here."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listing = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
        if listing.returncode == 0:
            return tuple(
                path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()
            )
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(ROOT).parts)
    )


# Written in two halves, so that this file does not find itself.
OF_ONE_MACHINE = re.compile(
    rb"/wo" rb"rk/|/ro" rb"ot/|/ho" rb"me/[a-z]|/opt/py" rb"pi|/opt/whe" rb"els|/tm" rb"p/v\b"
    rb"|py" rb"pi\.org|python" rb"hosted\.org|npm" rb"js\.(org|com)|deb\.deb" rb"ian\.org|conda\.an" rb"aconda"
    rb"|--(extra-)?index" rb"-url|--find" rb"-links"
)  # fmt: skip
BINARY = {".png", ".jpg", ".ico", ".zst", ".db", ".gz"}


def test_no_tracked_file_names_a_machine_path_or_a_registry() -> None:
    # the locker tells uv *not* to write them
    allowed = {"tools/lock": re.compile(rb"--no-emit-(index-url|find-links)|unset .*|--no-index")}
    offenders = []
    for path in tracked_files():
        if path.suffix in BINARY:
            continue
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if name in allowed:
                line = allowed[name].sub(b"", line)
            if OF_ONE_MACHINE.search(line):
                offenders.append(f"{name}:{number}")
    assert not offenders


# --- The lock ---------------------------------------------------------------------------------------------------------


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, str]:
    pins = re.findall(r"^([A-Za-z0-9][\w.-]*)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    return {normal(name): version for name, version in pins}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_every_locked_package_has_hashes(lock: str) -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    assert blocks
    assert not [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block]


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    import tomllib

    from packaging.requirements import Requirement  # comes with pytest

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    run = [*project["dependencies"], *extras["postgresql"], *extras["mysql"]]
    for lock, wanted in (
        ("requirements.lock", run),
        ("requirements-test.lock", [*run, *extras["test"], *extras["dev"]]),
    ):
        pins = locked(lock)
        for text in wanted:
            requirement = Requirement(text)
            version = pins.get(normal(requirement.name))
            assert version, f"{lock} lacks {requirement.name}: run tools/lock"
            assert requirement.specifier.contains(version), f"{lock}: {requirement} but {version}: run tools/lock"


def test_both_locks_agree() -> None:
    run, test = locked("requirements.lock"), locked("requirements-test.lock")
    assert run.items() <= test.items()

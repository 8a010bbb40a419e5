"""What the pages of the documentation leave open, and where what cannot be run in a test of seconds is run instead.

Every command of every page is run as it is printed, but for what stands here: names that a reader replaces by his own (`WORDS`), commands
that last until somebody ends them (`LASTING`), exit codes that are the very point of the example (`CODES`), and what needs a machine of its
own (`ELSEWHERE`): of that the place is named which proves it, and a text that must stand there.
"""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.conftest import REPOSITORY
from tests.guide_kit import FOLDER, blocks
from tests.servers import free_port

if TYPE_CHECKING:
    from tests.guide_places import Place

LINE = ".*"


@dataclass(frozen=True)
class Elsewhere:
    """Commands that are not run here: why, the file that runs them, and what stands in it."""

    lines: str  # a pattern of the whole line, without sudo
    why: str
    file: str
    says: str
    page: str = ""  # on this page only


BOOTED = "needs a machine with systemd that is booted for it"
PACKAGED = "needs the package that tools/package makes, and a bare Debian"
SERVICE = "tests/acceptance/test_service.py"
UPGRADES = "tests/acceptance/test_upgrade.py"
PACKAGE = "tests/integration/test_package.py"

CLI = r"(sudo )?frontend-agent "
JOINING, ACTS, INBOX = (
    "tests/integration/test_joining_cli.py",
    "tests/unit/test_image_operations.py",
    "tests/integration/test_inlets_daemon.py",
)
PEER = "needs another system on the other side"
DAEMON = "asks a daemon of a certain configuration"

ELSEWHERE = (
    Elsewhere(r"systemctl (enable --now|start|stop|restart|status|daemon-reload).*", BOOTED, SERVICE, '"systemctl", "start", "frontend-agent"'),
    Elsewhere(r"systemctl edit .*", "opens an editor; what it would write is tried", SERVICE, '"systemctl", "daemon-reload"'),
    Elsewhere(r"journalctl .*", BOOTED, SERVICE, '"journalctl", "-u", "frontend-agent"'),
    Elsewhere(r"frontend-agent (init|check) --config /etc/frontend-agent/agent.toml", BOOTED, "tests/hospital_machine.py", "agent.toml"),
    Elsewhere(r"frontend-agent --config /etc/frontend-agent/agent.toml (init|check)", BOOTED, "tests/hospital_machine.py", "agent.toml"),
    Elsewhere(r"apt purge frontend-agent|(dpkg|rpm) .*", PACKAGED, PACKAGE, '"dpkg", "--purge", "frontend-agent"'),
    Elsewhere(r"tar --zstd .*", PACKAGED, PACKAGE, "install.sh"),
    Elsewhere(r"/opt/frontend-agent/current/uninstall.sh", PACKAGED, PACKAGE, '"/opt/frontend-agent/current/uninstall.sh"'),
    Elsewhere(CLI + r"program .*", PACKAGED, PACKAGE, '"program", "verify"'),
    Elsewhere(CLI + r"upgrade .*", "needs two packages, installed", UPGRADES, 'upgrade(hospital, "rollback", "--reason"'),
    Elsewhere(
        r"openssl pkeyutl -verify .*|openssl pkey -pubin .*|sha256sum -c --ignore-missing SHA256SUMS",
        "needs the files of a release", "tests/unit/test_program.py",
        "openssl pkeyutl -verify -pubin -inkey release-key.pem -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig",
    ),
    Elsewhere(r"tools/package .*", "fetches from a registry and takes minutes", "tests/package_kit.py", "tools/package"),
    Elsewhere(r"\./demo.*", "is the whole of it", "tests/acceptance/test_demo.py", "demo"),
    Elsewhere(r"\./test.*|\./benchmark.*", "is what runs this test", "test", "--dist loadfile"),
    Elsewhere(CLI + r"secret set .*|cat id_ed25519 .*", "needs systemd's credentials", "tests/integration/test_secrets_of_a_service.py", '"secret", "set"'),
    Elsewhere(CLI + r"secret test.*", PEER, "tests/unit/test_secret_commands.py", '"secret", "test"'),
    Elsewhere(CLI + r"at-rest (secret|rekey).*", "needs a state that is sealed", "tests/unit/test_at_rest.py", '"at-rest", "rekey"'),
    Elsewhere(CLI + r"console (link|password|remove).*", DAEMON, "tests/integration/test_console_people.py", '"console", "password"'),
    Elsewhere(CLI + r"receipts (confirm|reopen).*", PEER, "tests/integration/test_receipts_cli.py", '"confirm", "region"'),
    Elsewhere(CLI + r"inlet (message|read|discard) .*", "needs messages that came", INBOX, '"inlet", "read"'),
    Elsewhere(CLI + r"inlet tap .*", "looks on while messages come", INBOX, '"tap"'),
    Elsewhere(CLI + r"vanished void .*", "needs a record that vanished at its source", "tests/unit/test_finding_words.py", '"vanished", "void"'),
    Elsewhere(CLI + r"platform examine --schema .*", "needs HL7's own schema", "tests/integration/test_foreign_documents.py", "CDA_SDTC"),
    Elsewhere(CLI + r"images (release|discard|look) .*|frontend-agent quarantine (show|release) I12", "needs a study that is held", ACTS, '"images", "release"'),
    Elsewhere(CLI + r"images show 2\.25\.2931….*", "needs a destination without identity", "tests/unit/test_images_known_as.py", "known_as"),
    Elsewhere(CLI + r"images pull .*", "needs a PACS that is asked", "tests/unit/test_image_operations.py", "images_pull"),
    Elsewhere(CLI + r"images backfill (begin|stop|resume) .*", "needs a PACS that is asked", "tests/integration/test_fetching_agent.py", '"backfill", "stop"'),
    Elsewhere(r"echoscu .*|dcmsend .*", "needs a running listener", "tests/integration/test_dicom_received.py", "dcmsend"),
    Elsewhere(r"mv /srv/ecg/.*", "needs a file that was refused", "tests/unit/test_images_scans.py", "refused"),
    Elsewhere(r"pip install 'frontend-agent\[viewer\]'.*", "needs a registry", "tests/integration/test_platform_studies.py", "pip install"),
    Elsewhere(r"python tools/viewer.py.*", "needs a registry", "tests/unit/test_viewer_build.py", "viewer"),
    Elsewhere(r"curl .*(rendered|thumbnail).*", "needs a study and its numbers", "tests/integration/test_platform_studies.py", "/rendered"),
    Elsewhere(r"curl .*@slice.dcm .*", "needs an instance", "tests/integration/test_platform_stow.py", "application/dicom"),
    Elsewhere(CLI + r"init --odbc .*", "needs a data source of ODBC", "tests/integration/test_init.py", "--odbc"),
    Elsewhere(CLI + r"(--state /var/lib/frontend-platform )?platform (ca|enroll-token|enrolments|approve|certificates|revoke|serve).*|frontend-agent enroll|frontend-agent certificate .*", "is followed as a whole", JOINING, '"platform", "ca", "init", "--root-key"', "joining.md"),
    Elsewhere(CLI + r"--state /var/lib/frontend-platform platform (people|serve|log).*", "asks for passwords, and shows a certificate", "tests/integration/test_platform_people.py", '"people", "add"', "platform-logins.md"),
    Elsewhere(CLI + r"platform (ca|serve) .*|nginx .*", "is tried with nginx before it", "tests/integration/test_joining_proxy.py", "nginx", "tls.md"),
    Elsewhere(CLI + r"platform serve --signatures .*|frontend-agent verify .*", "needs signed documents", "tests/integration/test_platform_signatures.py", '"signatures"', "signatures.md"),
    Elsewhere(r"chown .*|chmod .*", "needs the service's account", "tests/hospital_machine.py", "frontend-agent"),
    Elsewhere(r"useradd .*|frontend-agent people me|frontend-agent preview .* --why .*", "needs accounts of three people", "tests/integration/test_people_socket.py", '"people", "me"', "people.md"),
    Elsewhere(CLI + r"source procedures .*", "needs a server with procedures", "tests/integration/test_guests_daemon.py", '"procedures", '),
    Elsewhere(CLI + r"status --watch", "draws on a terminal", "tests/integration/test_status_watch.py", '"--watch"'),
    Elsewhere(CLI + r"alarms test duty", "needs a robot that is told", "tests/integration/test_alarms_told.py", "dingtalk"),
    Elsewhere(CLI + r".*platform serve --dicom-port .*", "needs certificates of its peers", "tests/integration/test_platform_dicom_port.py", "read_peers"),
    Elsewhere(r"frontend-agent docs", "opens the documentation that tools/site made", "tests/unit/test_site.py", "docs"),
    *(
        Elsewhere(r".*", "is done in a copy of the source", "tests/integration/test_guides_extending.py", page, page)
        for page in ("extend-connector.md", "extend-kind.md", "extend-rule.md")
    ),
    Elsewhere(r".*", "is the runbook, tried as a whole", "tests/integration/test_operations_guide.py", "operations", "operations.md"),
    Elsewhere(CLI + r"platform upgrades .*", "needs packages that are offered", "tests/integration/test_upgrade_offered.py", '"upgrades"', "fleet.md"),
    Elsewhere(CLI + r"(gap|enroll) .*", "needs two halves", "tests/integration/test_gap.py", '"gap"', "gap.md"),
    Elsewhere(r"sha256sum verify.py .*|python3 verify.py .*", "needs what an auditor was given", "tests/unit/test_qc_verifier.py", "verify.py", "audit.md"),
    Elsewhere(r"-u frontend-agent frontend-agent once", "needs the service's account", "tests/integration/test_people_socket.py", '"people", "me"', "people.md"),
    Elsewhere(CLI + r"tables shared .*", "needs the region's database", "tests/integration/test_shared_tables.py", "shared"),
    Elsewhere(CLI + r"rules pack (build|key|verify|install|shadow|activate|show) .*|openssl genpkey .*|frontend-agent rules shadow.*|frontend-agent platform serve --pack .*|frontend-agent try .* --pack .*", "is followed as a whole with a pack that it makes", "tests/unit/test_cli_packs.py", '"build"'),
    Elsewhere(CLI + r"terms (approve|reject|undo|import|export) .*", "needs the codes of a site", "tests/unit/test_terms_cli.py", '"approve"'),
    Elsewhere(CLI + r"withheld acknowledge .*", "needs a document that is withheld after it was sent", "tests/unit/test_cli.py", '"withheld acknowledge"'),
    Elsewhere(r"body=.*|sign=.*|curl -H \"X-Hub-.*", "needs a running listener", "tests/integration/test_webhook_inlets.py", "hmac"),
    Elsewhere(r"curl -k https://127.0.0.1:8443/hip.*", "needs a running listener", "tests/integration/test_soap_inlet.py", "wsdl"),
)  # fmt: skip

# What lasts until somebody ends it: a page (empty: all), a pattern of the line, what it says once it works. On a page that is named it goes on
# until the page ends, as in a second terminal.
LASTING: tuple[tuple[str, str, str], ...] = (
    ("first-feed.md", r"frontend-agent platform serve", r"platform ready|platform\.ready"),
    ("first-feed.md", r"frontend-agent run", r"daemon\.ready"),
    ("region-administrator.md", r"frontend-agent platform serve.*", r"platform ready|platform\.ready"),
    ("", r"frontend-agent .*platform serve.*", r"platform ready|platform\.ready"),
    ("", r"frontend-agent run", r"daemon\.ready"),
)

# Pages whose place differs: what stands in agent.toml besides, what is done before the first command.
DROP = '[inlets.drop]\ntype = "folder"\npath = "drop"\n[[feeds]]\nname = "dropped"\nsource = "drop"\nmapping = "hl7v2/lab_report"\n'
MORE: dict[str, str] = {
    "destinations.md": '[destinations.region]\ntype = "folder"\nurl = "file:///tmp"\n',
    **dict.fromkeys(("files.md", "inlets.md", "mllp.md", "soap-listener.md"), DROP),
}


def _drop(place: Place) -> None:
    (place.folder / "drop").mkdir()


def _a_document(place: Place) -> None:
    shown = place.do(f"frontend-agent platform show {place.document} --xml")
    (place.folder / "record.xml").write_text(shown.out, "utf-8")


def _no_agent_toml(place: Place) -> None:
    (place.folder / "agent.toml").unlink()


def _port(place: Place) -> None:
    place.port = free_port()


def _rows(place: Place) -> None:
    """A report and its items in files, as `try --rows` takes them; a mapping and a profile that are to be tried."""
    mapping = REPOSITORY / "mappings" / "demo_lis"
    shutil.copytree(mapping, place.folder / "new")
    (place.folder / "new.toml").write_text('extends = "regional"\n', "utf-8")
    with contextlib.closing(sqlite3.connect(place.folder / "hospital" / "lis.db")) as database:
        for name, query in (("report", "lab_report.sql"), ("items", "lab_report.items.sql")):
            sql = (mapping / query).read_text("utf-8")
            found = database.execute(f"SELECT * FROM ({sql}) WHERE report_number = ?", (place.report,))
            with (place.folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file)
                rows.writerow([column[0] for column in found.description])
                rows.writerows(found)


def _his(place: Place) -> None:
    """The hospital's system of extend-mapping.md, and the files that the page prints."""
    for block in blocks(FOLDER / "extend-mapping.md"):
        first, _, rest = block.text.partition("\n")
        name = first.lstrip("#- ").partition(":")[0]
        if name == "his.sql":
            with contextlib.closing(sqlite3.connect(place.folder / "ourhis.db")) as database:
                database.executescript(rest)
        elif name.startswith("mappings/"):
            path = place.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.language == "toml":
            config = place.folder / "agent.toml"
            config.write_text(config.read_text("utf-8") + block.text, "utf-8")


EMPTY = ("first-feed.md",)  # pages that begin with an empty folder


def _its_platform(place: Place) -> None:
    """The test platform listens where no other test does."""
    path = place.folder / "agent.toml"
    path.write_text(path.read_text("utf-8").replace("http://127.0.0.1:8480", f"http://127.0.0.1:{place.port}"), "utf-8")


def _region(place: Place) -> None:
    """A region that has nothing yet, and a hospital whose agent.toml names it."""
    place.port = free_port()
    place.stop_platform()
    shutil.rmtree(place.folder / "platform-state")
    for one in (place.folder / "agent").iterdir():
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    path = place.folder / "agent.toml"
    text = path.read_text("utf-8").replace(place.url, f"https://localhost:{place.port}")
    path.write_text(text.partition("[images]")[0] + "[[feeds]]" + text.partition("[[feeds]]")[2], "utf-8")


def _hospital_asks(place: Place) -> None:
    place.token = re.findall(r"\bfa1\.\S+", place.said)[0]
    place.do(f"frontend-agent enroll --token {place.token}")


def _hospital_delivers(place: Place) -> None:
    for command in (f"frontend-agent enroll --token {place.token}", "frontend-agent once"):
        assert (done := place.do(command)).code == 0, done


def _stopped(place: Place) -> None:
    """No platform runs on this folder."""
    place.stop_platform()
    place.port = free_port()


def _served(place: Place) -> None:
    """A platform that has been served: its log has begun."""
    place.stop_platform()
    place.starts(f"frontend-agent platform serve --port {free_port()}", LASTING[0][2])
    place.stops()


BEFORE: dict[str, Callable[[Place], None]] = {
    **dict.fromkeys(("files.md", "inlets.md", "mllp.md", "soap-listener.md"), _drop),
    "foreign-documents.md": _a_document,
    "init.md": _no_agent_toml,
    "first-feed.md": _port,
    **dict.fromkeys(("audit.md", "fleet.md"), _served),
    "people.md": _served,
    "images-platform.md": _stopped,
    "mending.md": _rows,
    "extend-mapping.md": _his,
    "region-administrator.md": _region,
}

# What happens outside of a page's commands, after one of them: page, pattern of the line.
AFTER: tuple[tuple[str, str, Callable[[Place], None]], ...] = (
    ("first-feed.md", r"frontend-agent init .*", _its_platform),
    ("region-administrator.md", r"frontend-agent platform enroll-token .*", _hospital_asks),
    ("region-administrator.md", r"frontend-agent platform approve .*", _hospital_delivers),
    ("region-administrator.md", r"systemctl stop frontend-platform", lambda place: place.stops()),
)

# Page (empty: all), pattern of the line, what stands there, and what stands there instead.
Said = str | Callable[["Place"], str]
WORDS: tuple[tuple[str, str, str, Said], ...] = (
    ("", LINE, "DOCUMENT…", lambda place: place.document),
    ("", LINE, "DOCUMENT", lambda place: place.document),
    ("", LINE, "C0007-…-1", lambda place: place.document),
    ("", LINE, "L20260316000017", lambda place: place.report),
    ("", LINE, "R20260930001", lambda place: place.report),
    ("", r"frontend-agent backfill .*", "--window 22:00-06:00", "--window 00:00-23:59"),  # one that is open now
    ("", LINE, "/var/lib/frontend-platform", "platform-state"),
    ("", LINE, "报告号", lambda place: place.report),
    ("", LINE, "1.2.840.…", lambda place: place.study),
    ("quarantine.md", LINE, "Q17", "Q1"),
    ("", r"frontend-agent (quarantine|inlet) .*", "Q17", "Q1"),
    ("", r"frontend-agent quarantine .*", "Q12", "Q1"),
    ("", r"frontend-agent quarantine releases .*", "releases 7", "releases 1"),
    ("", r"frontend-agent inlet (show|messages) .*", " lis", " drop"),
    ("", r"frontend-agent inlet show .*", " his_push", " drop"),
    ("backfill.md", LINE, " 3", " 1"),
    ("", r"curl .*", "http://127.0.0.1:8480", lambda place: place.url),
    ("foreign-documents.md", LINE, "--state platform-state platform add", "--state another platform add"),
    ("init.md", r".* --table .*", "--kind C0004", "--kind C0004 --into again"),
    ("reports.md", LINE, "C0002-…-1", lambda place: place.document),
    ("region-administrator.md", LINE, "0.0.0.0:8443 --name region.example", lambda place: f"127.0.0.1:{place.port} --name localhost --port 0"),
    ("region-administrator.md", LINE, "approve 7", lambda place: f"approve {place.waiting}"),
    ("init.md", LINE, "mz_cf.zje", "mz_cfmx.je"),
    ("init.md", LINE, "postgresql://reader@10.0.0.5/his --secret his", lambda place: f"sqlite:///{place.folder}/hospital/his.db"),
    ("first-feed.md", LINE, "--visits 100", "--visits 20"),
    ("images-platform.md", LINE, "platform serve", lambda place: f"platform serve --port {place.port}"),
    ("first-feed.md", LINE, "platform serve", lambda place: f"platform serve --port {place.port}"),
    ("first-feed.md", LINE, "BG26031600000001", lambda place: place.do("frontend-agent receipts") and place.report),
)  # fmt: skip

# Page, pattern of the line, the exit code that it has here, and why.
CODES: tuple[tuple[str, str, int, str], ...] = (
    ("alarms.md", r"frontend-agent status --check.*", 2, "no daemon runs: that is what it is there to say"),
    ("monitoring.md", r"frontend-agent status --check.*", 2, "no daemon runs: that is what it is there to say"),
    ("init.md", r"frontend-agent init", 1, "the lines before it made an agent.toml, and nothing is written over"),
)

# Pattern of the line, and what is typed.
GIVEN: tuple[tuple[str, str], ...] = ((r".* --passphrase", "a long passphrase\na long passphrase\n"),)


def elsewhere(page: str, line: str) -> Elsewhere | None:
    line = re.sub(r"^sudo ", "", line)
    of_the_page_first = sorted(ELSEWHERE, key=lambda one: not one.page)
    return next((one for one in of_the_page_first if one.page in ("", page) and re.fullmatch(one.lines, line)), None)


def lasting(page: str, line: str) -> tuple[str, bool]:
    """What it says once it works ("": it does not last), and whether it goes on until the page ends."""
    return next(
        ((ready, bool(of)) for of, lines, ready in LASTING if of in ("", page) and re.fullmatch(lines, line)),
        ("", False),
    )


def after(page: str, line: str, place: Place) -> None:
    for of, lines, act in AFTER:
        if of == page and re.fullmatch(lines, line):
            act(place)


FOREIGN = re.compile(
    r"\b(?!127\.)\d{1,3}(\.\d{1,3}){3}\b|(?<![\w./])/(?!dev/null)[a-z]+/|[a-z]+://(?!127\.|localhost|/)"
)


def is_at_home(line: str, place: Place) -> bool:
    """Whether it names no file and no machine but those of its place: a test touches nothing else."""
    return not FOREIGN.search(line.replace(str(place.folder), ""))


def code(page: str, line: str) -> int:
    return next((code for of, lines, code, _ in CODES if of == page and re.fullmatch(lines, line)), 0)


def given(line: str) -> str:
    line = re.sub(r"^sudo ", "", line)
    return next((text for lines, text in GIVEN if re.fullmatch(lines, line)), "")


def as_here(page: str, line: str, place: Place) -> str:
    """The line with the names of this place."""
    for of, lines, before, after in sorted(WORDS, key=lambda one: one[0] == ""):  # those of a page first
        if of in ("", page) and before in line and re.fullmatch(lines, line):
            line = line.replace(before, after if isinstance(after, str) else after(place))
    return line

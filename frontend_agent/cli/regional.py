"""`frontend-agent platform`: the receiving side, for demonstrations, small regions and tests."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from frontend_agent import logs
from frontend_agent.cli import authorities, output, platform_log, platform_people, region_upgrades, signatures, studies
from frontend_agent.cli.platform_log import said
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.packs import Pack
    from frontend_agent.platform.catalogue import Catalogue
    from frontend_agent.platform.fleet import Hospital

DEFAULT_STATE = Path("platform-state")
DEFAULT_PORT = 8480


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("platform"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="platform")
    _add_serve(group, t)
    _add_reading(group, t)
    _add_hospitals(group, t)
    _add_reconciliations(group, t)
    _add_foreign(group, t)
    studies.add_to(group, t, _reading, _folder)
    authorities.add_to(group, t, _folder)
    platform_log.add_to(group, t, _folder)
    platform_people.add_to(group, t, _folder)
    signatures.add_to_platform(group, t, _reading)
    region_upgrades.add_to(group, t, _reading, _folder)


def _add_serve(group: typer.Typer, t: Texts) -> None:
    @group.command("serve", help=t("platform.serve"))
    def serve_platform(
        context: typer.Context,
        host: Annotated[str, typer.Option(help=t("platform.host"))] = "127.0.0.1",
        port: Annotated[int, typer.Option(help=t("platform.port"), min=0, max=65535)] = DEFAULT_PORT,
        schema: Annotated[Path | None, typer.Option(help=t("platform.schema"))] = None,
        pack: Annotated[Path | None, typer.Option(help=t("platform.pack"))] = None,
        trust: Annotated[Path | None, typer.Option(help=t("platform.trust"))] = None,
        dicom_port: Annotated[int | None, typer.Option(help=t("platform.dicom_port"), min=0, max=65535)] = None,
        dicom_peers: Annotated[Path | None, typer.Option(help=t("platform.dicom_peers"))] = None,
        tls: Annotated[list[str] | None, typer.Option(help=t("platform.tls"))] = None,
        name: Annotated[list[str] | None, typer.Option(help=t("platform.name"))] = None,
        certificate: Annotated[Path | None, typer.Option(help=t("platform.certificate"))] = None,
        key: Annotated[Path | None, typer.Option(help=t("platform.key"))] = None,
        proxy: Annotated[Path | None, typer.Option(help=t("platform.proxy"))] = None,
        signatures: Annotated[Path | None, typer.Option(help=t("platform.signatures_file"))] = None,
        people: Annotated[list[str] | None, typer.Option(help=t("platform.people_at"))] = None,
        people_certificate: Annotated[Path | None, typer.Option(help=t("platform.people_certificate"))] = None,
        people_key: Annotated[Path | None, typer.Option(help=t("platform.people_key"))] = None,
    ) -> None:
        from frontend_agent.platform.server import AgentsListening, PeopleListening, serve

        agents = None
        if tls or proxy:
            at = tuple(_host_and_port(t, one) for one in tls or ())
            agents = AgentsListening(tls=at, names=tuple(name or ()), certificate=certificate, key=key, proxy=proxy)

        visited = None
        if people:
            at = tuple(_host_and_port(t, one) for one in people)
            visited = PeopleListening(at=at, names=tuple(name or ()), certificate=people_certificate, key=people_key)
        logs.to_stderr(identifier="frontend-platform")
        logs.threads()
        serve(
            _folder(context),
            host,
            port,
            schema=schema,
            pack=_pack(pack, trust),
            dicom_port=dicom_port,
            dicom_peers=dicom_peers,
            agents=agents,
            signatures=signatures,
            people=visited,
        )


def _host_and_port(t: Texts, address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise typer.BadParameter(t("platform.no_address", address=address))
    return host.removeprefix("[").removesuffix("]"), int(port)


def _pack(file: Path | None, trust: Path | None) -> "Pack | None":
    """The pack that the hospitals should judge by, proven."""
    from datetime import date

    from frontend_agent import __version__
    from frontend_agent.packs import open_pack
    from frontend_agent.wire.receipts import public_key_of

    if file is None:
        return None
    key = public_key_of(_content(trust)) if trust else b""
    if not key:
        raise ConfigurationError("--pack needs --trust: the public key (PEM, Ed25519) that signed it")
    return open_pack(_content(file), {"--trust": key}, date.today(), __version__)


def _add_hospitals(group: typer.Typer, t: Texts) -> None:
    @group.command("hospitals", help=t("platform.hospitals"))
    def hospitals(
        context: typer.Context,
        pack: Annotated[Path | None, typer.Option(help=t("platform.pack"))] = None,
        trust: Annotated[Path | None, typer.Option(help=t("platform.trust"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.packs import compared
        from frontend_agent.packs.content import everything

        ours = everything(_pack(pack, trust))
        with _reading(context) as catalogue:
            names, packs = catalogue.institutions(), catalogue.agents_packs()
            agents = {agent.institution: agent for agent in catalogue.agents() if not agent.superseded_by}
            standing = {one.institution: one for one in catalogue.hospitals()}
            documents: dict[str, int] = {}
            for tally in catalogue.tallies():
                documents[tally.institution] = documents.get(tally.institution, 0) + tally.documents
        told: list[dict[str, Any]] = [
            {
                "institution": institution,
                "name": names.get(institution, ""),
                "documents": documents.get(institution, 0),
                "last_seen": agents[institution].last_seen if institution in agents else "",
                "packs": packs.get(institution, {}),
                "skew": [msgspec.to_builtins(one) for one in compared(ours, packs.get(institution, {}))],
                **_told_standing(standing.get(institution)),
            }
            for institution in sorted({*names, *agents, *standing})
        ]
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("institution", "name", "documents", "heartbeat", "level", "waiting", "version", "pack", "skew"),
            [
                (one["institution"], one["name"], one["documents"], one["heartbeat"] or one["last_seen"],
                 _level(t, one["level"]), one["waiting"], one["version"], one["packs"].get("pack", ""),
                 ", ".join(skew["what"] for skew in one["skew"]))
                for one in told
            ],
        )  # fmt: skip


def _told_standing(hospital: "Hospital | None") -> dict[str, Any]:
    """How a hospital stands by its newest heartbeat; nothing of one whose agent never sent any."""
    from datetime import UTC, datetime

    from frontend_agent.platform.fleet import told_alarms

    beat = hospital.beat if hospital else None
    return {
        "heartbeat": hospital.received_at if hospital else "",
        "silent_since": hospital.silent_since if hospital else "",
        "level": hospital.level if hospital else "",
        "version": beat.version if beat else "",
        "upgrade": msgspec.to_builtins(beat.upgrade) if beat else None,
        "started": beat.started if beat else "",
        "clock": hospital.skew if hospital else None,
        "waiting": int(beat.figures.get("waiting", 0)) if beat else None,
        "figures": beat.figures if beat else {},
        "feeds": [msgspec.to_builtins(one) for one in beat.feeds] if beat else [],
        "alarms": told_alarms(hospital, datetime.now(UTC)) if hospital else [],
    }


def _level(t: Texts, level: str) -> str:
    return {"critical": t("level.critical"), "warning": t("level.warning")}.get(level, "")


def _add_reconciliations(group: typer.Typer, t: Texts) -> None:
    @group.command("reconciliations", help=t("platform.reconciliations"))
    def reconciliations(
        context: typer.Context,
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        first_day: Annotated[int, typer.Option("--from", help=t("platform.day"))] = 0,
        last_day: Annotated[int, typer.Option("--to", help=t("platform.day"))] = 99_991_231,
        differing: Annotated[bool, typer.Option("--differing", help=t("platform.differing"))] = False,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 200,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _reading(context) as catalogue:
            found = catalogue.reconciled(institution, first_day, last_day, differing, limit)
        if json:
            output.as_json([msgspec.to_builtins(one) for one in found])
            return
        output.table(
            t,
            (
                "day", "institution", "feed", "kind", "department", "at_source", "at_agent", "proven", "at_platform",
                "explained", "missed", "differing", "mended", "time",
            ),
            [
                (
                    str(one.day), one.institution_name or one.institution, one.feed, one.kind, one.department, one.source,
                    one.agent, one.delivered, one.here, one.explained or None, one.missed or None, one.differing or None,
                    one.mended or None, one.said_at,
                )
                for one in found
            ],
        )  # fmt: skip


def _add_reading(group: typer.Typer, t: Texts) -> None:
    @group.command("documents", help=t("platform.documents"))
    def documents(
        context: typer.Context,
        patient: Annotated[str, typer.Option(help=t("platform.patient"))] = "",
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        kind: Annotated[str, typer.Option(help=t("platform.kind"))] = "",
        first_day: Annotated[str, typer.Option("--from", help=t("platform.day"))] = "",
        last_day: Annotated[str, typer.Option("--to", help=t("platform.day"))] = "",
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 50,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.platform.catalogue import Search

        first, last = studies.day_of(t, first_day), studies.day_of(t, last_day)
        search = Search(institution=institution, patient=patient, kind=kind, first_day=first, last_day=last)
        with _reading(context) as catalogue:
            of = {"institution": institution, "kind": kind, "from": first, "to": last, "by_patient": bool(patient)}
            said(context.obj[0], _folder(context), "platform_documents", **of)
            found = catalogue.documents(search, 1, limit)
        if json:
            output.as_json([msgspec.to_builtins(one) for one in found])
            return
        output.table(
            t,
            ("document", "kind", "patient", "institution", "time", "version"),
            [
                (
                    one.document_id,
                    one.kind,
                    one.patient_name,
                    one.institution_name or one.institution,
                    one.authored_at,
                    one.version,
                )
                for one in found
            ],
        )

    @group.command("show", help=t("platform.show"))
    def show(
        context: typer.Context,
        document: Annotated[str, typer.Argument(help=t("trace.document"))],
        xml: Annotated[bool, typer.Option("--xml", help=t("preview.xml"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.formats import NotOurs, headline, load_kind, view

        with _reading(context) as catalogue:
            said(context.obj[0], _folder(context), "platform_show", document=document)
            stored = catalogue.document(document)
        if stored is None:
            raise FrontendAgentError(f"no document {document!r} is stored in {_folder(context)}")
        if xml:
            sys.stdout.write(stored.decode())
            return
        try:
            kind = load_kind(headline(stored).kind)
        except NotOurs:
            _show_foreign(stored, json, t)
            return
        record = kind.reader(stored)
        if json:
            output.as_json({"document_id": document, "kind": kind.code, "record": record})
        else:
            output.document_view(msgspec.to_builtins(view(kind, record)), t)


def _add_foreign(group: typer.Typer, t: Texts) -> None:
    @group.command("examine", help=t("platform.examine"))
    def examine_files(
        files: Annotated[list[Path], typer.Argument(help=t("platform.files"))],
        schema: Annotated[Path | None, typer.Option(help=t("platform.schema"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.formats.foreign import examine
        from frontend_agent.platform.judging import quality
        from frontend_agent.platform.schema import with_schema

        look = with_schema(schema) if schema else examine
        answers = []
        for file in files:
            content = _content(file)
            examined = look(content)
            answers.append(
                {
                    "file": str(file),
                    "kind": examined.kind,
                    "form": examined.form,
                    "reasons": list(examined.reasons),
                    "notes": list(examined.notes),
                    "findings": [msgspec.to_builtins(one) for one in quality(examined, content)],
                    "checked_with": list(examined.checked_with),
                }
            )
        _tell_foreign(answers, json, t)

    @group.command("add", help=t("platform.add"))
    def add(
        context: typer.Context,
        files: Annotated[list[Path], typer.Argument(help=t("platform.files"))],
        institution: Annotated[str, typer.Option(help=t("platform.sender"))] = "",
        schema: Annotated[Path | None, typer.Option(help=t("platform.schema"))] = None,
        signatures: Annotated[Path | None, typer.Option(help=t("platform.signatures_file"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.formats.foreign import examine
        from frontend_agent.platform.schema import with_schema
        from frontend_agent.platform.signatures import Signatures
        from frontend_agent.platform.store import Store

        look = with_schema(schema) if schema else examine
        store = Store(_folder(context), foreign=look, signatures=Signatures(signatures) if signatures else None).open()
        answers = []
        try:
            said(context.obj[0], _folder(context), "platform_add", files=len(files), institution=institution)
            for file in files:
                posted = store.take_document(_content(file), institution)
                examined = posted.examined
                answers.append(
                    {
                        "file": str(file),
                        "outcome": str(posted.outcome),
                        "document_id": posted.document_id,
                        "kind": examined.kind,
                        "form": examined.form,
                        "reasons": list(posted.reasons),
                        "notes": list(examined.notes),
                        "checked_with": list(examined.checked_with),
                    }
                )
        finally:
            store.close()
        _tell_foreign(answers, json, t)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FrontendAgentError(f"{file}: cannot be read ({error.strerror})") from error


def _tell_foreign(answers: list[dict[str, Any]], json: bool, t: Texts) -> None:
    """One line per file, its reasons under it; exit 1 if one was refused."""
    if json:
        output.as_json(answers)
    else:
        output.table(
            t,
            ("file", "outcome", "kind", "document", "reasons"),
            [
                (
                    one["file"],
                    one.get("outcome") or (t("platform.refused") if one["reasons"] else t("platform.fit")),
                    one["kind"],
                    one.get("document_id", ""),
                    "\n".join([*one["reasons"], *one["notes"]]),
                )
                for one in answers
            ],
        )
    if any(one["reasons"] for one in answers):
        raise typer.Exit(1)


def _show_foreign(stored: bytes, json: bool, t: Texts) -> None:
    from frontend_agent.formats.foreign import examine

    examined = examine(stored)
    if json:
        output.as_json(msgspec.to_builtins(examined))
        return
    head = examined.headline
    output.table(
        t,
        ("kind", "patient", "institution", "time"),
        [(examined.kind, head.patient_name, head.institution_name, head.authored_at or head.effective_time)]
        if head
        else [],
    )


def _folder(context: typer.Context) -> Path:
    settings: Settings = context.obj[0]
    return settings.state_option or DEFAULT_STATE


@contextmanager
def _reading(context: typer.Context) -> "Iterator[Catalogue]":
    from frontend_agent.platform.catalogue import Catalogue

    catalogue = Catalogue(_folder(context)).open()
    try:
        yield catalogue
    finally:
        catalogue.close()

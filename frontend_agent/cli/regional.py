"""`frontend-agent platform`: the receiving side, for demonstrations, small regions and tests."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from frontend_agent import logs
from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.platform.catalogue import Catalogue

DEFAULT_STATE = Path("platform-state")
DEFAULT_PORT = 8480


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    group = typer.Typer(help=t("platform"), no_args_is_help=True, rich_markup_mode=None)
    cli.add_typer(group, name="platform")
    _add_serve(group, t)
    _add_reading(group, t)


def _add_serve(group: typer.Typer, t: Texts) -> None:
    @group.command("serve", help=t("platform.serve"))
    def serve_platform(
        context: typer.Context,
        host: Annotated[str, typer.Option(help=t("platform.host"))] = "127.0.0.1",
        port: Annotated[int, typer.Option(help=t("platform.port"), min=0, max=65535)] = DEFAULT_PORT,
    ) -> None:
        from frontend_agent.platform.server import serve

        logs.to_stderr()
        serve(_folder(context), host, port)


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

        search = Search(institution=institution, patient=patient, kind=kind, first_day=first_day, last_day=last_day)
        with _reading(context) as catalogue:
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
        from frontend_agent.formats import headline, load_kind, view

        with _reading(context) as catalogue:
            stored = catalogue.document(document)
        if stored is None:
            raise FrontendAgentError(f"no document {document!r} is stored in {_folder(context)}")
        if xml:
            sys.stdout.write(stored.decode())
            return
        kind = load_kind(headline(stored).kind)
        record = kind.reader(stored)
        if json:
            output.as_json({"document_id": document, "kind": kind.code, "record": record})
        else:
            output.document_view(msgspec.to_builtins(view(kind, record)), t)


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

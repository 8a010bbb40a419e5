"""`frontend-agent platform studies`: the images of a platform. Reading may be done beside a running server."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from frontend_agent.cli import output
from frontend_agent.cli.platform_log import said
from frontend_agent.cli.texts import Texts

if TYPE_CHECKING:
    from frontend_agent.platform.catalogue import Catalogue
    from frontend_agent.platform.images.catalogue import Study
    from frontend_agent.platform.images.store import ImageStore

Reading = Callable[[typer.Context], "AbstractContextManager[Catalogue]"]


def add_to(platform: typer.Typer, t: Texts, reading: Reading, folder: Callable[[typer.Context], Path]) -> None:
    """Register the commands below `platform`."""
    group = typer.Typer(help=t("studies"), no_args_is_help=True, rich_markup_mode=None)
    platform.add_typer(group, name="studies")
    _add_reading(group, t, reading, folder)
    _add_checking(group, t, reading)
    _add_changing(group, t, folder)


def _add_reading(group: typer.Typer, t: Texts, reading: Reading, folder: Callable[[typer.Context], Path]) -> None:
    @group.command("list", help=t("studies.list"))
    def list_studies(
        context: typer.Context,
        patient: Annotated[str, typer.Option(help=t("studies.patient"))] = "",
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        modality: Annotated[str, typer.Option(help=t("studies.modality"))] = "",
        first_day: Annotated[str, typer.Option("--from", help=t("platform.day"))] = "",
        last_day: Annotated[str, typer.Option("--to", help=t("platform.day"))] = "",
        wanted: Annotated[bool, typer.Option("--wanted", help=t("studies.wanted_only"))] = False,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 50,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.platform.images.catalogue import StudySearch

        search = StudySearch(
            institution=institution, patient=patient, modality=modality, wanted=wanted,
            first_day=day_of(t, first_day), last_day=day_of(t, last_day),
        )  # fmt: skip
        with reading(context) as catalogue:
            of = {"institution": institution, "modality": modality, "by_patient": bool(patient)}
            said(context.obj[0], folder(context), "platform_studies", **of)
            found = catalogue.images.studies(search, limit)
        if json:
            output.as_json([msgspec.to_builtins(one) for one in found])
            return
        output.table(
            t,
            ("study", "time", "modality", "patient", "institution", "series", "instances", "here", "bytes"),
            [
                (
                    one.study_instance_uid, f"{one.study_date} {one.study_time[:6]}", one.modalities.replace("\\", "/"),
                    one.patient_name, one.institution, one.series, one.instances, one.held, one.bytes,
                )
                for one in found
            ],
        )  # fmt: skip

    @group.command("show", help=t("studies.show"))
    def show(
        context: typer.Context,
        uid: Annotated[str, typer.Argument(help=t("studies.uid"))],
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with reading(context) as catalogue:
            said(context.obj[0], folder(context), "platform_study", study=uid, institution=institution)
            studies = catalogue.images.studies_of(uid, institution)
            told = [_told(one, catalogue) for one in studies]
        if not told:
            typer.echo(t("studies.unknown"), err=True)
            raise typer.Exit(1)
        if json:
            output.as_json(told)
            return
        for study, one in zip(studies, told, strict=True):
            facts = [(name, value) for name, value in msgspec.to_builtins(study).items() if value not in ("", 0)]
            output.plain_table(("", ""), facts)
            output.table(
                t,
                ("series", "number", "modality", "description", "instances", "here"),
                [
                    (series["series_instance_uid"], series["series_number"], series["modality"],
                     series["series_description"], series["instances"], series["held"])
                    for series in one["series_of_it"]
                ],
            )  # fmt: skip

    @group.command("conflicts", help=t("studies.conflicts"))
    def conflicts(
        context: typer.Context,
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 100,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with reading(context) as catalogue:
            found = catalogue.images.conflicts(institution, limit)
        if json:
            output.as_json([msgspec.to_builtins(one) for one in found])
            return
        output.table(
            t,
            ("institution", "instance", "study", "sha256", "sender", "time", "times"),
            [
                (one.institution, one.sop_instance_uid, one.study_instance_uid, one.sha256[:16], one.sender, one.last_at, one.times)
                for one in found
            ],
        )  # fmt: skip


def day_of(t: Texts, text: str) -> str:
    """A day as the index has it, yyyyMMdd; "" for any."""
    for pattern in ("%Y%m%d", "%Y-%m-%d"):
        with suppress(ValueError):
            return datetime.strptime(text, pattern).strftime("%Y%m%d") if text else ""
    raise typer.BadParameter(t("platform.no_day", given=text))


def _told(study: "Study", catalogue: "Catalogue") -> dict[str, Any]:
    series = catalogue.images.series_of(study.id)
    return {**msgspec.to_builtins(study), "series_of_it": [msgspec.to_builtins(one) for one in series]}


def _add_checking(group: typer.Typer, t: Texts, reading: Reading) -> None:
    @group.command("verify", help=t("studies.verify"))
    def verify(
        context: typer.Context,
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        good = 0
        bad: list[dict[str, str]] = []
        with reading(context) as catalogue:
            for instance, problem in catalogue.images.verified(institution):
                if problem:
                    bad.append({"institution": instance.institution, "instance": instance.sop_instance_uid,
                                "study": instance.study_instance_uid, "sha256": instance.sha256, "problem": problem})  # fmt: skip
                else:
                    good += 1
        if json:
            output.as_json({"verified": good, "problems": bad})
        else:
            for one in bad:
                word = t("studies.missing") if one["problem"] == "missing" else t("studies.damaged")
                typer.echo(f"{word} {one['institution']} {one['instance']} sha256 {one['sha256']}")
            typer.echo(t("studies.verified", count=good))
        if bad:
            raise typer.Exit(1)


def _add_changing(group: typer.Typer, t: Texts, folder: Callable[[typer.Context], Path]) -> None:
    @group.command("want", help=t("studies.want"))
    def want(
        context: typer.Context,
        uid: Annotated[str, typer.Argument(help=t("studies.uid"))],
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        undo: Annotated[bool, typer.Option("--undo", help=t("studies.unwant"))] = False,
    ) -> None:
        with _images(folder(context)) as images:
            why = context.obj[0].why  # --why is every command's
            act = "platform_unwant" if undo else "platform_want"
            said(context.obj[0], folder(context), act, study=uid, institution=institution)
            count = images.unwant(uid, institution) if undo else images.want(uid, institution, why)
        typer.echo(t("studies.wanted", count=count) if count and not undo else t("studies.nothing_to_want"))

    @group.command("drop", help=t("studies.drop"))
    def drop(
        context: typer.Context,
        uid: Annotated[str, typer.Argument(help=t("studies.uid"))],
        institution: Annotated[str, typer.Option(help=t("platform.institution"))],
        yes: Annotated[bool, typer.Option("--yes", help=t("studies.yes"))] = False,
    ) -> None:
        if not yes:
            typer.confirm(t("studies.sure", uid=uid, institution=institution), abort=True)
        with _images(folder(context)) as images:
            said(context.obj[0], folder(context), "platform_drop", study=uid, institution=institution)
            count = images.drop(uid, institution)
        typer.echo(t("studies.dropped", count=count) if count else t("studies.unknown"))


@contextmanager
def _images(folder: Path) -> "Iterator[ImageStore]":
    """The store, opened beside a server that may be running on it."""
    from frontend_agent.platform.store import Store

    store = Store(folder).open(alone=False)
    try:
        yield store.images
    finally:
        store.close()

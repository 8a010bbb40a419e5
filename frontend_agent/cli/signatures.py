"""`frontend-agent verify`: who signed a document, or what stands against its signature; and what the platform found."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, FrontendAgentError

if TYPE_CHECKING:
    from frontend_agent.platform.catalogue import Catalogue
    from frontend_agent.signatures import Trust


class State(StrEnum):
    """Of which documents is asked."""

    ANY = ""
    VALID = "valid"
    INVALID = "invalid"
    UNSIGNED = "unsigned"


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the command."""

    @cli.command("verify", help=t("verify"))
    def verify(
        context: typer.Context,
        files: Annotated[list[Path], typer.Argument(help=t("verify.files"))],
        anchor: Annotated[list[Path] | None, typer.Option(help=t("verify.anchor"))] = None,
        between: Annotated[list[Path] | None, typer.Option(help=t("verify.between"))] = None,
        revoked: Annotated[list[Path] | None, typer.Option(help=t("verify.revoked"))] = None,
        at: Annotated[str, typer.Option(help=t("verify.at"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.signatures import verified

        trust = _trust(context, anchor or [], between or [], revoked or [])
        moment = _moment(at)
        told = []
        for file in files:
            verdict = verified(_content(file), trust, moment)
            told.append(
                {
                    "file": str(file),
                    **msgspec.to_builtins(verdict),
                    "reasons": list(verdict.reasons),
                    "notes": list(verdict.notes),
                }
            )
        if json:
            output.as_json(told)
        else:
            for one in told:
                _say(t, one)
        if any(one["state"] != "valid" for one in told):
            sys.exit(1)


def add_to_platform(
    group: typer.Typer, t: Texts, reading: Callable[[typer.Context], AbstractContextManager["Catalogue"]]
) -> None:
    """Register `platform signatures`."""

    @group.command("signatures", help=t("platform.signatures"))
    def signatures(
        context: typer.Context,
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        only: Annotated[State, typer.Option("--only", help=t("platform.signatures.state"))] = State.ANY,
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("qc.limit"), min=1)] = 200,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with reading(context) as catalogue:
            found = catalogue.verdicts(institution, only.value, limit)
        if json:
            output.as_json([msgspec.to_builtins(one) for one in found])
            return
        output.table(
            t,
            ("document", "institution", "signature", "signer", "time", "reasons"),
            [
                (one.document_id, one.institution, _said(t, one.verdict.state), one.verdict.signer,
                 output.local_time(one.judged_at), "; ".join(_told(t, reason) for reason in one.verdict.reasons))
                for one in found
            ],
        )  # fmt: skip


def _trust(context: typer.Context, anchors: list[Path], between: list[Path], revoked: list[Path]) -> "Trust":
    """As the options say, else as [signing.trust] of agent.toml does."""
    from frontend_agent.config_signing import SignatureTrustConfig
    from frontend_agent.signing import trust_of

    if anchors:
        said = SignatureTrustConfig(
            anchors=tuple(map(str, anchors)), others=tuple(map(str, between)), revoked=tuple(map(str, revoked))
        )
        return trust_of(said, "verify")
    settings: Settings = context.obj[0]
    said = settings.config().signing.trust
    if not said.anchors:
        raise ConfigurationError(
            f"{settings.config_path}: [signing.trust] anchors: nobody is named whose signatures are believed; name the"
            " certificate of the authority there, or with --anchor"
        )
    return trust_of(said, f"{settings.config_path}: [signing.trust]")


def _moment(at: str) -> datetime:
    if not at:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise FrontendAgentError(f"--at {at!r}: write it like 2026-09-30T08:00:00+08:00") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.astimezone().astimezone(UTC)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FrontendAgentError(f"{file}: cannot be read ({error.strerror})") from error


def _said(t: Texts, state: str) -> str:
    if state == "valid":
        return t("said.signature.valid")
    return t("said.signature.invalid") if state == "invalid" else t("said.signature.unsigned")


def _say(t: Texts, one: dict[str, Any]) -> None:
    output.say(f"{one['file']}: {_said(t, one['state'])}")
    if one.get("signer"):
        when = output.local_time(one["signed_at"]) if one.get("signed_at") else "–"
        output.say("  " + t("said.signer", **{"organization": "", "suite": "–", **one, "when": when}))
    for reason in one["reasons"]:
        output.say(f"  - {_told(t, reason)}")
    for note in one["notes"]:
        output.say("  " + t("said.signature.note", note=_told(t, note)))


def _told(t: Texts, reason: str) -> str:
    from frontend_agent.signatures.words import in_chinese

    return in_chinese(reason) if t.language == "zh" else reason

"""`frontend-agent enroll` and `certificate`: this machine joins a platform, and what it is known by there."""

import platform as machine
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, StateError

if TYPE_CHECKING:
    from frontend_agent.certificates import Token
    from frontend_agent.config import Config
    from frontend_agent.spool.membership import Membership
    from frontend_agent.wire.joining import Enrolled

ASK_EVERY = 5.0  # seconds, while somebody at the platform has to approve


def add_to(cli: typer.Typer, t: Texts) -> None:
    """Register the commands."""
    _add_enroll(cli, t)
    _add_certificate(cli, t)


def _add_enroll(cli: typer.Typer, t: Texts) -> None:
    @cli.command("enroll", help=t("enroll"))
    def enroll(
        context: typer.Context,
        token: Annotated[str, typer.Option(help=t("enroll.token"))] = "",
        platform: Annotated[str, typer.Option(help=t("enroll.platform"))] = "",
        ca_fingerprint: Annotated[str, typer.Option(help=t("enroll.ca_fingerprint"))] = "",
        wait: Annotated[int, typer.Option(help=t("enroll.wait"), min=0)] = 0,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.renewing import told_of
        from frontend_agent.spool.membership import Membership

        settings: Settings = context.obj[0]
        config = settings.config()
        url = _platform_of(config, platform, t)
        membership = Membership(settings.state(config), url)
        given = _token(token or typer.prompt(t("enroll.token_asked"), hide_input=True, err=True), ca_fingerprint, t)
        settings.say("enroll", config, platform=url)
        enrolled = _enrolled(membership, given, config.institution.id, wait, t, json)
        if not enrolled.certificate:
            _tell_waiting(t, enrolled, json)
            raise typer.Exit(1)
        told = told_of(membership, datetime.now(UTC))
        if json:
            output.as_json({"state": "joined", **told})
            return
        output.say(
            t(
                "enroll.done",
                platform=url,
                institutions=", ".join(told["institutions"]),
                expires=output.local_time(told["expires_at"]),
            )
        )
        if not any(
            getattr(one, "type", "") == "platform" and _same(one.url, url) for one in config.destinations.values()
        ):
            output.say(t("enroll.no_destination", url=url))


def _platform_of(config: "Config", named: str, t: Texts) -> str:
    from connectors.joining import is_platform_address

    urls = {
        one.url for one in config.destinations.values() if one.type == "platform" and one.url.startswith("https://")
    }
    if not named and len(urls) != 1:
        raise ConfigurationError(t("enroll.which"))
    return is_platform_address(named or urls.pop())


def _same(url: str, other: str) -> bool:
    from frontend_agent.spool.membership import origin_of

    return origin_of(url) == origin_of(other)


def _token(text: str, expected: str, t: Texts) -> "Token":
    from frontend_agent.certificates import CertificateRefused, plain_fingerprint, read_token

    try:
        token = read_token(text)
    except CertificateRefused as error:
        raise StateError(str(error)) from error
    if expected and plain_fingerprint(expected) != token.root:
        raise StateError(t("enroll.other_root"))
    return token


def _enrolled(
    membership: "Membership", token: "Token", institution: str, wait: int, t: Texts, quiet: bool
) -> "Enrolled":
    """What the platform gave in the end; kept before this returns."""
    from connectors.joining import Joining, first_authorities
    from connectors.outlets.http import Tls
    from frontend_agent.certificates import request_of
    from frontend_agent.wire.joining import EnrolmentAsked

    membership.trust(first_authorities(membership.url, token.root))
    request = request_of(membership.next_key()).decode()
    asked = EnrolmentAsked(token=token.secret, request=request, institution=institution, machine=machine.node()[:200])
    joining = Joining(membership.url, lambda: Tls(ca=str(membership.ca_file)))
    until, is_told = time.monotonic() + wait, False
    try:
        while True:
            enrolled = joining.enrol(asked).enrolled
            if enrolled.certificate:
                membership.keep(
                    enrolled.certificate, tuple(enrolled.institutions), enrolled.authorities, datetime.now(UTC)
                )
                return enrolled
            if time.monotonic() >= until:
                return enrolled
            if not is_told and not quiet:
                _tell_waiting(t, enrolled, json=False)
                is_told = True
            time.sleep(ASK_EVERY)
    finally:
        joining.close()


def _tell_waiting(t: Texts, enrolled: "Enrolled", json: bool) -> None:
    from frontend_agent.certificates import shown_fingerprint

    key = shown_fingerprint(enrolled.key)
    if json:
        output.as_json({"state": "waiting", "institutions": enrolled.institutions, "key_fingerprint": key})
    else:
        output.say(t("enroll.waiting", fingerprint=key))


def _add_certificate(cli: typer.Typer, t: Texts) -> None:
    @cli.command("certificate", help=t("certificate"))
    def certificate(
        context: typer.Context,
        renew: Annotated[bool, typer.Option("--renew", help=t("certificate.renew"))] = False,
        leave: Annotated[str, typer.Option(help=t("certificate.leave"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.renewing import Renewing, told_of
        from frontend_agent.spool.membership import Membership, memberships

        settings: Settings = context.obj[0]
        state = settings.state(settings.config())
        if leave:
            membership = Membership(state, leave)
            if not Path(membership.folder).is_dir():
                raise StateError(t("certificate.not_joined", url=membership.url))
            settings.say("certificate_leave", platform=membership.url)
            membership.leave()
            output.say(t("certificate.left", url=membership.url))
            return
        joined = [one for one in memberships(state) if one.is_joined()]
        now = datetime.now(UTC)
        if renew:
            settings.say("certificate_renew", platforms=[one.url for one in joined])
            for one in joined:
                Renewing(state, lambda: datetime.now(UTC)).renew(one, now=True)
        told = [told_of(one, now) for one in joined]
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("platform", "institution", "serial", "expires", "renews", "problem"),
            [
                (one["platform"], ", ".join(one["institutions"]), one["serial"], output.local_time(one["expires_at"]),
                 output.local_time(one["renews_from"]), "; ".join(one["problems"]))
                for one in told
            ],
        )  # fmt: skip

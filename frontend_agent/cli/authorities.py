"""`frontend-agent platform ca|enroll-token|enrolments|approve|certificates|revoke`: who may join a platform, and who may stay.

They work on the platform's folder, beside a running server, which takes up what they change within seconds.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from frontend_agent.cli import output
from frontend_agent.cli.platform_log import said
from frontend_agent.cli.session import this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, StateError

if TYPE_CHECKING:
    from frontend_agent.platform.joining.authority import Authority
    from frontend_agent.platform.joining.registry import Registry

Folder = Callable[[typer.Context], Path]


def add_to(platform: typer.Typer, t: Texts, folder: Folder) -> None:
    """Register the commands below `platform`."""
    ca = typer.Typer(help=t("ca"), no_args_is_help=True, rich_markup_mode=None)
    platform.add_typer(ca, name="ca")
    _add_making(ca, t, folder)
    _add_rotating(ca, t, folder)
    _add_tokens(platform, t, folder)
    _add_enrolments(platform, t, folder)
    _add_certificates(platform, t, folder)


def _add_making(ca: typer.Typer, t: Texts, folder: Folder) -> None:
    @ca.command("init", help=t("ca.init"))
    def init(
        context: typer.Context,
        root_key: Annotated[Path, typer.Option(help=t("ca.root_key"))],
        name: Annotated[str, typer.Option(help=t("ca.name"))] = "Regional platform",
        passphrase: Annotated[bool, typer.Option("--passphrase", help=t("ca.passphrase"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        state = folder(context)
        with _made(state) as registry:
            if registry.trusted():
                raise StateError(t("ca.there_already"))
            said(context.obj[0], state, "platform_ca_init", name=name)
            authority = _new_root(t, state, root_key, name, _new_passphrase(t, passphrase))
            registry.add_authority(authority, "current")
            _tell_authorities(t, registry, json)
        if not json:
            output.say(t("ca.root_apart", file=root_key))

    @ca.command("import", help=t("ca.import"))
    def import_authority(
        context: typer.Context,
        root: Annotated[Path, typer.Option(help=t("ca.root"))],
        certificate: Annotated[Path | None, typer.Option(help=t("ca.chain"))] = None,
        key: Annotated[Path | None, typer.Option(help=t("ca.key"))] = None,
        passphrase: Annotated[bool, typer.Option("--passphrase", help=t("ca.key_passphrase"))] = False,
        as_next: Annotated[bool, typer.Option("--next", help=t("ca.as_next"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.certificates import CertificateRefused
        from frontend_agent.platform.joining.authority import given_authority

        password = _asked_passphrase(t) if passphrase else None
        try:
            authority = given_authority(
                _read(certificate) if certificate else b"", _read(key) if key else None, _read(root), password, _now()
            )
        except CertificateRefused as error:
            raise ConfigurationError(f"{certificate or root}: {error}") from error
        with _made(folder(context)) as registry:
            if registry.trusted() and not as_next:
                raise StateError(t("ca.there_already"))
            said(context.obj[0], folder(context), "platform_ca_import", authority=_name(authority), next=as_next)
            registry.add_authority(authority, "next" if as_next else "current")
            _tell_authorities(t, registry, json)

    @ca.command("show", help=t("ca.show"))
    def show(
        context: typer.Context,
        pem: Annotated[bool, typer.Option("--pem", help=t("ca.pem"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _registry(folder(context)) as registry:
            if pem:
                print(registry.list_of_trusted().roots, end="")
                return
            _tell_authorities(t, registry, json)

    @ca.command("server", help=t("ca.server"))
    def server(
        context: typer.Context,
        name: Annotated[list[str], typer.Option(help=t("platform.name"))],
        out: Annotated[Path, typer.Option(help=t("ca.out"))],
    ) -> None:
        from frontend_agent.certificates import certificates_in, pem_of
        from frontend_agent.platform.joining.authority import key_pem, read_key

        with _registry(folder(context)) as registry:
            said(context.obj[0], folder(context), "platform_ca_server", names=name)
            both = registry.server_file(name).read_bytes()
            out.mkdir(mode=0o750, parents=True, exist_ok=True)
            _write_private(out / "server.key", key_pem(read_key(both)))
            (out / "server.pem").write_bytes(pem_of(certificates_in(both)))
            (out / "clients-ca.pem").write_text(registry.list_of_trusted().roots, "utf-8")
        output.say(t("ca.server_written", folder=out))


def _add_rotating(ca: typer.Typer, t: Texts, folder: Folder) -> None:
    @ca.command("renew", help=t("ca.renew"))
    def renew(
        context: typer.Context,
        root_key: Annotated[Path, typer.Option(help=t("ca.root_key_again"))],
        name: Annotated[str, typer.Option(help=t("ca.name"))] = "Regional platform",
        passphrase: Annotated[bool, typer.Option("--passphrase", help=t("ca.key_passphrase"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.certificates import CertificateRefused
        from frontend_agent.platform.joining.authority import make_issuer, read_key

        with _registry(folder(context)) as registry:
            root = registry.current().certificates().root
            try:
                key = read_key(_read(root_key), _asked_passphrase(t) if passphrase else None)
            except CertificateRefused as error:
                raise ConfigurationError(f"{root_key}: {error}") from error
            if key.public_key() != root.public_key():
                raise ConfigurationError(t("ca.other_root", file=root_key))
            said(context.obj[0], folder(context), "platform_ca_renew", name=name)
            registry.add_authority(make_issuer(name, root, key, _now()), "current")
            _tell_authorities(t, registry, json)

    @ca.command("rotate", help=t("ca.rotate"))
    def rotate(
        context: typer.Context,
        begin: Annotated[Path | None, typer.Option("--root-key", help=t("ca.begin"))] = None,
        switch: Annotated[bool, typer.Option("--switch", help=t("ca.switch"))] = False,
        retire: Annotated[bool, typer.Option("--retire", help=t("ca.retire"))] = False,
        cancel: Annotated[bool, typer.Option("--cancel", help=t("ca.cancel"))] = False,
        force: Annotated[bool, typer.Option("--force", help=t("ca.force"))] = False,
        name: Annotated[str, typer.Option(help=t("ca.name"))] = "Regional platform",
        passphrase: Annotated[bool, typer.Option("--passphrase", help=t("ca.passphrase"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        state = folder(context)
        if sum([begin is not None, switch, retire, cancel]) != 1:
            raise typer.BadParameter(t("ca.one_step"))
        with _registry(state) as registry:
            behind: list[str] = []
            step = "begin" if begin is not None else "switch" if switch else "retire" if retire else "cancel"
            said(context.obj[0], state, "platform_ca_rotate", step=step, force=force)
            if begin is not None:
                registry.current()
                authority = _new_root(t, state, begin, name, _new_passphrase(t, passphrase))
                registry.add_authority(authority, "next")
            elif switch:
                behind = registry.switch(force)
            elif retire:
                behind = registry.retire(force)
            else:
                registry.cancel()
            if behind:
                raise StateError("\n".join([t("ca.not_yet", count=len(behind)), *behind[:20]]))
            _tell_authorities(t, registry, json)


def _add_tokens(platform: typer.Typer, t: Texts, folder: Folder) -> None:
    @platform.command("enroll-token", help=t("token"))
    def enroll_token(
        context: typer.Context,
        institution: Annotated[list[str], typer.Argument(help=t("token.institution"))],
        hours: Annotated[int, typer.Option(help=t("token.hours"), min=1, max=24 * 30)] = 24,
        approve: Annotated[bool, typer.Option("--approve", help=t("token.approve"))] = False,
        withdraw: Annotated[bool, typer.Option("--withdraw", help=t("token.withdraw"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.certificates import shown_fingerprint, token_text
        from frontend_agent.platform.judging import is_institution

        for one in institution:
            if not is_institution(one):
                raise typer.BadParameter(t("token.no_institution", institution=one))
        with _registry(folder(context)) as registry:
            act = "platform_token_withdraw" if withdraw else "platform_token"
            said(context.obj[0], folder(context), act, institutions=institution, needs_approval=approve)
            if withdraw:
                count = sum(registry.withdraw_tokens(one) for one in institution)
                output.as_json({"withdrawn": count}) if json else output.say(t("token.withdrawn", count=count))
                return
            token = registry.make_token(institution, timedelta(hours=hours), approve)
        told = {
            "token": token_text(token),
            "institutions": institution,
            "hours": hours,
            "needs_approval": approve,
            "ca_fingerprint": shown_fingerprint(token.root),
        }
        if json:
            output.as_json(told)
            return
        output.say(t("token.made", institutions=", ".join(institution), hours=hours))
        print(told["token"])
        output.say(t("token.fingerprint", fingerprint=told["ca_fingerprint"]))


def _add_enrolments(platform: typer.Typer, t: Texts, folder: Folder) -> None:
    @platform.command("enrolments", help=t("enrolments"))
    def enrolments(
        context: typer.Context,
        waiting: Annotated[bool, typer.Option("--waiting", help=t("enrolments.waiting"))] = False,
        request: Annotated[int, typer.Option("--request", help=t("enrolments.request"))] = 0,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent.certificates import shown_fingerprint

        with _registry(folder(context)) as registry:
            if request:
                print(registry.request(request), end="")
                return
            found = registry.enrolments(waiting)
        if json:
            output.as_json(msgspec.to_builtins(found))
            return
        output.table(
            t,
            ("enrolment", "institution", "machine", "address", "asked", "state", "key_fingerprint"),
            [
                (one.id, ", ".join(one.institutions), one.machine, one.address, output.local_time(one.asked_at), one.state, shown_fingerprint(one.key_sha256))
                for one in found
            ],
        )  # fmt: skip

    @platform.command("approve", help=t("approve"))
    def approve(
        context: typer.Context,
        number: Annotated[int, typer.Argument(help=t("approve.number"))],
        certificate: Annotated[Path | None, typer.Option(help=t("approve.certificate"))] = None,
        refuse: Annotated[bool, typer.Option("--refuse", help=t("approve.refuse"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        given = _read(certificate) if certificate else b""
        with _registry(folder(context)) as registry:
            said(context.obj[0], folder(context), "platform_refuse" if refuse else "platform_approve", enrolment=number)
            one = registry.refuse(number, this_user()) if refuse else registry.approve(number, this_user(), given)
        if json:
            output.as_json(msgspec.to_builtins(one))
        else:
            output.say(t("approve.done", number=one.id, institutions=", ".join(one.institutions), state=one.state))


def _add_certificates(platform: typer.Typer, t: Texts, folder: Folder) -> None:
    @platform.command("certificates", help=t("certificates"))
    def certificates(
        context: typer.Context,
        institution: Annotated[str, typer.Option(help=t("platform.institution"))] = "",
        incidents: Annotated[bool, typer.Option("--incidents", help=t("certificates.incidents"))] = False,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        now = _now()
        with _registry(folder(context)) as registry:
            found = registry.certificates(institution)
            happened = registry.incidents() if incidents else []
            trusted = registry.list_of_trusted().digest
        if incidents:
            _tell_incidents(t, happened, json)
            return
        told: list[dict[str, Any]] = [
            {**msgspec.to_builtins(one), "state": one.state(now), "trusts_current": one.trusts == trusted}
            for one in found
        ]
        if json:
            output.as_json(told)
            return
        output.table(
            t,
            ("serial", "institution", "machine", "state", "expires", "last_seen", "clock_skew"),
            [
                (one["serial"], ", ".join(one["institutions"]), one["machine"], one["state"], output.local_time(one["expires_at"]),
                 output.local_time(one["last_seen"]) if one["last_seen"] else None, one["skew"] or None)
                for one in told
            ],
        )  # fmt: skip

    @platform.command("revoke", help=t("revoke"))
    def revoke(
        context: typer.Context,
        which: Annotated[str, typer.Argument(help=t("revoke.which"))],
        reason: Annotated[str, typer.Option(help=t("revoke.reason"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        with _registry(folder(context)) as registry:
            said(context.obj[0], folder(context), "platform_revoke", which=which, why=reason)
            gone = registry.revoke(which, this_user(), reason)
        if json:
            output.as_json(msgspec.to_builtins(gone))
        else:
            output.say(t("revoke.done", count=len(gone), serials=", ".join(one.serial for one in gone) or "–"))


def _tell_incidents(t: Texts, happened: list[Any], json: bool) -> None:
    if json:
        output.as_json(msgspec.to_builtins(happened))
        return
    rows = [
        (output.local_time(one.at), one.certificate[:16], one.address, one.what, one.named, one.times)
        for one in happened
    ]
    output.table(t, ("time", "certificate", "address", "what", "institution", "times"), rows)


def _tell_authorities(t: Texts, registry: "Registry", json: bool) -> None:
    from frontend_agent.certificates import fingerprint, shown_fingerprint

    behind = registry.behind()
    told = []
    for one in registry.authorities():
        own = one.certificates()
        told.append(
            {
                "id": one.id,
                "state": one.state,
                "issuer": own.issuer.subject.rfc4514_string(),
                "signs_here": one.has_key,
                "expires_at": f"{own.issuer.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
                "root_fingerprint": shown_fingerprint(fingerprint(own.root)),
            }
        )
    if json:
        output.as_json({"authorities": told, "digest": registry.list_of_trusted().digest, "behind": behind})
        return
    output.table(
        t,
        ("enrolment", "state", "authority", "expires", "root_fingerprint"),
        [
            (one["id"], one["state"], one["issuer"], output.local_time(str(one["expires_at"])), one["root_fingerprint"])
            for one in told
        ],
    )
    if behind and any(one["state"] == "next" for one in told):
        output.say(t("ca.behind", count=len(behind), whose="; ".join(behind[:5])))


def _name(authority: "Authority") -> str:
    """Who signs by it."""
    return authority.issuer.subject.rfc4514_string()


# --- files and passphrases ---------------------------------------------------------------------------------------------


def _new_root(t: Texts, state: Path, root_key: Path, name: str, passphrase: bytes | None) -> "Authority":
    """A root, its key written apart from the platform, and the intermediate below it."""
    from frontend_agent.platform.joining.authority import key_pem, make_issuer, make_root

    if root_key.exists():
        raise StateError(t("ca.key_there", file=root_key))
    if root_key.absolute().resolve().is_relative_to(state.absolute().resolve()):
        raise ConfigurationError(t("ca.key_inside", file=root_key))
    now = _now()
    root, key = make_root(name, now)
    _write_private(root_key, key_pem(key, passphrase))
    return make_issuer(name, root, key, now)


def _write_private(path: Path, content: bytes) -> None:
    import os
    import sys

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        if sys.platform != "win32":  # there a file has the rights of its folder
            os.fchmod(handle, 0o600)  # also where it was there before
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _new_passphrase(t: Texts, wanted: bool) -> bytes | None:
    if not wanted:
        return None
    told: str = typer.prompt(t("ca.passphrase_new"), hide_input=True, confirmation_prompt=True, err=True)
    return told.encode()


def _asked_passphrase(t: Texts) -> bytes:
    told: str = typer.prompt(t("ca.passphrase_asked"), hide_input=True, err=True)
    return told.encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


@contextmanager
def _registry(state: Path) -> "Iterator[Registry]":
    from frontend_agent.platform.joining.registry import Registry

    with Registry(state).open() as registry:
        yield registry


@contextmanager
def _made(state: Path) -> "Iterator[Registry]":
    from frontend_agent.platform.joining.registry import Registry

    with Registry(state).make() as registry:
        yield registry


def _now() -> datetime:
    return datetime.now(UTC)

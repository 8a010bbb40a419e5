"""`frontend-agent rules pack` and `rules shadow`: packs of rules made, proven, installed, tried beside the old, put in force."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frontend_agent.cli import output
from frontend_agent.cli.session import Settings, this_user
from frontend_agent.cli.texts import Texts
from frontend_agent.errors import ConfigurationError, FrontendAgentError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from frontend_agent.packs import Pack


def add_to(rules: typer.Typer, t: Texts) -> None:
    """Register the commands under `rules`."""
    group = typer.Typer(help=t("pack"), no_args_is_help=True, rich_markup_mode=None)
    rules.add_typer(group, name="pack")
    _add_making(group, t)
    _add_looking(group, t)
    _add_choosing(group, t)
    _add_shadow(rules, t)


# -- the region: making ------------------------------------------------------------------------------------------------


def _add_making(group: typer.Typer, t: Texts) -> None:
    @group.command("build", help=t("pack.build"))
    def build_pack(
        folder: Annotated[Path, typer.Argument(help=t("pack.folder"))],
        key: Annotated[Path, typer.Option(help=t("pack.private"))],
        to: Annotated[Path | None, typer.Option("--output", "-o", help=t("qc.output"))] = None,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        from frontend_agent import __version__
        from frontend_agent.packs import build, open_pack
        from frontend_agent.packs.content import Content

        if not folder.is_dir():
            raise FrontendAgentError(f"{folder}: no such folder")
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        private = _private(key)
        body = build(files, private)
        pack = open_pack(body, {"self": private.public_key().public_bytes_raw()}, None, __version__)
        _usable(Content(pack).problems())
        path = to or Path(f"{pack.id}.pack")
        try:
            path.write_bytes(body)
        except OSError as error:
            raise FrontendAgentError(f"{path}: {error.strerror}") from None
        _tell(t, {**_about(pack), "file": str(path), "bytes": len(body)}, json)

    @group.command("key", help=t("pack.key"))
    def show_key(
        file: Annotated[Path, typer.Argument(help=t("pack.keyfile"))],
    ) -> None:
        import base64

        from frontend_agent.wire.receipts import public_key_of

        text = _bytes(file)
        raw = public_key_of(text) or _private(file).public_key().public_bytes_raw()
        sys.stdout.write(base64.b64encode(raw).decode() + "\n")


def _private(file: Path) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_bytes(file), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{file}: no Ed25519 key (openssl genpkey -algorithm ed25519 -out {file.name})")
    return key


# -- the hospital: proving, installing, choosing -------------------------------------------------------------------------


def _add_looking(group: typer.Typer, t: Texts) -> None:
    @group.command("verify", help=t("pack.verify"))
    def verify(
        context: typer.Context,
        file: Annotated[Path, typer.Argument(help=t("pack.file"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        pack = _proven(_settings(context), _bytes(file))
        _tell(t, _about(pack), json)

    @group.command("show", help=t("pack.show"))
    def show(
        context: typer.Context,
        pack: Annotated[str, typer.Argument(help=t("pack.which"))],
        file: Annotated[str, typer.Option("--file", help=t("pack.inner"))] = "",
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if pack == "national":
            from frontend_agent.packs.content import name_of

            name, digest = name_of(None)
            _tell(t, {"pack": name, "digest": digest}, json)
            return
        settings = _settings(context)
        body = _bytes(Path(pack)) if Path(pack).is_file() else _folder(settings).read(pack)
        proven = _proven(settings, body, expired=True)
        if file:
            if file not in proven.files:
                raise FrontendAgentError(f"{proven.id}: there is no {file} (files: {', '.join(sorted(proven.files))})")
            sys.stdout.write(proven.text(file))
            return
        _tell(t, _about(proven), json, files=True)

    @group.command("list", help=t("pack.list"))
    def list_packs(
        context: typer.Context,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings = _settings(context)
        folder = _folder(settings)
        pinned, chosen = settings.config().packs, folder.chosen()
        active = pinned.active or chosen.active or "national"
        shadow = pinned.shadow or chosen.shadow
        rows = [
            {"pack": name, "active": name == active, "shadow": name == shadow}
            for name in ["national", *folder.installed()]
        ]
        if json:
            output.as_json(rows)
            return
        output.table(
            t,
            ("pack", "state"),
            [(row["pack"], t("pack.active") if row["active"] else t("pack.beside") if row["shadow"] else "") for row in rows],
        )  # fmt: skip


def _add_choosing(group: typer.Typer, t: Texts) -> None:
    @group.command("install", help=t("pack.install"))
    def install(
        context: typer.Context,
        file: Annotated[Path, typer.Argument(help=t("pack.file"))],
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        settings = _settings(context)
        body = _bytes(file)
        pack = _proven(settings, body)
        settings.say("pack_install", pack=pack.id, digest=pack.digest)
        _folder(settings).install(pack.id, body)
        _tell(t, _about(pack), json)

    @group.command("shadow", help=t("pack.shadow"))
    def beside(
        context: typer.Context,
        pack: Annotated[str, typer.Argument(help=t("pack.which"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
    ) -> None:
        wanted = "" if pack in ("none", "national") else pack
        _choose(context, t, "shadow", wanted, who)

    @group.command("activate", help=t("pack.activate"))
    def activate(
        context: typer.Context,
        pack: Annotated[str, typer.Argument(help=t("pack.which"))],
        who: Annotated[str, typer.Option(help=t("quarantine.who"), default_factory=this_user)],
    ) -> None:
        _choose(context, t, "active", "" if pack == "national" else pack, who)


def _choose(context: typer.Context, t: Texts, role: str, pack: str, who: str) -> None:
    import msgspec

    settings = _settings(context)
    pinned = getattr(settings.config().packs, role)
    if pinned and pinned != (pack or "national"):
        raise ConfigurationError(f"{settings.config_path}: [packs] {role} = {pinned!r} says otherwise; change it there")
    folder = _folder(settings)
    if pack:
        _proven(settings, folder.read(pack))
    chosen = msgspec.structs.replace(folder.chosen(), who=who, **{role: pack})
    if role == "active" and chosen.shadow == pack:
        chosen = msgspec.structs.replace(chosen, shadow="")
    settings.say("pack_activate" if role == "active" else "pack_shadow", pack=pack or "national", who=who)
    folder.choose(chosen)
    output.say(t("said.pack_chosen", active=chosen.active or "national", shadow=chosen.shadow or "–"))


# -- in shadow -----------------------------------------------------------------------------------------------------------


def _add_shadow(rules: typer.Typer, t: Texts) -> None:
    @rules.command("shadow", help=t("rules.shadow"))
    def shadow(
        context: typer.Context,
        over: Annotated[str, typer.Option(help=t("shadow.over"))] = "taken",
        limit: Annotated[int, typer.Option("--limit", "-n", help=t("shadow.limit"), min=1)] = 1000,
        json: Annotated[bool, typer.Option("--json", help=t("option.json"))] = False,
    ) -> None:
        if over not in ("taken", "held", "recent"):
            raise typer.BadParameter("--over taken | held | recent")
        with _settings(context).asking("shadow_report") as ask:
            told = ask("shadow_report", over=over, limit=limit)
        if json:
            output.as_json(told)
            return
        verdicts = {"newly held": t("verdict.newly_held"), "newly passed": t("verdict.newly_passed")}
        output.say(
            t(
                "said.shadow",
                pack=told["pack"],
                held=told["newly_held"],
                passed=told["newly_passed"],
                judged=told["judged"],
                against=told["active"],
            )
        )
        output.table(
            t,
            ("feed", "kind", "verdict", "rule", "field", "times", "example"),
            [
                (one["feed"], one["kind"], verdicts[one["verdict"]], one["rule"], one["field"],
                 one["n"], one["example"])
                for one in told["reasons"]
            ],
        )  # fmt: skip


# -- what several want -----------------------------------------------------------------------------------------------------


def _proven(settings: Settings, body: bytes, expired: bool = False) -> "Pack":
    """A pack that is signed, whole, of this time and of use to this program; or all reasons why not."""
    from datetime import date

    from frontend_agent import __version__
    from frontend_agent.app import trusted_keys
    from frontend_agent.packs import open_pack
    from frontend_agent.packs.content import Content

    pack = open_pack(body, trusted_keys(settings.config()), None if expired else date.today(), __version__)
    _usable(Content(pack).problems())
    return pack


def _usable(problems: Any) -> None:
    from frontend_agent.packs import PackRefused

    found = list(problems)
    if found:
        raise PackRefused(found)


def _about(pack: "Pack") -> dict[str, Any]:
    said = pack.manifest
    return {
        "pack": pack.id,
        "digest": pack.digest,
        "signer": pack.signer,
        "title": said.title,
        "date": said.date.isoformat(),
        "until": said.until.isoformat() if said.until else "",
        "region": said.region,
        "extends": said.extends,
        "program": said.program,
        "profiles": said.profiles,
        "off": said.off,
        "files": [file.path for file in said.files],
    }


def _tell(t: Texts, told: dict[str, Any], json: bool, files: bool = False) -> None:
    if json:
        output.as_json(told)
        return
    shown = {name: value for name, value in told.items() if value and (files or name != "files")}
    rows = [(name, _plain(value, t)) for name, value in shown.items()]
    output.table(t, ("field", "value"), rows)


def _plain(value: Any, t: Texts) -> str:
    if isinstance(value, dict):
        return str(value.get(t.language) or ", ".join(f"{name} = {path}" for name, path in value.items()))
    return "\n".join(value) if isinstance(value, list) else str(value)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FrontendAgentError(f"{file}: {error.strerror}") from None


def _folder(settings: Settings) -> Any:
    from frontend_agent.spool.packs import PackFolder

    return PackFolder(settings.state(settings.config()))


def _settings(context: typer.Context) -> Settings:
    found: Settings = context.obj[0]
    return found

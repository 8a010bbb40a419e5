"""`frontend-agent`: the command line. Commands are in the modules beside this one, all texts in `texts.py`.

Exit codes: 0 done, 1 it could not be done now, 2 used wrongly, 78 a configuration file needs mending. Nobody ever sees a
traceback: what was not foreseen is told by type and reference, and its place is in the log.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from frontend_agent import __version__, logs
from frontend_agent.cli import (
    alarms,
    at_rest,
    backfill,
    closing,
    console,
    diagnose,
    docs,
    doctor,
    foreign,
    gap,
    images,
    images_backfill,
    init,
    inlet,
    joining,
    people,
    program,
    proofs,
    quarantine,
    reconcile,
    reference,
    regional,
    rules,
    secret,
    signatures,
    source,
    spec,
    tables,
    terms,
    trying,
    upgrade,
    vanished,
    withheld,
    work,
)
from frontend_agent.cli.session import Settings
from frontend_agent.cli.texts import Language, Texts, language_of
from frontend_agent.config import INSTALLED_CONFIG
from frontend_agent.errors import FrontendAgentError
from frontend_agent.processes import no_core_dumps

SHARED = ("--config", "--state", "--lang", "--why")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The console script."""
    no_core_dumps()
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    language = language_of(arguments, os.environ)
    commands = build(language)
    settings: list[Settings] = []
    try:
        commands(args=shared_first(arguments), prog_name="frontend-agent", obj=settings)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except FrontendAgentError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:
        # Whoever read us (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last line: told by type, its text may quote a patient
        print(_unforeseen(error, Texts(language), settings), file=sys.stderr)
        return 1
    return 0


def _unforeseen(error: Exception, t: Texts, settings: list[Settings]) -> str:
    folder = settings[0].log_folder() if settings else None
    if folder is None:
        logs.to_stderr()
    else:
        logs.to_file(folder)
    told = logs.failed("command.failed", error)
    return t("said.unforeseen", error=told, log=folder / logs.FILE if folder else "stderr")


def shared_first(arguments: Sequence[str]) -> list[str]:
    """Move --config, --state, --lang and --why to the front: they may stand anywhere, also behind the command."""
    shared: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument in SHARED:
            shared += [argument, *[value for value in [next(waiting, None)] if value is not None]]
        elif argument.startswith(tuple(f"{name}=" for name in SHARED)):
            shared.append(argument)
        else:
            rest.append(argument)
    return shared + rest


def default_config() -> Path:
    """agent.toml here; where there is none, the service's."""
    here = Path("agent.toml")
    is_ours = os.path.isfile(
        INSTALLED_CONFIG
    )  # False, too, for who may not look: the platform's account, any other user
    return INSTALLED_CONFIG if is_ours and not here.is_file() else here


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


def build(language: Language) -> typer.Typer:
    """The whole command line in one language."""
    t, usual = Texts(language), default_config()
    cli = typer.Typer(
        help=t("about"),
        epilog=t("epilog"),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @cli.callback()
    def shared(
        context: typer.Context,
        config: Annotated[Path, typer.Option(help=t("option.config"))] = usual,
        state: Annotated[Path | None, typer.Option(help=t("option.state"))] = None,
        lang: Annotated[str, typer.Option(help=t("option.lang"))] = language,
        why: Annotated[str, typer.Option(help=t("option.why"))] = "",
        version: Annotated[
            bool, typer.Option("--version", help=t("option.version"), is_eager=True, callback=_print_version)
        ] = False,
    ) -> None:
        context.obj.append(Settings(config, state, t, why))

    for module in (
        init,
        work,
        quarantine,
        withheld,
        foreign,
        proofs,
        reference,
        spec,
        tables,
        rules,
        signatures,
        regional,
        terms,
        trying,
        closing,
        reconcile,
        backfill,
        source,
        secret,
        at_rest,
        program,
        vanished,
        alarms,
        inlet,
        images,
        doctor,
        diagnose,
        docs,
        people,
        images_backfill,
        joining,
        console,
        upgrade,
        gap,
    ):
        module.add_to(cli, t)
    return cli


if __name__ == "__main__":
    main()

"""From the settings of files to what picks them up: which parts it is made of."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from connectors.arrivals import Keep, Tap
from connectors.folders.collecting import Memory
from connectors.folders.inlet import FilesInlet
from connectors.folders.place import Place
from connectors.folders.this_machine import LocalPlace
from frontend_agent.config_files import FilesInlet as FilesSettings
from frontend_agent.config_files import FolderInlet, SftpInlet, SftpServer, sftp_address
from frontend_agent.logs import event, log

if TYPE_CHECKING:
    from connectors.folders.sftp import SftpPlace


class Given(Protocol):
    """What an inlet is given beside its settings."""

    @property
    def keep(self) -> Keep: ...
    @property
    def tap(self) -> Tap: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...
    @property
    def secret(self) -> Callable[[str], str]: ...
    @property
    def timezone(self) -> str: ...
    @property
    def picked(self) -> Memory: ...


def inlet(name: str, settings: FilesSettings, given: Given) -> FilesInlet:
    """`folder` and `sftp`."""
    if isinstance(settings, SftpInlet):
        return _inlet(name, settings, sftp_place(settings, settings.timeout, given.secret), given)
    assert isinstance(settings, FolderInlet)
    return _inlet(name, settings, LocalPlace(settings.path, settings.mount), given)


def _inlet(name: str, settings: FilesSettings, place: Place, given: Given) -> FilesInlet:
    return FilesInlet(
        name,
        settings,
        settings,
        place,
        given.keep,
        given.tap,
        given.clock,
        memory=given.picked,
        timezone=given.timezone,
        told=tell,
        remember=settings.remember,
    )


def sftp_place(server: SftpServer, timeout: timedelta, secret: Callable[[str], str]) -> "SftpPlace":
    """The folder on that server; it is connected to when it is asked. ConfigurationError: a secret that is not there."""
    from connectors.folders.sftp import (
        SftpOptions,
        SftpPlace,
    )  # not at the top: few sites have one, and it takes a while

    address = sftp_address(server.url)
    return SftpPlace(
        SftpOptions(
            host=address.host,
            port=address.port,
            user=address.user,
            folder=address.folder,
            timeout=timeout,
            password=_of(secret, server.secret),
            private_key=_of(secret, server.key_secret),
            passphrase=_of(secret, server.passphrase_secret),
            known_hosts=server.known_hosts,
            host_keys=server.host_key,
        )
    )


def _of(secret: Callable[[str], str], name: str) -> str:
    return secret(name) if name else ""


def tell(what: str, fields: dict[str, Any]) -> None:
    """A line of the log: by digest, for a file's name may name a patient."""
    log.log(logging.INFO if what == "inlet.reached" else logging.WARNING, event(what, **fields))

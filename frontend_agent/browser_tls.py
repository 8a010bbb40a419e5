"""TLS towards browsers: of the console, and of the platform for people. A renewed certificate is used for the next connection."""

import os
import ssl
import threading
import time
from pathlib import Path

from frontend_agent.errors import ConfigurationError
from frontend_agent.logs import event, log

LOOK_EVERY = 1.0  # seconds between looks for a renewed certificate


def browser_context(certificate: Path, key: Path | None, where: str) -> ssl.SSLContext:
    """TLS 1.2 at least; the suites are those of the library, which leaves weak ones out. `where`: what names the files, for errors."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")  # of TLS 1.2: forward secrecy and AEAD alone
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or type(error).__name__ if isinstance(error, OSError) else "they do not belong together"
        raise ConfigurationError(f"{where} {certificate}, key {key or certificate}: cannot be used: {why}") from None
    return context


def keep_renewed(context: ssl.SSLContext, certificate: Path, key: Path | None, name: str) -> None:
    """In a thread of its own, for as long as the process lives. One that cannot be read leaves the old one in use.

    `name`: whose certificate, in the log."""
    threading.Thread(target=_keep, args=(context, certificate, key, name), name="renew", daemon=True).start()


def _keep(context: ssl.SSLContext, certificate: Path, key: Path | None, name: str) -> None:
    seen = _changed(certificate, key)
    while True:
        time.sleep(LOOK_EVERY)
        now = _changed(certificate, key)
        if now != seen:
            seen = now
            try:
                context.load_cert_chain(certificate, key)
                log.info(event(f"{name}.certificate_renewed"))
            except (OSError, ssl.SSLError) as error:
                log.warning(event(f"{name}.certificate_unusable", error=type(error).__name__))


def _changed(*paths: Path | None) -> list[int]:
    found = []
    for path in paths:
        try:
            found.append(os.stat(path).st_mtime_ns if path else 0)
        except OSError:
            found.append(0)
    return found

"""Alarms by mail: one message over SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS, to a server of the hospital.

The server's certificate must be one that the system or `ca` vouches for, also with STARTTLS: a password that is sent to
whoever answers is no secret.
"""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from frontend_agent.alarms.messages import Message
from frontend_agent.config_alarms import MailConfig
from frontend_agent.errors import FrontendAgentError

DOMAIN = "frontend-agent"


class NotTold(FrontendAgentError):
    """Nobody took it. Waiting may help; what was to be told is kept."""


def send_mail(options: MailConfig, password: str, message: Message, now: datetime) -> str:
    """Send it; what some of the recipients have against it, empty for nothing. NotTold when nobody took it."""
    with _in_our_words(options), _connected(options, password) as server:
        refused = server.send_message(_mail(options, message, now), options.sender, list(options.to))
    return _refusals(refused)


def probe_mail(options: MailConfig, password: str) -> None:
    """Raise what would go wrong if a mail were sent now: up to the login. Sends nothing."""
    with _in_our_words(options), _connected(options, password) as server:
        server.noop()


@contextmanager
def _in_our_words(options: MailConfig) -> Iterator[None]:
    """Other people's exceptions are translated here, where they are met."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        raise NotTold(f"{options.server}: {_refusals(error.recipients)}") from None
    except smtplib.SMTPAuthenticationError as error:
        raise NotTold(
            f"{options.server}: user {options.user!r} is not let in ({error.smtp_code}): is the secret right?"
        ) from None
    except smtplib.SMTPResponseException as error:
        raise NotTold(f"{options.server}: {error.smtp_code} {_text(error.smtp_error)}") from None
    except smtplib.SMTPNotSupportedError as error:
        raise NotTold(f"{options.server}: {error}; see [alarms.mail] security") from None
    except smtplib.SMTPException as error:
        raise NotTold(f"{options.server}: {error}") from None
    except ssl.SSLCertVerificationError as error:
        raise NotTold(f"{options.server}: its certificate: {error.verify_message}; name who signed it: ca") from None
    except OSError as error:
        raise NotTold(f"{options.server}: {error.strerror or type(error).__name__}") from None


@contextmanager
def _connected(options: MailConfig, password: str) -> Iterator[smtplib.SMTP]:
    """The server, secured as the configuration says, and logged in."""
    with _open(options) as server:
        if options.user:
            server.login(options.user, password)
        yield server


def _open(options: MailConfig) -> smtplib.SMTP:
    seconds, context = options.timeout.total_seconds(), ssl.create_default_context(cafile=options.ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.security == "tls":
        return smtplib.SMTP_SSL(options.host, options.port, timeout=seconds, context=context)
    server = smtplib.SMTP(options.host, options.port, timeout=seconds)
    if options.security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _mail(options: MailConfig, message: Message, now: datetime) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = options.sender, ", ".join(options.to), " ".join(message.subject.split())
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.key}@{DOMAIN}>"  # told again after a crash it is the same message
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    mail.set_content(message.body)
    return mail


def _refusals(refused: "dict[str, tuple[int, bytes]]") -> str:
    return "; ".join(f"{address}: {code} {_text(said)}" for address, (code, said) in refused.items())


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:200]

"""Why TLS with a peer failed, and who mends it: in words of ours, and nothing of what was sent."""

import ssl

# OpenSSL's reasons (sslerr.h): the alert that the peer sent (RFC 8446 §6.2).
_ASKS_FOR_OURS = (
    "CERTIFICATE_REQUIRED",
    "ALERT_HANDSHAKE_FAILURE",
    "ALERT_NO_CERTIFICATE",
)  # the second: before TLS 1.3
_REFUSES_OURS = (
    "UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED", "UNSUPPORTED_CERTIFICATE", "ACCESS_DENIED",
)  # fmt: skip
_NO_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "HTTPS_PROXY_REQUEST",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)
_OTHER_VERSIONS = (
    "PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "VERSION_TOO_LOW",
    "INSUFFICIENT_SECURITY",
    "NO_SHARED_CIPHER",
)
# What a peer meant that closed the connection and whose alert was lost with it.
CLOSED = "where it asks for a certificate of ours, set certificate and key, and have it trust their authority"
# Of X509_verify_cert (x509_vfy.h).
_NOT_YET, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64


def tls_problem(error: ssl.SSLError) -> str:
    """One sentence: what is wrong with whose certificate, and what mends it. It names settings by their keys."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_theirs(error.verify_code, error.verify_message)
    if isinstance(error, ssl.SSLEOFError):
        return f"it closed the connection within TLS: {CLOSED}"
    reason = error.reason or ""
    said = reason.replace("_", " ").lower() or "no handshake"
    if any(reason.endswith(one) for one in _ASKS_FOR_OURS):
        return f"it asks for a certificate of ours ({said}): set certificate and key, and have it trust their authority"
    if is_about_ours(error):
        return (
            f"it does not take our certificate ({said}): whoever runs it must trust the authority of `certificate`,"
            " or give us another one"
        )
    if any(reason.endswith(one) for one in _NO_TLS):
        return f"it does not speak TLS at this port ({said}): url needs its port of TLS, or dicom: or http: in front"
    if any(reason.endswith(one) for one in _OTHER_VERSIONS):
        return f"no version of TLS in common ({said}): whoever runs it must offer TLS 1.2 or newer"
    return said


def is_about_ours(error: OSError) -> bool:
    """Whether the peer refuses us by our certificate, or by the lack of one: with TLS 1.3 it says so only after the handshake."""
    reason = getattr(error, "reason", None) or ""
    return isinstance(error, ssl.SSLError) and any(
        str(reason).endswith(one) for one in (*_ASKS_FOR_OURS, *_REFUSES_OURS)
    )


def tls_error_of(error: BaseException | None) -> ssl.SSLError | None:
    """The fault of TLS that libraries have wrapped into theirs."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, ssl.SSLError):
            return one
        inner = [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
        waiting += [part for part in inner if isinstance(part, BaseException)]
    return None


def _of_theirs(code: int, message: str) -> str:
    if code == _EXPIRED:
        return f"its certificate has expired ({message}): whoever runs it must renew it"
    if code == _NOT_YET:
        return f"its certificate is not valid yet ({message}): compare the clocks of both machines"
    if code in (_OTHER_HOST, _OTHER_ADDRESS):
        return f"its certificate is not that of the host in url ({message}): name it in url as its certificate does, or have it get one of that name"
    return f"its certificate is signed by nobody we trust ({message}): set ca to the certificate of its authority (PEM)"

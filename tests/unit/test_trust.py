"""What is said where TLS fails. What real peers do is in tests/integration/test_images_tls.py."""

import ssl

import pytest
import urllib3

from connectors.trust import is_about_ours, tls_error_of, tls_problem


def failed(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] …")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "said", "about_ours"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "set certificate and key", True),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "set certificate and key", True),
        ("TLSV1_ALERT_UNKNOWN_CA", "must trust the authority", True),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "give us another one", True),
        ("WRONG_VERSION_NUMBER", "does not speak TLS at this port", False),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "must offer TLS 1.2 or newer", False),
        ("BAD_RECORD_MAC", "bad record mac", False),
    ],
)
def test_an_alert_is_told_with_its_mend(reason: str, said: str, about_ours: bool) -> None:
    assert said in tls_problem(failed(reason))
    assert is_about_ours(failed(reason)) is about_ours


def test_what_ends_without_a_word_may_be_about_ours() -> None:
    assert "set certificate and key" in tls_problem(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))
    assert not is_about_ours(ConnectionResetError())


def test_it_is_found_where_libraries_hide_it() -> None:
    inner = failed("UNKNOWN_CA")
    pool = urllib3.HTTPSConnectionPool("localhost")
    assert tls_error_of(urllib3.exceptions.MaxRetryError(pool, "/", urllib3.exceptions.SSLError(inner))) is inner
    chained = ValueError("x")
    chained.__cause__ = inner
    assert tls_error_of(chained) is inner
    assert tls_error_of(ValueError("x")) is None

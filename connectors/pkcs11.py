"""A signing key in a token or HSM, by PKCS#11 (OASIS, v2.40): the key never leaves it.

    pip install 'frontend-agent[pkcs11]'

Who is logged in, is so for a whole process: one session for each token, which all its keys share, and one at a time asks.
A session belongs to the process that opened it: a fork opens its own. One that the token has dropped (pulled out, its
service restarted) is opened anew once; what fails then is told as something that passes.
"""

import os
import threading
from collections.abc import Callable, Sequence
from hashlib import new as new_hash
from pathlib import Path
from typing import Any, TypeVar

from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.signatures import Certificate
from frontend_agent.signatures.certificates import BadCertificate
from frontend_agent.signatures.suites import Suite, suite_for

_T = TypeVar("_T")
_RSA = {"SHA-256": "SHA256_RSA_PKCS", "SHA-384": "SHA384_RSA_PKCS", "SHA-512": "SHA512_RSA_PKCS"}

_one_at_a_time = threading.Lock()
_sessions: dict[tuple[str, str], Any] = {}  # library, token -> its session in the process `_opened_in`
_opened_in = 0


def forget() -> None:
    """Close the sessions of this process: whoever asks next opens one anew."""
    with _one_at_a_time:
        for library in {library for library, _ in _sessions}:
            _restarted(library)
        _sessions.clear()


def _restarted(path: str) -> Any:
    import pkcs11

    library = pkcs11.lib(path)
    library.reinitialize()
    return library


class TokenKey:
    """The key of that label. `unavailable`: what is raised when the token does not answer now."""

    def __init__(
        self,
        where: str,
        library: str,
        token: str,
        label: str,
        pin: str,
        chain: Sequence[Certificate],
        unavailable: type[FrontendAgentError],
    ) -> None:
        self._where, self._library, self._token, self._label, self._pin = where, library, token, label, pin
        self._unavailable = unavailable
        self._proven = False
        self.chain = tuple(chain) or self._asked(self._certificates)

    @property
    def suite(self) -> Suite:
        return suite_for(self.chain[0].key)

    def sign(self, data: bytes) -> bytes:
        """As XML-DSig writes it: r and s side by side is what a token gives for ECDSA, too."""
        return self._asked(lambda session: self._signed(session, data))

    def _signed(self, session: Any, data: bytes) -> bytes:
        from pkcs11 import Mechanism, ObjectClass
        from pkcs11.exceptions import MultipleObjectsReturned, NoSuchKey

        suite = self.suite
        if suite.key == "SM2":
            raise ConfigurationError(
                f'{self._where}: PKCS#11 has no mechanism for SM2 that tokens agree on; use type = "sdf", or a file'
            )
        try:
            key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=self._label)
        except (NoSuchKey, MultipleObjectsReturned):
            if self._proven:  # it was there: the token is another one, or half gone
                raise
            raise ConfigurationError(
                f"{self._where}: token {self._token!r} has not exactly one private key named {self._label!r}"
            ) from None
        self._proven = True
        if suite.key == "RSA":
            return bytes(key.sign(data, mechanism=Mechanism[_RSA[suite.hash]]))
        digest = new_hash(suite.hash.replace("-", ""), data).digest()
        return bytes(key.sign(digest, mechanism=Mechanism.ECDSA))

    def _certificates(self, session: Any) -> tuple[Certificate, ...]:
        from pkcs11 import Attribute, ObjectClass

        found = session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.LABEL: self._label})
        try:
            chain = tuple(Certificate(bytes(one[Attribute.VALUE])) for one in found)
            for one in chain:
                _ = one.parsed
        except BadCertificate as error:
            raise ConfigurationError(f"{self._where}: certificate {self._label!r} in the token: {error}") from None
        if len(chain) != 1:
            raise ConfigurationError(
                f"{self._where}: the token holds {len(chain)} certificates named {self._label!r}; "
                "name the file of the right one: certificate = …"
            )
        return chain

    def _asked(self, work: Callable[[Any], _T]) -> _T:
        """The answer of the token. A session that was there before may have been dropped since: then once more."""
        try:
            from pkcs11.exceptions import PKCS11Error
        except ImportError:
            raise ConfigurationError(
                f"{self._where}: keys in tokens need the extra pkcs11 (pip install 'frontend-agent[pkcs11]')"
            ) from None
        with _one_at_a_time:
            session = self._opened()
            if session is not None:
                try:
                    return work(session)
                except PKCS11Error:
                    _sessions.clear()  # of all tokens: the library is begun anew
            try:
                return work(self._open())
            except PKCS11Error as error:
                _sessions.clear()
                raise self._unavailable(f"{self._where}: the token does not sign: {type(error).__name__}") from None

    def _opened(self) -> Any:
        return _sessions.get((self._library, self._token)) if _opened_in == os.getpid() else None

    def _open(self) -> Any:
        global _opened_in
        from pkcs11.exceptions import NoSuchToken, PinIncorrect, PinLenRange, PinLocked

        if not Path(self._library).is_file():
            raise ConfigurationError(f"{self._where}: library {self._library} is not there; install the token's driver")
        others = {library for library, _ in _sessions} if _opened_in == os.getpid() else set()
        try:
            library = self._begun() if self._library in others else _restarted(self._library)
        except (RuntimeError, OSError) as error:
            raise ConfigurationError(
                f"{self._where}: {self._library} is no PKCS#11 library of this machine ({type(error).__name__})"
            ) from None
        if _opened_in != os.getpid():
            _sessions.clear()
            _opened_in = os.getpid()
        try:
            session = library.get_token(token_label=self._token).open(user_pin=self._pin)
        except NoSuchToken:
            raise self._unavailable(f"{self._where}: no token {self._token!r} is there; plug it in") from None
        except PinLocked:
            raise ConfigurationError(f"{self._where}: the PIN of token {self._token!r} is locked; unlock it") from None
        except (PinIncorrect, PinLenRange):
            raise ConfigurationError(f"{self._where}: the secret is not the PIN of token {self._token!r}") from None
        _sessions[self._library, self._token] = session
        return session

    def _begun(self) -> Any:
        import pkcs11

        return pkcs11.lib(self._library)

"""A signing key in a token or HSM, by PKCS#11 (OASIS, v2.40): the key never leaves it.

    pip install 'frontend-agent[pkcs11]'

A session belongs to the process that opened it: a fork opens its own. One that the token has dropped (pulled out, logged
off, its service restarted) is opened anew once; what fails then is told as something that passes.
"""

import os
import threading
from collections.abc import Sequence
from hashlib import new as new_hash
from pathlib import Path
from typing import Any

from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.signatures import Certificate
from frontend_agent.signatures.certificates import BadCertificate
from frontend_agent.signatures.suites import Suite, suite_for

_one_at_a_time = threading.Lock()  # a library is shared by all tokens of a process
_began_in: dict[str, int] = {}  # library -> the process in which it was initialised

_RSA = {"SHA-256": "SHA256_RSA_PKCS", "SHA-384": "SHA384_RSA_PKCS", "SHA-512": "SHA512_RSA_PKCS"}


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
        self._where, self._library_path, self._token, self._label, self._pin = where, library, token, label, pin
        self._unavailable = unavailable
        self._session: Any = None
        self._key: Any = None
        self._process = 0
        self.chain = tuple(chain) or self._with_session(self._certificates)

    @property
    def suite(self) -> Suite:
        return suite_for(self.chain[0].key)

    def sign(self, data: bytes) -> bytes:
        """As XML-DSig writes it: r and s side by side is what a token gives for ECDSA, too."""
        signature: bytes = self._with_session(lambda: self._signed(data))
        return signature

    def _signed(self, data: bytes) -> bytes:
        from pkcs11 import Mechanism

        suite = self.suite
        if suite.key == "RSA":
            return bytes(self._key.sign(data, mechanism=Mechanism[_RSA[suite.hash]]))
        if suite.key == "SM2":
            raise ConfigurationError(
                f'{self._where}: PKCS#11 has no mechanism for SM2 that tokens agree on; use type = "sdf", or a file'
            )
        digest = new_hash(suite.hash.replace("-", ""), data).digest()
        return bytes(self._key.sign(digest, mechanism=Mechanism.ECDSA))

    def _certificates(self) -> tuple[Certificate, ...]:
        from pkcs11 import Attribute, ObjectClass

        found = self._session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.LABEL: self._label})
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

    def _with_session(self, work: Any) -> Any:
        try:
            from pkcs11.exceptions import PKCS11Error
        except ImportError:
            raise ConfigurationError(
                f"{self._where}: keys in tokens need the extra pkcs11 (pip install 'frontend-agent[pkcs11]')"
            ) from None

        with _one_at_a_time:
            fresh = self._process != os.getpid() or self._session is None
            try:
                if fresh:
                    self._open()
                return work()
            except PKCS11Error as error:
                self._session = self._key = None
                if fresh:
                    raise self._unavailable(f"{self._where}: the token does not sign: {type(error).__name__}") from None
            try:
                self._open(again=True)
                return work()
            except PKCS11Error as error:
                self._session = self._key = None
                raise self._unavailable(f"{self._where}: the token does not sign: {type(error).__name__}") from None

    def _open(self, again: bool = False) -> None:
        import pkcs11
        from pkcs11.exceptions import (
            MultipleObjectsReturned,
            NoSuchKey,
            NoSuchToken,
            PinIncorrect,
            PinLenRange,
            PinLocked,
        )

        if not Path(self._library_path).is_file():
            raise ConfigurationError(
                f"{self._where}: library {self._library_path} is not there; install the token's driver"
            )
        try:
            library = pkcs11.lib(self._library_path)
            if again or _began_in.get(self._library_path, os.getpid()) != os.getpid():
                library.reinitialize()
            _began_in[self._library_path] = os.getpid()
        except (RuntimeError, OSError) as error:
            raise ConfigurationError(
                f"{self._where}: library {self._library_path} is no PKCS#11 library of this machine ({type(error).__name__})"
            ) from None
        try:
            token = library.get_token(token_label=self._token)
            self._session = token.open(user_pin=self._pin)
            self._key = self._session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self._label)
        except NoSuchToken:
            raise self._unavailable(f"{self._where}: no token {self._token!r} is there; plug it in") from None
        except PinLocked:
            raise ConfigurationError(f"{self._where}: the PIN of token {self._token!r} is locked; unlock it") from None
        except (PinIncorrect, PinLenRange):
            raise ConfigurationError(f"{self._where}: the secret is not the PIN of token {self._token!r}") from None
        except (NoSuchKey, MultipleObjectsReturned):
            raise ConfigurationError(
                f"{self._where}: token {self._token!r} has not exactly one private key named {self._label!r}"
            ) from None
        self._process = os.getpid()

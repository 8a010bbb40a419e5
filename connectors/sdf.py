"""A signing key of SM2 in a certified device, by the national interface SDF (GM/T 0018-2012): the key never leaves it.

Not tested with a device of any maker: only with a library of our own tests that speaks the same interface. A USB key with
SKF (GM/T 0016) has a driver for PKCS#11 from most makers (`type = "pkcs11"`) or a signing service; there is no SKF here.

The device signs e = SM3(Z ‖ data) (GB/T 32918.2 6.1), which is made here, by SDF_InternalSign_ECC.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Sequence

from frontend_agent.errors import ConfigurationError, FrontendAgentError
from frontend_agent.signatures import Certificate, sm2
from frontend_agent.signatures.der import signature_of
from frontend_agent.signatures.suites import Suite, suite_for

_LONGEST = 64  # ECCref_MAX_LEN, bytes: numbers of 256 bits stand at the end


class _EccSignature(ctypes.Structure):
    """ECCSignature of GM/T 0018 5.6."""

    _fields_ = (("r", ctypes.c_ubyte * _LONGEST), ("s", ctypes.c_ubyte * _LONGEST))


class DeviceKey:
    """The signing key of that number in the device. `unavailable`: what is raised when the device does not answer now."""

    def __init__(
        self,
        where: str,
        library: str,
        index: int,
        password: str,
        chain: Sequence[Certificate],
        unavailable: type[FrontendAgentError],
    ) -> None:
        self._where, self._library_path, self._index, self._password = where, library, index, password.encode()
        self._unavailable = unavailable
        self.chain = tuple(chain)
        if not self.chain[0].point:
            raise ConfigurationError(
                f"{where}: the certificate's key is {self.chain[0].key}; a device of SDF signs with SM2"
            )
        self._lock = threading.Lock()
        self._library: ctypes.CDLL | None = None
        self._device = ctypes.c_void_p()
        self._session = ctypes.c_void_p()
        self._process = 0

    @property
    def suite(self) -> Suite:
        return suite_for(self.chain[0].key)

    def sign(self, data: bytes) -> bytes:
        """DER (GB/T 35276)."""
        digest = sm2.hashed(self.chain[0].point or b"", data)
        with self._lock:
            if self._process != os.getpid():
                self._open()
            assert self._library is not None
            signature = _EccSignature()
            try:
                self._ask(
                    "SDF_InternalSign_ECC", self._session, self._index, digest, len(digest), ctypes.byref(signature)
                )
            except FrontendAgentError:
                self._close()  # the next one opens it anew
                raise
        return signature_of(bytes(signature.r), bytes(signature.s))

    def _open(self) -> None:
        try:
            self._library = ctypes.CDLL(self._library_path)
        except OSError:
            raise ConfigurationError(
                f"{self._where}: library {self._library_path} cannot be loaded; install the device's SDF library"
            ) from None
        self._ask("SDF_OpenDevice", ctypes.byref(self._device))
        self._ask("SDF_OpenSession", self._device, ctypes.byref(self._session))
        if self._password:
            self._ask("SDF_GetPrivateKeyAccessRight", self._session, self._index, self._password, len(self._password))
        self._process = os.getpid()

    def _close(self) -> None:
        self._process = 0
        if self._library is not None:
            self._library.SDF_CloseSession(self._session)
            self._library.SDF_CloseDevice(self._device)

    def _ask(self, name: str, *arguments: object) -> None:
        try:
            function: Callable[..., int] = getattr(self._library, name)
        except AttributeError:
            raise ConfigurationError(
                f"{self._where}: {self._library_path} is no SDF library: it has no {name}"
            ) from None
        answer = function(*arguments) & 0xFFFFFFFF
        if answer:  # SDR_OK is 0 (GM/T 0018, annex A)
            raise self._unavailable(f"{self._where}: the device answers {name} with 0x{answer:08X}")

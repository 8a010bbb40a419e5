"""Types of settings that Python has no word for."""


class Size(int):
    """A number of bytes, written as `20 GiB` in the file."""


class Count(int):
    """A number that may be none at all."""


NONE = Count(0)
ONE = Count(1)
TWO = Count(2)
KiB64 = Size(64 * 1024)
MiB10 = Size(10 * 1024**2)
MiB16 = Size(16 * 1024**2)
MiB32 = Size(32 * 1024**2)
MiB64 = Size(64 * 1024**2)
GiB20 = Size(20 * 1024**3)

SECRET = "secret"  # the word, not one  # noqa: S105
NAMES_A_SECRET = {SECRET: True}  # metadata of a setting that names a secret, and is not called so

"""sslyze, a scanner of TLS by others, in a virtual environment of its own: it is under the AGPL and pins what we do not.

It is fetched once and kept; nothing of it is imported here, shipped, or in our locks.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.nspawn_kit import missing
from tests.package_kit import cache_folder

VERSION = "6.3.1"


def sslyze() -> Path:
    """The command, or a skip that says why there is none."""
    folder = cache_folder() / f"sslyze-{VERSION}"
    command = folder / "bin" / "sslyze"
    if command.is_file():
        return command
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=120)
        install = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--only-binary=:all:",
            "--no-binary=sslyze,tls-parser",  # these two are Python alone, and have no wheel
            f"sslyze=={VERSION}",
        ]
        subprocess.run(install, check=True, capture_output=True, timeout=600)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        shutil.rmtree(folder, ignore_errors=True)
        said = (getattr(error, "stderr", b"") or b"").decode("utf-8", "replace").strip().splitlines()[-1:]
        missing(f"sslyze could not be fetched: {type(error).__name__} {' '.join(said)}")
    return command

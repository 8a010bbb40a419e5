"""A folder of this machine, as its operating system has folders."""

import sys

if sys.platform == "win32":
    from connectors.folders.local_windows import WindowsPlace as LocalPlace
else:
    from connectors.folders.local import LocalPlace

__all__ = ["LocalPlace"]

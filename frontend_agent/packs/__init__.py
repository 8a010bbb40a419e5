"""Packs: profiles, rule switches, value sets, templates and classes of a region, versioned together, signed and dated.

`archive.py` is the file and why one is refused, `content.py` what takes effect of it, `shadow.py` how a record would fare
under another pack, `skew.py` how two sides tell that they do not judge alike.
"""

from frontend_agent.packs.archive import Manifest, Pack, PackRefused, build, open_pack
from frontend_agent.packs.content import NATIONAL, Packs, national_version
from frontend_agent.packs.skew import Skew, compared, names

__all__ = [
    "NATIONAL",
    "Manifest",
    "Pack",
    "PackRefused",
    "Packs",
    "Skew",
    "build",
    "compared",
    "names",
    "national_version",
    "open_pack",
]

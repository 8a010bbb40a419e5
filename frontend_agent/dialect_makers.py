"""What foreign destinations send that is made of a record's values: the makers, from a destination's settings.

The makers themselves are pure (`frontend_agent/dialects/`); here their tables are read.
"""

from collections.abc import Callable, Mapping

from connectors.outlets import Around
from frontend_agent.codes import CodeTable
from frontend_agent.config_outlets import PackagesOutlet
from frontend_agent.dialects.data_sets import SHIPPED
from frontend_agent.dialects.packages import Packer, packer
from frontend_agent.dialects.values import local_in
from frontend_agent.errors import ConfigurationError
from frontend_agent.packs.content import Content
from frontend_agent.shipped import read_file, read_shipped

Codes = Callable[[str], Mapping[str, CodeTable]]


def packages(name: str, options: PackagesOutlet, content: Content, codes: Codes, around: Around) -> Packer:
    """What makes a destination's packages. ConfigurationError: what its table lacks."""
    texts = {SHIPPED: read_shipped("frontend_agent.dialects")(SHIPPED)}
    if options.data_sets:
        texts[options.data_sets] = site_text(name, "data_sets", options.data_sets)
    try:
        return packer(options, content.kind, local_in(codes), around.timezone, texts, content.compiling)
    except ConfigurationError as error:
        raise ConfigurationError(f"destinations.{name}: {error}") from error


def site_text(name: str, key: str, path: str) -> str:
    """A file that a destination names. ConfigurationError names the destination and the key."""
    try:
        return read_file(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"destinations.{name}: {key}: {path} cannot be read: {error}") from error

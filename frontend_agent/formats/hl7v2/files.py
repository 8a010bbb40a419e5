"""The declarations of messages as they lie in this package: the one place here that reads files."""

from importlib import resources


def texts() -> dict[str, str]:
    """Every TOML of `messages/` by its name without the ending."""
    folder = resources.files(__package__).joinpath("messages")
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".toml")), key=lambda one: one.name)
    return {one.name.removesuffix(".toml"): one.read_text("utf-8") for one in files}

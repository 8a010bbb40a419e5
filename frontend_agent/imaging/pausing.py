"""How a destination of images is called among those that are left alone for a while."""


def pause_name(destination: str) -> str:
    """Documents may have a destination of the same name."""
    return f"images/{destination}"

"""What is said when a message cannot be read."""

from frontend_agent.errors import FrontendAgentError


class MessageUnreadable(FrontendAgentError):
    """What arrived cannot be read as a message of its format. All reasons at once; none quotes the message."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons

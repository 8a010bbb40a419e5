from frontend_agent.platform.openapi import Operation
from frontend_agent.platform.store import Store


class Pages:
    def __init__(self, store: Store): ...
    def operations(self) -> list[Operation]:
        return []

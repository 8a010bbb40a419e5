"""Messages become rows as a query's answer does: their mapping names paths instead of columns.

compile_message(mapping) -> content: bytes -> MessageRows      and then mapping.compile_mapping, unchanged
"""

from frontend_agent.messages.declared import MessageMapping, declared_message
from frontend_agent.messages.formats import FORMATS
from frontend_agent.messages.rows import MessageRows, compile_message

__all__ = ["FORMATS", "MessageMapping", "MessageRows", "compile_message", "declared_message"]

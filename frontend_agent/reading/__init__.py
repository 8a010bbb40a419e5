"""Readers inside a column: what a hospital's system keeps as XML, JSON, RTF or HTML, packed or in an old code page.

    "base64 | gzip | gb18030 | xml"      a chain: each step reads what the one before it gave

Pure, deterministic and bounded: a reader answers with text or says `Unreadable`, whatever it is given. Nothing is guessed:
bytes that are no text of the named code page are not read at all.
"""

from frontend_agent.reading.chain import Chain, compile_chain, readers
from frontend_agent.reading.columns import Column, FieldPath, GroupPath, Opened, Unread, open_columns
from frontend_agent.reading.errors import Unreadable
from frontend_agent.reading.trees import compile_path

__all__ = [
    "Chain", "Column", "FieldPath", "GroupPath", "Opened", "Unread", "Unreadable", "compile_chain", "compile_path",
    "open_columns", "readers",
]  # fmt: skip

"""HL7 v2 as it really arrives: ER7 text read quickly and leniently, its character set told by evidence, and the answers to it.

decode(content) -> Decoded | Undecided     read(text) -> Message     message.value("PID-5.1")     answer(header, …) -> bytes
why_unreadable(content) -> reasons         split_batch(content) -> Batch
Message.write() gives back what was read, character by character
"""

from frontend_agent.er7.answers import (
    Answer,
    Condition,
    Header,
    Reason,
    Said,
    Stage,
    answer,
    as_text,
    first_stage,
    header_of,
    is_wanted,
    read_answer,
)
from frontend_agent.er7.batch import Batch, split_batch
from frontend_agent.er7.charset import Decoded, Undecoded, codec_of, declared_of, decode
from frontend_agent.er7.errors import MessageUnreadable
from frontend_agent.er7.judging import why_unreadable
from frontend_agent.er7.paths import FieldPath, SegmentPath, field_path, segment_path
from frontend_agent.er7.reader import MOST_SEGMENTS, Message, Scope, Segment, read
from frontend_agent.er7.text import USUAL, Delimiters, escape, unescape

__all__ = [
    "MOST_SEGMENTS",
    "USUAL",
    "Answer",
    "Batch",
    "Condition",
    "Decoded",
    "Delimiters",
    "FieldPath",
    "Header",
    "Message",
    "MessageUnreadable",
    "Reason",
    "Said",
    "Scope",
    "Segment",
    "SegmentPath",
    "Stage",
    "Undecoded",
    "answer",
    "as_text",
    "codec_of",
    "declared_of",
    "decode",
    "escape",
    "field_path",
    "first_stage",
    "header_of",
    "is_wanted",
    "read",
    "read_answer",
    "segment_path",
    "split_batch",
    "unescape",
    "why_unreadable",
]

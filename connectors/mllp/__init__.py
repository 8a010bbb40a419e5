"""HL7 v2 over MLLP. `framing` is the protocol without I/O: bytes in, events out."""

from connectors.mllp.framing import Event, Framer, Junk, Message, TooLong, Unterminated, framed

__all__ = ["Event", "Framer", "Junk", "Message", "TooLong", "Unterminated", "framed"]

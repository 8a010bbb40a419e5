"""Pixels are touched in a process of their own that has given everything else up (threat D8, confine.py), and only there.

    asking      our side: a question, an answer, an end when it takes too long
    working     its side: one frame compressed and verified; the pages of a picture

The agent's own process sees compressed bytes and sizes, never a decoder. Without the extra `viewer` there is no such process.
"""

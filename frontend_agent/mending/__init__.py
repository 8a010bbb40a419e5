"""What a person does about what does not go by itself: see it by cause, let it go after a mend, rehearse, and look back.

groups.py       what waits, by cause and by who must act
releasing.py    held records are read again and rebuilt; what became of them
    tracing.py      where a document, or one element of it, came from
"""

"""An agent in two halves with a gap (网闸) between them that passes nothing but files (decision 0053).

inner half   a whole agent, whose platforms are on the other side        inner.py
outer half   a small process that puts its requests, and owns nothing    outer.py
line.py      what both have: bundles through two folders, numbered, acknowledged, asked for again
"""

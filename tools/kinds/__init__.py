"""Drafts the kinds of WS/T 500 from the national tables: a tool run by hand, no part of the agent.

    python -m tools.kinds.draft C0034 C0052      the named kinds          python -m tools.kinds.draft    all that are drafted

tables.py reads the national tables and our own small ones (the CSV files in this folder), tree.py holds the elements, header.py
and body.py say which field stands where, sheet.py lays the printed list of fields beside them, decide.py writes down every
difference with its reason, write.py writes the three files of a kind.

A kind is never mended in its files, but in the tables here: `docs/decisions/0007` says why.
"""

"""Terminology: which local code is which standard one, and who says so.

`traps.py` looks at a code map for what the tables warn of; `proposals.py` finds what a local code may mean; `catalogues.py`
holds a hospital's own tables (ICD-10, drugs) and `loading.py` reads their files; `sheets.py` is the way to a department's
spreadsheet and back.
"""

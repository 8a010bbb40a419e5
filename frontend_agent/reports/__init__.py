"""Reports and evidence: tables, charts and layouts made of the statistics. Values in, bytes out.

Figures    what the spool says of a period, added up           figures.py
Report     tables and charts in one language                   report.py
files      the same report as a workbook, a page, a CSV        excel.py, page.py, separated.py
"""

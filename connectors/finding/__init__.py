"""How new rows are found at a source, whatever connects to it: the pure parts.

cursors     a cursor as text, as a time, earlier by so much, in the form the source compares
bearings    what a whole run leaves for the next, beside the watermark: from where it has to look again
gaps        numbers that were passed over: given out before, and perhaps committed later
marks       what tells content apart without fetching it: for a status column, or a table without any order
"""

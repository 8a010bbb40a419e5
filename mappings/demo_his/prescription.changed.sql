-- What changed: the prescription, or a line newer than it (a reversal is a new line).
SELECT xgsj AS "cursor", cfh AS "key" FROM mz_cf
UNION ALL
SELECT d.xgsj, c.cfh FROM mz_cfmx d JOIN mz_cf c ON c.cfh = d.cfh WHERE d.xgsj > c.xgsj
UNION ALL
SELECT b.xgsj, c.cfh FROM mz_brxx b JOIN mz_cf c ON c.brid = b.brid WHERE b.xgsj > c.xgsj

-- What changed: a department; the hospital itself has no time of change and is as old as the oldest of them.
SELECT xgsj AS "cursor", ksdm AS "key" FROM dm_ks
UNION ALL
SELECT (SELECT MIN(xgsj) FROM dm_ks), jgdm FROM xt_jg

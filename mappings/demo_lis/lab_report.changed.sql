-- What changed: the report, or an item or diagnosis newer than it.
SELECT xgsj AS "cursor", bgh AS "key" FROM lis_bg
UNION ALL
SELECT d.xgsj, b.bgh FROM lis_bgmx d JOIN lis_bg b ON b.bgh = d.bgh WHERE d.xgsj > b.xgsj
UNION ALL
SELECT d.xgsj, b.bgh FROM lis_bgzd d JOIN lis_bg b ON b.bgh = d.bgh WHERE d.xgsj > b.xgsj

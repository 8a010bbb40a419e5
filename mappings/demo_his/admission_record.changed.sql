-- The record itself, the stay or the person behind it.
SELECT xgsj AS "cursor", zyh AS "key" FROM zy_ryjl
UNION ALL
SELECT b.xgsj, j.zyh FROM mz_brxx b JOIN zy_zyjl z ON z.brid = b.brid JOIN zy_ryjl j ON j.zyh = z.zyh WHERE b.xgsj > j.xgsj

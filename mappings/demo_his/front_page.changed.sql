-- The page itself, what is listed on it, the stay and the person behind it.
SELECT xgsj AS "cursor", zyh AS "key" FROM zy_basy
UNION ALL
SELECT d.xgsj, d.zyh FROM zy_basyzd d JOIN zy_basy p ON p.zyh = d.zyh WHERE d.xgsj > p.xgsj
UNION ALL
SELECT d.xgsj, d.zyh FROM zy_basyss d JOIN zy_basy p ON p.zyh = d.zyh WHERE d.xgsj > p.xgsj
UNION ALL
SELECT b.xgsj, p.zyh FROM mz_brxx b JOIN zy_zyjl z ON z.brid = b.brid JOIN zy_basy p ON p.zyh = z.zyh WHERE b.xgsj > p.xgsj

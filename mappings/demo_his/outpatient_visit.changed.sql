-- What changed: the visit itself, or a detail of it that is newer than the visit.
SELECT xgsj AS "cursor", mzh AS "key" FROM mz_jzjl
UNION ALL
SELECT d.xgsj, j.mzh FROM mz_zd d JOIN mz_jzjl j ON j.jzxh = d.jzxh WHERE d.xgsj > j.xgsj
UNION ALL
SELECT d.xgsj, j.mzh FROM mz_jcjg d JOIN mz_jzjl j ON j.jzxh = d.jzxh WHERE d.xgsj > j.xgsj
UNION ALL
SELECT d.xgsj, j.mzh FROM mz_yz d JOIN mz_jzjl j ON j.jzxh = d.jzxh WHERE d.xgsj > j.xgsj
UNION ALL
-- The person's data corrected afterwards: every visit of theirs changes with it.
SELECT b.xgsj, j.mzh FROM mz_brxx b JOIN mz_jzjl j ON j.brid = b.brid WHERE b.xgsj > j.xgsj

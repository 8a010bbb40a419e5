-- Western diagnoses of the newest row of a visit.
SELECT
    j.mzh  AS "patient.outpatient_number",
    d.zdsx AS "line",
    d.zddm AS "code",
    d.zdmc AS "name"
FROM mz_zd d
JOIN mz_jzjl j ON j.jzxh = d.jzxh
WHERE d.zdlx = 'XY'
  AND NOT EXISTS (SELECT 1 FROM mz_jzjl n WHERE n.mzh = j.mzh AND (n.xgsj, n.jzxh) > (j.xgsj, j.jzxh))

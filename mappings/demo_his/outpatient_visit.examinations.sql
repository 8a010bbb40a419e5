-- Examinations whose results the doctor wrote into the visit.
SELECT
    j.mzh  AS "patient.outpatient_number",
    d.jcsx AS "line",
    d.jcxm AS "item",
    d.jcjg AS "result"
FROM mz_jcjg d
JOIN mz_jzjl j ON j.jzxh = d.jzxh
WHERE NOT EXISTS (SELECT 1 FROM mz_jzjl n WHERE n.mzh = j.mzh AND (n.xgsj, n.jzxh) > (j.xgsj, j.jzxh))

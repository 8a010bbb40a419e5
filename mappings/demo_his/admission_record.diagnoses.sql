-- What the doctors think it is on admission: the diagnosis the patient was sent in with.
SELECT
    j.zyh                 AS "patient.inpatient_number",
    1                     AS "line",
    p.mzzdbm              AS "code",
    p.mzzdmc              AS "name",
    substr(z.rysj, 1, 10) AS "date",
    '1'                   AS "rank"
FROM zy_ryjl j
JOIN zy_zyjl z ON z.zyh = j.zyh
JOIN zy_basy p ON p.zyh = j.zyh

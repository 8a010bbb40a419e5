-- Every diagnosis but the main one.
SELECT
    d.zyh                 AS "patient.inpatient_number",
    d.zdsx                AS "line",
    d.zdmc                AS "name",
    d.zddm                AS "code",
    d.rybq                AS "condition_on_admission",
    substr(z.rysj, 1, 10) AS "date"
FROM zy_basyzd d
JOIN zy_zyjl z ON z.zyh = d.zyh
WHERE d.zdlx = 'QT'

-- The diagnoses the examination was asked for with.
SELECT
    d.jch  AS "report_number",
    d.zdsx AS "line",
    d.zddm AS "code",
    d.zdmc AS "name",
    d.zdrq AS "date",
    g.jgmc AS "institution_name"
FROM ris_jczd d
CROSS JOIN xt_jg g

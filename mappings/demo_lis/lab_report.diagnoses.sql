-- The diagnoses the request was made for.
SELECT
    d.bgh  AS "report_number",
    d.zdsx AS "line",
    d.zddm AS "code",
    d.zdmc AS "name",
    d.zdrq AS "date",
    g.jgmc AS "institution_name"
FROM lis_bgzd d
CROSS JOIN xt_jg g

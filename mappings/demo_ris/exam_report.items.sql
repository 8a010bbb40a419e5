-- What was done: one item, as the department does one examination at a time.
SELECT
    j.jch                  AS "report_number",
    1                      AS "line",
    j.jcdm                 AS "code",
    SUBSTR(j.jcsj, 1, 8)   AS "examined_on",
    j.yxjg                 AS "result_code"
FROM ris_jc j

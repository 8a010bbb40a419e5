-- The items. One column holds numbers and words alike: what consists of digits is the value, the rest is text.
-- A text result keeps its unit behind it (镜检 2-4 /HP): the kind has a unit for numbers only.
SELECT
    m.bgh                                             AS "report_number",
    m.xh                                              AS "line",
    m.xmdm                                            AS "code",
    m.xmmc                                            AS "name",
    b.jysj                                            AS "tested_at",
    b.bblx                                            AS "specimen",
    b.bbzt                                            AS "specimen_state",
    b.cysj                                            AS "collected_at",
    b.jssj                                            AS "received_at",
    m.ycbz                                            AS "result_code",
    CASE WHEN m.jg NOT GLOB '*[^0-9.]*' THEN m.jg END AS "value",
    CASE WHEN m.jg GLOB '*[^0-9.]*' THEN TRIM(m.jg || ' ' || m.dw) END AS "text_value",
    CASE WHEN m.jg NOT GLOB '*[^0-9.]*' THEN m.dw END AS "unit",
    m.ckfw                                            AS "reference_range",
    CASE m.ycbz WHEN 'H' THEN '↑' WHEN 'HH' THEN '↑↑' WHEN 'L' THEN '↓' WHEN 'LL' THEN '↓↓' WHEN 'A' THEN '*' END
                                                      AS "abnormal_flag"
FROM lis_bgmx m
JOIN lis_bg b ON b.bgh = m.bgh

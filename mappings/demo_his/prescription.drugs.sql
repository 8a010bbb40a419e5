-- The lines as they stand after what was given back; a line given back whole is gone.
-- A prescription given back as a whole keeps its lines: its void version says what it was that is void.
SELECT
    m.cfh  AS "prescription_number",
    m.mxxh AS "line",
    m.ypmc AS "name",
    m.ypdm AS "code",
    m.yf   AS "route",
    m.yl   AS "dose",
    m.yldw AS "dose_unit",
    m.pc   AS "frequency",
    m.pcmc AS "frequency_text",
    m.jx   AS "dosage_form",
    m.gg   AS "specification",
    CASE WHEN m.net > 0 THEN m.sl - m.back ELSE m.sl END AS "total_dose",
    m.dw   AS "total_unit",
    m.yfsm AS "usage_text"
FROM (
    SELECT
        o.*,
        COALESCE((SELECT -SUM(b.sl) FROM mz_cfmx b WHERE b.cfh = o.cfh AND b.tfmxxh = o.mxxh), 0) AS back,
        (SELECT SUM(n.sl) FROM mz_cfmx n WHERE n.cfh = o.cfh) AS net
    FROM mz_cfmx o
    WHERE o.tfmxxh = ''
) m
WHERE m.sl > m.back OR m.net <= 0

-- The lines as they stand after what was given back; a line given back whole is gone.
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
    m.sl + COALESCE((SELECT SUM(t.sl) FROM mz_cfmx t WHERE t.tfmxxh = m.mxxh), 0) AS "total_dose",
    m.dw   AS "total_unit",
    m.yfsm AS "usage_text"
FROM mz_cfmx m
WHERE m.tfmxxh = ''
  AND m.sl + COALESCE((SELECT SUM(t.sl) FROM mz_cfmx t WHERE t.tfmxxh = m.mxxh), 0) > 0

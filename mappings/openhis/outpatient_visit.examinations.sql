-- What the record says of auxiliary examinations: one text, no items.
SELECT
    e.id                                              AS "visit",
    m.text ->> 'auxiliaryExamination'                 AS "result"
FROM adm_encounter e
JOIN LATERAL (
    SELECT CASE WHEN r.context_json ~ '^\s*\{\s*("[^"\\]*"\s*:\s*("([^"\\[:cntrl:]]|\\["\\/bfnrt])*"|-?(0|[1-9][0-9]*)(\.[0-9]+)?|true|false|null)\s*(,\s*(?="))?)*\}\s*$' THEN r.context_json::json END AS text
    FROM doc_emr r
    WHERE r.encounter_id = e.id AND r.delete_flag = '0'
    ORDER BY COALESCE(r.update_time, r.create_time) DESC, r.id DESC
    LIMIT 1
) m ON m.text ->> 'auxiliaryExamination' <> ''

-- Diagnoses of the visit, the main one first. Whatever is not said to be Chinese medicine is taken for western.
SELECT
    d.encounter_id                                    AS "visit",
    ROW_NUMBER() OVER (PARTITION BY d.encounter_id ORDER BY d.maindise_flag DESC NULLS LAST, d.id) AS "line",
    f.condition_code                                  AS "code",
    COALESCE(NULLIF(f.name, ''), c.description)       AS "name"
FROM adm_encounter_diagnosis d
LEFT JOIN cli_condition c ON c.id = d.condition_id AND c.delete_flag = '0'
LEFT JOIN cli_condition_definition f ON f.id = c.definition_id
WHERE d.delete_flag = '0' AND COALESCE(f.source_enum, 1) NOT IN (5, 6)

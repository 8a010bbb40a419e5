-- One visit: the person, the newest text written about it, the doctor who received the patient, the doctor who wrote.
SELECT
    e.id                                              AS "visit",
    e.bus_no                                          AS "patient.outpatient_number",
    p.id_card                                         AS "patient.id_number",
    p.name                                            AS "patient.name",
    p.gender_enum                                     AS "patient.sex",
    p.birth_date                                      AS "patient.birth_date",
    EXTRACT(YEAR FROM AGE(e.start_time, p.birth_date))::int AS "patient.age",
    CASE e.class_enum WHEN 4 THEN 'emergency' ELSE 'outpatient' END AS "fact.patient_class",
    EXISTS (
        SELECT 1
        FROM adm_encounter_diagnosis d
        JOIN cli_condition c ON c.id = d.condition_id
        JOIN cli_condition_definition f ON f.id = c.definition_id
        WHERE d.encounter_id = e.id AND d.delete_flag = '0' AND f.source_enum IN (5, 6)
    )                                                 AS "fact.tcm",
    e.organization_id                                 AS "department.id",
    o.name                                            AS "department.name",
    e.start_time                                      AS "visit.time",
    COALESCE(m.update_time, m.create_time)            AS "author.time",
    a.id                                              AS "author.id",
    a.name                                            AS "author.name",
    COALESCE(m.update_time, m.create_time)            AS "doctor.time",
    w.id                                              AS "doctor.id",
    w.name                                            AS "doctor.name",
    CASE
        WHEN EXISTS (
            SELECT 1 FROM cli_allergy_intolerance i
            WHERE i.patient_id = p.id AND i.delete_flag <> '1' AND i.clinical_status_enum = 1
        ) THEN 'true'
        WHEN m.text ->> 'allergyHistory' ~ '^(无|否认)' THEN 'false'
    END                                               AS "allergy.flag",
    m.text ->> 'allergyHistory'                       AS "allergy.text",
    m.text ->> 'chiefComplaint'                       AS "chief_complaint",
    m.text ->> 'currentIllnessHistory'                AS "present_illness",
    m.text ->> 'pastMedicalHistory'                   AS "past_history",
    m.text ->> 'physicalExamination'                  AS "physical_examination",
    e.first_enum                                      AS "first_visit",
    CASE WHEN e.status_enum IN (4, 5) THEN 1 ELSE 0 END AS "final",
    CASE WHEN e.status_enum IN (6, 8) OR e.delete_flag = '1' THEN 1 ELSE 0 END AS "void"
FROM adm_encounter e
LEFT JOIN adm_patient p ON p.id = e.patient_id
LEFT JOIN adm_organization o ON o.id = e.organization_id
-- The record is text that should be one flat JSON object. What is not is passed over: a cast would end the whole query.
LEFT JOIN LATERAL (
    SELECT
        r.update_time, r.create_time, r.record_id,
        CASE WHEN r.context_json ~ '^\s*\{\s*("[^"\\]*"\s*:\s*("([^"\\[:cntrl:]]|\\["\\/bfnrt])*"|-?(0|[1-9][0-9]*)(\.[0-9]+)?|true|false|null)\s*(,\s*(?="))?)*\}\s*$' THEN r.context_json::json END AS text
    FROM doc_emr r
    WHERE r.encounter_id = e.id AND r.delete_flag = '0'
    ORDER BY COALESCE(r.update_time, r.create_time) DESC, r.id DESC
    LIMIT 1
) m ON TRUE
LEFT JOIN LATERAL (
    SELECT q.id, q.name
    FROM adm_encounter_participant t
    JOIN adm_practitioner q ON q.id = t.practitioner_id
    WHERE t.encounter_id = e.id AND t.type_code = '1' AND t.delete_flag = '0'  -- 接诊医生
    ORDER BY t.id
    LIMIT 1
) a ON TRUE
LEFT JOIN adm_practitioner w ON w.id = m.record_id
WHERE e.class_enum IN (2, 4)

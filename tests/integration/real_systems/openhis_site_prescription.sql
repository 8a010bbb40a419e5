-- The site's own copy of the shipped query: the two pharmacists and the days that it keeps in a table of its own.
SELECT
    r.prescription_no                                 AS "prescription_number",
    e.bus_no                                          AS "patient.outpatient_number",
    p.id_card                                         AS "patient.id_number",
    p.name                                            AS "patient.name",
    p.gender_enum                                     AS "patient.sex",
    p.birth_date                                      AS "fact.birth_date",
    EXTRACT(YEAR FROM AGE(r.req_authored_time, p.birth_date))::int AS "patient.age",
    CASE e.class_enum WHEN 4 THEN 'emergency' WHEN 2 THEN 'outpatient' END AS "fact.patient_class",
    e.organization_id                                 AS "department.id",
    o.name                                            AS "department.name",
    r.req_authored_time                               AS "author.time",
    r.req_authored_time                               AS "prescribed_on",
    q.id                                              AS "author.id",
    q.name                                            AS "author.name",
    x.reviewed_at                                     AS "review_pharmacist.time",
    x.reviewer_id                                     AS "review_pharmacist.id",
    rv.name                                           AS "review_pharmacist.name",
    x.dispensed_at                                    AS "dispensing_pharmacist.time",
    x.dispenser_id                                    AS "dispensing_pharmacist.id",
    di.name                                           AS "dispensing_pharmacist.name",
    x.valid_days                                      AS "valid_days",
    g.dispense_time                                   AS "issuing_pharmacist.time",
    g.id                                              AS "issuing_pharmacist.id",
    g.name                                            AS "issuing_pharmacist.name",
    f.condition_code                                  AS "diagnosis.code",
    COALESCE(NULLIF(f.name, ''), c.description)       AS "diagnosis.name",
    r.group_id                                        AS "group_number",
    n.amount                                          AS "amount",
    CASE WHEN n.waiting = 0 THEN 1 ELSE 0 END         AS "final",
    CASE WHEN n.live = 0 THEN 1 ELSE 0 END            AS "void"
FROM (
    SELECT
        l.prescription_no,
        MIN(l.id)                                                                                       AS first_line,
        COUNT(*) FILTER (WHERE l.delete_flag = '0' AND l.status_enum IS DISTINCT FROM 5)                AS live,
        COUNT(*) FILTER (WHERE l.delete_flag = '0' AND COALESCE(l.status_enum, 0) NOT IN (3, 5))        AS waiting,
        ROUND(SUM((
            SELECT SUM(i.total_price) FROM adm_charge_item i
            WHERE i.service_table = 'med_medication_request' AND i.service_id = l.id AND i.delete_flag = '0'
        )) FILTER (WHERE l.delete_flag = '0' AND l.status_enum IS DISTINCT FROM 5), 2)                  AS amount
    FROM med_medication_request l
    LEFT JOIN med_medication m ON m.id = l.medication_id
    LEFT JOIN med_medication_definition d ON d.id IN (l.medication_id, m.medication_def_id)
    WHERE l.prescription_no <> '' AND d.category_code IS DISTINCT FROM '4'
    GROUP BY l.prescription_no
) n
JOIN med_medication_request r ON r.id = n.first_line
LEFT JOIN adm_encounter e ON e.id = r.encounter_id
LEFT JOIN adm_patient p ON p.id = r.patient_id
LEFT JOIN adm_organization o ON o.id = e.organization_id
LEFT JOIN adm_practitioner q ON q.id = r.practitioner_id
LEFT JOIN site_prescription x ON x.prescription_no = r.prescription_no
LEFT JOIN adm_practitioner rv ON rv.id = x.reviewer_id
LEFT JOIN adm_practitioner di ON di.id = x.dispenser_id
-- The column holds the condition in newer versions and its definition in older ones.
LEFT JOIN cli_condition c ON c.id = r.condition_id
LEFT JOIN cli_condition_definition f ON f.id = COALESCE(c.definition_id, r.condition_id)
LEFT JOIN LATERAL (
    SELECT d.dispense_time, k.id, k.name
    FROM med_medication_dispense d
    JOIN med_medication_request l ON l.id = d.med_req_id
    JOIN adm_practitioner k ON k.id = d.practitioner_id
    WHERE l.prescription_no = r.prescription_no AND d.delete_flag = '0' AND d.status_enum = 4  -- 已发药
    ORDER BY d.dispense_time DESC NULLS LAST, d.id DESC
    LIMIT 1
) g ON TRUE
WHERE e.class_enum IS DISTINCT FROM 1

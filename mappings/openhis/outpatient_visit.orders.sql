-- Orders of the visit: drugs, and services by the category of what was ordered.
SELECT
    r.encounter_id                                    AS "visit",
    '1-' || LPAD(r.id::text, 19, '0')                 AS "line",
    'medication'                                      AS "type",
    CONCAT_WS(' ', f.name, m.total_volume)            AS "content",
    r.effective_dose_start                            AS "start",
    r.effective_dose_end                              AS "end",
    r.req_authored_time                               AS "ordered_at",
    q.id                                              AS "orderer_id",
    q.name                                            AS "orderer_name",
    o.name                                            AS "orderer_department",
    CASE r.status_enum WHEN 5 THEN r.status_changed_time END AS "cancelled_at",
    CASE r.status_enum
        WHEN 1 THEN '待发送' WHEN 2 THEN '已发送' WHEN 3 THEN '已完成' WHEN 4 THEN '暂停'
        WHEN 5 THEN '取消' WHEN 6 THEN '停止' WHEN 10 THEN '待执行' WHEN 11 THEN '待退药'
    END                                               AS "state"
FROM med_medication_request r
JOIN adm_encounter e ON e.id = r.encounter_id
-- The column holds the definition (as its comment says), in older rows the drug itself.
LEFT JOIN med_medication m ON m.id = COALESCE(
    (SELECT MIN(x.id) FROM med_medication x WHERE x.medication_def_id = r.medication_id), r.medication_id
)
LEFT JOIN med_medication_definition f ON f.id = m.medication_def_id
LEFT JOIN adm_practitioner q ON q.id = r.practitioner_id
LEFT JOIN adm_organization o ON o.id = e.organization_id
WHERE r.delete_flag = '0'
UNION ALL
SELECT
    s.encounter_id,
    '2-' || LPAD(s.id::text, 19, '0'),
    'service ' || f.category_code,
    f.name,
    s.occurrence_start_time,
    s.occurrence_end_time,
    s.authored_time,
    q.id,
    q.name,
    o.name,
    NULL,
    CASE s.status_enum
        WHEN 1 THEN '待发送' WHEN 2 THEN '已发送' WHEN 3 THEN '已完成' WHEN 4 THEN '暂停'
        WHEN 5 THEN '取消' WHEN 6 THEN '停止' WHEN 10 THEN '待执行' WHEN 11 THEN '待退药'
    END
FROM wor_service_request s
JOIN adm_encounter e ON e.id = s.encounter_id
LEFT JOIN wor_activity_definition f ON f.id = s.activity_id
LEFT JOIN adm_practitioner q ON q.id = s.requester_id
LEFT JOIN adm_organization o ON o.id = e.organization_id
WHERE s.delete_flag = 0

-- One order with its person, who ordered it, and who validated and tested its finalized analyses.
SELECT
    s.accession_number                                AS "report_number",
    eo.external_id                                    AS "request_number",
    n.specimen                                        AS "specimen_number",
    p.external_id                                     AS "patient.outpatient_number",
    t.type                                            AS "patient.type",
    p.national_id                                     AS "patient.id_number",
    CONCAT(pe.last_name, pe.first_name)               AS "patient.name",
    p.gender                                          AS "patient.sex",
    p.birth_date::date                                AS "fact.birth_date",
    EXTRACT(YEAR FROM AGE(s.collection_date::date, p.birth_date::date))::int AS "patient.age",
    pe.primary_phone                                  AS "patient.telephone",
    n.released AT TIME ZONE 'UTC'                     AS "author.time",
    v.system_user_id                                  AS "author.id",
    v.name                                            AS "author.name",
    n.released AT TIME ZONE 'UTC'                     AS "reviewer.time",
    v.system_user_id                                  AS "reviewer.id",
    v.name                                            AS "reviewer.name",
    CASE WHEN k.name IS NOT NULL THEN n.completed AT TIME ZONE 'UTC' END AS "technician.time",
    k.system_user_id                                  AS "technician.id",
    k.name                                            AS "technician.name",
    s.entered_date AT TIME ZONE 'UTC'                 AS "request.time",
    d.code                                            AS "request.department_id",
    d.name                                            AS "request.department_name",
    site.name                                         AS "request.institution_name",
    n.category                                        AS "category",
    site.name                                         AS "report_institution",
    CASE WHEN n.finalized > 0 AND n.waiting = 0 THEN 1 WHEN n.analyses > 0 AND n.analyses = n.cancelled THEN 1 ELSE 0 END
                                                      AS "final",
    CASE WHEN n.analyses > 0 AND n.analyses = n.cancelled THEN 1 ELSE 0 END AS "void"
FROM clinlims.sample s
LEFT JOIN clinlims.sample_human h ON h.samp_id = s.id
LEFT JOIN clinlims.patient p ON p.id = h.patient_id
LEFT JOIN clinlims.person pe ON pe.id = p.person_id
LEFT JOIN clinlims.electronic_order eo ON eo.id = s.clinical_order_id
LEFT JOIN LATERAL (
    SELECT pt.type
    FROM clinlims.patient_patient_type ppt JOIN clinlims.patient_type pt ON pt.id = ppt.patient_type_id
    WHERE ppt.patient_id = p.id
    ORDER BY ppt.lastupdated DESC NULLS LAST, ppt.id DESC
    LIMIT 1
) t ON TRUE
LEFT JOIN LATERAL (
    SELECT o.code, o.name
    FROM clinlims.sample_organization so JOIN clinlims.organization o ON o.id = so.org_id
    WHERE so.samp_id = s.id AND so.samp_org_type = 'R'  -- requester
    ORDER BY so.id
    LIMIT 1
) d ON TRUE
LEFT JOIN LATERAL (SELECT MAX(i.value) AS name FROM clinlims.site_information i WHERE i.name = 'SiteName') site ON TRUE
LEFT JOIN LATERAL (
    SELECT
        COUNT(*)                                                                        AS analyses,
        COUNT(*) FILTER (WHERE st.name = 'Finalized')                                   AS finalized,
        COUNT(*) FILTER (WHERE st.name = 'Test Canceled')                               AS cancelled,
        COUNT(*) FILTER (WHERE COALESCE(st.name, '') NOT IN ('Finalized', 'Test Canceled')) AS waiting,
        MAX(a.released_date) FILTER (WHERE st.name = 'Finalized')                       AS released,
        MAX(a.completed_date) FILTER (WHERE st.name = 'Finalized')                      AS completed,
        STRING_AGG(DISTINCT ts.name, '、') FILTER (WHERE st.name = 'Finalized')          AS category,
        -- One tube: its own number. Several: the number they share.
        CASE WHEN COUNT(DISTINCT si.id) = 1 THEN MAX(si.external_id) ELSE s.accession_number END AS specimen
    FROM clinlims.sample_item si
    JOIN clinlims.analysis a ON a.sampitem_id = si.id
    LEFT JOIN clinlims.status_of_sample st ON st.id = a.status_id
    LEFT JOIN clinlims.test_section ts ON ts.id = a.test_sect_id
    WHERE si.samp_id = s.id
) n ON TRUE
LEFT JOIN LATERAL (
    SELECT g.system_user_id, COALESCE(NULLIF(g.non_user_name, ''), CONCAT(u.last_name, u.first_name)) AS name
    FROM clinlims.sample_item si
    JOIN clinlims.analysis a ON a.sampitem_id = si.id
    JOIN clinlims.status_of_sample st ON st.id = a.status_id AND st.name = 'Finalized'
    JOIN clinlims.result r ON r.analysis_id = a.id
    JOIN clinlims.result_signature g ON g.result_id = r.id AND g.is_supervisor
    LEFT JOIN clinlims.system_user u ON u.id = g.system_user_id
    WHERE si.samp_id = s.id
    ORDER BY a.released_date DESC NULLS LAST, g.id DESC
    LIMIT 1
) v ON TRUE
LEFT JOIN LATERAL (
    SELECT g.system_user_id, COALESCE(NULLIF(g.non_user_name, ''), CONCAT(u.last_name, u.first_name)) AS name
    FROM clinlims.sample_item si
    JOIN clinlims.analysis a ON a.sampitem_id = si.id
    JOIN clinlims.status_of_sample st ON st.id = a.status_id AND st.name = 'Finalized'
    JOIN clinlims.result r ON r.analysis_id = a.id
    JOIN clinlims.result_signature g ON g.result_id = r.id AND NOT g.is_supervisor
    LEFT JOIN clinlims.system_user u ON u.id = g.system_user_id
    WHERE si.samp_id = s.id
    ORDER BY a.completed_date DESC NULLS LAST, g.id DESC
    LIMIT 1
) k ON TRUE

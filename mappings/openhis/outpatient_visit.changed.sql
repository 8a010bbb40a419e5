-- What changed: the visit, the person, the record's text, who took part, a diagnosis, an order.
SELECT COALESCE(e.update_time, e.create_time) AS "cursor", e.id AS "key"
FROM adm_encounter e
WHERE e.class_enum IN (2, 4)
UNION ALL
SELECT p.update_time, e.id
FROM adm_patient p JOIN adm_encounter e ON e.patient_id = p.id
WHERE e.class_enum IN (2, 4) AND p.update_time > COALESCE(e.update_time, e.create_time)
UNION ALL
SELECT COALESCE(m.update_time, m.create_time), e.id
FROM doc_emr m JOIN adm_encounter e ON e.id = m.encounter_id
WHERE e.class_enum IN (2, 4)
UNION ALL
SELECT COALESCE(t.update_time, t.create_time), e.id
FROM adm_encounter_participant t JOIN adm_encounter e ON e.id = t.encounter_id
WHERE e.class_enum IN (2, 4)
UNION ALL
SELECT COALESCE(d.update_time, d.create_time), e.id
FROM adm_encounter_diagnosis d JOIN adm_encounter e ON e.id = d.encounter_id
WHERE e.class_enum IN (2, 4)
UNION ALL
SELECT COALESCE(r.update_time, r.create_time), e.id
FROM med_medication_request r JOIN adm_encounter e ON e.id = r.encounter_id
WHERE e.class_enum IN (2, 4)
UNION ALL
SELECT COALESCE(s.update_time, s.create_time), e.id
FROM wor_service_request s JOIN adm_encounter e ON e.id = s.encounter_id
WHERE e.class_enum IN (2, 4)

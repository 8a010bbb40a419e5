-- What changed: a line, what was dispensed for it, the person.
SELECT COALESCE(r.update_time, r.create_time) AS "cursor", r.prescription_no AS "key"
FROM med_medication_request r
WHERE r.prescription_no <> ''
UNION ALL
SELECT COALESCE(d.update_time, d.create_time), r.prescription_no
FROM med_medication_dispense d JOIN med_medication_request r ON r.id = d.med_req_id
WHERE r.prescription_no <> ''
UNION ALL
SELECT p.update_time, r.prescription_no
FROM adm_patient p JOIN med_medication_request r ON r.patient_id = p.id
WHERE r.prescription_no <> '' AND p.update_time > COALESCE(r.update_time, r.create_time)

-- What the OpenHIS dump lacks, invented by us: closed visits, texts, signatures, diagnoses, doses, charges, identity numbers.
-- Nobody in here exists. The identity numbers have right check characters and a division that is never assigned (990100).
-- Three records are left with a fault on purpose: see the end.
SET TIME ZONE 'Asia/Shanghai';

-- Identity numbers that agree with the birth date and the sex.
CREATE FUNCTION pg_temp.id_card(born date, place int, male boolean) RETURNS text LANGUAGE sql AS $$
    WITH n(digits) AS (
        SELECT '990100' || TO_CHAR(born, 'YYYYMMDD') || LPAD((2 * place + CASE WHEN male THEN 1 ELSE 0 END)::text, 3, '0')
    )
    SELECT digits || SUBSTR('10X98765432', 1 + (
        SELECT SUM(SUBSTR(digits, i, 1)::int * (ARRAY[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])[i]) % 11
        FROM GENERATE_SERIES(1, 17) i
    )::int, 1)
    FROM n
$$;
UPDATE adm_patient p
SET id_card = pg_temp.id_card((p.birth_date)::date, n.place, p.gender_enum = 1)
FROM (SELECT id, (ROW_NUMBER() OVER (ORDER BY id))::int AS place FROM adm_patient) n
WHERE n.id = p.id;

-- Staff: two doctors, two pharmacists.
INSERT INTO adm_practitioner (id, active_flag, name, gender_enum, bus_no, user_id, tenant_id, delete_flag, create_by, create_time)
SELECT 9900000000000000 + i, 1, name, 1, 'SN9900000' || i, 9900 + i, 1, '0', 'supplement', '2025-01-01'::timestamptz
FROM (VALUES (1, '补医生甲'), (2, '补医生乙'), (3, '补药师丙'), (4, '补药师丁')) v(i, name);

-- Visits: begun, numbered, received by a doctor, closed.
UPDATE adm_encounter SET start_time = create_time WHERE start_time IS NULL;
UPDATE adm_encounter e
SET bus_no = 'EN99' || LPAD(n.place::text, 6, '0')
FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS place FROM adm_encounter) n
WHERE n.id = e.id AND COALESCE(e.bus_no, '') = '';
UPDATE adm_encounter SET status_enum = 4, end_time = start_time + INTERVAL '40 minutes';
INSERT INTO adm_encounter_participant (id, encounter_id, type_code, practitioner_id, tenant_id, delete_flag, create_by, create_time)
SELECT 990000 + ROW_NUMBER() OVER (ORDER BY e.id), e.id, '1', 9900000000000001, 1, '0', 'supplement', e.start_time
FROM adm_encounter e
WHERE NOT EXISTS (
    SELECT 1 FROM adm_encounter_participant t JOIN adm_practitioner q ON q.id = t.practitioner_id WHERE t.encounter_id = e.id
);

-- Texts, with what a text can hold: line ends, quotes, a rare character.
INSERT INTO doc_emr (id, patient_id, encounter_id, context_json, emr_enum, record_id, tenant_id, delete_flag, create_by, create_time)
SELECT
    990000 + ROW_NUMBER() OVER (ORDER BY e.id), e.patient_id, e.id,
    JSON_BUILD_OBJECT(
        'chiefComplaint', '咳嗽咳痰3天',
        'currentIllnessHistory', E'3天前受凉后出现咳嗽,痰白,自述"夜间明显"。\n无胸痛,无咯血。',
        'pastMedicalHistory', '既往体健',
        'allergyHistory', CASE
            WHEN EXISTS (SELECT 1 FROM cli_allergy_intolerance i WHERE i.patient_id = e.patient_id AND i.clinical_status_enum = 1)
            THEN '青霉素皮试阳性' ELSE '否认药物及食物过敏史' END,
        'physicalExamination', 'T 36.8℃,咽充血,双肺呼吸音粗,未闻及啰音。',
        'auxiliaryExamination', '血常规:WBC 9.1×10^9/L'
    )::text,
    1, 9900000000000002, 1, '0', 'supplement', e.start_time + INTERVAL '30 minutes'
FROM adm_encounter e;

-- Diagnoses: a definition for the conditions that have none, one diagnosis for the visits that have none.
INSERT INTO cli_condition_definition (id, source_enum, condition_code, name, status_enum, tenant_id, delete_flag, create_by, create_time)
VALUES (9900000000000001, 1, 'J06.900', '急性上呼吸道感染', 2, 1, '0', 'supplement', '2025-01-01'),
       (9900000000000002, 1, 'J20.900', '急性支气管炎', 2, 1, '0', 'supplement', '2025-01-01'),
       (9900000000000003, 5, 'BNF010', '咳嗽病', 2, 1, '0', 'supplement', '2025-01-01'),
       (9900000000000004, 6, 'ZYF010', '风寒袭肺证', 2, 1, '0', 'supplement', '2025-01-01');
UPDATE cli_condition_definition SET condition_code = 'J18.9' || LPAD((id % 100)::text, 2, '0'), name = COALESCE(NULLIF(name, ''), '肺炎')
WHERE id < 9000000000000000000 AND id > 1000000000000000000;
-- Only the first diagnosis of a visit gets a definition; a second of the same code would be a repetition.
DELETE FROM adm_encounter_diagnosis d
USING cli_condition c
WHERE c.id = d.condition_id AND NOT EXISTS (SELECT 1 FROM cli_condition_definition f WHERE f.id = c.definition_id)
  AND EXISTS (SELECT 1 FROM adm_encounter_diagnosis o WHERE o.encounter_id = d.encounter_id AND o.id < d.id);
UPDATE cli_condition c SET definition_id = 9900000000000002
WHERE NOT EXISTS (SELECT 1 FROM cli_condition_definition f WHERE f.id = c.definition_id);
INSERT INTO cli_condition (id, patient_id, category_enum, recorded_datetime, definition_id, tenant_id, delete_flag, create_by, create_time)
SELECT 990000 + ROW_NUMBER() OVER (ORDER BY e.id), e.patient_id, 2, e.start_time, 9900000000000001, 1, '0', 'supplement', e.start_time
FROM adm_encounter e
WHERE NOT EXISTS (SELECT 1 FROM adm_encounter_diagnosis d WHERE d.encounter_id = e.id);
INSERT INTO adm_encounter_diagnosis (id, encounter_id, condition_id, maindise_flag, tenant_id, delete_flag, create_by, create_time)
SELECT c.id, e.id, c.id, 1, 1, '0', 'supplement', e.start_time
FROM (SELECT id, 990000 + ROW_NUMBER() OVER (ORDER BY id) AS condition_id FROM adm_encounter x
      WHERE NOT EXISTS (SELECT 1 FROM adm_encounter_diagnosis d WHERE d.encounter_id = x.id)) n
JOIN adm_encounter e ON e.id = n.id
JOIN cli_condition c ON c.id = n.condition_id;
-- One visit of Chinese medicine: a disease and a syndrome.
INSERT INTO cli_condition (id, patient_id, category_enum, recorded_datetime, definition_id, tenant_id, delete_flag, create_by, create_time)
SELECT 991000 + k, e.patient_id, 2, e.start_time, 9900000000000002 + k, 1, '0', 'supplement', e.start_time
FROM adm_encounter e, GENERATE_SERIES(1, 2) k WHERE e.id = 2000000000000000010;
INSERT INTO adm_encounter_diagnosis (id, encounter_id, condition_id, maindise_flag, tenant_id, delete_flag, create_by, create_time)
SELECT 991000 + k, 2000000000000000010, 991000 + k, 0, 1, '0', 'supplement', NOW() FROM GENERATE_SERIES(1, 2) k;

-- Prescriptions: of visits that exist, by doctors who do, with doses, issued.
UPDATE med_medication SET dose_form_code = '注射液' WHERE dose_form_code = '支';
UPDATE med_medication_request r
SET encounter_id = (SELECT MIN(e.id) FROM adm_encounter e WHERE e.patient_id = r.patient_id)
WHERE NOT EXISTS (SELECT 1 FROM adm_encounter e WHERE e.id = r.encounter_id);
INSERT INTO med_medication_request (
    id, bus_no, prescription_no, group_id, quantity, unit_code, status_enum, intent_enum, category_enum, medication_id,
    patient_id, practitioner_id, encounter_id, therapy_enum, method_code, rate_code, dose, dose_unit_code, dispense_per_quantity,
    dispense_per_duration, tenant_id, delete_flag, create_by, create_time, org_id, infusion_flag
)
SELECT
    990000 + n.place, 'MR99' || n.place, 'P99' || LPAD(n.place::text, 6, '0'), 1, 2, '盒', 3, 0, 2, 201, e.patient_id, 9900000000000001,
    e.id, 2, '口服', 'tid', 0.5, 'g', 0, 0, 1, '0', 'supplement', e.start_time, 1, 0
FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS place FROM adm_encounter WHERE id >= 2000000000000000005) n
JOIN adm_encounter e ON e.id = n.id
WHERE n.place <= 5;
UPDATE med_medication_request r
SET status_enum = 3,
    practitioner_id = CASE WHEN EXISTS (SELECT 1 FROM adm_practitioner q WHERE q.id = r.practitioner_id)
                           THEN r.practitioner_id ELSE 9900000000000001 END,
    req_authored_time = GREATEST(r.req_authored_time, (SELECT e.start_time FROM adm_encounter e WHERE e.id = r.encounter_id)),
    condition_id = COALESCE(r.condition_id, 9900000000000001),
    group_id = COALESCE(r.group_id, 1),
    dose = CASE WHEN r.dose > 0 THEN r.dose ELSE 0.5 END,
    dose_unit_code = CASE WHEN r.dose_unit_code ~ '^[a-z]+$' THEN r.dose_unit_code ELSE 'g' END,
    method_code = CASE WHEN r.method_code IN ('口服', '1') THEN r.method_code ELSE '静脉滴注' END;
INSERT INTO adm_charge_item (
    id, status_enum, bus_no, patient_id, context_enum, encounter_id, quantity_value, quantity_unit, unit_price, total_price,
    definition_id, enterer_id, service_table, service_id, tenant_id, delete_flag, create_by, create_time, account_id, product_table, product_id, prescription_no
)
SELECT
    990000 + ROW_NUMBER() OVER (ORDER BY r.id), 5, 'CI99', r.patient_id, 1, r.encounter_id, r.quantity, r.unit_code, 12.50,
    12.50 * r.quantity, 1, 1, 'med_medication_request', r.id, 1, '0', 'supplement', r.req_authored_time, 1, 'med_medication_definition',
    r.medication_id, r.prescription_no
FROM med_medication_request r
WHERE NOT EXISTS (SELECT 1 FROM adm_charge_item i WHERE i.service_table = 'med_medication_request' AND i.service_id = r.id);
-- What this version of OpenHIS has no columns for, as a site might keep it; the site's own mapping joins it.
CREATE TABLE site_prescription AS
SELECT
    prescription_no,
    9900000000000003::bigint AS reviewer_id, MAX(req_authored_time) + INTERVAL '5 minutes' AS reviewed_at,
    9900000000000004::bigint AS dispenser_id, MAX(req_authored_time) + INTERVAL '12 minutes' AS dispensed_at,
    3 AS valid_days
FROM med_medication_request
WHERE prescription_no <> ''
GROUP BY prescription_no;

-- Left with a fault on purpose.
UPDATE adm_encounter SET status_enum = 2 WHERE id = 2000000000000000023;              -- still in treatment: not final
UPDATE doc_emr SET record_id = 424242 WHERE encounter_id = 2000000000000000024;       -- signed by nobody we know: held
UPDATE doc_emr SET context_json = '{"chiefComplaint": "头痛", broken' WHERE encounter_id = 2000000000000000025;  -- no JSON: held
DELETE FROM site_prescription WHERE prescription_no = 'P00000042';                    -- nobody reviewed it: held
UPDATE med_medication_request SET status_enum = 5 WHERE prescription_no = 'P99000005'; -- cancelled before it was sent: nothing to send

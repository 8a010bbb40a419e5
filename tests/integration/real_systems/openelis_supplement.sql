-- What the OpenELIS dump lacks, invented by us: identity numbers, telephones, patient types, technicians, and the release of
-- what was only technically accepted. Nobody in here exists; division 990100 is never assigned.
SET search_path = clinlims, public;

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
UPDATE patient SET national_id = pg_temp.id_card(birth_date::date, (id - 9200000)::int, gender = 'M') WHERE id > 9200000;
UPDATE person SET primary_phone = '199' || LPAD((id % 100000000)::text, 8, '0') WHERE primary_phone LIKE 'DEMO-PHONE%';

-- Outpatients and emergencies; two inpatients, for whom the system knows no inpatient number: held.
INSERT INTO patient_patient_type (id, patient_type_id, patient_id, lastupdated)
SELECT
    9990000 + (p.id - 9200000),
    (SELECT t.id FROM patient_type t WHERE t.type = CASE WHEN p.id IN (9200026, 9200040) THEN 'H' WHEN p.id % 5 = 0 THEN 'U' ELSE 'E' END),
    p.id, NOW()
FROM patient p
WHERE p.id > 9200000;

-- The limits kept with the results are in SI units; the units are not. Put right.
INSERT INTO unit_of_measure (id, name, description, lastupdated)
VALUES (901, 'U/L', 'U/L', NOW()), (902, 'mmol/L', 'mmol/L', NOW()), (903, 'μmol/L', 'μmol/L', NOW()),
       (904, '10^9/L', '10^9/L', NOW()), (905, '10^12/L', '10^12/L', NOW()), (906, 'g/L', 'g/L', NOW());
UPDATE test t SET uom_id = v.unit
FROM (VALUES ('ALT', 901), ('AST', 901), ('GLU', 902), ('CREA', 903), ('WBC', 904), ('PLT', 904), ('RBC', 905), ('HGB', 906)) v(code, unit)
WHERE t.reporting_description = v.code;

-- Released: twelve more reports, each with a supervisor. Every result gets a technician.
UPDATE analysis SET status_id = 6, released_date = completed_date + INTERVAL '20 minutes' WHERE status_id = 15;
INSERT INTO result_signature (id, result_id, system_user_id, is_supervisor, lastupdated, non_user_name)
SELECT r.id + 1000000, r.id, 1, TRUE, NOW(), '补审核医师'
FROM result r JOIN analysis a ON a.id = r.analysis_id
WHERE a.status_id = 6 AND NOT EXISTS (SELECT 1 FROM result_signature g WHERE g.result_id = r.id);
INSERT INTO result_signature (id, result_id, system_user_id, is_supervisor, lastupdated, non_user_name)
SELECT r.id + 2000000, r.id, 109, FALSE, NOW(), '补检验技师'
FROM result r JOIN analysis a ON a.id = r.analysis_id
WHERE a.status_id = 6;
UPDATE sample SET clinical_order_id = 9901001 WHERE id = 9400025;

-- The lines that still stand; of a prescription cancelled as a whole, the lines it had.
SELECT
    r.prescription_no                                 AS "prescription_number",
    ROW_NUMBER() OVER (PARTITION BY r.prescription_no ORDER BY r.id) AS "line",
    f.name                                            AS "name",
    f.bus_no                                          AS "code",
    m.total_volume                                    AS "specification",
    m.dose_form_code                                  AS "dosage_form",
    TRIM_SCALE(r.dose)                                AS "dose",
    COALESCE(du.dict_label, r.dose_unit_code)         AS "dose_unit",
    UPPER(r.rate_code)                                AS "frequency",
    r.rate_code                                       AS "frequency_text",
    r.method_code                                     AS "route",
    r.quantity                                        AS "total_dose",
    COALESCE(tu.dict_label, r.unit_code)              AS "total_unit"
FROM med_medication_request r
-- The column holds the definition (as its comment says), in older rows the drug itself.
LEFT JOIN med_medication m ON m.id = COALESCE(
    (SELECT MIN(x.id) FROM med_medication x WHERE x.medication_def_id = r.medication_id), r.medication_id
)
LEFT JOIN med_medication_definition f ON f.id = m.medication_def_id
LEFT JOIN sys_dict_data du ON du.dict_type = 'unit_code' AND du.dict_value = r.dose_unit_code
LEFT JOIN sys_dict_data tu ON tu.dict_type = 'unit_code' AND tu.dict_value = r.unit_code
WHERE r.delete_flag = '0'
  AND f.category_code IS DISTINCT FROM '4'
  AND (
      r.status_enum IS DISTINCT FROM 5
      OR NOT EXISTS (
          SELECT 1 FROM med_medication_request o
          WHERE o.prescription_no = r.prescription_no AND o.delete_flag = '0' AND o.status_enum IS DISTINCT FROM 5
      )
  )

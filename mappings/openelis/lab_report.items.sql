-- The finalized results. What is a number is a value with its unit and limits; everything else is text.
SELECT
    x.accession_number                                AS "report_number",
    x.place                                           AS "line",
    x.code                                            AS "code",
    x.test                                            AS "name",
    x.completed AT TIME ZONE 'UTC'                    AS "tested_at",
    x.specimen                                        AS "specimen",
    x.collected                                       AS "collected_at",
    x.received AT TIME ZONE 'UTC'                     AS "received_at",
    CASE WHEN x.number IS NOT NULL AND x.low < x.high THEN
        CASE WHEN x.number < x.low OR x.number > x.high THEN 'outside' ELSE 'within' END
    END                                               AS "result_code",
    CASE WHEN x.number IS NOT NULL THEN x.value END   AS "value",
    CASE WHEN x.number IS NULL THEN COALESCE(x.entry, x.value) END AS "text_value",
    CASE WHEN x.number IS NOT NULL THEN x.unit END    AS "unit",
    CASE
        WHEN x.low >= x.high THEN NULL  -- OpenELIS writes equal limits where there are none
        WHEN x.low = '-Infinity' AND x.high = 'Infinity' THEN NULL
        WHEN x.high = 'Infinity' THEN '≥' || x.low
        WHEN x.low = '-Infinity' THEN '≤' || x.high
        ELSE x.low || '-' || x.high
    END                                               AS "reference_range",
    CASE WHEN x.low < x.high THEN
        CASE WHEN x.number > x.high THEN '↑' WHEN x.number < x.low THEN '↓' END
    END                                               AS "abnormal_flag"
FROM (
    SELECT
        s.accession_number,
        ROW_NUMBER() OVER (PARTITION BY s.accession_number ORDER BY te.sort_order, a.id, r.id) AS place,
        COALESCE(NULLIF(te.loinc, ''), te.reporting_description) AS code,
        te.name                                       AS test,
        COALESCE(a.completed_date, a.started_date)    AS completed,
        ty.description                                AS specimen,
        COALESCE(si.collection_date, s.collection_date AT TIME ZONE 'UTC') AS collected,
        s.received_date                               AS received,
        r.value,
        CASE WHEN r.result_type = 'N' AND r.value ~ '^-?[0-9]+(\.[0-9]+)?$' THEN r.value::numeric END AS number,
        di.dict_entry                                 AS entry,
        u.name                                        AS unit,
        r.min_normal                                  AS low,
        r.max_normal                                  AS high
    FROM clinlims.sample s
    JOIN clinlims.sample_item si ON si.samp_id = s.id
    JOIN clinlims.analysis a ON a.sampitem_id = si.id
    JOIN clinlims.status_of_sample st ON st.id = a.status_id AND st.name = 'Finalized'
    JOIN clinlims.test te ON te.id = a.test_id
    LEFT JOIN clinlims.result r ON r.analysis_id = a.id
    LEFT JOIN clinlims.dictionary di
        ON r.result_type IN ('D', 'M', 'C') AND r.value ~ '^[0-9]+$' AND di.id = CASE WHEN r.value ~ '^[0-9]{1,10}$' THEN r.value::numeric END
    LEFT JOIN clinlims.unit_of_measure u ON u.id = te.uom_id
    LEFT JOIN clinlims.type_of_sample ty ON ty.id = si.typeosamp_id
) x

-- What changed: the order, the person, an analysis, a result, a signature. lastupdated is the server's own clock (UTC).
SELECT s.lastupdated AT TIME ZONE 'UTC' AS "cursor", s.accession_number AS "key"
FROM clinlims.sample s
UNION ALL
SELECT p.lastupdated AT TIME ZONE 'UTC', s.accession_number
FROM clinlims.patient p
JOIN clinlims.sample_human h ON h.patient_id = p.id
JOIN clinlims.sample s ON s.id = h.samp_id
WHERE p.lastupdated > s.lastupdated
UNION ALL
SELECT a.lastupdated AT TIME ZONE 'UTC', s.accession_number
FROM clinlims.analysis a
JOIN clinlims.sample_item i ON i.id = a.sampitem_id
JOIN clinlims.sample s ON s.id = i.samp_id
UNION ALL
SELECT r.lastupdated AT TIME ZONE 'UTC', s.accession_number
FROM clinlims.result r
JOIN clinlims.analysis a ON a.id = r.analysis_id
JOIN clinlims.sample_item i ON i.id = a.sampitem_id
JOIN clinlims.sample s ON s.id = i.samp_id
UNION ALL
SELECT g.lastupdated AT TIME ZONE 'UTC', s.accession_number
FROM clinlims.result_signature g
JOIN clinlims.result r ON r.id = g.result_id
JOIN clinlims.analysis a ON a.id = r.analysis_id
JOIN clinlims.sample_item i ON i.id = a.sampitem_id
JOIN clinlims.sample s ON s.id = i.samp_id

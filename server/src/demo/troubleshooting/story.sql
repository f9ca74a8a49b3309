WITH looked AS (SELECT execution_id FROM executions WHERE JSONExtractString(parameters, 'alert', 'id') = '{id}')
SELECT formatDateTime(at, '%H:%i:%S.%f') AS time, what, name, status, substring(detail, 1, 90) AS detail
FROM (
  SELECT event_at AS at, 0 AS step, 'event' AS what, toString(trigger) AS name, '' AS status, JSONExtractString(payload, 'check', 'output') AS detail
  FROM events WHERE trigger = 'troubleshooting.sensu' AND JSONExtractString(payload, 'id') = '{id}'
  UNION ALL
  SELECT decided_at, 1, 'gate', gate, toString(decided), reason FROM gate_decisions WHERE execution_id IN (looked)
  UNION ALL
  SELECT changed_at, 2, 'execution', toString(action), toString(status), if(error != '', error, concat('by ', toString(rule)))
  FROM executions WHERE execution_id IN (looked)
)
ORDER BY at, step

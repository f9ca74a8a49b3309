SELECT formatDateTime(changed_at, '%H:%i:%S.%f') AS time, if(task = '', toString(action), task) AS what, status, attempt,
  substring(error, 1, 90) AS error
FROM executions
WHERE root_execution_id = '{id}' AND status NOT IN ('scheduled', 'requested', 'delayed')
ORDER BY changed_at, execution_id, sequence

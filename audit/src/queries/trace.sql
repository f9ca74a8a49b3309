-- Everything that one event caused, in order of time.
-- Parameter: event, the event's id.
-- Columns: at (when), what, name (rule, action, task, stream or stage), status, execution_id, detail.
-- A manual run has no event: ask executions by its execution_id instead.
WITH caused AS
(
    SELECT execution_id FROM rule_matches WHERE event_id = {event:String}
    UNION DISTINCT
    SELECT execution_id FROM executions WHERE event_id = {event:String}
)
SELECT at, what, name, status, execution_id, detail
FROM
(
    SELECT
        1 AS step, 0 AS number, event_at AS at, 'event' AS what, toString(trigger) AS name,
        concat(toString(rules_matched), ' matched') AS status, '' AS execution_id, payload AS detail
    FROM events
    WHERE event_id = {event:String}
    UNION ALL
    SELECT
        2, action_index, recorded_at, 'match', toString(rule),
        'matched', execution_id, concat(toString(action), ' at revision ', toString(revision))
    FROM rule_matches
    WHERE event_id = {event:String}
    UNION ALL
    SELECT
        2, 0, recorded_at, 'criteria error', toString(rule),
        toString(code), '', detail
    FROM criteria_errors
    WHERE event_id = {event:String}
    UNION ALL
    SELECT
        3, sequence, changed_at, 'execution', toString(action),
        toString(status), execution_id, if(error = '', parameters, error)
    FROM executions
    WHERE execution_id IN (caused)
    UNION ALL
    SELECT
        3, run, moved_at, 'task', toString(task),
        toString(status), execution_id, concat('of ', toString(action))
    FROM workflow_tasks
    WHERE execution_id IN (caused)
    UNION ALL
    SELECT
        4, attempt, captured_at, 'output', toString(stream),
        if(truncated, 'truncated', 'whole'), execution_id, content
    FROM execution_output
    WHERE execution_id IN (caused)
    UNION ALL
    SELECT
        5, 0, recorded_at, 'dead letter', toString(stage),
        toString(reason), execution_id, detail
    FROM dead_letters
    WHERE event_id = {event:String} OR (execution_id != '' AND execution_id IN (caused))
)
ORDER BY at, step, execution_id, number

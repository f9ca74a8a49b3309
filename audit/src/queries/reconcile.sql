-- What does not add up between events, matches, requests, executions and permits of gates. No row means: all is well.
-- Parameters: grace_s, the age in seconds below which something may still be on its way; horizon_days, how
-- many days back all tables still have everything (0: as far as they reach): what began before is left out.
-- Columns: problem, event_id, execution_id, rule, since, detail.
-- The first row of an execution is what its owner made of its request; a request that was given up is
-- a dead letter that names the execution. An event that came twice under one id may be decided twice; it
-- asks for the same execution again, so that matches are counted by execution.
WITH
    now64(3, 'UTC') - toIntervalSecond({grace_s:UInt32}) AS settled,
    -- An hour of margin, for rows of one event that were written at different times.
    if({horizon_days:UInt32} = 0, toDateTime64(0, 3, 'UTC'),
        now64(3, 'UTC') - toIntervalDay({horizon_days:UInt32}) + toIntervalHour(1)) AS horizon,
    matched AS
    (
        SELECT
            execution_id, any(event_id) AS event_id, toString(any(rule)) AS rule, min(recorded_at) AS since
        FROM rule_matches
        GROUP BY execution_id
    ),
    asked AS (SELECT * FROM matched WHERE since >= horizon AND since < settled),
    run AS
    (
        SELECT
            execution_id, any(event_id) AS event_id, toString(any(rule)) AS rule, min(recorded_at) AS since,
            any(parent_execution_id) AS parent, min(requested_at) AS requested, max(recorded_at) AS last, count() AS changes, max(sequence) AS newest, uniqExact(sequence) AS distinct_changes,
            countIf(ended_at IS NOT NULL) AS finishes, toString(argMax(status, sequence)) AS status,
            -- Each time that a workflow runs again is an attempt of its own, which begins by resuming.
            uniqExactIf(attempt, executions.status = 'resuming' AND attempt > 1) AS reruns
        FROM executions
        GROUP BY execution_id
    ),
    -- By when it was requested: the first rows of an old one may be gone already.
    watched AS (SELECT * FROM run WHERE requested >= horizon),
    permits AS
    (
        SELECT
            gate, execution_id, acquisition, countIf(decided = 'granted') AS granted,
            countIf(decided = 'returned') AS returned, min(recorded_at) AS began, max(recorded_at) AS last
        FROM gate_decisions
        WHERE execution_id != ''
        GROUP BY gate, execution_id, acquisition
        HAVING began >= horizon AND last < settled
    ),
    -- What somebody asked in vain says nothing of the execution itself.
    given_up AS (SELECT execution_id FROM dead_letters WHERE execution_id != '' AND reason != 'asked_in_vain')
SELECT problem, event_id, execution_id, rule, since, detail
FROM
(
    SELECT
        'match without execution' AS problem, event_id, execution_id, rule, since,
        'the rule asked for it, and no owner has taken it up' AS detail
    FROM asked
    WHERE execution_id NOT IN (SELECT execution_id FROM run) AND execution_id NOT IN (given_up)
    UNION ALL
    SELECT
        'execution without match', event_id, execution_id, rule, since,
        'it names a rule, and no match asked for it'
    FROM watched
    -- What a workflow has started nobody but the workflow asked for.
    WHERE rule != '' AND parent = '' AND since < settled AND execution_id NOT IN (SELECT execution_id FROM matched)
    UNION ALL
    SELECT
        'finished more than once', event_id, execution_id, rule, since,
        concat(toString(finishes), ' changes to a final status')
    FROM watched
    WHERE finishes > 1 + reruns
    UNION ALL
    SELECT
        'history with gaps', event_id, execution_id, rule, since,
        concat(toString(changes), ' changes are recorded, ', toString(distinct_changes), ' different ones, the newest is number ', toString(newest))
    FROM watched
    WHERE last < settled AND (changes != newest OR distinct_changes != newest)
    UNION ALL
    SELECT
        'not finished', event_id, execution_id, rule, last,
        concat('its status is still ', status)
    FROM watched
    WHERE finishes <= reruns AND last < settled
    UNION ALL
    SELECT
        'event and matches differ', e.event_id, '', '', e.since,
        concat(toString(e.rules_matched), ' rules matched, matches or dead letters of ', toString(m.rules), ' are recorded')
    FROM
    (
        SELECT event_id, max(rules_matched) AS rules_matched, min(recorded_at) AS since
        FROM events
        GROUP BY event_id
    ) AS e
    LEFT JOIN
    (
        -- A match that could not become a request is a dead letter of its rule.
        SELECT event_id, uniqExact(name) AS rules
        FROM
        (
            SELECT event_id, toString(rule) AS name FROM rule_matches
            UNION ALL
            SELECT event_id, toString(rule) FROM dead_letters WHERE event_id != '' AND rule != ''
        )
        GROUP BY event_id
    ) AS m ON e.event_id = m.event_id
    WHERE e.since >= horizon AND e.since < settled AND e.rules_matched != m.rules
    UNION ALL
    SELECT
        'match without event', event_id, execution_id, rule, since,
        'neither a row of events nor a dead letter tells of the event'
    FROM asked
    WHERE event_id NOT IN (SELECT event_id FROM events)
        AND event_id NOT IN (SELECT event_id FROM dead_letters WHERE event_id != '')
    UNION ALL
    SELECT
        'permit not returned', '', execution_id, '', last,
        concat('the execution is over, and gate ', gate, ' has not got it back')
    FROM permits
    WHERE granted > returned AND execution_id IN (SELECT execution_id FROM run WHERE finishes > reruns AND last < settled)
    UNION ALL
    SELECT
        'permit given or returned twice', '', execution_id, '', last,
        concat('gate ', gate, ' gave it ', toString(granted), ' times and got it back ', toString(returned), ' times')
    FROM permits
    WHERE granted > 1 OR returned > granted
)
ORDER BY since, problem, execution_id

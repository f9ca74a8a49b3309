-- The audit trail. Every row is derived from one record of a topic and from nothing else, so that writing
-- it again writes the same row:
--   sort keys   begin with what is asked by, and end in what identifies the row, (log_topic, log_partition,
--               log_offset, log_row). ReplacingMergeTree folds a row written twice; FINAL hides it before.
--   partitions  go by the record's own timestamp: never by now(), and never by the event's time, which a
--               backfill spreads over more partitions than one insert may touch.
--   deduplication window: an insert sent again with its token within that many inserts is not repeated.

CREATE TABLE IF NOT EXISTS events
(
    event_id         String                  COMMENT 'Id of the event',
    trigger          LowCardinality(String)  COMMENT 'Trigger, pack.name',
    event_at         DateTime64(3, 'UTC')    COMMENT 'Timestamp of the event''s record',
    payload          String                  COMMENT 'The whole event, JSON text' CODEC(ZSTD(1)),
    rules_matched    UInt32                  COMMENT 'How many rules matched',
    revision         LowCardinality(String)  COMMENT 'Catalog revision that decided',
    kv_version       Int64                   COMMENT 'Version of the key-value store that the decision saw',
    source_topic     LowCardinality(String)  COMMENT 'Topic that the event was read from',
    source_partition Int32                   COMMENT 'Its partition there',
    source_offset    Int64                   COMMENT 'Its offset there',
    recorded_at      DateTime64(3, 'UTC')    COMMENT 'Timestamp of the audit record',
    log_topic        LowCardinality(String)  COMMENT 'Topic of the audit record',
    log_partition    UInt32                  COMMENT 'Its partition',
    log_offset       Int64                   COMMENT 'Its offset',
    log_row          UInt16                  COMMENT 'Row within the record',
    INDEX by_event_id event_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_log_offset log_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (trigger, event_at, event_id, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS rule_matches
(
    event_id      String                  COMMENT 'Event that matched',
    trigger       LowCardinality(String)  COMMENT 'Its trigger',
    rule          LowCardinality(String)  COMMENT 'Rule, pack.name',
    event_at      DateTime64(3, 'UTC')    COMMENT 'Timestamp of the event''s record',
    action        LowCardinality(String)  COMMENT 'Action that the rule asked for',
    action_index  UInt32                  COMMENT 'Index of the action in the rule',
    execution_id  String                  COMMENT 'Execution that was asked for',
    revision      LowCardinality(String)  COMMENT 'Catalog revision that decided',
    kv_version    Int64                   COMMENT 'Version of the key-value store that the decision saw',
    recorded_at   DateTime64(3, 'UTC')    COMMENT 'Timestamp of the audit record',
    log_topic     LowCardinality(String)  COMMENT 'Topic of the audit record',
    log_partition UInt32                  COMMENT 'Its partition',
    log_offset    Int64                   COMMENT 'Its offset',
    log_row       UInt16                  COMMENT 'Row within the record',
    INDEX by_event_id event_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_execution_id execution_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_log_offset log_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (rule, event_at, execution_id, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS criteria_errors
(
    event_id      String                  COMMENT 'Event that was decided',
    trigger       LowCardinality(String)  COMMENT 'Its trigger',
    rule          LowCardinality(String)  COMMENT 'Rule whose criterion or parameter failed',
    code          LowCardinality(String)  COMMENT 'Stable code of the error',
    detail        String                  COMMENT 'What went wrong, for people',
    event_at      DateTime64(3, 'UTC')    COMMENT 'Timestamp of the event''s record',
    revision      LowCardinality(String)  COMMENT 'Catalog revision that decided',
    recorded_at   DateTime64(3, 'UTC')    COMMENT 'Timestamp of the audit record',
    log_topic     LowCardinality(String)  COMMENT 'Topic of the audit record',
    log_partition UInt32                  COMMENT 'Its partition',
    log_offset    Int64                   COMMENT 'Its offset',
    log_row       UInt16                  COMMENT 'Row within the record',
    INDEX by_event_id event_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_log_offset log_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (rule, event_at, event_id, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS executions
(
    execution_id      String                          COMMENT 'Id of the execution',
    root_execution_id String                          COMMENT 'Outermost execution; the same except below a workflow',
    parent_execution_id String                        COMMENT 'Execution that started it; empty for a root',
    sequence          Int64                           COMMENT 'Number of the change of status, from 1',
    status            LowCardinality(String)          COMMENT 'New status, named as in StackStorm',
    code              LowCardinality(String)          COMMENT 'Stable code of why it took this status, or empty',
    changed_at        DateTime64(3, 'UTC')            COMMENT 'When, by the owner''s clock',
    event_id          String                          COMMENT 'Event that caused it; empty for a manual run',
    trigger           LowCardinality(String)          COMMENT 'Trigger of that event, or empty',
    rule              LowCardinality(String)          COMMENT 'Rule that matched, or empty',
    action            LowCardinality(String)          COMMENT 'Action, pack.name',
    parameters        String                          COMMENT 'Parameters, a JSON object' CODEC(ZSTD(1)),
    revision          LowCardinality(String)          COMMENT 'Catalog revision that it belongs to',
    requested_by      LowCardinality(String)          COMMENT '"rule", or a user',
    attempt           UInt32                          COMMENT 'Attempt, 0 before the first',
    worker            LowCardinality(String)          COMMENT 'Worker of the attempt, or empty',
    requested_at      DateTime64(3, 'UTC')            COMMENT 'When it was requested',
    started_at        Nullable(DateTime64(3, 'UTC'))  COMMENT 'When the attempt was claimed',
    ended_at          Nullable(DateTime64(3, 'UTC'))  COMMENT 'When it reached a final status; NULL before',
    return_code       Nullable(Int32)                 COMMENT 'Exit code of the last attempt',
    result            String                          COMMENT 'Structured result of the action, a JSON value, or empty' CODEC(ZSTD(1)),
    extracted         String                          COMMENT 'What its action takes of the result, a JSON object, or empty' CODEC(ZSTD(1)),
    result_object     String                          COMMENT 'Where a large result is instead, a JSON object with its sha256, or empty' CODEC(ZSTD(1)),
    error             String                          COMMENT 'What went wrong, for people, or empty',
    task              LowCardinality(String)          COMMENT 'Of a child, the task of its parent''s workflow that it runs for, or empty',
    recorded_at       DateTime64(3, 'UTC')            COMMENT 'Timestamp of the audit record',
    log_topic         LowCardinality(String)          COMMENT 'Topic of the audit record',
    log_partition     UInt32                          COMMENT 'Its partition',
    log_offset        Int64                           COMMENT 'Its offset',
    log_row           UInt16                          COMMENT 'Row within the record',
    INDEX by_event_id event_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_execution_id execution_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_log_offset log_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (rule, requested_at, execution_id, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS execution_output
(
    execution_id  String                  COMMENT 'Execution',
    attempt       UInt32                  COMMENT 'Attempt',
    stream        LowCardinality(String)  COMMENT 'stdout or stderr',
    content       String                  COMMENT 'What was written, invalid UTF-8 replaced' CODEC(ZSTD(1)),
    truncated     Bool                    COMMENT 'Whether more was written than the limit allows',
    tail          String                  COMMENT 'The end of what was written, where its middle was left out' CODEC(ZSTD(1)),
    omitted_bytes Int64                   COMMENT 'Bytes between content and tail that were left out',
    captured_at   DateTime64(3, 'UTC')    COMMENT 'When the attempt ended, by the worker''s clock',
    recorded_at   DateTime64(3, 'UTC')    COMMENT 'Timestamp of the audit record',
    log_topic     LowCardinality(String)  COMMENT 'Topic of the audit record',
    log_partition UInt32                  COMMENT 'Its partition',
    log_offset    Int64                   COMMENT 'Its offset',
    log_row       UInt16                  COMMENT 'Row within the record',
    INDEX by_log_offset log_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (execution_id, attempt, stream, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS catalog_revisions
(
    revision      String                  COMMENT 'Hash of the revision',
    packs         Array(String)           COMMENT '"name version" of its packs',
    applied_at    DateTime64(3, 'UTC')    COMMENT 'When it came into force',
    applied_by    LowCardinality(String)  COMMENT 'Who applied it',
    recorded_at   DateTime64(3, 'UTC')    COMMENT 'Timestamp of the audit record',
    log_topic     LowCardinality(String)  COMMENT 'Topic of the audit record',
    log_partition UInt32                  COMMENT 'Its partition',
    log_offset    Int64                   COMMENT 'Its offset',
    log_row       UInt16                  COMMENT 'Row within the record'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (applied_at, revision, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS secret_changes
(
    name          String                  COMMENT 'Secret, as space.name',
    version       Int64                   COMMENT 'Version of its value; of one that was deleted, the last one',
    change        LowCardinality(String)  COMMENT 'set, rotated, deleted, or sealed_anew under another master key',
    changed_at    DateTime64(3, 'UTC')    COMMENT 'When it was changed',
    changed_by    LowCardinality(String)  COMMENT 'Who changed it',
    recorded_at   DateTime64(3, 'UTC')    COMMENT 'Timestamp of the audit record',
    log_topic     LowCardinality(String)  COMMENT 'Topic of the audit record',
    log_partition UInt32                  COMMENT 'Its partition',
    log_offset    Int64                   COMMENT 'Its offset',
    log_row       UInt16                  COMMENT 'Row within the record'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (name, changed_at, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS gate_decisions
(
    gate              String                  COMMENT 'Gate, as policy/kind/key/VALUE or policy/kind/total',
    policy            LowCardinality(String)  COMMENT 'Its policy',
    execution_id      String                  COMMENT 'Whom it is about; empty where it is about the gate itself',
    root_execution_id String                  COMMENT 'Its root execution',
    acquisition       String                  COMMENT 'Which of the execution''s acquisitions, as epoch/number of its owner''s partition',
    decided           LowCardinality(String)  COMMENT 'granted, waits, refused, returned, left, shut, opened, closed, tripped or recovered',
    reason            String                  COMMENT 'Why; how the execution ended; who opened; until when',
    decided_at        DateTime64(3, 'UTC')    COMMENT 'When it was decided',
    recorded_at       DateTime64(3, 'UTC')    COMMENT 'Timestamp of the audit record',
    log_topic         LowCardinality(String)  COMMENT 'Topic of the audit record',
    log_partition     UInt32                  COMMENT 'Its partition',
    log_offset        Int64                   COMMENT 'Its offset',
    log_row           UInt16                  COMMENT 'Row within the record'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (gate, decided_at, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS workflow_tasks
(
    execution_id      String                  COMMENT 'Execution of the workflow',
    root_execution_id String                  COMMENT 'Its root execution',
    event_id          String                  COMMENT 'Event that caused it, or empty',
    rule              LowCardinality(String)  COMMENT 'Rule that asked for it, or empty',
    action            LowCardinality(String)  COMMENT 'Action of the workflow',
    revision          LowCardinality(String)  COMMENT 'Revision that it runs on',
    task              LowCardinality(String)  COMMENT 'Task, or command of the engine such as noop',
    route             UInt32                  COMMENT 'Number of the task''s route',
    run               UInt32                  COMMENT 'Which of all runs of tasks of the workflow it is, from 0',
    change            UInt32                  COMMENT 'How many changes of this run came before',
    status            LowCardinality(String)  COMMENT 'What the task has come to',
    moved_at          DateTime64(3, 'UTC')    COMMENT 'When it did',
    recorded_at       DateTime64(3, 'UTC')    COMMENT 'Timestamp of the audit record',
    log_topic         LowCardinality(String)  COMMENT 'Topic of the audit record',
    log_partition     UInt32                  COMMENT 'Its partition',
    log_offset        Int64                   COMMENT 'Its offset',
    log_row           UInt16                  COMMENT 'Row within the record',
    INDEX by_event event_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (execution_id, run, change, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS dead_letters
(
    stage            LowCardinality(String)  COMMENT 'Stage that gave the record up; "audit" is the sink itself',
    reason           LowCardinality(String)  COMMENT 'Stable code, such as malformed_json',
    detail           String                  COMMENT 'What was wrong, for people',
    event_id         String                  COMMENT 'Event concerned, or empty',
    execution_id     String                  COMMENT 'Execution concerned, or empty',
    trigger          LowCardinality(String)  COMMENT 'Trigger concerned, or empty',
    rule             LowCardinality(String)  COMMENT 'Rule concerned, or empty',
    source_topic     LowCardinality(String)  COMMENT 'Topic of the source record',
    source_partition Int32                   COMMENT 'Its partition',
    source_offset    Int64                   COMMENT 'Its offset',
    source_at        DateTime64(3, 'UTC')    COMMENT 'Its timestamp',
    record_bytes     Int64                   COMMENT 'Size of its value',
    head             String                  COMMENT 'Head of its value, at most 64 KiB, as it was' CODEC(ZSTD(1)),
    recorded_at      DateTime64(3, 'UTC')    COMMENT 'Timestamp of the dead letter',
    log_topic        LowCardinality(String)  COMMENT 'Topic of the dead letter',
    log_partition    UInt32                  COMMENT 'Its partition',
    log_offset       Int64                   COMMENT 'Its offset',
    log_row          UInt16                  COMMENT 'Row within the record',
    INDEX by_event_id event_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_execution_id execution_id TYPE bloom_filter GRANULARITY 1,
    INDEX by_log_offset log_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (reason, recorded_at, log_topic, log_partition, log_offset, log_row)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE VIEW IF NOT EXISTS executions_latest AS
SELECT
    execution_id,
    latest.1 AS status,
    latest.2 AS changed_at,
    latest.3 AS root_execution_id,
    latest.4 AS event_id,
    latest.5 AS trigger,
    latest.6 AS rule,
    latest.7 AS action,
    latest.8 AS parameters,
    latest.9 AS revision,
    latest.10 AS requested_by,
    latest.11 AS attempt,
    latest.12 AS worker,
    latest.13 AS requested_at,
    latest.14 AS started_at,
    latest.15 AS ended_at,
    latest.16 AS return_code,
    latest.17 AS error,
    latest.18 AS code,
    latest.19 AS result,
    latest.20 AS parent_execution_id,
    latest.21 AS extracted,
    latest.22 AS result_object,
    latest.23 AS task,
    changes,
    finishes
FROM
(
    SELECT
        execution_id,
        -- One tuple: argMax of a single column would skip its NULLs.
        argMax(tuple(
            status, changed_at, root_execution_id, event_id, trigger, rule, action, parameters, revision,
            requested_by, attempt, worker, requested_at, started_at, ended_at, return_code, error,
            code, result, parent_execution_id, extracted, result_object, task
        ), sequence) AS latest,
        uniqExact(sequence) AS changes,
        uniqExactIf(sequence, ended_at IS NOT NULL) AS finishes
    FROM executions
    GROUP BY execution_id
);

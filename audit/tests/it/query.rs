//! `petrel sql`, and the two questions that everybody has.

use petrel_audit::{Address, Endpoint, Format, QueryLimits, SqlClient, SqlError, migrate};

use crate::http::run;
use crate::process::Engine;

async fn audit() -> (Engine, Address, SqlClient) {
    let engine = Engine::start();
    let endpoint = engine.process.endpoint();
    migrate(&endpoint, "petrel").await.unwrap();
    let (at, client) = (engine.address(), SqlClient::new(endpoint, "petrel"));
    (engine, at, client)
}

/// Rows of one event that matched one rule, whose execution went through these statuses.
fn story(at: &Address, event: &str, execution: &str, statuses: &[&str]) {
    let time = "'2026-01-02 03:04:05.678'";
    let row = |table: &str, columns: &str, values: String| {
        run(at, &format!("INSERT INTO petrel.{table} ({columns}) VALUES ({values})"));
    };
    let event_columns = "event_id, trigger, event_at, payload, rules_matched, recorded_at, log_topic, log_offset";
    row("events", event_columns, format!(r#"'{event}', 'p.t', {time}, '{{"a":1}}', 1, {time}, 'audit', 1"#));
    let match_columns =
        "event_id, trigger, rule, event_at, action, execution_id, revision, recorded_at, log_topic, log_offset";
    let values = format!("'{event}', 'p.t', 'p.r', {time}, 'p.a', '{execution}', 'r1', {time}, 'audit', 2");
    row("rule_matches", match_columns, values);
    let mut attempt = 1;
    for (number, status) in (1..).zip(statuses) {
        // What has ended and resumes runs again.
        attempt += i32::from(*status == "resuming");
        let ended = if ["succeeded", "failed"].contains(status) { time } else { "NULL" };
        let columns = "execution_id, sequence, attempt, status, changed_at, event_id, trigger, rule, action, parameters, requested_at, \
                       ended_at, recorded_at, log_topic, log_offset";
        let values = format!(
            "'{execution}', {number}, {attempt}, '{status}', {time}, '{event}', 'p.t', 'p.r', 'p.a', '{{}}', {time}, {ended}, {time}, 'audit', {}",
            number + 2
        );
        row("executions", columns, values.clone());
        // Written twice, as after a crash whose token has expired.
        row("executions", columns, values);
    }
}

async fn ask(client: &SqlClient, sql: &str) -> Result<String, SqlError> {
    let answer = client.query(sql, QueryLimits::default(), Format::Csv).await?;
    Ok(String::from_utf8(answer).expect("text"))
}

#[tokio::test]
async fn a_trace_follows_an_event_to_everything_it_caused() {
    let (_engine, at, client) = audit().await;
    story(&at, "e1", "x1", &["scheduled", "running", "succeeded"]);
    story(&at, "other", "x2", &["scheduled"]);
    run(
        &at,
        "INSERT INTO petrel.execution_output (execution_id, attempt, stream, content, captured_at) \
              VALUES ('x1', 1, 'stdout', 'done', '2026-01-02 03:04:06')",
    );
    run(
        &at,
        "INSERT INTO petrel.workflow_tasks (execution_id, task, action, status, moved_at) \
              VALUES ('x1', 'noop', 'p.a', 'succeeded', '2026-01-02 03:04:05.9')",
    );
    run(
        &at,
        "INSERT INTO petrel.dead_letters (stage, reason, detail, execution_id, recorded_at) \
              VALUES ('owner', 'too_large', 'cut', 'x1', '2026-01-02 03:04:07')",
    );
    let trace = client.trace("e1", QueryLimits::default(), Format::Csv).await.unwrap();
    let expected = r#""at","what","name","status","execution_id","detail"
"2026-01-02 03:04:05.678","event","p.t","1 matched","","{""a"":1}"
"2026-01-02 03:04:05.678","match","p.r","matched","x1","p.a at revision r1"
"2026-01-02 03:04:05.678","execution","p.a","scheduled","x1","{}"
"2026-01-02 03:04:05.678","execution","p.a","running","x1","{}"
"2026-01-02 03:04:05.678","execution","p.a","succeeded","x1","{}"
"2026-01-02 03:04:05.900","task","noop","succeeded","x1","of p.a"
"2026-01-02 03:04:06.000","output","stdout","whole","x1","done"
"2026-01-02 03:04:07.000","dead letter","owner","too_large","x1","cut"
"#;
    assert_eq!(String::from_utf8(trace).unwrap(), expected);
    let nothing = client.trace("'; DROP TABLE events", QueryLimits::default(), Format::Csv).await.unwrap();
    assert_eq!(String::from_utf8(nothing).unwrap().lines().count(), 1);
    assert!(client.trace("", QueryLimits::default(), Format::Csv).await.is_err());
}

#[tokio::test]
async fn reconciliation_names_what_does_not_add_up_and_nothing_else() {
    let (_engine, at, client) = audit().await;
    let problems_of_the_last = async |days| {
        let answer = client.reconcile(60, days, QueryLimits::default(), Format::Csv).await.unwrap();
        let text = String::from_utf8(answer).unwrap();
        let column = |line: &str| line.split("\",\"").take(3).collect::<Vec<_>>().join("/").replace('"', "");
        text.lines().skip(1).map(column).collect::<Vec<_>>()
    };
    let problems = async || problems_of_the_last(0).await;
    story(&at, "good", "x0", &["scheduled", "running", "succeeded"]);
    story(&at, "again", "x9", &["running", "failed", "resuming", "running", "failed", "resuming", "succeeded"]);
    assert_eq!(problems().await, [""; 0]);
    story(&at, "open again", "x10", &["running", "failed", "resuming", "running"]);
    story(&at, "twice again", "x11", &["running", "failed", "resuming", "failed", "succeeded"]);
    story(&at, "twice", "x1", &["scheduled", "running", "succeeded", "failed"]);
    story(&at, "lost", "x2", &[]);
    story(&at, "stuck", "x3", &["scheduled", "running"]);
    run(
        &at,
        "INSERT INTO petrel.executions (execution_id, sequence, event_id, rule, ended_at) \
              VALUES ('x4', 1, 'unasked', 'p.r', '2026-01-01 00:00:00')",
    );
    run(
        &at,
        "INSERT INTO petrel.executions (execution_id, sequence, ended_at) VALUES ('manual', 2, '2026-01-01 00:00:00')",
    );
    run(&at, "INSERT INTO petrel.events (event_id, rules_matched) VALUES ('unmatched', 2)");
    run(&at, "INSERT INTO petrel.rule_matches (event_id, execution_id) VALUES ('unseen', 'x5')");
    // Given up, and told: it adds up.
    story(&at, "dead", "x6", &[]);
    run(&at, "INSERT INTO petrel.dead_letters (stage, reason, execution_id) VALUES ('owner', 'no_such_action', 'x6')");
    run(&at, "INSERT INTO petrel.events (event_id, rules_matched) VALUES ('unrendered', 1)");
    run(
        &at,
        "INSERT INTO petrel.dead_letters (stage, reason, event_id, rule) \
              VALUES ('match', 'parameters_not_rendered', 'unrendered', 'p.r')",
    );
    let gate = |execution: &str, acquisition: &str, decided: &str| {
        // Each is a record of its own.
        let offset = format!("{execution}{acquisition}{decided}")
            .bytes()
            .fold(7_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 1_000_003);
        run(
            &at,
            &format!(
                "INSERT INTO petrel.gate_decisions (gate, execution_id, acquisition, decided, log_offset) \
                 VALUES ('p.one/concurrency/total', '{execution}', '{acquisition}', '{decided}', {offset})"
            ),
        );
    };
    // Two attempts, each with a permit that came back, and one that was turned away.
    for acquisition in ["1/1", "1/5"] {
        gate("x0", acquisition, "granted");
        gate("x0", acquisition, "returned");
    }
    gate("x0", "1/9", "refused");
    gate("x1", "1/2", "granted");
    gate("x2", "1/3", "returned");
    // It runs.
    gate("x3", "1/4", "granted");
    // Too young to be judged.
    run(&at, "INSERT INTO petrel.rule_matches (event_id, execution_id, recorded_at) VALUES ('young', 'x7', now64(3))");
    let mut found = problems().await;
    found.sort();
    assert_eq!(
        found,
        [
            "event and matches differ/unmatched/",
            "execution without match/unasked/x4",
            "finished more than once/twice again/x11",
            "finished more than once/twice/x1",
            "history with gaps//manual",
            "match without event/unseen/x5",
            "match without execution/lost/x2",
            "match without execution/unseen/x5",
            "not finished/open again/x10",
            "not finished/stuck/x3",
            "permit given or returned twice//x2",
            "permit not returned//x1",
        ]
    );
    // Nothing is asked of days of which some table may have thrown rows away.
    assert_eq!(problems_of_the_last(30).await, [""; 0]);
    let yesterday = "INSERT INTO petrel.rule_matches (event_id, execution_id, recorded_at) \
                     VALUES ('yesterday', 'x8', now64(3) - INTERVAL 1 DAY)";
    run(&at, yesterday);
    let found = problems_of_the_last(30).await;
    assert_eq!(found, ["match without event/yesterday/x8", "match without execution/yesterday/x8"]);
}

#[tokio::test]
async fn the_latest_state_is_one_row_an_execution() {
    let (_engine, at, client) = audit().await;
    story(&at, "e1", "x1", &["scheduled", "running", "succeeded"]);
    story(&at, "e2", "x2", &["scheduled", "running"]);
    let latest = "SELECT execution_id, status, ended_at IS NULL, changes, finishes FROM executions_latest ORDER BY 1";
    let rows = ask(&client, latest).await.unwrap();
    assert_eq!(rows.lines().skip(1).collect::<Vec<_>>(), [r#""x1","succeeded",0,3,1"#, r#""x2","running",1,2,0"#]);
    // Duplicates are not seen: `final` is on.
    assert_eq!(ask(&client, "SELECT count() AS n FROM executions").await.as_deref(), Ok("\"n\"\n5\n"));
}

#[tokio::test]
async fn limits_and_refusals_are_clear() {
    let (_engine, _, client) = audit().await;
    let small = QueryLimits { time_ms: 1_000, rows_max: 5, bytes_max: 1_000 };
    let cases = [
        ("SELECT number FROM numbers(6)", 396, "Limit for result exceeded"),
        ("SELECT count() FROM system.numbers", 159, "Timeout exceeded"),
        ("SELECT nonsense", 47, "nonsense"),
        ("DROP TABLE events", 164, "readonly"),
        ("INSERT INTO catalog_revisions (revision) VALUES ('x')", 164, "readonly"),
        ("SELECT file('/etc/passwd')", 164, "function file"),
        ("SELECT 1 SETTINGS max_result_rows = 0", 164, "max_result_rows"),
        ("SELECT", 62, "Syntax error"),
    ];
    for (sql, expected, words) in cases {
        match client.query(sql, small, Format::Table).await {
            Err(SqlError::Refused { code, text }) => {
                assert_eq!((code, text.contains(words)), (expected, true), "{sql}: {text}");
                assert!(!text.contains("DB::Exception: Code:") && !text.contains("(version"), "{sql}: {text}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    let table = client.query("SELECT 1 AS one, 'x' AS y", small, Format::Table).await.unwrap();
    assert_eq!(String::from_utf8(table).unwrap(), "┌─one─┬─y─┐\n│   1 │ x │\n└─────┴───┘\n");
    let json = client.query("SELECT 18446744073709551615 AS n", small, Format::Json).await.unwrap();
    assert!(String::from_utf8(json).unwrap().contains("\"n\": 18446744073709551615"));
    let nobody = Address { url: "http://127.0.0.1:1".into(), user: None, password: None };
    let down = SqlClient::new(Endpoint::fixed(nobody), "petrel").query("SELECT 1", small, Format::Csv).await;
    assert!(matches!(down, Err(SqlError::Unavailable(_))), "{down:?}");
}

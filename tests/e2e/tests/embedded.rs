//! One process with everything embedded, used through its command line.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use petrel_e2e_tests::{Cli, Single, post, write_pack};
use petrel_testkit::{poll_until, wait_until, workspace_root};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const ALERT: &str = r#"{"host":"db-1","mount":"/tmp","used_pct":95.0}"#;

/// Waits until a query counts at least `wanted`.
fn wait_for_count(cli: &Cli, query: &str, wanted: u64) {
    wait_until(query, SOON, || cli.number(query).is_ok_and(|n| n >= wanted));
}

fn demo_packs() -> String {
    workspace_root().join("packs").display().to_string()
}

#[test]
fn an_event_becomes_a_decision_an_action_and_rows() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::start(dir.path(), &[])?;
    let cli = petrel.cli().clone();
    cli.run(&["pack", "apply", &demo_packs()])?;

    // The host sensor's own events cause actions without anybody's help.
    wait_for_count(
        &cli,
        "SELECT count() FROM executions_latest WHERE trigger = 'demo.host' AND status = 'succeeded'",
        1,
    );

    let answer = cli.run(&["event", "send", "demo.alert", ALERT, "--id", "alert-1"])?;
    assert_eq!(serde_json::from_str::<Value>(answer.trim())?["event_id"], "alert-1");
    let finished = "SELECT count() FROM executions_latest WHERE event_id = 'alert-1' AND status = 'succeeded'";
    wait_for_count(&cli, finished, 1);

    // The same id again is the same event: no second execution.
    cli.run(&["event", "send", "demo.alert", ALERT, "--id", "alert-1"])?;
    cli.run(&["event", "send", "demo.alert", ALERT, "--id", "alert-2"])?;
    wait_for_count(
        &cli,
        "SELECT count() FROM executions_latest WHERE event_id = 'alert-2' AND status = 'succeeded'",
        1,
    );
    assert_eq!(cli.number("SELECT count() FROM executions_latest WHERE event_id = 'alert-1'")?, 1);

    let trace = cli.run(&["sql", "--trace", "alert-1"])?;
    for wanted in ["demo.alert", "demo.clean", "succeeded"] {
        assert!(trace.contains(wanted), "{wanted} not in\n{trace}");
    }
    cli.reconciles()?;

    // Ctrl-C ends it, and everything is there at the next start.
    petrel.down()?;
    petrel.up()?;
    assert_eq!(cli.number(finished)?, 1);
    let packs = cli.json(&["pack", "list"])?;
    assert!(packs.as_array().is_some_and(|p| p.iter().any(|p| p["pack"] == "demo")), "{packs}");
    let execution = cli.json(&["execution", "list", "--rule", "demo.clean_tmp", "--limit", "1"])?;
    assert_eq!(execution[0]["status"], "succeeded");
    petrel.down()
}

#[test]
fn manual_runs_cancel_pause_and_resume() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::start(dir.path(), &[])?;
    let cli = petrel.cli().clone();
    let pack = write_tools(dir.path())?;
    cli.run(&["pack", "apply", &pack])?;

    let done = cli.json(&["action", "run", "tools.say", "text=hello; rm -rf /", "--wait"])?;
    assert_eq!(done["status"], "succeeded");
    let id = done["execution_id"].as_str().unwrap_or_default();
    let output = format!("SELECT content FROM execution_output WHERE execution_id = '{id}' AND stream = 'stdout'");
    wait_until("the output is in SQL", SOON, || cli.sql(&output).is_ok_and(|rows| rows.len() == 1));
    assert_eq!(cli.sql(&output)?[0]["content"], "hello; rm -rf /\n");
    assert_eq!(
        cli.number(&format!(
            "SELECT count() FROM executions_latest WHERE execution_id = '{id}' AND requested_by = 'api'"
        ))?,
        1
    );

    // The same key is the same execution, which runs once.
    let url = format!("{}/v1/actions/tools.say/run", cli.api());
    let headers = [("content-type", "application/json"), ("idempotency-key", "deploy-7")];
    let run = |text: &str| {
        post(&url, &headers, json!({ "parameters": { "text": text } }).to_string())
            .map(|answer| (answer.status, answer.body))
    };
    let (first, second) = (run("once")?, run("once")?);
    assert_eq!((first.0, &first), (202, &second));
    let same: Value = serde_json::from_str(&first.1)?;
    let same = same["execution_id"].as_str().unwrap_or_default().to_owned();
    wait_until("it ran", SOON, || status(&cli, &same) == "succeeded");
    let ran = format!("SELECT DISTINCT parameters FROM executions WHERE execution_id = '{same}'");
    wait_until("it is in SQL", SOON, || cli.sql(&ran).is_ok_and(|rows| rows.len() == 1));
    assert_eq!(cli.sql(&ran)?[0]["parameters"], "{\"text\":\"once\"}");
    // With other parameters it is another request, and the server says so rather than answer for the first one.
    let other = run("twice")?;
    assert_eq!(other.0, 422, "{}", other.1);
    assert!(other.1.contains("idempotency_key_reused") && other.1.contains(&same), "{}", other.1);
    assert_eq!(run("once")?, first);

    // A failing action says so, with its exit code.
    let failed = cli.output(&["action", "run", "tools.fail", "--wait", "-o", "json"])?;
    assert_eq!(failed.status.code(), Some(1));
    let failed: Value = serde_json::from_slice(&failed.stdout)?;
    assert_eq!((&failed["status"], &failed["return_code"]), (&json!("failed"), &json!(3)));
    assert_eq!(failed["code"], "exit_code");

    // One that takes too long is ended with everything that it started.
    let late = cli.output(&["action", "run", "tools.late", "--wait", "-o", "json"])?;
    let late: Value = serde_json::from_slice(&late.stdout)?;
    assert_eq!((&late["status"], &late["code"]), (&json!("timeout"), &json!("run_timeout")));

    let sleeper = cli.json(&["action", "run", "tools.sleep"])?["execution_id"].as_str().unwrap_or_default().to_owned();
    wait_until("it runs", SOON, || status(&cli, &sleeper) == "running");
    cli.run(&["execution", "cancel", &sleeper])?;
    wait_until("it is canceled", SOON, || status(&cli, &sleeper) == "canceled");

    cli.run(&["pause", "--reason", "test"])?;
    let waiting = cli.json(&["action", "run", "tools.say", "text=later"])?["execution_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mut last = String::new();
    let owned = poll_until(SOON, || {
        last = status(&cli, &waiting);
        (last == "delayed").then_some(())
    });
    assert!(owned.is_some(), "{last:?} instead of delayed; {}", petrel.process().process().log_tail());
    assert_eq!(cli.json(&["status"])?["dispatch"], "paused");
    cli.run(&["resume"])?;
    wait_until("it ran after all", SOON, || status(&cli, &waiting) == "succeeded");
    petrel.down()
}

#[test]
fn bound_topics_and_timers_work_on_the_local_bus() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = Single::start(dir.path(), &[])?;
    let cli = petrel.cli();
    let pack = write_tools(dir.path())?;
    cli.run(&["pack", "apply", &pack])?;
    cli.run(&["topic", "send", "monitoring.alerts", r#"{"host":"a","level":3}"#, "--key", "a"])?;
    wait_for_count(
        cli,
        "SELECT count() FROM executions_latest WHERE rule = 'tools.on_alert' AND status = 'succeeded'",
        1,
    );
    wait_for_count(
        cli,
        "SELECT count() FROM executions_latest WHERE rule = 'tools.on_tick' AND status = 'succeeded'",
        2,
    );
    cli.reconciles()?;
    Ok(())
}

#[test]
fn questions_are_read_only_and_bounded() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = Single::start(dir.path(), &[("PETREL_API__SQL_ROWS_MAX", "10")])?;
    let cli = petrel.cli();
    assert_eq!(cli.run(&["sql", "SELECT 1 AS one, 'a' AS a", "--format", "csv"])?, "\"one\",\"a\"\n1,\"a\"\n");
    for refused in [
        "DROP TABLE events",
        "INSERT INTO events SELECT * FROM events",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT 1; SELECT 2",
        "SELECT nonsense",
    ] {
        let output = cli.output(&["sql", refused])?;
        assert_ne!(output.status.code(), Some(0), "{refused}");
        assert!(!output.stderr.is_empty(), "{refused}");
    }
    let many = cli.output(&["sql", "SELECT number FROM numbers(1000)", "--format", "json"])?;
    assert!(String::from_utf8_lossy(&many.stdout).lines().count() <= 10, "the row limit holds");
    Ok(())
}

fn status(cli: &Cli, id: &str) -> String {
    let execution = cli.json(&["execution", "get", id]).unwrap_or_default();
    execution["status"].as_str().unwrap_or_default().to_owned()
}

fn write_tools(dir: &Path) -> Result<String> {
    let action =
        |name: &str, command: &str, rest: &str| format!("name: {name}\nrunner: command\ncommand: {command}\n{rest}");
    let text = "parameters:\n  text: { type: string, required: true }\n";
    let files = [
        ("pack.yaml", "name: tools\nversion: 1.0.0\ndescription: Actions of a test\n".to_owned()),
        ("actions/say.yaml", action("say", "[echo, \"${parameters.text}\"]", text)),
        ("actions/fail.yaml", action("fail", "[./fail.sh]", "")),
        ("actions/fail.sh", "#!/bin/sh\necho no >&2\nexit 3\n".to_owned()),
        ("actions/late.yaml", action("late", "[sleep, \"600\"]", "timeout: 1s\n")),
        ("actions/sleep.yaml", action("sleep", "[sleep, \"600\"]", "")),
        (
            "triggers/alert.yaml",
            "name: alert\nsource: { kafka: { topic: monitoring.alerts, format: json } }\n".to_owned(),
        ),
        ("triggers/tick.yaml", "name: tick\nsource: { interval: { every: 1s } }\n".to_owned()),
        (
            "rules/on_alert.yaml",
            "name: on_alert\ntrigger: tools.alert\ncriteria: trigger.level > 2\n\
             action: { ref: tools.say, parameters: { text: \"${trigger.host}\" } }\n"
                .to_owned(),
        ),
        (
            "rules/on_tick.yaml",
            "name: on_tick\ntrigger: tools.tick\naction: { ref: tools.say, parameters: { text: tick } }\n".to_owned(),
        ),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    Ok(write_pack(dir, "tools", &files)?.display().to_string())
}

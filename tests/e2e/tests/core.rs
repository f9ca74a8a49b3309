//! The pack core: events that actions inject, rules that react to how executions end, records to topics.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use petrel_e2e_tests::{Cli, Single, write_pack};
use petrel_testkit::{wait_until, workspace_root};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

const WATCH: [(&str, &str); 12] = [
    ("pack.yaml", "name: watch\nversion: 1.0.0\nproduces: [incidents]\n"),
    ("triggers/ping.yaml", "name: ping\n"),
    ("triggers/pong.yaml", "name: pong\nschema: { type: object, required: [n] }\n"),
    ("triggers/incident.yaml", "name: incident\nsource: { kafka: { topic: incidents } }\n"),
    (
        "rules/ping.yaml",
        "name: ping\ntrigger: watch.ping\n\
         action: { ref: core.inject_trigger, parameters: { trigger: watch.pong, payload: { n: 1 } } }\n",
    ),
    (
        "rules/pong.yaml",
        "name: pong\ntrigger: watch.pong\n\
         action: { ref: core.inject_trigger, parameters: { trigger: watch.ping } }\n",
    ),
    (
        "rules/failed.yaml",
        "name: failed\ntrigger: core.execution\ncriteria: trigger.status == \"failed\"\n\
         action: { ref: core.echo, parameters: { message: \"${trigger.action} ${trigger.code}: ${trigger.error}\" } }\n",
    ),
    // It would react to itself.
    (
        "rules/every.yaml",
        "name: every\ntrigger: core.execution\n\
         criteria: trigger.action == \"core.error\" || trigger.rule == \"watch.every\"\n\
         action: { ref: core.noop }\n",
    ),
    (
        "rules/incident.yaml",
        "name: incident\ntrigger: watch.incident\n\
         action: { ref: core.echo, parameters: { message: \"${trigger.host}\" } }\n",
    ),
    (
        "actions/tell.yaml",
        "name: tell\nrunner: kafka\nrecord:\n  topic: incidents\n  key: \"${parameters.host}\"\n  \
         json: { host: \"${parameters.host}\" }\nparameters:\n  host: { type: string, required: true }\n",
    ),
    (
        "actions/bad.yaml",
        "name: bad\nrunner: inject_trigger\ntrigger: watch.pong\npayload: { x: 1 }\n",
    ),
    ("README.md", "watches\n"),
];

/// The executions of a rule that have ended, oldest first: action, status and result.
fn of_rule(cli: &Cli, rule: &str) -> Result<Vec<Value>> {
    cli.sql(&format!(
        "SELECT action, status, result FROM executions_latest WHERE rule = '{rule}' \
         AND status IN ('succeeded', 'failed') ORDER BY requested_at"
    ))
}

fn start(dir: &Path) -> Result<Single> {
    let petrel = Single::start(dir, &[])?;
    let core = workspace_root().join("packs/core").display().to_string();
    petrel.cli().run(&["pack", "apply", &core])?;
    petrel.cli().run(&["pack", "apply", &write_pack(dir, "watch", &WATCH)?.display().to_string()])?;
    Ok(petrel)
}

#[test]
fn executions_cause_events_and_chains_of_them_end() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let cli = petrel.cli().clone();

    // A failure is told, once, and what reacts to everything does not react to itself.
    let failed = cli.output(&["action", "run", "core.error", "message=no disk", "--wait"])?;
    assert!(!failed.status.success());
    wait_until("the failure was told", SOON, || of_rule(&cli, "watch.failed").is_ok_and(|rows| rows.len() == 1));
    let told = of_rule(&cli, "watch.failed")?;
    assert_eq!((&told[0]["action"], &told[0]["status"]), (&json!("core.echo"), &json!("succeeded")));
    assert_eq!(told[0]["result"], "{\"message\":\"core.error told_to_fail: no disk\"}");
    wait_until("the rule over all has reacted", SOON, || of_rule(&cli, "watch.every").is_ok_and(|rows| rows.len() == 1));

    // Two rules that cause each other: 33 executions, and the event behind them is a dead letter.
    cli.run(&["event", "send", "watch.ping", "{}", "--id", "first"])?;
    let dead = "SELECT reason, trigger FROM dead_letters WHERE reason = 'cause_too_deep'";
    wait_until("the chain has ended", SOON, || cli.sql(dead).is_ok_and(|rows| rows.len() == 1));
    let (pings, pongs) = (of_rule(&cli, "watch.ping")?.len(), of_rule(&cli, "watch.pong")?.len());
    assert_eq!((pings, pongs), (17, 16));

    // What does not fit is a dead letter, and nobody posts the ends of executions.
    let bad = cli.json(&["action", "run", "watch.bad", "--wait"])?;
    assert_eq!(bad["status"], "succeeded");
    let refused = "SELECT event_id FROM dead_letters WHERE reason = 'schema_violation' AND trigger = 'watch.pong'";
    wait_until("the event is refused", SOON, || cli.sql(refused).is_ok_and(|rows| rows.len() == 1));
    let result: Value = serde_json::from_str(bad["result"].as_str().unwrap_or(&bad["result"].to_string()))?;
    assert_eq!(cli.sql(refused)?[0]["event_id"], result["event_id"]);
    let posted = cli.output(&["event", "send", "core.execution", "{}"])?;
    assert!(String::from_utf8_lossy(&posted.stderr).contains("the ends of executions"), "{posted:?}");
    assert_eq!(of_rule(&cli, "watch.every")?.len(), 1, "it has not reacted to itself");
    cli.reconciles()?;
    petrel.down()
}

#[test]
fn a_record_of_an_action_is_an_event_of_who_reads_its_topic() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let cli = petrel.cli().clone();
    let told = cli.json(&["action", "run", "watch.tell", "host=db-1", "--wait"])?;
    assert_eq!(told["status"], "succeeded", "{told}");
    wait_until("the record was read", SOON, || of_rule(&cli, "watch.incident").is_ok_and(|rows| rows.len() == 1));
    assert_eq!(of_rule(&cli, "watch.incident")?[0]["result"], "{\"message\":\"db-1\"}");
    let line = cli.json(&["action", "run", "core.local", "cmd=echo $((6*7)) in $(pwd)", "cwd=/tmp", "--wait"])?;
    assert_eq!(line["stdout"], "42 in /tmp\n");
    petrel.down()
}

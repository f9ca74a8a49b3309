//! One process with everything embedded.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use petrel_e2e_tests::{CRASH_TRIGGER, Cli, Single, post, takes_ms, write_reporting_pack};
use petrel_testkit::{HttpSink, poll_until, wait_until};

use super::check::{check, expected_ids, settle};
use super::plan::Plan;

#[test]
fn process_survives_kills() -> Result<()> {
    let mut plan = Plan::from_env();
    let dir = tempfile::tempdir()?;
    let sink = HttpSink::start(&dir.path().join("sink.log"))?;
    let pack = write_reporting_pack(dir.path(), "{ http: {} }", &sink.url())?;
    let slots = plan.slots.to_string();
    let environment = [("PETREL_EXECUTOR__LEASE_MS", "3000"), ("PETREL_WORKER__SLOTS", slots.as_str())];
    let mut petrel = Single::start(dir.path(), &environment)?;
    let cli = petrel.cli().clone();
    cli.run(&["pack", "apply", &pack.display().to_string()])?;

    let mut sent = 0;
    let first = plan.events - plan.chunk() * plan.kills as u64;
    sent = send_events(&cli, sent, first, plan.slow_ms);
    for _ in 0..plan.kills {
        let before = sink.count();
        let _ = poll_until(Duration::from_secs(2), || (sink.count() > before + plan.random.below(20)).then_some(()));
        petrel.process().crash()?;
        sent = send_events(&cli, sent, plan.chunk(), plan.slow_ms);
    }
    let expected = expected_ids(sent);
    settle(&cli, &sink, expected.len());
    petrel.process().check_running()?;
    let matched = cli.sql("SELECT DISTINCT execution_id FROM rule_matches")?;
    let executions: BTreeSet<String> =
        matched.iter().filter_map(|row| row["execution_id"].as_str()).map(str::to_owned).collect();
    assert_eq!(executions.len(), expected.len(), "one request for each expected event");
    check(&cli, &sink, &executions, plan.slots * plan.kills)
}

/// Sends events over HTTP until they are acknowledged, each batch under an id of its own: what was
/// acknowledged or not before a kill may be sent twice, and must cause one execution.
fn send_events(cli: &Cli, from: u64, count: u64, slow_ms: u64) -> u64 {
    let url = format!("{}/v1/events/{CRASH_TRIGGER}", cli.api());
    let mut next = from;
    while next < from + count {
        let until = (next + 50).min(from + count);
        let line = |n| format!(r#"{{"id":"e{n}","n":{n},"takes_ms":{}}}"#, takes_ms(n, slow_ms));
        let lines: Vec<String> = (next..until).map(line).collect();
        let id = format!("batch-{next}");
        let headers = [("content-type", "application/x-ndjson"), ("event-id", id.as_str())];
        wait_until("a batch of events is accepted", Duration::from_secs(120), || {
            post(&url, &headers, lines.join("\n")).is_ok_and(|answer| answer.status == 202)
        });
        next = until;
    }
    next
}

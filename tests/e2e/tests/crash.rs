//! Processes are killed with -9 while events flow; nothing is lost, nothing is doubled.
//!
//! Small counts by default; `cargo xtask crash` runs the full ones (`PETREL_E2E_EVENTS`,
//! `PETREL_E2E_KILLS`, `PETREL_E2E_SEED`).
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]
// The seed and the counts belong into the output of a run, failed or not.
#![allow(clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use petrel_e2e_tests::{
    CRASH_TRIGGER, Cli, Cluster, Feed, Random, Single, committed_values, count_from_env, create_topic, post,
    write_reporting_pack,
};
use petrel_schemas::{ActionRequest, decode};
use petrel_testkit::{HttpSink, kafka_or_skip, poll_until, shared_kafka, wait_until};

/// How long everything may take to settle after the last kill.
const SETTLE: Duration = Duration::from_secs(900);
/// Finished executions as SQL counts them.
const FINISHED: &str = "SELECT count() FROM executions_latest WHERE status = 'succeeded'";

struct Plan {
    events: u64,
    kills: usize,
    random: Random,
}

impl Plan {
    fn from_env() -> Self {
        let seed = count_from_env("PETREL_E2E_SEED", 7) as u64;
        let (events, kills) = (count_from_env("PETREL_E2E_EVENTS", 3_000), count_from_env("PETREL_E2E_KILLS", 6));
        // Shown when the test fails, so that the run can be repeated.
        eprintln!("events {events}, kills {kills}, seed {seed}");
        Self { events: events as u64, kills, random: Random::new(seed) }
    }

    /// Events to write after each kill, the rest with the first.
    fn chunk(&self) -> u64 {
        self.events / (self.kills as u64 + 1)
    }
}

#[test]
fn kafka_cluster_survives_kills_of_every_role() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(kafka) = shared_kafka() else { return Ok(()) };
    let mut plan = Plan::from_env();
    let dir = tempfile::tempdir()?;
    let topic = format!("orders-{}", std::process::id());
    create_topic(kafka, &topic, 6, &[])?;
    let sink = HttpSink::start(&dir.path().join("sink.log"))?;
    let pack = write_reporting_pack(
        dir.path(),
        &format!("{{ kafka: {{ topic: {topic}, format: json, start: earliest }} }}"),
        &sink.url(),
    )?;
    let mut cluster = Cluster::start(dir.path(), kafka, &format!("crash{}.", std::process::id()))?;
    cluster.cli().run(&["pack", "apply", &pack.display().to_string()])?;

    let mut feed = Feed::new(kafka, &topic, &dir.path().join("ids.txt"))?;
    feed.write(plan.events - plan.chunk() * plan.kills as u64)?;
    for _ in 0..plan.kills {
        let before = sink.count();
        let victim = plan.random.below(cluster.members.len());
        cluster.members[victim].crash()?;
        feed.write(plan.chunk())?;
        // Some progress, unless the victim holds it up: then the next kill hits during the recovery.
        let _ = poll_until(Duration::from_secs(2), || (sink.count() > before + 5).then_some(()));
    }
    let expected = expected_ids(plan.events);
    settle(cluster.cli(), &sink, expected.len());
    for member in &mut cluster.members {
        member.check_running()?;
    }

    let mut requested: BTreeMap<String, String> = BTreeMap::new();
    for value in committed_values(kafka, &cluster.topic("requests"))? {
        let request: ActionRequest = decode(&value)?;
        let parameters: serde_json::Value = serde_json::from_str(&request.parameters)?;
        let id = parameters["id"].as_str().unwrap_or_default().to_owned();
        assert!(requested.insert(id.clone(), request.execution_id).is_none(), "two requests for event {id}");
    }
    assert_eq!(requested.keys().cloned().collect::<BTreeSet<_>>(), expected, "one request for each expected event");
    let executions: BTreeSet<String> = requested.into_values().collect();
    check(cluster.cli(), &sink, &executions, cluster.slots() * plan.kills)
}

/// One process of each role dies and does not come back: the others take its partitions over. On an
/// idle machine that takes about the session time-out, 6 s here; the bound is for a busy one.
#[test]
fn kafka_cluster_takes_over_from_dead_processes() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(kafka) = shared_kafka() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let topic = format!("takeover-{}", std::process::id());
    create_topic(kafka, &topic, 6, &[])?;
    let sink = HttpSink::start(&dir.path().join("sink.log"))?;
    let source = format!("{{ kafka: {{ topic: {topic}, format: json, start: earliest }} }}");
    let pack = write_reporting_pack(dir.path(), &source, &sink.url())?;
    let mut cluster = Cluster::start(dir.path(), kafka, &format!("takeover{}.", std::process::id()))?;
    cluster.cli().run(&["pack", "apply", &pack.display().to_string()])?;
    let mut feed = Feed::new(kafka, &topic, &dir.path().join("ids.txt"))?;
    feed.write(300)?;
    assert!(sink.wait_for(30, Duration::from_secs(120)), "the first actions ran");

    let died = Instant::now();
    for member in cluster.members.iter_mut().filter(|m| m.name().ends_with("-1") && m.name() != "audit-1") {
        member.process().kill9();
    }
    feed.write(300)?;
    assert!(sink.wait_for(60, Duration::from_secs(90)), "{} of 60 actions ran", sink.count());
    eprintln!("taken over {:.1} s after the death of one process of each role", died.elapsed().as_secs_f64());
    settle(cluster.cli(), &sink, 60);
    cluster.cli().reconciles()
}

#[test]
fn local_bus_survives_kills_of_its_process() -> Result<()> {
    let mut plan = Plan::from_env();
    let dir = tempfile::tempdir()?;
    let sink = HttpSink::start(&dir.path().join("sink.log"))?;
    let pack = write_reporting_pack(dir.path(), "{ http: {} }", &sink.url())?;
    let environment = [("PETREL_EXECUTOR__LEASE_MS", "3000"), ("PETREL_WORKER__SLOTS", "4")];
    let mut petrel = Single::start(dir.path(), &environment)?;
    let cli = petrel.cli().clone();
    cli.run(&["pack", "apply", &pack.display().to_string()])?;

    let mut sent = 0;
    let first = plan.events - plan.chunk() * plan.kills as u64;
    sent = send_events(&cli, sent, first);
    for _ in 0..plan.kills {
        let before = sink.count();
        let _ = poll_until(Duration::from_secs(2), || (sink.count() > before + plan.random.below(20)).then_some(()));
        petrel.process().crash()?;
        sent = send_events(&cli, sent, plan.chunk());
    }
    let expected = expected_ids(sent);
    settle(&cli, &sink, expected.len());
    petrel.process().check_running()?;
    let matched = cli.sql("SELECT DISTINCT execution_id FROM rule_matches")?;
    let executions: BTreeSet<String> =
        matched.iter().filter_map(|row| row["execution_id"].as_str()).map(str::to_owned).collect();
    assert_eq!(executions.len(), expected.len(), "one request for each expected event");
    check(&cli, &sink, &executions, 4 * plan.kills)
}

/// Sends events over HTTP until they are acknowledged, each batch under an id of its own: what was
/// acknowledged or not before a kill may be sent twice, and must cause one execution.
fn send_events(cli: &Cli, from: u64, count: u64) -> u64 {
    let url = format!("{}/v1/events/{CRASH_TRIGGER}", cli.api());
    let mut next = from;
    while next < from + count {
        let until = (next + 50).min(from + count);
        let lines: Vec<String> = (next..until).map(|n| format!(r#"{{"id":"e{n}","n":{n}}}"#)).collect();
        let id = format!("batch-{next}");
        let headers = [("content-type", "application/x-ndjson"), ("event-id", id.as_str())];
        wait_until("a batch of events is accepted", Duration::from_secs(120), || {
            post(&url, &headers, lines.join("\n")).is_ok_and(|answer| answer.status == 202)
        });
        next = until;
    }
    next
}

fn expected_ids(events: u64) -> BTreeSet<String> {
    (0..events).filter(|n| n % 10 == 0).map(|n| format!("e{n}")).collect()
}

/// Waits until SQL has as many finished executions as there must be.
fn settle(cli: &Cli, sink: &HttpSink, expected: usize) {
    let mut last = 0;
    wait_until("every expected execution is finished in SQL", SETTLE, || {
        last = cli.number(FINISHED).unwrap_or(last);
        last >= expected as u64
    });
    assert!(sink.count() >= expected);
}

/// What must hold at the end, whoever was killed.
fn check(cli: &Cli, sink: &HttpSink, executions: &BTreeSet<String>, extra_runs_max: usize) -> Result<()> {
    let reported = sink.ids();
    let distinct: BTreeSet<String> = reported.iter().cloned().collect();
    assert_eq!(distinct, *executions, "every execution reported, and none other");
    let extra = reported.len() - distinct.len();
    eprintln!("executions {}, extra runs {extra} (at most {extra_runs_max})", executions.len());
    assert!(extra <= extra_runs_max, "{extra} extra runs, more than slots times kills");
    let finished = cli.sql(
        "SELECT execution_id, count() AS n FROM executions_latest WHERE status = 'succeeded' GROUP BY execution_id",
    )?;
    let in_sql: BTreeSet<String> =
        finished.iter().filter_map(|r| r["execution_id"].as_str()).map(str::to_owned).collect();
    assert_eq!(in_sql, *executions, "SQL has exactly one finished execution per expected event");
    assert_eq!(finished.len(), executions.len());
    cli.reconciles()?;
    Ok(())
}

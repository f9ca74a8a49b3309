//! Kafka away at the start, ClickHouse away under load: everything waits, nothing is lost.
//!
//! 20 seconds each by default (`PETREL_E2E_OUTAGE_SECONDS`); `cargo xtask outage` takes five minutes.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::time::{Duration, Instant};

use anyhow::Result;
use petrel_e2e_tests::{Cli, Cluster, Feed, Single, count_from_env, create_topic, write_pack, write_reporting_pack};
use petrel_testkit::{HttpSink, KafkaBroker, kafka_or_skip, poll_until, shared_kafka, wait_until};

const SETTLE: Duration = Duration::from_secs(300);

fn outage() -> Duration {
    Duration::from_secs(count_from_env("PETREL_E2E_OUTAGE_SECONDS", 20) as u64)
}

#[test]
fn clickhouse_outage_under_load_delays_rows_and_loses_none() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(kafka) = shared_kafka() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let topic = format!("outage-{}", std::process::id());
    create_topic(kafka, &topic, 4, &[])?;
    let sink = HttpSink::start(&dir.path().join("sink.log"))?;
    let source = format!("{{ kafka: {{ topic: {topic}, format: json, start: earliest }} }}");
    let pack = write_reporting_pack(dir.path(), &source, &sink.url())?;
    let mut cluster = Cluster::start(dir.path(), kafka, &format!("outage{}.", std::process::id()))?;
    cluster.cli().run(&["pack", "apply", &pack.display().to_string()])?;
    let mut feed = Feed::new(kafka, &topic, &dir.path().join("ids"))?;
    feed.write(200)?;
    assert!(sink.wait_for(20, SETTLE), "the first actions ran");

    let engine = cluster.members.iter().position(|m| m.name() == "clickhouse").expect("there is an engine");
    cluster.members[engine].process().kill9();
    let began = Instant::now();
    // Load goes on for the whole outage: a chunk whenever the actions of the last one have run.
    while began.elapsed() < outage() {
        feed.write(50)?;
        let wanted = feed.written() as usize / 10;
        let _ = poll_until(Duration::from_secs(5), || (sink.count() >= wanted).then_some(()));
        let left = outage().saturating_sub(began.elapsed());
        let _ = poll_until(left.min(Duration::from_millis(500)), || None::<()>);
    }
    let expected = feed.written() as usize / 10;
    assert!(sink.wait_for(expected, SETTLE), "actions run without ClickHouse");
    cluster.members[engine].start()?;

    let cli = cluster.cli();
    let finished = "SELECT count() FROM executions_latest WHERE status = 'succeeded'";
    wait_until("the rows catch up", SETTLE, || cli.number(finished).is_ok_and(|n| n >= expected as u64));
    assert_eq!(cli.number(finished)?, expected as u64);
    cli.reconciles()?;
    for member in &mut cluster.members {
        member.check_running()?;
    }
    Ok(())
}

#[test]
fn kafka_outage_at_the_start_is_waited_for() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let mut broker = KafkaBroker::start()?;
    broker.kill9();
    let dir = tempfile::tempdir()?;
    let bootstrap = broker.bootstrap();
    let mut petrel = Single::prepare(dir.path(), &["--kafka", &bootstrap], &[])?;
    petrel.process().start()?;
    let cli = petrel.cli().clone();
    // It lives, says what it waits for, and is not ready, for the whole outage.
    let early = poll_until(outage(), || {
        petrel
            .process()
            .check_running()
            .err()
            .or_else(|| cli.wait_ready(Duration::ZERO).then(|| anyhow::anyhow!("ready without Kafka")))
    });
    assert!(early.is_none(), "{early:?}");
    let status = cli.output(&["status"])?;
    assert_eq!(status.status.code(), Some(3));
    let said = String::from_utf8_lossy(&status.stderr);
    assert!(said.contains("cannot be reached"), "{said}");

    broker.start_again()?;
    assert!(cli.wait_ready(Duration::from_secs(120)), "{}", petrel.process().process().log_tail());
    works(&cli, dir.path())?;
    petrel.down()
}

/// An event goes all the way.
fn works(cli: &Cli, dir: &std::path::Path) -> Result<()> {
    let pack = write_pack(
        dir,
        "works",
        &[
            ("pack.yaml", "name: works\nversion: 1.0.0\ndescription: Works\n"),
            ("triggers/t.yaml", "name: t\nsource: { http: {} }\n"),
            ("rules/r.yaml", "name: r\ntrigger: works.t\naction: { ref: works.a }\n"),
            ("actions/a.yaml", "name: a\nrunner: command\ncommand: [\"true\"]\n"),
        ],
    )?;
    cli.run(&["pack", "apply", &pack.display().to_string()])?;
    cli.run(&["event", "send", "works.t", "{}"])?;
    let finished = "SELECT count() FROM executions_latest WHERE status = 'succeeded'";
    wait_until("the event's action ran", SETTLE, || cli.number(finished).is_ok_and(|n| n == 1));
    Ok(())
}

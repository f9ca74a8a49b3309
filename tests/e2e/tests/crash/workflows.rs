//! Workflows on Kafka while one process after the other is killed: each comes to the output that its input determines,
//! and the audit trail has each transition once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Cluster, Feed, create_topic};
use petrel_testkit::{kafka_or_skip, poll_until, shared_kafka};
use serde_json::Value;

use super::plan::Plan;
use super::relay::{self, ACTION};
use super::transitions;

/// How long a workflow may take at most while processes are killed, the others of its time before it.
const PATIENCE_PER_WORKFLOW: Duration = Duration::from_secs(3);
/// How long all of them may take besides.
const PATIENCE: Duration = Duration::from_secs(600);
/// In how many parts the events are written, one after each kill.
const PARTS: u64 = 6;

#[test]
fn workflows_survive_kills_of_every_role() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(kafka) = shared_kafka() else { return Ok(()) };
    let mut plan = Plan::from_env();
    let dir = tempfile::tempdir()?;
    let topic = format!("relay-{}", std::process::id());
    create_topic(kafka, &topic, 6, &[])?;
    let pack = relay::write(dir.path(), &format!("{{ kafka: {{ topic: {topic}, format: json, start: earliest }} }}"))?;
    let prefix = format!("relay{}.", std::process::id());
    let mut cluster = Cluster::start_with(dir.path(), kafka, &prefix, plan.size())?;
    cluster.cli().run(&["pack", "apply", &pack.display().to_string()])?;

    let mut feed = Feed::new(kafka, &topic, &dir.path().join("ids.txt"))?;
    let kills = kill_until_done(&mut plan, &mut cluster, &mut feed)?;
    ensure!(kills as u64 >= PARTS - 1, "only {kills} kills");
    for member in &mut cluster.members {
        member.check_running()?;
    }
    right(cluster.cli(), plan.workflows)?;
    transitions::check(cluster.cli(), plan.workflows)
}

/// Somebody is killed, and started again, every so often until the last workflow has ended.
fn kill_until_done(plan: &mut Plan, cluster: &mut Cluster, feed: &mut Feed) -> Result<usize> {
    let (began, mut kills) = (Instant::now(), 0);
    let patience = PATIENCE + PATIENCE_PER_WORKFLOW * u32::try_from(plan.workflows)?;
    loop {
        let left = plan.workflows - feed.written();
        feed.write(left.min(plan.workflows.div_ceil(PARTS)))?;
        let all_written = feed.written() == plan.workflows;
        let _ = poll_until(plan.every, || None::<()>);
        // Asked once: on a small machine the question takes its part of what the workflows run on. SQL may be the victim.
        if all_written && ended(cluster.cli()).is_ok_and(|ends| ends == plan.workflows) {
            eprintln!("{} workflows in {:.0} s, {kills} kills", plan.workflows, began.elapsed().as_secs_f64());
            return Ok(kills);
        }
        ensure!(began.elapsed() < patience, "{:?} of {} workflows have ended", ended(cluster.cli()), plan.workflows);
        let victim = plan.random.below(cluster.members.len());
        eprintln!("{} is killed", cluster.members[victim].name());
        cluster.members[victim].crash()?;
        kills += 1;
    }
}

/// How many workflows have ended, as SQL counts them.
fn ended(cli: &Cli) -> Result<u64> {
    cli.number(&format!(
        "SELECT uniqExact(execution_id) FROM executions WHERE action = '{ACTION}' AND ended_at IS NOT NULL"
    ))
}

/// Each has the result that its input determines, and there is one for each input.
fn right(cli: &Cli, workflows: u64) -> Result<()> {
    let rows = cli.sql(&format!(
        "SELECT parameters, status, result FROM executions_latest WHERE action = '{ACTION}' AND ended_at IS NOT NULL"
    ))?;
    let mut results = BTreeMap::new();
    for row in &rows {
        let read = |name: &str| -> Result<Value> { Ok(serde_json::from_str(row[name].as_str().context("no text")?)?) };
        let n = read("parameters")?["n"].as_i64().with_context(|| format!("no input: {row}"))?;
        ensure!(row["status"] == "succeeded" && read("result")? == relay::result(n), "not as it must be: {row}");
        ensure!(results.insert(n, ()).is_none(), "two workflows for {n}");
    }
    ensure!(
        results.keys().copied().eq(0..i64::try_from(workflows)?),
        "{} inputs instead of {workflows}",
        results.len()
    );
    Ok(())
}

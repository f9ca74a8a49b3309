//! Workers are killed or stopped, or killed together with all owners: each lost lease costs one more run at most.

use anyhow::{Result, ensure};
use petrel_e2e_tests::{Cli, Cluster, Size};
use petrel_testkit::{KafkaBroker, kafka_or_skip, poll_until};

use super::held::{Held, marked};
use super::pack::Servers;
use super::{RUNNERS, SOON};

/// Executions of one runner after which it is odd that both workers have not got one of them.
const ASKED_MAX: usize = 16;

#[test]
fn long_actions_of_every_runner_outlive_workers_and_owners_and_never_overlap() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let (broker, dir) = (KafkaBroker::start()?, tempfile::tempdir()?);
    let servers = Servers::start(dir.path())?;
    let prefix = format!("runners{}.", std::process::id());
    let size = Size { slots: 100, ..Size::default() };
    let mut cluster = Cluster::start_changed(dir.path(), &broker.bootstrap(), &prefix, size, |member| {
        servers.environment().iter().for_each(|(name, value)| member.set_environment(name, Some(value)));
    })?;
    let cli = Cli::new(cluster.cli().api().to_owned());
    let mut topic = servers.apply(dir.path(), &cli, &broker)?;
    topic.leader.kill9();
    let mark = format!("runners-{}", std::process::id());
    let mut held = Held::new(&cli, dir.path(), &mark);
    for runner in RUNNERS {
        let mut workers = std::collections::BTreeSet::new();
        for _ in 0..ASKED_MAX {
            let log = held.ask(runner)?;
            workers.insert(held.runs(&log, 0)?.0);
            if workers.len() == 2 {
                break;
            }
        }
        ensure!(workers.len() == 2, "{runner} runs at {workers:?} alone");
    }

    // A worker is killed.
    let before = held.all()?;
    cluster.member("worker-1")?.crash()?;
    ensure!(held.moved(&before, "worker-1")?, "it had not all runners: {before:?}");
    held.check()?;

    // A worker is stopped for longer than its leases last, and goes on.
    let before = held.all()?;
    cluster.member("worker-2")?.process().pause()?;
    ensure!(held.moved(&before, "worker-2")?, "it had not all runners: {before:?}");
    cluster.member("worker-2")?.process().resume()?;
    held.check()?;

    // All owners are killed together with a worker.
    let before = held.all()?;
    for name in ["executor-1", "executor-2", "worker-1"] {
        cluster.member(name)?.kill();
    }
    for name in ["executor-1", "executor-2", "worker-1"] {
        cluster.member(name)?.start()?;
    }
    held.moved(&before, "worker-1")?;
    held.check()?;

    let attempts: Vec<(String, i64)> = held.all()?.into_iter().map(|(log, (_, attempt))| (log, attempt)).collect();
    held.open()?;
    topic.leader.start_again()?;
    for (log, last) in &attempts {
        held.ended(log, "succeeded")?;
        if log.starts_with("kafka-") {
            let written = topic.attempts(&held.ids()[log])?;
            ensure!(written.contains(last) && written.iter().all(|attempt| attempt <= last), "{log}: {written:?}");
        }
    }
    held.check()?;
    // Zygotes of Python bear the mark, too, and go with their worker.
    for worker in ["worker-1", "worker-2"] {
        cluster.member(worker)?.kill();
    }
    let left = || (marked(&mark), servers.docker.containers());
    let is_gone = || (left() == (0, Vec::new())).then_some(());
    ensure!(poll_until(SOON, is_gone).is_some(), "processes and containers are left: {:?}", left());
    Ok(())
}

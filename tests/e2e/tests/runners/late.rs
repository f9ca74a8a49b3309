//! A worker that is stopped has given a record to the log already: it is written in its time.

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Cluster, Size, write_pack};
use petrel_testkit::{KafkaBroker, kafka_or_skip, poll_until};

use super::SOON;
use super::topic::{self, HeldTopic};

/// Bytes in a record, which are far more than anything else that the broker of the topic is sent.
const RECORD_BYTES: usize = 60_000;

/// Bytes that were sent to a port of this machine and that its server has not read yet, by connection.
fn unread(port: u16) -> Result<Vec<usize>> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let local = format!("0100007F:{port:04X}");
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (at, queues) = (fields.get(1)?, fields.get(4)?);
        let (_, unread) = (*at == local).then(|| queues.split_once(':'))??;
        usize::from_str_radix(unread, 16).ok()
    };
    Ok(table.lines().filter_map(of).collect())
}

/// The key is what readers know it again by. What the first attempt is told of its record comes too late, and is dropped.
#[test]
fn a_record_of_a_stopped_worker_is_written_in_its_time_with_the_key_of_the_next_attempt() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let (broker, dir) = (KafkaBroker::start()?, tempfile::tempdir()?);
    let prefix = format!("late{}.", std::process::id());
    let mut cluster = Cluster::start_with(dir.path(), &broker.bootstrap(), &prefix, Size::default())?;
    let cli = Cli::new(cluster.cli().api().to_owned());
    let mut topic = HeldTopic::start(&broker)?;
    let manifest = format!("name: late\nversion: 1.0.0\nproduces: [{}]\n", topic::NAME);
    let action = format!(
        "name: tell\nrunner: kafka\nrecord: {{ topic: {}, json: {{ attempt: \"${{execution.attempt}}\", \
         text: \"${{parameters.text}}\" }} }}\nparameters: {{ text: {{ type: string }} }}\ntimeout: 20m\n",
        topic::NAME
    );
    let pack = write_pack(dir.path(), "late", &[("pack.yaml", &manifest), ("actions/tell.yaml", &action)])?;
    cli.run(&["pack", "apply", &pack.display().to_string()])?;

    let port = topic.leader.bootstrap().rsplit_once(':').context("it has a port")?.1.parse()?;
    topic.leader.pause()?;
    let text = format!("text={}", "x".repeat(RECORD_BYTES));
    let id = cli.run(&["action", "run", "late.tell", &text])?.trim().to_owned();
    let get = || cli.json(&["execution", "get", &id]);
    let is_sent = || unread(port).is_ok_and(|all| all.iter().any(|bytes| *bytes >= RECORD_BYTES)).then_some(());
    ensure!(poll_until(SOON, is_sent).is_some(), "the record was never sent: {:?} {:?}", unread(port), get());
    let had = get()?;
    ensure!(had["status"] == "running" && had["attempt"] == 1, "{had}");
    let first = had["worker"].as_str().context("it has a worker")?.to_owned();
    cluster.member(&first)?.process().pause()?;

    let next = poll_until(SOON, || get().ok().filter(|shown| shown["attempt"] == 2 && shown["status"] == "running"));
    let next = next.with_context(|| format!("no other worker has it: {:?}", get()))?;
    ensure!(next["worker"] != first.as_str() && next["lost_leases"] == 1, "{next}");
    topic.leader.resume()?;
    let ended = poll_until(SOON, || get().ok().filter(|shown| shown["status"] == "succeeded"));
    let ended = ended.with_context(|| format!("it has not ended: {:?}", get()))?;
    cluster.member(&first)?.process().resume()?;

    // What the first attempt had given to the log is there, whoever waits for it, and bears the key of the second one.
    let written = topic.attempts(&id)?;
    ensure!(written.contains(&1) && written.contains(&2), "{written:?}");
    // The worker is there again, and has heard of its record: a later execution of it ends.
    let hears = poll_until(SOON, || {
        let id = cli.run(&["action", "run", "late.tell", "text=later"]).ok()?.trim().to_owned();
        let shown = poll_until(SOON, || {
            cli.json(&["execution", "get", &id]).ok().filter(|shown| shown["status"] == "succeeded")
        })?;
        (shown["worker"] == first.as_str()).then_some(())
    });
    ensure!(hears.is_some(), "{first} does nothing more");
    let after = get()?;
    for key in ["status", "attempt", "worker", "result", "ended_at_ms"] {
        ensure!(after[key] == ended[key], "a late result has changed {key}: {ended} {after}");
    }
    ensure!(after["attempt"] == 2 && after["worker"] == next["worker"], "{after}");
    Ok(())
}

//! A worker that is stopped has given a record to the log already: it is written in its time.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Cluster, Random, Size, write_pack};
use petrel_testkit::{KafkaBroker, kafka_or_skip, poll_until};
use serde_json::Value;

use super::SOON;
use super::topic::{self, HeldTopic};

/// Characters of a record, which no producer makes much shorter.
const RECORD_CHARS: usize = 40_000;
/// More bytes than anything else that the broker of the topic is sent.
const SENT_BYTES: usize = RECORD_CHARS / 4;

/// Most bytes that were sent to a port of this machine by one connection and that its server has not read yet.
fn unread(port: u16) -> Result<usize> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let loopback = format!("0100007F:{port:04X}");
    let of = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, unread) = fields.get(4)?.split_once(':')?;
        fields.get(1)?.ends_with(&loopback).then(|| usize::from_str_radix(unread, 16).ok())?
    };
    let tables = tables.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(tables.iter().flat_map(|table| table.lines()).filter_map(of).max().unwrap_or(0))
}

/// An action that writes a record, and who runs it.
struct Teller {
    cli: Cli,
}

impl Teller {
    fn apply(cli: &Cli, dir: &std::path::Path) -> Result<Self> {
        let manifest = format!("name: late\nversion: 1.0.0\nproduces: [{}]\n", topic::NAME);
        let action = format!(
            "name: tell\nrunner: kafka\nrecord: {{ topic: {}, json: {{ attempt: \"${{execution.attempt}}\", \
             text: \"${{parameters.text}}\" }} }}\nparameters: {{ text: {{ type: string }} }}\ntimeout: 20m\n",
            topic::NAME
        );
        let pack = write_pack(dir, "late", &[("pack.yaml", &manifest), ("actions/tell.yaml", &action)])?;
        cli.run(&["pack", "apply", &pack.display().to_string()])?;
        Ok(Self { cli: cli.clone() })
    }

    fn ask(&self, text: &str) -> Result<String> {
        Ok(self.cli.run(&["action", "run", "late.tell", &format!("text={text}")])?.trim().to_owned())
    }

    fn get(&self, id: &str) -> Result<Value> {
        self.cli.json(&["execution", "get", id])
    }

    fn until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let found = poll_until(SOON, || self.get(id).ok().filter(&is_so));
        found.with_context(|| format!("{:?}", self.get(id)))
    }

    /// Writes short records until that worker has written one, or both have; who has.
    fn written_by(&self, wanted: Option<&str>) -> Result<BTreeSet<String>> {
        let mut workers = BTreeSet::new();
        let all = poll_until(SOON, || {
            let id = self.ask("short").ok()?;
            let ended = self.until(&id, |shown| shown["status"] == "succeeded").ok()?;
            workers.insert(ended["worker"].as_str()?.to_owned());
            wanted.map_or(workers.len() == 2, |worker| workers.contains(worker)).then_some(())
        });
        ensure!(all.is_some(), "only {workers:?} write records");
        Ok(workers)
    }
}

fn incompressible() -> String {
    let mut random = Random::new(1);
    (0..RECORD_CHARS).map(|_| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[random.below(32)])).collect()
}

/// The key is what readers know it again by. What the first attempt hears of its record comes too late, and is dropped.
#[test]
fn a_record_of_a_stopped_worker_is_written_in_its_time_with_the_key_of_the_next_attempt() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let (broker, dir) = (KafkaBroker::start()?, tempfile::tempdir()?);
    let prefix = format!("late{}.", std::process::id());
    let mut cluster = Cluster::start_with(dir.path(), &broker.bootstrap(), &prefix, Size::default())?;
    let mut topic = HeldTopic::start(&broker)?;
    let teller = Teller::apply(cluster.cli(), dir.path())?;
    // Both have a connection to the topic's leader then: what they write next is sent at once.
    teller.written_by(None)?;

    let port = topic.leader.bootstrap().rsplit_once(':').context("it has a port")?.1.parse()?;
    topic.leader.pause()?;
    let id = teller.ask(&incompressible())?;
    let is_sent = || unread(port).is_ok_and(|bytes| bytes >= SENT_BYTES).then_some(());
    ensure!(poll_until(SOON, is_sent).is_some(), "the record was never sent: {:?} {:?}", unread(port), teller.get(&id));
    let had = teller.until(&id, |shown| shown["status"] == "running")?;
    let first = had["worker"].as_str().context("it has a worker")?.to_owned();
    cluster.member(&first)?.process().pause()?;
    topic.leader.resume()?;

    // It is written although nobody hears of that, and another worker begins only once the lease is over.
    let is_written = || topic.attempts(&id).is_ok_and(|attempts| attempts == [1]).then_some(());
    ensure!(poll_until(SOON, is_written).is_some(), "{:?}", topic.attempts(&id));
    // What it has resulted in is told once its row is there.
    let has_all = |shown: &Value| shown["status"] == "succeeded" && !shown["result"].is_null();
    let ended = teller.until(&id, has_all)?;
    ensure!(ended["attempt"] == 2 && ended["lost_leases"] == 1 && ended["worker"] != first.as_str(), "{ended}");
    ensure!(topic.attempts(&id)? == [1, 2], "both records bear the key: {:?}", topic.attempts(&id)?);

    // The first worker hears of its record, and goes on with others: that changes nothing of what is over.
    cluster.member(&first)?.process().resume()?;
    teller.written_by(Some(&first))?;
    let after = teller.until(&id, has_all)?;
    ensure!(after == ended, "a late result has changed it: {ended} {after}");
    ensure!(topic.attempts(&id)? == [1, 2], "{:?}", topic.attempts(&id)?);
    Ok(())
}

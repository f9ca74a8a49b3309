//! Three brokers, killed in turn: what two of them have acknowledged is never lost.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use petrel_e2e_tests::{Cluster, Feed, Size, create_replicated_topic, wait_in_sync, write_reporting_pack};
use petrel_testkit::{HttpSink, KafkaCluster, kafka_or_skip, poll_until};

use super::check::{check, expected_ids, leases_were_lost_of, requested, settle};
use super::plan::Plan;

/// How long a broker may take until it has what it has missed.
const IN_SYNC: Duration = Duration::from_secs(180);

/// The default. A broker that dies is noticed after nine seconds by Kafka's defaults, and until then nobody hears
/// of the workers whose reports it had, or had a copy of: what is left of a lease in between two heartbeats must be
/// longer.
const LEASE_MS: u64 = 20_000;

#[test]
fn cluster_survives_kills_of_its_brokers() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let plan = Plan::from_env();
    let mut brokers = KafkaCluster::start(plan.brokers)?;
    let (kafka, replicas) = (brokers.bootstrap(), plan.brokers.min(3));
    let replication = i32::try_from(replicas)?;
    let dir = tempfile::tempdir()?;
    create_replicated_topic(&kafka, "orders", 6, replication, &[])?;
    let sink = HttpSink::start(&dir.path().join("sink.log"))?;
    let source = "{ kafka: { topic: orders, format: json, start: earliest } }";
    let pack = write_reporting_pack(dir.path(), source, &sink.url())?;
    let size = Size { replication, lease_ms: LEASE_MS, ..plan.size() };
    let mut cluster = Cluster::start_with(dir.path(), &kafka, "brokers.", size)?;
    cluster.cli().run(&["pack", "apply", &pack.display().to_string()])?;

    let mut feed = Feed::new(&kafka, "orders", &dir.path().join("ids.txt"))?.with_slow(plan.slow_ms);
    let chunk = plan.events / (plan.broker_kills as u64 + 1);
    feed.write(plan.events - chunk * plan.broker_kills as u64)?;
    for kill in 0..plan.broker_kills {
        let before = sink.count();
        let victim = kill % plan.brokers;
        eprintln!("broker {} is killed", victim + 1);
        brokers.kill9(victim);
        feed.write(chunk)?;
        // Some progress with two of them, unless the victim led what is needed: then it comes back meanwhile.
        let _ = poll_until(Duration::from_secs(10), || (sink.count() > before + 5).then_some(()));
        brokers.start_again(victim)?;
        // Two that miss something at once are more than three can bear.
        wait_in_sync(&kafka, replicas, IN_SYNC)?;
    }
    let expected = expected_ids(feed.written());
    settle(cluster.cli(), &sink, expected.len());
    for member in &mut cluster.members {
        member.check_running()?;
    }
    let executions = requested(&kafka, &cluster.topic("requests"), &expected)?;
    // No worker was killed: nothing ran twice, and no lease was lost.
    check(cluster.cli(), &sink, &executions, 0)?;
    leases_were_lost_of(cluster.cli(), &BTreeSet::new())
}

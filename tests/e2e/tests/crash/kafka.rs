//! Every role in processes of its own, on Kafka.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use petrel_e2e_tests::{Cluster, Feed, Size, create_topic, write_reporting_pack};
use petrel_testkit::{HttpSink, kafka_or_skip, poll_until, shared_kafka};

use super::check::{check, expected_ids, leases_were_lost_of, requested, settle};
use super::plan::{Plan, may_be_killed};

/// Processes of every role that die for good; the others take over.
const FOR_GOOD: [&str; 4] = ["rules-1", "executor-1", "worker-1", "audit-1"];
/// How long the others may take to take over, on a busy machine. On an idle one it is about the session time-out,
/// 6 s here.
const TAKE_OVER: Duration = Duration::from_secs(90);

/// Who was killed, and who comes back when.
#[derive(Default)]
struct Killed {
    workers: BTreeSet<String>,
    worker_kills: usize,
    away: Vec<(String, Instant)>,
}

impl Killed {
    fn note(&mut self, name: &str) {
        if name.starts_with("worker") {
            self.workers.insert(name.to_owned());
            self.worker_kills += 1;
        }
    }

    /// Kills somebody who runs, a worker every third time if one is left; about every other worker comes back only
    /// later.
    fn kill(&mut self, number: usize, plan: &mut Plan, cluster: &mut Cluster) -> Result<()> {
        let runs = |name: &str| self.away.iter().all(|(away, _)| away != name);
        let mut names: Vec<String> = cluster
            .members
            .iter()
            .map(|m| m.name())
            .filter(|n| may_be_killed(n) && runs(n))
            .map(str::to_owned)
            .collect();
        if number.is_multiple_of(3) && names.iter().any(|name| name.starts_with("worker")) {
            names.retain(|name| name.starts_with("worker"));
        }
        let victim = &names[plan.random.below(names.len())];
        self.note(victim);
        if victim.starts_with("worker") && plan.random.below(2) == 0 {
            eprintln!("{victim} is killed, and away");
            cluster.member(victim)?.kill();
            self.away.push((victim.clone(), Instant::now() + plan.away));
        } else {
            eprintln!("{victim} is killed");
            cluster.member(victim)?.crash()?;
        }
        Ok(())
    }

    /// Starts those again whose time has come, or waits for all of them.
    fn bring_back(&mut self, cluster: &mut Cluster, wait: bool) -> Result<()> {
        for (name, due) in std::mem::take(&mut self.away) {
            if wait {
                let _ = poll_until(due.saturating_duration_since(Instant::now()), || None::<()>);
            }
            match Instant::now() >= due {
                true => cluster.member(&name)?.start()?,
                false => self.away.push((name, due)),
            }
        }
        Ok(())
    }

    /// One process of each role dies and does not come back.
    fn for_good(&mut self, cluster: &mut Cluster) -> Result<()> {
        for name in FOR_GOOD {
            self.note(name);
            cluster.member(name)?.kill();
        }
        cluster.members.retain(|m| !FOR_GOOD.contains(&m.name()));
        cluster.lose_api()
    }
}

#[test]
fn cluster_survives_kills_of_every_role() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let Some(kafka) = shared_kafka() else { return Ok(()) };
    let mut plan = Plan::from_env();
    let dir = tempfile::tempdir()?;
    let topic = format!("orders-{}", std::process::id());
    create_topic(kafka, &topic, 6, &[])?;
    let sink = HttpSink::start(&dir.path().join("sink.log"))?;
    let source = format!("{{ kafka: {{ topic: {topic}, format: json, start: earliest }} }}");
    let pack = write_reporting_pack(dir.path(), &source, &sink.url())?;
    let prefix = format!("crash{}.", std::process::id());
    let mut cluster = Cluster::start_with(dir.path(), kafka, &prefix, plan.size())?;
    cluster.cli().run(&["pack", "apply", &pack.display().to_string()])?;

    let mut feed = Feed::new(kafka, &topic, &dir.path().join("ids.txt"))?.with_slow(plan.slow_ms);
    feed.write(plan.events - plan.chunk() * plan.kills as u64)?;
    let mut killed = Killed::default();
    for number in 0..plan.kills {
        let before = sink.count();
        killed.kill(number, &mut plan, &mut cluster)?;
        feed.write(plan.chunk())?;
        // Some progress, unless the victim holds it up: then the next kill hits during the recovery.
        let _ = poll_until(Duration::from_secs(2), || (sink.count() > before + 5).then_some(()));
        killed.bring_back(&mut cluster, false)?;
    }
    if plan.for_good {
        killed.bring_back(&mut cluster, true)?;
        killed.for_good(&mut cluster)?;
        feed.write(plan.chunk())?;
    }
    killed.bring_back(&mut cluster, true)?;
    let expected = expected_ids(feed.written());
    settle(cluster.cli(), &sink, expected.len());
    for member in &mut cluster.members {
        member.check_running()?;
    }
    let executions = requested(kafka, &cluster.topic("requests"), &expected)?;
    check(cluster.cli(), &sink, &executions, cluster.slots() * killed.worker_kills)?;
    leases_were_lost_of(cluster.cli(), &killed.workers)
}

/// One process of each role dies and does not come back: the others take its partitions over.
#[test]
fn cluster_takes_over_from_dead_processes() -> Result<()> {
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
    let size = Size { all_twice: true, ..Size::default() };
    let mut cluster = Cluster::start_with(dir.path(), kafka, &format!("takeover{}.", std::process::id()), size)?;
    cluster.cli().run(&["pack", "apply", &pack.display().to_string()])?;
    let mut feed = Feed::new(kafka, &topic, &dir.path().join("ids.txt"))?;
    feed.write(300)?;
    assert!(sink.wait_for(30, Duration::from_secs(120)), "the first actions ran");

    let (died, mut killed) = (Instant::now(), Killed::default());
    killed.for_good(&mut cluster)?;
    feed.write(300)?;
    ensure!(sink.wait_for(60, TAKE_OVER), "{} of 60 actions ran", sink.count());
    eprintln!("taken over {:.1} s after the death of one process of each role", died.elapsed().as_secs_f64());
    settle(cluster.cli(), &sink, 60);
    leases_were_lost_of(cluster.cli(), &killed.workers)?;
    cluster.cli().reconciles()
}

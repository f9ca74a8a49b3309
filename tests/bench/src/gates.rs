//! `petrel-bench gates`: how many permits the stage `gate` grants in a second, on the log in a process: at one key that
//! everybody wants, and at many keys. What owners send is sent here, and each grant is answered with a release, as by an
//! execution that is over at once; so all of the time is the gates' and the log's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use petrel_bus::{
    Bus, DriverOptions, Output, Publisher, SessionOptions, StageHandle, Tail, TopicSpec, Versioned, spawn_stage,
};
use petrel_bus_local::{LocalBus, LocalOptions};
use petrel_execution::gate::{
    About, Answer, Class, Excess, GateId, GateMessage, InForce, Kind, Limit, Outcome, Policies, Stamp, Terms, What,
    record,
};
use petrel_executor::gate::{GateStage, GateView};
use petrel_schemas::{Cleanup, ExecutionId, RequestsRecord, Topics, encode};
use serde_json::json;

use crate::clock::SystemClock;
use crate::pipeline::write_result;

/// Partitions of Petrel's keyed topics, as `petrel up` has them.
const PARTITIONS: u32 = 8;
/// Messages of one publication.
const BATCH: usize = 1_000;
/// Longest time without a grant.
const STALL: Duration = Duration::from_secs(30);
const POLICY: &str = "bench.one";

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Executions that want the one key
    #[arg(long, default_value_t = 50_000)]
    hot: usize,
    /// Permits of it that may be out at once
    #[arg(long, default_value_t = 10)]
    permits: u32,
    /// Keys, each wanted once
    #[arg(long, default_value_t = 100_000)]
    keys: usize,
}

struct View {
    permits: u32,
}

impl Policies for View {
    fn terms(&self, _: &GateId) -> Option<Terms> {
        Some(Terms { limit: Limit::Concurrency { permits_max: self.permits }, excess: Excess::Wait })
    }

    fn knows(&self, _: &InForce) -> bool {
        true
    }
}

impl GateView for View {
    fn policies_of(&self) -> Arc<str> {
        "bench".into()
    }

    fn why_unknown(&self) -> Option<&str> {
        None
    }
}

/// What was measured.
struct Measured {
    grants: usize,
    took: Duration,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.grants as f64 / self.took.as_secs_f64()
    }
}

/// A log with the gates of all partitions on it, and whoever plays the owners.
struct Rig {
    topics: Topics,
    publisher: Arc<dyn Publisher>,
    answers: Box<dyn Tail>,
    gates: StageHandle,
    number: u64,
    _dir: tempfile::TempDir,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let hot = measure("hot key", options.permits, options.hot, |_| "one".to_owned())?;
    let keys = measure("keys", options.permits, options.keys, |n| n.to_string())?;
    let result = json!({
        "processors": std::thread::available_parallelism()?.get(),
        "hot_key": { "executions": options.hot, "permits": options.permits, "grants_per_s": hot.per_second() },
        "keys": { "keys": options.keys, "grants_per_s": keys.per_second() },
    });
    write_result("gates.json", &result)
}

fn measure(what: &str, permits: u32, count: usize, key: impl Fn(usize) -> String) -> Result<Measured> {
    let mut rig = Rig::new(permits)?;
    let measured = rig.all(count, key)?;
    rig.gates.stop();
    rig.gates.join();
    let (took, rate) = (measured.took.as_secs_f64(), measured.per_second());
    println!("{what}: {count} grants in {took:.1} s, {rate:.0} a second");
    Ok(measured)
}

impl Rig {
    fn new(permits: u32) -> Result<Self> {
        let topics = Topics::new("petrel.", PARTITIONS, PARTITIONS);
        let specs = topics.all(&["default"]).into_iter().map(|topic| TopicSpec {
            name: topic.name,
            partitions: topic.partitions,
            compacted: topic.cleanup == Cleanup::Compact,
            retention_ms: None,
            delete_retention_ms: None,
        });
        let dir = tempfile::tempdir()?;
        let bus = LocalBus::open(LocalOptions::new(dir.path().join("bus")), Arc::new(SystemClock))?;
        bus.ensure_topics(&specs.collect::<Vec<_>>())?;
        let (publisher, answers) = (bus.publisher("bench")?, bus.tail(&topics.requests())?);
        let session = SessionOptions { group: "petrel.gate".into(), member: "bench-gate".into(), transactional: true };
        let globals = Arc::new(Versioned { version: 1, value: Arc::new(View { permits }) });
        let stage = GateStage::new(topics.clone());
        let clock = Arc::new(SystemClock);
        let gates = spawn_stage(Arc::new(bus), stage, session, DriverOptions::default(), globals, clock);
        Ok(Self { topics, publisher, answers, gates, number: 0, _dir: dir })
    }

    /// So many executions ask, each for its key, and give back what they are granted.
    fn all(&mut self, count: usize, key: impl Fn(usize) -> String) -> Result<Measured> {
        let wanted: Vec<(GateId, ExecutionId)> = (0..count)
            .map(|n| Ok((GateId::of_key(POLICY, Kind::Concurrency, &key(n))?, ExecutionId::of_manual(&n.to_string()))))
            .collect::<Result<_>>()?;
        let began = Instant::now();
        let (mut granted, mut last) = (0, Instant::now());
        for batch in wanted.chunks(BATCH) {
            let messages = batch.iter().map(|(gate, id)| self.acquire(gate, id)).collect();
            self.publish(messages)?;
            granted += self.give_back(Duration::ZERO)?;
        }
        while granted < count {
            let more = self.give_back(Duration::from_millis(100))?;
            if more > 0 {
                last = Instant::now();
            }
            granted += more;
            if last.elapsed() > STALL {
                bail!("{granted} of {count} were granted, and then none for {STALL:?}");
            }
        }
        ensure!(granted == count, "{granted} grants for {count} executions");
        Ok(Measured { grants: granted, took: began.elapsed() })
    }

    fn acquire(&mut self, gate: &GateId, id: &ExecutionId) -> GateMessage {
        let stamp = self.stamp();
        let about = About { execution: id.clone(), acquisition: stamp };
        let in_force = InForce { revision: "bench".into(), since_ms: 1 };
        let what = What::Acquire { about, class: Class::Normal, may_wait: true, in_force };
        GateMessage { sender: 0, stamp, gate: gate.clone(), what }
    }

    fn stamp(&mut self) -> Stamp {
        self.number += 1;
        Stamp { epoch: 1, number: self.number }
    }

    /// Answers the grants that have come; how many there were.
    fn give_back(&mut self, wait: Duration) -> Result<usize> {
        let (mut grants, mut failed) = (Vec::new(), None);
        let mut take =
            |_: u32, answer: petrel_bus::Record<'_>| match RequestsRecord::decode(answer.value.unwrap_or_default()) {
                Ok(RequestsRecord::GateAnswer(answer)) => match record::answer(&answer) {
                    Ok((gate, about, Answer::Granted)) => grants.push((gate, about)),
                    other => failed = Some(format!("{other:?}")),
                },
                other => failed = Some(format!("{other:?}")),
            };
        self.answers.next(wait, &mut take)?;
        if let Some(failed) = failed {
            bail!("a gate answered {failed}");
        }
        let count = grants.len();
        let release = |rig: &mut Self, (gate, about)| {
            let what = What::Release { about, outcome: Outcome::Succeeded };
            GateMessage { sender: 0, stamp: rig.stamp(), gate, what }
        };
        let messages: Vec<GateMessage> = grants.into_iter().map(|grant| release(self, grant)).collect();
        for batch in messages.chunks(BATCH) {
            self.publish(batch.to_vec())?;
        }
        Ok(count)
    }

    fn publish(&self, messages: Vec<GateMessage>) -> Result<()> {
        let topic = self.topics.gates();
        let output = |message: &GateMessage| {
            Output::keyed(&topic, message.gate.to_string(), encode(&record::of_message(message)))
        };
        self.publisher.publish(messages.iter().map(output).collect()).wait().context("the log takes no messages")?;
        Ok(())
    }
}

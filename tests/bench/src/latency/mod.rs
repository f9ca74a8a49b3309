//! From an event to the start of its action, through the whole of Petrel, at a light load.
//!
//! The producer and the listener are this process, so one monotonic clock measures all: from just before
//! the event is handed to the producer until the datagram of the action's process arrives. That includes
//! the start of that process, whose share is measured apart.
//!
//! A broker that has just started compiles while it is measured: rounds are made until two agree, and the first
//! and the last are told. What stands beside it is one transactional hop of the plain client on the same broker.

mod hop;
mod listener;
mod meters;
mod server;
mod times;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use petrel_bus::Clock;
use petrel_testkit::petrel_binary;
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::{Value, json};

use self::hop::Hop;
use self::listener::{Arrival, Listener};
use self::meters::{Meters, Spent};
use self::server::{HttpClient, Server};
use self::times::Times;
use crate::cell::rounded;
use crate::clock::SystemClock;
use crate::kafka::{Kafka, drain, send};
use crate::segments;

pub(crate) use self::listener::tell;

/// Events of a round.
const EVENTS: usize = 300;
const QUICK_EVENTS: usize = 60;
/// Events per second.
pub(crate) const RATE: u32 = 20;
/// Events before the first round: they meet cold caches.
const WARM_UP: usize = 20;
/// Most rounds, and how far the medians of two that agree lie apart, as a share.
const ROUNDS_MAX: usize = 8;
const AGREE: f64 = 0.1;
/// How long Petrel is watched while nothing happens.
const IDLE: Duration = Duration::from_secs(10);
const READY: Duration = Duration::from_secs(120);
const STALL: Duration = Duration::from_secs(30);
const TOPIC: &str = "bench.latency";

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Fewer events, and two rounds at most
    #[arg(long)]
    pub quick: bool,
    /// Events per second
    #[arg(long, default_value_t = RATE)]
    pub rate: u32,
    /// Another petrel, measured on the same warm broker before this one
    #[arg(long, value_name = "BINARY")]
    pub against: Option<PathBuf>,
}

/// Measures on both buses and writes target/bench/latency.json.
pub(crate) fn run(options: &Options, kafka: &Kafka) -> Result<()> {
    let latency = both(kafka, options)?;
    crate::pipeline::write_result(
        "latency.json",
        &json!({"machine": crate::machine::facts(kafka)?, "latency": latency}),
    )
}

/// Measures on the local bus and on Kafka.
pub(crate) fn both(kafka: &Kafka, options: &Options) -> Result<Value> {
    let load = Load::of(options);
    println!("\nfrom event to action start, {} events at {}/s, process start included", load.events, load.rate);
    let listener = Listener::start()?;
    let start = listener.starts()?;
    start.print("process start");
    let binary = petrel_binary()?;
    let local = on_local(&binary, &listener, load).context("on the local bus")?;
    let mut hop = Hop::new(kafka)?;
    let hop = rounds(load, |_| hop.round(load.events, load.gap()))?;
    hop.print("one hop");
    let on_kafka_of = |binary: &Path, name: &str| -> Result<OnKafka> {
        let measured = on_kafka(binary, &listener, kafka, load).context("on Kafka")?;
        measured.print(name, load);
        Ok(measured)
    };
    let against = options.against.as_deref().map(|binary| on_kafka_of(binary, "the other")).transpose()?;
    let ours = on_kafka_of(&binary, "Kafka")?;
    let ratios = Ratios::of(&ours, &hop, against.as_ref(), load);
    ratios.print();
    Ok(json!({
        "events": load.events, "events_per_s": load.rate, "unit": "ms",
        "process_start": start.json(), "local": local.json(), "hop": hop.json(), "kafka": ours.json(load),
        "against": against.map(|against| against.json(load)), "ratios": ratios.json(),
    }))
}

/// How many events, how many of them per second, and how many rounds of them at most.
#[derive(Debug, Clone, Copy)]
struct Load {
    events: usize,
    rate: u32,
    rounds_max: usize,
}

impl Load {
    fn of(options: &Options) -> Self {
        let (events, rounds_max) = if options.quick { (QUICK_EVENTS, 2) } else { (EVENTS, ROUNDS_MAX) };
        Self { events, rate: options.rate.max(1), rounds_max }
    }

    fn gap(self) -> Duration {
        Duration::from_secs(1) / self.rate
    }
}

/// The first and the last of several rounds.
struct Rounds {
    cold: Times,
    warm: Times,
    count: usize,
}

impl Rounds {
    fn print(&self, what: &str) {
        self.cold.print(&format!("{what}, cold"));
        self.warm.print(&format!("{what}, warm"));
    }

    fn json(&self) -> Value {
        json!({"cold": self.cold.json(), "warm": self.warm.json(), "rounds": self.count})
    }
}

/// Makes rounds until the medians of two that follow each other agree.
fn rounds(load: Load, mut round: impl FnMut(usize) -> Result<Times>) -> Result<Rounds> {
    let cold = round(0)?;
    let (mut median, mut count) = (cold.percentile(50), 1);
    loop {
        let warm = round(count)?;
        count += 1;
        let (before, now) = (median, warm.percentile(50));
        median = now;
        if count >= load.rounds_max || (now - before).abs() <= AGREE * before {
            return Ok(Rounds { cold, warm, count });
        }
    }
}

fn on_local(binary: &Path, listener: &Listener, load: Load) -> Result<Measured> {
    let server = Server::start(binary, listener, &[], &[])?;
    let mut client = HttpClient { address: server.address.clone() };
    let mut publish = |payload: &str| client.post(&format!("/v1/topics/{TOPIC}"), payload);
    warm_up(listener, load, &mut publish)?;
    let measured = measure(listener, load, &mut publish)?;
    measured.times.print("local bus");
    measured.with_ways(&server)
}

/// Petrel on Kafka: times, and what an event and a second without one cost.
struct OnKafka {
    rounds: Rounds,
    event: Spent,
    idle: Spent,
    ways: Value,
}

impl OnKafka {
    fn print(&self, what: &str, load: Load) {
        self.rounds.print(what);
        self.event.print("with events", load.events as f64, "event");
        self.idle.print("idle", self.idle.seconds, "second");
    }

    fn json(&self, load: Load) -> Value {
        let mut json = self.rounds.json();
        json["ways_ms"] = self.ways.clone();
        json["per_event"] = self.event.json(load.events as f64);
        json["per_idle_second"] = self.idle.json(self.idle.seconds);
        json
    }
}

fn on_kafka(binary: &Path, listener: &Listener, kafka: &Kafka, load: Load) -> Result<OnKafka> {
    let prefix = format!("latency{}.", SystemClock.now_ms());
    kafka.create_topics(&[TOPIC.to_owned()])?;
    let server = Server::start(binary, listener, &["--kafka", &kafka.bootstrap], &[("PETREL_TOPIC_PREFIX", &prefix)])?;
    let producer: BaseProducer = kafka.client().set("linger.ms", "0").create()?;
    let mut publish = |payload: &str| {
        send(&producer, BaseRecord::to(TOPIC).key(&b""[..]).payload(payload.as_bytes()))?;
        drain(&producer);
        Ok(())
    };
    warm_up(listener, load, &mut publish)?;
    let (mut event, mut last) = (None, None);
    let rounds = rounds(load, |_| {
        let before = Meters::read(server.pid())?;
        let measured = measure(listener, load, &mut publish)?;
        event = Some(Meters::read(server.pid())?.since(&before));
        let times = measured.times.clone();
        last = Some(measured);
        Ok(times)
    })?;
    let (event, last) = event.zip(last).context("no round was made")?;
    let ways = last.with_ways(&server)?.ways;
    let before = Meters::read(server.pid())?;
    // Nothing is sent, so nothing arrives.
    listener.collect(&HashMap::new(), &mut HashMap::new(), Instant::now() + IDLE, 1)?;
    let idle = Meters::read(server.pid())?.since(&before);
    drop(server);
    kafka.delete_topics(&[TOPIC.to_owned()])?;
    Ok(OnKafka { rounds, event, idle, ways })
}

/// How it stands to one hop, and to the other petrel.
struct Ratios {
    p50: f64,
    p99: f64,
    /// Segments, CPU time of Petrel and of the broker, per event.
    per_event: Option<[f64; 3]>,
}

impl Ratios {
    fn of(ours: &OnKafka, hop: &Rounds, against: Option<&OnKafka>, load: Load) -> Self {
        let of = |percent| ours.rounds.warm.percentile(percent) / hop.warm.percentile(percent);
        let per_event = against.map(|against| {
            let (ours, theirs) = (ours.event.per(load.events as f64), against.event.per(load.events as f64));
            [0, 1, 2].map(|n| ours[n] / theirs[n])
        });
        Self { p50: of(50), p99: of(99), per_event }
    }

    fn print(&self) {
        println!("  warm, against one hop: p50 {:.2} x (bar 3), p99 {:.2} x (bar 4)", self.p50, self.p99);
        if let Some([segments, petrel, broker]) = self.per_event {
            println!(
                "  per event, against the other (bar 0.5): segments {segments:.2} x, CPU of petrel {petrel:.2} x, of the broker {broker:.2} x"
            );
        }
    }

    fn json(&self) -> Value {
        let per_event = self.per_event.map(|ratios| ratios.map(rounded));
        json!({"p50_to_hop": rounded(self.p50), "p99_to_hop": rounded(self.p99), "per_event_to_other": per_event})
    }
}

/// The first events: consumers may still be joining, so the first one is waited for alone.
fn warm_up(listener: &Listener, load: Load, publish: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
    let (mut sent, mut arrived) = (HashMap::new(), HashMap::new());
    let (name, payload) = event(0);
    sent.insert(name, Instant::now());
    publish(&payload)?;
    listener.collect(&sent, &mut arrived, Instant::now() + READY, 1)?;
    ensure!(arrived.len() == 1, "the first event led to no action within {READY:?}");
    measure(listener, Load { events: WARM_UP, ..load }, publish).map(drop)
}

fn event(number: usize) -> (String, String) {
    let name = format!("{}-{number}", SystemClock.now_ms());
    let payload = format!(r#"{{"name":"{name}","host":"db-1","used_pct":95.0}}"#);
    (name, payload)
}

/// Sends the events one by one, evenly, and waits for all of their actions.
fn measure(listener: &Listener, load: Load, publish: &mut impl FnMut(&str) -> Result<()>) -> Result<Measured> {
    let mut sent: HashMap<String, Instant> = HashMap::new();
    let mut arrived: HashMap<String, Arrival> = HashMap::new();
    let mut next = Instant::now();
    for number in 0..load.events {
        let (name, payload) = event(number);
        sent.insert(name, Instant::now());
        publish(&payload)?;
        next += load.gap();
        listener.collect(&sent, &mut arrived, next, usize::MAX)?;
    }
    listener.collect(&sent, &mut arrived, Instant::now() + STALL, sent.len())?;
    ensure!(arrived.len() == load.events, "{} of {} events led to an action", arrived.len(), load.events);
    let times = Times::of(arrived.values().map(|arrival| arrival.after).collect());
    Ok(Measured { times, arrived, ways: Value::Null })
}

/// The times of a round.
struct Measured {
    times: Times,
    /// By the name of the event.
    arrived: HashMap<String, Arrival>,
    ways: Value,
}

impl Measured {
    fn with_ways(self, server: &Server) -> Result<Self> {
        let at_ms = self.arrived.iter().map(|(name, arrival)| (name.clone(), arrival.at_ms)).collect();
        let ways = segments::measure(|query| server.cli(&["sql", query, "--format", "json"]), &at_ms)?;
        Ok(Self { ways, ..self })
    }

    fn json(&self) -> Value {
        let mut json = self.times.json();
        json["ways_ms"] = self.ways.clone();
        json
    }
}

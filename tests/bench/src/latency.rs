//! From an event to the start of its action, through the whole of Petrel, at a light load.
//!
//! The producer and the listener are this process, so one monotonic clock measures all: from just before
//! the event is handed to the producer until the datagram of the action's process arrives. That includes
//! the start of that process, whose share is measured apart.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use petrel_bus::Clock;
use petrel_testkit::{Proc, engine_library, free_port, petrel_binary, poll_until, scratch_dir};
use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::{Value, json};

use crate::cell::rounded;
use crate::clock::SystemClock;
use crate::kafka::{Kafka, drain, send};
use crate::segments;

/// Events of a measurement.
const EVENTS: usize = 300;
const QUICK_EVENTS: usize = 60;
/// Events per second.
pub(crate) const RATE: u32 = 20;
/// Events before the measurement begins: the first ones meet cold caches.
const WARM_UP: usize = 20;
/// Processes started to learn what a start costs by itself.
const STARTS: usize = 50;
const READY: Duration = Duration::from_secs(120);
const STALL: Duration = Duration::from_secs(30);
const TOPIC: &str = "bench.latency";

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Fewer events
    #[arg(long)]
    pub quick: bool,
    /// Events per second
    #[arg(long, default_value_t = RATE)]
    pub rate: u32,
}

/// Measures on both buses and writes target/bench/latency.json.
pub(crate) fn run(options: &Options, kafka: &Kafka) -> Result<()> {
    let latency = both(kafka, options)?;
    crate::pipeline::write_result(
        "latency.json",
        &json!({"machine": crate::machine::facts(kafka)?, "latency": latency}),
    )
}

/// What the action runs.
pub(crate) fn tell(address: &str, name: &str) -> Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).context("no socket")?;
    socket.send_to(name.as_bytes(), address).with_context(|| format!("cannot reach {address}"))?;
    Ok(())
}

/// Measures on the local bus and on Kafka.
pub(crate) fn both(kafka: &Kafka, options: &Options) -> Result<Value> {
    let load = Load { events: if options.quick { QUICK_EVENTS } else { EVENTS }, rate: options.rate.max(1) };
    println!("\nfrom event to action start, {} events at {}/s, process start included", load.events, load.rate);
    let listener = Listener::start()?;
    let start = listener.starts()?;
    start.print("process start");
    let local = on_local(&listener, load).context("on the local bus")?;
    let on_kafka = on_kafka(&listener, kafka, load).context("on Kafka")?;
    Ok(json!({
        "events": load.events, "events_per_s": load.rate, "unit": "ms",
        "process_start": start.json(), "local": local.json(), "kafka": on_kafka.json(),
    }))
}

/// How many events, and how many of them per second.
#[derive(Debug, Clone, Copy)]
struct Load {
    events: usize,
    rate: u32,
}

fn on_local(listener: &Listener, load: Load) -> Result<Measured> {
    let server = Server::start(listener, &[], &[])?;
    let mut client = HttpClient { address: server.address.clone() };
    let times = measure(listener, load, |payload| client.post(&format!("/v1/topics/{TOPIC}"), payload))?;
    times.print("local bus");
    times.with_ways(&server)
}

fn on_kafka(listener: &Listener, kafka: &Kafka, load: Load) -> Result<Measured> {
    let prefix = format!("latency{}.", SystemClock.now_ms());
    kafka.create_topics(&[TOPIC.to_owned()])?;
    let server = Server::start(listener, &["--kafka", &kafka.bootstrap], &[("PETREL_TOPIC_PREFIX", &prefix)])?;
    let producer: BaseProducer = kafka.client().set("linger.ms", "0").create()?;
    let times = measure(listener, load, |payload| {
        send(&producer, BaseRecord::to(TOPIC).key(&b""[..]).payload(payload.as_bytes()))?;
        drain(&producer);
        Ok(())
    })?;
    times.print("Kafka");
    let times = times.with_ways(&server)?;
    drop(server);
    kafka.delete_topics(&[TOPIC.to_owned()])?;
    Ok(times)
}

/// Sends the events one by one, evenly, and waits for all of their actions.
fn measure(listener: &Listener, load: Load, mut publish: impl FnMut(&str) -> Result<()>) -> Result<Measured> {
    let mut sent: HashMap<String, Instant> = HashMap::new();
    let mut arrived: HashMap<String, Arrival> = HashMap::new();
    let events = load.events;
    let gap = Duration::from_secs(1) / load.rate;
    let mut next = Instant::now();
    for number in 0..WARM_UP + events {
        let name = format!("{}-{number}", SystemClock.now_ms());
        let payload = format!(r#"{{"name":"{name}","host":"db-1","used_pct":95.0}}"#);
        sent.insert(name.clone(), Instant::now());
        publish(&payload)?;
        if number == 0 {
            // Consumers may still be joining: the even load begins once the first action has run.
            listener.collect(&sent, &mut arrived, Instant::now() + READY, 1)?;
            ensure!(arrived.len() == 1, "the first event led to no action within {READY:?}");
            next = Instant::now();
        }
        next += gap;
        listener.collect(&sent, &mut arrived, next, usize::MAX)?;
        if number + 1 == WARM_UP {
            listener.collect(&sent, &mut arrived, Instant::now() + STALL, sent.len())?;
            sent.clear();
            arrived.clear();
            next = Instant::now();
        }
    }
    listener.collect(&sent, &mut arrived, Instant::now() + STALL, sent.len())?;
    ensure!(arrived.len() == events, "{} of {events} events led to an action", arrived.len());
    let times = Times::of(arrived.values().map(|arrival| arrival.after).collect());
    let arrived = arrived.into_iter().map(|(name, arrival)| (name, arrival.at_ms)).collect();
    Ok(Measured { times, arrived, ways: Value::Null })
}

/// When an action was heard of.
struct Arrival {
    after: Duration,
    at_ms: i64,
}

/// The times of a bus.
struct Measured {
    times: Times,
    /// By the name of the event, in milliseconds since the epoch.
    arrived: HashMap<String, i64>,
    ways: Value,
}

impl Measured {
    fn print(&self, what: &str) {
        self.times.print(what);
    }

    fn with_ways(self, server: &Server) -> Result<Self> {
        let ways = segments::measure(|query| server.cli(&["sql", query, "--format", "json"]), &self.arrived)?;
        Ok(Self { ways, ..self })
    }

    fn json(&self) -> Value {
        let mut json = self.times.json();
        json["ways_ms"] = self.ways.clone();
        json
    }
}

/// Takes the datagrams of started actions.
struct Listener {
    address: String,
    arrivals: Receiver<(String, Instant, i64)>,
}

impl Listener {
    fn start() -> Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).context("no socket")?;
        let address = socket.local_addr()?.to_string();
        let (sender, arrivals) = channel();
        let listen = move || {
            let mut buffer = [0; 512];
            while let Ok(length) = socket.recv(&mut buffer) {
                let (at, at_ms) = (Instant::now(), SystemClock.now_ms());
                let name = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if sender.send((name, at, at_ms)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("listener".into()).spawn(listen)?;
        Ok(Self { address, arrivals })
    }

    /// Takes arrivals until `until`, or until `wanted` have come. An action that ran twice counts once.
    fn collect(
        &self,
        sent: &HashMap<String, Instant>,
        arrived: &mut HashMap<String, Arrival>,
        until: Instant,
        wanted: usize,
    ) -> Result<()> {
        while arrived.len() < wanted {
            let left = until.saturating_duration_since(Instant::now());
            match self.arrivals.recv_timeout(left) {
                Ok((name, at, at_ms)) => {
                    if let Some(began) = sent.get(&name) {
                        arrived.entry(name).or_insert(Arrival { after: at - *began, at_ms });
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => bail!("the listener has ended"),
            }
        }
        Ok(())
    }

    /// What the start of the action's process takes, without Petrel.
    fn starts(&self) -> Result<Times> {
        let program = own_program()?;
        let mut times = Vec::new();
        for number in 0..STARTS {
            let name = format!("start-{number}");
            let began = Instant::now();
            let mut child = Command::new(&program).args(["started", &self.address, &name]).spawn()?;
            let (arrived, at, _) = self.arrivals.recv_timeout(STALL).context("a started process said nothing")?;
            ensure!(arrived == name, "{arrived} came instead of {name}");
            times.push(at - began);
            child.wait()?;
        }
        Ok(Times::of(times))
    }
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

/// A running `petrel up` with the measured pack.
struct Server {
    address: String,
    _process: Proc,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start(listener: &Listener, flags: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("latency-").tempdir_in(scratch_dir()?)?;
        let address = format!("127.0.0.1:{}", free_port());
        let pack = write_pack(dir.path(), &listener.address)?;
        let mut command = Command::new(petrel_binary()?);
        command.args(["up", "--quiet", "--listen", &address, "--data-dir"]).arg(dir.path().join("data")).args(flags);
        // A variable of the tests would be an unknown option of the server.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PETREL_")) {
            command.env_remove(name);
        }
        command.env("PETREL_CHDB_LIB", engine_library()?).envs(environment.iter().copied());
        let mut process = Proc::start("petrel", &mut command, &dir.path().join("petrel.log"))?;
        let cli = |arguments: &[&str]| cli(&address, arguments);
        process.wait_until_ready(READY, || cli(&["status"]).ok())?;
        // The API may be ready a moment before the catalog takes writes.
        let applied = poll_until(STALL, || cli(&["pack", "apply", &pack.display().to_string()]).ok());
        if applied.is_none() {
            cli(&["pack", "apply", &pack.display().to_string()]).with_context(|| process.log_tail())?;
        }
        Ok(Self { address, _process: process, _dir: dir })
    }

    fn cli(&self, arguments: &[&str]) -> Result<String> {
        cli(&self.address, arguments)
    }
}

/// Standard output of Petrel's own command line.
fn cli(address: &str, arguments: &[&str]) -> Result<String> {
    let api = format!("http://{address}");
    let output = Command::new(petrel_binary()?).args(arguments).args(["--api", &api]).output()?;
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    ensure!(output.status.success(), "petrel {}: {out}{err}", arguments.join(" "));
    Ok(out)
}

/// A pack with one rule whose action tells the listener that it has started.
fn write_pack(dir: &Path, listener: &str) -> Result<PathBuf> {
    let root = dir.join("latency");
    let program = own_program()?;
    let files = [
        ("pack.yaml", "name: latency\nversion: 1.0.0\ndescription: Tells when its action starts\n".to_owned()),
        (
            "triggers/event.yaml",
            format!(
                "name: event\nsource: {{ kafka: {{ topic: {TOPIC}, format: json }} }}\n\
                 schema: {{ type: object, required: [name, used_pct] }}\n"
            ),
        ),
        (
            "rules/full.yaml",
            "name: full\ntrigger: latency.event\ncriteria: trigger.used_pct > 90.0\n\
             action: { ref: latency.tell, parameters: { name: \"${trigger.name}\" } }\n"
                .to_owned(),
        ),
        (
            "actions/tell.yaml",
            format!(
                "name: tell\nrunner: command\n\
                 command: [\"{}\", started, \"{listener}\", \"${{parameters.name}}\"]\n\
                 parameters:\n  name: {{ type: string, required: true }}\n",
                program.display()
            ),
        ),
    ];
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&root))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(root)
}

/// As much of an HTTP client as one request needs.
struct HttpClient {
    address: String,
}

impl HttpClient {
    fn post(&mut self, path: &str, body: &str) -> Result<()> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&self.address).context("cannot reach petrel")?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 2"), "POST {path}: {answer}");
        Ok(())
    }
}

/// Times in milliseconds, in order.
struct Times(Vec<f64>);

impl Times {
    fn of(times: Vec<Duration>) -> Self {
        let mut all: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The least value that so many per cent of all do not exceed.
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    fn json(&self) -> Value {
        let [p50, p90, p99, max] = [50, 90, 99, 100].map(|percent| rounded(self.percentile(percent)));
        json!({"count": self.0.len(), "p50": p50, "p90": p90, "p99": p99, "max": max})
    }

    fn print(&self, what: &str) {
        let [p50, p90, p99, max] = [50, 90, 99, 100].map(|percent| self.percentile(percent));
        println!("  {what:<14} p50 {p50:>7.1} ms  p90 {p90:>7.1}  p99 {p99:>7.1}  max {max:>7.1}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times = Times::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!([1, 50, 99, 100].map(|percent| times.percentile(percent)), [2.0, 100.0, 198.0, 200.0]);
        assert_eq!(Times::of(vec![Duration::from_millis(7)]).percentile(50), 7.0);
    }

    #[test]
    fn a_started_process_is_heard() {
        let listener = Listener::start().unwrap();
        let sent = HashMap::from([("one".to_owned(), Instant::now()), ("two".to_owned(), Instant::now())]);
        for name in ["one", "stranger", "one", "two"] {
            tell(&listener.address, name).unwrap();
        }
        let mut arrived = HashMap::new();
        listener.collect(&sent, &mut arrived, Instant::now() + STALL, 2).unwrap();
        assert_eq!(arrived.len(), 2);
    }
}

//! What a hop through Petrel's Kafka bus costs: `kafka_hop [rounds] [bulk records] [property=value…]`, on the broker of
//! `PETREL_TEST_KAFKA` or one of its own.
//!
//! A publisher writes a record, a session reads it, writes it on and commits at once, a tail reads it
//! behind that: one at a time, for latency. Then the same session over many records of 300 bytes with a
//! commit every 100 ms, keeping all of them or one in a hundred, for throughput.
#![expect(clippy::disallowed_methods, reason = "a measurement")]

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{
    Bus, GroupEvent, InputTopic, Output, Position, Session, SessionOptions, Start, TopicPartition, TopicSpec,
};
use petrel_bus_kafka::{KafkaBus, KafkaOptions};
use petrel_testkit::shared_kafka;

const PARTITIONS: u32 = 8;
const PAYLOAD_BYTES: usize = 300;
const COMMIT_EVERY: Duration = Duration::from_millis(100);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let rounds = arguments.get(1).map_or(300, |n| n.parse().expect("rounds"));
    let bulk: usize = arguments.get(2).map_or(500_000, |n| n.parse().expect("bulk records"));
    let Some(bootstrap) = shared_kafka() else { return };
    let mut options = KafkaOptions::new(bootstrap, "hop");
    for property in arguments.iter().skip(3) {
        let (name, value) = property.split_once('=').expect("property=value");
        options.properties.insert(name.to_owned(), value.to_owned());
    }
    let bus = KafkaBus::new(options).expect("options");
    let run = std::process::id();
    let topic = |name: &str, partitions: u32| -> Arc<str> {
        let name: Arc<str> = format!("hop.{run}.{name}").into();
        let spec = TopicSpec {
            name: name.clone(),
            partitions,
            compacted: false,
            retention_ms: None,
            delete_retention_ms: None,
        };
        bus.ensure_topics(&[spec]).expect("topics");
        name
    };
    latency(&bus, &topic("in", 1), &topic("out", 1), rounds);
    membership(&bus, &topic("members", PARTITIONS));
    let (from, to) = (topic("bulk.in", PARTITIONS), topic("bulk.out", PARTITIONS));
    fill(&bus, &from, bulk);
    for every in [1, 100] {
        throughput(&bus, &from, &to, bulk, every);
    }
}

fn say(line: std::fmt::Arguments<'_>) {
    writeln!(std::io::stdout(), "{line}").expect("stdout");
}

fn quantiles(name: &str, times: &mut [f64]) {
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize];
    say(format_args!("{name}: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.9), at(0.99)));
}

fn join(bus: &KafkaBus, group: &str, from: &Arc<str>) -> Box<dyn Session> {
    let options = SessionOptions { group: group.into(), member: "m".into(), transactional: true };
    let mut session = bus.session(&options).expect("session");
    session.subscribe(&[InputTopic { name: from.clone(), start: Start::Beginning, with: None }]).expect("subscribe");
    loop {
        let events = session.fetch(Duration::from_millis(100), 1, &mut |_| {}).expect("fetch");
        for event in events {
            if let GroupEvent::Assigned(partitions) = event {
                let begun = session.begin(&partitions).expect("begin");
                let positions: Vec<Position> = begun.into_iter().map(|begun| begun.position).collect();
                session.accept(&positions).expect("accept");
                return session;
            }
        }
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// What it takes to come and go: a session with transactions, and a tail.
fn membership(bus: &KafkaBus, from: &Arc<str>) {
    let (mut joins, mut leaves, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..10 {
        let began = Instant::now();
        let session = join(bus, "hop-membership", from);
        joins.push(milliseconds(began));
        let began = Instant::now();
        drop(session);
        leaves.push(milliseconds(began));
        let began = Instant::now();
        let mut tail = bus.tail(from).expect("tail");
        while !tail.caught_up() {
            tail.next(Duration::from_millis(50), &mut |_, _| ()).expect("tail");
        }
        drop(tail);
        tails.push(milliseconds(began));
    }
    quantiles("join, until partitions are accepted", &mut joins);
    quantiles("leave", &mut leaves);
    quantiles("tail: open, read, drop", &mut tails);
}

fn latency(bus: &KafkaBus, from: &Arc<str>, to: &Arc<str>, rounds: usize) {
    let publisher = bus.publisher("hop").expect("publisher");
    let mut session = join(bus, "hop-latency", from);
    let mut tail = bus.tail(to).expect("tail");
    let (mut publish, mut hop, mut commit, mut whole) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds + 20 {
        let began = Instant::now();
        let receipt = publisher.publish(vec![Output::to_partition(from, 0, "k", Some(b"v".to_vec()))]);
        receipt.wait().expect("published");
        let published = milliseconds(began);
        let mut next = None;
        let received = Instant::now();
        while next.is_none() {
            let mut each = |fetched: &petrel_bus::Fetched<'_>| {
                next = fetched.batches().flat_map(|b| b.records.iter()).last().map(|r| r.offset + 1);
            };
            session.fetch(Duration::from_millis(50), 100, &mut each).expect("fetch");
        }
        let committing = Instant::now();
        session.send(Output::to_partition(to, 0, "k", Some(b"v".to_vec())), 0).expect("send");
        let at = TopicPartition { topic: from.clone(), partition: 0 };
        session.commit(&[Position { at, offset: next.expect("record"), metadata: None }]).expect("commit");
        let committed = milliseconds(committing);
        let mut seen = false;
        while !seen {
            tail.next(Duration::from_millis(50), &mut |_, _| seen = true).expect("tail");
        }
        if round >= 20 {
            publish.push(published);
            commit.push(committed);
            hop.push(milliseconds(received));
            whole.push(milliseconds(began));
        }
    }
    quantiles("publish, acknowledged", &mut publish);
    quantiles("session: send and commit", &mut commit);
    quantiles("hop: acknowledged to visible behind the session", &mut hop);
    quantiles("whole: publish to visible behind the session", &mut whole);
}

fn fill(bus: &KafkaBus, topic: &Arc<str>, records: usize) {
    let publisher = bus.publisher("fill").expect("publisher");
    let began = Instant::now();
    let mut calls = Vec::new();
    for first in (0..records).step_by(1000) {
        let record = |n: usize| {
            let mut value = format!("{{\"id\":{n},\"host\":\"web-{}\",\"pad\":\"", n % 1000).into_bytes();
            value.resize(PAYLOAD_BYTES, b'a' + (n % 26) as u8);
            Output::to_partition(topic, n as u32 % PARTITIONS, n.to_le_bytes(), Some(value))
        };
        calls.push(publisher.publish((first..first + 1000).map(record).collect()));
        if calls.len() >= 50 {
            calls.drain(..).for_each(|call| drop(call.wait().expect("published")));
        }
    }
    calls.into_iter().for_each(|call| drop(call.wait().expect("published")));
    say(format_args!("publisher: {:.0} records/s", records as f64 / began.elapsed().as_secs_f64()));
}

fn throughput(bus: &KafkaBus, from: &Arc<str>, to: &Arc<str>, records: usize, every: usize) {
    let mut session = join(bus, &format!("hop-bulk-{every}"), from);
    let began = Instant::now();
    let (mut taken, mut commits, mut in_commit) = (0, 0, Duration::ZERO);
    let mut open = Instant::now();
    let mut next = vec![0; PARTITIONS as usize];
    while taken < records {
        let mut outputs = Vec::new();
        let mut each = |fetched: &petrel_bus::Fetched<'_>| {
            for batch in fetched.batches() {
                for record in batch.records {
                    taken += 1;
                    next[batch.partition as usize] = record.offset + 1;
                    if taken % every == 0 {
                        let key = record.key.unwrap_or_default().to_vec();
                        let value = record.value.map(<[u8]>::to_vec);
                        outputs.push((Output::to_partition(to, batch.partition, key, value), batch.partition));
                    }
                }
            }
        };
        session.fetch(Duration::from_millis(50), 4096, &mut each).expect("fetch");
        for (output, partition) in outputs {
            session.send(output, partition).expect("send");
        }
        if open.elapsed() >= COMMIT_EVERY || taken >= records {
            let committing = Instant::now();
            let position = |(partition, offset): (usize, &i64)| Position {
                at: TopicPartition { topic: from.clone(), partition: partition as u32 },
                offset: *offset,
                metadata: None,
            };
            let positions: Vec<Position> = next.iter().enumerate().map(position).collect();
            session.commit(&positions).expect("commit");
            in_commit += committing.elapsed();
            commits += 1;
            open = Instant::now();
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    say(format_args!(
        "1 in {every} kept: {:.0} records/s, {commits} commits of {:.1} ms, {:.0} % of the time",
        records as f64 / seconds,
        in_commit.as_secs_f64() * 1e3 / f64::from(commits),
        in_commit.as_secs_f64() / seconds * 100.0
    ));
}

//! Cells A and B: what the client alone does, with the settings of Petrel's Kafka bus.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::cell::{Cell, Way, Written};
use crate::cost::Meters;
use crate::kafka::{Kafka, PARTITIONS, STALL, drain, joined, receive, send};
use crate::settings;

/// For the calls of a transaction, which block.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many records are taken between two looks at the clock.
const LOOK_EVERY: u64 = 64;

/// A: consumes `events` records and does nothing with them.
pub(crate) fn consume(kafka: &Kafka, topic: &str, group: &str, events: u64, round: usize) -> Result<Cell> {
    let consumer: BaseConsumer = settings::consumer(kafka, group).create()?;
    consumer.subscribe(&[topic])?;
    let first = joined(&consumer)?.map(|message| message.payload_len() as u64);
    let began = Meters::read()?;
    let mut bytes = first.unwrap_or_default();
    for _ in u64::from(first.is_some())..events {
        bytes += receive(&consumer)?.payload_len() as u64;
    }
    let cost = began.until(&Meters::read()?);
    anyhow::ensure!(bytes > events, "the records are empty");
    let (written, split) = (Written::new(), Vec::new());
    Ok(Cell { way: Way::Consume, round, events, cost, commits: 0, commit_s: 0.0, written, split })
}

/// B: consumes all and writes as many records and bytes as `like` says to the topics of `to`, each the
/// stand-in of one of `like`'s topics; everything in transactions, with the offsets in them.
pub(crate) fn pass(
    kafka: &Kafka,
    topic: &str,
    group: &str,
    events: u64,
    round: usize,
    like: &Written,
    to: &BTreeMap<String, String>,
) -> Result<Cell> {
    let consumer: BaseConsumer = settings::consumer(kafka, group).create()?;
    let producer: BaseProducer = settings::producer(kafka, group).create()?;
    producer.init_transactions(TIMEOUT)?;
    consumer.subscribe(&[topic])?;
    let mut echo = Echo::new(like, events);
    let mut transaction = Transaction { consumer: &consumer, producer: &producer, topic, next: HashMap::new() };

    let mut message = joined(&consumer)?;
    let began = Meters::read()?;
    let mut open = Instant::now();
    let (mut taken, mut commits, mut in_commit, mut last) = (0, 0, Duration::ZERO, open);
    producer.begin_transaction()?;
    loop {
        if let Some(message) = message {
            transaction.next.insert(message.partition(), message.offset() + 1);
            let payload = message.payload().context("a record without a value")?;
            taken += 1;
            echo.take(payload, |like, partition, key, value| {
                send(&producer, BaseRecord::to(&to[like]).partition(partition).key(key).payload(value))
            })?;
        }
        if taken == events || (taken % LOOK_EVERY == 0 && open.elapsed() >= settings::COMMIT_INTERVAL) {
            let commit = Instant::now();
            transaction.commit()?;
            (in_commit, commits) = (in_commit + commit.elapsed(), commits + 1);
            if taken == events {
                break;
            }
            producer.begin_transaction()?;
            (open, last) = (Instant::now(), Instant::now());
        }
        message = consumer.poll(Duration::from_millis(1)).transpose().context("cannot read")?;
        anyhow::ensure!(message.is_some() || last.elapsed() < STALL, "nothing came within {STALL:?}");
    }
    let cost = began.until(&Meters::read()?);
    let commit_s = in_commit.as_secs_f64();
    Ok(Cell { way: Way::Pass, round, events, cost, commits, commit_s, written: echo.written(), split: Vec::new() })
}

struct Transaction<'a> {
    consumer: &'a BaseConsumer,
    producer: &'a BaseProducer,
    topic: &'a str,
    next: HashMap<i32, i64>,
}

impl Transaction<'_> {
    fn commit(&mut self) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in self.next.drain() {
            offsets.add_partition_offset(self.topic, partition, Offset::Offset(offset))?;
        }
        // The commit begins with the crate's own flush, which returns at once when nothing is in flight.
        drain(self.producer);
        let group = self.consumer.group_metadata().ok_or_else(|| anyhow!("no group"))?;
        self.producer.send_offsets_to_transaction(&offsets, &group, TIMEOUT)?;
        self.producer.commit_transaction(TIMEOUT)?;
        Ok(())
    }
}

/// Spreads outputs of given number and size evenly over the inputs.
pub(crate) struct Echo {
    topics: Vec<EchoTopic>,
    events: u64,
    taken: u64,
    value: Vec<u8>,
}

struct EchoTopic {
    name: String,
    records: u64,
    bytes: u64,
    /// Records and bytes so far.
    done: (u64, u64),
}

/// Keys of Petrel's requests and audit records are hex of 128 bits.
const KEY_BYTES: usize = 32;

impl Echo {
    pub(crate) fn new(like: &Written, events: u64) -> Self {
        let topic = |(name, (records, bytes)): (&String, &(u64, u64))| EchoTopic {
            name: name.clone(),
            records: *records,
            bytes: *bytes,
            done: (0, 0),
        };
        Self { topics: like.iter().map(topic).collect(), events, taken: 0, value: Vec::new() }
    }

    /// Takes an input and calls `write(topic, partition, key, value)` for what is due by then.
    pub(crate) fn take(
        &mut self,
        payload: &[u8],
        mut write: impl FnMut(&str, i32, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        self.taken += 1;
        for topic in &mut self.topics {
            let due = share(topic.records, self.taken, self.events);
            while topic.done.0 < due {
                let number = topic.done.0;
                let size = usize::try_from(share(topic.bytes, number + 1, topic.records) - topic.done.1)?;
                self.value.clear();
                self.value.extend(payload.iter().cycle().take(size.saturating_sub(KEY_BYTES)));
                let key = format!("{:032x}", u128::from(number) * 0x9e37_79b9_7f4a_7c15);
                topic.done = (number + 1, topic.done.1 + (key.len() + self.value.len()) as u64);
                write(&topic.name, i32::try_from(number % PARTITIONS as u64)?, key.as_bytes(), &self.value)?;
            }
        }
        Ok(())
    }

    /// What it has asked to be written.
    pub(crate) fn written(&self) -> Written {
        self.topics.iter().map(|topic| (topic.name.clone(), topic.done)).collect()
    }
}

/// How much of `total` is due after `done` of `all`.
fn share(total: u64, done: u64, all: u64) -> u64 {
    (u128::from(total) * u128::from(done) / u128::from(all.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_writes_what_it_is_told() {
        let like: Written = [("requests".to_owned(), (10, 5_003)), ("audit".to_owned(), (21, 21 * 400 + 7))].into();
        let mut echo = Echo::new(&like, 1_000);
        let mut found = Written::new();
        for _ in 0..1_000 {
            let write = |topic: &str, partition: i32, key: &[u8], value: &[u8]| {
                assert!((0..PARTITIONS).contains(&partition) && key.len() == KEY_BYTES);
                let sum = found.entry(topic.to_owned()).or_default();
                *sum = (sum.0 + 1, sum.1 + (key.len() + value.len()) as u64);
                Ok(())
            };
            echo.take(&[b'x'; 300], write).unwrap();
        }
        assert_eq!(found, like);
        assert_eq!(echo.written(), like);
    }
    #[test]
    fn the_client_alone_takes_all_and_writes_what_it_is_told() {
        let Some(bootstrap) = petrel_testkit::shared_kafka() else { return };
        let kafka = Kafka { bootstrap: bootstrap.to_owned() };
        let names = ["bench-plain.in", "bench-plain.requests"].map(str::to_owned);
        kafka.create_topics(&names).unwrap();
        let [topic, out] = names;
        assert_eq!(kafka.fill(&topic, 5_000).unwrap(), 50);

        let consumed = consume(&kafka, &topic, "bench-plain.a", 5_000, 1).unwrap();
        assert!(consumed.events_per_s() > 0.0 && consumed.cost.cpu_s() > 0.0);

        let like: Written = [("requests".to_owned(), (50, 50 * 400))].into();
        let to = [("requests".to_owned(), out.clone())].into();
        let passed = pass(&kafka, &topic, "bench-plain.b", 5_000, 1, &like, &to).unwrap();
        assert_eq!(passed.written, like);
        assert!(passed.commits > 0 && passed.commit_s > 0.0);
        kafka.check_committed("bench-plain.b", &topic).unwrap();
        assert!(kafka.check_committed("bench-plain.a", &topic).is_err(), "nothing was committed there");
        assert_eq!(kafka.count_committed(&out).unwrap(), 50);
    }
}

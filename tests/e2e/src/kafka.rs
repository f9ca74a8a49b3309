//! Clients of Kafka that are not Petrel.
#![expect(clippy::disallowed_methods, reason = "tests wait for a limited time")]

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use petrel_testkit::poll_until;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Makes a user topic with one replica.
pub fn create_topic(bootstrap: &str, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
    create_replicated_topic(bootstrap, name, partitions, 1, config)
}

/// Makes a user topic.
pub fn create_replicated_topic(
    bootstrap: &str,
    name: &str,
    partitions: i32,
    replicas: i32,
    config: &[(&str, &str)],
) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(bootstrap).create()?;
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
    for (key, value) in config {
        topic = topic.set(key, value);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
    for answer in answers {
        answer.map_err(|(topic, code)| anyhow::anyhow!("cannot create {topic}: {code}"))?;
    }
    Ok(())
}

/// Waits until every partition of the cluster has that many replicas in sync.
pub fn wait_in_sync(bootstrap: &str, replicas: usize, timeout: Duration) -> Result<()> {
    let consumer: BaseConsumer = client(bootstrap).create()?;
    let began = Instant::now();
    loop {
        let behind = match consumer.fetch_metadata(None, TIMEOUT) {
            Ok(metadata) => {
                let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
                let behind = partitions.filter(|partition| partition.isr().len() < replicas).count();
                if behind == 0 {
                    return Ok(());
                }
                format!("{behind} partitions are behind")
            }
            Err(error) => error.to_string(),
        };
        ensure!(began.elapsed() < timeout, "the brokers are not in sync: {behind}");
        let _ = poll_until(Duration::from_millis(200), || None::<()>);
    }
}

/// How long the action of an event is to take, in milliseconds: one in twenty of those that match up to `most_ms`,
/// the others no time.
pub fn takes_ms(n: u64, most_ms: u64) -> u64 {
    // Every tenth event matches.
    match (n / 10).is_multiple_of(20) {
        true => n.wrapping_mul(0x9e37_79b9) % most_ms.max(1),
        false => 0,
    }
}

/// Writes events to a user topic and their ids to a file.
pub struct Feed {
    producer: BaseProducer,
    topic: String,
    ids: std::fs::File,
    written: u64,
    slow_ms: u64,
}

impl Feed {
    /// A feed that keeps the ids of what it wrote in `ids`.
    pub fn new(bootstrap: &str, topic: &str, ids: &Path) -> Result<Self> {
        let producer = client(bootstrap)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "16000000")
            .set("linger.ms", "5")
            .create()?;
        Ok(Self { producer, topic: topic.to_owned(), ids: std::fs::File::create(ids)?, written: 0, slow_ms: 0 })
    }

    /// One in twenty actions takes up to that long, in milliseconds.
    pub fn with_slow(self, slow_ms: u64) -> Self {
        Self { slow_ms, ..self }
    }

    /// Number of events so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes `count` more events `{"id": "e<n>", "n": n, …}` and waits until they are durable.
    pub fn write(&mut self, count: u64) -> Result<()> {
        for n in self.written..self.written + count {
            let id = format!("e{n}");
            let body = format!(
                r#"{{"id":"{id}","n":{n},"takes_ms":{},"host":"web-{}","note":"an event of the test's own client"}}"#,
                takes_ms(n, self.slow_ms),
                n % 97
            );
            self.send(id.as_bytes(), body.as_bytes())?;
            writeln!(self.ids, "{id}")?;
        }
        self.written += count;
        self.flush()
    }

    /// Writes one record as it is.
    pub fn write_raw(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.send(key, value)?;
        self.flush()
    }

    fn send(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut record = BaseRecord::to(&self.topic).key(key).payload(value);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error).context("cannot write an event"),
            }
        }
    }

    fn flush(&self) -> Result<()> {
        self.producer.flush(TIMEOUT)?;
        Ok(())
    }
}

/// Names of all topics that begin so.
pub fn topics_of(bootstrap: &str, prefix: &str) -> Result<Vec<String>> {
    topics_of_with(&client(bootstrap), prefix)
}

/// The same by a client that is told how it comes in.
pub fn topics_of_with(client: &ClientConfig, prefix: &str) -> Result<Vec<String>> {
    let consumer: BaseConsumer = client.create()?;
    let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
    Ok(metadata.topics().iter().map(|t| t.name().to_owned()).filter(|name| name.starts_with(prefix)).collect())
}

/// A record as a consumer is shown it.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Its key; empty if it has none.
    pub key: Vec<u8>,
    /// Its value; empty if it has none.
    pub value: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The value of its first header of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// Values of all records that a read_committed consumer is shown, from the topic's beginning to the
/// end that it has when this is called.
pub fn committed_values(bootstrap: &str, topic: &str) -> Result<Vec<Vec<u8>>> {
    Ok(committed_records(bootstrap, topic)?.into_iter().map(|record| record.value).collect())
}

/// The same with their keys and headers.
pub fn committed_records(bootstrap: &str, topic: &str) -> Result<Vec<Record>> {
    let consumer: BaseConsumer = client(bootstrap)
        .set("group.id", format!("check-{topic}"))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|p| p.id()).collect();
    ensure!(!partitions.is_empty(), "there is no topic {topic}");
    let (mut assignment, mut left) = (TopicPartitionList::new(), HashMap::new());
    for partition in &partitions {
        assignment.add_partition_offset(topic, *partition, Offset::Beginning)?;
        left.insert(*partition, consumer.fetch_watermarks(topic, *partition, TIMEOUT)?.1);
    }
    consumer.assign(&assignment)?;
    let (mut records, began) = (Vec::new(), Instant::now());
    while !left.is_empty() {
        if began.elapsed() > TIMEOUT * 2 {
            bail!("the end of {topic} was not reached: {left:?} of {} partitions", partitions.len());
        }
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => {
                // Where somebody goes on writing, the end is not told, but passed.
                let end = left.get(&message.partition()).copied().unwrap_or(0);
                if message.offset() < end {
                    records.push(record(&message));
                }
                if message.offset() + 1 >= end {
                    left.remove(&message.partition());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(left.remove(&partition)),
            Some(Err(error)) => return Err(error).context("cannot read"),
        }
    }
    Ok(records)
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Record {
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().unwrap_or_default().to_vec(),
        headers: headers.map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect(),
    }
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set_log_level(rdkafka::config::RDKafkaLogLevel::Error);
    config
}

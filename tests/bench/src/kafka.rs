//! The broker: topics, fill, offsets, and an independent count of what was committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::alerts::Alerts;

/// Partitions of every topic of the benchmark.
pub(crate) const PARTITIONS: i32 = 8;
/// For any single answer of the broker.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Silence after which a phase is given up.
pub(crate) const STALL: Duration = Duration::from_secs(60);

/// A broker by its address.
#[derive(Debug, Clone)]
pub(crate) struct Kafka {
    pub bootstrap: String,
}

impl Kafka {
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set_log_level(RDKafkaLogLevel::Error);
        config
    }

    pub(crate) fn create_topics(&self, names: &[String]) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        // Nothing is deleted while it is measured.
        let new = |name| NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        let topics: Vec<NewTopic<'_>> = names.iter().map(|name| new(name.as_str())).collect();
        for answer in block_on(admin.create_topics(&topics, &AdminOptions::new()))? {
            answer.map_err(|(topic, code)| anyhow!("cannot create {topic}: {code}"))?;
        }
        Ok(())
    }

    pub(crate) fn delete_topics(&self, names: &[String]) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        block_on(admin.delete_topics(&names, &AdminOptions::new()))?;
        Ok(())
    }

    /// Writes `count` alerts and returns how many of them match a rule.
    pub(crate) fn fill(&self, topic: &str, count: u64) -> Result<u64> {
        let producer: BaseProducer = self
            .client()
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("batch.size", "1000000")
            .set("queue.buffering.max.messages", "1000000")
            .set("compression.type", "lz4")
            .create()?;
        let mut alerts = Alerts::new();
        let (mut key, mut payload) = (String::new(), String::new());
        for number in 0..count {
            alerts.next(&mut key, &mut payload);
            // The key's own partitioner would give some partitions more: every one gets the same.
            let partition = i32::try_from(number % PARTITIONS as u64)?;
            send(
                &producer,
                BaseRecord::to(topic).partition(partition).key(key.as_bytes()).payload(payload.as_bytes()),
            )?;
            if number.is_multiple_of(1_000) {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(TIMEOUT)?;
        let written: i64 = self.end_offsets(topic)?.values().sum();
        ensure!(written == i64::try_from(count)?, "{topic} holds {written} records instead of {count}");
        Ok(alerts.matches())
    }

    /// Offset behind the last record, by partition.
    pub(crate) fn end_offsets(&self, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let consumer: BaseConsumer = self.client().create()?;
        (0..PARTITIONS).map(|p| Ok((p, consumer.fetch_watermarks(topic, p, TIMEOUT)?.1))).collect()
    }

    /// Fails unless that group has committed the end of every partition of the topic.
    pub(crate) fn check_committed(&self, group: &str, topic: &str) -> Result<()> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create()?;
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(topic, 0, PARTITIONS - 1);
        let committed = consumer.committed_offsets(partitions, TIMEOUT)?;
        for (partition, end) in self.end_offsets(topic)? {
            let found = committed.find_partition(topic, partition).map(|p| p.offset());
            ensure!(
                found == Some(Offset::Offset(end)),
                "group {group} committed {found:?} on {topic}/{partition}, whose end is {end}"
            );
        }
        Ok(())
    }

    /// Number of records that a read_committed consumer is shown.
    pub(crate) fn count_committed(&self, topic: &str) -> Result<u64> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", format!("count-{topic}"))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        let (mut count, mut ended, began) = (0, 0, Instant::now());
        while ended < PARTITIONS {
            ensure!(began.elapsed() < STALL, "the end of {topic} was not reached");
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(_)) => count += 1,
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => return Err(error).with_context(|| format!("cannot read {topic}")),
            }
        }
        Ok(count)
    }

    /// The broker's settings that are not defaults, without its directories and addresses.
    pub(crate) fn settings(&self) -> Result<BTreeMap<String, String>> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let consumer: BaseConsumer = self.client().create()?;
        let broker = consumer.fetch_metadata(None, TIMEOUT)?.brokers().first().map(|b| b.id()).context("no broker")?;
        let answers = block_on(admin.describe_configs([&ResourceSpecifier::Broker(broker)], &AdminOptions::new()))?;
        let mut settings = BTreeMap::new();
        for answer in answers {
            let resource = answer.map_err(|code| anyhow!("cannot read the broker's settings: {code}"))?;
            let set = resource.entries.into_iter().filter(|e| e.source != ConfigSource::Default && !e.is_sensitive);
            let of_this_machine =
                |name: &str| name.contains("dir") || name.contains("listeners") || name.contains("quorum");
            settings.extend(set.filter(|e| !of_this_machine(&e.name)).map(|e| (e.name, e.value.unwrap_or_default())));
        }
        Ok(settings)
    }
}

/// Waits until everything is written. The crate's own flush waits in steps of 100 ms that nothing wakes.
pub(crate) fn drain(producer: &BaseProducer) {
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(1));
    }
}

/// Hands a record to the producer, waiting while its queue is full.
pub(crate) fn send(producer: &BaseProducer, record: BaseRecord<'_, [u8], [u8]>) -> Result<()> {
    let mut record = record;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                producer.poll(Duration::from_millis(5));
            }
            Err((error, _)) => return Err(error).context("cannot write"),
        }
    }
}

/// Waits until the consumer has its partitions, which is when it begins to fetch; a record that came
/// with them is handed over.
pub(crate) fn joined(consumer: &BaseConsumer) -> Result<Option<BorrowedMessage<'_>>> {
    let began = Instant::now();
    loop {
        if let Some(message) = consumer.poll(Duration::from_millis(10)) {
            return message.map(Some).context("cannot read");
        }
        if consumer.assignment()?.count() > 0 {
            return Ok(None);
        }
        ensure!(began.elapsed() < STALL, "no partition was assigned within {STALL:?}");
    }
}

/// The next message. A poll that only served a rebalance comes back empty: it asks again.
pub(crate) fn receive(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>> {
    let began = Instant::now();
    loop {
        match consumer.poll(Duration::from_secs(1)) {
            Some(message) => return message.context("cannot read"),
            None if began.elapsed() > STALL => bail!("nothing came within {STALL:?}"),
            None => {}
        }
    }
}

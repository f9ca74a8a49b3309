//! Topics, records and members for the tests.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use petrel_bus::{
    Bus, GroupEvent, InputTopic, Output, OwnedRecord, Position, RestoreFrom, Session, SessionError, SessionOptions,
    Start, Tail, TopicPartition, TopicSpec,
};
use petrel_bus_kafka::{KafkaBus, KafkaOptions};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A name that no other test uses.
pub fn unique(name: &str) -> Arc<str> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}.{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

pub fn bus(address: &str) -> KafkaBus {
    bus_with(address, |_| {})
}

pub fn bus_with(address: &str, change: impl FnOnce(&mut KafkaOptions)) -> KafkaBus {
    let mut options = KafkaOptions::new(address, "test");
    change(&mut options);
    KafkaBus::new(options).unwrap()
}

/// Deletes a topic; its broker hears of it a moment later.
pub fn delete(address: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let deleted = futures_executor::block_on(admin.delete_topics(&[topic], &AdminOptions::new())).unwrap();
    deleted.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
}

/// Gives a topic more partitions.
pub fn add_partitions(address: &str, topic: &str, partitions: usize) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let more = [NewPartitions::new(topic, partitions)];
    let added = futures_executor::block_on(admin.create_partitions(&more, &AdminOptions::new())).unwrap();
    added.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
}

pub fn topic(bus: &dyn Bus, name: &str, partitions: u32) -> Arc<str> {
    let name = unique(name);
    let spec =
        TopicSpec { name: name.clone(), partitions, compacted: false, retention_ms: None, delete_retention_ms: None };
    bus.ensure_topics(&[spec]).unwrap();
    name
}

pub fn input(name: &Arc<str>) -> InputTopic {
    InputTopic { name: name.clone(), start: Start::Beginning, with: None }
}

pub fn follower(name: &Arc<str>, leader: &Arc<str>) -> InputTopic {
    InputTopic { with: Some(leader.clone()), ..input(name) }
}

pub fn options(group: &Arc<str>, member: &str) -> SessionOptions {
    SessionOptions { group: group.clone(), member: member.into(), transactional: true }
}

pub fn output(topic: &Arc<str>, partition: u32, text: &str) -> Output {
    Output::to_partition(topic, partition, text, Some(text.as_bytes().to_vec()))
}

/// Writes records `<prefix>0`, `<prefix>1`, … to a partition, committed.
pub fn fill(bus: &dyn Bus, topic: &Arc<str>, partition: u32, prefix: &str, count: usize) {
    let publisher = bus.publisher(&unique("fill")).unwrap();
    let outputs = (0..count).map(|n| output(topic, partition, &format!("{prefix}{n}"))).collect();
    publisher.publish(outputs).wait().unwrap();
}

/// Values of everything committed in a topic now, by partition.
pub fn committed(bus: &dyn Bus, topic: &str) -> BTreeMap<u32, Vec<String>> {
    let mut tail = bus.tail(topic).unwrap();
    let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    drain(&mut *tail, &mut |partition, value| found.entry(partition).or_default().push(value));
    found
}

pub fn drain(tail: &mut dyn Tail, each: &mut dyn FnMut(u32, String)) {
    let began = Instant::now();
    while !tail.caught_up() {
        tail.next(Duration::from_millis(200), &mut |partition, record| each(partition, text(record.value))).unwrap();
        assert!(began.elapsed() < PATIENCE, "the tail did not catch up");
    }
}

pub fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap()
}

/// A session and what a driver would keep beside it.
pub struct Member {
    pub session: Box<dyn Session>,
    pub changelog: Option<Arc<str>>,
    /// Next offset of everything accepted.
    pub next: BTreeMap<TopicPartition, i64>,
    pub records: Vec<(TopicPartition, OwnedRecord)>,
    pub restored: BTreeMap<u32, Vec<(String, String)>>,
    pub begun: Vec<Position>,
    pub events: Vec<GroupEvent>,
}

impl Member {
    pub fn join(bus: &dyn Bus, options: &SessionOptions, inputs: &[InputTopic]) -> Self {
        Self::of(bus.session(options).unwrap(), inputs)
    }

    pub fn of(mut session: Box<dyn Session>, inputs: &[InputTopic]) -> Self {
        session.subscribe(inputs).unwrap();
        Self {
            session,
            changelog: None,
            next: BTreeMap::new(),
            records: Vec::new(),
            restored: BTreeMap::new(),
            begun: Vec::new(),
            events: Vec::new(),
        }
    }

    /// One fetch, and the answers that a driver gives to what happened.
    pub fn turn(&mut self) -> Result<(), SessionError> {
        let Self { records, next, .. } = self;
        let events = self.session.fetch(Duration::from_millis(50), 1000, &mut |fetched| {
            for batch in fetched.batches() {
                let at = TopicPartition { topic: batch.topic.clone(), partition: batch.partition };
                for record in batch.records {
                    next.insert(at.clone(), record.offset + 1);
                    records.push((at.clone(), record.to_owned()));
                }
            }
        })?;
        for event in events {
            self.events.push(event.clone());
            match event {
                GroupEvent::Assigned(partitions) => self.assigned(&partitions)?,
                GroupEvent::Revoked(partitions) => {
                    let positions = self.positions();
                    self.session.commit(&positions)?;
                    self.released(&partitions)?;
                }
                GroupEvent::Lost(partitions) => {
                    self.session.abort(&[])?;
                    self.released(&partitions)?;
                }
                GroupEvent::Halted(..) | GroupEvent::Missing(..) => {}
            }
        }
        Ok(())
    }

    fn assigned(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        let begun = self.session.begin(partitions)?;
        let starts: Vec<Position> =
            begun.iter().filter(|begun| !begun.committed).map(|begun| begun.position.clone()).collect();
        let positions: Vec<Position> = begun.into_iter().map(|begun| begun.position).collect();
        for position in &positions {
            self.next.insert(position.at.clone(), position.offset);
            if let Some(changelog) = self.changelog.clone() {
                let mut found = Vec::new();
                let at = TopicPartition { topic: changelog, partition: position.at.partition };
                let wanted = RestoreFrom { at, from: None };
                let mut each =
                    |_: u32, _: i64, key: &[u8], value: Option<&[u8]>| found.push((text(Some(key)), text(value)));
                self.session.restore(&[wanted], &mut each)?;
                self.restored.insert(position.at.partition, found);
            }
        }
        self.session.accept(&positions)?;
        // An empty commit would end a transaction that is open, without the fence of the group.
        if !starts.is_empty() {
            self.session.commit(&starts)?;
        }
        self.begun.extend(positions);
        Ok(())
    }

    fn released(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.session.release(partitions)?;
        self.next.retain(|at, _| !partitions.contains(at));
        Ok(())
    }

    pub fn positions(&self) -> Vec<Position> {
        self.next.iter().map(|(at, offset)| position(at, *offset)).collect()
    }

    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !done(self) {
            self.turn().unwrap();
            assert!(began.elapsed() < PATIENCE, "{what}: {:?}", self.events);
        }
    }

    pub fn until_records(&mut self, count: usize) {
        self.until("records", |m| m.records.len() >= count);
        assert_eq!(self.records.len(), count);
    }

    pub fn until_assigned(&mut self, partitions: usize) {
        self.until("assignment", |m| m.next.len() == partitions);
    }

    pub fn values(&self) -> Vec<String> {
        self.records.iter().map(|(_, record)| text(record.value.as_deref())).collect()
    }
}

pub fn position(at: &TopicPartition, offset: i64) -> Position {
    Position { at: at.clone(), offset, metadata: None }
}

pub fn at(topic: &Arc<str>, partition: u32) -> TopicPartition {
    TopicPartition { topic: topic.clone(), partition }
}

/// `<prefix>0` and so on.
pub fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

//! The log: topics as vectors under one lock. Each group has one member at a time.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use petrel_bus::{
    Begin, Bus, BusError, Clock, Fetched, GroupEvent, InputTopic, Output, OwnedRecord, Position, PublishError,
    Publisher, Receipt, Record, RestoreFrom, Restored, Session, SessionError, SessionOptions, Tail, To, TopicPartition,
    TopicSpec, partition_of, receipt,
};

#[derive(Default)]
struct Log {
    topics: HashMap<String, Vec<Vec<OwnedRecord>>>,
    committed: HashMap<(Arc<str>, TopicPartition), i64>,
}

/// The log.
pub struct MemBus {
    log: Mutex<Log>,
    grown: Condvar,
    /// While set, publishers are told that the log is away.
    pub publishers_cut_off: AtomicBool,
}

/// Real time, from an instant that is nobody's.
pub struct MemClock(pub Instant);

impl Clock for MemClock {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + self.0.elapsed().as_millis() as i64
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl MemBus {
    pub fn new(topics: &[(Arc<str>, u32)]) -> Arc<Self> {
        let topics = topics.iter().map(|(name, n)| (name.to_string(), vec![Vec::new(); *n as usize])).collect();
        let log = Mutex::new(Log { topics, committed: HashMap::new() });
        Arc::new(Self { log, grown: Condvar::new(), publishers_cut_off: AtomicBool::new(false) })
    }

    pub fn append(&self, outputs: Vec<Output>) {
        let mut log = self.lock();
        for output in outputs {
            let partitions = log.topics.get_mut(&*output.topic).unwrap_or_else(|| panic!("no topic {}", output.topic));
            let count = partitions.len() as u32;
            let number = match output.to {
                To::Partition(number) => number,
                To::Key => partition_of(output.key.as_deref().unwrap_or_default(), count),
            };
            let partition = &mut partitions[number as usize];
            let offset = partition.len() as i64;
            let record = OwnedRecord { offset, timestamp_ms: 0, key: output.key, value: output.value };
            partition.push(record);
        }
        drop(log);
        self.grown.notify_all();
    }

    /// Everything of a topic, partition by partition.
    pub fn records(&self, topic: &str) -> Vec<OwnedRecord> {
        self.lock().topics[topic].iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }
}

/// What the stages get: the log, shared.
pub struct Shared(pub Arc<MemBus>);

impl Bus for Shared {
    fn cluster_id(&self) -> Result<String, BusError> {
        Ok("mem".to_owned())
    }

    fn ensure_topics(&self, _: &[TopicSpec]) -> Result<(), BusError> {
        Ok(())
    }

    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        Ok(self.0.lock().topics.get(topic).map(|p| p.len() as u32))
    }

    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        Ok(self.0.lock().topics[topic].iter().map(|p| p.len() as i64).collect())
    }

    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        Ok(self.0.lock().topics[topic].iter().map(|_| 0).collect())
    }

    fn offsets_at(&self, _: &str, _: i64) -> Result<Vec<i64>, BusError> {
        unreachable!()
    }

    fn publisher(&self, _: &str) -> Result<Arc<dyn Publisher>, BusError> {
        Ok(Arc::new(Self(self.0.clone())))
    }

    fn tail(&self, topic: &str) -> Result<Box<dyn Tail>, BusError> {
        Ok(Box::new(MemTail { bus: self.0.clone(), topic: topic.to_owned(), next: HashMap::new(), caught_up: false }))
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>, BusError> {
        Ok(Box::new(MemSession {
            bus: self.0.clone(),
            group: options.group.clone(),
            to_assign: Vec::new(),
            next: HashMap::new(),
            paused: HashSet::new(),
            open: Vec::new(),
        }))
    }
}

impl Publisher for Shared {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        let (acknowledge, receipt) = receipt();
        let answer = if self.0.publishers_cut_off.load(Ordering::Relaxed) {
            Err(PublishError::Unavailable("cut off".to_owned()))
        } else {
            self.0.append(outputs);
            Ok(Vec::new())
        };
        acknowledge.send(answer).unwrap();
        receipt
    }
}

struct MemTail {
    bus: Arc<MemBus>,
    topic: String,
    next: HashMap<usize, usize>,
    caught_up: bool,
}

impl Tail for MemTail {
    fn next(&mut self, wait: Duration, each: &mut dyn FnMut(u32, Record<'_>)) -> Result<(), BusError> {
        let log = self.bus.lock();
        let has_more = |log: &Log, next: &HashMap<usize, usize>| {
            log.topics[&self.topic].iter().enumerate().any(|(n, p)| p.len() > next.get(&n).copied().unwrap_or(0))
        };
        let next = &self.next;
        let (log, _) = self.bus.grown.wait_timeout_while(log, wait, |log| !has_more(log, next)).unwrap();
        for (number, partition) in log.topics[&self.topic].iter().enumerate() {
            for record in &partition[self.next.get(&number).copied().unwrap_or(0)..] {
                each(number as u32, record.as_record());
            }
            self.next.insert(number, partition.len());
        }
        self.caught_up = true;
        Ok(())
    }

    fn caught_up(&self) -> bool {
        self.caught_up
    }

    fn mark(&mut self) -> Result<(), BusError> {
        unreachable!("nobody marks the end of this log")
    }

    fn passed_mark(&self) -> bool {
        false
    }
}

struct MemSession {
    bus: Arc<MemBus>,
    group: Arc<str>,
    to_assign: Vec<TopicPartition>,
    next: HashMap<TopicPartition, i64>,
    paused: HashSet<TopicPartition>,
    open: Vec<Output>,
}

impl MemSession {
    fn ready(&self, log: &Log, max: usize) -> Vec<(TopicPartition, OwnedRecord)> {
        let mut found = Vec::new();
        for (at, next) in self.next.iter().filter(|(at, _)| !self.paused.contains(at)) {
            let records = &log.topics[&*at.topic][at.partition as usize];
            let rest = records.iter().skip(*next as usize).take(max - found.len());
            found.extend(rest.map(|r| (at.clone(), r.clone())));
        }
        found
    }
}

impl Session for MemSession {
    fn group(&self) -> &Arc<str> {
        &self.group
    }

    fn subscribe(&mut self, inputs: &[InputTopic]) -> Result<(), SessionError> {
        let log = self.bus.lock();
        let all = |input: &InputTopic| -> Vec<TopicPartition> {
            let count = log.topics[&*input.name].len() as u32;
            (0..count).map(|partition| TopicPartition { topic: input.name.clone(), partition }).collect()
        };
        self.to_assign = inputs.iter().flat_map(all).collect();
        Ok(())
    }

    fn fetch(
        &mut self,
        wait: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError> {
        if !self.to_assign.is_empty() {
            return Ok(vec![GroupEvent::Assigned(std::mem::take(&mut self.to_assign))]);
        }
        let log = self.bus.lock();
        let idle = |log: &mut Log| self.ready(log, 1).is_empty();
        let (log, _) = self.bus.grown.wait_timeout_while(log, wait, idle).unwrap();
        let ready = self.ready(&log, max);
        drop(log);
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let mut fetched = Fetched::with_capacity(ready.len());
        for (at, record) in &ready {
            fetched.push(&at.topic, at.partition, record.as_record());
            self.next.insert(at.clone(), record.offset + 1);
        }
        each(&fetched);
        Ok(Vec::new())
    }

    fn begin(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError> {
        let log = self.bus.lock();
        let begin = |at: &TopicPartition| {
            let committed = log.committed.get(&(self.group.clone(), at.clone())).copied();
            let position = Position { at: at.clone(), offset: committed.unwrap_or(0), metadata: None };
            Begin { position, committed: committed.is_some() }
        };
        Ok(assigned.iter().map(begin).collect())
    }

    fn restore(&mut self, wanted: &[RestoreFrom], each: &mut Restored<'_>) -> Result<Vec<i64>, SessionError> {
        let mut next = Vec::new();
        for RestoreFrom { at, .. } in wanted {
            let records = &self.bus.lock().topics[&*at.topic][at.partition as usize];
            for record in records {
                each(at.partition, record.offset, record.key.as_deref().unwrap(), record.value.as_deref());
            }
            next.push(records.last().map_or(0, |r| r.offset + 1));
        }
        Ok(next)
    }

    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.next.extend(positions.iter().map(|p| (p.at.clone(), p.offset)));
        Ok(())
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.next.retain(|at, _| !partitions.contains(at));
        Ok(())
    }

    fn pause(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.paused.insert(at.clone());
        Ok(())
    }

    fn resume(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.paused.remove(at);
        Ok(())
    }

    fn caught_up(&self, at: &TopicPartition) -> bool {
        let end = self.bus.lock().topics[&*at.topic][at.partition as usize].len() as i64;
        self.next.get(at).is_some_and(|next| *next >= end)
    }

    fn all_caught_up(&self) -> bool {
        self.next.keys().all(|at| self.paused.contains(at) || self.caught_up(at))
    }

    fn position(&self, at: &TopicPartition) -> i64 {
        self.next.get(at).copied().unwrap_or(0)
    }

    fn high_watermarks(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, SessionError> {
        let log = self.bus.lock();
        Ok(partitions.iter().map(|at| Some(log.topics[&*at.topic][at.partition as usize].len() as i64)).collect())
    }

    fn lag(&mut self) -> Option<u64> {
        None
    }

    fn partitions(&mut self, topic: &Arc<str>) -> Result<u32, SessionError> {
        let count = self.bus.lock().topics.get(&**topic).map(|p| p.len() as u32);
        count.ok_or_else(|| SessionError::Halt(format!("no topic {topic}")))
    }

    fn send(&mut self, output: Output, partition: u32) -> Result<(), SessionError> {
        self.open.push(Output { to: To::Partition(partition), ..output });
        Ok(())
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        let offsets = positions.iter().map(|p| ((self.group.clone(), p.at.clone()), p.offset));
        self.bus.lock().committed.extend(offsets);
        self.bus.append(std::mem::take(&mut self.open));
        Ok(())
    }

    fn abort(&mut self, rewind: &[Position]) -> Result<(), SessionError> {
        self.open.clear();
        self.next.extend(rewind.iter().map(|p| (p.at.clone(), p.offset)));
        Ok(())
    }

    fn close(&mut self) {}
}

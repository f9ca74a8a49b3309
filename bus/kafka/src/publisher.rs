//! Writes from outside of a stage: one thread, which writes all that waits at once.
//!
//! Calls of one record each are written without a transaction ([`Singly`]); as soon as one that waits has several
//! records, all that waits goes into one transaction, for a call is written as a whole, and in its turn. A call is
//! answered in a bounded time, whatever the brokers do: `Unavailable` if it certainly was not written,
//! `OutcomeUnknown` if it was on its way.
#![expect(clippy::disallowed_methods, reason = "how long calls have waited for the broker")]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use petrel_bus::{
    Acknowledge, BusError, Output, PublishError, Publisher, Receipt, To, TopicPartition, Written, partition_of, receipt,
};

use crate::bus::Questions;
use crate::context::lock;
use crate::faults::Fault;
use crate::options::KafkaOptions;
use crate::singly::Singly;
use crate::transactions::Transactions;

/// Pause after a producer could not be made or was lost.
const CONNECT_PAUSE: Duration = Duration::from_millis(200);
/// How long it is taken for granted that a topic does not exist.
const UNKNOWN_TOPIC_AGE_MAX: Duration = Duration::from_secs(1);

struct Call {
    outputs: Vec<Output>,
    bytes: usize,
    since: Instant,
    acknowledge: Acknowledge,
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<Call>,
    bytes: usize,
    closed: bool,
}

struct Shared {
    options: Arc<KafkaOptions>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

pub(crate) struct KafkaPublisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl KafkaPublisher {
    /// Starts the thread; it connects by itself, again and again.
    pub(crate) fn spawn(options: &Arc<KafkaOptions>, questions: &Arc<Questions>, name: &str) -> Result<Self, BusError> {
        let shared = Arc::new(Shared { options: options.clone(), queue: Mutex::default(), changed: Condvar::new() });
        let mut own = KafkaOptions::clone(options);
        own.commit_timeout_ms = own.commit_timeout_ms.min(own.publish_timeout_ms);
        own.init_timeout_ms = own.init_timeout_ms.min(own.publish_timeout_ms / 2);
        let publish_timeout_ms = u32::try_from(own.publish_timeout_ms).unwrap_or(u32::MAX);
        own.transaction_timeout_ms = own.transaction_timeout_ms.min(publish_timeout_ms.max(1_000));
        let mut writer = Writer {
            shared: shared.clone(),
            options: Arc::new(own),
            questions: questions.clone(),
            name: format!("publisher-{name}"),
            singly: None,
            transactions: None,
            partitions: HashMap::new(),
            unknown: HashMap::new(),
        };
        let thread = std::thread::Builder::new()
            .name(writer.name.clone())
            .spawn(move || writer.run())
            .map_err(|e| BusError::Storage(format!("no thread could be started: {e}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Publisher for KafkaPublisher {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        let (acknowledge, receipt) = receipt();
        let options = &self.shared.options;
        let bytes = outputs.iter().map(Output::bytes).sum();
        let large = outputs.iter().map(Output::bytes).find(|bytes| *bytes > options.record_bytes_max);
        let mut queue = lock(&self.shared.queue);
        // One call may be larger than the queue, or it could never be made.
        let full = queue.calls.len() >= options.publish_calls_max
            || (queue.bytes > 0 && queue.bytes + bytes > options.publish_bytes_max);
        let answer = if queue.closed {
            Err(PublishError::Closed)
        } else if let Some(bytes) = large {
            Err(PublishError::TooLarge { bytes, limit_bytes: options.record_bytes_max })
        } else if outputs.is_empty() {
            Ok(Written::new())
        } else if full {
            Err(PublishError::Overloaded)
        } else {
            queue.bytes += bytes;
            queue.calls.push_back(Call { outputs, bytes, since: Instant::now(), acknowledge });
            self.shared.changed.notify_one();
            return receipt;
        };
        drop(queue);
        answer_to(acknowledge, answer);
        receipt
    }
}

impl Drop for KafkaPublisher {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a publisher's thread panicked");
        }
    }
}

/// Whoever asked may have gone.
fn answer_to(acknowledge: Acknowledge, answer: Result<Written, PublishError>) {
    if acknowledge.send(answer).is_err() {
        tracing::trace!("nobody waits for an acknowledgement");
    }
}

/// The thread's side.
struct Writer {
    shared: Arc<Shared>,
    /// As the bus's, with shorter waits: calls are answered in time.
    options: Arc<KafkaOptions>,
    questions: Arc<Questions>,
    name: String,
    singly: Option<Singly>,
    transactions: Option<Transactions>,
    partitions: HashMap<Arc<str>, u32>,
    unknown: HashMap<Arc<str>, Instant>,
}

/// A call with the partition of each of its records.
type Placed = (Call, Vec<u32>);

impl Writer {
    fn run(&mut self) {
        // Connected before the first call, which then is as fast as the next ones.
        let connected = self.connect().and_then(|()| self.connect_singly());
        connected.unwrap_or_else(|why| tracing::warn!(publisher = %self.name, %why, "not connected"));
        while let Some(calls) = self.next_group() {
            let placed: Vec<Placed> = calls.into_iter().filter_map(|call| self.place(call)).collect();
            if !placed.is_empty() {
                self.write(placed);
            }
        }
    }

    /// Everything that waits, up to the limit of a transaction; none once closed and empty.
    fn next_group(&self) -> Option<Vec<Call>> {
        let mut queue = lock(&self.shared.queue);
        while queue.calls.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.shared.changed.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let (mut calls, mut bytes) = (Vec::new(), 0);
        while let Some(call) = queue.calls.front() {
            if !calls.is_empty() && bytes + call.bytes > self.options.publish_group_bytes_max {
                break;
            }
            bytes += call.bytes;
            calls.extend(queue.calls.pop_front());
        }
        queue.bytes -= bytes;
        Some(calls)
    }

    /// Chooses the partitions, or answers the call if one of its topics is not there.
    fn place(&mut self, call: Call) -> Option<Placed> {
        let mut partitions = Vec::with_capacity(call.outputs.len());
        for output in &call.outputs {
            match self.partition_of(output) {
                Ok(partition) => partitions.push(partition),
                Err(error) => {
                    answer_to(call.acknowledge, Err(error));
                    return None;
                }
            }
        }
        Some((call, partitions))
    }

    fn partition_of(&mut self, output: &Output) -> Result<u32, PublishError> {
        let count = self.count(&output.topic)?;
        match (output.to, &output.key) {
            (To::Partition(partition), _) if partition >= count => {
                Err(PublishError::Unavailable(format!("{} has no partition {partition}", output.topic)))
            }
            (To::Partition(partition), _) => Ok(partition),
            (To::Key, Some(key)) => Ok(partition_of(key, count)),
            (To::Key, None) => Ok(0),
        }
    }

    fn count(&mut self, topic: &Arc<str>) -> Result<u32, PublishError> {
        if let Some(count) = self.partitions.get(topic) {
            return Ok(*count);
        }
        let unknown = PublishError::UnknownTopic(topic.to_string());
        if self.unknown.get(topic).is_some_and(|since| since.elapsed() < UNKNOWN_TOPIC_AGE_MAX) {
            return Err(unknown);
        }
        match self.questions.partitions(topic) {
            Ok(Some(count)) => {
                self.partitions.insert(topic.clone(), count);
                Ok(count)
            }
            Ok(None) => {
                self.unknown.retain(|_, since| since.elapsed() < UNKNOWN_TOPIC_AGE_MAX);
                self.unknown.insert(topic.clone(), Instant::now());
                Err(unknown)
            }
            Err(error) => Err(PublishError::Unavailable(error.to_string())),
        }
    }

    /// Writes calls and answers them.
    fn write(&mut self, calls: Vec<Placed>) {
        let calls = self.without_late(calls);
        if calls.iter().all(|(call, _)| call.outputs.len() == 1) {
            self.write_singly(calls);
        } else {
            self.write_together(calls);
        }
    }

    /// Calls of one record each.
    fn write_singly(&mut self, calls: Vec<Placed>) {
        if let Err(why) = self.connect_singly() {
            tracing::warn!(publisher = %self.name, %why, "not connected");
            return self.put_off(calls, &why);
        }
        let Some(singly) = &self.singly else { return };
        let written = singly.write(calls.iter().map(|(call, partitions)| (&call.outputs[0], partitions[0])));
        let failed = written.iter().filter(|result| result.is_err()).count();
        if let Some(Err(error)) = written.iter().find(|result| result.is_err()) {
            tracing::warn!(publisher = %self.name, %error, calls = failed, "records were not acknowledged");
        }
        if singly.is_spent() {
            self.singly = None;
        }
        for ((call, partitions), result) in calls.into_iter().zip(written) {
            let at = |offset| {
                vec![(TopicPartition { topic: call.outputs[0].topic.clone(), partition: partitions[0] }, Some(offset))]
            };
            answer_to(call.acknowledge, result.map(at));
        }
    }

    /// Calls in one transaction.
    fn write_together(&mut self, calls: Vec<Placed>) {
        if let Err(why) = self.connect() {
            tracing::warn!(publisher = %self.name, %why, "not connected");
            return self.put_off(calls, &why);
        }
        match self.transaction(&calls) {
            Ok(offsets) => {
                let mut offsets = offsets.into_iter();
                for (call, partitions) in calls {
                    let written = call.outputs.iter().zip(partitions).map(|(output, partition)| {
                        (TopicPartition { topic: output.topic.clone(), partition }, offsets.next().flatten())
                    });
                    let written = written.collect();
                    answer_to(call.acknowledge, Ok(written));
                }
            }
            // One call may have spoilt it for the others.
            Err(PublishError::Unavailable(_)) if calls.len() > 1 => {
                calls.into_iter().for_each(|call| self.write(vec![call]));
            }
            Err(error) => {
                tracing::warn!(publisher = %self.name, %error, calls = calls.len(), "records were not acknowledged");
                calls.into_iter().for_each(|(call, _)| answer_to(call.acknowledge, Err(error.clone())));
            }
        }
    }

    /// One transaction with everything in it; offsets in the order of the records.
    fn transaction(&mut self, calls: &[Placed]) -> Result<Vec<Option<i64>>, PublishError> {
        let Some(transactions) = &mut self.transactions else {
            return Err(PublishError::Unavailable("not connected".into()));
        };
        let records = calls.iter().flat_map(|(call, partitions)| call.outputs.iter().zip(partitions));
        let prepared = transactions.begin().and_then(|()| {
            transactions.expect_deliveries(records.clone().count());
            for (number, (output, partition)) in records.enumerate() {
                transactions.send(output, *partition, number)?;
            }
            transactions.prepare(None)
        });
        let (fault, sent) = match prepared {
            Err(fault) => (fault, false),
            Ok(()) => match transactions.finish() {
                Ok(()) => return Ok(transactions.delivered_offsets()),
                Err(fault) => (fault, true),
            },
        };
        let kept = matches!(fault, Fault::Abort(_)) && transactions.abort().is_ok();
        if !kept {
            self.transactions = None;
        }
        let why = fault.why().to_owned();
        match sent && !matches!(fault, Fault::Abort(_)) {
            true => Err(PublishError::OutcomeUnknown(why)),
            false => Err(PublishError::Unavailable(why)),
        }
    }

    fn connect_singly(&mut self) -> Result<(), String> {
        if self.singly.is_none() {
            self.singly = Some(Singly::connect(&self.options, &self.name).map_err(|e| e.to_string())?);
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<(), String> {
        if self.transactions.is_none() {
            let transactions = Transactions::connect(&self.options, &self.name).map_err(|e| e.to_string())?;
            self.transactions = Some(transactions);
        }
        Ok(())
    }

    /// Answers the calls that have waited too long.
    fn without_late(&self, calls: Vec<Placed>) -> Vec<Placed> {
        let timeout = Duration::from_millis(self.options.publish_timeout_ms);
        let (late, calls): (Vec<Placed>, Vec<Placed>) =
            calls.into_iter().partition(|(call, _)| call.since.elapsed() >= timeout);
        for (call, _) in late {
            let why = format!("not written within {} ms", timeout.as_millis());
            answer_to(call.acknowledge, Err(PublishError::Unavailable(why)));
        }
        calls
    }

    /// Puts calls back in front, to be tried again while there is time for them.
    fn put_off(&self, calls: Vec<Placed>, why: &str) {
        let calls = self.without_late(calls);
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            drop(queue);
            for (call, _) in calls {
                answer_to(call.acknowledge, Err(PublishError::Unavailable(why.to_owned())));
            }
            return;
        }
        for (call, _) in calls.into_iter().rev() {
            queue.bytes += call.bytes;
            queue.calls.push_front(call);
        }
        drop(queue);
        std::thread::sleep(CONNECT_PAUSE);
    }
}

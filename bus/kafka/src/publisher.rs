//! Writes from outside of a stage: one thread, which writes all that waits at once.
//!
//! Calls of one record each are written without a transaction ([`Singly`]); as soon as one that waits has several
//! records, all that waits goes into one transaction, for a call is written as a whole, and in its turn. A call is
//! answered in a bounded time, whatever the brokers do: `Unavailable` if it certainly was not written,
//! `OutcomeUnknown` if it was on its way.
#![expect(clippy::disallowed_methods, reason = "how long calls have waited for the broker")]

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use petrel_bus::{BusError, Output, PublishError, Publisher, Receipt, To, TopicPartition, partition_of, receipt};

use crate::bus::Questions;
use crate::calls::{Call, Calls, Next, is_late};
use crate::faults::Fault;
use crate::options::KafkaOptions;
use crate::singly::Singly;
use crate::transactions::Transactions;

/// Pause after a producer could not be made or was lost.
const CONNECT_PAUSE: Duration = Duration::from_millis(200);
/// How long it is taken for granted that a topic does not exist.
const UNKNOWN_TOPIC_AGE_MAX: Duration = Duration::from_secs(1);

pub(crate) struct KafkaPublisher {
    options: Arc<KafkaOptions>,
    calls: Arc<Calls>,
    thread: Option<JoinHandle<()>>,
}

impl KafkaPublisher {
    /// Starts the thread; it connects by itself, again and again.
    pub(crate) fn spawn(options: &Arc<KafkaOptions>, questions: &Arc<Questions>, name: &str) -> Result<Self, BusError> {
        let calls = Arc::new(Calls::default());
        let mut own = KafkaOptions::clone(options);
        own.commit_timeout_ms = own.commit_timeout_ms.min(own.publish_timeout_ms);
        own.init_timeout_ms = own.init_timeout_ms.min(own.publish_timeout_ms / 2);
        let publish_timeout_ms = u32::try_from(own.publish_timeout_ms).unwrap_or(u32::MAX);
        own.transaction_timeout_ms = own.transaction_timeout_ms.min(publish_timeout_ms.max(1_000));
        let mut writer = Writer {
            calls: calls.clone(),
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
        Ok(Self { options: options.clone(), calls, thread: Some(thread) })
    }
}

impl Publisher for KafkaPublisher {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        let (acknowledge, receipt) = receipt();
        self.calls.add(Call::new(outputs, acknowledge), &self.options);
        receipt
    }
}

impl Drop for KafkaPublisher {
    fn drop(&mut self) {
        self.calls.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a publisher's thread panicked");
        }
    }
}

/// The thread's side.
struct Writer {
    calls: Arc<Calls>,
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
        self.connect().unwrap_or_else(|why| tracing::warn!(publisher = %self.name, %why, "not connected"));
        loop {
            let in_flight = self.singly.as_ref().map_or(0, Singly::in_flight);
            let bytes = self.singly.as_ref().map_or(0, Singly::in_flight_bytes);
            let is_full = in_flight >= self.options.publish_calls_max || bytes >= self.options.publish_bytes_max;
            let next = match is_full {
                true => Next::Nothing,
                false => self.calls.next(self.options.publish_group_bytes_max, in_flight == 0),
            };
            let is_group = matches!(next, Next::Group(_));
            match next {
                Next::Group(calls) => {
                    let placed: Vec<Placed> = calls.into_iter().filter_map(|call| self.place(call)).collect();
                    self.write(placed);
                }
                Next::Closed if in_flight == 0 => return,
                Next::Closed | Next::Nothing => {}
            }
            // While calls come, those that are on their way are answered in between.
            self.singly.iter_mut().for_each(|singly| singly.serve(!is_group));
            if self.singly.as_ref().is_some_and(Singly::is_spent) {
                self.finish_singly();
                self.singly = None;
            }
        }
    }

    fn finish_singly(&mut self) {
        self.singly.iter_mut().for_each(Singly::finish);
    }

    /// Chooses the partitions, or answers the call if one of its topics is not there.
    fn place(&mut self, call: Call) -> Option<Placed> {
        let mut partitions = Vec::with_capacity(call.outputs.len());
        for output in &call.outputs {
            match self.partition_of(output) {
                Ok(partition) => partitions.push(partition),
                Err(error) => {
                    call.answer(Err(error));
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

    /// Writes calls, in their turn. Both ways are open, or none is used: what a transaction of this name has left
    /// open, here or in an earlier process, would hide all that is written behind it.
    fn write(&mut self, calls: Vec<Placed>) {
        let calls = self.without_late(calls);
        if calls.is_empty() {
            return;
        }
        if let Err(why) = self.connect() {
            tracing::warn!(publisher = %self.name, %why, "not connected");
            return self.put_off(calls, &why);
        }
        if calls.iter().any(|(call, _)| call.outputs.len() != 1) {
            // What is on its way to the same partitions is before them; the others are waited for by nobody.
            let place = |(call, partitions): &'_ Placed| {
                let topics = call.outputs.iter().map(|output| output.topic.to_string());
                topics.zip(partitions.iter().copied()).collect::<Vec<_>>()
            };
            let places: Vec<(String, u32)> = calls.iter().flat_map(place).collect();
            let places = places.iter().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
            self.singly.iter_mut().for_each(|singly| singly.finish_for(&places));
            let calls = self.without_late(calls);
            if !calls.is_empty() {
                self.write_together(calls);
            }
            return;
        }
        let Some(singly) = &mut self.singly else { return };
        for (call, partitions) in calls {
            singly.send(call, partitions[0]);
        }
    }

    /// Calls in one transaction.
    fn write_together(&mut self, calls: Vec<Placed>) {
        match self.transaction(&calls) {
            Ok(offsets) => {
                let mut offsets = offsets.into_iter();
                for (call, partitions) in calls {
                    let written = call.outputs.iter().zip(partitions).map(|(output, partition)| {
                        (TopicPartition { topic: output.topic.clone(), partition }, offsets.next().flatten())
                    });
                    let written = written.collect();
                    call.answer(Ok(written));
                }
            }
            // One call may have spoilt it for the others.
            Err(PublishError::Unavailable(_)) if calls.len() > 1 => {
                calls.into_iter().for_each(|call| self.write(vec![call]));
            }
            Err(error) => {
                tracing::warn!(publisher = %self.name, %error, calls = calls.len(), "records were not acknowledged");
                calls.into_iter().for_each(|(call, _)| call.answer(Err(error.clone())));
            }
        }
    }

    /// One transaction with everything in it; offsets in the order of the records.
    fn transaction(&mut self, calls: &[Placed]) -> Result<Vec<Option<i64>>, PublishError> {
        let Some(transactions) = &mut self.transactions else {
            return Err(PublishError::Unavailable("not connected".into()));
        };
        let records = calls.iter().flat_map(|(call, partitions)| call.outputs.iter().zip(partitions));
        let count = records.clone().count();
        let prepared = transactions.begin().and_then(|()| {
            transactions.expect_deliveries();
            for (number, (output, partition)) in records.enumerate() {
                transactions.send(output, *partition, number)?;
            }
            transactions.prepare(None)
        });
        let (fault, sent) = match prepared {
            Err(fault) => (fault, false),
            Ok(()) => match transactions.finish() {
                Ok(()) => return Ok(transactions.delivered_offsets(count)),
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

    fn connect(&mut self) -> Result<(), String> {
        if self.transactions.is_none() {
            let transactions = Transactions::connect(&self.options, &self.name).map_err(|e| e.to_string())?;
            self.transactions = Some(transactions);
        }
        if self.singly.is_none() {
            let singly = Singly::connect(&self.options, &self.name).map_err(|e| e.to_string())?;
            self.calls.wake_with(singly.waker());
            self.singly = Some(singly);
        }
        Ok(())
    }

    /// Answers the calls that have waited too long.
    fn without_late(&self, calls: Vec<Placed>) -> Vec<Placed> {
        let timeout = Duration::from_millis(self.options.publish_timeout_ms);
        let (late, calls): (Vec<Placed>, Vec<Placed>) = calls.into_iter().partition(|(call, _)| is_late(call, timeout));
        for (call, _) in late {
            let why = format!("not written within {} ms", timeout.as_millis());
            call.answer(Err(PublishError::Unavailable(why)));
        }
        calls
    }

    /// Puts calls back in front, to be tried again while there is time for them.
    fn put_off(&self, calls: Vec<Placed>, why: &str) {
        let calls = self.without_late(calls).into_iter().map(|(call, _)| call).collect();
        match self.calls.put_back(calls) {
            Ok(()) => std::thread::sleep(CONNECT_PAUSE),
            Err(calls) => {
                calls.into_iter().for_each(|call| call.answer(Err(PublishError::Unavailable(why.to_owned()))));
            }
        }
    }
}

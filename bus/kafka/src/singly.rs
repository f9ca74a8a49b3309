//! Records that are written each by itself: without a transaction, once each, in order (KIP-98, idempotent producer).
//!
//! Most calls from outside of a stage are one record: a heartbeat, a result, an event. A transaction of one record
//! adds nothing but five requests to the broker. Nobody waits for anybody: each call is answered with what became of its
//! own record, however long another partition has no leader.
#![expect(clippy::disallowed_methods, reason = "how long records have waited for the broker")]

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use petrel_bus::{BusError, PublishError, TopicPartition, Waker};

use crate::calls::Call;
use crate::context::Delivery;
use crate::faults::bus_error;
use crate::options::KafkaOptions;
use crate::sending::Sending;

/// Records time out by themselves; how much longer that is waited for.
const DELIVERY_GRACE: Duration = Duration::from_secs(2);
/// Longest wait for a report before it is looked whether something is overdue.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Singly {
    timeout: Duration,
    sending: Sending,
    /// No number is ever used again.
    next_number: usize,
    waiting: BTreeMap<usize, Waiting>,
    bytes: usize,
    last_written: Instant,
    spent: bool,
}

struct Waiting {
    call: Call,
    partition: u32,
    sent: Instant,
}

impl Singly {
    pub(crate) fn connect(options: &KafkaOptions, name: &str) -> Result<Self, BusError> {
        let sending = Sending::create(&options.single_producer(), name);
        let sending = sending.map_err(|e| bus_error(&format!("cannot write as {name}"), &e))?;
        Ok(Self {
            timeout: Duration::from_millis(options.publish_timeout_ms),
            sending,
            next_number: 0,
            waiting: BTreeMap::new(),
            bytes: 0,
            last_written: Instant::now(),
            spent: false,
        })
    }

    /// Ends [`Singly::serve`] early.
    pub(crate) fn waker(&self) -> Waker {
        self.sending.waker()
    }

    /// Sends the one record of a call.
    pub(crate) fn send(&mut self, call: Call, partition: u32) {
        let number = self.next_number;
        self.next_number += 1;
        let Some(output) = call.outputs.first() else { return call.answer(Ok(Vec::new())) };
        match self.sending.send(output, partition, number, self.timeout) {
            Ok(()) => {
                self.bytes += call.bytes();
                self.waiting.insert(number, Waiting { call, partition, sent: Instant::now() });
            }
            Err(error) => call.answer(Err(PublishError::Unavailable(error.to_string()))),
        }
    }

    /// How many calls are not answered yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes of their keys and values.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it can or shall write no more: a gap in its numbers, say, is for ever.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Answers the calls about which something is known; `patient`, waits a moment for that.
    pub(crate) fn serve(&mut self, patient: bool) {
        if patient {
            self.sending.serve_one(LOOK_EVERY);
        }
        self.sending.serve();
        self.answer();
        let limit = self.timeout + DELIVERY_GRACE;
        if self.waiting.first_key_value().is_some_and(|(_, oldest)| oldest.sent.elapsed() > limit) {
            self.give_up();
        }
        self.spent |= self.sending.fatal().is_some();
    }

    /// Waits until every call is answered.
    pub(crate) fn finish(&mut self) {
        while !self.waiting.is_empty() {
            self.serve(true);
        }
    }

    /// Waits until every call is answered whose record is for one of these.
    pub(crate) fn finish_for(&mut self, places: &HashSet<(&str, u32)>) {
        let is_before = |waiting: &Waiting| {
            let topic = waiting.call.outputs.first().map_or("", |output| &*output.topic);
            places.contains(&(topic, waiting.partition))
        };
        while self.waiting.values().any(is_before) {
            self.serve(true);
        }
    }

    fn answer(&mut self) {
        let (mut failed, mut last) = (0, None);
        for (number, delivery) in self.sending.context().deliveries() {
            let Some(Waiting { call, partition, sent }) = self.waiting.remove(&number) else { continue };
            self.bytes -= call.bytes();
            let answer = match delivery {
                Delivery::Written(offset) => {
                    self.last_written = Instant::now();
                    let topic = call.outputs[0].topic.clone();
                    Ok(vec![(TopicPartition { topic, partition }, Some(offset))])
                }
                Delivery::NotWritten(why) => Err(PublishError::Unavailable(why)),
                Delivery::InDoubt(why) => Err(PublishError::OutcomeUnknown(why)),
            };
            if let Err(error) = &answer {
                (failed, last) = (failed + 1, Some(error.clone()));
                // Nothing at all was written in all its time: perhaps another client fares better.
                self.spent |= sent.elapsed() + DELIVERY_GRACE >= self.timeout && self.last_written < sent;
            }
            call.answer(answer);
        }
        if let Some(error) = last {
            tracing::warn!(%error, calls = failed, "records were not acknowledged");
        }
    }

    /// Of what is left nobody says anything any more.
    fn give_up(&mut self) {
        self.spent = true;
        self.sending.purge();
        self.sending.serve();
        self.answer();
        self.bytes = 0;
        for (_, Waiting { call, .. }) in std::mem::take(&mut self.waiting) {
            call.answer(Err(PublishError::OutcomeUnknown("the client does not say".into())));
        }
    }
}

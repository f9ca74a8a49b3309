//! Polls clients' events.
//!
//! The crate's own `BaseConsumer::poll` does not say which *topic* reached its end, only the partition
//! number, and costs two clock readings and a reference count a record. This module reads the same
//! events from the same queue; everything else goes through the crate.
//!
//! Safety: all pointers come from librdkafka and are used as its header says. A [`Message`] borrows the
//! [`Poller`], so events end before their queue, the queue before its client.
#![allow(unsafe_code)] // librdkafka's events have no safe interface that names the topic

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use petrel_bus::{Record, Waker};
use rdkafka::ClientContext;
use rdkafka::bindings as rd;
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaRespErr;

use crate::context::{Context, lock};

/// A consumer and its queue of events.
pub(crate) struct Poller {
    // Dropped by hand before the consumer.
    queue: NonNull<rd::rd_kafka_queue_t>,
    /// The same queue for those that wake it, for as long as it is there.
    wakes: Arc<Mutex<Option<Queue>>>,
    consumer: BaseConsumer<Context>,
}

// SAFETY: librdkafka's handles may be used from any thread; the queue is only polled through `&self` of
// an owner that is not shared.
unsafe impl Send for Poller {}

/// A queue that others may wake.
struct Queue(NonNull<rd::rd_kafka_queue_t>);

// SAFETY: it is only used to wake whoever polls it, which any thread may do.
unsafe impl Send for Queue {}

/// Identifies the topic of a message cheaply; the same as long as the partition is assigned.
pub(crate) type TopicHandle = usize;

/// What a poll brought.
pub(crate) enum Polled<'p> {
    /// Nothing came in time.
    Nothing,
    /// Something that is of no concern; poll again.
    Other,
    /// A record.
    Message(Message<'p>),
    /// All committed records before this offset have been handed out.
    End { topic: String, partition: u32, offset: i64 },
    /// Membership changed: whether it is an assignment, and the partitions.
    Rebalance { assigned: bool, partitions: Vec<(String, u32)> },
    /// An error, of one partition if one is named.
    Error { code: RDKafkaErrorCode, at: Option<(String, u32)>, fatal: bool, reason: String },
}

/// A record in librdkafka's memory.
pub(crate) struct Message<'p> {
    event: NonNull<rd::rd_kafka_event_t>,
    message: NonNull<rd::rd_kafka_message_t>,
    _poller: PhantomData<&'p Poller>,
}

struct Event(NonNull<rd::rd_kafka_event_t>);

impl Poller {
    pub(crate) fn new(consumer: BaseConsumer<Context>) -> Result<Self, KafkaError> {
        // SAFETY: the client is alive; the returned queue is a reference of our own.
        let queue = unsafe { rd::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        let queue = NonNull::new(queue).ok_or_else(|| KafkaError::ClientCreation("no consumer queue".into()))?;
        Ok(Self { queue, wakes: Arc::new(Mutex::new(Some(Queue(queue)))), consumer })
    }

    /// Ends a poll that waits, or the next one.
    pub(crate) fn waker(&self) -> Waker {
        let wakes = self.wakes.clone();
        Arc::new(move || {
            if let Some(queue) = &*lock(&wakes) {
                // SAFETY: the queue is there for as long as it can be found here.
                unsafe { rd::rd_kafka_queue_yield(queue.0.as_ptr()) }
            }
        })
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<Context> {
        &self.consumer
    }

    /// The next event, waiting at most so long.
    pub(crate) fn poll(&self, wait: Duration) -> Polled<'_> {
        let wait_ms = c_int::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(c_int::MAX);
        // SAFETY: the queue is alive; a returned event is ours to destroy.
        let event = unsafe { rd::rd_kafka_queue_poll(self.queue.as_ptr(), wait_ms) };
        let Some(event) = NonNull::new(event).map(Event) else { return Polled::Nothing };
        // SAFETY: the event is alive in all of these.
        match unsafe { rd::rd_kafka_event_type(event.0.as_ptr()) } {
            rd::RD_KAFKA_EVENT_FETCH => Message::of(event).map_or(Polled::Other, Polled::Message),
            rd::RD_KAFKA_EVENT_ERROR => event.error(self.consumer.client()),
            rd::RD_KAFKA_EVENT_REBALANCE => event.rebalance(),
            rd::RD_KAFKA_EVENT_LOG => {
                event.log(self.consumer.client());
                Polled::Other
            }
            _ => Polled::Other,
        }
    }

    /// First and next offset of a partition as the last fetch told them, without asking the broker.
    pub(crate) fn known_watermarks(&self, topic: &CStr, partition: i32) -> Option<(i64, i64)> {
        let (mut low, mut high) = (-1, -1);
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is alive, the pointers are valid for the call.
        let answer =
            unsafe { rd::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high) };
        (answer == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some((low, high))
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        *lock(&self.wakes) = None;
        // SAFETY: our own reference, not used again; the consumer is dropped after this.
        unsafe { rd::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours, not used again.
        unsafe { rd::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// A producer's queue of events: delivery reports above all.
///
/// The crate's `BaseProducer::poll` goes on until its time is up even when all reports have come; this
/// returns with the first event.
pub(crate) struct Reports {
    // Dropped by hand before the producer.
    queue: NonNull<rd::rd_kafka_queue_t>,
    producer: BaseProducer<Context>,
}

// SAFETY: as for `Poller`.
unsafe impl Send for Reports {}

impl Reports {
    pub(crate) fn new(producer: BaseProducer<Context>) -> Result<Self, KafkaError> {
        // SAFETY: the client is alive; the returned queue is a reference of our own.
        let queue = unsafe { rd::rd_kafka_queue_get_main(producer.client().native_ptr()) };
        let queue = NonNull::new(queue).ok_or_else(|| KafkaError::ClientCreation("no event queue".into()))?;
        Ok(Self { queue, producer })
    }

    pub(crate) fn producer(&self) -> &BaseProducer<Context> {
        &self.producer
    }

    /// Serves one event, waiting at most so long; whether there was one.
    pub(crate) fn serve(&self, wait: Duration) -> bool {
        let wait_ms = c_int::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(c_int::MAX);
        // SAFETY: the queue is alive; a returned event is ours to destroy.
        let event = unsafe { rd::rd_kafka_queue_poll(self.queue.as_ptr(), wait_ms) };
        let Some(event) = NonNull::new(event).map(Event) else { return false };
        let client = self.producer.client();
        // SAFETY: the event is alive in all of these.
        match unsafe { rd::rd_kafka_event_type(event.0.as_ptr()) } {
            rd::RD_KAFKA_EVENT_DR => event.deliveries(client.context()),
            rd::RD_KAFKA_EVENT_ERROR => drop(event.error(client)),
            rd::RD_KAFKA_EVENT_LOG => event.log(client),
            _ => {}
        }
        true
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        // SAFETY: our own reference, not used again; the producer is dropped after this.
        unsafe { rd::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

impl Event {
    fn deliveries(&self, context: &Context) {
        // SAFETY: the event is alive and its messages with it; `_private` is the number given on sending.
        unsafe {
            while let Some(message) = rd::rd_kafka_event_message_next(self.0.as_ptr()).as_ref() {
                let number = message._private as usize;
                if message.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                    context.delivered(number, message.offset);
                } else {
                    let status = rd::rd_kafka_message_status(message);
                    let in_doubt = status != rd::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
                    let topic = text(rd::rd_kafka_topic_name(message.rkt));
                    context.not_delivered(number, message.err.into(), &topic, in_doubt);
                }
            }
        }
    }

    fn partition(&self) -> Option<(String, u32, i64)> {
        // SAFETY: the event is alive; the returned partition is ours to destroy.
        unsafe {
            let partition = NonNull::new(rd::rd_kafka_event_topic_partition(self.0.as_ptr()))?;
            let found = partition_of(partition.as_ref());
            rd::rd_kafka_topic_partition_destroy(partition.as_ptr());
            Some(found)
        }
    }

    fn error(&self, client: &Client<Context>) -> Polled<'static> {
        // SAFETY: the event is alive, its text lives as long as it.
        let (raw, fatal, reason) = unsafe {
            let event = self.0.as_ptr();
            let reason = rd::rd_kafka_event_error_string(event);
            (rd::rd_kafka_event_error(event), rd::rd_kafka_event_error_is_fatal(event) != 0, text(reason))
        };
        let at = self.partition();
        if raw == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF {
            return match at {
                Some((topic, partition, offset)) => Polled::End { topic, partition, offset },
                None => Polled::Other,
            };
        }
        let code = RDKafkaErrorCode::from(raw);
        client.context().error(KafkaError::Global(code), &reason);
        Polled::Error { code, at: at.map(|(topic, partition, _)| (topic, partition)), fatal, reason }
    }

    fn rebalance(&self) -> Polled<'static> {
        // SAFETY: the event is alive; its list belongs to it and is only read.
        unsafe {
            let event = self.0.as_ptr();
            let assigned = rd::rd_kafka_event_error(event) == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
            let list = rd::rd_kafka_event_topic_partition_list(event);
            let mut partitions = Vec::new();
            if let Some(list) = list.as_ref()
                && !list.elems.is_null()
            {
                let elements = std::slice::from_raw_parts(list.elems, usize::try_from(list.cnt).unwrap_or(0));
                partitions.extend(elements.iter().map(|element| {
                    let (topic, partition, _) = partition_of(element);
                    (topic, partition)
                }));
            }
            Polled::Rebalance { assigned, partitions }
        }
    }

    fn log(&self, client: &Client<Context>) {
        let (mut facility, mut message, mut level) = (null(), null(), 0);
        // SAFETY: the event is alive, the texts live as long as it.
        unsafe {
            if rd::rd_kafka_event_log(self.0.as_ptr(), &mut facility, &mut message, &mut level) == 0 {
                client.context().log(log_level(level), text(facility).trim(), text(message).trim());
            }
        }
    }
}

fn log_level(level: c_int) -> RDKafkaLogLevel {
    match level {
        i32::MIN..=3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 => RDKafkaLogLevel::Notice,
        6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}

/// # Safety
/// Null, or a string that is alive during the call.
unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// # Safety
/// The element's topic is a string that is alive during the call.
unsafe fn partition_of(element: &rd::rd_kafka_topic_partition_t) -> (String, u32, i64) {
    // SAFETY: as the caller says.
    let topic = unsafe { text(element.topic) };
    (topic, u32::try_from(element.partition).unwrap_or(0), element.offset)
}

impl Message<'_> {
    fn of(event: Event) -> Option<Self> {
        // SAFETY: the event is alive; its message lives as long as it.
        let message = unsafe { rd::rd_kafka_event_message_next(event.0.as_ptr()) };
        let message = NonNull::new(message.cast_mut())?;
        let kept = event.0;
        std::mem::forget(event);
        Some(Self { event: kept, message, _poller: PhantomData })
    }

    fn raw(&self) -> &rd::rd_kafka_message_t {
        // SAFETY: alive as long as the event, which is ours.
        unsafe { self.message.as_ref() }
    }

    pub(crate) fn topic_handle(&self) -> TopicHandle {
        self.raw().rkt as usize
    }

    /// Name of the topic. Copies: use [`Message::topic_handle`] for every message.
    pub(crate) fn topic(&self) -> String {
        // SAFETY: the message holds its topic alive.
        unsafe { text(rd::rd_kafka_topic_name(self.raw().rkt)) }
    }

    pub(crate) fn partition(&self) -> u32 {
        u32::try_from(self.raw().partition).unwrap_or(0)
    }

    pub(crate) fn offset(&self) -> i64 {
        self.raw().offset
    }

    pub(crate) fn record(&self) -> Record<'_> {
        let raw = self.raw();
        // SAFETY: the message is alive; a kind of timestamp is not asked for.
        let timestamp_ms = unsafe { rd::rd_kafka_message_timestamp(raw, null_mut()) };
        Record {
            offset: raw.offset,
            timestamp_ms,
            key: self.bytes(raw.key, raw.key_len),
            value: self.bytes(raw.payload, raw.len),
        }
    }

    fn bytes(&self, pointer: *mut std::ffi::c_void, len: usize) -> Option<&[u8]> {
        if pointer.is_null() {
            return None;
        }
        // SAFETY: librdkafka says that many bytes, alive as long as the message.
        Some(unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), len) })
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // SAFETY: ours, not used again; the message goes with it.
        unsafe { rd::rd_kafka_event_destroy(self.event.as_ptr()) }
    }
}

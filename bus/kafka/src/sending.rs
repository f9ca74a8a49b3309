//! A producer and what became of the records that were given to it, in a transaction or without one.
#![expect(clippy::disallowed_methods, reason = "how long records have waited for the broker")]

use std::time::{Duration, Instant};

use petrel_bus::{Output, Waker};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};

use crate::context::Context;
use crate::lists::number;
use crate::native::Reports;

/// Longest single wait for a report. Each of them ends it, so that this is for what is never reported.
const REPORT_WAIT: Duration = Duration::from_millis(20);
/// Pause while the producer's own queue is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);

/// A producer with its reports.
pub(crate) struct Sending {
    reports: Reports,
}

fn headers(output: &Output) -> Option<OwnedHeaders> {
    let header = |headers: OwnedHeaders, (key, value): &(String, Vec<u8>)| {
        headers.insert(Header { key, value: Some(value.as_slice()) })
    };
    let count = output.headers.len();
    (count > 0).then(|| output.headers.iter().fold(OwnedHeaders::new_with_capacity(count), header))
}

impl Sending {
    /// A producer of this name, for log lines.
    pub(crate) fn create(config: &ClientConfig, name: &str) -> Result<Self, KafkaError> {
        let producer: BaseProducer<Context> = config.create_with_context(Context::new(format!("producer {name}")))?;
        Ok(Self { reports: Reports::new(producer)? })
    }

    /// Ends [`Sending::serve_one`] early.
    pub(crate) fn waker(&self) -> Waker {
        self.reports.waker()
    }

    /// Waits for a delivery report or a log line.
    pub(crate) fn serve_one(&self, wait: Duration) {
        self.reports.serve(wait);
    }

    /// Serves delivery reports and log lines that wait.
    pub(crate) fn serve(&self) {
        while self.reports.serve(Duration::ZERO) {}
    }

    /// Hands a record over; `numbered` asks what becomes of it. While the producer's queue is full that is waited
    /// for, no longer than `patience`.
    pub(crate) fn send(
        &self,
        output: &Output,
        partition: u32,
        numbered: usize,
        patience: Duration,
    ) -> Result<(), KafkaError> {
        let mut record: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&output.topic, numbered).partition(number(partition));
        record.key = output.key.as_deref();
        record.payload = output.value.as_deref();
        record.timestamp = output.timestamp_ms;
        record.headers = headers(output);
        let began = Instant::now();
        loop {
            match self.producer().send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if began.elapsed() < patience =>
                {
                    record = back;
                    self.reports.serve(QUEUE_FULL_PAUSE);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Whether everything was delivered, or is known not to be, in time.
    pub(crate) fn drain(&self, timeout: Duration) -> bool {
        let began = Instant::now();
        while self.producer().in_flight_count() > 0 {
            self.reports.serve(REPORT_WAIT);
            if began.elapsed() > timeout {
                return false;
            }
        }
        true
    }

    /// Takes back what has not been delivered; what is on its way may arrive all the same.
    pub(crate) fn purge(&self) {
        self.producer().purge(PurgeConfig::default().queue().inflight());
    }

    /// Why the producer is of no further use, if it is not.
    pub(crate) fn fatal(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.producer().client().fatal_error()
    }

    pub(crate) fn producer(&self) -> &BaseProducer<Context> {
        self.reports.producer()
    }

    pub(crate) fn context(&self) -> &Context {
        self.producer().client().context()
    }
}

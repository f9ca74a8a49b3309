//! Publishing with patience: the same record again until it is written, for a bounded time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use petrel_bus::{Clock, Output, PublishError, Publisher, Receipt, StopSignal, Written};

use super::{LOOK_MS, SensorOptions};
use crate::metrics::Metrics;

/// How often an answer is looked for, in milliseconds. Nobody waits for a sample.
const ANSWER_POLL_MS: u64 = 5;

pub(super) struct Deliver {
    options: SensorOptions,
    publisher: Arc<dyn Publisher>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Deliver {
    pub(super) fn new(
        options: SensorOptions,
        publisher: Arc<dyn Publisher>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self { options, publisher, clock, metrics }
    }

    /// Whether the record was written. An unknown outcome is a failure like any other: the record keeps
    /// its id, so that writing it twice is one event.
    pub(super) fn publish(&self, sensor: &str, output: Output, stop: &StopSignal) -> bool {
        let began_ms = self.clock.now_ms();
        let mut backoff_ms = self.options.backoff_ms_min.max(1);
        loop {
            let Some(answer) = self.wait(self.publisher.publish(vec![output.clone()]), stop) else { return false };
            let Err(error) = answer else { return true };
            self.metrics.sensor_failures.with_label_values(&[sensor]).inc();
            let waited_ms = self.clock.now_ms() - began_ms;
            let final_error = matches!(error, PublishError::TooLarge { .. } | PublishError::Closed);
            if final_error || waited_ms + backoff_ms > self.options.publish_ms_max {
                self.metrics.sensor_dropped.with_label_values(&[sensor]).inc();
                tracing::warn!(sensor, %error, waited_ms, "a sample was given up");
                return false;
            }
            tracing::debug!(sensor, %error, backoff_ms, "a sample could not be published, trying again");
            if !self.pause(backoff_ms, stop) {
                return false;
            }
            backoff_ms = (backoff_ms * 2).min(self.options.backoff_ms_max.max(1));
        }
    }

    /// The answer; none if told to stop meanwhile. A receipt alone would block for as long as the log
    /// cannot be reached, and a shutdown with it.
    fn wait(&self, receipt: Receipt, stop: &StopSignal) -> Option<Result<Written, PublishError>> {
        let mut receipt = pin!(receipt);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(answer) = receipt.as_mut().poll(&mut context) {
                return Some(answer);
            }
            if stop.is_set() {
                return None;
            }
            self.clock.sleep(Duration::from_millis(ANSWER_POLL_MS));
        }
    }

    /// Waits; false if told to stop.
    fn pause(&self, ms: i64, stop: &StopSignal) -> bool {
        let until_ms = self.clock.now_ms() + ms;
        while !stop.is_set() {
            let left_ms = until_ms - self.clock.now_ms();
            if left_ms <= 0 {
                return true;
            }
            self.clock.sleep(Duration::from_millis(left_ms.min(LOOK_MS).unsigned_abs()));
        }
        false
    }
}

//! The calls of a publisher that nobody has taken up yet, and what its lanes report.
#![expect(clippy::disallowed_methods, reason = "how long calls have waited for the broker")]

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use petrel_bus::{Acknowledge, Output, PublishError, Waker, Written};

use crate::context::lock;
use crate::lane::Report;
use crate::options::KafkaOptions;

/// A partition of a topic.
pub(crate) type Place = (Arc<str>, u32);

/// Records that are written as a whole.
pub(crate) struct Call {
    pub(crate) outputs: Vec<Output>,
    pub(crate) since: Instant,
    bytes: usize,
    acknowledge: Acknowledge,
}

impl Call {
    pub(crate) fn new(outputs: Vec<Output>, acknowledge: Acknowledge) -> Self {
        let bytes = outputs.iter().map(Output::bytes).sum();
        Self { outputs, since: Instant::now(), bytes, acknowledge }
    }

    /// Bytes of keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn answer(self, answer: Result<Written, PublishError>) {
        // Whoever asked may have gone.
        if self.acknowledge.send(answer).is_err() {
            tracing::trace!("nobody waits for an acknowledgement");
        }
    }

    /// Whether it has waited for so long.
    pub(crate) fn is_late(&self, timeout: Duration) -> bool {
        self.since.elapsed() >= timeout
    }

    /// Answers a call that has waited too long.
    pub(crate) fn answer_late(self, timeout: Duration, why: Option<&str>) {
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        self.answer(Err(PublishError::Unavailable(format!("not written within {} ms{why}", timeout.as_millis()))));
    }
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<Call>,
    bytes: usize,
    reports: Vec<Report>,
    closed: bool,
}

impl Queue {
    /// What came first, one call at least.
    fn take(&mut self, bytes_max: usize) -> Vec<Call> {
        let (mut calls, mut bytes) = (Vec::new(), 0);
        while let Some(call) = self.calls.front() {
            if !calls.is_empty() && bytes + call.bytes > bytes_max {
                break;
            }
            bytes += call.bytes;
            calls.extend(self.calls.pop_front());
        }
        self.bytes -= bytes;
        calls
    }
}

/// What the writer finds.
pub(crate) enum Next {
    /// Everything that waits, up to the limit of a transaction.
    Group(Vec<Call>),
    /// Nothing that is wanted now.
    Nothing,
    /// Nothing waits, and nothing will come.
    Closed,
}

/// The queue between callers and the writer.
#[derive(Default)]
pub(crate) struct Calls {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Wakes the writer where it waits for something else.
    waker: Mutex<Option<Waker>>,
}

impl Calls {
    /// Lets a call wait, or answers it.
    pub(crate) fn add(&self, call: Call, options: &KafkaOptions) {
        let large = call.outputs.iter().map(Output::bytes).find(|bytes| *bytes > options.record_bytes_max);
        let mut queue = lock(&self.queue);
        // One call may be larger than the queue, or it could never be made.
        let full = queue.calls.len() >= options.publish_calls_max
            || (queue.bytes > 0 && queue.bytes + call.bytes > options.publish_bytes_max);
        let answer = if queue.closed {
            Err(PublishError::Closed)
        } else if let Some(bytes) = large {
            Err(PublishError::TooLarge { bytes, limit_bytes: options.record_bytes_max })
        } else if call.outputs.is_empty() {
            Ok(Written::new())
        } else if full {
            Err(PublishError::Overloaded)
        } else {
            queue.bytes += call.bytes;
            queue.calls.push_back(call);
            drop(queue);
            return self.wake();
        };
        drop(queue);
        call.answer(answer);
    }

    /// Takes what waits, if calls are wanted; if there is nothing, waits for it, for a report or until that much time
    /// has passed. Calls itself closed once nobody else has anything to do either.
    pub(crate) fn next(&self, group_bytes_max: Option<usize>, wait: Option<Duration>, is_idle: bool) -> Next {
        let deadline = wait.map(|wait| Instant::now() + wait);
        let mut queue = lock(&self.queue);
        loop {
            if let Some(bytes_max) = group_bytes_max
                && !queue.calls.is_empty()
            {
                return Next::Group(queue.take(bytes_max));
            }
            if !queue.reports.is_empty() {
                return Next::Nothing;
            }
            if queue.closed && is_idle && queue.calls.is_empty() {
                return Next::Closed;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            queue = match left {
                Some(Duration::ZERO) => return Next::Nothing,
                Some(left) => self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// A lane has something to tell.
    pub(crate) fn report(&self, report: Report) {
        lock(&self.queue).reports.push(report);
        self.wake();
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        std::mem::take(&mut lock(&self.queue).reports)
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.queue).closed
    }

    /// No more are taken.
    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.wake();
    }

    pub(crate) fn wake_with(&self, waker: Waker) {
        *lock(&self.waker) = Some(waker);
    }

    fn wake(&self) {
        self.changed.notify_one();
        let waker = lock(&self.waker).clone();
        waker.iter().for_each(|wake| wake());
    }
}

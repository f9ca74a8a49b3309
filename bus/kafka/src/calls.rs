//! The calls of a publisher that wait to be written.
#![expect(clippy::disallowed_methods, reason = "how long calls have waited for the broker")]

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use petrel_bus::{Acknowledge, Output, PublishError, Waker, Written};

use crate::context::lock;
use crate::options::KafkaOptions;

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
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<Call>,
    bytes: usize,
    closed: bool,
}

/// What the writer finds.
pub(crate) enum Next {
    /// Everything that waits, up to the limit of a transaction.
    Group(Vec<Call>),
    /// Nothing waits.
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

    /// Takes what waits; `patient`, waits for something.
    pub(crate) fn next(&self, group_bytes_max: usize, patient: bool) -> Next {
        let mut queue = lock(&self.queue);
        while queue.calls.is_empty() {
            if queue.closed {
                return Next::Closed;
            }
            if !patient {
                return Next::Nothing;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut calls, mut bytes) = (Vec::new(), 0);
        while let Some(call) = queue.calls.front() {
            if !calls.is_empty() && bytes + call.bytes > group_bytes_max {
                break;
            }
            bytes += call.bytes;
            calls.extend(queue.calls.pop_front());
        }
        queue.bytes -= bytes;
        Next::Group(calls)
    }

    /// Puts calls back in front; hands them back where none are taken any more.
    pub(crate) fn put_back(&self, calls: Vec<Call>) -> Result<(), Vec<Call>> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(calls);
        }
        for call in calls.into_iter().rev() {
            queue.bytes += call.bytes;
            queue.calls.push_front(call);
        }
        Ok(())
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

/// Whether a call has waited for so long.
pub(crate) fn is_late(call: &Call, timeout: Duration) -> bool {
    call.since.elapsed() >= timeout
}

//! What running actions write, told on `petrel.output` while they write it.
//!
//! It is told as well as it goes: a log that is slow or away costs a gap, and never holds up an action or its end. What
//! was captured of its output comes with the result, whatever became of this.
//!
//! A runner tells a [`Live`] what it reads; that queues it, up to a bound. With the first bytes a task begins (`carrier`)
//! that masks what is queued (`masking`) and publishes it as chunks, several times a second.

mod carrier;
mod masking;
mod queue;

use std::sync::Arc;

use petrel_bus::{Clock, Publisher};
use petrel_schemas::Task;
use petrel_secrets::Mask;

use queue::{Ended, Piece, Queue};

/// How what attempts write is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveOptions {
    /// Most bytes of one attempt that are told while it runs; nothing is told if it is 0.
    pub attempt_bytes_max: u64,
    /// How long what an attempt writes is gathered before it is published, in milliseconds.
    pub flush_ms: u64,
    /// Most bytes of one attempt that wait to be published: what comes while they do is left out.
    pub queue_bytes_max: usize,
    /// Longest chunk, in bytes.
    pub chunk_bytes_max: usize,
    /// How long behind the end of an attempt its last chunks may take, in milliseconds.
    pub last_ms: u64,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            attempt_bytes_max: 8 << 20,
            flush_ms: 200,
            queue_bytes_max: 512 << 10,
            chunk_bytes_max: 64 << 10,
            last_ms: 2_000,
        }
    }
}

/// Publishes what the attempts of a worker write.
#[derive(Clone)]
pub struct LiveOutput {
    /// How.
    pub options: LiveOptions,
    /// Writes chunks.
    pub publisher: Arc<dyn Publisher>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Name of the topic.
    pub topic: Arc<str>,
}

impl LiveOutput {
    /// Where an attempt tells what it writes, masked by that.
    pub fn attempt(&self, task: &Task, mask: &Arc<Mask>) -> Live {
        if self.options.attempt_bytes_max == 0 {
            return Live::default();
        }
        let queue = Arc::new(Queue::new(self.options.queue_bytes_max));
        Live(Some(Arc::new(Writing {
            output: self.clone(),
            queue,
            execution_id: task.execution_id.clone(),
            attempt: task.attempt,
            mask: mask.clone(),
        })))
    }
}

/// Where an attempt tells what it writes, while it writes it. By default, nowhere.
#[derive(Clone, Default)]
pub struct Live(Option<Arc<Writing>>);

struct Writing {
    output: LiveOutput,
    queue: Arc<Queue>,
    execution_id: String,
    attempt: i32,
    mask: Arc<Mask>,
}

impl Live {
    /// Most bytes that are worth telling.
    pub fn bytes_max(&self) -> u64 {
        self.0.as_ref().map_or(0, |writing| writing.output.options.attempt_bytes_max)
    }

    /// It wrote these bytes to its standard output (1) or error (2), at that place of the stream; anything else is passed
    /// over. Never waits. To be called on an async runtime.
    pub fn tell(&self, fd: i32, offset: u64, bytes: &[u8]) {
        let (Some(writing), Ok(stream @ 0..=1)) = (&self.0, usize::try_from(fd - 1)) else { return };
        if bytes.is_empty() {
            return;
        }
        if writing.queue.push(Piece { stream, offset, bytes: bytes.to_vec() }) {
            let queue = writing.queue.clone();
            let carrier = writing.output.carrier(&writing.execution_id, writing.attempt, &writing.mask);
            tokio::spawn(carrier.run(queue));
        }
    }

    /// It has ended, and has written so many bytes to either stream. `is_whole` says whether it wrote what it wanted to.
    pub fn end(&self, written_bytes: [u64; 2], is_whole: bool) {
        if let Some(writing) = &self.0 {
            writing.queue.end(Ended { written_bytes: Some(written_bytes), is_whole });
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Whoever was to say how it ended did not come to that.
        self.queue.end(Ended { written_bytes: None, is_whole: false });
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("is_told", &self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests;

//! Publishes what an attempt writes, from its first bytes to a moment behind its end.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::Output;
use petrel_schemas::{OutputChunk, encode};
use petrel_secrets::Mask;

use super::LiveOutput;
use super::masking::{Masking, Told};
use super::queue::Queue;

/// Names of the streams, by their numbers.
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// Carries what one attempt writes.
pub(super) struct Carrier {
    output: LiveOutput,
    execution_id: String,
    attempt: i32,
    mask: Arc<Mask>,
    next: i64,
}

impl LiveOutput {
    pub(super) fn carrier(&self, execution_id: &str, attempt: i32, mask: &Arc<Mask>) -> Carrier {
        Carrier { output: self.clone(), execution_id: execution_id.to_owned(), attempt, mask: mask.clone(), next: 0 }
    }
}

impl Carrier {
    /// Until the attempt has ended and its last chunk is published, or that has taken too long.
    pub(super) async fn run(self, queue: Arc<Queue>) {
        let last = Duration::from_millis(self.output.options.last_ms);
        let flush = Duration::from_millis(self.output.options.flush_ms.max(1));
        let watched = queue.clone();
        let given_up = async move {
            watched.has_ended().await;
            tokio::time::sleep(last).await;
        };
        let execution = self.execution_id.clone();
        tokio::select! {
            () = self.carry(&queue, flush) => {}
            () = given_up => tracing::warn!(execution, "the log does not take the last output of an attempt in time"),
        }
    }

    async fn carry(mut self, queue: &Queue, flush: Duration) {
        let mut masking = Masking::new(self.mask.clone());
        loop {
            let (pieces, ended) = queue.next(flush).await;
            let (told, masked) = if self.mask.is_nothing() {
                (masking.take(pieces), masking)
            } else {
                // Off the runtime, whose threads keep leases.
                let masked = move || (masking.take(pieces), masking);
                match tokio::task::spawn_blocking(masked).await {
                    Ok(masked) => masked,
                    Err(_) => {
                        tracing::error!(execution = self.execution_id, "what masks live output panicked");
                        return;
                    }
                }
            };
            masking = masked;
            let Some(ended) = ended else {
                self.publish(told, false).await;
                continue;
            };
            let mut all = told;
            all.extend(masking.finish(ended));
            return self.publish(all, true).await;
        }
    }

    /// Publishes what is told, and waits until the log has it or not: meanwhile, what comes is queued.
    async fn publish(&mut self, told: Vec<Told>, is_last: bool) {
        let bytes_max = self.output.options.chunk_bytes_max.max(1);
        let mut chunks = Vec::new();
        for Told { stream, offset, bytes } in told {
            let mut at = 0;
            loop {
                let end = chunk_end(&bytes, at, bytes_max);
                chunks.push(self.chunk(stream, offset + at as u64, bytes[at..end].to_vec()));
                at = end;
                if at >= bytes.len() {
                    break;
                }
            }
        }
        if let Some(last) = chunks.last_mut() {
            last.is_last = is_last;
        }
        // Each for itself: one that is lost is a gap, and a transaction costs more than several records.
        let output = |chunk: &OutputChunk| {
            let value = Output::keyed(&self.output.topic, self.execution_id.as_bytes(), encode(chunk));
            self.output.publisher.publish(vec![value])
        };
        let receipts: Vec<_> = chunks.iter().map(output).collect();
        for receipt in receipts {
            if let Err(error) = receipt.await {
                tracing::debug!(%error, execution = self.execution_id, "a piece of live output is lost");
            }
        }
    }

    fn chunk(&mut self, stream: usize, offset: u64, bytes: Vec<u8>) -> OutputChunk {
        let sequence = self.next;
        self.next += 1;
        OutputChunk {
            execution_id: self.execution_id.clone(),
            attempt: self.attempt,
            sequence,
            stream: STREAMS[stream].to_owned(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            bytes,
            is_last: false,
            told_at_ms: self.output.clock.now_ms(),
        }
    }
}

/// Where a chunk ends that begins there: between two characters, where there is such a place near its end.
fn chunk_end(bytes: &[u8], at: usize, bytes_max: usize) -> usize {
    let end = (at + bytes_max).min(bytes.len());
    if end == bytes.len() {
        return end;
    }
    let back = bytes[at..=end].iter().rev().take(4).position(|byte| byte & 0xC0 != 0x80);
    back.map(|back| end - back).filter(|between| *between > at).unwrap_or(end)
}

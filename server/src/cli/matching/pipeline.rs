//! Blocks through the workers, and what comes of them in the order of the lines.
//!
//! A reader gives each block to whichever worker is free and, at the same time, a place in a queue of
//! bounded length to the writer. The writer goes through the places in order, so nothing is sorted, a slow
//! output holds the reader up, and memory is bounded by the blocks and pieces in flight.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use petrel_rules::limits::PAYLOAD_BYTES_MAX;
use serde_json::json;

use super::blocks::{Block, Blocks};
use super::subject::Subject;
use super::worker::{BAD_LINES_TOLD_MAX, BadLine, Piece, Tally, Worker};

/// Bytes asked for in one read: large enough to share its costs among thousands of events, small enough to
/// stay in a core's cache.
const READ_BYTES: usize = 256 * 1024;
/// Blocks in flight for each worker.
const BLOCKS_PER_WORKER: usize = 4;
/// Pieces of a block that wait for the writer.
const PIECES_WAITING_MAX: usize = 2;

/// How to run.
#[derive(Debug)]
pub struct Plan {
    /// Threads that run rules.
    pub workers: usize,
    /// Bytes of one read.
    pub read_bytes: usize,
    /// Longest line that is run.
    pub line_bytes_max: usize,
    /// Count only, and write no matches.
    pub counts: bool,
}

impl Plan {
    /// The usual sizes for so many workers.
    pub fn new(workers: usize, counts: bool) -> Self {
        Self { workers, read_bytes: READ_BYTES, line_bytes_max: PAYLOAD_BYTES_MAX, counts }
    }
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The events cannot be read any further.
    #[error("cannot read: {0}")]
    Read(io::Error),
    /// The matches cannot be written.
    #[error("cannot write the matches: {0}")]
    Write(io::Error),
}

/// What a whole run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Everything that was counted.
    pub tally: Tally,
    /// Bytes read.
    pub bytes: u64,
    /// The first bad lines.
    pub bad: Vec<BadLine>,
}

impl Totals {
    /// Lines that no rule saw.
    pub fn bad_lines(&self) -> u64 {
        self.tally.malformed + self.tally.too_large + self.tally.refused
    }
}

/// A block for a worker, and where its pieces go.
struct Job {
    block: Block,
    pieces: SyncSender<Piece>,
}

/// A block's place in the order.
struct Place {
    pieces: Receiver<Piece>,
    read: u64,
}

/// Runs all events of `input`; `progress` is told the bytes that are done.
pub fn run(
    subject: &Subject,
    input: impl Read + Send,
    plan: &Plan,
    out: &mut dyn Write,
    progress: &dyn Fn(u64),
) -> Result<Totals, RunError> {
    let endings = if plan.counts { Vec::new() } else { subject.names().map(ending).collect() };
    let in_flight = plan.workers * BLOCKS_PER_WORKER;
    let (jobs, queue) = sync_channel(in_flight);
    let (places, order) = sync_channel(in_flight);
    let (used, recycled) = channel();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        let work = || work(Worker::new(subject, plan.line_bytes_max, &endings), &queue, used.clone());
        let workers: Vec<_> = (0..plan.workers).map(|_| scope.spawn(work)).collect();
        let blocks = Blocks::new(input, plan.read_bytes, plan.line_bytes_max);
        let reader = scope.spawn(move || read(blocks, &jobs, &places, &recycled));
        let mut totals = Totals { tally: Tally::new(subject.rules().len()), ..Totals::default() };
        // Once the writer has ended, so do the others, for nobody takes what they make.
        let written = write(order, out, progress, &mut totals).map_err(RunError::Write);
        let read = joined(reader.join()).map_err(RunError::Read);
        for worker in workers {
            totals.tally.add(&joined(worker.join()));
        }
        written.and(read).map(|()| totals)
    })
}

/// What a thread returned; its panic goes on here.
fn joined<T>(result: thread::Result<T>) -> T {
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What follows the number of a line in a match of this rule.
fn ending(rule: &str) -> Box<[u8]> {
    format!(",\"rule\":{}}}\n", json!(rule)).into_bytes().into()
}

fn read<R: Read>(
    mut blocks: Blocks<R>,
    jobs: &SyncSender<Job>,
    places: &SyncSender<Place>,
    recycled: &Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Some(block) = blocks.next(recycled.try_recv().unwrap_or_default())? {
        let (pieces, taken) = sync_channel(PIECES_WAITING_MAX);
        let place = Place { pieces: taken, read: block.read };
        if places.send(place).is_err() || jobs.send(Job { block, pieces }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Takes blocks in order, so that the block which the writer waits for is always with some worker.
fn work(mut worker: Worker<'_>, queue: &Mutex<Receiver<Job>>, used: Sender<Vec<u8>>) -> Tally {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, pieces }) = job else { return worker.tally };
        if worker.run(&block, &pieces).is_err() {
            return worker.tally;
        }
        // The reader may have ended.
        let _ = used.send(block.bytes);
    }
}

fn write(order: Receiver<Place>, out: &mut dyn Write, progress: &dyn Fn(u64), totals: &mut Totals) -> io::Result<()> {
    for place in order {
        for piece in place.pieces {
            out.write_all(&piece.output)?;
            let room = BAD_LINES_TOLD_MAX - totals.bad.len();
            totals.bad.extend(piece.bad.into_iter().take(room));
        }
        totals.bytes += place.read;
        progress(place.read);
    }
    out.flush()
}

#[cfg(test)]
mod tests;

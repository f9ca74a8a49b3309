//! Batches on their way: one of each of some partitions, recorded together and committed together.

use std::sync::atomic::Ordering;

use petrel_bus::{Clock, Position, Session};

use super::buffer::{Buffer, Cut};
use super::stats::SinkStats;
use super::step::{Crash, SinkPoint, StepError, at_point};
use super::writer::{Counted, Range, Writer};
use crate::rows::Table;

/// How often an insert whose rows are missing is made again before the sink gives up for a while.
const REPAIRS_MAX: u32 = 3;

/// Partitions whose batches are cut.
pub(super) struct Round<'a, S: ?Sized, W: ?Sized> {
    pub(super) session: &'a mut S,
    pub(super) tables: Tables<'a, W>,
    pub(super) buffers: Vec<&'a mut Buffer>,
    /// When it is time to commit what is written, in milliseconds since the epoch.
    pub(super) until_ms: i64,
}

/// Where rows go.
pub(super) struct Tables<'a, W: ?Sized> {
    pub(super) writer: &'a mut W,
    pub(super) stats: &'a SinkStats,
    pub(super) clock: &'a dyn Clock,
}

impl<S: Session + ?Sized, W: Writer + ?Sized> Round<'_, S, W> {
    /// Records the ranges, writes the rows, commits what is written: also of those before one that ClickHouse does not
    /// take, and before one for which no time is left. What is left over stays cut.
    pub(super) fn write(mut self, crash: &mut Crash<'_>) -> Result<(), StepError> {
        self.record()?;
        at_point(!self.buffers.is_empty(), SinkPoint::Recorded, crash)?;
        let mut written = 0;
        let mut outcome = Ok(());
        for buffer in &mut self.buffers {
            outcome = self.tables.write(buffer, crash);
            if outcome.is_err() {
                break;
            }
            written += 1;
            if self.tables.clock.now_ms() >= self.until_ms {
                break;
            }
        }
        if let Err(StepError::Crashed(point)) = outcome {
            return Err(StepError::Crashed(point));
        }
        self.commit(written)?;
        at_point(written > 0, SinkPoint::Committed, crash)?;
        outcome
    }

    /// Writes the ranges that are new beside the committed offsets.
    fn record(&mut self) -> Result<(), StepError> {
        let mut new = Vec::new();
        for buffer in &mut self.buffers {
            let (at, offset) = (buffer.at.clone(), buffer.position);
            let Some(cut) = buffer.cut_now() else { continue };
            if !cut.recorded {
                new.push(Position { at, offset, metadata: Some(cut.intent.encode()) });
            } else if std::mem::take(&mut cut.is_replay) {
                self.tables.stats.replays.fetch_add(1, Ordering::Relaxed);
            }
        }
        if !new.is_empty() {
            self.session.commit(&new)?;
        }
        self.buffers.iter_mut().filter_map(|buffer| buffer.cut_now()).for_each(|cut| cut.recorded = true);
        Ok(())
    }

    /// Commits the ends of the first batches.
    fn commit(&mut self, written: usize) -> Result<(), StepError> {
        let done = self.buffers.iter_mut().take(written);
        let end = |buffer: &mut &mut Buffer| {
            let last = buffer.cut_now()?.intent.last;
            Some(Position { at: buffer.at.clone(), offset: last + 1, metadata: None })
        };
        let ends: Vec<Position> = done.filter_map(end).collect();
        if ends.is_empty() {
            return Ok(());
        }
        self.session.commit(&ends)?;
        self.tables.stats.batches.fetch_add(ends.len() as u64, Ordering::Relaxed);
        self.buffers.iter_mut().take(written).for_each(|buffer| buffer.done());
        Ok(())
    }
}

impl<W: Writer + ?Sized> Tables<'_, W> {
    /// Writes what the tables lack of a batch, and counts it.
    fn write(&mut self, buffer: &mut Buffer, crash: &mut Crash<'_>) -> Result<(), StepError> {
        let at = buffer.at.clone();
        let Some(cut) = buffer.cut_now() else { return Ok(()) };
        let (topic, partition) = (&*at.topic, at.partition);
        let range = Range { topic, partition, first: cut.intent.first, last: cut.intent.last, times: cut.times };
        while let Some(table) = cut.next_table() {
            self.write_table(table, &range, cut, crash)?;
            cut.written += 1;
        }
        at_point(true, SinkPoint::Written, crash)
    }

    /// Inserts a table's rows, until it has them.
    fn write_table(
        &mut self,
        table: Table,
        range: &Range<'_>,
        cut: &Cut,
        crash: &mut Crash<'_>,
    ) -> Result<(), StepError> {
        let expected = cut.rows.len_of(table) as u64;
        let mut complete = expected == 0;
        for repair in 0..=REPAIRS_MAX {
            if complete {
                break;
            }
            let token = cut.intent.token(range.topic, range.partition, table.name(), repair);
            self.stats.turn_began(self.clock.now_ms());
            self.writer.insert(table, &cut.rows, &token)?;
            at_point(true, SinkPoint::Inserted(table), crash)?;
            self.stats.turn_began(self.clock.now_ms());
            complete = judge(self.stats, table, range, expected, self.writer.count(table, range)?);
            at_point(true, SinkPoint::Counted(table), crash)?;
        }
        if !complete {
            return Err(StepError::ClickHouse(format!("{} does not keep what is inserted", table.name())));
        }
        self.stats.rows.fetch_add(expected, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether a table has all rows of a range; says loudly what is not as it should be.
fn judge(stats: &SinkStats, table: Table, range: &Range<'_>, expected: u64, found: Counted) -> bool {
    if found.rows > found.distinct {
        stats.duplicates.fetch_add(found.rows - found.distinct, Ordering::Relaxed);
        tracing::warn!(table = table.name(), ?range, ?found, expected, "rows were written twice; queries fold them");
    }
    if found.distinct == expected {
        return true;
    }
    stats.missing.fetch_add(1, Ordering::Relaxed);
    tracing::error!(table = table.name(), ?range, ?found, expected, "the rows of a range are not what was written");
    // More than expected cannot be mended by writing again; it is reported, and the range goes on.
    found.distinct > expected
}

//! Outputs, changelog and offsets in one transaction, and its abort.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Driver, DriverPoint, Failure};
use crate::record::{Output, To};
use crate::stage::Stage;

/// Outputs that are sent before the commit, in bytes of keys and values: so much keeps the bus busy meanwhile. Fewer go
/// with the changelog and the positions, in one go: a bus may have to ask for each partition of a transaction when
/// it comes up, and asks once for those that come together.
const SEND_BYTES_MIN: usize = 64 << 10;

impl<S: Stage> Driver<'_, S> {
    /// Sends what has been gathered, if it is worth while before the commit.
    pub(super) fn send_if_many(&mut self) -> Result<(), Failure> {
        // One that is large enough is found among the latest.
        let mut bytes = 0;
        let is_enough = self.outputs.iter().rev().any(|output| {
            bytes += output.bytes();
            bytes >= SEND_BYTES_MIN.min(self.options.transaction_bytes_max)
        });
        if is_enough { self.send_outputs() } else { Ok(()) }
    }

    pub(super) fn send_outputs(&mut self) -> Result<(), Failure> {
        if self.outputs.is_empty() {
            return Ok(());
        }
        let limit_bytes = self.options.output_bytes_max;
        for output in std::mem::take(&mut self.outputs) {
            let fits = output.bytes() <= limit_bytes;
            self.send_passed(if fits { output } else { self.stage.spec().give_up_output(&output, limit_bytes) })?;
        }
        self.point(DriverPoint::Sent)
    }

    /// Sends what a stage made. The records of a changelog passed when they were put.
    pub(super) fn send_passed(&mut self, mut output: Output) -> Result<(), Failure> {
        if let Some(outgoing) = &self.options.outgoing {
            output.value = output.value.map(|value| outgoing.written(value));
        }
        self.send(output)
    }

    fn send(&mut self, output: Output) -> Result<(), Failure> {
        let partition = match output.to {
            To::Partition(partition) => partition,
            To::Key => output.partition(self.session.partitions(&output.topic)?),
        };
        // A record without key and value is one, too.
        self.sent_bytes += output.bytes().max(1);
        self.session.send(output, partition)?;
        self.stats.outputs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn commit_if_due(&mut self, idle: bool) -> Result<bool, Failure> {
        let Some(since_ms) = self.open_since_ms else { return Ok(false) };
        let waited_ms = self.clock.now_ms() - since_ms;
        let is_awaited = self.is_awaited();
        let interval_ms = match is_awaited {
            true => self.options.commit_interval_ms,
            false => self.options.quiet_commit_interval_ms.max(self.options.commit_interval_ms),
        };
        let is_large = self.sent_bytes >= self.options.transaction_bytes_max;
        let due = waited_ms >= interval_ms || is_large || (idle && is_awaited);
        if !due {
            return Ok(false);
        }
        self.commit()?;
        Ok(true)
    }

    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        self.commit_open(false)
    }

    /// The last commit before partitions are given up. It says where the changelogs of stores end, and is
    /// made for that alone, too: only a commit that succeeds shows that nobody else had the partitions.
    pub(super) fn commit_last(&mut self) -> Result<(), Failure> {
        let mut any = false;
        for task in self.tasks.iter_mut().filter(|task| task.has_old_position()) {
            task.touch();
            any = true;
        }
        if any {
            self.opened();
        }
        self.commit_open(true)
    }

    #[expect(clippy::disallowed_methods, reason = "how long a commit takes is measured for people and decides nothing")]
    fn commit_open(&mut self, is_last: bool) -> Result<(), Failure> {
        if self.look.is_due() {
            self.look_at_topics()?;
        }
        self.check_states()?;
        self.send_outputs()?;
        if self.open_since_ms.is_none() {
            return Ok(());
        }
        self.forget_moved_back()?;
        self.keep_positions()?;
        if let Some(changelog) = self.stage.spec().changelog.clone() {
            let records: Vec<Output> = self.tasks.changelog(&changelog);
            for record in records {
                self.send(record)?;
            }
        }
        self.point(DriverPoint::BeforeCommit)?;
        if is_last {
            self.ask_ends(is_last)?;
        }
        let now_ms = self.clock.now_ms();
        let began = Instant::now();
        self.session.commit(&self.tasks.moved())?;
        self.stats.committed(began.elapsed());
        (self.open_since_ms, self.sent_bytes) = (None, 0);
        self.point(DriverPoint::AfterCommit)?;
        let applied = self.tasks.committed(now_ms);
        // Whatever became of the stores, it is committed.
        self.stage.committed();
        self.clear_suspects();
        applied?;
        self.point(DriverPoint::Applied)?;
        self.note_ends(now_ms)?;
        if !is_last {
            self.ask_ends(is_last)?;
        }
        let lag = self.session.lag().and_then(|lag| i64::try_from(lag).ok());
        self.stats.lag.store(lag.unwrap_or(-1), Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn abort(&mut self) -> Result<(), Failure> {
        self.stats.aborts.fetch_add(1, Ordering::Relaxed);
        self.outputs.clear();
        (self.open_since_ms, self.sent_bytes) = (None, 0);
        let positions = self.tasks.abort();
        self.session.abort(&positions)?;
        self.stage.aborted();
        self.open_starts();
        self.pause_blocked()
    }
}

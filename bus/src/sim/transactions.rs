//! The coordinator of transactions: who has one open, how it ends, and what time does to it.
//!
//! A producer is known by its transactional id, here the names of its group and its member. Each
//! initialisation gives it the next epoch and ends what the last one left open. Outputs are in the
//! partitions from the moment they are sent; the markers that end a transaction come later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::options::CommitFault;
use super::state::State;
use crate::record::Output;
use crate::session::{Position, SessionError, TopicPartition};

/// Names of group and member.
pub(super) type ProducerId = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct Producer {
    epoch: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    since_ms: i64,
    partitions: BTreeSet<TopicPartition>,
    /// Offsets of the producer's group that are committed with it; unstable until then.
    positions: Vec<Position>,
    /// Once it is decided to commit: when the markers reach the partitions by themselves.
    marked_ms: Option<i64>,
}

/// An end of a transaction that is still on its way.
#[derive(Debug)]
struct LateEnd {
    producer: ProducerId,
    epoch: u64,
    at_ms: i64,
}

#[derive(Debug, Default)]
pub(super) struct Transactions {
    producers: BTreeMap<ProducerId, Producer>,
    late: Vec<LateEnd>,
    count: u64,
}

/// How a commit without a fault or with one goes on.
struct Ending {
    at_once: bool,
    offsets_added: bool,
    late_ms: Option<i64>,
    answer: Result<(), SessionError>,
}

fn rebuild<T>(why: &str) -> Result<T, SessionError> {
    Err(SessionError::Rebuild(why.into()))
}

impl State {
    /// Gives a producer its next epoch, which fences the last one, and ends what that left open: what
    /// was decided is committed, everything else is aborted.
    pub(super) fn init_producer(&mut self, id: ProducerId) -> u64 {
        let decided = self.transactions.producers.get(&id).and_then(|p| p.open.as_ref()).map(|o| o.marked_ms.is_some());
        if let Some(decided) = decided {
            self.end(&id, decided);
        }
        let producer = self.transactions.producers.entry(id).or_default();
        producer.epoch += 1;
        producer.epoch
    }

    /// Appends a record within the producer's transaction, which begins with the first one.
    pub(super) fn send(
        &mut self,
        id: &ProducerId,
        epoch: u64,
        output: Output,
        partition: u32,
        now_ms: i64,
    ) -> Result<(), SessionError> {
        let at = TopicPartition { topic: output.topic.clone(), partition };
        if self.partition(&at).is_none() {
            return Err(SessionError::Halt(format!("there is no partition {partition} of {}", at.topic)));
        }
        let open = self.open(id, epoch, now_ms)?;
        open.partitions.insert(at.clone());
        let number = open.number;
        if let Some(partition) = self.partition_mut(&at.topic, at.partition) {
            partition.append(output, now_ms, Some(number));
        }
        self.version += 1;
        Ok(())
    }

    /// Ends the producer's transaction, with the group's offsets in it; the group has let it pass.
    pub(super) fn commit(
        &mut self,
        id: &ProducerId,
        epoch: u64,
        positions: &[Position],
        fault: CommitFault,
        now_ms: i64,
    ) -> Result<(), SessionError> {
        let ending = self.ending(fault, now_ms);
        let open = self.open(id, epoch, now_ms)?;
        if ending.offsets_added {
            open.positions = positions.to_vec();
        }
        if fault == CommitFault::InDoubt {
            open.marked_ms = ending.late_ms;
        } else if let Some(at_ms) = ending.late_ms {
            self.transactions.late.push(LateEnd { producer: id.clone(), epoch, at_ms });
        }
        if ending.at_once {
            self.end(id, true);
        }
        ending.answer
    }

    fn ending(&self, fault: CommitFault, now_ms: i64) -> Ending {
        let lost = || rebuild("the answer of a simulated commit was lost");
        let delay_ms = now_ms + self.options.end_delay_ms;
        let (at_once, offsets_added, late_ms, answer) = match fault {
            CommitFault::None => (true, true, None, Ok(())),
            CommitFault::Abort => (false, false, None, Err(SessionError::Abort("a simulated refusal".into()))),
            CommitFault::Lost => (false, false, None, rebuild("a simulated loss of connection")),
            CommitFault::EndLost => (false, true, None, lost()),
            CommitFault::EndDelayed => (false, true, Some(delay_ms), lost()),
            CommitFault::AnswerLost => (true, true, None, lost()),
            CommitFault::InDoubt => (false, true, Some(now_ms + self.options.in_doubt_ms), lost()),
            CommitFault::EndRepeated => (true, true, Some(delay_ms), Ok(())),
        };
        Ending { at_once, offsets_added, late_ms, answer }
    }

    /// Stores offsets without a transaction. They have no markers that could be late.
    pub(super) fn commit_offsets(
        &mut self,
        group: &Arc<str>,
        positions: &[Position],
        fault: CommitFault,
    ) -> Result<(), SessionError> {
        let is_lost = matches!(fault, CommitFault::Abort | CommitFault::Lost | CommitFault::EndLost);
        if !is_lost {
            self.store_offsets(group, positions);
        }
        self.ending(fault, 0).answer
    }

    /// Aborts what the producer has open, if anything.
    pub(super) fn abort(&mut self, id: &ProducerId, epoch: u64) -> Result<(), SessionError> {
        self.check_epoch(id, epoch)?;
        self.end(id, false);
        Ok(())
    }

    /// Makes these offsets of a group stable: what is decided is written.
    ///
    /// Fails while a transaction is open that may still change them, as a broker makes a client wait.
    pub(super) fn settle(&mut self, group: &str, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        let concerns = |open: &Open| open.positions.iter().any(|p| partitions.contains(&p.at));
        let of_group = |(id, p): (&ProducerId, &Producer)| {
            let open = p.open.as_ref().filter(|open| *id.0 == *group && concerns(open))?;
            Some((id.clone(), open.marked_ms.is_some()))
        };
        let unstable: Vec<_> = self.transactions.producers.iter().filter_map(of_group).collect();
        for (id, is_decided) in unstable {
            if !is_decided {
                return rebuild(&format!("the offsets of {group} are not stable: {} has a transaction open", id.1));
            }
            // The markers of the other partitions may come later: a stable offset says nothing of them.
            let open = self.transactions.producers.get_mut(&id).and_then(|p| p.open.as_mut());
            let positions = open.map(|open| std::mem::take(&mut open.positions)).unwrap_or_default();
            self.store_offsets(&id.0, &positions);
        }
        Ok(())
    }

    /// Makes a partition stable up to an offset: markers of what is decided are written.
    ///
    /// Fails while a transaction is open there.
    pub(super) fn stabilise(&mut self, at: &TopicPartition, end: i64) -> Result<(), SessionError> {
        let stable = |state: &Self| state.partition(at).is_none_or(|p| p.stable_end() >= end);
        for number in self.partition(at).map(super::partition::Partition::open).unwrap_or_default() {
            if stable(self) {
                break;
            }
            match self.holder(number) {
                Some((id, true)) => self.mark(&id, number, at),
                holder => {
                    let name = holder.map_or("somebody".into(), |(id, _)| id.1);
                    return rebuild(&format!("{name} holds {}/{} with an open transaction", at.topic, at.partition));
                }
            }
        }
        Ok(())
    }

    /// The next instant at which time alone ends a transaction.
    pub(super) fn next_end_ms(&self) -> Option<i64> {
        let ends = self.transactions.producers.values().filter_map(|p| p.open.as_ref()).map(|o| self.ends_ms(o));
        ends.chain(self.transactions.late.iter().map(|l| l.at_ms)).min()
    }

    /// Ends what is to be ended at or before an instant that [`State::next_end_ms`] named.
    pub(super) fn end_due(&mut self, now_ms: i64) {
        let (due, late): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.transactions.late).into_iter().partition(|l| l.at_ms <= now_ms);
        self.transactions.late = late;
        for LateEnd { producer, epoch, .. } in due {
            if self.check_epoch(&producer, epoch).is_ok() {
                self.end(&producer, true);
            }
        }
        let is_due =
            |p: &Producer| p.open.as_ref().filter(|o| self.ends_ms(o) <= now_ms).map(|o| o.marked_ms.is_some());
        let due: Vec<(ProducerId, bool)> =
            self.transactions.producers.iter().filter_map(|(id, p)| Some((id.clone(), is_due(p)?))).collect();
        for (id, is_decided) in due {
            self.end(&id, is_decided);
            if let Some(producer) = self.transactions.producers.get_mut(&id).filter(|_| !is_decided) {
                // Whoever was so slow is fenced.
                producer.epoch += 1;
            }
        }
    }

    /// When an open transaction ends by itself: its markers arrive, or the broker finds it too old.
    fn ends_ms(&self, open: &Open) -> i64 {
        let scan_ms = self.options.transaction_scan_ms.max(1);
        let found_ms = |too_old_ms: i64| (too_old_ms + scan_ms - 1).div_euclid(scan_ms) * scan_ms;
        open.marked_ms.unwrap_or_else(|| found_ms(open.since_ms + self.options.transaction_timeout_ms))
    }

    fn check_epoch(&mut self, id: &ProducerId, epoch: u64) -> Result<&mut Producer, SessionError> {
        match self.transactions.producers.get_mut(id) {
            Some(producer) if producer.epoch == epoch => Ok(producer),
            _ => rebuild("the producer is fenced by a newer epoch"),
        }
    }

    /// The producer's open transaction, begun now if there is none.
    fn open(&mut self, id: &ProducerId, epoch: u64, since_ms: i64) -> Result<&mut Open, SessionError> {
        let number = self.transactions.count + 1;
        let producer = self.check_epoch(id, epoch)?;
        let is_new = producer.open.is_none();
        let new = || Open { number, since_ms, partitions: BTreeSet::new(), positions: Vec::new(), marked_ms: None };
        producer.open.get_or_insert_with(new);
        self.transactions.count += u64::from(is_new);
        // Looked up again, for the count is beside it.
        let open = self.transactions.producers.get_mut(id).and_then(|p| p.open.as_mut());
        open.map_or_else(|| rebuild("the producer is gone"), Ok)
    }

    /// Who has the transaction of that number, and whether it is decided.
    fn holder(&self, number: u64) -> Option<(ProducerId, bool)> {
        let open = |p: &Producer| p.open.as_ref().filter(|o| o.number == number).map(|o| o.marked_ms.is_some());
        self.transactions.producers.iter().find_map(|(id, p)| Some((id.clone(), open(p)?)))
    }

    /// The marker of a decided transaction reaches one partition before the others.
    fn mark(&mut self, id: &ProducerId, number: u64, at: &TopicPartition) {
        if let Some(open) = self.transactions.producers.get_mut(id).and_then(|p| p.open.as_mut()) {
            open.partitions.remove(at);
        }
        if let Some(partition) = self.partition_mut(&at.topic, at.partition) {
            partition.mark(Some(number), true);
        }
        self.version += 1;
    }

    /// Writes the markers of what a producer has open, and its offsets.
    fn end(&mut self, id: &ProducerId, is_commit: bool) {
        let Some(open) = self.transactions.producers.get_mut(id).and_then(|p| p.open.take()) else { return };
        self.version += 1;
        for at in &open.partitions {
            if let Some(partition) = self.partition_mut(&at.topic, at.partition) {
                partition.mark(Some(open.number), is_commit);
            }
        }
        if is_commit {
            self.store_offsets(&id.0, &open.positions);
        }
    }
}

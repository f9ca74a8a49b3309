//! The items of a task: which have run, and how.

use std::collections::BTreeSet;

use super::machine::task::{self, OtherItems};
use super::status::Status;

/// Items whose statuses are stored together.
pub(crate) const ITEMS_IN_CHUNK: usize = 256;

/// How the statuses of items are stored, a letter for each in the order of [`Status::ALL`]: a chunk is written whenever
/// one of its items changes.
const LETTERS: [char; Status::ALL.len()] =
    ['.', 'q', 's', 'd', 'r', 'w', 'p', 'P', 'u', 'o', 'f', 't', 'a', 'y', 'c', 'C'];

/// Statuses as they are stored.
pub(crate) fn letters(statuses: &[Status]) -> String {
    statuses.iter().map(|status| LETTERS[*status as usize]).collect()
}

/// The statuses of letters; none if one of them is none.
pub(crate) fn statuses(letters: &str) -> Option<Vec<Status>> {
    let status = |letter: char| Some(Status::ALL[LETTERS.iter().position(|own| *own == letter)?]);
    letters.chars().map(status).collect()
}

/// The statuses of the items, counted so that a change costs the same with many as with few.
#[derive(Debug, Clone, Default)]
pub(crate) struct Items {
    statuses: Vec<Status>,
    unset: BTreeSet<usize>,
    counts: [usize; Status::ALL.len()],
    /// How many may fail without failing the task; none where each fails it.
    failures_max: Option<usize>,
}

impl Items {
    pub(crate) fn new(count: usize) -> Self {
        Self::of(vec![Status::Unset; count])
    }

    pub(crate) fn of(statuses: Vec<Status>) -> Self {
        let mut items = Items::default();
        for (item, status) in statuses.iter().enumerate() {
            items.counts[*status as usize] += 1;
            if *status == Status::Unset {
                items.unset.insert(item);
            }
        }
        items.statuses = statuses;
        items
    }

    /// With so many that may fail.
    pub(crate) fn tolerating(self, failures_max: Option<usize>) -> Self {
        Items { failures_max, ..self }
    }

    pub(crate) fn failures_max(&self) -> Option<usize> {
        self.failures_max
    }

    /// Whether more have failed than may, so that no other is begun.
    pub(crate) fn are_given_up(&self) -> bool {
        self.failures_max.is_some_and(|most| self.count(Status::is_abended) > most)
    }

    /// The status of the task after one of them has another status.
    pub(crate) fn task_after(&self, from: Status, item: usize, status: Status) -> Option<Status> {
        let own = self.statuses.get(item).is_some_and(|own| own.is_abended());
        let failed = self.count(Status::is_abended) - usize::from(own) + usize::from(status.is_abended());
        if self.failures_max.is_none_or(|most| failed > most) {
            return task::on_item(from, status, self.others(item, false));
        }
        // A failure that may be is an end like others.
        let status = if status.is_abended() { Status::Succeeded } else { status };
        task::on_item(from, status, self.others(item, true))
    }

    pub(crate) fn len(&self) -> usize {
        self.statuses.len()
    }

    pub(crate) fn statuses(&self) -> &[Status] {
        &self.statuses
    }

    pub(crate) fn set(&mut self, item: usize, status: Status) {
        let Some(old) = self.statuses.get_mut(item) else { return };
        self.counts[*old as usize] -= 1;
        self.counts[status as usize] += 1;
        *old = status;
        if status == Status::Unset {
            self.unset.insert(item);
        } else {
            self.unset.remove(&item);
        }
    }

    fn count(&self, of: impl Fn(Status) -> bool) -> usize {
        Status::ALL.into_iter().filter(|status| of(*status)).map(|status| self.counts[status as usize]).sum()
    }

    /// Those that have begun and have not ended, in order.
    pub(crate) fn begun(&self) -> Vec<usize> {
        let begun = |status: &Status| *status != Status::Unset && !status.is_completed();
        self.statuses.iter().enumerate().filter_map(|(item, status)| begun(status).then_some(item)).collect()
    }

    /// Whether one has begun.
    pub(crate) fn have_begun(&self) -> bool {
        self.unset.len() < self.statuses.len()
    }

    /// How many are active.
    pub(crate) fn active(&self) -> usize {
        self.count(Status::is_active)
    }

    /// Whether one has not ended.
    pub(crate) fn are_incomplete(&self) -> bool {
        self.count(|status| !status.is_completed()) > 0
    }

    /// Those that have not been begun, in order.
    pub(crate) fn unset(&self) -> impl Iterator<Item = usize> {
        self.unset.iter().copied()
    }

    /// How all but one of them stand, failures not counted if they may be.
    fn others(&self, item: usize, tolerating: bool) -> OtherItems {
        let own = self.statuses.get(item).copied();
        let there = |of: fn(Status) -> bool| self.count(of) > usize::from(own.is_some_and(of));
        if there(Status::is_active) {
            OtherItems::Active
        } else if there(|status| matches!(status, Status::Pending | Status::Paused)) {
            OtherItems::Paused
        } else if there(|status| status == Status::Canceled) {
            OtherItems::Canceled
        } else if !tolerating && there(Status::is_abended) {
            OtherItems::Failed
        } else if there(|status| !status.is_completed()) {
            OtherItems::Incomplete
        } else {
            OtherItems::Completed
        }
    }

    /// Sets those back that ended badly, or all of them, and says which.
    pub(crate) fn reset(&mut self, all: bool) -> Vec<usize> {
        let again = |(item, status): (usize, &Status)| (all || status.is_abended()).then_some(item);
        let again: Vec<usize> = self.statuses.iter().enumerate().filter_map(again).collect();
        for item in &again {
            self.set(*item, Status::Unset);
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_letter_of_its_own() {
        let text = letters(&Status::ALL);
        assert_eq!(text, ".qsdrwpPuoftaycC");
        assert_eq!(statuses(&text).unwrap(), Status::ALL);
        assert_eq!(statuses("o?"), None);
    }
}

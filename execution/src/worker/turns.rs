//! Whose turn it is: how a worker shares its free slots between the classes of its pool.
//!
//! While several classes wait for a slot, slots go to them by weighted turns, 8:4:1 (smooth weighted round robin: each
//! that waits gains its weight, the one that has most takes the slot and pays the weights of all). A class that has
//! nothing to do gains and pays nothing, and keeps what it has: one that comes and goes, as tasks that a full worker
//! declines do, gets its share all the same.
//!
//! Which classes wait is known from the turn of the driver before, for in each turn every task that waits is offered:
//! whoever was refused waits. So a share that nobody takes is lost for one turn of the driver, and no longer. Where nobody
//! waited, a class takes no more than its share of all: another may be just behind it in the log.

use petrel_schemas::Class;

const CLASSES: usize = Class::ALL.len();

/// The turns of one worker. What is taken in a transaction that is aborted is not taken.
#[derive(Debug, Default)]
pub struct Turns {
    credits: [i32; CLASSES],
    credits_committed: [i32; CLASSES],
    /// Number of the driver's turn.
    number: u64,
    /// Who was refused in it.
    waits: [bool; CLASSES],
    /// Slots that it has for each class at most.
    shares: [usize; CLASSES],
    /// Slots that it has.
    free: usize,
}

impl Turns {
    /// A turn of the driver, the same one or another, in which that many slots are free; numbers are consecutive.
    pub fn begin(&mut self, number: u64, slots: usize) {
        if number == self.number {
            return;
        }
        let was_last = self.number.checked_add(1) == Some(number);
        let waited = if was_last { self.waits } else { [false; CLASSES] };
        (self.number, self.waits, self.shares, self.free) = (number, [false; CLASSES], [0; CLASSES], slots);
        if waited.contains(&true) {
            (0..slots).for_each(|_| self.shares[self.next(waited)] += 1);
        } else {
            let weight = |class: Class| usize::try_from(class.weight()).unwrap_or_default();
            let all: usize = Class::ALL.into_iter().map(weight).sum();
            self.shares = Class::ALL.map(|class| slots.saturating_mul(weight(class)).div_ceil(all));
        }
    }

    /// Takes a slot for a task of a class; else it waits.
    pub fn take(&mut self, class: Class) -> bool {
        let share = &mut self.shares[class.index()];
        let is_taken = *share > 0 && self.free > 0;
        *share -= usize::from(is_taken);
        self.free -= usize::from(is_taken);
        self.waits[class.index()] |= !is_taken;
        is_taken
    }

    /// What was taken is committed.
    pub fn committed(&mut self) {
        self.credits_committed = self.credits;
    }

    /// What was taken since the last commit is not; who waits is found out anew.
    pub fn aborted(&mut self) {
        *self = Self { credits: self.credits_committed, credits_committed: self.credits_committed, ..Self::default() };
    }

    /// The class that has the next slot among those that wait; there is one.
    fn next(&mut self, waits: [bool; CLASSES]) -> usize {
        let waiting = || Class::ALL.into_iter().filter(|class| waits[class.index()]);
        waiting().for_each(|class| self.credits[class.index()] += class.weight());
        // Of equals, the most urgent one.
        let next = waiting().rev().max_by_key(|class| self.credits[class.index()]).unwrap_or_default().index();
        self.credits[next] -= waiting().map(Class::weight).sum::<i32>();
        next
    }
}

#[cfg(test)]
mod tests;

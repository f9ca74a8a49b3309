//! What costly leaves said of the event at hand.

use super::run::Out;

/// One per thread: the outcome of each shared leaf, if it was evaluated for this event.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// Number of the event, and outcome.
    outcomes: Vec<(u32, Out)>,
    event: u32,
}

impl Memo {
    /// Forgets the last event; `leaves` is the number of shared leaves.
    #[inline]
    pub fn begin(&mut self, leaves: usize) {
        if self.outcomes.len() < leaves {
            self.outcomes.resize(leaves, (self.event, Out::FALSE));
        }
        self.event = self.event.wrapping_add(1);
        if self.event == 0 {
            // After four thousand million events an old number would look like a new one.
            self.outcomes.fill((0, Out::FALSE));
            self.event = 1;
        }
    }

    pub(super) fn get(&self, leaf: usize) -> Option<Out> {
        let (event, out) = self.outcomes[leaf];
        (event == self.event).then_some(out)
    }

    pub(super) fn set(&mut self, leaf: usize, out: Out) {
        self.outcomes[leaf] = (self.event, out);
    }
}

//! How a sender numbers its messages.

use super::Stamp;

/// The numbering of one sender, as its state has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    last: Stamp,
}

impl Numbers {
    /// A sender that finds no numbering in its state begins one, now, in milliseconds since the epoch.
    pub const fn begin(now_ms: i64) -> Self {
        Self { last: Stamp { epoch: now_ms, number: 0 } }
    }

    /// The numbering that goes on after a stamp.
    pub const fn after(last: Stamp) -> Self {
        Self { last }
    }

    /// The last stamp.
    pub const fn last(&self) -> Stamp {
        self.last
    }

    /// The next stamp.
    #[expect(clippy::should_implement_trait, reason = "it is no iterator: there is always a next one")]
    pub fn next(&mut self) -> Stamp {
        self.last.number += 1;
        self.last
    }

    /// A gate knows of a later epoch: this sender has lost its state, and its clock was behind when it began anew. What
    /// it sends from now on is taken; what it sent is asked again by timers. False if it is in that epoch already, and
    /// it was an old message of its own that came again.
    pub fn behind(&mut self, epoch: i64) -> bool {
        let is_behind = self.last.epoch < epoch;
        if is_behind {
            self.last = Stamp { epoch: epoch.saturating_add(1), number: 0 };
        }
        is_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_go_up_also_after_a_loss_and_a_clock_that_was_behind() {
        let mut numbers = Numbers::begin(100);
        let first = numbers.next();
        let second = numbers.next();
        assert!(first < second);
        let mut anew = Numbers::begin(50);
        assert!(anew.next() < second, "it would not be heard");
        assert!(anew.behind(second.epoch));
        assert!(anew.next() > second);
        let before = anew;
        assert!(!anew.behind(second.epoch), "an old message that came again moves nothing");
        assert_eq!(anew, before);
        assert_eq!(Numbers::after(anew.last()), anew);
    }
}

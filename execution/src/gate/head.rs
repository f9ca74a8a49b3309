//! What a gate remembers of itself: a few numbers, whatever waits.

use petrel_schemas::ExecutionId;

use super::{Breaker, Bucket, Class, Clock, InForce};

/// The state of a gate beside its permits, starts and waiters. A gate that has nothing to remember has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Its clock: all instants here are by it, but for that of the timer.
    pub clock: Clock,
    /// Permits that are out.
    pub permits: u32,
    /// Starts that count in the window.
    pub hits: u32,
    /// Starts that are remembered and do not count any more, for a person has opened the gate since.
    pub void: u32,
    /// Which window it is.
    pub window: u32,
    /// When the last start stops to count.
    pub last_hit_until_ms: i64,
    /// Who waits, by class.
    pub waiting: [u64; 3],
    /// The ticket of who comes next.
    pub ticket: u64,
    /// Whose turn it is among the classes.
    pub turn: u8,
    /// Tokens; none for a gate without a rate, or whose bucket is full.
    pub bucket: Option<Bucket>,
    /// How often time has replaced the tokens that were out: those that were taken before do not come back.
    pub era: u32,
    /// Tokens that were taken since and may still come back.
    pub tokens_out: u32,
    /// How many parts of a token each of them is worth: with all of them the bucket would never have been over its burst.
    pub token_worth: i64,
    /// Its breaker.
    pub breaker: Breaker,
    /// Nothing passes until then.
    pub closed_until_ms: Option<i64>,
    /// Nothing passes until a person opens it.
    pub paused: bool,
    /// Revisions that are not known here yet, by which somebody has asked: nothing passes until they are.
    pub awaits: Vec<InForce>,
    /// The latest revision that was known here and by which somebody has asked: it decides by none that is older, whatever
    /// process has its partition.
    pub asked_by: Option<InForce>,
    /// When holders of permits are asked whether they still hold them.
    pub ask_at_ms: Option<i64>,
    /// Who was asked last, while not all of them are.
    pub asked: Option<ExecutionId>,
    /// When its timer is due, if one is set, in milliseconds since the epoch.
    pub timer_ms: Option<i64>,
}

/// How often each class comes first where all wait: 8:4:1, so that none starves.
const TURNS: [Class; 13] = {
    use Class::{Bulk, Normal, Urgent};
    [Urgent, Urgent, Normal, Urgent, Urgent, Normal, Urgent, Bulk, Urgent, Normal, Urgent, Urgent, Normal]
};

impl Head {
    /// The head of a gate that has none, now.
    pub(super) fn begin(now_ms: i64) -> Self {
        Self { clock: Clock::begin(now_ms), ..Self::default() }
    }

    /// Somebody has asked by that revision, which is known.
    pub(super) fn asked_by(&mut self, in_force: &InForce) {
        if self.asked_by.as_ref().is_none_or(|before| before.since_ms < in_force.since_ms) {
            self.asked_by = Some(in_force.clone());
        }
    }

    /// Everybody who waits.
    pub fn waiters(&self) -> u64 {
        self.waiting.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The class that is next, if anybody waits.
    pub(super) fn next_class(&self) -> Option<Class> {
        let waits = |class: &Class| self.waiting[*class as usize] > 0;
        let turn = TURNS[usize::from(self.turn) % TURNS.len()];
        std::iter::once(turn).chain(Class::ALL).find(waits)
    }

    /// It has been somebody's turn.
    pub(super) fn turned(&mut self) {
        self.turn = u8::try_from((usize::from(self.turn) + 1) % TURNS.len()).unwrap_or(0);
    }

    /// Whether a gate without any state would decide the same.
    pub(super) fn is_forgettable(&self) -> bool {
        let Self { permits, hits, void, breaker, closed_until_ms, paused, bucket, awaits, .. } = self;
        *permits == 0
            && *hits == 0
            && *void == 0
            && self.waiters() == 0
            && bucket.is_none()
            && *breaker == Breaker::default()
            && closed_until_ms.is_none()
            && !paused
            && awaits.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_eight_to_four_to_one_and_nobody_is_waited_for() {
        let mut head = Head { waiting: [9, 9, 9], ..Head::default() };
        let mut seen = [0; 3];
        for _ in 0..13 {
            seen[head.next_class().unwrap() as usize] += 1;
            head.turned();
        }
        assert_eq!((seen, head.turn), ([8, 4, 1], 0));
        for turn in 0..13 {
            let bulk_only = Head { waiting: [0, 0, 1], turn, ..Head::default() };
            assert_eq!(bulk_only.next_class(), Some(Class::Bulk));
        }
        assert_eq!(Head::default().next_class(), None);
    }
}

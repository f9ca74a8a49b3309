//! What a gate decides.

use super::room::{heard, idle_at_ms, refresh, room, take};
use super::{Breaker, Excess, GateId, GateMessage, GateStore, Head, Outcome, Place, Room, Terms, What};

/// Most grants of one decision; what is left is granted by the gate's timer, at once.
pub const GRANTS_PER_STEP_MAX: usize = 256;

/// Most who wait at one gate; who comes then is turned away.
pub const WAITERS_MAX: u64 = 1_000_000;

/// Most starts that leave a window in one decision, more than can come in by it.
const HITS_PER_STEP_MAX: usize = 2 * GRANTS_PER_STEP_MAX;

/// Why somebody was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The policy drops what is over its limit.
    Excess,
    /// It would have to wait for a gate that comes before one that its ancestors hold.
    OutOfOrder,
    /// [`WAITERS_MAX`] wait already.
    TooManyWait,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It may pass.
    Granted,
    /// It waits, for that.
    Waits(Room),
    /// It is turned away.
    Refused(Refusal),
    /// The gate is shut until a person opens it.
    Shut,
    /// The breaker opened: nothing passes until then, in milliseconds since the epoch.
    Tripped(i64),
    /// The breaker is closed again.
    Recovered,
}

/// One decision of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which gate.
    pub gate: GateId,
    /// Whom it is about, and the number of the acquisition; nobody where it is about the gate itself.
    pub about: Option<(Place, u64)>,
    /// What.
    pub decided: Decided,
}

/// The gates of one partition, at one instant.
pub struct Gates<'s, S> {
    store: &'s mut S,
    now_ms: i64,
    decisions: Vec<Decision>,
}

/// One gate while it decides.
struct Open<'t> {
    gate: &'t GateId,
    terms: Option<&'t Terms>,
    head: Head,
    breaker_before: Breaker,
}

impl<'s, S: GateStore> Gates<'s, S> {
    /// Gates over what is remembered of them; the instant is in milliseconds since the epoch.
    pub fn new(store: &'s mut S, now_ms: i64) -> Self {
        Self { store, now_ms, decisions: Vec::new() }
    }

    /// What was decided, in order.
    pub fn into_decisions(self) -> Vec<Decision> {
        self.decisions
    }

    /// Takes a message. Without terms there is no such policy (any more), and everybody passes. False if it had been
    /// taken before, and changed nothing.
    pub fn message(&mut self, message: &GateMessage, terms: Option<&Terms>) -> bool {
        if message.number <= self.store.last_of(message.sender) {
            return false;
        }
        self.store.set_last_of(message.sender, message.number);
        let mut open = self.open(&message.gate, terms);
        match &message.what {
            What::Acquire { place, may_wait } => self.acquire(&mut open, place, message.number, *may_wait),
            What::Release { place, acquired, outcome } => self.release(&mut open, place, *acquired, *outcome),
            What::Close { until_ms } => {
                let until_ms = open.head.closed_until_ms.map_or(*until_ms, |before| before.max(*until_ms));
                open.head.closed_until_ms = Some(until_ms).filter(|until_ms| *until_ms > self.now_ms);
            }
            What::Open => {
                open.head.paused = false;
                open.head.closed_until_ms = None;
                open.head.breaker = Breaker::default();
            }
        }
        self.close(open);
        true
    }

    /// The gate's timer is due.
    pub fn timer(&mut self, gate: &GateId, terms: Option<&Terms>) {
        let mut open = self.open(gate, terms);
        open.head.timer_ms = None;
        self.close(open);
    }

    /// The gate's terms may have changed.
    pub fn retuned(&mut self, gate: &GateId, terms: Option<&Terms>) {
        let open = self.open(gate, terms);
        self.close(open);
    }

    fn open<'t>(&mut self, gate: &'t GateId, terms: Option<&'t Terms>) -> Open<'t> {
        let mut head = self.store.head(gate).unwrap_or_default();
        let breaker_before = head.breaker;
        refresh(&mut head, self.store, gate, terms, HITS_PER_STEP_MAX, self.now_ms);
        Open { gate, terms, head, breaker_before }
    }

    fn acquire(&mut self, open: &mut Open<'_>, place: &Place, number: u64, may_wait: bool) {
        if self.store.waiter(open.gate, place).is_some() {
            // It asks again: it keeps its place, under the new number.
            self.store.set_waiter(open.gate, place, Some(number));
            return self.decide(open, Some((place, number)), Decided::Waits(self.room(open)));
        }
        if self.store.permit(open.gate, &place.execution).is_some() {
            return self.grant(open, place, number);
        }
        let room = self.room(open);
        if room == Room::Now && open.head.waiters() == 0 {
            return self.grant(open, place, number);
        }
        let excess = open.terms.map_or(Excess::Wait, |terms| terms.excess);
        let refusal = match excess {
            Excess::Drop => Some(Refusal::Excess),
            _ if !may_wait => Some(Refusal::OutOfOrder),
            _ if open.head.waiters() >= WAITERS_MAX => Some(Refusal::TooManyWait),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return self.decide(open, Some((place, number)), Decided::Refused(refusal));
        }
        if excess == Excess::Pause && !open.head.paused && open.head.closed_until_ms.is_none() {
            open.head.paused = true;
            self.decide(open, None, Decided::Shut);
        }
        self.store.set_waiter(open.gate, place, Some(number));
        open.head.waiting[place.class as usize] += 1;
        let room = self.room(open);
        self.decide(open, Some((place, number)), Decided::Waits(room));
    }

    fn release(&mut self, open: &mut Open<'_>, place: &Place, acquired: u64, outcome: Outcome) {
        let permit = self.store.permit(open.gate, &place.execution).filter(|permit| permit.acquired == acquired);
        if let Some(permit) = permit {
            self.store.set_permit(open.gate, &place.execution, None);
            open.head.permits = open.head.permits.saturating_sub(1);
            let good = match outcome {
                Outcome::Succeeded => Some(true),
                Outcome::Failed => Some(false),
                Outcome::Neither => None,
            };
            heard(&mut open.head, open.terms, permit, good, self.now_ms);
        } else if self.store.waiter(open.gate, place) == Some(acquired) {
            self.store.set_waiter(open.gate, place, None);
            let waiting = &mut open.head.waiting[place.class as usize];
            *waiting = waiting.saturating_sub(1);
        }
    }

    /// Lets pass who may, and writes down what is left.
    fn close(&mut self, mut open: Open<'_>) {
        let is_cut = self.drain(&mut open);
        match (open.breaker_before, open.head.breaker) {
            (before, Breaker::Open { until_ms }) if before != open.head.breaker => {
                self.decide(&open, None, Decided::Tripped(until_ms));
            }
            (Breaker::Open { .. } | Breaker::HalfOpen { .. }, Breaker::Closed { .. }) => {
                self.decide(&open, None, Decided::Recovered);
            }
            _ => {}
        }
        let timer_before = open.head.timer_ms;
        if open.head.is_forgettable() {
            if timer_before.is_some() {
                self.store.set_timer(open.gate, None);
            }
            return self.store.set_head(open.gate, None);
        }
        let due_ms = match (is_cut, open.head.waiters()) {
            (true, _) => Some(self.now_ms),
            (false, 0) => idle_at_ms(&open.head, open.terms),
            (false, _) => match self.room(&open) {
                Room::Now => Some(self.now_ms),
                Room::At(due_ms) => Some(due_ms).filter(|due_ms| *due_ms < i64::MAX),
                Room::Release | Room::Person => None,
            },
        };
        // One that is set already and comes earlier sets the next: it is not moved with every message.
        if let Some(due_ms) = due_ms.filter(|due_ms| timer_before.is_none_or(|before| *due_ms < before)) {
            self.store.set_timer(open.gate, Some(due_ms));
            open.head.timer_ms = Some(due_ms);
        }
        self.store.set_head(open.gate, Some(&open.head));
    }

    /// Whether more could pass than one decision lets pass.
    fn drain(&mut self, open: &mut Open<'_>) -> bool {
        for _ in 0..GRANTS_PER_STEP_MAX {
            let Some(class) = open.head.next_class() else { return false };
            if self.room(open) != Room::Now {
                return false;
            }
            let Some(waiter) = self.store.first_waiter(open.gate, class) else {
                debug_assert!(false, "a gate counts who waits at it");
                open.head.waiting[class as usize] = 0;
                continue;
            };
            self.store.set_waiter(open.gate, &waiter.place, None);
            open.head.waiting[class as usize] -= 1;
            open.head.turned();
            self.grant(open, &waiter.place, waiter.acquired);
        }
        open.head.waiters() > 0 && self.room(open) == Room::Now
    }

    fn grant(&mut self, open: &mut Open<'_>, place: &Place, number: u64) {
        let held = self.store.permit(open.gate, &place.execution);
        match (held, open.terms) {
            // It has a permit already, which goes on under the new number.
            (Some(permit), _) => {
                let permit = super::Permit { acquired: number, ..permit };
                self.store.set_permit(open.gate, &place.execution, Some(permit));
            }
            (None, Some(terms)) => {
                take(&mut open.head, self.store, open.gate, terms, (place, number), self.now_ms);
            }
            (None, None) => {}
        }
        self.decide(open, Some((place, number)), Decided::Granted);
    }

    fn room(&self, open: &Open<'_>) -> Room {
        open.terms.map_or(Room::Now, |terms| room(&open.head, self.store, open.gate, terms, self.now_ms))
    }

    fn decide(&mut self, open: &Open<'_>, about: Option<(&Place, u64)>, decided: Decided) {
        let about = about.map(|(place, number)| (place.clone(), number));
        self.decisions.push(Decision { gate: open.gate.clone(), about, decided });
    }
}

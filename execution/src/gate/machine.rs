//! What a gate decides.

use petrel_schemas::ExecutionId;

use super::decision::{Decided, Decision, Refusal};
use super::room::{begin_era, give_back, idle_at_ms, refresh, room, take};
use super::{
    About, Breaker, Class, Excess, GateId, GateMessage, GateStore, Head, InForce, Outcome, Permit, Policies, Room,
    Seat, Terms, What, Why,
};

/// Most grants of one decision; what is left is granted by the gate's timer, at once.
pub const GRANTS_PER_STEP_MAX: usize = 256;

/// Most who wait at one gate; who comes then is turned away.
pub const WAITERS_MAX: u64 = 1_000_000;

/// Most gates of one partition that have something to remember; who comes to another one then is turned away.
pub const GATES_MAX: u64 = 1_000_000;

/// Most revisions that one gate waits for by name.
pub const REVISIONS_AWAITED_MAX: usize = 8;

/// Longest time for which a gate is closed, in milliseconds, whatever is asked for.
pub const CLOSE_MS_MAX: i64 = 86_400_000;

/// How often a gate that waits for a revision looks whether it has come, in milliseconds.
pub const REVISION_LOOK_MS: i64 = 1_000;

/// Most decisions after which a look at all gates goes on in another step: each is a record or two of one transaction.
pub const LOOK_DECISIONS_MAX: usize = 1_024;

/// How often holders of permits are asked whether they still hold them, in milliseconds.
pub const ASK_HOLDERS_MS: i64 = 600_000;

/// Most holders that are asked in one decision.
pub const HOLDERS_PER_STEP_MAX: usize = 64;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is taken.
    New,
    /// It was taken before, and changed nothing.
    Before,
    /// It is of an epoch before that one, which its sender is to be told: it is an old message that came again, or its
    /// sender has lost its numbering.
    Behind(i64),
}

/// The gates of one partition, at one instant.
pub struct Gates<'s, S, P> {
    store: &'s mut S,
    policies: &'s P,
    now_ms: i64,
    decisions: Vec<Decision>,
}

/// One gate while it decides.
struct Open<'t> {
    gate: &'t GateId,
    terms: Option<Terms>,
    head: Head,
    /// As it was remembered; nothing if the gate had nothing to remember.
    stored: Option<Head>,
    breaker_before: Breaker,
}

impl Open<'_> {
    fn is_new(&self) -> bool {
        self.stored.is_none()
    }

    /// Whether it remembers something else than before. That time has passed is none: a clock goes on from where it was
    /// read last.
    fn is_changed(&self) -> bool {
        let as_stored = |stored: &Head| Head { clock: stored.clock, ..self.head.clone() } == *stored;
        !self.stored.as_ref().is_some_and(as_stored)
    }

    fn room(&self, store: &impl GateStore) -> Room {
        room(&self.head, store, self.gate, self.terms.as_ref())
    }
}

impl<'s, S: GateStore, P: Policies> Gates<'s, S, P> {
    /// Gates over what is remembered of them; the instant is in milliseconds since the epoch.
    pub fn new(store: &'s mut S, policies: &'s P, now_ms: i64) -> Self {
        Self { store, policies, now_ms, decisions: Vec::new() }
    }

    /// What was decided, in order.
    pub fn into_decisions(self) -> Vec<Decision> {
        self.decisions
    }

    /// Takes a message.
    pub fn message(&mut self, message: &GateMessage) -> Heard {
        match self.store.last_of(message.sender) {
            Some(last) if message.stamp.epoch < last.epoch => return Heard::Behind(last.epoch),
            Some(last) if message.stamp <= last => return Heard::Before,
            _ => self.store.set_last_of(message.sender, message.stamp),
        }
        let mut open = self.open(&message.gate);
        match &message.what {
            What::Acquire { about, class, may_wait, in_force } => {
                self.acquire(&mut open, about, *class, *may_wait, in_force);
            }
            What::Release { about, outcome } => self.release(&mut open, about, *outcome),
            What::Close { until_ms } => self.shut_until(&mut open, *until_ms),
            What::Shut { by } => self.shut_by(&mut open, by),
            What::Open { by } => self.open_by(&mut open, by),
        }
        self.close(open);
        Heard::New
    }

    /// The gate's timer is due.
    pub fn timer(&mut self, gate: &GateId) {
        let mut open = self.open(gate);
        open.head.timer_ms = None;
        self.ask_holders(&mut open);
        self.close(open);
    }

    /// The terms of policies may have changed: so many gates look at them, from the one that follows `after`. Where to
    /// go on, if there are more.
    pub fn retuned(&mut self, after: Option<&GateId>, gates_max: usize) -> Option<GateId> {
        let mut last = after.cloned();
        for _ in 0..gates_max {
            if self.decisions.len() >= LOOK_DECISIONS_MAX {
                break;
            }
            let gate = self.store.next_gate(last.as_ref())?;
            let open = self.open(&gate);
            self.close(open);
            last = Some(gate);
        }
        last.filter(|last| self.store.next_gate(Some(last)).is_some())
    }

    fn open<'t>(&mut self, gate: &'t GateId) -> Open<'t> {
        let stored = self.store.head(gate);
        let mut head = stored.clone().unwrap_or_else(|| Head::begin(self.now_ms));
        head.clock = head.clock.at(self.now_ms);
        for in_force in std::mem::take(&mut head.awaits).into_iter().chain(head.asked_by.take()) {
            // Also one that it has decided by: whoever had its partition before was further.
            match self.policies.knows(&in_force) {
                true => head.asked_by(&in_force),
                false => head.awaits.push(in_force),
            }
        }
        let terms = self.policies.terms(gate).filter(|terms| terms.limit.kind() == gate.kind);
        let breaker_before = head.breaker;
        refresh(&mut head, self.store, gate, terms.as_ref());
        Open { gate, terms, head, stored, breaker_before }
    }

    fn acquire(&mut self, open: &mut Open<'_>, about: &About, class: Class, may_wait: bool, in_force: &InForce) {
        self.await_revision(open, in_force);
        let execution = &about.execution;
        let permit = self.store.permit(open.gate, execution);
        let seat = self.store.seat(open.gate, execution);
        if permit.is_some_and(|permit| permit.acquisition > about.acquisition)
            || seat.is_some_and(|seat| seat.acquisition > about.acquisition)
        {
            // Its owner has given that acquisition up.
            return;
        }
        match permit {
            Some(permit) if permit.acquisition == about.acquisition => {
                return self.decide(open, Some(about), Decided::Granted { again: true });
            }
            // Its release was lost.
            Some(permit) => self.take_back(open, execution, &permit, Outcome::Silent),
            None => {}
        }
        match seat {
            Some(seat) if seat.acquisition == about.acquisition => {
                let why = self.why_waits(open);
                return self.decide(open, Some(about), Decided::Waits { why, again: true });
            }
            Some(seat) => self.leave(open, execution, &seat),
            None => {}
        }
        self.come(open, about, class, may_wait);
    }

    /// Somebody comes whom the gate does not know.
    fn come(&mut self, open: &mut Open<'_>, about: &About, class: Class, may_wait: bool) {
        if open.is_new() && self.store.gates() >= GATES_MAX {
            return self.decide(open, Some(about), Decided::Refused(Refusal::TooManyGates));
        }
        let why = match open.room(self.store) {
            Room::Now if open.head.waiters() == 0 => return self.grant(open, about),
            Room::Now => Why::Turn,
            Room::Not { why, .. } => why,
        };
        let excess = open.terms.map(|terms| terms.excess).filter(|_| why.is_excess()).unwrap_or(Excess::Wait);
        let refusal = match excess {
            Excess::Drop => Some(Refusal::Excess(why)),
            _ if !may_wait => Some(Refusal::OutOfOrder(why)),
            _ if open.head.waiters() >= WAITERS_MAX => Some(Refusal::TooManyWait),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return self.decide(open, Some(about), Decided::Refused(refusal));
        }
        if excess == Excess::Pause && !open.head.paused {
            open.head.paused = true;
            self.decide(open, None, Decided::Shut(why));
        }
        let seat = Seat { acquisition: about.acquisition, class, ticket: open.head.ticket };
        open.head.ticket += 1;
        self.store.set_seat(open.gate, &about.execution, None, Some(&seat));
        open.head.waiting[class as usize] += 1;
        let why = self.why_waits(open);
        self.decide(open, Some(about), Decided::Waits { why, again: false });
    }

    /// Nobody passes by terms that are older than those of who asks.
    fn await_revision(&mut self, open: &mut Open<'_>, in_force: &InForce) {
        if self.policies.knows(in_force) {
            return open.head.asked_by(in_force);
        }
        if open.head.awaits.contains(in_force) {
            return;
        }
        // Over the limit the gate waits for the others; who asks again is named then.
        if open.head.awaits.len() < REVISIONS_AWAITED_MAX {
            open.head.awaits.push(in_force.clone());
        }
    }

    fn release(&mut self, open: &mut Open<'_>, about: &About, outcome: Outcome) {
        let execution = &about.execution;
        let permit = self.store.permit(open.gate, execution).filter(|held| held.acquisition == about.acquisition);
        let seat = self.store.seat(open.gate, execution).filter(|seat| seat.acquisition == about.acquisition);
        if let Some(permit) = permit {
            self.take_back(open, execution, &permit, outcome);
        }
        if let Some(seat) = seat {
            self.leave(open, execution, &seat);
        }
    }

    fn take_back(&mut self, open: &mut Open<'_>, execution: &ExecutionId, permit: &Permit, outcome: Outcome) {
        give_back(&mut open.head, self.store, open.gate, open.terms.as_ref(), (execution, permit), outcome);
        let about = About { execution: execution.clone(), acquisition: permit.acquisition };
        self.decide(open, Some(&about), Decided::Returned(outcome));
    }

    fn leave(&mut self, open: &mut Open<'_>, execution: &ExecutionId, seat: &Seat) {
        self.unseat(open, execution, seat);
        let about = About { execution: execution.clone(), acquisition: seat.acquisition };
        self.decide(open, Some(&about), Decided::Left);
    }

    fn unseat(&mut self, open: &mut Open<'_>, execution: &ExecutionId, seat: &Seat) {
        self.store.set_seat(open.gate, execution, Some(seat), None);
        let waiting = &mut open.head.waiting[seat.class as usize];
        *waiting = waiting.saturating_sub(1);
    }

    fn shut_until(&mut self, open: &mut Open<'_>, until_ms: i64) {
        let clock = open.head.clock;
        let for_ms = until_ms.saturating_sub(clock.wall_ms).min(CLOSE_MS_MAX);
        if for_ms <= 0 || open.terms.is_none() {
            return;
        }
        let until_ms = clock.time_ms.saturating_add(for_ms);
        if open.head.closed_until_ms.is_none_or(|before| before < until_ms) {
            open.head.closed_until_ms = Some(until_ms);
            let until_ms = clock.wall(until_ms);
            self.decide(open, None, Decided::Closed { until_ms });
        }
    }

    /// Once is enough, and a gate that no policy is for has nobody to keep out.
    fn shut_by(&mut self, open: &mut Open<'_>, by: &str) {
        if !open.head.paused && open.terms.is_some() {
            open.head.paused = true;
            self.decide(open, None, Decided::ShutBy { by: by.to_owned() });
        }
    }

    fn open_by(&mut self, open: &mut Open<'_>, by: &str) {
        let head = &mut open.head;
        (head.paused, head.closed_until_ms, head.breaker, head.bucket) = (false, None, Breaker::default(), None);
        // A revision that never comes keeps nobody out for ever.
        (head.awaits, head.asked_by) = (Vec::new(), None);
        // What has started counts no more, or the next one would shut the gate again.
        head.void = head.void.saturating_add(head.hits);
        head.hits = 0;
        head.window = head.window.wrapping_add(1);
        begin_era(head);
        open.breaker_before = Breaker::default();
        self.decide(open, None, Decided::Opened { by: by.to_owned() });
    }

    /// Asks who holds permits whether they still do, some at a time: a release that was lost is found out so.
    fn ask_holders(&mut self, open: &mut Open<'_>) {
        if open.head.ask_at_ms.is_none_or(|at_ms| open.head.clock.time_ms < at_ms) {
            return;
        }
        for _ in 0..HOLDERS_PER_STEP_MAX {
            let Some((execution, permit)) = self.store.next_permit(open.gate, open.head.asked.as_ref()) else {
                (open.head.asked, open.head.ask_at_ms) = (None, None);
                return;
            };
            open.head.asked = Some(execution.clone());
            let about = About { execution, acquisition: permit.acquisition };
            self.decide(open, Some(&about), Decided::Asked);
        }
    }

    /// Lets pass who may, and writes down what is left.
    fn close(&mut self, mut open: Open<'_>) {
        let is_cut = self.drain(&mut open);
        let clock = open.head.clock;
        match (open.breaker_before, open.head.breaker) {
            (before, Breaker::Open { until_ms }) if before != open.head.breaker => {
                self.decide(&open, None, Decided::Tripped { until_ms: clock.wall(until_ms) });
            }
            (Breaker::Open { .. } | Breaker::HalfOpen { .. }, Breaker::Closed { .. }) => {
                self.decide(&open, None, Decided::Recovered);
            }
            _ => {}
        }
        let timer_before = open.head.timer_ms;
        if open.terms.is_none() && open.head.awaits.is_empty() && open.head.permits == 0 && open.head.waiters() == 0 {
            // It keeps nobody out without a policy, which may be gone for one revision only.
            open.head.paused = false;
        }
        if open.head.is_forgettable() {
            if timer_before.is_some() {
                self.store.set_timer(open.gate, None);
            }
            if !open.is_new() {
                self.store.set_gates(self.store.gates().saturating_sub(1));
                self.store.set_head(open.gate, None);
            }
            return;
        }
        if open.head.permits > 0 && open.head.ask_at_ms.is_none() {
            open.head.ask_at_ms = Some(clock.time_ms.saturating_add(ASK_HOLDERS_MS));
        }
        // One that is set already and comes earlier sets the next: it is not moved with every message.
        let due_ms = self.due_ms(&open, is_cut).map(|due_ms| clock.wall(due_ms));
        if let Some(due_ms) = due_ms.filter(|due_ms| timer_before.is_none_or(|before| *due_ms < before)) {
            self.store.set_timer(open.gate, Some(due_ms));
            open.head.timer_ms = Some(due_ms);
        }
        if open.is_new() {
            self.store.set_gates(self.store.gates().saturating_add(1));
        }
        if open.is_changed() {
            self.store.set_head(open.gate, Some(&open.head));
        }
    }

    /// When the gate has to look again, by its clock.
    fn due_ms(&self, open: &Open<'_>, is_cut: bool) -> Option<i64> {
        let (head, now_ms) = (&open.head, open.head.clock.time_ms);
        let ask_at_ms = head.ask_at_ms.filter(|_| head.permits > 0);
        let look_ms = (!head.awaits.is_empty()).then(|| now_ms.saturating_add(REVISION_LOOK_MS));
        let clean_ms = (head.void > 0).then_some(now_ms);
        let goes_on_ms = match (is_cut, head.waiters()) {
            (true, _) => Some(now_ms),
            (false, 0) => idle_at_ms(head, open.terms.as_ref()),
            (false, _) => match open.room(self.store) {
                Room::Now => Some(now_ms),
                Room::Not { until_ms, .. } => until_ms,
            },
        };
        [ask_at_ms, look_ms, clean_ms, goes_on_ms].into_iter().flatten().min()
    }

    /// Whether more could pass than one decision lets pass.
    fn drain(&mut self, open: &mut Open<'_>) -> bool {
        for _ in 0..GRANTS_PER_STEP_MAX {
            let Some(class) = open.head.next_class() else { return false };
            if open.room(self.store) != Room::Now {
                return false;
            }
            let Some((execution, seat)) = self.store.first_waiting(open.gate, class) else {
                // What cannot be read counts as not there, and what follows from a read that fails is never committed.
                open.head.waiting[class as usize] = 0;
                continue;
            };
            self.unseat(open, &execution, &seat);
            open.head.turned();
            self.grant(open, &About { execution, acquisition: seat.acquisition });
        }
        open.head.waiters() > 0 && open.room(self.store) == Room::Now
    }

    fn grant(&mut self, open: &mut Open<'_>, about: &About) {
        take(&mut open.head, self.store, open.gate, open.terms.as_ref(), (&about.execution, about.acquisition));
        self.decide(open, Some(about), Decided::Granted { again: false });
    }

    fn why_waits(&self, open: &Open<'_>) -> Why {
        match open.room(self.store) {
            Room::Now => Why::Turn,
            Room::Not { why, .. } => why,
        }
    }

    fn decide(&mut self, open: &Open<'_>, about: Option<&About>, decided: Decided) {
        self.decisions.push(Decision { gate: open.gate.clone(), about: about.cloned(), decided });
    }
}

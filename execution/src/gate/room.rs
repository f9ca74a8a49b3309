//! Whether one more may pass a gate, and what that does to it.

use petrel_schemas::ExecutionId;

use super::breaker::Trip;
use super::bucket::{Bucket, Fill};
use super::{ACTIONS_MAX, Breaker, Charge, GateId, GateStore, Head, Hit, Limit, Outcome, Permit, Stamp, Terms};

/// Most starts that leave a window in one decision, more than can come in by it.
pub(super) const HITS_PER_STEP_MAX: usize = 2 * super::GRANTS_PER_STEP_MAX;

/// Why nobody passes at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// All permits are out.
    Concurrency,
    /// The bucket holds no token.
    Rate,
    /// The window is full.
    Radius,
    /// The breaker is open.
    Breaker,
    /// The breaker is half open, and its probes are under way.
    Probes,
    /// The other side asked for a pause.
    Closed,
    /// It is shut until a person opens it.
    Person,
    /// Somebody has asked by a revision that is not known here yet.
    Revision,
    /// Others came before.
    Turn,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Concurrency,
        Self::Rate,
        Self::Radius,
        Self::Breaker,
        Self::Probes,
        Self::Closed,
        Self::Person,
        Self::Revision,
        Self::Turn,
    ];

    /// Its stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Rate => "rate",
            Self::Radius => "radius",
            Self::Breaker => "breaker_open",
            Self::Probes => "breaker_probes",
            Self::Closed => "retry_after",
            Self::Person => "paused",
            Self::Revision => "revision_not_here",
            Self::Turn => "others_before",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.code() == text)
    }

    /// Whether it is the policy's limit that is used up, and its excess says what becomes of who comes.
    pub(super) const fn is_excess(self) -> bool {
        !matches!(self, Self::Closed | Self::Person | Self::Revision | Self::Turn)
    }
}

/// Whether one more may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Now.
    Now,
    /// Not yet.
    Not {
        /// Why.
        why: Why,
        /// Not before that instant, by the gate's clock; none if it is not time that is waited for.
        until_ms: Option<i64>,
    },
}

impl Room {
    const fn until(why: Why, until_ms: i64) -> Self {
        Self::Not { why, until_ms: Some(until_ms) }
    }

    const fn not(why: Why) -> Self {
        Self::Not { why, until_ms: None }
    }
}

impl Limit {
    fn fill(self) -> Option<Fill> {
        match self {
            Self::Rate { tokens, per_ms, burst } => Some(Fill { tokens, per_ms, burst }),
            _ => None,
        }
    }

    fn trip(self) -> Option<Trip> {
        match self {
            Self::Breaker { failures_max, open_ms, probes } => {
                Some(Trip { failures_max: failures_max.max(1), open_ms, probes: probes.max(1) })
            }
            _ => None,
        }
    }
}

/// Brings a head to the present: tokens come, starts stop to count, what was open for a time may be tried.
pub(super) fn refresh(head: &mut Head, store: &mut impl GateStore, gate: &GateId, terms: Option<&Terms>) {
    let now_ms = head.clock.time_ms;
    head.closed_until_ms = head.closed_until_ms.filter(|until_ms| now_ms < *until_ms);
    if terms.is_none() && head.awaits.is_empty() {
        head.closed_until_ms = None;
    }
    head.breaker = match terms.and_then(|terms| terms.limit.trip()) {
        Some(trip) => head.breaker.at(now_ms).by(trip),
        None => Breaker::default(),
    };
    let fill = terms.and_then(|terms| terms.limit.fill());
    let before = head.bucket;
    head.bucket = fill.and_then(|fill| {
        let bucket = head.bucket?.at(fill, now_ms);
        (bucket.full_at_ms(fill) > now_ms).then_some(bucket)
    });
    devalue(head, fill, before);
    for _ in 0..HITS_PER_STEP_MAX {
        if head.hits == 0 && head.void == 0 {
            break;
        }
        match store.first_hit(gate).filter(|hit| hit.until_ms <= now_ms || hit.window != head.window) {
            Some(hit) => forget_hit(head, store, gate, &hit),
            None => break,
        }
    }
}

/// Tokens that are out are worth less as time fills the bucket without them, and nothing once half of each is replaced.
fn devalue(head: &mut Head, fill: Option<Fill>, before: Option<Bucket>) {
    if head.tokens_out == 0 {
        return;
    }
    match (fill, before, head.bucket) {
        (Some(fill), Some(before), Some(bucket)) if before.per_ms == bucket.per_ms => {
            head.token_worth = head.token_worth.min(bucket.missing(fill) / i64::from(head.tokens_out));
            if head.token_worth < bucket.per_ms / 2 {
                begin_era(head);
            }
        }
        _ => begin_era(head),
    }
}

/// What is out of the bucket has been replaced, and comes back to nothing.
pub(super) fn begin_era(head: &mut Head) {
    head.era = head.era.wrapping_add(1);
    (head.tokens_out, head.token_worth) = (0, 0);
}

fn forget_hit(head: &mut Head, store: &mut impl GateStore, gate: &GateId, hit: &Hit) {
    if store.remove_hit(gate, hit) {
        let count = if hit.window == head.window { &mut head.hits } else { &mut head.void };
        *count = count.saturating_sub(1);
    }
}

/// Whether one more may pass a gate whose head is of now.
pub(super) fn room(head: &Head, store: &impl GateStore, gate: &GateId, terms: Option<&Terms>) -> Room {
    if !head.awaits.is_empty() {
        return Room::not(Why::Revision);
    }
    let Some(terms) = terms else { return Room::Now };
    if head.paused {
        return Room::not(Why::Person);
    }
    if let Some(until_ms) = head.closed_until_ms {
        return Room::until(Why::Closed, until_ms);
    }
    let now_ms = head.clock.time_ms;
    match terms.limit {
        Limit::Concurrency { permits_max } if head.permits < permits_max => Room::Now,
        Limit::Concurrency { .. } => Room::not(Why::Concurrency),
        Limit::Rate { tokens, per_ms, burst } => {
            let fill = Fill { tokens, per_ms, burst };
            match head.bucket.unwrap_or_else(|| Bucket::full(fill, now_ms)).token_at_ms(fill) {
                i64::MAX => Room::not(Why::Rate),
                due_ms if due_ms <= now_ms => Room::Now,
                due_ms => Room::until(Why::Rate, due_ms),
            }
        }
        Limit::Radius { actions_max, .. } if head.hits < actions_max.min(ACTIONS_MAX) => Room::Now,
        Limit::Radius { .. } => {
            let until_ms = store.first_hit(gate).map(|hit| hit.until_ms);
            Room::Not { why: Why::Radius, until_ms }
        }
        Limit::Breaker { probes, .. } => match head.breaker {
            Breaker::Closed { .. } => Room::Now,
            Breaker::Open { until_ms } => Room::until(Why::Breaker, until_ms),
            Breaker::HalfOpen { under_way, succeeded, .. } => match under_way.saturating_add(succeeded) < probes.max(1)
            {
                true => Room::Now,
                false => Room::not(Why::Probes),
            },
        },
    }
}

/// Somebody passes: what it takes from the gate. Without terms it takes nothing, and has a permit all the same.
pub(super) fn take(
    head: &mut Head,
    store: &mut impl GateStore,
    gate: &GateId,
    terms: Option<&Terms>,
    (execution, acquisition): (&ExecutionId, Stamp),
) {
    let now_ms = head.clock.time_ms;
    let charge = match terms.map(|terms| terms.limit) {
        None | Some(Limit::Concurrency { .. }) => Charge::Nothing,
        Some(Limit::Breaker { .. }) => {
            let (breaker, trial) = head.breaker.passed();
            head.breaker = breaker;
            trial.map_or(Charge::Nothing, Charge::Probe)
        }
        Some(Limit::Rate { tokens, per_ms, burst }) => {
            let fill = Fill { tokens, per_ms, burst };
            let bucket = head.bucket.unwrap_or_else(|| Bucket::full(fill, now_ms)).take();
            if head.tokens_out == 0 {
                head.token_worth = bucket.per_ms;
            }
            head.tokens_out += 1;
            head.bucket = Some(bucket);
            Charge::Token { era: head.era }
        }
        Some(Limit::Radius { per_ms, .. }) => {
            let (until_ms, window) = (now_ms.saturating_add(per_ms), head.window);
            store.add_hit(gate, &Hit { until_ms, acquisition, execution: execution.clone(), window });
            head.hits += 1;
            head.last_hit_until_ms = head.last_hit_until_ms.max(until_ms);
            Charge::Hit { until_ms, window }
        }
    };
    head.permits += 1;
    store.set_permit(gate, execution, Some(&Permit { acquisition, charge }));
}

/// A permit came back: what a breaker makes of it, and what was not used is there for others.
pub(super) fn give_back(
    head: &mut Head,
    store: &mut impl GateStore,
    gate: &GateId,
    terms: Option<&Terms>,
    (execution, permit): (&ExecutionId, &Permit),
    outcome: Outcome,
) {
    store.set_permit(gate, execution, None);
    head.permits = head.permits.saturating_sub(1);
    let now_ms = head.clock.time_ms;
    let limit = terms.map(|terms| terms.limit);
    if let Some(trip) = limit.and_then(Limit::trip) {
        let probe = match permit.charge {
            Charge::Probe(trial_ms) => Some(trial_ms),
            _ => None,
        };
        let good = match outcome {
            Outcome::Succeeded => Some(true),
            Outcome::Failed => Some(false),
            Outcome::NotStarted | Outcome::Silent => None,
        };
        head.breaker = head.breaker.heard(trip, probe, good, now_ms);
    }
    let comes_back = outcome == Outcome::NotStarted;
    match permit.charge {
        Charge::Token { era } if era == head.era => {
            head.tokens_out = head.tokens_out.saturating_sub(1);
            if comes_back {
                let worth = head.token_worth;
                let put_back = |fill| head.bucket.map(|bucket: Bucket| bucket.put_back(fill, worth));
                head.bucket = limit.and_then(Limit::fill).and_then(put_back);
            }
        }
        Charge::Hit { until_ms, window } if comes_back => {
            let (acquisition, execution) = (permit.acquisition, execution.clone());
            forget_hit(head, store, gate, &Hit { until_ms, acquisition, execution, window });
        }
        _ => {}
    }
}

/// When a gate that nobody waits at has nothing to remember any more, if time alone does it; by the gate's clock.
pub(super) fn idle_at_ms(head: &Head, terms: Option<&Terms>) -> Option<i64> {
    let full_at_ms = || Some(head.bucket?.full_at_ms(terms?.limit.fill()?));
    let hits_until_ms = (head.hits > 0).then_some(head.last_hit_until_ms);
    let times = [
        full_at_ms().filter(|at_ms| *at_ms < i64::MAX),
        hits_until_ms,
        head.closed_until_ms,
        head.breaker.forgotten_at_ms(),
    ];
    times.into_iter().flatten().max()
}

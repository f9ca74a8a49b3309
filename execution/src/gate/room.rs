//! Whether one more may pass a gate, and what that does to it.

use super::breaker::Trip;
use super::bucket::{Bucket, Fill};
use super::{Breaker, GateId, GateStore, Head, Hit, Limit, Permit, Place, Terms};

/// Whether one more may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Now.
    Now,
    /// Not before that instant, in milliseconds since the epoch.
    At(i64),
    /// Not before a permit comes back.
    Release,
    /// Not before a person opens the gate.
    Person,
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
pub(super) fn refresh(
    head: &mut Head,
    store: &mut impl GateStore,
    gate: &GateId,
    terms: Option<&Terms>,
    hits_max: usize,
    now_ms: i64,
) {
    head.closed_until_ms = head.closed_until_ms.filter(|until_ms| now_ms < *until_ms);
    head.breaker = match terms.and_then(|terms| terms.limit.trip()) {
        Some(_) => head.breaker.at(now_ms),
        None => Breaker::default(),
    };
    head.bucket = terms.and_then(|terms| terms.limit.fill()).and_then(|fill| {
        let bucket = head.bucket?.at(fill, now_ms);
        (bucket.full_at_ms(fill) > now_ms).then_some(bucket)
    });
    for _ in 0..hits_max {
        match store.first_hit(gate).filter(|hit| head.hits > 0 && hit.until_ms <= now_ms) {
            Some(hit) => {
                store.remove_hit(gate, &hit);
                head.hits -= 1;
            }
            None => break,
        }
    }
}

/// Whether one more may pass a gate whose head is of now.
pub(super) fn room(head: &Head, store: &impl GateStore, gate: &GateId, terms: &Terms, now_ms: i64) -> Room {
    if head.paused {
        return Room::Person;
    }
    if let Some(until_ms) = head.closed_until_ms {
        return Room::At(until_ms);
    }
    let under = |count: u32, max: u32| if count < max { Room::Now } else { Room::Release };
    match terms.limit {
        Limit::Concurrency { permits_max } => under(head.permits, permits_max),
        Limit::Rate { tokens, per_ms, burst } => {
            let fill = Fill { tokens, per_ms, burst };
            let due_ms = head.bucket.unwrap_or_else(|| Bucket::full(fill, now_ms)).token_at_ms(fill);
            if due_ms <= now_ms { Room::Now } else { Room::At(due_ms) }
        }
        Limit::Radius { actions_max, .. } => match head.hits < actions_max {
            true => Room::Now,
            false => store.first_hit(gate).map_or(Room::Person, |hit| Room::At(hit.until_ms)),
        },
        Limit::Breaker { probes, .. } => match head.breaker {
            Breaker::Closed { .. } => Room::Now,
            Breaker::Open { until_ms } => Room::At(until_ms),
            Breaker::HalfOpen { under_way, succeeded, .. } => under(under_way.saturating_add(succeeded), probes.max(1)),
        },
    }
}

/// Somebody passes: what it takes from the gate.
pub(super) fn take(
    head: &mut Head,
    store: &mut impl GateStore,
    gate: &GateId,
    terms: &Terms,
    (place, acquired): (&Place, u64),
    now_ms: i64,
) {
    let execution = &place.execution;
    let mut permit = |head: &mut Head, probe| {
        head.permits += 1;
        store.set_permit(gate, execution, Some(Permit { acquired, probe }));
    };
    match terms.limit {
        Limit::Concurrency { .. } => permit(head, None),
        Limit::Breaker { .. } => {
            let (breaker, probe) = head.breaker.passed();
            head.breaker = breaker;
            permit(head, probe);
        }
        Limit::Rate { tokens, per_ms, burst } => {
            let fill = Fill { tokens, per_ms, burst };
            head.bucket = Some(head.bucket.unwrap_or_else(|| Bucket::full(fill, now_ms)).take());
        }
        Limit::Radius { per_ms, .. } => {
            let until_ms = now_ms.saturating_add(per_ms);
            store.add_hit(gate, &Hit { until_ms, execution: execution.clone(), acquired });
            head.hits += 1;
            head.last_hit_until_ms = head.last_hit_until_ms.max(until_ms);
        }
    }
}

/// A permit came back: what a breaker makes of it.
pub(super) fn heard(head: &mut Head, terms: Option<&Terms>, permit: Permit, good: Option<bool>, now_ms: i64) {
    if let Some(trip) = terms.and_then(|terms| terms.limit.trip()) {
        head.breaker = head.breaker.heard(trip, permit.probe, good, now_ms);
    }
}

/// When a gate that nobody waits at has nothing to remember any more, if time alone does it.
pub(super) fn idle_at_ms(head: &Head, terms: Option<&Terms>) -> Option<i64> {
    let full_at_ms = || Some(head.bucket?.full_at_ms(terms?.limit.fill()?));
    let hits_until_ms = (head.hits > 0).then_some(head.last_hit_until_ms);
    [full_at_ms().filter(|at_ms| *at_ms < i64::MAX), hits_until_ms, head.closed_until_ms].into_iter().flatten().max()
}

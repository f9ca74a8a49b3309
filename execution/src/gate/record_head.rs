//! From and to the record of a gate's head.

use petrel_schemas::{ExecutionId, GateHead};

use super::record::{GateRecordError, gate, signed, unsigned};
use super::{Breaker, Bucket, Clock, GateId, Head, InForce};

/// The record of a head.
pub fn of_head(gate: &GateId, head: &Head) -> GateHead {
    let (breaker, failures, since_ms, under_way, succeeded) = match head.breaker {
        Breaker::Closed { failures, last_ms } => ("closed", failures, last_ms, 0, 0),
        Breaker::Open { until_ms } => ("open", 0, until_ms, 0, 0),
        Breaker::HalfOpen { trial_ms, under_way, succeeded } => ("half_open", 0, trial_ms, under_way, succeeded),
    };
    GateHead {
        gate: gate.to_string(),
        time_ms: head.clock.time_ms,
        wall_ms: head.clock.wall_ms,
        permits: head.permits.into(),
        hits: head.hits.into(),
        void_hits: head.void.into(),
        window: head.window.into(),
        last_hit_until_ms: head.last_hit_until_ms,
        waiting: head.waiting.map(signed).to_vec(),
        ticket: signed(head.ticket),
        turn: head.turn.into(),
        bucket_parts: head.bucket.map(|bucket| bucket.parts),
        bucket_at_ms: head.bucket.map(|bucket| bucket.at_ms),
        bucket_per_ms: head.bucket.map(|bucket| bucket.per_ms),
        era: head.era.into(),
        tokens_out: head.tokens_out.into(),
        token_worth: head.token_worth,
        breaker: breaker.to_owned(),
        breaker_failures: failures.into(),
        breaker_since_ms: since_ms,
        breaker_under_way: under_way.into(),
        breaker_succeeded: succeeded.into(),
        closed_until_ms: head.closed_until_ms,
        paused: head.paused,
        awaits: head.awaits.iter().map(|in_force| in_force.revision.to_string()).collect(),
        awaits_since_ms: head.awaits.iter().map(|in_force| in_force.since_ms).collect(),
        asked_by: head.asked_by.as_ref().map(|in_force| in_force.revision.to_string()),
        asked_by_since_ms: head.asked_by.as_ref().map(|in_force| in_force.since_ms),
        ask_at_ms: head.ask_at_ms,
        asked: head.asked.as_ref().map(ExecutionId::to_string),
        timer_ms: head.timer_ms,
    }
}

/// The head of a record, and of which gate it is.
///
/// # Errors
/// [`GateRecordError`].
pub fn head(record: &GateHead) -> Result<(GateId, Head), GateRecordError> {
    let asked = record.asked.as_deref().map(|id| ExecutionId::parse(id).map_err(|_| wrong("asked"))).transpose()?;
    let head = Head {
        clock: Clock { time_ms: record.time_ms, wall_ms: record.wall_ms },
        permits: small(record.permits, "permits")?,
        hits: small(record.hits, "hits")?,
        void: small(record.void_hits, "void_hits")?,
        window: small(record.window, "window")?,
        last_hit_until_ms: record.last_hit_until_ms,
        waiting: waiting(&record.waiting)?,
        ticket: unsigned(record.ticket).ok_or(wrong("ticket"))?,
        turn: u8::try_from(record.turn).map_err(|_| wrong("turn"))?,
        bucket: bucket(record)?,
        era: small(record.era, "era")?,
        tokens_out: small(record.tokens_out, "tokens_out")?,
        token_worth: record.token_worth,
        breaker: breaker(record)?,
        closed_until_ms: record.closed_until_ms,
        paused: record.paused,
        awaits: awaits(record)?,
        asked_by: asked_by(record)?,
        ask_at_ms: record.ask_at_ms,
        asked,
        timer_ms: record.timer_ms,
    };
    Ok((gate(&record.gate)?, head))
}

const fn wrong(field: &'static str) -> GateRecordError {
    GateRecordError { field }
}

fn small(number: i64, field: &'static str) -> Result<u32, GateRecordError> {
    u32::try_from(number).map_err(|_| wrong(field))
}

fn waiting(counts: &[i64]) -> Result<[u64; 3], GateRecordError> {
    let counts: Option<Vec<u64>> = counts.iter().map(|count| unsigned(*count)).collect();
    counts.and_then(|counts| counts.try_into().ok()).ok_or(wrong("waiting"))
}

fn bucket(record: &GateHead) -> Result<Option<Bucket>, GateRecordError> {
    match (record.bucket_parts, record.bucket_at_ms, record.bucket_per_ms) {
        (None, None, None) => Ok(None),
        (Some(parts), Some(at_ms), Some(per_ms)) => Ok(Some(Bucket { parts, at_ms, per_ms })),
        _ => Err(wrong("bucket_parts")),
    }
}

fn breaker(record: &GateHead) -> Result<Breaker, GateRecordError> {
    let since_ms = record.breaker_since_ms;
    Ok(match record.breaker.as_str() {
        "closed" => {
            Breaker::Closed { failures: small(record.breaker_failures, "breaker_failures")?, last_ms: since_ms }
        }
        "open" => Breaker::Open { until_ms: since_ms },
        "half_open" => Breaker::HalfOpen {
            trial_ms: since_ms,
            under_way: small(record.breaker_under_way, "breaker_under_way")?,
            succeeded: small(record.breaker_succeeded, "breaker_succeeded")?,
        },
        _ => return Err(wrong("breaker")),
    })
}

fn awaits(record: &GateHead) -> Result<Vec<InForce>, GateRecordError> {
    if record.awaits.len() != record.awaits_since_ms.len() {
        return Err(wrong("awaits"));
    }
    let pairs = record.awaits.iter().zip(&record.awaits_since_ms);
    Ok(pairs.map(|(revision, since_ms)| InForce { revision: revision.as_str().into(), since_ms: *since_ms }).collect())
}

fn asked_by(record: &GateHead) -> Result<Option<InForce>, GateRecordError> {
    match (&record.asked_by, record.asked_by_since_ms) {
        (None, None) => Ok(None),
        (Some(revision), Some(since_ms)) => Ok(Some(InForce { revision: revision.as_str().into(), since_ms })),
        _ => Err(wrong("asked_by")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Kind;

    #[test]
    fn heads_are_read_back() {
        let gate = GateId::of_key("a.p", Kind::Breaker, "x/y").unwrap();
        let full = Head {
            clock: Clock { time_ms: 1, wall_ms: 2 },
            permits: 3,
            hits: 4,
            void: 5,
            window: u32::MAX,
            last_hit_until_ms: 6,
            waiting: [7, 8, 9],
            ticket: 10,
            turn: 11,
            bucket: Some(Bucket { parts: 12, at_ms: 13, per_ms: 14 }),
            era: 25,
            tokens_out: 26,
            token_worth: 27,
            breaker: Breaker::Closed { failures: 15, last_ms: 16 },
            closed_until_ms: Some(17),
            paused: true,
            awaits: vec![InForce { revision: "r".into(), since_ms: 18 }],
            asked_by: Some(InForce { revision: "s".into(), since_ms: 28 }),
            ask_at_ms: Some(19),
            asked: Some(ExecutionId::of_manual("x")),
            timer_ms: Some(20),
        };
        let breakers = [
            full.breaker,
            Breaker::Open { until_ms: 21 },
            Breaker::HalfOpen { trial_ms: 22, under_way: 23, succeeded: 24 },
        ];
        for wanted in breakers.map(|breaker| Head { breaker, ..full.clone() }).into_iter().chain([Head::default()]) {
            assert_eq!(head(&of_head(&gate, &wanted)), Ok((gate.clone(), wanted)));
        }
        let mut record = of_head(&gate, &full);
        record.waiting.pop();
        assert_eq!(head(&record), Err(wrong("waiting")));
    }
}

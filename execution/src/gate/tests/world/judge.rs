//! What must hold of any decision, counted beside the gates and not by them.

use std::collections::{BTreeMap, BTreeSet};

use super::Instant;
use crate::gate::tests::memory::{Known, Memory};
use crate::gate::{About, Class, Decided, Decision, GateId, GateMessage, Limit, Outcome, What};

#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Who came when nobody could pass, in that order.
    queues: BTreeMap<(GateId, Class), Vec<About>>,
    /// Whose permits are out.
    out: BTreeMap<GateId, BTreeSet<(String, u64, i64)>>,
    /// When who started at a gate that counts starts, in true milliseconds.
    starts: BTreeMap<GateId, Vec<(i64, About)>>,
    /// The latest revision by which somebody has asked at a gate.
    asked_by_ms: BTreeMap<GateId, i64>,
    pub(super) grants: usize,
    pub(super) waits: usize,
}

fn key(about: &About) -> (String, u64, i64) {
    (about.execution.to_string(), about.acquisition.number, about.acquisition.epoch)
}

impl Judge {
    pub(super) fn judge(
        &mut self,
        message: Option<&GateMessage>,
        decisions: &[Decision],
        known: &Known,
        store: &Memory,
        at: Instant,
    ) {
        let class = match message.map(|message| (&message.gate, &message.what)) {
            Some((gate, What::Acquire { class, in_force, .. })) => {
                let asked = self.asked_by_ms.entry(gate.clone()).or_default();
                *asked = in_force.since_ms.max(*asked);
                Some(*class)
            }
            _ => None,
        };
        for Decision { gate, about, decided } in decisions {
            match (about, decided) {
                (Some(about), Decided::Waits { again: false, .. }) => {
                    self.waits += 1;
                    self.queues.entry((gate.clone(), class.unwrap())).or_default().push(about.clone());
                }
                (Some(about), Decided::Granted { again: false }) => self.granted(gate, about, known, at),
                (Some(about), Decided::Granted { again: true }) => assert!(self.is_out(gate, about)),
                (Some(about), Decided::Returned(outcome)) => {
                    assert!(self.out.entry(gate.clone()).or_default().remove(&key(about)), "{about:?} was not out");
                    if *outcome == Outcome::NotStarted
                        && let Some(starts) = self.starts.get_mut(gate)
                    {
                        starts.retain(|(_, started)| started != about);
                    }
                }
                (Some(about), Decided::Left) => {
                    assert!(self.queue_of(gate, about).is_some(), "{about:?} did not wait");
                    self.unqueue(gate, about);
                }
                // A person's word begins everything anew.
                (None, Decided::Opened { .. }) => {
                    self.starts.remove(gate);
                    self.asked_by_ms.remove(gate);
                }
                _ => {}
            }
        }
        store.check();
        self.is_told(store);
    }

    pub(super) fn is_out(&self, gate: &GateId, about: &About) -> bool {
        self.out.get(gate).is_some_and(|out| out.contains(&key(about)))
    }

    fn queue_of(&self, gate: &GateId, about: &About) -> Option<(Class, usize)> {
        Class::ALL.into_iter().find_map(|class| {
            let queue = self.queues.get(&(gate.clone(), class))?;
            Some((class, queue.iter().position(|other| other == about)?))
        })
    }

    fn unqueue(&mut self, gate: &GateId, about: &About) {
        for class in Class::ALL {
            if let Some(queue) = self.queues.get_mut(&(gate.clone(), class)) {
                queue.retain(|other| other != about);
            }
        }
    }

    fn granted(&mut self, gate: &GateId, about: &About, known: &Known, at: Instant) {
        self.grants += 1;
        match self.queue_of(gate, about) {
            Some((class, before)) => {
                assert_eq!(before, 0, "{about:?} was let pass at {gate} before others of {class:?}")
            }
            None => {
                let waits = |(of, _): &(GateId, Class)| of == gate;
                let waiting = self.queues.iter().filter(|(of, _)| waits(of)).map(|(_, queue)| queue.len());
                assert_eq!(waiting.sum::<usize>(), 0, "{about:?} came to {gate} and went before who waits");
            }
        }
        self.unqueue(gate, about);
        let asked_by_ms = self.asked_by_ms.get(gate).copied().unwrap_or_default();
        assert!(asked_by_ms <= known.since_ms, "{gate} decides by terms that are older than those of who asks");
        let out = self.out.entry(gate.clone()).or_default();
        let of_execution = out.iter().filter(|(id, ..)| *id == about.execution.as_str()).count();
        assert_eq!(of_execution, 0, "{about:?} has two permits of {gate}");
        out.insert(key(about));
        let out = out.len();
        let Some(terms) = known.terms.get(gate) else { return };
        let starts = self.starts.entry(gate.clone()).or_default();
        let since =
            |starts: &[(i64, About)], from_ms: i64| starts.iter().filter(|(ms, _)| *ms >= from_ms).count() as i64;
        match terms.limit {
            Limit::Concurrency { permits_max } => {
                assert!(out <= permits_max as usize, "{out} permits of {gate} are out, {permits_max} are allowed");
            }
            Limit::Radius { actions_max, per_ms } => {
                starts.push((at.true_ms, about.clone()));
                let count = since(starts, at.true_ms - per_ms + 1);
                assert!(count <= i64::from(actions_max), "{count} starts at {gate}");
            }
            Limit::Rate { tokens, per_ms, burst } => {
                starts.push((at.true_ms, about.clone()));
                for (from_ms, _) in starts.iter() {
                    let most = i64::from(burst) + (at.true_ms - from_ms) * i64::from(tokens) / per_ms;
                    assert!(since(starts, *from_ms) <= most, "more than {most} starts at {gate} since {from_ms}");
                }
            }
            Limit::Breaker { .. } => {}
        }
    }

    /// What was decided is what the gates remember.
    fn is_told(&self, store: &Memory) {
        let out: usize = self.out.values().map(BTreeSet::len).sum();
        let queued: usize = self.queues.values().map(Vec::len).sum();
        assert_eq!((out, queued), (store.permits.len(), store.seats.len()));
    }

    /// Nobody waits where there is room: what is left waits for a permit that is out, for a person or for a timer.
    pub(super) fn work_goes_on(&self, known: &Known, store: &Memory) {
        for (gate, _) in store.seats.keys() {
            let head = &store.heads[gate];
            let is_shut = head.paused || head.closed_until_ms.is_some() || !head.awaits.is_empty();
            assert!(
                head.permits > 0 || head.paused || store.timers.contains_key(gate) || nobody(known, gate),
                "{gate}"
            );
            if let Some(Limit::Concurrency { permits_max }) = known.terms.get(gate).map(|terms| terms.limit)
                && !is_shut
            {
                assert!(head.permits >= permits_max || store.timers[gate] <= head.clock.wall_ms, "a permit lies idle");
            }
        }
    }
}

/// Whether the terms let nobody pass at all.
fn nobody(known: &Known, gate: &GateId) -> bool {
    matches!(
        known.terms.get(gate).map(|terms| terms.limit),
        Some(Limit::Concurrency { permits_max: 0 } | Limit::Radius { actions_max: 0, .. })
    )
}

//! What a seed decides before anything runs: events, faults, and when.

use petrel_bus::DriverPoint;
use petrel_bus::sim::CommitFault;

use crate::fault::{Fault, FaultKind, PLACES, Place};
use crate::rng::Rng;
use crate::workflows::reference;

/// Fewest events of a run.
pub const EVENTS_MIN: usize = 50;
/// Fewest faults of a run.
pub const FAULTS_MIN: usize = 10;

/// How many of a hundred plans have no workflows.
const WITHOUT_WORKFLOWS_PERCENT: usize = 60;

/// Something that the outside world sends.
#[derive(Debug, Clone)]
pub enum Event {
    /// A record of the bound topic.
    Alert {
        /// Its key.
        host: String,
        /// What rules look at, in percent.
        used_pct: f64,
    },
    /// An event over HTTP, with an id of the client's.
    Report {
        /// The id.
        id: String,
    },
    /// An event over HTTP of a trigger that no revision has, with an id of the client's.
    Unknown {
        /// The id.
        id: String,
    },
    /// Somebody cancels an execution.
    Cancel,
    /// An event over HTTP that leads to workflows, with an id of the client's.
    Batch {
        /// The id.
        id: String,
        /// What the workflows are given.
        n: i64,
    },
    /// Somebody asks for a workflow.
    Workflow {
        /// Its reference.
        action: String,
        /// What it is given.
        n: i64,
    },
    /// Somebody wants one of the workflows that were asked for to rest.
    Pause,
    /// Those that were to rest are to go on.
    Resume,
    /// Somebody cancels one of the workflows that were asked for.
    CancelWorkflow,
    /// A record that nobody can use.
    Poison {
        /// Whether it is on the bound topic, else on `petrel.triggers`.
        is_bound: bool,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// Something that happens at an instant.
#[derive(Debug, Clone)]
pub enum Item {
    /// An event is sent.
    Event(Event),
    /// A fault begins to wait for its place.
    Fault(Fault),
    /// A clock that has jumped is set right.
    CorrectClock(usize),
}

/// What happens when.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed that made it.
    pub seed: u64,
    /// Instants in milliseconds since the start, in order.
    pub items: Vec<(i64, Item)>,
    /// When faults stop, in milliseconds since the start.
    pub calm_ms: i64,
}

/// A process as far as a plan must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Whether it has a driver, whose points can be met.
    pub has_driver: bool,
    /// Furthest that its clock may jump, in milliseconds.
    pub jump_ms_max: i64,
}

impl Plan {
    /// The plan of a seed over these processes and with these faults.
    pub fn new(seed: u64, targets: &[Target], kinds: &[FaultKind]) -> Self {
        let mut rng = Rng::new(seed ^ 0x5EED_0000_0000_0000);
        let calm_ms = rng.between(45_000, 75_000);
        let mut items = Vec::new();
        for n in 0..EVENTS_MIN + rng.below(20) {
            items.push((rng.between(0, calm_ms - 2_000), Item::Event(event(n, &mut rng))));
        }
        for n in 0..FAULTS_MIN + rng.below(8) {
            // Every kind once, then by chance.
            let kind = kinds.get(n).copied().unwrap_or_else(|| *rng.pick(kinds));
            let fault = fault(kind, targets, &mut rng);
            let at_ms = rng.between(2_000, calm_ms - 5_000);
            if kind == FaultKind::ClockJump {
                items.push((rng.between(at_ms, calm_ms), Item::CorrectClock(fault.process)));
            }
            items.push((at_ms, Item::Fault(fault)));
        }
        items.extend(workflows(seed, calm_ms).into_iter().map(|(at_ms, event)| (at_ms, Item::Event(event))));
        items.sort_by_key(|(at_ms, _)| *at_ms);
        Self { seed, items, calm_ms }
    }

    /// Events that it sends.
    pub fn events(&self) -> usize {
        self.items.iter().filter(|(_, item)| matches!(item, Item::Event(_))).count()
    }

    /// Whether somebody or something asks for workflows in it.
    pub fn has_workflows(&self) -> bool {
        let asks = |item: &Item| matches!(item, Item::Event(Event::Workflow { .. } | Event::Batch { .. }));
        self.items.iter().any(|(_, item)| asks(item))
    }

    /// Faults that it orders.
    pub fn faults(&self) -> usize {
        self.items.iter().filter(|(_, item)| matches!(item, Item::Fault(_))).count()
    }
}

/// Requests for workflows, and what people want of them; in most plans there are none: one with workflows takes longer.
fn workflows(seed: u64, calm_ms: i64) -> Vec<(i64, Event)> {
    let mut rng = Rng::new(seed ^ 0xF10B_0000_0000_0000);
    let mut events = Vec::new();
    if rng.percent(WITHOUT_WORKFLOWS_PERCENT) {
        return events;
    }
    let last_ms = calm_ms - 5_000;
    for number in 0..u32::try_from(1 + rng.below(2)).unwrap_or(1) {
        let action = reference(seed, number);
        events.push((rng.between(0, last_ms), Event::Workflow { action, n: rng.between(0, 9) }));
    }
    if rng.percent(30) {
        events.push((rng.between(0, last_ms), Event::Batch { id: "batch".to_owned(), n: rng.between(0, 9) }));
    }
    for (at_ms, _) in events.clone() {
        // In the middle of it, as a rule.
        let mut soon_ms = |share| rng.percent(share).then(|| at_ms + rng.between(20, 4_000));
        if let Some(pause_ms) = soon_ms(30) {
            events.push((pause_ms, Event::Pause));
            events.push((rng.between(pause_ms + 1, calm_ms - 500), Event::Resume));
        }
        let mut soon_ms = |share| rng.percent(share).then(|| at_ms + rng.between(20, 4_000));
        if let Some(cancel_ms) = soon_ms(12) {
            events.push((cancel_ms, Event::CancelWorkflow));
        }
    }
    events
}

fn event(n: usize, rng: &mut Rng) -> Event {
    match rng.below(20) {
        0 => Event::Poison {
            is_bound: rng.percent(50),
            bytes: rng.pick(&[b"{".to_vec(), b"\xC3\x01garbage".to_vec(), b"{\"used_pct\": 99.0}".to_vec()]).clone(),
        },
        1 => Event::Cancel,
        2..=4 => Event::Report { id: format!("report-{n}") },
        5 => Event::Unknown { id: format!("unknown-{n}") },
        _ => {
            // Most of them lead to something.
            let least = if rng.percent(80) { 81 } else { 0 };
            Event::Alert { host: format!("h{}", rng.below(7)), used_pct: rng.between(least, 100) as f64 }
        }
    }
}

fn fault(kind: FaultKind, targets: &[Target], rng: &mut Rng) -> Fault {
    let process = rng.below(targets.len());
    let place = match kind {
        _ if !targets[process].has_driver => Place::Between,
        kind if kind.is_of_commit() => Place::At(DriverPoint::BeforeCommit),
        _ => *rng.pick(&PLACES),
    };
    let ambiguous = [CommitFault::Lost, CommitFault::EndLost, CommitFault::AnswerLost, CommitFault::InDoubt];
    let commit = match kind {
        FaultKind::DelayedEnd => CommitFault::EndDelayed,
        FaultKind::Refused => CommitFault::Abort,
        _ => *rng.pick(&ambiguous),
    };
    let ms = match kind {
        FaultKind::ClockJump => {
            let most_ms = targets[process].jump_ms_max;
            rng.between(-most_ms, most_ms)
        }
        // Shorter and longer than a session, a transaction and a lease.
        _ => *rng.pick(&[200, 3_000, 11_000, 16_000, 27_000, 40_000]),
    };
    Fault { process, place, kind, ms, commit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_as_large_as_promised_and_its_seed_s_own() {
        let targets = [Target { has_driver: true, jump_ms_max: 10 }, Target { has_driver: false, jump_ms_max: 10 }];
        for seed in 0..50 {
            let plan = Plan::new(seed, &targets, &FaultKind::ALL);
            assert!(plan.events() >= EVENTS_MIN && plan.faults() >= FAULTS_MIN);
            let again = Plan::new(seed, &targets, &FaultKind::ALL);
            assert_eq!(format!("{plan:?}"), format!("{again:?}"));
        }
    }
}

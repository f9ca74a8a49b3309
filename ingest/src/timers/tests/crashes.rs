//! What deaths and failed commits leave behind. The log's own faults are for the buses' conformance suite, many
//! processes for the simulation.

use std::sync::{Arc, Mutex};

use petrel_bus::sim::CommitFault;
use petrel_bus::{Clock, DriverOptions, DriverPoint};
use proptest::prelude::*;

use super::harness::{DEAD_LETTERS, Machine, T0, TIMERS, Turn, definition};
use crate::timers::TimerOptions;

/// Time that passes between two turns of a process.
const TURN_MS: i64 = 20;
/// Time until the next process comes.
const RESTART_MS: i64 = 700;

/// A process that commits when the product does.
fn machine() -> Machine {
    Machine::with(T0, TimerOptions::default(), DriverOptions::default())
}

impl Machine {
    fn define_from_t0(&self, timer: &str, every_ms: i64, catch_up: &str) {
        self.log.define(timer, definition(every_ms, catch_up, T0));
    }

    /// A process, and others behind it where it dies, up to an instant; the last one is killed there.
    fn run(&mut self, until_ms: i64) {
        while self.log.clock.now_ms() < T0 + until_ms {
            let turn = self.turn();
            if self.log.clock.now_ms() < T0 + until_ms {
                self.log.clock.advance(if turn == Turn::Died { RESTART_MS } else { TURN_MS });
            }
        }
        self.take_over();
    }

    fn fired_after(&self, timer: &str) -> Vec<i64> {
        self.log.fired(timer).into_iter().map(|instant| instant - T0).collect()
    }
}

fn instants(every_ms: i64, until_ms: i64) -> Vec<i64> {
    (1..).map(|n| n * every_ms).take_while(|i| *i <= until_ms).collect()
}

#[test]
fn crashes_at_every_point_lose_and_repeat_nothing() {
    use DriverPoint::{AfterCommit, Assigned, BeforeCommit, Restored, Sent, Stepped};
    for point in [Assigned, Restored, Stepped, Sent, BeforeCommit, AfterCommit] {
        for every in [1_usize, 2, 3, 5] {
            let mut machine = machine();
            machine.define_from_t0("t.all", 1_000, "all");
            machine.define_from_t0("t.slow", 3_500, "all");
            // Half of the time nothing crashes, so that there is progress where a point is met each turn.
            let (met, crashes) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
            let crashed = crashes.clone();
            let clock = machine.log.clock.clone();
            let crash = move |here: DriverPoint| {
                let mut met = met.lock().unwrap();
                *met += usize::from(here == point);
                let crash = here == point && *met % every == 0 && (clock.now_ms() - T0) % 4_000 < 2_000;
                *crashed.lock().unwrap() += u32::from(crash);
                crash
            };
            machine.crash_when(crash);
            machine.run(80_000);
            machine.crash_when(|_| false);
            machine.run(81_900);
            assert_eq!(machine.fired_after("t.all"), instants(1_000, 81_000), "{point:?} every {every}");
            assert_eq!(machine.fired_after("t.slow"), instants(3_500, 81_000), "{point:?} every {every}");
            assert_eq!(machine.log.count(DEAD_LETTERS), 0);
            // A process is assigned its partition once: fewer chances than at the other points.
            let enough = if matches!(point, Assigned | Restored) && every > 1 { 0 } else { 1 };
            assert!(*crashes.lock().unwrap() >= enough, "{point:?} every {every}: nothing crashed");
        }
    }
}

#[test]
fn a_quiet_timer_writes_nothing() {
    let mut machine = machine();
    machine.define_from_t0("t.tick", 10_000, "last");
    machine.run(100_500);
    assert_eq!(machine.fired_after("t.tick"), instants(10_000, 100_000));
    // The definition; the state and the timer as they are installed, and with each of ten ticks.
    assert_eq!(machine.log.count(TIMERS), 1 + 2 + 10 * 2);
}

#[test]
fn what_changed_while_nobody_ran_counts() {
    let mut machine = machine();
    machine.define_from_t0("t.gone", 1_000, "all");
    machine.define_from_t0("t.slower", 1_000, "last");
    machine.run(5_500);
    machine.log.append(Some("t.gone"), None);
    machine.define_from_t0("t.slower", 20_000, "last");
    machine.log.clock.advance(10_000);
    machine.run(45_000);
    assert_eq!(machine.fired_after("t.gone"), instants(1_000, 5_000));
    assert_eq!(machine.fired_after("t.slower"), [1_000, 2_000, 3_000, 4_000, 5_000, 20_000, 40_000]);
}

/// What becomes of the turns at an instant.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Committed,
    /// Their first commit meets that fault.
    Failed(CommitFault),
    /// The process dies at that point, or one that follows it.
    Crashed(DriverPoint),
    /// The process was killed before.
    TakenOver,
}

fn fate() -> impl Strategy<Value = Fate> {
    use DriverPoint::{AfterCommit, Applied, Assigned, BeforeCommit, Restored, Sent, Stepped};
    let points = vec![Assigned, Restored, Stepped, Sent, BeforeCommit, AfterCommit, Applied];
    prop_oneof![
        4 => Just(Fate::Committed),
        2 => prop::sample::select(CommitFault::HONEST.to_vec()).prop_map(Fate::Failed),
        2 => prop::sample::select(points).prop_map(Fate::Crashed),
        1 => Just(Fate::TakenOver),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// With `all`, and limits that are not hit, every instant fires exactly once and in order, however
    /// turns, failed commits and deaths fall; with the others none fires twice.
    #[test]
    fn none_twice_none_lost(
        every_ms in 1_i64..5_000,
        offset_ms in 0_i64..5_000,
        policy in 0_usize..3,
        fires_max in 1_u32..20,
        steps in prop::collection::vec((0_i64..20_000, fate(), 1_u8..5), 1..60),
    ) {
        let policy = ["none", "last", "all"][policy];
        let options = TimerOptions { catch_up_max: 1_000_000, step_fires_max: fires_max, ..TimerOptions::default() };
        let mut machine = Machine::new(options);
        machine.log.define("t.tick", definition(every_ms, policy, T0 - offset_ms));
        let mut now = T0;
        for (pass_ms, fate, turns) in steps {
            // No more instants at once than a test has time for.
            now += pass_ms.min(500 * every_ms);
            machine.wait_until(now);
            match fate {
                Fate::Committed => {}
                Fate::Failed(fault) => machine.fail_commit(fault),
                Fate::Crashed(point) => machine.crash_at(point),
                Fate::TakenOver => machine.take_over(),
            }
            for _ in 0..turns {
                machine.turn();
            }
        }
        machine.settle();
        let fired = machine.log.fired("t.tick");
        let grid: Vec<i64> =
            (1..).map(|n| T0 - offset_ms + n * every_ms).take_while(|instant| *instant <= now).collect();
        if policy == "all" {
            prop_assert_eq!(fired, grid);
        } else {
            prop_assert!(fired.windows(2).all(|w| w[0] < w[1]), "in order, none twice");
            prop_assert!(fired.iter().all(|instant| grid.binary_search(instant).is_ok()), "on the grid");
            // The latest instant may be skipped by `none` only if it was late.
            let latest_on_time = grid.last().is_none_or(|i| now - i > 30_000 || fired.last() == Some(i));
            prop_assert!(latest_on_time);
        }
    }
}

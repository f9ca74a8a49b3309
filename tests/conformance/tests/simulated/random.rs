//! Random interleavings on the simulated log: ticks, crashes, rebalances, faults of commits, silence.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use petrel_bus::sim::CommitFault;
use petrel_bus::{Bus, Driver, DriverError, MemoryStores, Output, StateStores};
use petrel_conformance_tests::{BusUnderTest, CountStage, Settings, SimUnderTest, World};
use proptest::prelude::*;

/// One thing that happens to one of the members.
#[derive(Debug, Clone)]
enum Event {
    Tick(usize),
    Publish(u8),
    /// Crashes at the n-th point from now.
    Crash(usize, u8),
    Leave(usize),
    /// The member is dropped without a word.
    Vanish(usize),
    /// The member does nothing until it has expired; the others go on.
    Silence(usize),
    Fault(CommitFault),
    /// A producer dies with records of the input or the output in an open transaction.
    LeaveOpen(bool),
    Unreachable(i64),
    /// The member's cache fails after so many calls.
    Unreadable(usize, u8),
    /// The member's cache is gone.
    Lose(usize),
    Pass(i64),
    Gate(bool),
    Compact,
}

const MEMBERS: usize = 3;
const PARTITIONS: u32 = 3;

fn event() -> impl Strategy<Value = Event> {
    let member = 0..MEMBERS;
    let fault = prop::sample::select(CommitFault::HONEST.to_vec());
    prop_oneof![
        20 => member.clone().prop_map(Event::Tick),
        6 => any::<u8>().prop_map(Event::Publish),
        3 => (member.clone(), 1..12_u8).prop_map(|(m, n)| Event::Crash(m, n)),
        1 => member.clone().prop_map(Event::Leave),
        1 => member.clone().prop_map(Event::Vanish),
        1 => member.clone().prop_map(Event::Silence),
        2 => (member.clone(), any::<u8>()).prop_map(|(m, calls)| Event::Unreadable(m, calls)),
        1 => member.prop_map(Event::Lose),
        4 => fault.prop_map(Event::Fault),
        1 => any::<bool>().prop_map(Event::LeaveOpen),
        1 => (1..15_000_i64).prop_map(Event::Unreachable),
        4 => (1..200_i64).prop_map(Event::Pass),
        1 => any::<bool>().prop_map(Event::Gate),
        1 => Just(Event::Compact),
    ]
}

/// Members come up by themselves when they are asked to do something, as supervised processes do.
struct Members<'a, 'b> {
    world: &'a World<'b, SimUnderTest>,
    up: Vec<Option<Driver<'static, CountStage>>>,
    crash_in: Vec<Rc<Cell<u8>>>,
    /// Each process has a disk of its own.
    stores: Vec<MemoryStores>,
}

impl Members<'_, '_> {
    fn up(&mut self, member: usize) -> Option<&mut Driver<'static, CountStage>> {
        let Self { world, up, crash_in, stores } = self;
        // Nobody gets a session of a log that is not there.
        if up[member].is_none() && world.under.bus.cluster_id().is_err() {
            return None;
        }
        let stores: Arc<dyn StateStores> = Arc::new(stores[member].clone());
        let crash_in = crash_in[member].clone();
        Some(up[member].get_or_insert_with(|| {
            // A stage lives as long as its process; a test leaks a few.
            let stage: &'static mut CountStage = Box::leak(Box::new(world.stage()));
            let mut driver = world.driver_over(Some(stores), stage, &format!("m{member}"), Arc::default());
            driver.crash_when(move |_| {
                let left = crash_in.get();
                crash_in.set(left.saturating_sub(1));
                left == 1
            });
            driver
        }))
    }

    fn tick(&mut self, member: usize) {
        let Some(driver) = self.up(member) else { return };
        match driver.tick() {
            Ok(_) => {}
            Err(DriverError::Crashed(_) | DriverError::Rebuild(_)) => self.up[member] = None,
            Err(error @ (DriverError::Halt(_) | DriverError::Panicked(_))) => panic!("{error}"),
        }
    }

    fn meet(&mut self, event: &Event) {
        let under = self.world.under;
        match event {
            Event::Tick(member) => self.tick(*member),
            Event::Publish(_) if under.bus.cluster_id().is_err() => {}
            Event::Publish(n) => {
                let records: Vec<(String, String)> =
                    (0..=n % 5).map(|i| (format!("k{}", (u32::from(*n) + u32::from(i)) % 11), text(*n))).collect();
                self.world.publish("in", &records.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>());
            }
            Event::Crash(member, points) => self.crash_in[*member].set(*points),
            Event::Leave(member) => {
                // A fault may meet its last commit; then it is a crash.
                let _ = self.up[*member].take().map(Driver::finish);
            }
            Event::Vanish(member) => self.up[*member] = None,
            Event::Silence(member) => {
                for _ in 0..12 {
                    under.clock.advance(1_000);
                    (0..MEMBERS).filter(|m| m != member).for_each(|m| self.tick(m));
                }
            }
            Event::Unreadable(member, calls) => self.stores[*member].fail_after((*calls).into()),
            Event::Lose(member) => self.stores[*member].lose(),
            Event::Fault(fault) => under.bus.fail_commits([*fault]),
            Event::LeaveOpen(input) => {
                let topic = self.world.topic(if *input { "in" } else { "out" });
                under.bus.leave_open("dead", vec![Output::keyed(&topic, "k1", b"never".to_vec())]).unwrap();
            }
            Event::Unreachable(ms) => under.bus.unreachable_for(*ms),
            Event::Pass(ms) => under.clock.advance(*ms),
            Event::Gate(closed) => self.world.settings.set(Settings { closed: *closed, ..Settings::default() }),
            Event::Compact => under.bus.compact(&self.world.topic("state")),
        }
    }
}

fn text(n: u8) -> String {
    if n.is_multiple_of(4) { "wait".into() } else { format!("v{n}") }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exactly_once_whatever_happens(events in prop::collection::vec(event(), 1..120)) {
        let under = SimUnderTest::fresh().unwrap();
        let mut world = World::new(&under, "random", PARTITIONS);
        world.options.position_interval_ms = 50;
        let crash_in = (0..MEMBERS).map(|_| Rc::default()).collect();
        let stores = (0..MEMBERS).map(|_| MemoryStores::with_age_ms_max(12 * 3_600_000)).collect();
        let mut members = Members { world: &world, up: (0..MEMBERS).map(|_| None).collect(), crash_in, stores };
        for event in &events {
            members.meet(event);
        }
        // What was broken is mended; then everything must come to its end.
        members.crash_in.iter().for_each(|c| c.set(0));
        members.meet(&Event::Gate(false));
        under.bus.set_reachable(true);
        for turn in 0.. {
            prop_assert!(turn < 3_000, "stuck: {} outputs after {events:?}", world.output_count());
            members.tick(turn % MEMBERS);
            under.clock().sleep(std::time::Duration::from_millis(20));
            // For half a minute a transaction that hangs can hide inputs and outputs.
            if turn > 1_500 && turn % 50 == 49 && world.output_count() >= world.records("in").len() {
                break;
            }
        }
        world.check_exactly_once(&["in"]);
    }
}

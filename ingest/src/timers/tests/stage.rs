//! What the stage fires, skips, gives up and waits for.

use petrel_bus::DriverOptions;
use petrel_schemas::{EventId, TimerDefinition, TimerState, decode, encode};

use super::harness::{Machine, T0, TIMERS, Tick, definition};
use crate::timers::{Grid, Limits, TimerOptions};

const NOTHING: [i64; 0] = [];
const TIMER: &str = "demo.tick";
const STATE: &str = "state/demo.tick";
/// Bytes of a release to come.
const NEWER: &[u8] = b"\xC3\x01newer-release";

fn named(definition: TimerDefinition) -> TimerDefinition {
    TimerDefinition { timer: TIMER.to_owned(), ..definition }
}

impl Machine {
    fn define(&self, every_ms: i64, catch_up: &str, anchor_ms: i64) {
        self.log.define(TIMER, definition(every_ms, catch_up, anchor_ms));
    }

    /// A definition that may be of no use.
    fn write(&self, key: Option<&str>, value: Option<Vec<u8>>) {
        self.log.append(key, value);
    }

    fn stored(&self) -> Option<TimerState> {
        self.log.value(STATE).map(|value| decode(&value).unwrap())
    }

    /// Offset and reason of what the stage waits before, if it waits.
    fn blocked(&self) -> Option<(i64, String)> {
        self.stats.blocked().into_iter().map(|blocked| (blocked.offset, blocked.reason)).next()
    }
}

#[test]
fn a_tick_is_what_its_instant_says() {
    let mut machine = Machine::starting_at(0, TimerOptions::default());
    machine.define(60_000, "last", 0);
    assert_eq!(machine.fired(60_000 - 1), NOTHING);
    let written = machine.at(60_007);
    assert_eq!((written.ticks.len(), written.letters.len()), (1, 0));
    let Tick { key, event } = &written.ticks[0];
    let id = EventId::of_timer(TIMER, 60_000);
    assert_eq!((event.event_id.as_str(), event.trigger.as_str(), event.source.as_str()), (id.as_str(), TIMER, "timer"));
    assert_eq!(key.as_deref(), Some(id.as_str().as_bytes()));
    let payload: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
    let expected = serde_json::json!({"scheduled_at": "1970-01-01T00:01:00Z", "scheduled_ms": 60_000, "timer": TIMER});
    assert_eq!(payload, expected);
    assert_eq!(machine.stored().unwrap().last_fired_ms, Some(60_000));
}

#[test]
fn own_records_and_the_bus_are_not_definitions() {
    let mut machine = Machine::new(TimerOptions::default());
    machine.define(1_000, "last", T0);
    for n in 1..50 {
        let now = T0 + n * 1_000;
        let written = machine.at(now);
        assert_eq!(written.instants(), [now]);
        assert_eq!(written.letters, [], "the stage reads its own changelog");
    }
    // The definition; the state and the timer as they are installed, and with each tick.
    assert_eq!(machine.log.count(TIMERS), 1 + 2 + 49 * 2, "reading one's own records writes nothing");
}

#[test]
fn missed_instants() {
    let check = |catch_up: &str, now_ms: i64, expected: &[i64]| {
        let mut machine = Machine::new(TimerOptions { catch_up_max: 3, ..TimerOptions::default() });
        machine.define(60_000, catch_up, T0);
        assert_eq!(machine.fired(T0 + 60_000), [T0 + 60_000]);
        machine.take_over();
        let minutes: Vec<i64> = expected.iter().map(|n| T0 + n * 60_000).collect();
        assert_eq!(machine.fired(T0 + now_ms), minutes, "{catch_up} at {now_ms}");
        let next = T0 + (now_ms / 60_000 + 1) * 60_000;
        assert_eq!(machine.fired(next), [next], "{catch_up}: back on the grid");
    };
    for catch_up in ["none", "last", "all"] {
        check(catch_up, 119_999, &[]);
        check(catch_up, 120_000, &[2]);
        check(catch_up, 150_000, &[2]);
    }
    check("none", 150_001, &[]);
    check("none", 310_000, &[5]);
    check("none", 359_999, &[]);
    check("last", 359_999, &[5]);
    check("all", 299_999, &[2, 3, 4]);
    check("all", 359_999, &[3, 4, 5]);
}

#[test]
fn the_catch_up_limit_is_told() {
    let mut machine = Machine::new(TimerOptions { catch_up_max: 10, ..TimerOptions::default() });
    machine.define(1_000, "all", T0);
    let written = machine.at(T0 + 25_000);
    assert_eq!(written.instants(), (16..=25).map(|n| T0 + n * 1_000).collect::<Vec<_>>());
    let letters = written.letters;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason.as_str(), letters[0].trigger.as_deref()), ("timer_catch_up_limit", Some(TIMER)));
    assert!(letters[0].detail.starts_with("15 missed instants"), "{}", letters[0].detail);
}

#[test]
fn a_step_fires_a_bounded_number() {
    let mut machine = Machine::new(TimerOptions { step_fires_max: 7, ..TimerOptions::default() });
    machine.define(1_000, "all", T0);
    for timer in ["demo.a", "demo.b"] {
        machine.log.define(timer, definition(1_000, "all", T0));
    }
    machine.wait_until(T0 + 20_000);
    let mut all = Vec::new();
    machine.settle_with(|machine| {
        let ticks = machine.written().ticks;
        assert!(ticks.len() <= 7, "{ticks:?}");
        all.extend(ticks.into_iter().map(|tick| (tick.event.trigger, tick.event.occurred_at_ms)));
    });
    all.sort();
    let mut expected: Vec<_> = ["demo.a", "demo.b", TIMER]
        .iter()
        .flat_map(|t| (1..=20).map(move |n| ((*t).to_owned(), T0 + n * 1_000)))
        .collect();
    expected.sort();
    assert_eq!(all, expected);
}

#[test]
fn changed_and_removed_definitions() {
    let mut machine = Machine::new(TimerOptions::default());
    machine.define(10_000, "last", T0);
    assert_eq!(machine.fired(T0 + 10_000), [T0 + 10_000]);
    // The same definition again, as a new revision: nothing changes.
    machine.define(10_000, "last", T0);
    assert_eq!(machine.fired(T0 + 10_500), NOTHING);
    // Another interval: its own grid from its anchor, nothing that was settled again.
    machine.define(4_000, "all", T0);
    assert_eq!(machine.fired(T0 + 11_000), NOTHING);
    assert_eq!(machine.fired(T0 + 16_000), [T0 + 12_000, T0 + 16_000]);
    machine.write(Some(TIMER), None);
    assert_eq!(machine.fired(T0 + 16_001), NOTHING);
    assert_eq!(machine.stored(), None);
    // The second compaction takes tombstones, too: state and timer are gone.
    machine.log.bus.compact(TIMERS);
    machine.log.bus.compact(TIMERS);
    assert_eq!(machine.log.bus.records(TIMERS), []);
    assert_eq!(machine.fired(T0 + 30_000), NOTHING);
    machine.take_over();
    assert_eq!(machine.fired(T0 + 90_000), NOTHING);
    machine.define(10_000, "last", T0 + 90_000);
    assert_eq!(machine.fired(T0 + 100_000), [T0 + 100_000]);
}

#[test]
fn bad_definitions_are_dead_letters() {
    let check = |key: Option<&str>, value: Vec<u8>, reason: &str| {
        let mut machine = Machine::new(TimerOptions::default());
        machine.define(10_000, "last", T0);
        machine.at(T0);
        let offset = machine.log.end();
        machine.write(key, Some(value.clone()));
        let letters = machine.at(T0 + 1).letters;
        assert_eq!(letters.len(), 1, "{reason}");
        let letter = &letters[0];
        assert_eq!((letter.reason.as_str(), letter.offset, letter.partition), (reason, offset, 0));
        assert_eq!((letter.topic.as_str(), letter.stage.as_str()), ("petrel.timers", "timers"));
        assert_eq!(letter.head, value);
        assert_eq!(machine.fired(T0 + 10_000), [T0 + 10_000], "{reason}: the timer goes on");
    };
    let state = TimerState {
        timer: TIMER.to_owned(),
        every_ms: 1,
        catch_up: "last".to_owned(),
        anchor_ms: 0,
        last_fired_ms: None,
    };
    check(None, encode(&named(definition(1_000, "last", T0))), "timer_key_missing");
    check(Some(TIMER), b"nonsense".to_vec(), "not_a_record");
    check(Some(TIMER), encode(&state), "unexpected_kind");
    check(Some("demo.other"), encode(&named(definition(1_000, "last", T0))), "timer_definition_invalid");
    check(Some(TIMER), encode(&named(definition(0, "last", T0))), "timer_definition_invalid");
    check(Some(TIMER), encode(&named(definition(1_000, "some", T0))), "timer_definition_invalid");
    check(Some(TIMER), encode(&named(definition(1_000, "last", i64::MAX))), "timer_definition_invalid");
}

#[test]
fn a_definition_of_a_newer_release_waits() {
    let mut machine = Machine::new(TimerOptions::default());
    machine.define(1_000, "last", T0);
    let offset = machine.log.end();
    machine.write(Some(TIMER), Some(NEWER.to_vec()));
    assert!(machine.at(T0).is_empty(), "nothing is a dead letter");
    let (blocked, reason) = machine.blocked().unwrap();
    assert!(blocked == offset && reason.contains("newer release"), "{blocked}: {reason}");
    assert_eq!(machine.stored().unwrap().every_ms, 1_000, "what stands before it was taken");
}

#[test]
fn a_state_of_a_newer_release_stays_with_its_timer() {
    let mut machine = Machine::new(TimerOptions::default());
    machine.define(1_000, "last", T0);
    machine.at(T0);
    let older = machine.log.value(STATE);
    machine.write(Some(STATE), Some(NEWER.to_vec()));
    machine.take_over();
    let is_kept = |machine: &Machine| machine.log.value(STATE).as_deref() == Some(NEWER);
    assert!(machine.at(T0 + 5_000).is_empty() && is_kept(&machine), "neither fired nor a dead letter");
    // A release that can read it finds its timer.
    machine.write(Some(STATE), older);
    machine.take_over();
    assert_eq!(machine.fired(T0 + 15_000), [T0 + 15_000]);

    machine.write(Some(STATE), Some(NEWER.to_vec()));
    machine.take_over();
    let offset = machine.log.end();
    machine.define(2_000, "last", T0);
    assert!(machine.at(T0 + 15_000).is_empty() && is_kept(&machine));
    assert_eq!(machine.blocked().unwrap().0, offset);
}

#[test]
fn a_tick_that_no_log_takes_is_a_dead_letter() {
    let driver_options = DriverOptions { output_bytes_max: 150, ..DriverOptions::default() };
    let mut machine = Machine::with(T0, TimerOptions::default(), driver_options);
    machine.define(1_000, "last", T0);
    let written = machine.at(T0 + 1_000);
    let letters = &written.letters;
    assert_eq!((written.ticks.len(), letters.len()), (0, 1));
    assert_eq!(
        (&*letters[0].reason, &*letters[0].topic, &*letters[0].stage),
        ("output_too_large", "petrel.triggers", "timers")
    );
    assert_eq!(machine.stored().unwrap().last_fired_ms, Some(T0 + 1_000), "it goes on");
}

#[test]
fn the_end_of_time_is_no_instant() {
    let limits = Limits { on_time_ms: 0, catch_up_max: 10, fires_max: 10 };
    let last = 253_402_300_799_999;
    let grid = Grid::of(&definition(i64::MAX, "all", last)).unwrap();
    assert_eq!(grid.next(None), None);
    assert_eq!(grid.due(None, i64::MAX, &limits), None);
}

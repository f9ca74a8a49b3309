use petrel_bus::{Batch, Context, Facts, Output, OwnedRecord, PartitionState, Stage, Taken, TimerKind};
use petrel_schemas::{DeadLetter, EventId, TimerDefinition, TimerState, Topics, TriggerEvent, decode, encode};
use proptest::prelude::*;

use super::{Grid, Limits, TimerOptions, TimerStage};

const T0: i64 = 1_700_000_000_000;
const NOTHING: [i64; 0] = [];
const TIMER: &str = "demo.tick";

fn definition(every_ms: i64, catch_up: &str, anchor_ms: i64) -> TimerDefinition {
    let (timer, catch_up) = (TIMER.to_owned(), catch_up.to_owned());
    TimerDefinition { timer, every_ms, catch_up, anchor_ms, revision: "r1".to_owned() }
}

/// One partition of the stage, with its log: the changelog is the input topic itself.
struct Machine {
    stage: TimerStage,
    state: PartitionState,
    log: Vec<OwnedRecord>,
    read: usize,
    out: Vec<Output>,
}

impl Machine {
    fn new(options: TimerOptions) -> Self {
        let stage = TimerStage::new(&Topics::new("petrel.", 1, 1), options);
        Self { stage, state: PartitionState::default(), log: Vec::new(), read: 0, out: Vec::new() }
    }

    fn write(&mut self, key: Option<&str>, value: Option<Vec<u8>>) {
        let offset = self.log.len() as i64;
        let key = key.map(|k| k.as_bytes().to_vec());
        self.log.push(OwnedRecord { offset, timestamp_ms: T0, key, value });
    }

    fn define(&mut self, every_ms: i64, catch_up: &str, anchor_ms: i64) {
        self.write(Some(TIMER), Some(encode(&definition(every_ms, catch_up, anchor_ms))));
    }

    /// Steps what is there without committing.
    fn step(&mut self, now_ms: i64) {
        let records: Vec<OwnedRecord> = self.log[self.read..].to_vec();
        let views: Vec<_> = records.iter().map(OwnedRecord::as_record).collect();
        let topic = "petrel.timers".into();
        let facts = Facts { partition: 0, now_ms, blocked_ms: 0, is_careful: false };
        if !views.is_empty() {
            let mut context = Context::new(facts, &(), &mut self.state, &mut self.out);
            let batch = Batch { topic: &topic, partition: 0, records: &views };
            assert_eq!(self.stage.records(batch, &mut context), Taken::All);
        }
        let due = self.state.take_due(TimerKind::Silence, now_ms, 16);
        if !due.is_empty() {
            self.stage.timers(&due, &mut Context::new(facts, &(), &mut self.state, &mut self.out));
        }
    }

    /// One committed turn; returns its outputs.
    fn turn(&mut self, now_ms: i64) -> Vec<Output> {
        let end = self.log.len();
        self.step(now_ms);
        self.read = end;
        let changes: Vec<_> = self.state.changes().map(|(k, v)| (k.to_vec(), v)).collect();
        for (key, value) in changes {
            self.write(std::str::from_utf8(&key).ok(), value);
        }
        self.state.commit(now_ms).unwrap();
        std::mem::take(&mut self.out)
    }

    /// A turn that is decided and lost.
    fn lost_turn(&mut self, now_ms: i64) -> Vec<Output> {
        self.step(now_ms);
        self.state.abort();
        self.stage.aborted();
        std::mem::take(&mut self.out)
    }

    /// Another process takes over: state comes from the log alone.
    fn take_over(&mut self) {
        self.state = PartitionState::default();
        for record in &self.log {
            self.state.restore(record.key.as_deref().unwrap_or_default(), record.value.as_deref());
        }
        self.state.restored(0, 0).unwrap();
        self.stage.revoked(0);
    }

    fn fired(&mut self, now_ms: i64) -> Vec<i64> {
        instants(&self.turn(now_ms))
    }

    fn stored(&self) -> Option<TimerState> {
        self.state.get(b"state/demo.tick").map(|v| decode(&v).unwrap())
    }
}

fn instants(outputs: &[Output]) -> Vec<i64> {
    outputs.iter().filter(|o| &*o.topic == "petrel.triggers").map(|o| tick(o).occurred_at_ms).collect()
}

fn tick(output: &Output) -> TriggerEvent {
    decode(output.value.as_ref().unwrap()).unwrap()
}

fn letters(outputs: &[Output]) -> Vec<DeadLetter> {
    let letters = outputs.iter().filter(|o| &*o.topic == "petrel.dead_letters");
    letters.map(|o| decode(o.value.as_ref().unwrap()).unwrap()).collect()
}

#[test]
fn a_tick_is_what_its_instant_says() {
    let mut machine = Machine::new(TimerOptions::default());
    machine.define(60_000, "last", 0);
    assert_eq!(machine.fired(60_000 - 1), NOTHING);
    let outputs = machine.turn(60_007);
    assert_eq!(outputs.len(), 1);
    let event = tick(&outputs[0]);
    let id = EventId::of_timer(TIMER, 60_000);
    assert_eq!((event.event_id.as_str(), event.trigger.as_str(), event.source.as_str()), (id.as_str(), TIMER, "timer"));
    assert_eq!(outputs[0].key.as_deref(), Some(id.as_str().as_bytes()));
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
        assert_eq!(instants(&machine.turn(now)), [now]);
        assert_eq!(letters(&machine.turn(now)), [], "the stage reads its own changelog");
    }
    assert_eq!(machine.read, machine.log.len(), "reading one's own records writes nothing");
}

#[test]
fn missed_instants() {
    let check = |catch_up: &str, now_ms: i64, expected: &[i64]| {
        let mut machine = Machine::new(TimerOptions { catch_up_max: 3, ..TimerOptions::default() });
        machine.define(60_000, catch_up, T0);
        assert_eq!(machine.fired(T0 + 60_000), [T0 + 60_000]);
        machine.take_over();
        let minutes: Vec<i64> = expected.iter().map(|n| T0 + n * 60_000).collect();
        let mut fired = machine.fired(T0 + now_ms);
        fired.extend(machine.fired(T0 + now_ms));
        assert_eq!(fired, minutes, "{catch_up} at {now_ms}");
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
    let outputs = machine.turn(T0 + 25_000);
    assert_eq!(instants(&outputs), (16..=25).map(|n| T0 + n * 1_000).collect::<Vec<_>>());
    let letters = letters(&outputs);
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason.as_str(), letters[0].trigger.as_deref()), ("timer_catch_up_limit", Some(TIMER)));
    assert!(letters[0].detail.starts_with("15 missed instants"), "{}", letters[0].detail);
}

#[test]
fn a_step_fires_a_bounded_number() {
    let mut machine = Machine::new(TimerOptions { step_fires_max: 7, ..TimerOptions::default() });
    machine.define(1_000, "all", T0);
    for n in ["demo.a", "demo.b"] {
        let definition = TimerDefinition { timer: n.to_owned(), ..definition(1_000, "all", T0) };
        machine.write(Some(n), Some(encode(&definition)));
    }
    let mut all = Vec::new();
    let now = T0 + 20_000;
    loop {
        let outputs = machine.turn(now);
        if outputs.is_empty() {
            break;
        }
        assert!(outputs.len() <= 7);
        all.extend(outputs.iter().map(|o| (tick(o).trigger, tick(o).occurred_at_ms)));
    }
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
    assert_eq!(machine.fired(T0 + 30_000), NOTHING);
    assert_eq!(machine.stored(), None);
    assert_eq!(machine.state.next_due_ms(TimerKind::Silence), None);
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
        machine.turn(T0);
        let offset = machine.log.len() as i64;
        machine.write(key, Some(value.clone()));
        let letters = letters(&machine.turn(T0 + 1));
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
    check(None, encode(&definition(1_000, "last", T0)), "timer_key_missing");
    check(Some(TIMER), b"nonsense".to_vec(), "not_a_record");
    check(Some(TIMER), encode(&state), "unexpected_kind");
    check(Some("demo.other"), encode(&definition(1_000, "last", T0)), "timer_definition_invalid");
    check(Some(TIMER), encode(&definition(0, "last", T0)), "timer_definition_invalid");
    check(Some(TIMER), encode(&definition(1_000, "some", T0)), "timer_definition_invalid");
    check(Some(TIMER), encode(&definition(1_000, "last", i64::MAX)), "timer_definition_invalid");
}

#[test]
fn a_definition_of_a_newer_release_waits() {
    let mut machine = Machine::new(TimerOptions::default());
    let newer = b"\xC3\x01newer-release";
    let record = |offset, value| petrel_bus::Record { offset, timestamp_ms: T0, key: Some(TIMER.as_bytes()), value };
    let definition = encode(&definition(1_000, "last", T0));
    let records = [record(0, Some(definition.as_slice())), record(1, Some(newer.as_slice()))];
    let facts = Facts { partition: 0, now_ms: T0, blocked_ms: 0, is_careful: false };
    let mut context = Context::new(facts, &(), &mut machine.state, &mut machine.out);
    let topic = "petrel.timers".into();
    let taken = machine.stage.records(Batch { topic: &topic, partition: 0, records: &records }, &mut context);
    assert!(matches!(&taken, Taken::Blocked { consumed: 1, reason } if reason.contains("newer release")), "{taken:?}");
    assert!(machine.out.is_empty(), "nothing is a dead letter");
}

#[test]
fn a_state_of_a_newer_release_stays_with_its_timer() {
    let mut machine = Machine::new(TimerOptions::default());
    machine.define(1_000, "last", T0);
    machine.turn(T0);
    let newer = b"\xC3\x01newer-release".to_vec();
    let key = format!("state/{TIMER}");
    machine.state.put(key.as_bytes(), newer.clone()).unwrap();
    machine.state.commit(T0).unwrap();
    let is_kept = |machine: &Machine| machine.state.get(key.as_bytes()).as_deref() == Some(&newer[..]);
    assert!(machine.turn(T0 + 5_000).is_empty() && is_kept(&machine), "neither fired nor a dead letter");
    assert!(machine.state.next_due_ms(TimerKind::Silence).is_some(), "its timer is gone");
    let definition = encode(&definition(2_000, "last", T0));
    let record =
        petrel_bus::Record { offset: 9, timestamp_ms: T0, key: Some(TIMER.as_bytes()), value: Some(&definition) };
    let facts = Facts { partition: 0, now_ms: T0, blocked_ms: 0, is_careful: false };
    let mut context = Context::new(facts, &(), &mut machine.state, &mut machine.out);
    let topic = "petrel.timers".into();
    let taken = machine.stage.records(Batch { topic: &topic, partition: 0, records: &[record] }, &mut context);
    assert!(matches!(&taken, Taken::Blocked { consumed: 0, .. }), "{taken:?}");
    assert!(machine.out.is_empty() && is_kept(&machine));
}

#[test]
fn a_tick_that_no_log_takes_is_a_dead_letter() {
    let mut machine = Machine::new(TimerOptions::default());
    machine.define(1_000, "last", T0);
    let outputs = machine.turn(T0 + 1_000);
    let tick = outputs.iter().find(|output| &*output.topic == "petrel.triggers").unwrap();
    let letters = letters(&[machine.stage.spec().give_up_output(tick, 500)]);
    assert_eq!(
        (&*letters[0].reason, &*letters[0].topic, &*letters[0].stage),
        ("output_too_large", "petrel.triggers", "timers")
    );
}

#[test]
fn the_end_of_time_is_no_instant() {
    let limits = Limits { on_time_ms: 0, catch_up_max: 10, fires_max: 10 };
    let last = 253_402_300_799_999;
    let grid = Grid::of(&definition(i64::MAX, "all", last)).unwrap();
    assert_eq!(grid.next(None), None);
    assert_eq!(grid.due(None, i64::MAX, &limits), None);
}

proptest! {
    /// With `all`, and limits that are not hit, every instant fires exactly once and in order, however
    /// turns, lost turns and take-overs fall; with the others none fires twice.
    #[test]
    fn none_twice_none_lost(
        every_ms in 1_i64..5_000,
        offset_ms in 0_i64..5_000,
        policy in 0_usize..3,
        fires_max in 1_u32..20,
        turns in prop::collection::vec((0_i64..20_000, 0_u8..4), 1..60),
    ) {
        let policy = ["none", "last", "all"][policy];
        let options = TimerOptions { catch_up_max: 1_000_000, step_fires_max: fires_max, ..TimerOptions::default() };
        let mut machine = Machine::new(options);
        machine.define(every_ms, policy, T0 - offset_ms);
        let mut now = T0;
        let mut fired = Vec::new();
        for (pass_ms, kind) in turns {
            now += pass_ms;
            match kind {
                0 => { machine.lost_turn(now); }
                1 => { machine.lost_turn(now); machine.take_over(); }
                _ => fired.extend(machine.fired(now)),
            }
        }
        loop {
            let more = machine.fired(now);
            // Everything read, nothing due: settled.
            if more.is_empty() && machine.state.next_due_ms(TimerKind::Silence).is_some_and(|due| due > now) { break; }
            fired.extend(more);
        }
        let grid: Vec<i64> = (1..).map(|n| T0 - offset_ms + n * every_ms).take_while(|i| *i <= now).collect();
        if policy == "all" {
            prop_assert_eq!(fired, grid);
        } else {
            prop_assert!(fired.windows(2).all(|w| w[0] < w[1]), "in order, none twice");
            prop_assert!(fired.iter().all(|i| grid.binary_search(i).is_ok()), "on the grid");
            // The latest instant may be skipped by `none` only if it was late.
            let latest_on_time = grid.last().is_none_or(|i| now - i > 30_000 || fired.last() == Some(i));
            prop_assert!(latest_on_time);
        }
    }
}

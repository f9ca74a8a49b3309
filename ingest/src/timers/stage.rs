//! The stage.

use std::sync::Arc;

use petrel_bus::{Batch, Context, DueTimer, InputTopic, Output, Record, Silence, Stage, StageSpec, Start, Taken};
use petrel_schemas::{TimerDefinition, TimerState, Topics, decode, encode};

use super::grid::{Grid, Limits};
use super::payload;
use crate::dead_letter::{self, Source};

/// Prefix of the stage's state keys. References hold no `/`, so no definition has such a key.
const STATE_PREFIX: &str = "state/";
/// First byte of the bus's own keys in a changelog.
const BUS_PREFIX: u8 = b'~';

/// Limits of the timer stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerOptions {
    /// With `catch_up: none`, an instant still fires if it is at most that late, in milliseconds: long
    /// enough for another process to take a dead one's timers over.
    pub on_time_ms: i64,
    /// With `catch_up: all`, how many of the missed instants fire; older ones are told in a dead letter.
    pub catch_up_max: u32,
    /// Most events of one step, over all timers; the rest follows in the next.
    pub step_fires_max: u32,
}

impl Default for TimerOptions {
    fn default() -> Self {
        Self { on_time_ms: 30_000, catch_up_max: 1_000, step_fires_max: 1_000 }
    }
}

/// Fires interval timers. Needs no globals: what it must know stands in the definitions.
///
/// It waits with silence timers: whatever definitions were written before an instant are read before it
/// fires, so that a timer that was removed or changed while nobody ran does not fire once more as it was.
#[derive(Debug)]
pub struct TimerStage {
    spec: StageSpec,
    options: TimerOptions,
    timers: Arc<str>,
    triggers: Arc<str>,
    dead_letters: Arc<str>,
}

impl TimerStage {
    /// A stage over Petrel's topics.
    pub fn new(topics: &Topics, options: TimerOptions) -> Self {
        let timers = topics.timers();
        let silence = Some(Silence { input: timers.clone(), grace_ms: 0, longest: None });
        let spec = StageSpec { name: "timers".into(), changelog: Some(timers.clone()), silence };
        let (triggers, dead_letters) = (topics.triggers(), topics.dead_letters());
        Self { spec, options, timers, triggers, dead_letters }
    }

    /// Takes a record; why it cannot be taken yet, if so.
    fn record(&self, record: Record<'_>, context: &mut Context<'_, ()>) -> Option<String> {
        match record.key {
            None => self.reject(record, "timer_key_missing", "a timer definition without a key".into(), None, context),
            // The bus's timers and the stage's own state come back as input: they are its changelog.
            Some(key) if key.first() == Some(&BUS_PREFIX) || key.starts_with(STATE_PREFIX.as_bytes()) => {}
            Some(key) => match std::str::from_utf8(key) {
                Err(_) => self.reject(record, "timer_key_invalid", "the key is not UTF-8".into(), None, context),
                Ok(timer) => return self.definition(timer, record, context),
            },
        }
        None
    }

    fn definition(&self, timer: &str, record: Record<'_>, context: &mut Context<'_, ()>) -> Option<String> {
        let Some(value) = record.value else {
            context.delete(&state_key(timer));
            context.cancel_timer(timer.as_bytes());
            return None;
        };
        let trigger = || Some(timer.to_owned());
        match decode::<TimerDefinition>(value) {
            Ok(definition) => {
                if let Err(detail) = self.install(timer, &definition, context) {
                    self.reject(record, "timer_definition_invalid", detail, trigger(), context);
                }
            }
            Err(error) if error.may_be_newer() => return Some(error.to_string()),
            Err(error) => {
                self.reject(record, "timer_definition_undecodable", error.to_string(), trigger(), context);
            }
        }
        None
    }

    /// Puts a definition into force. The same one again changes nothing; instants that were settled
    /// under an older one stay so.
    fn install(&self, timer: &str, definition: &TimerDefinition, context: &mut Context<'_, ()>) -> Result<(), String> {
        if definition.timer != timer {
            return Err(format!("the key names {timer:?}, the definition {:?}", definition.timer));
        }
        let grid = Grid::of(definition)?;
        let known = context.get(&state_key(timer)).and_then(|value| decode::<TimerState>(&value).ok());
        let last_fired_ms = known.as_ref().and_then(|state| state.last_fired_ms);
        let state = TimerState {
            timer: timer.to_owned(),
            every_ms: definition.every_ms,
            catch_up: definition.catch_up.clone(),
            anchor_ms: definition.anchor_ms,
            last_fired_ms,
        };
        if known.as_ref() == Some(&state) {
            return Ok(());
        }
        context.put(&state_key(timer), encode(&state)).map_err(|e| e.to_string())?;
        schedule(timer, grid.next(last_fired_ms), context);
        Ok(())
    }

    fn fire(&self, due: &[DueTimer], context: &mut Context<'_, ()>) {
        let mut left = i64::from(self.options.step_fires_max.max(1));
        for timer in due {
            let Ok(name) = std::str::from_utf8(&timer.key) else { continue };
            if left <= 0 {
                // Still due: it comes first in the next step.
                context.set_silence_timer(&timer.key, timer.due_ms);
                continue;
            }
            left -= self.fire_one(name, left, context);
        }
    }

    /// Fires what is due of one timer, at most `fires_max` events; returns how many.
    fn fire_one(&self, timer: &str, fires_max: i64, context: &mut Context<'_, ()>) -> i64 {
        let key = state_key(timer);
        // Without a state the timer was removed: nothing to repeat.
        let Some(value) = context.get(&key) else { return 0 };
        let read = decode::<TimerState>(&value).map_err(|e| e.to_string());
        let (mut state, grid) = match read.and_then(|state| Grid::of_state(&state).map(|grid| (state, grid))) {
            Ok(read) => read,
            Err(detail) => {
                self.tell("timer_state_unusable", detail, timer, context);
                return 0;
            }
        };
        let limits = Limits {
            on_time_ms: self.options.on_time_ms,
            catch_up_max: i64::from(self.options.catch_up_max.max(1)),
            fires_max,
        };
        let Some(due) = grid.due(state.last_fired_ms, context.now_ms(), &limits) else {
            schedule(timer, grid.next(state.last_fired_ms), context);
            return 0;
        };
        if due.over_limit > 0 {
            let (n, max) = (due.over_limit, limits.catch_up_max);
            let detail = format!("{n} missed instants before {} are skipped: catch_up_max is {max}", due.first_ms);
            self.tell("timer_catch_up_limit", detail, timer, context);
        }
        for n in 0..due.count {
            context.emit(payload::tick(&self.triggers, timer, due.first_ms + n * grid.every_ms()));
        }
        state.last_fired_ms = Some(due.settled_ms);
        if let Err(error) = context.put(&key, encode(&state)) {
            self.tell("timer_state_unusable", error.to_string(), timer, context);
            return 0;
        }
        schedule(timer, grid.next(state.last_fired_ms), context);
        due.count
    }

    /// A dead letter about something that no record of this step caused.
    fn tell(&self, reason: &str, detail: String, timer: &str, context: &mut Context<'_, ()>) {
        let source = self.source(None, context);
        let letter = dead_letter::output(&self.dead_letters, &source, reason, detail, Some(timer.to_owned()));
        context.emit(letter);
    }

    fn reject(
        &self,
        record: Record<'_>,
        reason: &str,
        detail: String,
        trigger: Option<String>,
        context: &mut Context<'_, ()>,
    ) {
        let source = self.source(Some(record), context);
        let letter = dead_letter::output(&self.dead_letters, &source, reason, detail, trigger);
        context.emit(letter);
    }

    fn source<'a>(&'a self, record: Option<Record<'a>>, context: &Context<'_, ()>) -> Source<'a> {
        let (partition, now_ms) = (context.partition(), context.now_ms());
        Source { stage: &self.spec.name, topic: &self.timers, partition, record, now_ms }
    }
}

impl Stage for TimerStage {
    type Globals = ();

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, _globals: &()) -> Vec<InputTopic> {
        vec![InputTopic { name: self.timers.clone(), start: Start::Beginning, with: None }]
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, ()>) -> Taken {
        for (consumed, record) in batch.records.iter().enumerate() {
            if let Some(reason) = self.record(*record, context) {
                return Taken::Blocked { consumed, reason };
            }
        }
        Taken::All
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, ()>) {
        self.fire(due, context);
    }

    /// Ticks are small whatever the timer; a dead letter with a 64 KiB head fits every log. Should one
    /// not, there is nothing smaller to say in its place.
    fn too_large(&self, output: &Output, limit_bytes: usize) -> Vec<Output> {
        tracing::error!(topic = %output.topic, bytes = output.bytes(), limit_bytes, "output over the limit was dropped");
        Vec::new()
    }
}

fn state_key(timer: &str) -> Vec<u8> {
    [STATE_PREFIX.as_bytes(), timer.as_bytes()].concat()
}

/// A grid that is beyond the last instant leaves the timer unset.
fn schedule(timer: &str, next_ms: Option<i64>, context: &mut Context<'_, ()>) {
    match next_ms {
        Some(due_ms) => context.set_silence_timer(timer.as_bytes(), due_ms),
        None => context.cancel_timer(timer.as_bytes()),
    }
}

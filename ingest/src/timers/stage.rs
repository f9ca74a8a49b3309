//! The stage.

use std::sync::Arc;

use petrel_bus::{
    About, Batch, Context, DueTimer, InputTopic, NotYet, Reason, Record, Silence, Stage, StageSpec, Start, Taken,
    Unreadable,
};
use petrel_schemas::{TimerDefinition, TimerState, Topics, decode, encode};

use super::grid::{Grid, Limits};
use super::payload;

/// Prefix of the stage's state keys. References hold no `/`, so no definition has such a key.
const STATE_PREFIX: &str = "state/";
/// How long a timer waits whose state a newer release has written, before it is looked at again, in milliseconds.
const NEWER_STATE_RETRY_MS: i64 = 10_000;
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
}

impl TimerStage {
    /// A stage over Petrel's topics.
    pub fn new(topics: &Topics, options: TimerOptions) -> Self {
        let timers = topics.timers();
        let silence = Some(Silence { input: timers.clone(), grace_ms: 0, longest: None });
        let (changelog, dead_letters) = (Some(timers.clone()), topics.dead_letters());
        let spec = StageSpec { name: "timers".into(), changelog, silence, dead_letters };
        Self { spec, options, timers, triggers: topics.triggers() }
    }

    fn record(&self, record: &Record<'_>, context: &mut Context<'_, ()>) -> Result<(), NotYet> {
        match record.key {
            None => {
                let reason = Reason::new("timer_key_missing", "a timer definition without a key");
                self.give_up(record, reason, None, context);
            }
            // The bus's timers and the stage's own state come back as input: they are its changelog.
            Some(key) if !is_definition(key) => {}
            Some(key) => match std::str::from_utf8(key) {
                Err(_) => {
                    let reason = Reason::new("timer_key_invalid", "the key is not UTF-8");
                    self.give_up(record, reason, None, context);
                }
                Ok(timer) => return self.definition(timer, record, context),
            },
        }
        Ok(())
    }

    fn definition(&self, timer: &str, record: &Record<'_>, context: &mut Context<'_, ()>) -> Result<(), NotYet> {
        let Some(value) = record.value else {
            context.delete(&state_key(timer));
            context.cancel_timer(timer.as_bytes());
            return Ok(());
        };
        let installed = decode::<TimerDefinition>(value)
            .map_err(Unreadable::from)
            .and_then(|definition| self.install(timer, &definition, context));
        match installed {
            Ok(()) => Ok(()),
            Err(Unreadable::Newer(why)) => Err(why),
            Err(Unreadable::Damaged(reason)) => {
                self.give_up(record, reason, Some(timer), context);
                Ok(())
            }
        }
    }

    /// Puts a definition into force. The same one again changes nothing; instants that were settled
    /// under an older one stay so.
    fn install(
        &self,
        timer: &str,
        definition: &TimerDefinition,
        context: &mut Context<'_, ()>,
    ) -> Result<(), Unreadable> {
        let invalid = |detail: String| Unreadable::Damaged(Reason::new("timer_definition_invalid", detail));
        if definition.timer != timer {
            return Err(invalid(format!("the key names {timer:?}, the definition {:?}", definition.timer)));
        }
        let grid = Grid::of(definition).map_err(invalid)?;
        let known = context.get(&state_key(timer)).map(|value| decode::<TimerState>(&value));
        let known = match known.transpose().map_err(Unreadable::from) {
            Ok(known) => known,
            Err(Unreadable::Newer(why)) => return Err(Unreadable::Newer(why)),
            // The definition begins a state of its own.
            Err(Unreadable::Damaged(_)) => None,
        };
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
        context.put(&state_key(timer), encode(&state)).map_err(|e| invalid(e.to_string()))?;
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
        let unusable = |detail: String| Reason::new("timer_state_unusable", detail);
        let state = match decode::<TimerState>(&value).map_err(Unreadable::from) {
            Ok(state) => Grid::of_state(&state).map(|grid| (state, grid)).map_err(unusable),
            Err(Unreadable::Newer(_)) => {
                // It stays as it is, timer included, for a release that can read it.
                context.set_silence_timer(timer.as_bytes(), context.now_ms().saturating_add(NEWER_STATE_RETRY_MS));
                return 0;
            }
            Err(Unreadable::Damaged(reason)) => Err(unusable(reason.detail)),
        };
        let (mut state, grid) = match state {
            Ok(read) => read,
            Err(reason) => {
                self.tell(reason, timer, context);
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
            self.tell(Reason::new("timer_catch_up_limit", detail), timer, context);
        }
        for n in 0..due.count {
            context.emit(payload::tick(&self.triggers, timer, due.first_ms + n * grid.every_ms()));
        }
        state.last_fired_ms = Some(due.settled_ms);
        if let Err(error) = context.put(&key, encode(&state)) {
            self.tell(unusable(error.to_string()), timer, context);
            return 0;
        }
        schedule(timer, grid.next(state.last_fired_ms), context);
        due.count
    }

    /// A dead letter about something that no record of this step caused.
    fn tell(&self, reason: Reason, timer: &str, context: &mut Context<'_, ()>) {
        let nothing = Record { offset: -1, timestamp_ms: context.now_ms(), key: None, value: None };
        self.give_up(&nothing, reason, Some(timer), context);
    }

    fn give_up(&self, record: &Record<'_>, reason: Reason, trigger: Option<&str>, context: &mut Context<'_, ()>) {
        let about = About { trigger: trigger.map(str::to_owned), ..About::default() };
        context.emit(self.spec.give_up(&self.timers, context.partition(), record, reason.about(about)));
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
        batch.take_each(|record| self.record(record, context))
    }

    fn timers(&mut self, due: &[DueTimer], context: &mut Context<'_, ()>) {
        self.fire(due, context);
    }
}

/// Whether a key of `petrel.timers` is that of a definition.
pub fn is_definition(key: &[u8]) -> bool {
    key.first() != Some(&BUS_PREFIX) && !key.starts_with(STATE_PREFIX.as_bytes())
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

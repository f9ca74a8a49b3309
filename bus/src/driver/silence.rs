//! Silence timers: nothing was heard by an instant, and everything that was said by then was heard.
//!
//! Only the driver knows whether that is so. At the first silence timer that is due it notes where the
//! input ends, including what is not committed: the last stable offset of a read_committed reader may
//! be held back by another writer's open transaction while the record that was waited for stands
//! behind it. The timers that were due at that moment fire once the stage has taken all of it. What is
//! noted is kept in memory, one note per partition, whatever the number of timers.

use super::tasks::Task;
use super::{Driver, Failure};
use crate::session::TopicPartition;
use crate::stage::{Silence, Stage};
use crate::store::TimerKind;

/// Pause before an end that could not be asked for is asked for again, in milliseconds.
const ASK_AGAIN_MS: i64 = 250;

/// What one partition's silence timers wait for.
#[derive(Debug, Default)]
pub(super) struct Listening {
    noted: Option<Noted>,
    /// Not asked again before, in milliseconds since the epoch.
    ask_at_ms: i64,
}

/// Where the input ended at an instant.
#[derive(Debug, Clone, Copy)]
struct Noted {
    at_ms: i64,
    end: i64,
}

impl<S: Stage> Driver<'_, S> {
    /// Fires the silence timers of every partition that has been heard to its end.
    pub(super) fn fire_silence_timers(&mut self) -> Result<(), Failure> {
        let Some(silence) = self.stage.spec().silence.clone() else { return Ok(()) };
        let now_ms = self.clock.now_ms();
        if let Some(longest) = &silence.longest {
            for number in self.tasks.partitions() {
                self.shorten_silences(number, now_ms.saturating_add(longest.ms), longest.key_ends_with);
            }
        }
        self.note_ends_of_input(now_ms, &silence)?;
        for number in self.tasks.partitions() {
            let Some(due_by_ms) = self.heard_until(number, now_ms, &silence) else { continue };
            if self.told_meanwhile().contains(&number) {
                continue;
            }
            self.fire(number, TimerKind::Silence, due_by_ms)?;
        }
        Ok(())
    }

    /// The instant until which a partition's silences were heard out, if silence timers wait for one.
    pub(super) fn heard_silence_until(&mut self, number: u32, now_ms: i64) -> Option<i64> {
        let silence = self.stage.spec().silence.clone()?;
        self.heard_until(number, now_ms, &silence)
    }

    /// Asks where the input ends, in one question, for all partitions whose silence timers wait for it.
    fn note_ends_of_input(&mut self, now_ms: i64, silence: &Silence) -> Result<(), Failure> {
        let asks = |task: &&Task| {
            let listening = &task.listening;
            listening.noted.is_none() && now_ms >= listening.ask_at_ms && is_due(task, now_ms, silence)
        };
        let asking = self.tasks.iter().filter(asks);
        let due: Vec<TopicPartition> = asking.filter_map(|task| Some(task.topic(&silence.input)?.at.clone())).collect();
        if due.is_empty() {
            return Ok(());
        }
        let ends = self.session.high_watermarks(&due)?;
        // From when the answer came: asking may have taken long, and the thread has other work.
        let again_ms = self.clock.now_ms().saturating_add(ASK_AGAIN_MS);
        for (at, end) in due.iter().zip(ends) {
            let Some(task) = self.tasks.get_mut(at.partition) else { continue };
            match end {
                Some(end) => task.listening.noted = Some(Noted { at_ms: now_ms, end }),
                None => {
                    tracing::debug!(topic = %at.topic, partition = at.partition, "the end is not known now");
                    task.listening.ask_at_ms = again_ms;
                }
            }
        }
        Ok(())
    }

    /// A member whose clock was ahead has set timers that this one's clock reaches much too late. They are
    /// looked for once in a partition's life here: what this member sets itself is never too far ahead.
    fn shorten_silences(&mut self, number: u32, latest_ms: i64, key_ends_with: &[u8]) {
        let Some(task) = self.tasks.get_mut(number).filter(|task| !task.are_silences_short) else { return };
        let found = task.state.bring_forward(TimerKind::Silence, latest_ms, key_ends_with, self.options.timers_max);
        // Until they are committed they are found again.
        task.are_silences_short = found == 0;
        if found > 0 {
            task.touch();
            self.opened();
        }
    }

    /// The instant until which everything that was said has been heard, if silence timers wait for one.
    fn heard_until(&mut self, number: u32, now_ms: i64, silence: &Silence) -> Option<i64> {
        let Self { tasks, session, .. } = self;
        let task = tasks.get_mut(number).filter(|task| is_due(task, now_ms, silence))?;
        let noted = task.listening.noted?;
        let progress = task.topic(&silence.input)?;
        if progress.is_blocked() || session.position(&progress.at) < noted.end {
            return None;
        }
        if task.state.next_due_ms(TimerKind::Silence).is_some_and(|due_ms| due_ms > noted.at_ms) {
            // What was due then was moved by what was heard since; the rest needs a note of its own.
            task.listening.noted = None;
            return None;
        }
        Some(noted.at_ms)
    }

    /// When silence timers must be looked at next, in milliseconds since the epoch: at their time or when
    /// the grace ends. What is noted already is waited for by fetching.
    pub(super) fn next_silence_ms(&self) -> Option<i64> {
        let silence = self.stage.spec().silence.as_ref()?;
        let next = |task: &Task| {
            // Nothing will be heard there: nobody asks where it ends.
            task.topic(&silence.input)?;
            let due_ms = task.state.next_due_ms(TimerKind::Silence)?;
            let ms = due_ms.max(task.assigned_ms.saturating_add(silence.grace_ms)).max(task.listening.ask_at_ms);
            task.listening.noted.is_none().then_some(ms)
        };
        self.tasks.iter().filter_map(next).min()
    }
}

/// Whether a silence timer has waited for its time and for the grace of a new member.
fn is_due(task: &Task, now_ms: i64, silence: &Silence) -> bool {
    let is_over = |due_ms: i64| due_ms.max(task.assigned_ms.saturating_add(silence.grace_ms)) <= now_ms;
    task.state.next_due_ms(TimerKind::Silence).is_some_and(is_over)
}

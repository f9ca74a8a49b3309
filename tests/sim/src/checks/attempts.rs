//! What attempts did to the world: one at a time, and what runs at most once at most once.

use std::collections::BTreeMap;

use crate::history::History;
use crate::pack::AT_MOST_ONCE;
use crate::supervisor::Effect;

fn by_execution(history: &History) -> BTreeMap<&str, Vec<&Effect>> {
    let mut by_execution: BTreeMap<&str, Vec<&Effect>> = BTreeMap::new();
    for effect in &history.effects {
        by_execution.entry(&effect.execution).or_default().push(effect);
    }
    by_execution
}

/// An action is dead before the next attempt at it begins.
pub fn one_at_a_time(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, mut effects) in by_execution(history) {
        effects.sort_by_key(|e| (e.began_ms, e.token));
        for pair in effects.windows(2) {
            if pair[0].ended_ms.is_none_or(|ended_ms| ended_ms > pair[1].began_ms) {
                wrong.push(format!("{id} ran twice at once: {:?} and {:?}", pair[0], pair[1]));
            }
        }
    }
    wrong
}

/// Nobody starts the same attempt twice.
pub fn each_started_once(history: &History) -> Vec<String> {
    let mut starts: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    for effect in &history.effects {
        *starts.entry((&effect.execution, effect.token)).or_default() += 1;
    }
    starts.iter().filter(|(_, n)| **n > 1).map(|(at, n)| format!("{at:?} was started {n} times")).collect()
}

/// An action that runs at most once is never started again.
pub fn at_most_once(history: &History) -> Vec<String> {
    let of = |effects: &Vec<&Effect>| effects.iter().filter(|e| AT_MOST_ONCE.contains(&e.action.as_str())).count();
    let counts = by_execution(history).into_iter().map(|(id, effects)| (id, of(&effects)));
    counts.filter(|(_, n)| *n > 1).map(|(id, n)| format!("{id} runs at most once, and was started {n} times")).collect()
}

//! Dead letters are about what nobody can use, and once about each.

use std::collections::{BTreeMap, BTreeSet};

use petrel_execution::code::ASKED_IN_VAIN;

use crate::history::History;

type At = (String, u32, i64);

fn letters(history: &History) -> BTreeMap<At, usize> {
    let mut letters: BTreeMap<At, usize> = BTreeMap::new();
    for letter in &history.dead_letters {
        let partition = u32::try_from(letter.partition).unwrap_or(u32::MAX);
        *letters.entry((letter.topic.clone(), partition, letter.offset)).or_default() += 1;
    }
    letters
}

fn poison(history: &History) -> BTreeSet<At> {
    history.sent.iter().filter(|s| s.event.is_none()).map(|s| s.at.clone()).collect()
}

/// Only poison is given up, and only once.
pub fn only_poison_and_once(history: &History) -> Vec<String> {
    let poison = poison(history);
    let mut wrong = history.unreadable.clone();
    for (at, count) in letters(history) {
        if !poison.contains(&at) {
            let letter = history.dead_letters.iter().find(|l| (&l.topic, l.offset) == (&at.0, at.2));
            // What is asked of a workflow may come too late, or once more.
            if letter.is_some_and(|letter| letter.reason == ASKED_IN_VAIN) {
                continue;
            }
            let why = letter.map(|l| format!("{}: {}", l.reason, l.detail)).unwrap_or_default();
            wrong.push(format!("{at:?} was given up, and is no poison: {why}"));
        }
        if count > 1 {
            wrong.push(format!("{at:?} was given up {count} times"));
        }
    }
    wrong
}

/// Every poison has its dead letter.
pub fn none_missing(history: &History) -> Vec<String> {
    let letters = letters(history);
    poison(history)
        .into_iter()
        .filter(|at| !letters.contains_key(at))
        .map(|at| format!("{at:?} was passed over"))
        .collect()
}

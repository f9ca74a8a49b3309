//! A timer with `catch_up: all` fires each instant once, without a gap.

use crate::history::History;
use crate::pack::TICK_MS;

/// No instant twice.
pub fn none_twice(history: &History) -> Vec<String> {
    let twice = history.ticks.windows(2).filter(|pair| pair[0] == pair[1]);
    twice.map(|pair| format!("{} fired twice", pair[0])).collect()
}

/// None left out.
pub fn none_missing(history: &History) -> Vec<String> {
    let gaps = history.ticks.windows(2).filter(|pair| pair[1] - pair[0] > TICK_MS);
    gaps.map(|pair| format!("after {} fired {}", pair[0], pair[1])).collect()
}

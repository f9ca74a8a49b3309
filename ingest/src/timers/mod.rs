//! Interval timers: a stage that is its own clockwork.
//!
//! Its input is `petrel.timers`: the definitions that an apply writes, one key for each timer. The
//! changelog of its state is the same topic, so that definitions and state of a timer live in one
//! partition; state keys hold a `/`, which no reference does, and the bus's own begin with `~`.
//!
//! Invariants:
//! - A firing and the state that remembers it are one transaction: one firing, whichever replica.
//! - The id of an event is derived from the timer and the scheduled instant, never from when it ran.
//! - An instant that is settled, fired or skipped, never fires again.

mod grid;
mod payload;
mod stage;

pub use grid::{Due, Grid, Limits};
pub use stage::{TimerOptions, TimerStage, is_definition};

#[cfg(test)]
mod tests;

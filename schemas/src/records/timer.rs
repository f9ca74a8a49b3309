//! Records: timers.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// An interval timer of the catalog, on `petrel.timers`; a tombstone removes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimerDefinition {
    /// Reference of the timer's trigger; the record's key.
    pub timer: String,
    /// Interval, in milliseconds.
    pub every_ms: i64,
    /// What to do about instants that passed unseen: `none`, `last` or `all`.
    pub catch_up: String,
    /// The first instant is `anchor_ms + every_ms`, in milliseconds since the epoch.
    pub anchor_ms: i64,
    /// Revision that defined it.
    pub revision: String,
}

stored!(TimerDefinition, "TimerDefinition");

/// What the timer stage remembers of a timer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimerState {
    /// Reference of the timer's trigger.
    pub timer: String,
    /// Interval, in milliseconds.
    pub every_ms: i64,
    /// `none`, `last` or `all`.
    pub catch_up: String,
    /// Anchor of the grid of instants, in milliseconds since the epoch.
    pub anchor_ms: i64,
    /// Last scheduled instant that was fired.
    pub last_fired_ms: Option<i64>,
}

stored!(TimerState, "TimerState");

//! The timers as a process: the stage under the real driver, over the simulated log.

mod crashes;
mod harness;
mod stage;

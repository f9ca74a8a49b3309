//! Owners of executions, and workers that run their actions.

pub mod runner;
pub mod supervise;

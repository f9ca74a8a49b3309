//! Processes of actions: what the runners that start them have in common.
//!
//! `sizes` (what the system can give a process).

mod sizes;

use crate::supervise::Job;
use sizes::Sizes;

/// Which limit of a process a job is over: a sentence with its name.
pub(super) fn over(job: &Job) -> Option<String> {
    Sizes::of_this_system().over(job)
}

//! Processes are killed with -9 while events flow; nothing is lost, nothing is doubled.
//!
//! Small counts by default; `cargo xtask crash` runs the full ones (`PETREL_E2E_…`, see `plan`). `kafka`, `local` and
//! `brokers` are the installations, `check` is what must hold at the end, whoever was killed. `workflows` kills under
//! workflows, which are those of `relay`, and `transitions` is what the audit trail must tell of them.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]
// The seed and the counts belong into the output of a run, failed or not.
#![allow(clippy::print_stderr)]

mod brokers;
mod check;
mod kafka;
mod local;
mod plan;
mod relay;
mod transitions;
mod workflows;

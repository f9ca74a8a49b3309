//! The runner `ssh` against real servers of OpenSSH.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

mod asking;
mod commands;
mod ends;
mod files;
mod hosts;
mod live;
#[path = "../support/sshd.rs"]
#[allow(dead_code, reason = "what other tests need of it")]
mod sshd;
mod trust;

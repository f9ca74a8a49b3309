//! The runners `http`, `email` and `sleep` against servers, and executions of `container` from their owner on.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

mod asking;
mod certificates;
mod containers;
#[path = "../support/docker.rs"]
mod docker;
mod document;
mod email;
mod email_real;
mod executions;
mod guard;
mod mail;
mod requests;
#[path = "../support/rig.rs"]
#[allow(dead_code, reason = "what other tests need of it")]
mod rig;
mod secrets;
mod server;
#[path = "../support/sources.rs"]
#[allow(dead_code, reason = "what other tests need of it")]
mod sources;
#[path = "../support/sshd.rs"]
#[allow(dead_code, reason = "what other tests need of it")]
mod sshd;
mod trust;

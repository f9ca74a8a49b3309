//! `petrel demo`: Petrel at work, against small stand-ins for what it would find in a company.
//!
//! Reading order: `run` (what all demos do), `troubleshooting`, `remediation` and `deployment` (what happens in each, and its
//! stand-ins), `pager` (one that two of them have), `person` (who decides), `journal` (what the stand-ins got), `petrel` and
//! `stage` (the server, the folder, and what ends them), `log` (where the events are written).

mod deployment;
mod files;
mod journal;
mod log;
mod narrator;
mod pager;
mod person;
mod petrel;
mod remediation;
mod run;
mod stage;
mod troubleshooting;

use anyhow::Context as _;
use ring::rand::{SecureRandom as _, SystemRandom};

pub use deployment::run as deployment;
pub use remediation::run as remediation;
pub use troubleshooting::run as troubleshooting;

/// Bytes that nobody can guess.
fn random<const BYTES: usize>() -> anyhow::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).ok().context("the system has no random numbers")?;
    Ok(bytes)
}

/// The same as digits and letters: 16 bytes.
fn random_text() -> anyhow::Result<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(random()?)))
}

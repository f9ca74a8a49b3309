//! `petrel demo`: Petrel at work, against small stand-ins for what it would find in a company.
//!
//! Reading order: `troubleshooting` (what happens, step by step), `stage` (the folder, the server and what ends them),
//! `services` and `host` (the stand-ins), `log` (where the alerts are written).

mod files;
mod host;
mod log;
mod narrator;
mod services;
mod stage;
mod troubleshooting;

use anyhow::Context as _;
use ring::rand::{SecureRandom as _, SystemRandom};

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

//! The end of a container from outside.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::api::Daemon;
use super::hold::NOTHING_MADE;
use crate::supervise::{boot_ms, pause};

/// How long a daemon is asked to end a container that it does not end, in milliseconds.
const ASKED_MS_MAX: u64 = 30_000;
/// Between two of these, and between two looks for what its daemon may be about to make, in milliseconds.
const AGAIN_MS: u64 = 250;
/// Looks in a row that find no container, until there is none: whoever was killed may have asked for it just before.
const EMPTY_LOOKS: u32 = 4;

/// What an attempt leaves behind that no process of this machine is: a guard ends it once its processes are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Socket of the daemon.
    pub socket: PathBuf,
    /// The container's name, which no other attempt has.
    pub name: String,
    /// How long before the lease passes its end has to begin, in milliseconds.
    pub reserve_ms: u64,
}

impl Left {
    /// Kills and removes the container, if it is there. `may_appear` if somebody may have asked for it who was killed.
    ///
    /// # Errors
    /// That it may still run, and why.
    pub fn end(&self, may_appear: bool) -> Result<(), String> {
        end(&self.socket, &self.name, if may_appear { EMPTY_LOOKS } else { 1 })
    }

    /// The same behind a holder that ended with this code, or with none if it was killed.
    ///
    /// # Errors
    /// That it may still run, and why.
    pub fn end_behind(&self, holders_code: Option<i32>) -> Result<(), String> {
        if holders_code == Some(i32::from(NOTHING_MADE)) { Ok(()) } else { self.end(holders_code.is_none()) }
    }
}

/// Kills and removes a container, by its id or its name, after so many looks that do not find it.
pub(super) fn end(socket: &Path, id: &str, looks: u32) -> Result<(), String> {
    let daemon = Daemon::new(socket);
    let mut looks_left = looks;
    let give_up_at_ms = boot_ms().saturating_add(ASKED_MS_MAX);
    loop {
        match daemon.remove(id) {
            Ok(true) => return Ok(()),
            Ok(false) => {
                looks_left -= 1;
                if looks_left == 0 {
                    return Ok(());
                }
            }
            Err(error) if boot_ms() >= give_up_at_ms => {
                return Err(format!("the container {id} may still run: {error}"));
            }
            // It is being removed, say, or does not answer for the moment.
            Err(_) => {}
        }
        pause(AGAIN_MS);
    }
}

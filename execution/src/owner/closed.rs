//! What keeps attempts from beginning for a time: switches that people have turned off, and windows that are closed.

use super::Owner;
use super::enter::{Left, MayWait};
use crate::code;
use crate::state::{DelayReason, Delayed, Failed, In, LeadsTo};
use crate::subject::{Core, Note, Subject};
use crate::switch::{Switch, SwitchedOff};
use crate::windows::{Opening, instant_text, opening};

/// When windows are looked at again whose time zone this release does not know, in milliseconds.
const UNKNOWN_ZONE_MS: i64 = 60_000;

/// Why no attempt may begin now.
pub(super) enum Closed {
    /// It ends.
    Drop(&'static str, String),
    /// It waits.
    Wait {
        reason: DelayReason,
        /// When that ends by itself, in milliseconds since the epoch.
        until_ms: Option<i64>,
        why: String,
    },
}

impl Owner<'_> {
    /// Whether a switch or a window keeps an execution from starting.
    pub(super) fn closed(&self, core: &Core) -> Option<Closed> {
        self.switched_off(core).or_else(|| self.outside_windows(core))
    }

    fn switched_off(&self, core: &Core) -> Option<Closed> {
        let actions = self.facts.actions;
        if !actions.has_switches() {
            return None;
        }
        let (Subject { action, rule, .. }, off) =
            (&core.subject, |scope: &str| actions.switched_off(scope, self.now_ms()));
        let (switch, scope, off) = Switch::first_off(action, rule.as_deref(), off)?;
        let SwitchedOff { by, reason, until_ms, drops } = off;
        let until = until_ms.map(|ms| format!(" until {}", instant_text(ms))).unwrap_or_default();
        let why = format!("{by} has switched {} off{until}: {reason}", scope.replacen('/', " ", 1));
        Some(match drops {
            true => Closed::Drop(switch.code(), why),
            false => Closed::Wait { reason: DelayReason::SwitchedOff(switch), until_ms, why },
        })
    }

    fn outside_windows(&self, core: &Core) -> Option<Closed> {
        let windows = &core.terms.as_ref()?.windows;
        if windows.is_empty() {
            return None;
        }
        match opening(windows, self.now_ms()) {
            Ok(Opening::Open) => None,
            Ok(Opening::Closed { policy, drops: true, .. }) => {
                let why = format!("it came outside the windows of policy {policy}, which drops what does");
                Some(Closed::Drop(code::WINDOW_CLOSED, why))
            }
            Ok(Opening::Closed { policy, until_ms: None, .. }) => {
                let why = format!("the windows of policy {policy} do not open for more than a year");
                Some(Closed::Drop(code::WINDOW_CLOSED, why))
            }
            Ok(Opening::Closed { policy, until_ms: Some(until_ms), .. }) => {
                let why = format!("it waits for the windows of policy {policy}, until {}", instant_text(until_ms));
                Some(Closed::Wait { reason: DelayReason::Window, until_ms: Some(until_ms), why })
            }
            // One that does may take this one's place.
            Err(why) => {
                let until_ms = Some(self.now_ms().saturating_add(UNKNOWN_ZONE_MS));
                Some(Closed::Wait { reason: DelayReason::Window, until_ms, why })
            }
        }
    }

    /// It waits, or ends. Others may have what it has of its gates meanwhile.
    pub(super) fn keep_out<S>(&mut self, mut from: In<S>, closed: Closed, note: Note)
    where
        S: MayWait + LeadsTo<Failed>,
    {
        let before = note.error.map(|error| format!("{error}; ")).unwrap_or_default();
        match closed {
            Closed::Drop(code, why) => self.refuse(from, Note::new(code, format!("{before}{why}"))),
            Closed::Wait { reason, until_ms, why } => {
                self.stand_back(&mut from.core);
                let left = Left::of(&from);
                let delayed = Delayed { reason, until_ms, start_by_ms: None };
                self.enter(left, S::wait(from, delayed, Some(format!("{before}{why}"))));
            }
        }
    }
}

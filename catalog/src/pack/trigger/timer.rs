//! `source: { interval: … }`: instants of a clock are the events.

use crate::limits::{EVERY_MS_MAX, EVERY_MS_MIN};
use crate::walk::{Fields, Report, Shape};
use crate::yaml::Node;

use super::TriggerSource;

const INTERVAL: Shape =
    Shape { what: "an interval", known: &["every", "catch_up"], later: &["cron", "timezone", "unit", "delta"] };

/// What a timer does about instants that passed while nobody ran it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// Nothing.
    None,
    /// Fires the last of them.
    Last,
    /// Fires each of them.
    All,
}

impl CatchUp {
    /// As a pack writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Last => "last",
            Self::All => "all",
        }
    }
}

pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<TriggerSource> {
    let fields = Fields::open(node, &INTERVAL, report)?;
    fields.need("every", report)?;
    let every_ms = fields.duration_ms("every", EVERY_MS_MIN, EVERY_MS_MAX, report);
    let words = [("none", CatchUp::None), ("last", CatchUp::Last), ("all", CatchUp::All)];
    let catch_up = fields.word("catch_up", &words, CatchUp::Last, report);
    Some(TriggerSource::Interval { every_ms: every_ms?, catch_up })
}

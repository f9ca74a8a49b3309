//! What can go wrong, where, and how often it did.

use std::collections::BTreeMap;
use std::fmt;

use petrel_bus::DriverPoint;
use petrel_bus::sim::CommitFault;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The process is gone, as by kill -9, and started again later.
    Kill,
    /// The process stands still and goes on later, a zombie perhaps.
    Pause,
    /// A record that was published is published once more.
    Duplicate,
    /// It is not known whether a commit has succeeded.
    Ambiguous,
    /// The end of a transaction arrives late.
    DelayedEnd,
    /// Commits of a process are refused for a while, and may be tried again: each is aborted, and its inputs are read once
    /// more.
    Refused,
    /// A member leaves its group in order and joins again later.
    Rebalance,
    /// The broker forgets what a group has committed.
    LostOffsets,
    /// The state that a process keeps on disk is gone.
    LostCache,
    /// A revision of the catalog is applied.
    Revision,
    /// The time of day of a process's machine jumps; a process that is started behind it goes by it.
    ClockJump,
    /// A producer dies with a transaction open.
    HangingTransaction,
    /// Nobody reaches the log for a while.
    Unreachable,
    /// People let a worker take nothing more for a while.
    Drain,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Kill,
        Self::Pause,
        Self::Duplicate,
        Self::Ambiguous,
        Self::DelayedEnd,
        Self::Refused,
        Self::Rebalance,
        Self::LostOffsets,
        Self::LostCache,
        Self::Revision,
        Self::ClockJump,
        Self::HangingTransaction,
        Self::Unreachable,
        Self::Drain,
    ];

    /// Whether it happens to one process; the others happen to the log, or are nobody's fault.
    pub fn is_of_a_process(self) -> bool {
        !matches!(self, Self::Duplicate | Self::Revision | Self::HangingTransaction | Self::Unreachable | Self::Drain)
    }

    /// Whether it is one of a commit, and happens only there.
    pub fn is_of_commit(self) -> bool {
        matches!(self, Self::Ambiguous | Self::DelayedEnd | Self::Refused)
    }
}

/// Where it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Between two turns of the process.
    Between,
    /// When its driver is at that point.
    At(DriverPoint),
}

/// Every place.
pub const PLACES: [Place; 9] = [
    Place::Between,
    Place::At(DriverPoint::Assigned),
    Place::At(DriverPoint::Restored),
    Place::At(DriverPoint::Stepped),
    Place::At(DriverPoint::Sent),
    Place::At(DriverPoint::BeforeCommit),
    Place::At(DriverPoint::AfterCommit),
    Place::At(DriverPoint::Applied),
    Place::At(DriverPoint::Revoking),
];

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between => f.write_str("Between"),
            Self::At(point) => write!(f, "{point:?}"),
        }
    }
}

/// A fault of the plan.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Number of the process that it concerns.
    pub process: usize,
    /// Where.
    pub place: Place,
    /// What.
    pub kind: FaultKind,
    /// How long a kill or a pause lasts, or how far a clock jumps, in milliseconds.
    pub ms: i64,
    /// What becomes of a commit, for faults of one.
    pub commit: CommitFault,
}

impl Fault {
    /// How long a process that dies of it stays away, in milliseconds.
    pub fn away_ms(&self) -> i64 {
        if self.kind == FaultKind::ClockJump { 1_000 } else { self.ms }
    }
}

/// How often each fault met each place.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeMap<(FaultKind, usize), u64>);

impl Coverage {
    /// One more.
    pub fn met(&mut self, kind: FaultKind, place: Place) {
        let place = PLACES.iter().position(|p| *p == place).unwrap_or(0);
        *self.0.entry((kind, place)).or_default() += 1;
    }

    /// How often a fault was met anywhere.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.0.iter().filter(|((k, _), _)| *k == kind).map(|(_, n)| n).sum()
    }

    /// How often a fault was met there.
    pub fn at(&self, kind: FaultKind, place: Place) -> u64 {
        let place = PLACES.iter().position(|p| *p == place).unwrap_or(0);
        self.0.get(&(kind, place)).copied().unwrap_or(0)
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (at, n) in &other.0 {
            *self.0.entry(*at).or_default() += n;
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<20}", "")?;
        for place in PLACES {
            write!(f, "{:>13}", place.to_string())?;
        }
        for kind in FaultKind::ALL {
            write!(f, "\n{:<20}", format!("{kind:?}"))?;
            for place in PLACES {
                write!(f, "{:>13}", self.at(kind, place))?;
            }
        }
        Ok(())
    }
}

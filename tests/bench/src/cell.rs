//! One measured cell: one way of working on all events, in one round.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cost::Cost;

/// What is written to each topic: records, bytes of keys and values.
pub(crate) type Written = BTreeMap<String, (u64, u64)>;

/// The ways of working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// A: consume only.
    Consume,
    /// B: pass-through in transactions, by the client alone.
    Pass,
    /// C: the match stage.
    Match,
    /// D: a stage that writes as much and decides nothing, through the same driver and bus as C.
    Driver,
    /// E: the match stage with a hundred times as many rules, which match no more.
    Many,
}

impl Way {
    pub(crate) const ALL: [Way; 5] = [Way::Consume, Way::Pass, Way::Match, Way::Driver, Way::Many];

    pub(crate) fn letter(self) -> char {
        match self {
            Self::Consume => 'A',
            Self::Pass => 'B',
            Self::Match => 'C',
            Self::Driver => 'D',
            Self::Many => 'E',
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::Pass => "pass-through",
            Self::Match => "match",
            Self::Driver => "driver",
            Self::Many => "match many",
        }
    }
}

/// The result of a cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub way: Way,
    pub round: usize,
    pub events: u64,
    pub cost: Cost,
    pub commits: u64,
    pub commit_s: f64,
    pub written: Written,
    /// Seconds of the stage's thread by what it did: wall, CPU. Empty where it is not known.
    pub split: Vec<(&'static str, f64, f64)>,
}

impl Cell {
    pub(crate) fn events_per_s(&self) -> f64 {
        self.events as f64 / self.cost.wall_s
    }

    pub(crate) fn cpu_us_per_event(&self) -> f64 {
        self.cost.cpu_s() / self.events as f64 * 1e6
    }

    pub(crate) fn commit_ms(&self) -> Option<f64> {
        (self.commits > 0).then(|| self.commit_s / self.commits as f64 * 1e3)
    }

    pub(crate) fn records_written(&self) -> u64 {
        self.written.values().map(|(records, _)| records).sum()
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.written.values().map(|(_, bytes)| bytes).sum()
    }

    pub(crate) fn json(&self) -> Value {
        let split: serde_json::Map<String, Value> = self
            .split
            .iter()
            .map(|(name, wall_s, cpu_s)| {
                ((*name).to_owned(), json!({"wall_s": rounded(*wall_s), "cpu_s": rounded(*cpu_s)}))
            })
            .collect();
        json!({
            "cell": self.way.letter().to_string(),
            "way": self.way.name(),
            "round": self.round,
            "events": self.events,
            "seconds": rounded(self.cost.wall_s),
            "events_per_s": self.events_per_s().round(),
            "client_cpu_us_per_event": rounded(self.cpu_us_per_event()),
            "client_user_s": rounded(self.cost.user_s),
            "client_system_s": rounded(self.cost.system_s),
            "others_cpu_s": rounded(self.cost.others_s),
            "commits": self.commits,
            "ms_per_commit": self.commit_ms().map(rounded),
            "records_written": self.records_written(),
            "bytes_written": self.bytes_written(),
            "thread_split": split,
        })
    }
}

/// To a thousandth: more digits than a measurement has.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

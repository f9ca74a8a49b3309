//! What became of an engine in a cell.

use serde_json::{Value, json};

use crate::cell::Cell;
use crate::engines::Engine;

#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub cell: Cell,
    pub engine: Engine,
    pub status: Status,
}

#[derive(Debug, Clone)]
pub(crate) enum Status {
    Measured(Measured),
    /// It errs, miscounts, cannot express the family or takes too long.
    Stopped(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Nanoseconds per event, a number for each round.
    pub rounds_ns: Vec<f64>,
    /// Events of a round.
    pub events: u64,
    /// Matches of a round.
    pub matches: u64,
    pub build_s: f64,
    /// The first event, in which some engines finish their structures.
    pub first_s: f64,
    /// Resident memory that building added.
    pub bytes: u64,
}

impl Measured {
    pub(crate) fn median_ns(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            rounds => f64::midpoint(sorted[(rounds - 1) / 2], sorted[rounds / 2]),
        }
    }

    pub(crate) fn min_ns(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max_ns(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.rounds_ns.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl Outcome {
    pub(crate) fn measured(&self) -> Option<&Measured> {
        match &self.status {
            Status::Measured(measured) => Some(measured),
            Status::Stopped(_) => None,
        }
    }

    pub(crate) fn json(&self) -> Value {
        let mut object = json!({
            "cell": self.cell.to_string(),
            "corpus": self.cell.corpus.name(),
            "family": self.cell.family.name,
            "rules": self.cell.rules,
            "engine": self.engine.name(),
        });
        let more = match &self.status {
            Status::Stopped(reason) => json!({"status": "stopped", "reason": reason}),
            Status::Measured(measured) => json!({
                "status": "ok",
                "ns_per_event": rounded(measured.median_ns()),
                "ns_min": rounded(measured.min_ns()),
                "ns_max": rounded(measured.max_ns()),
                "rounds_ns": measured.rounds_ns.iter().copied().map(rounded).collect::<Vec<_>>(),
                "events": measured.events,
                "matches": measured.matches,
                "matches_per_event": measured.matches as f64 / measured.events as f64,
                "build_s": measured.build_s,
                "first_event_s": measured.first_s,
                "bytes": measured.bytes,
                "bytes_per_rule": measured.bytes / self.cell.rules.max(1) as u64,
            }),
        };
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
        }
        object
    }

    /// What [`Outcome::json`] wrote; none if it is not of this version.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let number = |key: &str| value[key].as_f64();
        let status = match value["status"].as_str()? {
            "ok" => Status::Measured(Measured {
                rounds_ns: value["rounds_ns"].as_array()?.iter().filter_map(Value::as_f64).collect(),
                events: value["events"].as_u64()?,
                matches: value["matches"].as_u64()?,
                build_s: number("build_s")?,
                first_s: number("first_event_s")?,
                bytes: value["bytes"].as_u64()?,
            }),
            _ => Status::Stopped(value["reason"].as_str()?.to_owned()),
        };
        let cell = Cell::named(value["cell"].as_str()?).ok()?;
        Some(Self { cell, engine: Engine::named(value["engine"].as_str()?)?, status })
    }
}

fn rounded(ns: f64) -> f64 {
    (ns * 10.0).round() / 10.0
}

/// All outcomes of a run, to be asked.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(pub Vec<Outcome>);

impl Outcomes {
    /// The cells, in the order in which they were measured.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        for outcome in &self.0 {
            if !cells.contains(&outcome.cell) {
                cells.push(outcome.cell);
            }
        }
        cells
    }

    pub(crate) fn find(&self, cell: Cell, engine: Engine) -> Option<&Outcome> {
        self.0.iter().find(|outcome| outcome.cell == cell && outcome.engine == engine)
    }

    /// The median of an engine that finished a cell.
    pub(crate) fn ns(&self, cell: Cell, engine: Engine) -> Option<f64> {
        Some(self.find(cell, engine)?.measured()?.median_ns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_survive_their_file() {
        let measured = Measured {
            rounds_ns: vec![30.0, 10.0, 20.0, 50.0],
            events: 100,
            matches: 7,
            build_s: 0.5,
            first_s: 0.1,
            bytes: 4096,
        };
        assert_eq!((measured.median_ns(), measured.min_ns(), measured.max_ns()), (25.0, 10.0, 50.0));
        let cell = Cell::named("ops-eq-m1-100").unwrap();
        for status in [Status::Measured(measured), Status::Stopped("died".into())] {
            let outcome = Outcome { cell, engine: Engine::Cel, status };
            let read = Outcome::from_json(&outcome.json()).unwrap();
            assert_eq!(read.json(), outcome.json());
        }
        assert!(Outcome::from_json(&json!({"cell": "x", "status": "ok"})).is_none());
    }
}

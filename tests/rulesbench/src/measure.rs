//! Measures a cell: all engines verified first, then rounds in turn.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cell::Cell;
use crate::corpus::EVENTS;
use crate::data::Data;
use crate::engines::{Engine, Role};
use crate::oracle::{Matches, Oracle};
use crate::process::Process;
use crate::result::{Measured, Outcome, Outcomes, Status};

/// What an engine may take for a cell: its build and one pass over the corpus.
const STOP_S: f64 = 60.0;
/// Reading rules and events, before the build begins.
const LOAD: Duration = Duration::from_secs(120);

/// How to measure.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Events of the corpus that take part.
    pub events: usize,
    pub rounds: usize,
    /// A round takes so many seconds at most, as far as five events allow.
    pub round_s: f64,
    pub core: usize,
    pub engines: Vec<Engine>,
    /// Event Ruler's classes and jars, as Java's class path.
    pub ruler: Option<PathBuf>,
}

/// An engine that takes part in the rounds of a cell.
struct Runner {
    engine: Engine,
    process: Process,
    measured: Measured,
}

/// Measures all engines in a cell. `before` are the outcomes so far: an engine that was stopped with fewer
/// rules of the family is not tried again.
pub(crate) fn cell(data: &Data, cell: Cell, settings: &Settings, before: &Outcomes) -> Result<Vec<Outcome>> {
    let oracles = data.oracles(cell)?;
    let mut runners = Vec::new();
    let mut outcomes = Vec::new();
    for &engine in &settings.engines {
        if engine.role() == Role::Part && engine != Engine::PetrelScan && !has_rest(cell) {
            continue;
        }
        let started = match stopped_before(before, cell, engine) {
            Some(reason) => Err(reason),
            None => Runner::start(data, cell, engine, settings, &oracles).map_err(|error| format!("{error:#}")),
        };
        match started {
            Ok(runner) => runners.push(runner),
            Err(reason) => outcomes.push(Outcome { cell, engine, status: Status::Stopped(reason) }),
        }
    }
    for _ in 0..settings.rounds {
        runners.retain_mut(|runner| match runner.round(settings) {
            Ok(()) => true,
            Err(error) => {
                let status = Status::Stopped(format!("{error:#}"));
                outcomes.push(Outcome { cell, engine: runner.engine, status });
                false
            }
        });
    }
    let done = |runner: Runner| Outcome { cell, engine: runner.engine, status: Status::Measured(runner.measured) };
    outcomes.extend(runners.into_iter().map(done));
    outcomes.sort_by_key(|outcome| outcome.engine);
    Ok(outcomes)
}

/// Whether the family has rules that are measured apart.
fn has_rest(cell: Cell) -> bool {
    matches!(cell.family.name, "regex1" | "unindexable5")
}

fn stopped_before(before: &Outcomes, cell: Cell, engine: Engine) -> Option<String> {
    let fewer = before.0.iter().filter(|other| {
        let other_cell = other.cell;
        other.engine == engine
            && other_cell.corpus == cell.corpus
            && other_cell.family.name == cell.family.name
            && other_cell.rules < cell.rules
    });
    fewer
        .filter_map(|other| match &other.status {
            Status::Stopped(reason) if reason.starts_with("stopped at") => Some(reason.clone()),
            Status::Stopped(reason) => Some(format!("stopped at {} rules: {reason}", other.cell.rules)),
            Status::Measured(_) => None,
        })
        .next()
}

impl Runner {
    /// Starts, builds and verifies. The error says why the engine is stopped.
    fn start(data: &Data, cell: Cell, engine: Engine, settings: &Settings, oracles: &(Oracle, Oracle)) -> Result<Self> {
        let command = command(data, cell, engine, settings)?;
        let mut process = Process::start(command, Some(settings.core))?;
        let loaded = process.answer(LOAD)?;
        stopped_by_itself(&loaded)?;
        let built = process.answer(Duration::from_secs_f64(STOP_S)).context("the build")?;
        stopped_by_itself(&built)?;
        let number = |key: &str| built[key].as_f64().with_context(|| format!("no {key} in {built}"));
        let (build_s, first_s, bytes) = (number("build_s")?, number("first_s")?, number("bytes")? as u64);
        let question = format!("verify {} {}", settings.events.min(EVENTS), settings.round_s);
        let pass = process.ask(&question, Duration::from_secs_f64(STOP_S))?;
        let whole = |key: &str| pass[key].as_u64().with_context(|| format!("no {key} in {pass}"));
        let events = whole("events")?;
        let found = Matches { count: whole("count")?, sum: whole("sum")? };
        verify(engine, events, found, oracles)?;
        let ns = pass["ns"].as_f64().context("no ns")? / events as f64;
        let needed_s = build_s + first_s + ns * settings.events as f64 / 1e9;
        anyhow::ensure!(
            needed_s <= STOP_S,
            "needs {needed_s:.0} s: built in {:.1} s, {:.0} us per event",
            build_s + first_s,
            ns / 1e3
        );
        let measured = Measured { rounds_ns: Vec::new(), events, matches: found.count, build_s, first_s, bytes };
        Ok(Self { engine, process, measured })
    }

    fn round(&mut self, settings: &Settings) -> Result<()> {
        let events = self.measured.events;
        let round = self.process.ask(&format!("round {events}"), Duration::from_secs_f64(STOP_S))?;
        anyhow::ensure!(round["count"].as_u64() == Some(self.measured.matches), "rounds differ in their matches");
        let ns = round["ns"].as_f64().context("no ns")?;
        debug_assert!(self.measured.rounds_ns.len() < settings.rounds);
        self.measured.rounds_ns.push(ns / events as f64);
        Ok(())
    }
}

fn stopped_by_itself(answer: &Value) -> Result<()> {
    match answer["stopped"].as_str() {
        Some(reason) => anyhow::bail!("{reason}"),
        None => Ok(()),
    }
}

fn command(data: &Data, cell: Cell, engine: Engine, settings: &Settings) -> Result<Command> {
    if engine != Engine::EventRuler {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", engine.name(), &cell.to_string(), &settings.events.to_string()]);
        return Ok(command);
    }
    let ruler = settings.ruler.as_ref().context("needs Java and Maven: cargo xtask bench rules fetches it")?;
    let patterns = data.files(cell).ruler();
    anyhow::ensure!(std::fs::metadata(&patterns)?.len() > 0, "cannot express the family");
    let mut command = Command::new("java");
    command.args(["-Xmx4g", "-XX:+UseSerialGC", "-cp"]).arg(ruler).arg("RulerDriver");
    command.arg(data.events(cell.corpus)?).arg(patterns).arg(settings.events.to_string());
    Ok(command)
}

fn verify(engine: Engine, events: u64, found: Matches, (all, rest): &(Oracle, Oracle)) -> Result<()> {
    let events = events as usize;
    let expected = match engine {
        Engine::Floor | Engine::PetrelNothing => Matches::default(),
        Engine::PetrelRest => rest.of(events),
        Engine::PetrelIndexable => all.of(events).minus(rest.of(events)),
        _ => all.of(events),
    };
    anyhow::ensure!(
        found == expected,
        "miscounts: {} matches instead of {} in {events} events",
        found.count,
        expected.count
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stopped_is_not_tried_with_more_rules() {
        let outcome = |cell: &str, reason: &str| Outcome {
            cell: Cell::named(cell).unwrap(),
            engine: Engine::Cel,
            status: Status::Stopped(reason.into()),
        };
        let before = Outcomes(vec![outcome("ops-core-m1-1000", "died")]);
        let stopped = |cell: &str, engine| stopped_before(&before, Cell::named(cell).unwrap(), engine);
        let reason = "stopped at 1000 rules: died";
        assert_eq!(stopped("ops-core-m1-10000", Engine::Cel).as_deref(), Some(reason));
        for (cell, engine) in [
            ("ops-core-m1-100", Engine::Cel),
            ("city-core-m1-10000", Engine::Cel),
            ("ops-eq-m1-10000", Engine::Cel),
            ("ops-core-m1-10000", Engine::Petrel),
        ] {
            assert_eq!(stopped(cell, engine), None, "{cell}");
        }
        let before = Outcomes(vec![outcome("ops-core-m1-10000", reason)]);
        let again = stopped_before(&before, Cell::named("ops-core-m1-100000").unwrap(), Engine::Cel);
        assert_eq!(again.as_deref(), Some(reason));
    }

    #[test]
    fn every_part_has_its_own_expectation() {
        let oracle = |sums: &[u64]| {
            let matches = |sum: &u64| [sum.to_le_bytes(), (sum * 7).to_le_bytes()].concat();
            Oracle::from_bytes(&sums.iter().flat_map(matches).collect::<Vec<u8>>())
        };
        let oracles = (oracle(&[0, 3, 5]), oracle(&[0, 1, 1]));
        let of = |count: u64| Matches { count, sum: count * 7 };
        for (engine, count) in [
            (Engine::Petrel, 5),
            (Engine::Quamina, 5),
            (Engine::PetrelRest, 1),
            (Engine::PetrelIndexable, 4),
            (Engine::PetrelNothing, 0),
            (Engine::Floor, 0),
        ] {
            verify(engine, 2, of(count), &oracles).unwrap();
            let error = verify(engine, 2, of(count + 1), &oracles).unwrap_err().to_string();
            assert!(error.starts_with("miscounts"), "{error}");
        }
    }
}

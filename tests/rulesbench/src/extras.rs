//! What is measured beside the cells: single criteria on prepared contexts, and the making of rule sets.

use std::fmt::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::bars::Bar;
use crate::building;
use crate::cell::Cell;
use crate::data::Data;
use crate::process::Process;

/// The name under which a run selects them.
pub(crate) const NAME: &str = "extras";
const LIMIT: Duration = Duration::from_secs(300);

const AHEAD_OF_CEL_MIN: f64 = 10.0;
/// Level: as much slower as measurements differ.
const LEVEL_MAX: f64 = 1.1;
const BUILD_S_MAX: f64 = 1.0;
const ADD_MS_MAX: f64 = 1.0;
const BYTES_MAX: f64 = 500.0;
/// Families of one to three literals, which the bar of memory is about.
const SMALL: [&str; 2] = ["eq-m1", "and3"];

/// Measures deciding on one core, and making on all of them, as it is done where it is used.
pub(crate) fn measure(data: &Data, core: usize, rounds: usize, quick: bool) -> Result<Value> {
    let ask = |arguments: &[&str], environment: &[(&str, &str)], core: Option<usize>| -> Result<Value> {
        eprintln!("measuring {}", arguments.join(" "));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).envs(environment.iter().copied());
        Process::start(command, core)?.answer(LIMIT)
    };
    let single = ask(&["single", &rounds.to_string()], &[], Some(core))?;
    let mut building = Vec::new();
    for name in building::CELLS.iter().filter(|name| !quick || name.starts_with("ops-")) {
        data.prepare(Cell::named(name)?)?;
        let mut made = ask(&["building", name], &[], None)?;
        let held = ask(&["resident", name], &[building::ONE_ARENA], None)?;
        if let (Some(made), Value::Object(held)) = (made.as_object_mut(), held) {
            made.extend(held);
        }
        building.push(made);
    }
    Ok(json!({"single": single, "building": building}))
}

/// The bars that stand on what [`measure`] gave, or nothing if it was not run.
pub(crate) fn bars(extras: &Value) -> Vec<Bar> {
    let mut bars = Vec::new();
    let list = |key: &str| extras[key].as_array().map(Vec::as_slice).unwrap_or_default();
    for petrel in list("single").iter().filter(|one| one["engine"] == "petrel") {
        let text = petrel["criterion"].as_str().unwrap_or_default();
        let ns = |engine: &str| {
            let other = list("single").iter().find(|one| one["engine"] == engine && one["criterion"] == text)?;
            other["ns"].as_f64()
        };
        let cel = ns("cel").zip(ns("petrel")).map(|(cel, petrel)| cel / petrel);
        bars.push(Bar {
            name: format!("`{text}` alone, cel against petrel"),
            goal: format!("≥ {AHEAD_OF_CEL_MIN} ×"),
            measured: cel.map_or("not measured".to_owned(), |ratio| format!("{ratio:.1} ×")),
            met: cel.map(|ratio| ratio >= AHEAD_OF_CEL_MIN),
        });
        let level = ns("petrel").zip(ns("wirefilter")).map(|(petrel, wirefilter)| petrel / wirefilter);
        bars.push(Bar::at_most(format!("`{text}` alone, petrel against wirefilter"), level, LEVEL_MAX));
    }
    for set in list("building") {
        let cell = set["cell"].as_str().unwrap_or_default();
        let mut limit = |what: &str, key: &str, most: f64, unit: &str| {
            let measured = set[key].as_f64();
            bars.push(Bar {
                name: format!("{cell}: {what}"),
                goal: format!("≤ {most} {unit}"),
                measured: measured.map_or("not measured".to_owned(), |measured| format!("{measured:.3} {unit}")),
                met: measured.map(|measured| measured <= most),
            });
        };
        limit("built from parsed expressions", "build_s", BUILD_S_MAX, "s");
        limit("one rule added", "add_ms", ADD_MS_MAX, "ms");
        if SMALL.iter().any(|family| cell.contains(family)) {
            limit("resident memory per rule", "bytes_per_rule", BYTES_MAX, "B");
        }
    }
    bars
}

/// Tables.
pub(crate) fn text(extras: &Value) -> String {
    let list = |key: &str| extras[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let number =
        |value: &Value, digits: usize| value.as_f64().map_or("–".to_owned(), |one| format!("{one:.digits$}"));
    let mut text = String::new();
    if !list("single").is_empty() {
        text.push_str("\n#### One criterion, everything around it prepared\n\n| criterion | engine | ns | min–max |\n|---|---|--:|--:|\n");
    }
    for one in list("single") {
        let said = |key: &str| one[key].as_str().unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {}–{} |",
            said("criterion").replace('|', "\\|"),
            said("engine"),
            number(&one["ns"], 1),
            number(&one["ns_min"], 1),
            number(&one["ns_max"], 1)
        );
    }
    if !list("building").is_empty() {
        text.push_str(
            "\n#### Making a set of rules\n\n| set | parse s | build s | add one ms (max) | B per rule | of that index | programs | always list |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
    }
    for set in list("building") {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} ({}) | {} | {} | {} | {} |",
            set["cell"].as_str().unwrap_or_default(),
            number(&set["parse_s"], 2),
            number(&set["build_s"], 2),
            number(&set["add_ms"], 3),
            number(&set["add_ms_max"], 3),
            number(&set["bytes_per_rule"], 0),
            number(&set["index_bytes_per_rule"], 0),
            number(&set["program_bytes_per_rule"], 0),
            number(&set["always"], 0)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_of_what_was_measured() {
        let one = |engine: &str, ns: f64| json!({"criterion": "a || b", "engine": engine, "ns": ns});
        let building = json!([{"cell": "ops-eq-m1-100000", "build_s": 0.9, "add_ms": 1.5, "bytes_per_rule": 400.0}]);
        let extras = json!({
            "single": [one("petrel", 10.0), one("cel", 90.0), one("wirefilter", 10.0)],
            "building": building,
        });
        let met: Vec<Option<bool>> = bars(&extras).iter().map(|bar| bar.met).collect();
        assert_eq!(met, [Some(false), Some(true), Some(true), Some(false), Some(true)]);
        assert!(text(&extras).contains("| `a \\|\\| b` | cel | 90.0 |"));
        assert!(bars(&json!({})).is_empty() && text(&Value::Null).is_empty());
    }
}

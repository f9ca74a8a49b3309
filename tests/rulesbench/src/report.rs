//! Results as text: tables and bars, in Markdown.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bars::{Bar, grouped};
use crate::cell::Cell;
use crate::engines::{Engine, Role};
use crate::families::FAMILIES;
use crate::result::{Outcome, Outcomes, Status};
use crate::schema::Corpus;

/// Between these stands what `--write-docs` writes.
const BEGIN: &str = "<!-- results of `cargo xtask bench rules --write-docs` -->";
const END: &str = "<!-- end of the results -->";
/// Of a reason that stands in the list of stopped engines.
const REASON_CHARS: usize = 120;

/// One line while a run goes on.
pub(crate) fn progress(outcomes: &[Outcome]) -> String {
    let mut line = String::new();
    for outcome in outcomes {
        let what = match &outcome.status {
            Status::Measured(measured) => ns(measured.median_ns()),
            Status::Stopped(_) => "stopped".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = write!(line, " {} {what}", outcome.engine.name());
    }
    line
}

/// Everything.
pub(crate) fn text(results: &Value, outcomes: &Outcomes, bars: &[Bar]) -> String {
    let mut text = machine(results);
    text.push_str(&bar_table(bars));
    for family in &FAMILIES {
        for corpus in Corpus::ALL {
            text.push_str(&table(outcomes, family.name, corpus));
        }
    }
    text.push_str(&build_table(outcomes));
    text.push_str(&crate::extras::text(&results["extras"]));
    text.push_str(&stopped(outcomes));
    text
}

fn machine(results: &Value) -> String {
    let (machine, settings) = (&results["machine"], &results["settings"]);
    let said = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "unknown".to_owned(),
        other => other.to_string(),
    };
    format!(
        "Machine: core {} of {} of an {} (cache {}), {} MiB of memory, Linux {}; {}, `{}`, {} profile; Java {}; \
         revision {}, {}. {} events of each corpus, {} rounds of at most {} s; load before: {}.\n",
        said(&settings["core"]),
        said(&machine["cores"]),
        said(&machine["cpu"]),
        said(&machine["cache"]),
        said(&machine["memory_mib"]),
        said(&machine["kernel"]),
        said(&machine["rustc"]),
        said(&machine["rustflags"]),
        said(&machine["profile"]),
        said(&machine["java"]),
        said(&machine["commit"]),
        said(&machine["date"]),
        said(&settings["events"]),
        said(&settings["rounds"]),
        said(&settings["round_s"]),
        said(&machine["load_before"]),
    )
}

fn bar_table(bars: &[Bar]) -> String {
    let mut text = "\n#### Bars\n\n| bar | goal | measured | |\n|---|---|---|---|\n".to_owned();
    for bar in bars {
        let met = match bar.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "–",
        };
        let _ = writeln!(text, "| {} | {} | {} | {met} |", bar.name, bar.goal, bar.measured);
    }
    text
}

/// The cells of a family and corpus, fewer rules first.
fn cells_of(outcomes: &Outcomes, family: &str, corpus: Corpus) -> Vec<Cell> {
    let mut cells = outcomes.cells();
    cells.retain(|cell| cell.family.name == family && cell.corpus == corpus);
    cells.sort_by_key(|cell| cell.rules);
    cells
}

fn heading(cells: &[Cell], first: &str) -> String {
    let counts: Vec<String> = cells.iter().map(|cell| format!(" {} |", grouped(cell.rules))).collect();
    format!("| {first} |{}\n|---|{}\n", counts.concat(), "--:|".repeat(cells.len()))
}

/// Medians with their spread; empty if nothing was measured.
fn table(outcomes: &Outcomes, family: &str, corpus: Corpus) -> String {
    let cells = cells_of(outcomes, family, corpus);
    let Some(first) = cells.first() else { return String::new() };
    let mut text = format!("\n#### {corpus}, {family}: {}\n\n{}", first.family.title, heading(&cells, "ns per event"));
    for engine in Engine::ALL {
        let row: Vec<Option<&Outcome>> = cells.iter().map(|cell| outcomes.find(*cell, engine)).collect();
        if row.iter().any(Option::is_some) {
            let entries: Vec<String> = row.into_iter().map(|outcome| format!(" {} |", entry(outcome))).collect();
            let _ = writeln!(text, "| {} |{}", engine.title(), entries.concat());
        }
    }
    let rate = |cell: &Cell| match outcomes.find(*cell, Engine::Petrel).and_then(Outcome::measured) {
        Some(measured) => format!(" {:.2} |", measured.matches as f64 / measured.events as f64),
        None => " |".to_owned(),
    };
    let _ = writeln!(text, "| matches per event |{}", cells.iter().map(rate).collect::<String>());
    text
}

/// `1,234 (1,200–1,300)`, what stopped it, or nothing.
fn entry(outcome: Option<&Outcome>) -> String {
    match outcome.map(|outcome| &outcome.status) {
        None => String::new(),
        Some(Status::Measured(measured)) => {
            format!("{} ({}–{})", ns(measured.median_ns()), ns(measured.min_ns()), ns(measured.max_ns()))
        }
        Some(Status::Stopped(reason)) => short(reason).to_owned(),
    }
}

/// A stop in a word.
fn short(reason: &str) -> &'static str {
    let reason = match reason.strip_prefix("stopped at ") {
        Some(_) => return "stopped before",
        None => reason,
    };
    for (part, word) in [
        ("cannot express", "cannot express"),
        ("miscounts", "miscounts"),
        ("more than", "> 60 s"),
        ("needs ", "> 60 s"),
        ("panicked", "panics"),
        ("memory", "out of memory"),
        ("OutOfMemory", "out of memory"),
    ] {
        if reason.contains(part) {
            return word;
        }
    }
    "fails"
}

fn ns(ns: f64) -> String {
    grouped(ns.round() as usize)
}

/// Build times and memory of the two headline families.
fn build_table(outcomes: &Outcomes) -> String {
    let mut text = "\n#### Building, and resident memory per rule\n".to_owned();
    for corpus in Corpus::ALL {
        for family in ["core-m1", "eq-m1"] {
            let mut cells = cells_of(outcomes, family, corpus);
            cells.retain(|cell| cell.rules >= 1_000);
            if cells.is_empty() {
                continue;
            }
            let _ = write!(text, "\n{}", heading(&cells, &format!("{corpus} {family}")));
            let engines = Engine::ALL.into_iter().filter(|engine| !matches!(engine.role(), Role::Floor | Role::Part));
            for engine in engines {
                let of = |cell: &Cell| match outcomes.find(*cell, engine).and_then(Outcome::measured) {
                    Some(measured) => {
                        let bytes = measured.bytes as usize / cell.rules;
                        format!(" {:.2} s, {} B |", measured.build_s + measured.first_s, grouped(bytes))
                    }
                    None => " – |".to_owned(),
                };
                let _ = writeln!(text, "| {} |{}", engine.title(), cells.iter().map(of).collect::<String>());
            }
        }
    }
    text
}

/// Why engines were stopped, each once.
fn stopped(outcomes: &Outcomes) -> String {
    let mut text = "\n#### Stopped\n\n".to_owned();
    for outcome in &outcomes.0 {
        if let Status::Stopped(reason) = &outcome.status
            && !reason.starts_with("stopped at ")
        {
            let reason: String = reason.chars().take(REASON_CHARS).collect();
            let _ = writeln!(text, "- {} {}: {reason}", outcome.engine.name(), outcome.cell);
        }
    }
    text
}

/// The document with its region exchanged.
pub(crate) fn into_document(document: &str, text: &str) -> Result<String> {
    let (before, rest) = document.split_once(BEGIN).with_context(|| format!("docs/BENCHMARKS.md lacks {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("docs/BENCHMARKS.md lacks {END}"))?;
    Ok(format!("{before}{BEGIN}\n\n{}\n{END}{after}", text.trim_end().to_owned() + "\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bars;
    use crate::result::Measured;

    fn outcomes() -> Outcomes {
        let cell = Cell::named("ops-core-m1-1000").unwrap();
        let measured = Measured {
            rounds_ns: vec![1_234.4, 1_200.0, 1_300.0],
            events: 100,
            matches: 98,
            build_s: 0.25,
            first_s: 0.0,
            bytes: 400_000,
        };
        let reason = "thread panicked at arena.rs:980";
        Outcomes(vec![
            Outcome { cell, engine: Engine::Petrel, status: Status::Measured(measured) },
            Outcome { cell, engine: Engine::Quamina, status: Status::Stopped(reason.into()) },
        ])
    }

    #[test]
    fn tables_tell_all_there_is() {
        let outcomes = outcomes();
        let text = text(&json!({"machine": {"cpu": "x"}}), &outcomes, &bars::verdicts(&outcomes));
        for part in [
            "| **petrel** | 1,234 (1,200–1,300) |",
            "| quamina 0.7.0 | panics |",
            "| matches per event | 0.98 |",
            "| **petrel** | 0.25 s, 400 B |",
            "- quamina ops-core-m1-1000: thread panicked at arena.rs:980",
            "of an x (cache unknown)",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn stops_in_a_word() {
        for (reason, word) in [
            ("needs 90 s: built in 1.0 s, 450 us per event", "> 60 s"),
            ("the build: takes more than 60 s", "> 60 s"),
            ("miscounts: 3 matches instead of 4 in 5 events", "miscounts"),
            ("stopped at 100 rules: miscounts", "stopped before"),
            ("cannot express the family", "cannot express"),
            ("something else", "fails"),
        ] {
            assert_eq!(short(reason), word);
        }
    }

    #[test]
    fn only_the_region_of_a_document_changes() {
        let document = format!("a\n{BEGIN}\nold\n{END}\nb");
        let written = into_document(&document, "new").unwrap();
        assert_eq!(written, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb"));
        assert_eq!(into_document(&written, "new").unwrap(), written);
        assert!(into_document("a", "new").is_err());
    }
}

//! `petrel worker list|drain|resume`.

use std::time::Duration;

use serde_json::{Value, json};

use super::args::{Output, WorkerCommand, WorkerName};
use super::http::Client;
use super::{EXIT_USAGE, Failure, output};

/// How often a waiting client asks.
const POLL: Duration = Duration::from_millis(500);

pub fn run(command: WorkerCommand, client: &Client, format: Output) -> Result<(), Failure> {
    match command {
        WorkerCommand::List => list(client, format),
        WorkerCommand::Drain { whose, hand_over_after, reason, wait } => {
            let hand_over_after_ms = hand_over_after.as_deref().map(duration_ms).transpose()?;
            let body = json!({ "reason": reason, "hand_over_after_ms": hand_over_after_ms });
            let answer = client.post(&path(&whose, "drain"), &body)?;
            if wait {
                wait_for(client, &whose)?;
            }
            match (format, wait) {
                (Output::Json, _) => output::json(&answer),
                (Output::Table, true) => output::line("drained: nothing runs there any more, and it may be stopped"),
                (Output::Table, false) => output::line(
                    "nothing more is claimed there; `petrel worker list` says \"drained\" once nothing runs any more",
                ),
            }
            Ok(())
        }
        WorkerCommand::Resume { whose } => {
            let answer = client.post(&path(&whose, "resume"), &json!({}))?;
            match format {
                Output::Json => output::json(&answer),
                Output::Table => output::line(resumed(&answer)),
            }
            Ok(())
        }
    }
}

/// What a resume did.
fn resumed(answer: &Value) -> &'static str {
    match (answer["drained"] == true, answer["was_drained"] == false) {
        (true, false) => "its own drain has ended; its pool is drained, so that nothing is claimed there yet",
        (true, true) => "it has no drain of its own; its pool is drained, so that nothing is claimed there",
        (false, true) => "nobody had drained it",
        (false, false) => "tasks are claimed there again",
    }
}

fn path<'w>(whose: &'w WorkerName, verb: &'static str) -> [&'w str; 4] {
    match (&whose.worker, &whose.pool) {
        (Some(worker), _) => ["v1", "workers", worker, verb],
        (None, pool) => ["v1", "pools", pool.as_deref().unwrap_or_default(), verb],
    }
}

fn list(client: &Client, format: Output) -> Result<(), Failure> {
    let answer = client.get(&["v1", "workers"], &[])?;
    let columns = [
        ("worker", "worker"),
        ("pool", "pool"),
        ("status", "status"),
        ("slots_busy", "busy"),
        ("slots", "slots"),
        ("release", "release"),
        ("told_at", "seen"),
    ];
    if format == Output::Json {
        // With the pools that are drained.
        output::json(&answer);
        return Ok(());
    }
    super::rule::show(&answer, "workers", format, &columns);
    for pool in answer["pools_drained"].as_array().into_iter().flatten() {
        output::line(&format!("pool {} is drained", pool["pool"].as_str().unwrap_or_default()));
    }
    Ok(())
}

/// Until whoever is drained runs nothing any more, or is gone.
fn wait_for(client: &Client, whose: &WorkerName) -> Result<(), Failure> {
    let is_meant = |worker: &&Value| match &whose.worker {
        Some(name) => worker["worker"] == **name,
        None => worker["pool"].as_str() == whose.pool.as_deref(),
    };
    loop {
        let answer = client.get(&["v1", "workers"], &[])?;
        let mut meant = answer["workers"].as_array().into_iter().flatten().filter(is_meant);
        if meant.all(|worker| worker["status"] == "drained") {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
}

/// `90s`, `10m`, `2h`: a whole number and a unit.
pub(super) fn duration_ms(text: &str) -> Result<u32, Failure> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let parsed = units.iter().find_map(|(unit, ms)| {
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*ms)
    });
    parsed.ok_or_else(|| Failure::new(EXIT_USAGE, format!("{text:?} is no duration: write 90s, 10m or 2h")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_says_what_still_holds() {
        let told = |drained, was_drained| resumed(&json!({ "drained": drained, "was_drained": was_drained }));
        assert_eq!((told(false, true), told(false, false)), ("tasks are claimed there again", "nobody had drained it"));
        assert!(told(true, true).contains("its pool is drained") && told(true, false).contains("its pool is drained"));
    }

    #[test]
    fn durations_have_a_unit() {
        let read = |text| duration_ms(text).ok();
        assert_eq!(
            [read("0s"), read("250ms"), read("10m"), read("2h")],
            [Some(0), Some(250), Some(600_000), Some(7_200_000)]
        );
        assert_eq!([read("10"), read("m"), read("-1s"), read("5000h")], [None; 4]);
    }
}

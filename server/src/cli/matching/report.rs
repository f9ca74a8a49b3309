//! What is told at the end of a run.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use super::pipeline::Totals;
use super::subject::Subject;

/// One JSON object a line for each rule, in order.
pub fn counts(subject: &Subject, totals: &Totals) -> Vec<u8> {
    let tally = &totals.tally;
    let rows = subject.names().zip(tally.matches.iter().zip(&tally.errors));
    let mut text = String::new();
    for (rule, (matches, errors)) in rows {
        text += &json!({ "rule": rule, "matches": matches, "errors": errors }).to_string();
        text.push('\n');
    }
    text.into_bytes()
}

/// Events, speed and matches in a line.
pub fn summary(totals: &Totals, time: Duration) -> String {
    let tally = &totals.tally;
    let seconds = time.as_secs_f64().max(f64::MIN_POSITIVE);
    // Whole numbers are enough for a rate.
    let rate = |count: u64| (count as f64 / seconds) as u64;
    let sum = |counts: &[u64]| HumanCount(counts.iter().sum());
    format!(
        "{} events in {seconds:.2} s ({} events/s, {}/s): {} matches, {} errors, {} bad lines",
        HumanCount(tally.events),
        HumanCount(rate(tally.events)),
        HumanBytes(rate(totals.bytes)),
        sum(&tally.matches),
        sum(&tally.errors),
        HumanCount(totals.bad_lines()),
    )
}

/// How many lines were bad in which way, and the first of them.
pub fn bad_lines(totals: &Totals) -> String {
    let tally = &totals.tally;
    let kinds = [
        (tally.malformed, "no JSON"),
        (tally.too_large, "too large"),
        (tally.refused, "refused by the trigger's schema"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let told = totals.bad.iter().map(|bad| format!("\n  line {}: {}", bad.line, bad.what));
    let more = totals.bad_lines() - totals.bad.len() as u64;
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!("bad lines: {}{}{more}", kinds.join(", "), told.collect::<String>())
}

//! Masking: what a runner tells, without the secrets of its attempt.
//!
//! It is to be done before anything is cut to a limit, for of a secret that is cut off, masking would not find what is
//! left; and off the runtime, whose threads keep the leases of other attempts.

use std::sync::Arc;

use petrel_execution::limits::ERROR_BYTES_MAX;
use petrel_execution::worker::{Exit, Why};
use petrel_execution::{Injected, Note, Outcome, Status, Stream, StreamEnd, code};
use petrel_secrets::Mask;

/// Told in the place of what could not be masked. With what words a panic ends is not told: they may quote what was to be
/// masked.
pub(super) const LEFT_OUT: &str = "what masks it panicked, and what it wrote is left out";

/// What a runner tells, without the secrets.
pub(super) async fn masked(exit: Exit, mask: &Arc<Mask>) -> Exit {
    if mask.is_nothing() {
        return exit;
    }
    let mask = mask.clone();
    match tokio::task::spawn_blocking(move || mask_all(exit, &mask)).await {
        Ok(exit) => exit,
        Err(_) => Exit::bare(Why::Unknown, Some(LEFT_OUT.to_owned())),
    }
}

pub(super) fn mask_all(exit: Exit, mask: &Mask) -> Exit {
    let Exit { why, return_code, error, result, retry_after_ms, is_cut, stdout, stderr } = exit;
    // What did not end by itself was stopped in the middle of whatever it wrote.
    let is_whole = match why {
        Why::Exited => return_code.is_some() && !is_cut,
        Why::Succeeded | Why::Failed { .. } => !is_cut,
        _ => false,
    };
    let stream = |stream: Stream| {
        let Stream { bytes, truncated, end } = stream;
        let Some(end) = end else {
            return Stream { bytes: mask.bytes(bytes, truncated || !is_whole), truncated, end: None };
        };
        let is_whole_middle = end.omitted_bytes == end.lead.len() as u64;
        let (bytes, last) = mask.ends(bytes, &end.lead, end.bytes, is_whole_middle, !is_whole);
        let end = StreamEnd { lead: Vec::new(), bytes: last, omitted_bytes: end.omitted_bytes };
        Stream { bytes, truncated, end: Some(end) }
    };
    Exit {
        why,
        return_code,
        error: error.map(|error| mask.text(error)),
        // What it results in is made of what it wrote.
        result: result.map(|result| if is_cut { mask.json_cut(result) } else { mask.json(result) }),
        retry_after_ms,
        is_cut,
        stdout: stream(stdout),
        stderr: stream(stderr),
    }
}

/// How a runner ends that has nothing to do, without the secrets.
pub(super) async fn masked_outcome(outcome: Outcome, mask: &Arc<Mask>) -> Outcome {
    if mask.is_nothing() {
        return outcome;
    }
    let mask = mask.clone();
    match tokio::task::spawn_blocking(move || mask_outcome(outcome, &mask)).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::bare(Status::Failed, Note::new(code::SECRET_UNUSABLE, LEFT_OUT), false),
    }
}

/// What is wrong with what an action gives, without the secrets. What an expression says was cut to its limit before, so
/// that at its end may stand the beginning of a secret.
pub(crate) async fn masked_text(text: String, mask: &Arc<Mask>) -> String {
    if mask.is_nothing() {
        return text;
    }
    let mask = mask.clone();
    let masked = move || String::from_utf8_lossy(&mask.bytes(text.into_bytes(), true)).into_owned();
    tokio::task::spawn_blocking(masked).await.unwrap_or_else(|_| LEFT_OUT.to_owned())
}

fn mask_outcome(outcome: Outcome, mask: &Mask) -> Outcome {
    let Outcome { note: Note { code, error }, result, events, .. } = outcome;
    // Its text has been cut already: what stands at the end of a long one may be the beginning of a secret.
    let text = |text: String| {
        let is_cut = text.len() + char::MAX.len_utf8() > ERROR_BYTES_MAX;
        String::from_utf8_lossy(&mask.bytes(text.into_bytes(), is_cut)).into_owned()
    };
    let note = Note::of(code, error.map(text));
    let events = events.into_iter().map(|event| mask_event(event, mask)).collect();
    Outcome { note, result: result.map(|result| mask.json(result)), events, ..outcome }
}

/// Events stand on topics, and in the audit trail, where no secret is to be.
fn mask_event(event: Injected, mask: &Mask) -> Injected {
    let payload = match serde_json::from_str(&event.payload) {
        Ok(payload) => mask.json(payload).to_string(),
        Err(_) => mask.text(event.payload),
    };
    Injected { trigger: mask.text(event.trigger), payload }
}

#[cfg(test)]
mod tests;

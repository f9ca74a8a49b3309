//! Masking: what a runner tells, without the secrets of its attempt.
//!
//! It is to be done before anything is cut to a limit, for of a secret that is cut off, masking would not find what is
//! left; and off the runtime, whose threads keep the leases of other attempts.

use std::sync::Arc;

use petrel_execution::limits::ERROR_BYTES_MAX;
use petrel_execution::worker::{Exit, Why};
use petrel_execution::{Note, Outcome, Status, Stream, code};
use petrel_secrets::Mask;

/// What a runner tells, without the secrets.
pub(super) async fn masked(exit: Exit, mask: &Arc<Mask>) -> Exit {
    if mask.is_nothing() {
        return exit;
    }
    let mask = mask.clone();
    match tokio::task::spawn_blocking(move || mask_all(exit, &mask)).await {
        Ok(exit) => exit,
        Err(error) => Exit::bare(Why::Unknown, Some(left_out(&error))),
    }
}

fn left_out(error: &tokio::task::JoinError) -> String {
    format!("what it wrote cannot be masked, and is left out: {error}")
}

pub(super) fn mask_all(exit: Exit, mask: &Mask) -> Exit {
    let Exit { why, return_code, error, result, retry_after_ms, stdout, stderr } = exit;
    // What did not end by itself was stopped in the middle of whatever it wrote.
    let is_whole = match why {
        Why::Exited => return_code.is_some(),
        Why::Succeeded | Why::Failed { .. } => true,
        _ => false,
    };
    let stream = |stream: Stream| {
        let Stream { bytes, truncated } = stream;
        Stream { bytes: mask.bytes(bytes, truncated || !is_whole), truncated }
    };
    Exit {
        why,
        return_code,
        error: error.map(|error| mask.text(error)),
        result: result.map(|result| mask.json(result)),
        retry_after_ms,
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
        Err(error) => Outcome::bare(Status::Failed, Note::new(code::SECRET_UNUSABLE, left_out(&error)), false),
    }
}

fn mask_outcome(outcome: Outcome, mask: &Mask) -> Outcome {
    let Outcome { note: Note { code, error }, result, .. } = outcome;
    // Its text has been cut already: what stands at the end of a long one may be the beginning of a secret.
    let text = |text: String| {
        let is_cut = text.len() + char::MAX.len_utf8() > ERROR_BYTES_MAX;
        String::from_utf8_lossy(&mask.bytes(text.into_bytes(), is_cut)).into_owned()
    };
    Outcome { note: Note::of(code, error.map(text)), result: result.map(|result| mask.json(result)), ..outcome }
}

#[cfg(test)]
mod tests;

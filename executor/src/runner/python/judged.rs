//! What is made of the end of a call.

use petrel_execution::code;
use petrel_execution::runner::{ProcessCall, PythonCall};
use petrel_execution::worker::{Exit, Why};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::process::{self, judged as judged_process};
use super::super::supervised::Ended;

/// Most bytes of what a function returns, as JSON, unless its action says another limit.
const RETURNED_BYTES_MAX: usize = 8 << 20;
/// What an exception may take: its message and its traceback, each of as many characters as the interpreter tells of it.
const RAISED_BYTES_MAX: usize = 2 * (4 << 20) + (64 << 10);
/// What stands around a value that is told.
const RETURNED: usize = r#"{"end": "returned", "value": }"#.len();
/// The same around one of a failure.
const FAILED: usize = r#"{"end": "failed", "value": }"#.len();
/// How the text begins that an interpreter leaves which ended because an import took too long.
const IMPORT_TIMEOUT: &[u8] = b"Timeout (";

/// An end, as the interpreter tells it.
#[derive(Debug, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
enum End {
    /// It returned a value.
    Returned { value: Value },
    /// It returned that it has failed, with a value.
    Failed { value: Value },
    /// It raised an exception.
    Raised {
        stage: String,
        #[serde(rename = "type")]
        kind: String,
        message: String,
        traceback: String,
    },
    /// It called `sys.exit`.
    Exit,
    /// It returned what is no JSON.
    NoJson { message: String },
    /// Its lease had passed before anything of it was called; said by a fork alone.
    Late,
}

/// Most bytes of what is told of the end of a call.
pub(super) fn told_bytes_max(call: &PythonCall) -> usize {
    returned_bytes_max(call).saturating_add(RETURNED).max(RAISED_BYTES_MAX)
}

/// Most bytes of what a call returns, as JSON.
fn returned_bytes_max(call: &PythonCall) -> usize {
    let bytes_max = call.process.output.as_ref().and_then(|output| output.shape.bytes_max);
    bytes_max.unwrap_or(RETURNED_BYTES_MAX)
}

/// Judges a call by what its interpreter told, and where that told nothing, by how it ended. The last of the captured
/// streams is what it told.
pub(super) fn judged(mut ended: Ended, call: &PythonCall, is_fork: bool, import_ms_max: u64) -> Exit {
    let told = if ended.captured.len() > 2 { ended.captured.remove(2) } else { Default::default() };
    let is_truncated = ended.report.streams.get(2).is_some_and(|stream| stream.truncated);
    let exit = process::exit(ended);
    if exit.why != Why::Exited || exit.return_code.is_none() {
        return exit;
    }
    let failed = |exit: Exit, code, retriable, error: String| Exit {
        why: Why::Failed { code, retriable },
        error: Some(error),
        ..exit
    };
    let bytes_max = returned_bytes_max(call);
    let is_longer = |around: usize| told.len().saturating_sub(around) > bytes_max;
    let too_long = |exit| {
        let error = format!("what it returned is longer than {bytes_max} bytes of JSON");
        failed(exit, code::OUTPUT_INVALID, false, error)
    };
    if is_truncated {
        return too_long(exit);
    }
    if told.starts_with(IMPORT_TIMEOUT) {
        let message = format!("importing {} took longer than {import_ms_max} ms", call.file);
        let traceback = String::from_utf8_lossy(&told).into_owned();
        let result = json!({ "type": "TimeoutError", "message": &message, "traceback": traceback });
        return failed(Exit { result: Some(result), ..exit }, code::EXCEPTION, true, message);
    }
    let end = match serde_json::from_slice(&told) {
        Ok(end) => end,
        Err(_) if told.is_empty() => return by_exit_code(exit, call, "it ended without returning"),
        Err(e) => {
            let error = format!("what it returned is no JSON that can be read: {e}");
            return failed(exit, code::OUTPUT_INVALID, false, error);
        }
    };
    match end {
        End::Returned { .. } if is_longer(RETURNED) => too_long(exit),
        End::Failed { .. } if is_longer(FAILED) => too_long(exit),
        End::Returned { value } => {
            let problems = call.process.output.as_ref().map(|output| output.shape.problems(&value)).unwrap_or_default();
            if !problems.is_empty() {
                let error = format!("what it returned does not fit output.schema: {}", problems.join("; "));
                return failed(exit, code::OUTPUT_INVALID, false, error);
            }
            Exit { why: Why::Succeeded, result: Some(value).filter(|value| !value.is_null()), ..exit }
        }
        End::Failed { value } => {
            let result = Some(value).filter(|value| !value.is_null());
            let error = "it returned that it has failed".to_owned();
            failed(Exit { result, ..exit }, code::RETURNED_FAILURE, true, error)
        }
        End::Raised { stage, kind, message, traceback } => {
            let error = match (&*stage, message.is_empty()) {
                ("import", _) => format!("importing {}: {kind}: {message}", call.file),
                (_, true) => kind.clone(),
                (_, false) => format!("{kind}: {message}"),
            };
            let result = json!({ "type": kind, "message": message, "traceback": traceback });
            failed(Exit { result: Some(result), ..exit }, code::EXCEPTION, true, error)
        }
        End::Exit => by_exit_code(exit, call, ""),
        End::NoJson { message } => {
            failed(exit, code::OUTPUT_INVALID, false, format!("what it returned is no JSON: {message}"))
        }
        End::Late if !is_fork => {
            failed(exit, code::OUTPUT_INVALID, false, "what it told of its end is nothing that it can tell".to_owned())
        }
        End::Late => {
            Exit::bare(Why::GivenBack { begun: false }, Some("its lease passed before it could start".to_owned()))
        }
    }
}

/// Whether something of the file was called, so that it could be imported.
pub(super) fn was_called(exit: &Exit) -> bool {
    match exit.why {
        Why::Succeeded => true,
        Why::Exited => exit.return_code.is_some(),
        Why::Failed { code, .. } => {
            let is_import = exit.error.as_ref().is_some_and(|error| error.starts_with("importing "));
            code != code::ENVIRONMENT_UNUSABLE && !(code == code::EXCEPTION && is_import)
        }
        _ => false,
    }
}

/// As of any process; `without` says what is wrong with an exit code of success that nobody asked for, as also an
/// interpreter ends by that crashes.
fn by_exit_code(exit: Exit, call: &PythonCall, without: &str) -> Exit {
    let exit = judged_process(exit, &ProcessCall { output: None, ..call.process.clone() });
    let is_success = exit.why == Why::Succeeded || (exit.why == Why::Exited && exit.return_code == Some(0));
    if !without.is_empty() && is_success {
        let why = Why::Failed { code: code::OUTPUT_INVALID, retriable: false };
        return Exit { why, error: Some(without.to_owned()), ..exit };
    }
    exit
}

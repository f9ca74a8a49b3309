//! What all final states have.

use super::Holder;
use crate::family::Wrote;

/// The end of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Who had the last attempt.
    pub holder: Option<Holder>,
    /// Its exit code, where there is one.
    pub return_code: Option<i32>,
    /// Its structured result, a JSON value.
    pub result: Option<String>,
    /// All of what a sub-workflow results in where there is no room for it above, a JSON value; for its parent, and stored
    /// nowhere here.
    pub whole: Option<String>,
    /// What its action takes of the result, a JSON object.
    pub extracted: Option<String>,
    /// Where the result is instead, if it is too large to stand here: a [`petrel_schemas::ObjectRef`].
    pub result_object: Option<String>,
    /// What a child wrote to its standard output; for its parent, and stored nowhere here.
    pub stdout: Wrote,
    /// What it wrote to its standard error, likewise.
    pub stderr: Wrote,
}

impl End {
    /// It ended at that instant, and no worker had it.
    pub fn unheld(at_ms: i64) -> Self {
        Self {
            at_ms,
            holder: None,
            return_code: None,
            result: None,
            whole: None,
            extracted: None,
            result_object: None,
            stdout: Wrote::default(),
            stderr: Wrote::default(),
        }
    }

    /// It ended at that instant with this worker, which said nothing.
    pub fn silent(at_ms: i64, holder: Option<Holder>) -> Self {
        Self { holder, ..Self::unheld(at_ms) }
    }
}

//! Requested: its owner has just been asked for it.

use super::{In, State};
use crate::status::Status;
use crate::subject::{Core, Subject};

/// Nothing has happened yet. It is never stored: the step that takes the request goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Requested;

impl State for Requested {
    const STATUS: Status = Status::Requested;
}

impl In<Requested> {
    /// A new execution with the parameters as they were given.
    pub fn new(subject: Subject, parameters: String) -> Self {
        Self { core: Core::new(subject, parameters), state: Requested }
    }
}

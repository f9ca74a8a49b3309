//! Why something from outside is refused.

use std::fmt;

use serde::Serialize;

/// What kind of refusal it is; whoever speaks HTTP maps it to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// What is addressed does not exist: 404.
    NotFound,
    /// The request is malformed: 400.
    BadRequest,
    /// It is over a limit: 413.
    TooLarge,
    /// It is well-formed and breaks the trigger's schema: 422.
    Unprocessable,
    /// What is addressed exists and does not take this: 409.
    Conflict,
    /// It cannot be decided here now, and may be later: 503.
    Unavailable,
}

impl Domain {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::BadRequest => 400,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::Conflict => 409,
            Self::Unavailable => 503,
        }
    }
}

/// A place in a payload that breaks the trigger's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// JSON pointer (RFC 6901) to the place; empty for the whole payload.
    pub pointer: String,
    /// What is wrong there, for people.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.pointer, self.message)
        }
    }
}

/// A refusal. Nothing of what it concerns was written, and sending the same again is refused again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable code, such as `schema_violation`.
    pub code: &'static str,
    /// Its kind.
    #[serde(skip)]
    pub domain: Domain,
    /// What is wrong, for people.
    pub message: String,
    /// Places that break the schema; a bounded number of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
}

impl Refusal {
    pub(crate) fn new(domain: Domain, code: &'static str, message: impl fmt::Display) -> Self {
        Self { code, domain, message: message.to_string(), violations: Vec::new() }
    }

    pub(crate) fn too_large(code: &'static str, what: &str, found: usize, limit_name: &str, limit: usize) -> Self {
        Self::new(Domain::TooLarge, code, format_args!("{what} has {found} bytes, over {limit_name} ({limit})"))
    }
}

/// What is wrong with one element of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemRefusal {
    /// Number of the element, from 0; blank lines are not counted.
    pub index: usize,
    /// Why it is refused.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// Why a batch is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{refusal}")]
pub struct BatchRefusal {
    /// The reason; `batch_refused` if it lies in the elements.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// The elements that are refused; a bounded number of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemRefusal>,
}

impl From<Refusal> for BatchRefusal {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, items: Vec::new() }
    }
}

//! What is wrong with a pack: every problem of an apply, each with its place.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::limits::PROBLEMS_MAX;

/// A position in a file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct At {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl At {
    /// The beginning of a file, for what concerns all of it.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A position in a named file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path of the file, as the user knows it.
    pub path: Arc<str>,
    /// Position in it.
    pub at: At,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.at.line, self.at.column)
    }
}

/// The kind of a problem. The names are stable: programs may match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not YAML, not UTF-8, or over a budget of the YAML reader.
    Yaml,
    /// A key that no version knows.
    UnknownKey,
    /// A key or a form of the design that this version does not have.
    NotSupported,
    /// A required key or file is not there.
    Missing,
    /// A value of another type than the key takes.
    WrongType,
    /// A value of the right type that makes no sense there.
    BadValue,
    /// A name that is not `[a-z0-9_]+`.
    BadName,
    /// The same key, pack, trigger, rule or action twice.
    Duplicate,
    /// A trigger, action or parameter that does not exist.
    UnknownReference,
    /// A CEL expression or template that does not compile.
    BadExpression,
    /// A warning: a criterion that compiles and cannot be meant so.
    SuspiciousExpression,
    /// A JSON schema that does not compile.
    BadSchema,
    /// A parameter of an action call that the action's schema refuses.
    BadParameter,
    /// A path that leaves its pack, or a file in a place that means nothing.
    BadPath,
    /// A workflow that cannot be run: its schema, its tasks, its joins.
    BadWorkflow,
    /// Something over its limit.
    TooLarge,
}

impl Code {
    /// The code as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::UnknownKey => "unknown_key",
            Self::NotSupported => "not_supported",
            Self::Missing => "missing",
            Self::WrongType => "wrong_type",
            Self::BadValue => "bad_value",
            Self::BadName => "bad_name",
            Self::Duplicate => "duplicate",
            Self::UnknownReference => "unknown_reference",
            Self::BadExpression => "bad_expression",
            Self::SuspiciousExpression => "suspicious_expression",
            Self::BadSchema => "bad_schema",
            Self::BadParameter => "bad_parameter",
            Self::BadPath => "bad_path",
            Self::BadWorkflow => "bad_workflow",
            Self::TooLarge => "too_large",
        }
    }
}

/// One problem; displayed as `path:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Path of the file.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What kind of problem.
    pub code: Code,
    /// What is wrong and, where it is known, what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.path, self.line, self.column, self.message)
    }
}

/// All problems of a load or a compilation, sorted by place; displayed one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>, #[serde(skip)] Untold);

/// How many problems are over [`PROBLEMS_MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Untold(usize);

impl Problems {
    /// No problem yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The problems, sorted by path, line and column.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn add(&mut self, place: &Place, code: Code, message: impl Into<String>) {
        self.add_at(&place.path, place.at, code, message);
    }

    pub(crate) fn add_at(&mut self, path: &str, at: At, code: Code, message: impl Into<String>) {
        let problem =
            Problem { path: path.to_owned(), line: at.line, column: at.column, code, message: message.into() };
        let Err(index) = self.0.binary_search(&problem) else { return };
        if self.0.len() == PROBLEMS_MAX {
            self.1.0 += 1;
        } else {
            self.0.insert(index, problem);
        }
    }

    /// The value if there is no problem.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        if self.1.0 > 0 {
            write!(f, "\nand {} more, over the limit of {PROBLEMS_MAX} problems", self.1.0)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// `, did you mean "…"?` for the candidate that is nearest to what was written, if one is near.
pub fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 3))
        .min();
    match near {
        Some((_, candidate)) => format!(", did you mean {candidate:?}?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_sorted_told_once_and_limited() {
        let mut problems = Problems::new();
        for (path, line) in [("b", 1), ("a", 10), ("a", 2), ("a", 10)] {
            problems.add_at(path, At { line, column: 1 }, Code::Yaml, "x");
        }
        assert_eq!(problems.to_string(), "a:2:1: x\na:10:1: x\nb:1:1: x");
        let json = serde_json::to_value(&problems).unwrap();
        assert_eq!(json[0], serde_json::json!({"path": "a", "line": 2, "column": 1, "code": "yaml", "message": "x"}));
        for line in 0..2_000 {
            problems.add_at("c", At { line, column: 1 }, Code::Yaml, "x");
        }
        assert_eq!(problems.len(), PROBLEMS_MAX);
        assert!(problems.to_string().ends_with("\nand 1003 more, over the limit of 1000 problems"));
    }

    #[test]
    fn codes_are_the_same_in_json_and_in_text() {
        for code in [Code::Yaml, Code::UnknownKey, Code::NotSupported, Code::BadParameter, Code::BadWorkflow] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["criteria", "trigger", "action", "actions"];
        let cases = [("criterai", "criteria"), ("actoin", "action"), ("tirgger", "trigger")];
        for (written, wanted) in cases {
            assert_eq!(did_you_mean(written, names), format!(", did you mean {wanted:?}?"));
        }
        assert_eq!(did_you_mean("colour", names), "");
    }
}

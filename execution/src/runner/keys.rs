//! Reading the keys of a runner, with every mistake and where it is.

use petrel_cel::{CompileError, Constants, Template};
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::PackFiles;

/// The kind of a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// A key that must be there is not.
    Missing,
    /// A value of another type than the key takes.
    WrongType,
    /// A value that makes no sense there.
    BadValue,
    /// A name that is none.
    BadName,
    /// A path that leaves the pack.
    BadPath,
    /// Over a limit.
    TooLarge,
    /// An expression that does not compile; the position is inside the text.
    Expression(CompileError),
}

/// A mistake in the keys of a runner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct SpecError {
    /// JSON pointer to the value, from the keys on; empty for what concerns all of the action.
    pub at: String,
    /// Of what kind.
    pub mistake: Mistake,
    /// For people.
    pub message: String,
}

impl SpecError {
    pub(crate) fn new(at: impl Into<String>, mistake: Mistake, message: impl Into<String>) -> Self {
        Self { at: at.into(), mistake, message: message.into() }
    }
}

/// The keys of a runner, the mistakes so far, and the secrets that its templates name, with their pointers.
pub(crate) struct Keys<'k> {
    keys: &'k Map<String, Value>,
    constants: Option<&'k dyn Constants>,
    pub(crate) errors: Vec<SpecError>,
    pub(crate) secrets: Vec<(String, SecretRef)>,
}

impl<'k> Keys<'k> {
    pub(crate) fn new(keys: &'k Map<String, Value>, files: &'k dyn PackFiles) -> Self {
        Self { keys, constants: files.constants(), errors: Vec::new(), secrets: Vec::new() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'k Value> {
        self.keys.get(key)
    }

    pub(crate) fn error(&mut self, at: impl Into<String>, mistake: Mistake, message: impl Into<String>) {
        self.errors.push(SpecError::new(at, mistake, message));
    }

    pub(crate) fn need(&mut self, key: &str) -> Option<&'k Value> {
        if !self.keys.contains_key(key) {
            self.error("", Mistake::Missing, format!("an action needs {key:?}"));
        }
        self.get(key)
    }

    /// A string, by its pointer; `name` is for messages.
    pub(crate) fn text(&mut self, value: &'k Value, at: &str, name: &str) -> Option<&'k str> {
        match value {
            Value::String(text) => Some(text),
            Value::Number(number) => {
                let message =
                    format!("{name:?} must be a string, found the number {number}; write \"{number}\" in quotes");
                self.error(at, Mistake::WrongType, message);
                None
            }
            other => {
                let message = format!("{name:?} must be a string, found {}", kind(other));
                self.error(at, Mistake::WrongType, message);
                None
            }
        }
    }

    /// A text with expressions over the parameters and the execution.
    pub(crate) fn template(&mut self, text: &str, at: &str) -> Option<Template> {
        let text = Value::String(text.to_owned());
        let compiled = match self.constants {
            Some(constants) => Template::action_with(&text, constants),
            None => Template::action(&text),
        };
        let told = |errors: Vec<CompileError>| {
            for error in errors {
                let message = error.message.clone();
                self.error(at, Mistake::Expression(error), message);
            }
        };
        let template = compiled.map_err(told).ok()?;
        self.secrets
            .extend(template.secrets().iter().filter_map(|name| Some((at.to_owned(), SecretRef::parse(name)?))));
        Some(template)
    }
}

/// What kind of value it is, with an article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// A step of a JSON pointer.
pub(crate) fn step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

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
    /// A key that the mapping it stands in does not have.
    UnknownKey,
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
        self.template_of(&Value::String(text.to_owned()), at)
    }

    /// A string with expressions, by its pointer; `name` is for messages.
    pub(crate) fn text_template(&mut self, value: &'k Value, at: &str, name: &str) -> Option<Template> {
        let text = self.text(value, at, name)?;
        self.template(text, at)
    }

    /// Any value with expressions in its strings.
    pub(crate) fn template_of(&mut self, value: &Value, at: &str) -> Option<Template> {
        let compiled = self.compiled(value);
        let told = |errors: Vec<CompileError>| {
            for error in errors {
                let message = error.message.clone();
                self.error(format!("{at}{}", error.at), Mistake::Expression(error), message);
            }
        };
        let template = compiled.map_err(told).ok()?;
        if !template.secrets().is_empty() {
            self.note_secrets(value, at);
        }
        Some(template)
    }

    fn compiled(&self, value: &Value) -> Result<Template, Vec<CompileError>> {
        match self.constants {
            Some(constants) => Template::action_with(value, constants),
            None => Template::action(value),
        }
    }

    /// Notes each secret with the string in which it is named.
    fn note_secrets(&mut self, value: &Value, at: &str) {
        match value {
            Value::String(_) => {
                let template = self.compiled(value).ok();
                let names = template.iter().flat_map(|template| template.secrets());
                self.secrets.extend(names.filter_map(|name| Some((at.to_owned(), SecretRef::parse(name)?))));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| self.note_secrets(item, &format!("{at}/{i}")));
            }
            Value::Object(entries) => {
                entries.iter().for_each(|(name, value)| self.note_secrets(value, &format!("{at}/{}", step(name))));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A whole number up to a limit, by its pointer; `name` is for messages.
    pub(crate) fn whole(&mut self, value: &Value, at: &str, name: &str, most: u32) -> Option<u32> {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number <= most);
        if number.is_none() {
            self.error(at, Mistake::BadValue, format!("{name:?} must be a whole number, at most {most}"));
        }
        number
    }

    /// `true` or `false` in a mapping, by that one's pointer; nothing where there is none.
    pub(crate) fn flag(&mut self, entries: &Map<String, Value>, name: &str, at: &str) -> Option<bool> {
        let value = entries.get(name)?;
        if !value.is_boolean() {
            let message = format!("{name:?} must be true or false, found {}", kind(value));
            self.error(format!("{at}/{name}"), Mistake::WrongType, message);
        }
        value.as_bool()
    }

    /// A mapping that has only these keys, by its pointer; `name` is for messages.
    pub(crate) fn mapping(
        &mut self,
        value: &'k Value,
        at: &str,
        name: &str,
        known: &[&str],
    ) -> Option<&'k Map<String, Value>> {
        let Value::Object(entries) = value else {
            self.error(at, Mistake::WrongType, format!("{name:?} must be a mapping, found {}", kind(value)));
            return None;
        };
        for key in entries.keys().filter(|key| !known.contains(&key.as_str())) {
            let there = known.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
            let message = format!("unknown key {key:?} in {name:?}, which has {there}");
            self.error(format!("{at}/{}", step(key)), Mistake::UnknownKey, message);
        }
        Some(entries)
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

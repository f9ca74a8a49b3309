//! Actions of a compiled revision: their parameters, and the command that a run becomes.

use jsonschema::Validator;
use petrel_rules::{Scope, Template};
use serde_json::{Map, Value};

use crate::pack::{Delivery, ParameterDef, describe_errors};
use crate::problems::did_you_mean;

/// An action.
#[derive(Debug)]
pub struct ActionDef {
    /// `pack.name`.
    pub reference: String,
    /// Name of its pack, whose files the command may use.
    pub pack: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Its parameters, in the order of the file.
    pub parameters: Vec<ParameterDef>,
    /// Longest run, in milliseconds.
    pub timeout_ms: i64,
    /// What becomes of a lost attempt.
    pub delivery: Delivery,
    /// Pool of workers that runs it.
    pub pool: String,
    /// Captured output of each stream, in bytes.
    pub output_bytes_max: u64,
    pub(crate) command: Vec<Template>,
    pub(crate) env: Vec<(String, Template)>,
    pub(crate) validator: Validator,
}

/// Why parameters do not fit an action: one or more reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {}", reasons.join("; "))]
pub struct ParameterError {
    /// Reference of the action.
    pub action: String,
    /// Each a sentence for people.
    pub reasons: Vec<String>,
}

/// A command ready to run: no shell ever reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedCommand {
    /// Program and arguments. A program with a relative path is meant relative to the pack's `actions/`.
    pub argv: Vec<String>,
    /// Environment variables to set.
    pub env: Vec<(String, String)>,
}

impl ActionDef {
    /// Parameters with defaults filled in, checked against the schema.
    ///
    /// # Errors
    /// Unknown, missing and refused parameters, all of them at once.
    pub fn resolve_parameters(&self, given: &Value) -> Result<Value, ParameterError> {
        let empty = Map::new();
        let given = match given {
            Value::Object(given) => given,
            Value::Null => &empty,
            _ => return Err(self.refuse(vec!["parameters must be an object".to_owned()])),
        };
        let mut reasons: Vec<String> = given.keys().filter_map(|name| self.unknown(name)).collect();
        let mut resolved = Map::new();
        for parameter in &self.parameters {
            match given.get(&parameter.name).or(parameter.default.as_ref()) {
                Some(value) => {
                    resolved.insert(parameter.name.clone(), value.clone());
                }
                None if parameter.required => reasons.push(format!("parameter {:?} is required", parameter.name)),
                None => {}
            }
        }
        let resolved = Value::Object(resolved);
        reasons.extend(describe_errors(&self.validator, &resolved));
        if reasons.is_empty() { Ok(resolved) } else { Err(self.refuse(reasons)) }
    }

    /// Reads the `name=value` arguments of a manual run: a value whose parameter may be a string is
    /// taken as it stands, any other is JSON.
    ///
    /// # Errors
    /// Arguments without `=`, unknown and repeated names, and values that are no JSON.
    pub fn parse_arguments<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Value, ParameterError> {
        let mut values = Map::new();
        let mut reasons = Vec::new();
        for argument in arguments {
            let Some((name, text)) = argument.split_once('=') else {
                reasons.push(format!("write {argument:?} as name=value"));
                continue;
            };
            let Some(parameter) = self.parameter(name) else {
                reasons.extend(self.unknown(name));
                continue;
            };
            let value = match may_be(&parameter.schema, "string") {
                true => Ok(Value::String(text.to_owned())),
                false => serde_json::from_str(text),
            };
            match value {
                Ok(value) if values.contains_key(name) => {
                    reasons.push(format!("parameter {name:?} stands twice, again with {value}"));
                }
                Ok(value) => {
                    values.insert(name.to_owned(), value);
                }
                Err(_) => reasons.push(format!("the value of {name:?} is no JSON: {text:?}")),
            }
        }
        if reasons.is_empty() { Ok(Value::Object(values)) } else { Err(self.refuse(reasons)) }
    }

    /// The command for resolved parameters. `execution_id` is the idempotency key, the same for every
    /// attempt; `attempt` counts from 1. Templates see them as `execution.id` and `execution.attempt`.
    ///
    /// # Errors
    /// An expression that fails, or a text that no process can be given.
    pub fn render(
        &self,
        parameters: &Value,
        execution_id: &str,
        attempt: u32,
    ) -> Result<RenderedCommand, ParameterError> {
        let scope = Scope::action(parameters, execution_id, attempt);
        let text = |template: &Template, what: String| -> Result<String, ParameterError> {
            let text = template.render_text(&scope).map_err(|e| self.refuse(vec![format!("{what}: {e}")]))?;
            if text.contains('\0') {
                return Err(self.refuse(vec![format!("{what} holds a NUL character")]));
            }
            Ok(text)
        };
        let argv = self.command.iter().enumerate().map(|(i, part)| text(part, format!("argument {i} of the command")));
        let env = self.env.iter().map(|(name, value)| Ok((name.clone(), text(value, format!("variable {name}"))?)));
        Ok(RenderedCommand { argv: argv.collect::<Result<_, _>>()?, env: env.collect::<Result<_, _>>()? })
    }

    /// A parameter by its name.
    pub fn parameter(&self, name: &str) -> Option<&ParameterDef> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    fn unknown(&self, name: &str) -> Option<String> {
        let known = self.parameters.iter().map(|parameter| parameter.name.as_str());
        self.parameter(name).is_none().then(|| format!("unknown parameter {name:?}{}", did_you_mean(name, known)))
    }

    fn refuse(&self, reasons: Vec<String>) -> ParameterError {
        ParameterError { action: self.reference.clone(), reasons }
    }
}

/// Whether a schema's `type` allows a type; a schema without one allows all.
pub(crate) fn may_be(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => true,
    }
}

#[cfg(test)]
mod tests;

//! Actions of a compiled revision: their parameters, and what owners and workers need of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::Validator;
use petrel_execution::workflow::UNTIL_KEY;
use petrel_execution::{ActionPlan, COMPUTED_KEY, CompleteParameters, ParameterError};
use petrel_schemas::{OBJECTS_KEY, ObjectRef, SecretRef};
use serde_json::{Map, Value, json};

use crate::pack::{ParameterDef, compile_schema, describe_errors};
use crate::problems::{Place, did_you_mean};

/// An action.
#[derive(Debug)]
pub struct ActionDef {
    /// `pack.name`.
    pub reference: String,
    /// Name of its pack, whose files the runner may use.
    pub pack: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Its parameters.
    pub parameters: Arc<Parameters>,
    /// What owners and workers need of it.
    pub plan: Arc<ActionPlan>,
    /// Where the labels stand that its pool must have.
    pub(crate) requires_place: Option<Place>,
    /// Where it stands what it needs of its worker.
    pub(crate) needs_place: Option<Place>,
}

/// Whether an expression of a workflow has made that value of data.
fn is_computed(given: &Map<String, Value>, name: &str) -> bool {
    let computed = given.get(COMPUTED_KEY).and_then(Value::as_array);
    computed.is_some_and(|names| names.iter().any(|computed| computed == name))
}

/// The parameters of an action.
#[derive(Debug)]
pub struct Parameters {
    /// Reference of the action.
    pub(crate) action: String,
    /// In the order of the file.
    definitions: Vec<ParameterDef>,
    /// Of all but secrets, of which there are only names here.
    validator: Validator,
    secrets: Vec<String>,
    secret_validators: BTreeMap<String, Validator>,
}

impl ActionDef {
    /// Parameters with defaults filled in, checked against the schema.
    ///
    /// # Errors
    /// Unknown, missing and refused parameters, all of them at once.
    pub fn resolve_parameters(&self, given: &Value) -> Result<Value, ParameterError> {
        self.parameters.resolve(given)
    }

    /// Reads the `name=value` arguments of a manual run: a value whose parameter may be a string is
    /// taken as it stands, any other is JSON.
    ///
    /// # Errors
    /// Arguments without `=`, unknown and repeated names, and values that are no JSON.
    pub fn parse_arguments<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Value, ParameterError> {
        self.parameters.parse_arguments(arguments)
    }

    /// A parameter by its name.
    pub fn parameter(&self, name: &str) -> Option<&ParameterDef> {
        self.parameters.get(name)
    }
}

impl CompleteParameters for Parameters {
    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        self.resolve(given)
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }

    fn secret_value(&self, name: &str, text: &str) -> Result<Value, ParameterError> {
        let is_text = self.get(name).is_none_or(|parameter| may_be(&parameter.schema, "string"));
        let value = if is_text { Some(Value::String(text.to_owned())) } else { serde_json::from_str(text).ok() };
        let fits = |value: &Value| self.secret_validators.get(name).is_none_or(|validator| validator.is_valid(value));
        // Nothing is said of the value: reasons of a schema may quote it.
        let refused =
            || self.refuse(vec![format!("the secret given for {name:?} does not fit the parameter's schema")]);
        value.filter(fits).ok_or_else(refused)
    }

    fn secret_text(&self, name: &str, value: &Value) -> Result<String, ParameterError> {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.secret_value(name, &text).map(|_| text)
    }
}

impl Parameters {
    /// The parameters of an action.
    ///
    /// # Errors
    /// Why their schemas do not compile together.
    pub(crate) fn compile(action: String, definitions: Vec<ParameterDef>) -> Result<Self, String> {
        let schema_of = |parameter: &ParameterDef| match parameter.secret {
            true => json!({}),
            false => parameter.schema.clone(),
        };
        let properties: Map<String, Value> =
            definitions.iter().map(|parameter| (parameter.name.clone(), schema_of(parameter))).collect();
        let validator = compile_schema(&json!({ "type": "object", "properties": properties }))?;
        let secret = || definitions.iter().filter(|parameter| parameter.secret);
        let compiled = |parameter: &ParameterDef| Ok((parameter.name.clone(), compile_schema(&parameter.schema)?));
        let secret_validators = secret().map(compiled).collect::<Result<_, String>>()?;
        let secrets = secret().map(|parameter| parameter.name.clone()).collect();
        Ok(Self { action, definitions, validator, secrets, secret_validators })
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ParameterDef> {
        self.definitions.iter()
    }

    fn resolve(&self, given: &Value) -> Result<Value, ParameterError> {
        let empty = Map::new();
        let given = match given {
            Value::Object(given) => given,
            Value::Null => &empty,
            _ => return Err(self.refuse(vec!["parameters must be an object".to_owned()])),
        };
        let named = given.keys().filter(|name| ![OBJECTS_KEY, COMPUTED_KEY, UNTIL_KEY].contains(&name.as_str()));
        let mut reasons: Vec<String> = named.filter_map(|name| self.unknown(name)).collect();
        let mut resolved = Map::new();
        let objects = given.get(OBJECTS_KEY).map(|objects| self.objects(objects, given, &mut reasons));
        for parameter in &self.definitions {
            if objects.as_ref().is_some_and(|objects| objects.contains_key(&parameter.name)) {
                // What it is, its worker sees.
                continue;
            }
            match given.get(&parameter.name).or(parameter.default.as_ref()) {
                Some(_) if parameter.secret && is_computed(given, &parameter.name) => reasons.push(format!(
                    "parameter {:?} holds a secret, and the name of this one was made of data: it stands in the workflow \
                     itself, or comes in as a parameter that holds a secret",
                    parameter.name
                )),
                Some(value) if parameter.secret => match value.as_str().and_then(SecretRef::of_text) {
                    Some(secret) => {
                        resolved.insert(parameter.name.clone(), Value::String(secret.text()));
                    }
                    None => reasons.push(format!(
                        "parameter {:?} holds a secret, and takes its name alone, as ${{secret.pack.name}}",
                        parameter.name
                    )),
                },
                Some(value) => {
                    resolved.insert(parameter.name.clone(), value.clone());
                }
                None if parameter.required => reasons.push(format!("parameter {:?} is required", parameter.name)),
                None => {}
            }
        }
        let mut resolved = Value::Object(resolved);
        reasons.extend(describe_errors(&self.validator, &resolved));
        if let Some(objects) = objects.filter(|objects| !objects.is_empty()) {
            resolved[OBJECTS_KEY] = Value::Object(objects);
        }
        if let Some(until @ Value::String(_)) = given.get(UNTIL_KEY) {
            resolved[UNTIL_KEY] = until.clone();
        }
        if reasons.is_empty() { Ok(resolved) } else { Err(self.refuse(reasons)) }
    }

    /// References to the values of parameters, by name.
    fn objects(&self, objects: &Value, given: &Map<String, Value>, reasons: &mut Vec<String>) -> Map<String, Value> {
        let Value::Object(objects) = objects else {
            reasons.push(format!("{OBJECTS_KEY:?} must be an object"));
            return Map::new();
        };
        for (name, object) in objects {
            let why = match self.get(name) {
                None => self.unknown(name),
                Some(parameter) if parameter.secret => {
                    Some(format!("parameter {name:?} holds a secret, which no result is"))
                }
                Some(_) if given.contains_key(name) => Some(format!("parameter {name:?} is given twice")),
                Some(_) => ObjectRef::of_value(object)
                    .is_none()
                    .then(|| format!("what is given for {name:?} is no reference to an object")),
            };
            reasons.extend(why);
        }
        objects.clone()
    }

    fn parse_arguments<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Value, ParameterError> {
        let mut values = Map::new();
        let mut reasons = Vec::new();
        for argument in arguments {
            let Some((name, text)) = argument.split_once('=') else {
                reasons.push(format!("write {argument:?} as name=value"));
                continue;
            };
            let Some(parameter) = self.get(name) else {
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

    fn get(&self, name: &str) -> Option<&ParameterDef> {
        self.definitions.iter().find(|parameter| parameter.name == name)
    }

    fn unknown(&self, name: &str) -> Option<String> {
        let known = self.definitions.iter().map(|parameter| parameter.name.as_str());
        self.get(name).is_none().then(|| format!("unknown parameter {name:?}{}", did_you_mean(name, known)))
    }

    fn refuse(&self, reasons: Vec<String>) -> ParameterError {
        ParameterError { action: self.action.clone(), reasons }
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

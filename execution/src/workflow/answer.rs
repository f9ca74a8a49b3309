//! Whether an answer is one to its question: the JSON schema that the question brings says so.
//!
//! The schema is data of an execution, and nobody has looked at it before its owner begins the question: it is compiled
//! without reaching for anything outside, its patterns run in linear time and are few and small, and its references unfold
//! into so many schemas at most.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

/// Most values that a schema unfolds into, its references followed.
const UNFOLDED_MAX: usize = 10_000;
/// Most levels to which it does.
const UNFOLDED_DEPTH_MAX: usize = 128;
/// Most patterns of a schema, its references followed.
const PATTERNS_MAX: usize = 100;
/// Largest pattern, compiled, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// Most mistakes of an answer that are told.
const MISTAKES_MAX: usize = 20;

/// Keywords whose value is a mapping from free names to schemas.
const OF_NAMED_SCHEMAS: &[&str] = &["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];
/// Keywords whose value is data.
const OF_DATA: &[&str] = &["enum", "const", "default", "examples"];

/// The schema of an answer.
#[derive(Debug)]
pub struct AnswerSchema {
    validator: Validator,
}

impl AnswerSchema {
    /// Compiles a schema. A property may say `required: true` about itself, as those of StackStorm's inquiries do.
    ///
    /// # Errors
    /// Why no answer can be checked by it.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        unfolds(schema, schema, &mut Unfolded::default(), 0)?;
        // A format that this release does not know is checked by nobody: else its question could not be answered at all.
        let options = jsonschema::options()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true);
        let validator =
            options.build(&normal_schema(schema)).map_err(|error| format!("it is no JSON schema: {error}"))?;
        Ok(Self { validator })
    }

    /// What is wrong with an answer, a line for each mistake, with its place as a JSON pointer; the answer itself is not
    /// quoted, for it may hold a secret.
    pub fn mistakes(&self, answer: &Value) -> Vec<String> {
        let tell = |error: jsonschema::ValidationError<'_>| {
            let place = error.instance_path().to_string();
            let what = error.masked_with("the value").to_string();
            if place.is_empty() { what } else { format!("{place}: {what}") }
        };
        self.validator.iter_errors(answer).take(MISTAKES_MAX).map(tell).collect()
    }
}

/// The schema in the form of JSON Schema alone: what properties say about themselves stands in the list `required`.
pub fn normal_schema(schema: &Value) -> Value {
    let Value::Object(entries) = schema else { return schema.clone() };
    let mut normal_entries = Map::new();
    let mut required: Vec<Value> = Vec::new();
    for (key, value) in entries {
        let value: Value = match value {
            // Said to whoever has it as a property.
            Value::Bool(_) if key == "required" => continue,
            Value::Object(named) if OF_NAMED_SCHEMAS.contains(&key.as_str()) => {
                let is_required = |(_, schema): &(&String, &Value)| schema["required"] == true;
                if key == "properties" {
                    required.extend(named.iter().filter(is_required).map(|(name, _)| Value::from(name.as_str())));
                }
                named.iter().map(|(name, schema)| (name.clone(), normal_schema(schema))).collect()
            }
            Value::Array(schemas) if !OF_DATA.contains(&key.as_str()) => schemas.iter().map(normal_schema).collect(),
            value if OF_DATA.contains(&key.as_str()) => value.clone(),
            value => normal_schema(value),
        };
        normal_entries.insert(key.clone(), value);
    }
    if !required.is_empty() {
        let listed = normal_entries.entry("required").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(listed) = listed {
            required.retain(|name| !listed.contains(name));
            listed.append(&mut required);
        }
    }
    Value::Object(normal_entries)
}

/// What was counted of a schema.
#[derive(Debug, Default)]
struct Unfolded {
    values: usize,
    patterns: usize,
}

/// Counts the values of a schema, those included to which its references lead. A schema that refers to itself never ends,
/// and so is over the limits.
fn unfolds(root: &Value, at: &Value, count: &mut Unfolded, depth: usize) -> Result<(), String> {
    count.values += 1;
    if let Value::Object(entries) = at {
        let named = entries.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
        count.patterns += named + usize::from(entries.get("pattern").is_some_and(Value::is_string));
    }
    if count.patterns > PATTERNS_MAX {
        return Err(format!("it has more than {PATTERNS_MAX} patterns"));
    }
    if count.values > UNFOLDED_MAX || depth > UNFOLDED_DEPTH_MAX {
        return Err(format!(
            "it refers to itself, or unfolds into more than {UNFOLDED_MAX} values or {UNFOLDED_DEPTH_MAX} levels"
        ));
    }
    let deeper = depth + 1;
    match at {
        Value::Array(items) => items.iter().try_for_each(|item| unfolds(root, item, count, deeper)),
        Value::Object(entries) => entries.iter().try_for_each(|(key, value)| match (key.as_str(), value) {
            ("$ref", Value::String(reference)) => unfolds(root, target(root, reference)?, count, deeper),
            // They would say anew what references mean.
            ("$dynamicRef" | "$recursiveRef", Value::String(_)) => Err(format!("{key:?} is not supported")),
            ("$id", Value::String(_)) if depth > 0 => Err(format!("{key:?} within a schema is not supported")),
            ("id", Value::String(_)) if depth > 0 && is_draft_4(root) => {
                Err(format!("{key:?} within a schema is not supported"))
            }
            _ => unfolds(root, value, count, deeper),
        }),
        _ => Ok(()),
    }
}

/// Whether it is of the draft in which `id` is what `$id` is in later ones.
fn is_draft_4(root: &Value) -> bool {
    root["$schema"].as_str().is_some_and(|draft| draft.contains("draft-04"))
}

/// Where a reference leads.
fn target<'s>(root: &'s Value, reference: &str) -> Result<&'s Value, String> {
    let pointer = reference.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
    // What is written with percent signs is one of the few that nobody writes.
    let pointer = pointer.filter(|pointer| !pointer.contains('%'));
    let pointer = pointer.ok_or_else(|| format!("the \"$ref\" {reference:?} is not supported: write \"#/$defs/x\""))?;
    root.pointer(pointer).ok_or_else(|| format!("the \"$ref\" {reference:?} leads to nothing"))
}

#[cfg(test)]
mod tests;

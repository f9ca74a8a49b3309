//! JSON schemas in packs: known keywords only, compiled without reaching for anything outside.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::problems::{At, Code, did_you_mean};
use crate::walk::{Report, entries_of};
use crate::yaml::{Data, Node};

/// Keywords whose value is a schema, or a list of schemas.
pub(super) const OF_SCHEMAS: &[&str] = &[
    "items",
    "additionalItems",
    "prefixItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "allOf",
    "anyOf",
    "oneOf",
];

/// Keywords whose value is a mapping from free names to schemas.
pub(super) const OF_NAMED_SCHEMAS: &[&str] =
    &["properties", "patternProperties", "dependentSchemas", "$defs", "definitions", "dependencies"];

/// Keywords with a plain value.
const PLAIN: &[&str] = &[
    "$schema",
    "$id",
    "$ref",
    "$comment",
    "$anchor",
    "title",
    "description",
    "default",
    "examples",
    "type",
    "enum",
    "const",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "required",
    "dependentRequired",
    "deprecated",
    "readOnly",
    "writeOnly",
];

const TYPES: &[&str] = &["string", "integer", "number", "boolean", "object", "array", "null"];

/// Most reasons that are told of one refused value.
const REASONS_MAX: usize = 5;

/// Reads and compiles the schema of a trigger.
pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<Value> {
    if !matches!(node.data, Data::Map(_)) {
        crate::walk::wrong_type(node, "schema", "a JSON schema", report);
        return None;
    }
    let before = report.count();
    check_keywords(node, &[], report);
    if report.count() > before {
        return None;
    }
    let schema = node.to_json();
    if let Err((path, message)) = compile_located(&schema) {
        report.add(node_in(node, &path).at, Code::BadSchema, message);
        return None;
    }
    Some(schema)
}

/// Reports keywords that no draft of JSON Schema knows, for they would check nothing.
pub(super) fn check_keywords(node: &Node, more: &[&str], report: &mut Report<'_>) {
    if !matches!(node.data, Data::Map(_)) {
        return;
    }
    for (key, value) in entries_of(node, "a schema", report).unwrap_or_default() {
        let text = key.text.as_str();
        if OF_NAMED_SCHEMAS.contains(&text) {
            if matches!(value.data, Data::Map(_)) {
                let named = entries_of(value, "schemas by name", report).unwrap_or_default();
                named.iter().for_each(|(_, schema)| check_keywords(schema, &[], report));
            }
        } else if OF_SCHEMAS.contains(&text) {
            match &value.data {
                Data::List(schemas) => schemas.iter().for_each(|schema| check_keywords(schema, &[], report)),
                _ => check_keywords(value, &[], report),
            }
        } else if text == "type" {
            check_type(value, report);
        } else if text == "$ref" {
            check_reference(value, report);
        } else if !PLAIN.contains(&text) && !more.contains(&text) {
            let known = PLAIN.iter().chain(OF_SCHEMAS).chain(OF_NAMED_SCHEMAS).chain(more).copied();
            let hint = did_you_mean(text, known);
            report.add(key.at, Code::UnknownKey, format!("unknown JSON schema keyword {text:?}{hint}"));
        }
    }
}

fn check_type(node: &Node, report: &mut Report<'_>) {
    match &node.data {
        Data::Text(text, _) if TYPES.contains(&text.as_str()) => {}
        Data::Text(text, _) => {
            let hint = did_you_mean(text, TYPES.iter().copied());
            report.add(node.at, Code::BadSchema, format!("unknown JSON type {text:?}{hint}"));
        }
        Data::List(types) if !types.is_empty() && types.iter().all(|one| matches!(one.data, Data::Text(..))) => {
            types.iter().for_each(|one| check_type(one, report));
        }
        _ => crate::walk::wrong_type(node, "type", "a JSON type, or a list of them", report),
    }
}

fn check_reference(node: &Node, report: &mut Report<'_>) {
    let local = matches!(&node.data, Data::Text(text, _) if text.starts_with('#'));
    if !local {
        let message = "a \"$ref\" to another document is not supported in this version, only \"#/…\"";
        report.add(node.at, Code::NotSupported, message);
    }
}

/// Compiles a schema.
///
/// Patterns run on an engine of linear time, formats are checked, and nothing is fetched.
///
/// # Errors
/// Why it is no schema.
pub(crate) fn compile_schema(schema: &Value) -> Result<Validator, String> {
    compile_located(schema).map_err(|(_, message)| message)
}

/// Compiles a schema that can be checked in a time that grows with the value; an error comes with the path into the schema.
pub(super) fn compile_located(schema: &Value) -> Result<Validator, (String, String)> {
    super::refs::check(schema)?;
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .build(schema)
        .map_err(|e| (path_of(&e, schema), format!("not a valid JSON schema: {e}")))
}

/// Where in a schema its mistake is. What the library finds while it compiles, such as a pattern that is none,
/// carries this as the path of a schema; what it finds by a schema of schemas, as the path of an instance.
fn path_of(error: &jsonschema::ValidationError<'_>, schema: &Value) -> String {
    let (instance, keyword) = (error.instance_path().to_string(), error.schema_path().to_string());
    if instance.is_empty() && schema.pointer(&keyword).is_some() { keyword } else { instance }
}

/// The node of a JSON pointer in a tree, as near as the tree goes.
pub(crate) fn node_in<'n>(node: &'n Node, pointer: &str) -> &'n Node {
    let mut here = node;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let next = match &here.data {
            Data::Map(entries) => entries.iter().find(|(key, _)| key.text == part).map(|(_, value)| value),
            Data::List(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => break,
        }
    }
    here
}

/// Where the key that a JSON pointer ends with stands, as near as the tree goes.
pub(super) fn key_in(node: &Node, pointer: &str) -> At {
    let (above, last) = pointer.rsplit_once('/').unwrap_or_default();
    let name = last.replace("~1", "/").replace("~0", "~");
    let here = node_in(node, above);
    let Data::Map(entries) = &here.data else { return here.at };
    entries.iter().find(|(key, _)| key.text == name).map_or(here.at, |(key, _)| key.at)
}

/// Why a schema refuses a value, the first few reasons with their paths.
pub(crate) fn describe_errors(validator: &Validator, value: &Value) -> Vec<String> {
    let tell = |error: jsonschema::ValidationError<'_>| {
        let path = error.instance_path().to_string();
        let message = error.masked_with("the value").to_string();
        if path.is_empty() { message } else { format!("{path}: {message}") }
    };
    validator.iter_errors(value).take(REASONS_MAX).map(tell).collect()
}

//! What breaks the schema of workflows.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::schema::{Kind, Schema, WORKFLOW};
use super::{Finding, Unexpected, finding};
use crate::expression::{Dialect, Map, Value};
use crate::spec::python::{repr, repr_text};
use crate::spec::{WorkflowSpec, keys_at};

/// The form of a task's items, as JSON schema writes it.
const ITEMS_PATTERN: &str =
    r"^(\s+)?({{.*?}}|<%.*?%>)(\s+)?$|^(\s+)?((\w+,\s?|\s+)+)?(\w+)\s+in\s+({{.*?}}|<%.*?%>)(\s+)?$";

static ITEMS: LazyLock<Regex> = LazyLock::new(|| {
    let escaped = ITEMS_PATTERN.replace("{{", r"\{\{").replace("}}", r"\}\}");
    Regex::new(&escaped).expect("the pattern is a constant")
});

/// The form of the items of a native task.
static NATIVE_ITEMS: LazyLock<Regex> = LazyLock::new(|| {
    let expression = r"(\{\{.*?\}\}|<%.*?%>|\$\{.*\})";
    let pattern = format!(r"(?s)^\s*((\w+\s*,\s*)*\w+\s+in\s+)?{expression}\s*$");
    Regex::new(&pattern).expect("the pattern is a constant")
});

pub(super) fn inspect(spec: &WorkflowSpec) -> Vec<Finding> {
    let mut walk = Walk { spec, findings: Vec::new() };
    walk.check(&spec.raw, &WORKFLOW, "", "");
    walk.findings
}

struct Walk<'spec> {
    spec: &'spec WorkflowSpec,
    findings: Vec<Finding>,
}

fn below(path: &str, part: &str) -> String {
    if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") }
}

fn is_kind(value: &Value, kind: Kind) -> bool {
    match kind {
        Kind::Text => matches!(value, Value::String(_)),
        Kind::Integer => matches!(value, Value::Number(number) if !number.is_f64()),
        Kind::List => matches!(value, Value::List(_)),
        Kind::Map => matches!(value, Value::Map(_)),
    }
}

fn conforms(spec: &WorkflowSpec, value: &Value, schema: &Schema) -> bool {
    let mut walk = Walk { spec, findings: Vec::new() };
    walk.check(value, schema, "", "");
    walk.findings.is_empty()
}

impl Walk<'_> {
    fn report(&mut self, message: String, path: &str, schema_path: &str, keyword: &str) {
        self.findings.push(finding(self.spec, message, path.to_owned(), below(schema_path, keyword)));
    }

    fn check(&mut self, value: &Value, schema: &Schema, path: &str, schema_path: &str) {
        if let Some(kind) = schema.kind
            && !is_kind(value, kind)
        {
            self.report(format!("{} is not of type '{}'", repr(value), kind.name()), path, schema_path, "type");
        }
        if !schema.one_of.is_empty() && !schema.one_of.iter().any(|one| conforms(self.spec, value, one)) {
            let message = format!("{} is not valid under any of the given schemas", repr(value));
            self.report(message, path, schema_path, "oneOf");
        }
        if let Some(expected) = schema.is
            && value.as_str() != Some(expected)
        {
            self.report(format!("{} is not one of ['{expected}']", repr(value)), path, schema_path, "enum");
        }
        match value {
            Value::String(text) => self.text(text, schema, path, schema_path),
            Value::Number(number) if schema.not_negative && number.as_f64().is_some_and(|number| number < 0.0) => {
                self.report(format!("{number} is less than the minimum of 0"), path, schema_path, "minimum");
            }
            Value::List(list) => self.list(list.items(), schema, path, schema_path),
            Value::Map(map) => self.map(map, schema, path, schema_path),
            _ => {}
        }
    }

    fn text(&mut self, text: &str, schema: &Schema, path: &str, schema_path: &str) {
        if schema.not_empty && text.is_empty() {
            self.report("'' should be non-empty".to_owned(), path, schema_path, "minLength");
        }
        if schema.items_form && self.spec.dialect == Dialect::Native {
            if !NATIVE_ITEMS.is_match(text) {
                let message = format!(
                    "{} is no list of items: an expression that gives one, or names before it, such as `x in <% ctx(xs) \
                     %>` or `x in ${{ctx.xs}}`",
                    repr_text(text)
                );
                self.report(message, path, schema_path, "pattern");
            }
        } else if schema.items_form && !ITEMS.is_match(text) {
            let message =
                format!("{} does not match {}", repr_text(text), repr_text(ITEMS_PATTERN).replace("\\\\", "\\"));
            self.report(message, path, schema_path, "pattern");
        }
    }

    fn list(&mut self, items: &[Value], schema: &Schema, path: &str, schema_path: &str) {
        let written = || repr(&Value::List(items.iter().cloned().collect()));
        if items.len() < schema.items_min {
            self.report(format!("{} should be non-empty", written()), path, schema_path, "minItems");
        }
        if schema.items_differ && items.iter().enumerate().any(|(at, item)| items[..at].contains(item)) {
            self.report(format!("{} has non-unique elements", written()), path, schema_path, "uniqueItems");
        }
        if let Some(schema) = schema.items {
            for (at, item) in items.iter().enumerate() {
                self.check(item, schema, &format!("{path}[{at}]"), &below(schema_path, "items"));
            }
        }
    }

    fn unexpected(&self, map: &Map, schema: &Schema, path: &str) -> Unexpected {
        let mut known: Vec<&'static str> = schema.properties.iter().map(|(name, _)| *name).collect();
        let keys = map.iter().filter(|(name, _)| !known.contains(&&***name)).map(|(name, _)| name);
        // YAML 1.1 takes `on` for a truth.
        let keys = keys.map(|name| if **name == *"True" { Arc::from("on") } else { name.clone() }).collect();
        let mut native = keys_at(path);
        if self.spec.dialect == Dialect::Native {
            known.extend(std::mem::take(&mut native));
        }
        Unexpected { keys, known, native }
    }

    fn map(&mut self, map: &Map, schema: &Schema, path: &str, schema_path: &str) {
        let written = || repr(&Value::Map(map.clone()));
        if map.len() < schema.entries_min {
            self.report(format!("{} should be non-empty", written()), path, schema_path, "minProperties");
        }
        if map.len() > schema.entries_max {
            self.report(format!("{} has too many properties", written()), path, schema_path, "maxProperties");
        }
        for required in schema.required {
            if map.get(required).is_none() {
                self.report(format!("'{required}' is a required property"), path, schema_path, "required");
            }
        }
        let known = |name: &str| schema.properties.iter().any(|(property, _)| *property == name);
        let unexpected: Vec<_> = map.iter().filter(|(name, _)| !known(name)).map(|(name, _)| repr_text(name)).collect();
        if schema.closed && !unexpected.is_empty() {
            let were = if unexpected.len() == 1 { "was" } else { "were" };
            let message =
                format!("Additional properties are not allowed ({} {were} unexpected)", unexpected.join(", "));
            self.report(message, path, schema_path, "additionalProperties");
            let unexpected = self.unexpected(map, schema, path);
            if let Some(finding) = self.findings.last_mut() {
                finding.unexpected = Some(unexpected);
            }
        }
        for (name, schema) in schema.properties {
            if let Some(value) = map.get(name) {
                self.check(value, schema, &below(path, name), &below(schema_path, &format!("properties.{name}")));
            }
        }
        if let Some(schema) = schema.named {
            for (name, value) in map.iter() {
                self.check(value, schema, &below(path, name), &below(schema_path, r"patternProperties.^\w+$"));
            }
        }
    }
}

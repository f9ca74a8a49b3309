//! Findings in Orquesta's form.

use serde_json::{Map, Value, json};

use super::compare::difference_of_sets;
use crate::inspect::{Finding, Inspection};

impl Inspection {
    /// As Orquesta reports it: the findings by kind; a kind without any is left out. Joins that can never be met, which
    /// Orquesta does not look for, are `joins`.
    pub fn to_json(&self) -> Value {
        let mut kinds: Map<String, Value> = Map::new();
        for (kind, finding) in self.findings() {
            let list = kinds.entry(kind).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(finding_json(finding));
            }
        }
        Value::Object(kinds)
    }
}

fn finding_json(finding: &Finding) -> Value {
    let mut json = json!({
        "message": finding.message,
        "spec_path": finding.spec_path,
        "schema_path": finding.schema_path,
    });
    if let Some(language) = finding.language {
        json["type"] = language.name().into();
    }
    if let Some(expression) = &finding.expression {
        json["expression"] = expression.as_str().into();
    }
    json
}

/// Where an inspection differs from the findings that Orquesta reports, kind by kind and each once.
pub fn difference(expected: &Value, found: &Inspection) -> Option<String> {
    let found = found.to_json();
    for kind in ["syntax", "semantics", "expressions", "context"] {
        let errors = |of: &Value| {
            let comparable = of[kind].as_array().into_iter().flatten().map(|error| comparable(kind, error));
            distinct(comparable)
        };
        if let Some(problem) = difference_of_sets(&errors(expected), &errors(&found)) {
            return Some(format!("{kind}: {problem}"));
        }
    }
    None
}

fn distinct(errors: impl Iterator<Item = Value>) -> Value {
    let mut distinct: Vec<Value> = Vec::new();
    for error in errors {
        if !distinct.contains(&error) {
            distinct.push(error);
        }
    }
    distinct.into()
}

/// An error without what only Python says in these words: the message about what breaks the schema.
fn comparable(kind: &str, error: &Value) -> Value {
    let message = if kind == "syntax" { Value::Null } else { error["message"].clone() };
    let path = |field: &str| error[field].as_str().filter(|path| !path.is_empty()).map(str::to_owned);
    json!({
        "type": error["type"],
        "expression": error["expression"],
        "message": message,
        "spec_path": path("spec_path"),
        "schema_path": path("schema_path"),
    })
}

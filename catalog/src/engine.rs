//! The catalog's side of the expression engine: compiles what packs write, and says where it is wrong.

use petrel_rules::{Arena, CompileError, Kv, ParsedEvent, RuleSet, RuleSource, Scope, Template, TriggerSchema};
use serde_json::{Map, Value};

use crate::pack::{CallDraft, Config, node_in};
use crate::problems::{At, Code, Place, Problems};
use crate::walk::Located;
use crate::yaml::{Data, Verbatim};

/// Compiles the parameters of a call.
pub(crate) fn call_template(call: &CallDraft, config: &Config, problems: &mut Problems) -> Option<Template> {
    let parameters: Map<String, Value> =
        call.parameters.iter().map(|(name, node)| (name.value.clone(), node.to_json())).collect();
    let errors = match rule_template(parameters, config) {
        Ok(template) => return Some(template),
        Err(errors) => errors,
    };
    for error in &errors {
        // The pointer begins with the name of a parameter, which has no `/` or `~` in it.
        let pointer = error.at.strip_prefix('/').unwrap_or_default();
        let name = pointer.split('/').next().unwrap_or_default();
        let Some((_, node)) = call.parameters.iter().find(|(parameter, _)| parameter.value == name) else {
            tell(error, Code::BadExpression, &call.place, None, problems);
            continue;
        };
        let text = node_in(node, &pointer[name.len()..]);
        let verbatim = if let Data::Text(_, verbatim) = &text.data { *verbatim } else { None };
        tell(error, Code::BadExpression, &Place { at: text.at, ..call.place.clone() }, verbatim, problems);
    }
    None
}

/// Compiles the parameters that a rule gives.
///
/// # Errors
/// Every mistake.
pub(crate) fn rule_template(parameters: Map<String, Value>, config: &Config) -> Result<Template, Vec<CompileError>> {
    let written = parameters.into_iter().map(|(name, value)| (name, as_template(value, config)));
    Template::rule_with(&Value::Object(written.collect()), config)
}

/// A value as its template; one that is the name of a secret stands for itself until an attempt begins.
fn as_template(value: Value, config: &Config) -> Value {
    match value.as_str().and_then(|text| config.secret_of_text(text)) {
        Some(secret) => Value::String(format!("${}", secret.text())),
        None => value,
    }
}

/// Checks the criteria of a rule that is part of no plan.
pub(crate) fn check_criteria(criteria: &Located<String>, problems: &mut Problems) {
    let source = RuleSource { rule: "".into(), criteria: Some(criteria.value.clone()) };
    if let Err(errors) = RuleSet::compile(&TriggerSchema::none(), [source]) {
        tell_all(&errors, criteria, problems);
    }
}

pub(crate) fn tell_all<'e>(
    errors: impl IntoIterator<Item = &'e CompileError>,
    text: &Located<String>,
    problems: &mut Problems,
) {
    errors.into_iter().for_each(|error| tell(error, Code::BadExpression, &text.place, text.verbatim, problems));
}

/// Reports a warning about a criterion that compiles.
pub(crate) fn tell_warning(warning: &CompileError, criteria: &Located<String>, warnings: &mut Problems) {
    tell(warning, Code::SuspiciousExpression, &criteria.place, criteria.verbatim, warnings);
}

/// Reports a mistake where it stands in the file; where a text is folded or escaped, at the text's place
/// and with the position inside of it.
fn tell(error: &CompileError, code: Code, place: &Place, verbatim: Verbatim, problems: &mut Problems) {
    let (line, column) = (error.line.max(1) - 1, error.column.max(1) - 1);
    match verbatim {
        Some(start) => {
            let at = At { line: start.line + line, column: start.column + column };
            problems.add(&Place { at, ..place.clone() }, code, error.message.clone());
        }
        None => {
            let message = format!("{} (line {}, column {} of the text)", error.message, line + 1, column + 1);
            problems.add(place, code, message);
        }
    }
}

/// The `key:` of a trigger.
#[derive(Debug)]
pub(crate) struct KeyExpression(Template);

impl KeyExpression {
    pub(crate) fn compile(key: &Located<String>, problems: &mut Problems) -> Option<Self> {
        if key.value.contains(['{', '}']) {
            let message = "\"key\" is an expression over the payload such as trigger.host, without braces";
            problems.add(&key.place, Code::BadExpression, message);
            return None;
        }
        let template = Value::String(format!("${{{}}}", key.value));
        let told = |mut errors: Vec<CompileError>| {
            // Two characters stand before the expression in the template's first line.
            let first = errors.iter_mut().filter(|error| error.line == 1);
            first.for_each(|error| error.column = error.column.saturating_sub(2));
            tell_all(&errors, key, problems);
        };
        Template::rule(&template).map(Self).map_err(told).ok()
    }

    /// What it yields for a payload; nothing if it yields null or fails.
    pub(crate) fn evaluate(&self, payload: &Value) -> Option<Value> {
        let text = payload.to_string();
        let arena = Arena::new();
        let event = ParsedEvent::whole(text.as_bytes(), &TriggerSchema::none(), &arena).ok()?;
        self.0.render(&Scope::rule(event.root(), 0, &Kv::empty())).ok().filter(|value| !value.is_null())
    }
}

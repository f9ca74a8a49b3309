//! `<% YAQL %>`: evaluated by `petrel-yaql`, with the shared functions as functions of its host.

use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;
use petrel_yaql::{
    Arguments, Dict, Engine, EvaluationError, Expression, Host, Key, Limits, Options, Value as Yaql, Variables,
};
use serde_json::Number;

use super::functions::{self, Function};
use super::limits::{
    EXPRESSION_STEPS_MAX, REGEX_BYTES_MAX, RESULT_NESTING_MAX, YAQL_MEMORY_BYTES_MAX, YAQL_NESTING_MAX,
};
use super::{List, Map, Scope, Value};

/// The engine of all expressions, without options, as Orquesta has it, but for sets: they have no form in JSON, so a
/// result has lists in their place.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let defaults = Limits::default();
    let limits = Limits {
        nesting_max: YAQL_NESTING_MAX,
        steps_max: EXPRESSION_STEPS_MAX,
        memory_bytes_max: YAQL_MEMORY_BYTES_MAX,
        regex_bytes_max: REGEX_BYTES_MAX,
        ..defaults
    };
    let mut engine = Engine::new(Options { convert_sets_to_lists: true, limits, ..Options::default() });
    for function in functions::all() {
        // The signatures are made here, in the form that the engine reads.
        let declared = engine.declare(function.name, &function.signature());
        debug_assert!(declared.is_ok(), "{declared:?}");
    }
    engine
});

/// Why an expression yields nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The class of YAQL's exception.
    pub class: String,
    pub message: String,
}

/// A single expression, without its delimiters.
pub(super) struct Compiled(Expression);

impl Compiled {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, in YAQL's words.
    pub fn compile(source: &str) -> Result<Self, Failure> {
        let parsed = ENGINE.parse(source);
        parsed.map(Compiled).map_err(|e| Failure { class: e.class().to_owned(), message: e.message().to_owned() })
    }

    /// What it yields.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, Failure> {
        let result = self.0.evaluate(Yaql::Null, &Variables::default(), &ScopeHost(scope));
        let result = result.map_err(|e| Failure { class: e.class().to_owned(), message: e.message().to_owned() })?;
        from_yaql(&result)
    }
}

/// What an evaluation asks of its scope.
struct ScopeHost<'s>(&'s Scope);

impl Host for ScopeHost<'_> {
    fn call(&self, name: &str, arguments: &Arguments) -> Result<Yaql, EvaluationError> {
        let Some(function) = functions::all().find(|function| function.name == name) else {
            return Err(EvaluationError::new("NoFunctionRegisteredException", format!("Unknown function \"{name}\"")));
        };
        let answer = function.call_with(|place| arguments.get(place), arguments.rest(), self.0)?;
        Ok(to_yaql(&answer))
    }

    fn now(&self) -> Option<i64> {
        self.0.now_ms.map(|ms| ms.saturating_mul(1000))
    }
}

impl Function {
    /// Its parameters as the engine reads them.
    fn signature(&self) -> String {
        if self.is_variadic() {
            // By place the engine would give the first arguments to parameters that are only named.
            return "*rest: any?".to_owned();
        }
        let parameters = self.parameters().enumerate().map(|(place, name)| {
            let default = if place < self.required() { "" } else { " = null" };
            format!("{}: any?{default}", camel_case(name))
        });
        parameters.collect::<Vec<_>>().join(", ")
    }

    /// Calls it with what the engine has; `null` where an argument may be left out is one that was.
    fn call_with<'a>(
        &self,
        argument: impl Fn(usize) -> &'a Yaql,
        rest: &[Yaql],
        scope: &Scope,
    ) -> Result<Value, EvaluationError> {
        let convert = |value: &Yaql| from_yaql(value).map_err(|e| EvaluationError::new(e.class, e.message));
        let mut positional = Vec::with_capacity(self.required());
        let mut named = Vec::new();
        let parameters = self.parameters().enumerate().filter(|_| !self.is_variadic());
        for (place, name) in parameters {
            let value = argument(place);
            if place < self.required() {
                positional.push(convert(value)?);
            } else if !value.is_null() {
                named.push((name.to_owned(), convert(value)?));
            }
        }
        for value in rest {
            positional.push(convert(value)?);
        }
        self.call(&positional, &named, scope).map_err(|e| EvaluationError::new(e.class, e.message))
    }
}

/// YAQL names the parameters of Python's functions so.
fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let mut letters = part.chars();
        let capital = letters.next().map(|c| c.to_ascii_uppercase());
        name + &capital.into_iter().chain(letters).collect::<String>()
    })
}

/// A value as YAQL sees it. What a list or map becomes is kept with it, so that it is converted once.
pub(super) fn to_yaql(value: &Value) -> Yaql {
    match value {
        Value::Null => Yaql::Null,
        Value::Bool(value) => Yaql::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Yaql::Int(int.into()),
            (None, Some(int)) => Yaql::Int(int.into()),
            (None, None) => Yaql::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Yaql::String(text.clone()),
        Value::List(list) => {
            let convert = || Box::new(Yaql::tuple(list.items().iter().map(to_yaql).collect()));
            (**list.shared().seen.yaql.get_or_init(convert)).clone()
        }
        Value::Map(map) => (**map.shared().seen.yaql.get_or_init(|| Box::new(dict(map)))).clone(),
    }
}

fn dict(map: &Map) -> Yaql {
    let mut entries = IndexMap::with_capacity(map.len());
    for (key, value) in map.iter() {
        // Every text can be a key.
        if let Ok(key) = Key::new(Yaql::String(key.clone())) {
            entries.insert(key, to_yaql(value));
        }
    }
    Yaql::Dict(Arc::new(Dict::new(entries, true)))
}

/// What YAQL made, as a value.
pub(super) fn from_yaql(value: &Yaql) -> Result<Value, Failure> {
    nested(value, 0)
}

fn nested(value: &Yaql, depth: usize) -> Result<Value, Failure> {
    let refused = |class: &str, message: String| Err(Failure { class: class.to_owned(), message });
    if depth > RESULT_NESTING_MAX {
        return refused("RecursionError", format!("the result nests deeper than {RESULT_NESTING_MAX} levels"));
    }
    Ok(match value {
        Yaql::Null => Value::Null,
        Yaql::Bool(value) => Value::Bool(*value),
        Yaql::Int(int) => {
            let fits = i64::try_from(*int).map(Number::from).or_else(|_| u64::try_from(*int).map(Number::from));
            match fits {
                Ok(number) => Value::Number(number),
                Err(_) => return refused("OverflowError", format!("the integer {int} does not fit 64 bits")),
            }
        }
        Yaql::Float(double) => match Number::from_f64(*double) {
            Some(number) => Value::Number(number),
            None => return refused("ValueError", format!("{double} has no form in JSON")),
        },
        Yaql::String(text) => Value::String(text.clone()),
        Yaql::List(list) => {
            Value::List(list.items().iter().map(|item| nested(item, depth + 1)).collect::<Result<List, Failure>>()?)
        }
        Yaql::Dict(dict) => {
            let mut entries = IndexMap::with_capacity(dict.len());
            for (key, value) in dict.entries() {
                entries.insert(key_text(key.value())?, nested(value, depth + 1)?);
            }
            Value::Map(entries.into())
        }
        // It says which kind has no form in JSON.
        other => match other.to_json() {
            Ok(json) => Value::from(json),
            Err(e) => return refused("TypeError", e.to_string()),
        },
    })
}

/// A key as JSON has it.
fn key_text(key: &Yaql) -> Result<Arc<str>, Failure> {
    Ok(match key {
        Yaql::String(text) => text.clone(),
        Yaql::Null => "null".into(),
        Yaql::Bool(value) => value.to_string().into(),
        Yaql::Int(value) => value.to_string().into(),
        Yaql::Float(value) => super::python::float_text(*value).into(),
        _ => {
            let message = "keys of a dictionary are text or numbers where it leaves the expression".to_owned();
            return Err(Failure { class: "TypeError".to_owned(), message });
        }
    })
}

//! The functions that all languages share: Orquesta's and StackStorm's, by the same names.
//!
//! Reading order: `call` (how arguments meet parameters, and how a function fails), `workflow` (what asks the scope),
//! then those of values alone: `data`, `json_text`, `yaml_text`, `json_path`, `regex`, `version`, `path`, `time`.

mod call;
mod data;
mod json_path;
mod json_text;
mod path;
mod regex;
mod time;
mod version;
mod workflow;
mod yaml_text;

pub(crate) use call::Function;
pub use call::FunctionError;

use super::{Scope, Value};

/// The tables of all groups.
const TABLES: [&[Function]; 6] = [workflow::TABLE, data::TABLE, path::TABLE, regex::TABLE, time::TABLE, version::TABLE];

/// All functions.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    TABLES.into_iter().flatten()
}

/// JSON with its keys in order, in lines of this indentation where one is given.
pub(crate) fn sorted_json(value: &Value, indent: Option<i64>) -> Result<String, FunctionError> {
    let indent = indent.map_or(Value::Null, Value::from);
    json_text::write(value, &json_text::Style::of(&indent, true, Some(&Value::Null))?)
}

/// Calls a function by its name, with arguments by place and by name.
///
/// # Errors
/// What the function refuses, with the class that Python's exception has; `NameError` if there is no such function.
pub fn call_function(
    name: &str,
    positional: &[Value],
    named: &[(String, Value)],
    scope: &Scope,
) -> Result<Value, FunctionError> {
    let Some(function) = all().find(|function| function.name == name) else {
        return Err(FunctionError::new("NameError", format!("name '{name}' is not defined")));
    };
    function.call(positional, named, scope)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use serde_json::{Value as Json, json};

    use super::*;

    /// Calls a function over JSON, with no task and no variable.
    pub(crate) fn call(name: &str, args: Json) -> Result<Json, String> {
        let args: Vec<Value> = args.as_array().expect("a list").iter().cloned().map(Value::from).collect();
        let scope = Scope::new(Arc::new(Value::Null));
        call_function(name, &args, &[], &scope).map(|value| value.to_json()).map_err(|e| e.to_string())
    }

    /// Checks what calls yield; `Err` is what the error's text must hold.
    pub(crate) fn check(cases: &[(&str, Json, Result<Json, &str>)]) {
        for (name, args, expected) in cases {
            let got = call(name, args.clone());
            let as_expected = match (&got, expected) {
                (Ok(got), Ok(expected)) => got == expected,
                (Err(got), Err(expected)) => got.contains(expected),
                _ => false,
            };
            assert!(as_expected, "{name}{args} is {got:?} and not {expected:?}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = all().map(|function| function.name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }

    #[test]
    fn arguments_meet_parameters_by_place_and_by_name() {
        let scope = Scope::new(Arc::new(Value::Null));
        let text = Value::text;
        let ignorecase = ("ignorecase".to_owned(), Value::Bool(true));
        let got = call_function("regex_match", &[text("ABC"), text("abc")], std::slice::from_ref(&ignorecase), &scope);
        assert_eq!(got, Ok(Value::Bool(true)));
        for (args, named, expected) in [
            (vec![text("ABC")], vec![], "TypeError: regex_match() missing 1 required positional argument: 'pattern'"),
            (vec![Value::Null; 4], vec![], "TypeError: regex_match() takes 3 positional arguments but 4 were given"),
            (vec![text("a"), text("b")], vec![("x".to_owned(), Value::Null)], "unexpected keyword argument 'x'"),
            (vec![Value::Null; 3], vec![ignorecase], "got multiple values for argument 'ignorecase'"),
        ] {
            let error = call_function("regex_match", &args, &named, &scope).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        check(&[("nothing_of_the_kind", json!([]), Err("NameError: name 'nothing_of_the_kind' is not defined"))]);
    }
}

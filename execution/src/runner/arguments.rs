//! Parameters as the arguments of a script, as StackStorm gives them: those with a position at the end, in the order of
//! their positions, the others before them by their names.

use serde_json::Value;

use super::keys::{Keys, Mistake};
use super::process::without_nul;
use super::{ParameterPlace, RenderError};

/// How an argument with a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    dashes: &'static str,
    /// Name and value are one argument.
    is_joined: bool,
}

/// Every form, as an action names it.
const FORMS: [(&str, Form); 4] = [
    ("--name=value", Form { dashes: "--", is_joined: true }),
    ("--name value", Form { dashes: "--", is_joined: false }),
    ("-name=value", Form { dashes: "-", is_joined: true }),
    ("-name value", Form { dashes: "-", is_joined: false }),
];

impl Form {
    /// Reads the key `named`; StackStorm's form where there is none.
    pub(super) fn read(keys: &mut Keys<'_>) -> Self {
        let default = FORMS[0].1;
        let Some(text) = keys.get("named").and_then(|named| keys.text(named, "/named", "named")) else {
            return default;
        };
        let Some((_, form)) = FORMS.iter().find(|(name, _)| *name == text) else {
            let forms = FORMS.map(|(name, _)| format!("{name:?}")).join(", ");
            keys.error("/named", Mistake::BadValue, format!("{text:?} is no form of a named argument: {forms}"));
            return default;
        };
        *form
    }
}

/// The parameters of an action as arguments.
#[derive(Debug)]
pub(super) struct Parameters {
    positional: Vec<String>,
    named: Vec<String>,
    form: Form,
    /// `--` stands between those with a name and the others.
    end_of_options: bool,
}

impl Parameters {
    pub(super) fn new(all: &[ParameterPlace], form: Form, end_of_options: bool) -> Self {
        let mut places: Vec<(u32, String)> =
            all.iter().filter_map(|one| Some((one.position?, one.name.clone()))).collect();
        places.sort();
        let named = all.iter().filter(|one| one.position.is_none()).map(|one| one.name.clone()).collect();
        Self { positional: places.into_iter().map(|(_, name)| name).collect(), named, form, end_of_options }
    }

    pub(super) fn render(&self, parameters: &Value) -> Result<Vec<String>, RenderError> {
        let mut arguments = Vec::new();
        for name in &self.named {
            let Some(value) = parameters.get(name) else { continue };
            let argument = format!("{}{name}", self.form.dashes);
            let text = match value {
                // What is not there, and what is switched off, is not said.
                Value::Null | Value::Bool(false) => continue,
                Value::String(text) if text.is_empty() => continue,
                Value::Bool(true) => {
                    arguments.push(argument);
                    continue;
                }
                other => checked(name, other)?,
            };
            match self.form.is_joined {
                true => arguments.push(format!("{argument}={text}")),
                false => arguments.extend([argument, text]),
            }
        }
        if self.end_of_options && !self.positional.is_empty() {
            arguments.push("--".to_owned());
        }
        for name in &self.positional {
            arguments.push(checked(name, parameters.get(name).unwrap_or(&Value::Null))?);
        }
        Ok(arguments)
    }
}

fn checked(name: &str, value: &Value) -> Result<String, RenderError> {
    without_nul(text(value), || format!("parameter {name:?}"))
}

/// A list is joined by commas; a boolean is 1 or 0 here, for as a flag it is no text; what is not there keeps its place.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(item).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Within a list there are no flags.
fn item(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places() -> Vec<ParameterPlace> {
        let place = |name: &str, position| ParameterPlace { name: name.to_owned(), position };
        vec![
            place("verbose", None),
            place("port", Some(1)),
            place("hosts", None),
            place("host", Some(0)),
            place("env", None),
            place("note", None),
            place("ratio", None),
        ]
    }

    fn arguments(form: usize, end_of_options: bool, parameters: Value) -> Vec<String> {
        Parameters::new(&places(), FORMS[form].1, end_of_options).render(&parameters).unwrap()
    }

    #[test]
    fn parameters_are_given_as_stackstorm_gives_them() {
        let given = json!({
            "host": "db-1", "port": 5432, "verbose": true, "hosts": ["a", 2, true, {"x": 1}],
            "env": {"A": "b c"}, "note": "it's $(not) a \"command\"", "ratio": 0.5,
        });
        let expected = [
            "--verbose",
            "--hosts=a,2,true,{\"x\":1}",
            "--env={\"A\":\"b c\"}",
            "--note=it's $(not) a \"command\"",
            "--ratio=0.5",
            "db-1",
            "5432",
        ];
        assert_eq!(arguments(0, false, given), expected);
        // Nothing, false and an empty text are left out by name, and keep their places otherwise.
        assert_eq!(arguments(0, false, json!({"verbose": false, "note": "", "env": null})), ["", ""]);
        let positional = json!({"host": true, "port": [1, "x"]});
        assert_eq!(arguments(0, false, positional), ["1", "1,x"]);
        assert_eq!(arguments(0, false, json!({"host": false, "port": {"a": []}})), ["0", "{\"a\":[]}"]);
    }

    #[test]
    fn named_arguments_have_other_forms() {
        let given = json!({"verbose": true, "note": "-n\nx", "host": "-rf", "port": "--"});
        assert_eq!(arguments(1, false, given.clone()), ["--verbose", "--note", "-n\nx", "-rf", "--"]);
        assert_eq!(arguments(2, true, given.clone()), ["-verbose", "-note=-n\nx", "--", "-rf", "--"]);
        assert_eq!(arguments(3, true, given), ["-verbose", "-note", "-n\nx", "--", "-rf", "--"]);
    }

    #[test]
    fn no_argument_holds_a_nul() {
        let parameters = Parameters::new(&places(), FORMS[0].1, false);
        for given in [json!({"note": "a\0"}), json!({"host": ["a\0"]})] {
            let error = parameters.render(&given).unwrap_err().to_string();
            assert!(error.ends_with("holds a NUL character"), "{error}");
        }
    }
}

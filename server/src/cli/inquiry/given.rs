//! The answer that somebody gives, word by word: the schema says what a text is meant as.

use std::io;

use petrel_execution::workflow::{AnswerSchema, normal_schema};
use serde_json::{Map, Value};

use crate::cli::terminal::harmless;
use crate::cli::{EXIT_USAGE, Failure};

/// A question to whoever sits at the terminal.
pub struct Prompt {
    /// What is asked.
    pub text: String,
    /// Whether what is typed must not be seen.
    pub secret: bool,
}

/// Asks, and reads a line.
pub type Ask<'a> = dyn FnMut(Prompt) -> io::Result<String> + 'a;

/// The answer of words `name=value`.
///
/// # Errors
/// A word without `=`, and a name that is given twice.
pub fn of_words(schema: &Value, words: &[String]) -> Result<Value, Failure> {
    let mut answer = Map::new();
    for word in words {
        let Some((name, text)) = word.split_once('=') else {
            let whole = meant(schema, word);
            let message = format!("{word:?} is no property of an answer: write name=value, or --json '{whole}'");
            return Err(Failure::new(EXIT_USAGE, message));
        };
        if answer.insert(name.to_owned(), meant(&schema["properties"][name], text)).is_some() {
            return Err(Failure::new(EXIT_USAGE, format!("{name} is given twice")));
        }
    }
    Ok(Value::Object(answer))
}

/// The answer of somebody who is asked for each property of the schema, or for one value where it has none.
///
/// # Errors
/// The terminal cannot be read.
pub fn by_asking(schema: &Value, ask: &mut Ask<'_>) -> Result<Value, Failure> {
    let schema = normal_schema(schema);
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        return Ok(value(&schema, "answer", true, ask)?.unwrap_or_default());
    };
    let mut answer = Map::new();
    for (name, property) in properties {
        let is_required = schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
        if let Some(value) = value(property, name, is_required, ask)? {
            answer.insert(name.clone(), value);
        }
    }
    Ok(Value::Object(answer))
}

/// One value; none where nothing was typed, and nothing has to be. What does not fit is asked for again.
fn value(schema: &Value, name: &str, is_required: bool, ask: &mut Ask<'_>) -> Result<Option<Value>, Failure> {
    // One that refers to others is checked by the server alone, with all of the answer.
    let check = AnswerSchema::compile(schema).ok();
    let default = schema.get("default");
    let mut remark = String::new();
    loop {
        let text = format!("{remark}{}", prompt(schema, name, is_required));
        let secret = schema["secret"] == true;
        let line = ask(Prompt { text: harmless(&text), secret });
        let line = line.map_err(|error| Failure::new(EXIT_USAGE, format!("cannot read the terminal: {error}")))?;
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            match default {
                Some(default) => return Ok(Some(default.clone())),
                None if !is_required => return Ok(None),
                None => {}
            }
        }
        let value = meant(schema, line);
        let mistakes = check.as_ref().map(|check| check.mistakes(&value)).unwrap_or_default();
        if mistakes.is_empty() {
            return Ok(Some(value));
        }
        remark = mistakes.iter().map(|mistake| format!("  {mistake}\n")).collect();
    }
}

/// What is asked for a property: its name, what it is for, and what it may be.
fn prompt(schema: &Value, name: &str, is_required: bool) -> String {
    let mut about: Vec<String> = Vec::new();
    match (&schema["enum"], types(schema).as_slice()) {
        (Value::Array(values), _) => {
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            about.push(values.iter().map(plain).collect::<Vec<_>>().join(" | "));
        }
        (_, []) => {}
        (_, types) => about.push(types.join(" or ")),
    }
    if !is_required {
        about.push("optional".to_owned());
    }
    if let Some(default) = schema.get("default") {
        about.push(format!("default {default}"));
    }
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    let description = schema["description"].as_str().map(|text| format!(" {text}")).unwrap_or_default();
    format!("{name}{about}:{description}")
}

/// What a text is meant as. What may be a string is one, as it stands; yes and no are answers to a boolean.
fn meant(schema: &Value, text: &str) -> Value {
    let types = types(schema);
    let listed = schema["enum"].as_array().is_some_and(|values| values.iter().any(|value| value == text));
    if listed || types.contains(&"string") {
        return text.into();
    }
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" if types.contains(&"boolean") => true.into(),
        "n" | "no" if types.contains(&"boolean") => false.into(),
        _ => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

/// The types that a schema names.
fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The answer of somebody who types these lines, and all that was asked.
    fn typed(schema: &Value, lines: &[&str]) -> (Result<Value, String>, Vec<String>) {
        let (mut lines, mut asked) = (lines.iter(), Vec::new());
        let answer = by_asking(schema, &mut |prompt| {
            asked.push(format!("{}{}", prompt.text, if prompt.secret { " (hidden)" } else { "" }));
            lines.next().map(|line| format!("{line}\n")).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        });
        assert_eq!(lines.next(), None, "{asked:?}");
        (answer.map_err(|failure| failure.message), asked)
    }

    #[test]
    fn words_are_meant_as_the_schema_says() {
        let schema = json!({ "properties": {
            "go": { "type": "boolean" },
            "ticket": { "type": "string" },
            "count": { "type": ["integer", "null"] },
            "size": { "enum": ["1", "2", 3] },
            "hosts": { "type": "array" },
        } });
        let words = ["go=yes", "ticket=17", "count=17", "size=1", "hosts=[\"a\"]", "more=x y", "even=2"];
        let wanted = json!({
            "go": true, "ticket": "17", "count": 17, "size": "1", "hosts": ["a"], "more": "x y", "even": 2,
        });
        assert_eq!(of_words(&schema, &words.map(str::to_owned)).unwrap(), wanted);
        assert_eq!(of_words(&schema, &["size=3".to_owned()]).unwrap(), json!({ "size": 3 }));
        for (words, why) in [(&["true"][..], "--json 'true'"), (&["a=1", "a=2"], "twice")] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert!(of_words(&schema, &words).unwrap_err().message.contains(why), "{words:?}");
        }
        for (schema, why) in [(json!({ "type": "boolean" }), "--json 'true'"), (json!({}), "--json '\"yes\"'")] {
            assert!(of_words(&schema, &["yes".to_owned()]).unwrap_err().message.ends_with(why), "{schema}");
        }
    }

    #[test]
    fn a_terminal_is_asked_for_each_property_until_it_fits() {
        let schema = json!({
            "type": "object",
            "properties": {
                "go": { "type": "boolean", "required": true, "description": "Evacuate?" },
                "how": { "enum": ["live", "cold"], "default": "live" },
                "pin": { "type": "string", "secret": true, "minLength": 2 },
            },
        });
        let (answer, asked) = typed(&schema, &["", "maybe", "y", "", "1", "17"]);
        assert_eq!(answer, Ok(json!({ "go": true, "how": "live", "pin": "17" })));
        assert_eq!(asked[0], "go (boolean): Evacuate?");
        assert!(asked[1].starts_with("  ") && asked[1].ends_with(&asked[0]), "{asked:?}");
        assert_eq!(asked[3], "how (live | cold, optional, default \"live\"):");
        assert_eq!(asked[4], "pin (string, optional): (hidden)");
        assert_eq!(asked.len(), 6);
        // What is optional and has no default is left out.
        let (answer, _) = typed(&schema, &["no", "cold", ""]);
        assert_eq!(answer, Ok(json!({ "go": false, "how": "cold" })));
        let (answer, _) = typed(&schema, &["no"]);
        assert!(answer.unwrap_err().contains("terminal"));
    }

    #[test]
    fn a_schema_without_properties_is_one_value() {
        let (answer, asked) = typed(&json!({ "type": "boolean", "description": "a\u{1b}[2Jb" }), &["2", "no"]);
        assert_eq!(answer, Ok(json!(false)));
        assert_eq!(asked[0], "answer (boolean): a\\u{1b}[2Jb");
        assert_eq!(typed(&Value::Null, &["free text"]).0, Ok(json!("free text")));
        assert_eq!(typed(&json!({}), &["[1]"]).0, Ok(json!([1])));
    }
}

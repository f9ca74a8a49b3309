//! Regular expressions, by their names in StackStorm. Patterns are Python's as far as they need no look-around and no
//! references to groups, which cannot be matched in linear time.

use regex::{Captures, Regex, RegexBuilder};

use super::call::{Answer, Arguments, Function, FunctionError};
use super::data::too_long;
use crate::expression::limits::{EXPRESSION_OUTPUT_BYTES_MAX, REGEX_BYTES_MAX};
use crate::expression::python::to_str;
use crate::expression::{List, Value};

pub(super) const TABLE: &[Function] = &[
    Function::new("regex_match", &["value", "pattern", "ignorecase"], 2, regex_match),
    Function::new("regex_search", &["value", "pattern", "ignorecase"], 2, regex_search),
    Function::new("regex_replace", &["value", "pattern", "replacement", "ignorecase"], 3, regex_replace),
    Function::new("regex_substring", &["value", "pattern", "result_index", "ignorecase"], 2, regex_substring),
];

/// Compiles Python's pattern; `\Z` is the end of the text there.
fn compile(pattern: &str, ignore_case: bool) -> Result<Regex, FunctionError> {
    let mut translated = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        translated.push(c);
        if c == '\\'
            && let Some(escaped) = rest.next()
        {
            translated.push(if escaped == 'Z' { 'z' } else { escaped });
        }
    }
    let built = RegexBuilder::new(&translated).case_insensitive(ignore_case).size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|e| {
        let text = e.to_string();
        // The library shows the pattern over several lines, and says what is wrong in the last one.
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        FunctionError::new("error", format!("the regular expression '{pattern}' cannot be used: {why}"))
    })
}

/// The text to look at, whatever the argument's type.
fn subject(args: &Arguments<'_>) -> Result<String, FunctionError> {
    to_str(args.value(0)).map_err(|_| too_long())
}

fn regex_match(args: &Arguments<'_>) -> Answer {
    let text = subject(args)?;
    let regex = compile(args.text(1)?, args.flag(2))?;
    // The leftmost match is the one at the start, if there is one there.
    Ok(Value::Bool(regex.find(&text).is_some_and(|found| found.start() == 0)))
}

fn regex_search(args: &Arguments<'_>) -> Answer {
    let text = subject(args)?;
    Ok(Value::Bool(compile(args.text(1)?, args.flag(2))?.is_match(&text)))
}

fn regex_replace(args: &Arguments<'_>) -> Answer {
    let text = subject(args)?;
    let regex = compile(args.text(1)?, args.flag(3))?;
    let replacement = Replacement::parse(args.text(2)?)?;
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for found in regex.captures_iter(&text) {
        let whole = found.get_match();
        out.push_str(&text[at..whole.start()]);
        replacement.write(&found, &mut out)?;
        at = whole.end();
        if out.len() > EXPRESSION_OUTPUT_BYTES_MAX {
            return Err(too_long());
        }
    }
    out.push_str(&text[at..]);
    Ok(Value::text(out))
}

fn regex_substring(args: &Arguments<'_>) -> Answer {
    let text = subject(args)?;
    let regex = compile(args.text(1)?, args.flag(3))?;
    let index = match args.value(2) {
        Value::Null => 0,
        value => value.as_i64().ok_or_else(|| FunctionError::of_type("list indices must be integers or slices"))?,
    };
    let place =
        if index < 0 { i64::try_from(regex.find_iter(&text).count()).unwrap_or(i64::MAX) + index } else { index };
    let found = usize::try_from(place).ok().and_then(|place| regex.captures_iter(&text).nth(place));
    let Some(found) = found else {
        return Err(FunctionError::new("IndexError", "list index out of range"));
    };
    let group = |number: usize| Value::text(found.get(number).map_or("", |group| group.as_str()));
    Ok(match found.len() {
        1 => group(0),
        2 => group(1),
        groups => Value::List((1..groups).map(group).collect::<List>()),
    })
}

/// What a match becomes: `\1`, `\g<1>` and `\g<name>` are its groups.
struct Replacement<'r>(Vec<Part<'r>>);

enum Part<'r> {
    Text(String),
    Number(usize),
    Name(&'r str),
}

impl<'r> Replacement<'r> {
    fn parse(text: &'r str) -> Result<Self, FunctionError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(slash) = rest.find('\\') {
            parts.push(Part::Text(rest[..slash].to_owned()));
            rest = &rest[slash + 1..];
            let next = rest.chars().next().ok_or_else(|| FunctionError::new("error", "bad escape (end of pattern)"))?;
            let after = &rest[next.len_utf8()..];
            rest = match next {
                '0'..='9' => {
                    let two = after.starts_with(|c: char| c.is_ascii_digit());
                    let digits = if two { &rest[..2] } else { &rest[..1] };
                    parts.push(Part::Number(digits.parse().unwrap_or(0)));
                    &rest[digits.len()..]
                }
                'g' => {
                    let named = after.strip_prefix('<').and_then(|after| after.split_once('>'));
                    let (name, after) = named.ok_or_else(|| FunctionError::new("error", "missing group name"))?;
                    parts.push(name.parse().map_or(Part::Name(name), Part::Number));
                    after
                }
                'n' | 'r' | 't' | '\\' => {
                    let plain = match next {
                        'n' => "\n",
                        'r' => "\r",
                        't' => "\t",
                        _ => "\\",
                    };
                    parts.push(Part::Text(plain.to_owned()));
                    after
                }
                c if c.is_ascii_alphabetic() => return Err(FunctionError::new("error", format!("bad escape \\{c}"))),
                c => {
                    parts.push(Part::Text(format!("\\{c}")));
                    after
                }
            };
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Replacement(parts))
    }

    fn write(&self, found: &Captures<'_>, out: &mut String) -> Result<(), FunctionError> {
        for part in &self.0 {
            let group = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Number(number) if *number < found.len() => found.get(*number),
                Part::Number(number) => {
                    return Err(FunctionError::new("error", format!("invalid group reference {number}")));
                }
                Part::Name(name) => found.name(name),
            };
            out.push_str(group.map_or("", |group| group.as_str()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::expression::functions::tests::check;

    #[test]
    fn patterns_match_search_and_take_parts() {
        check(&[
            ("regex_match", json!(["xyz", "x"]), Ok(json!(true))),
            ("regex_match", json!(["axyz", "x"]), Ok(json!(false))),
            ("regex_match", json!(["XYZ", "x", true]), Ok(json!(true))),
            ("regex_match", json!([123, "12"]), Ok(json!(true))),
            ("regex_search", json!(["axyz", "x"]), Ok(json!(true))),
            ("regex_search", json!(["axyz", "X"]), Ok(json!(false))),
            ("regex_search", json!(["ab\n", "b\\Z"]), Ok(json!(false))),
            ("regex_substring", json!(["a1b22c333", "[0-9]+"]), Ok(json!("1"))),
            ("regex_substring", json!(["a1b22c333", "[0-9]+", 1]), Ok(json!("22"))),
            ("regex_substring", json!(["a1b22c333", "[0-9]+", -1]), Ok(json!("333"))),
            ("regex_substring", json!(["k=v", "(\\w)=(\\w)"]), Ok(json!(["k", "v"]))),
            ("regex_substring", json!(["k=v", "(\\w)="]), Ok(json!("k"))),
            ("regex_substring", json!(["abc", "[0-9]+"]), Err("IndexError: list index out of range")),
        ]);
    }

    #[test]
    fn what_is_found_is_replaced_with_its_groups() {
        check(&[
            ("regex_replace", json!(["xyz", "x", "a"]), Ok(json!("ayz"))),
            ("regex_replace", json!(["a-b c-d", "(\\w)-(?P<r>\\w)", "\\g<r>-\\1"]), Ok(json!("b-a d-c"))),
            ("regex_replace", json!(["XYZ", "x", "$0", true]), Ok(json!("$0YZ"))),
            ("regex_replace", json!(["x", "x", "\\2"]), Err("invalid group reference 2")),
        ]);
    }

    #[test]
    fn patterns_that_cannot_be_used_are_told() {
        check(&[
            ("regex_match", json!(["x", "("]), Err("unclosed group")),
            ("regex_match", json!(["x", "(?=x)"]), Err("look-around")),
            ("regex_match", json!(["x", "(?:a{1000}){1000}"]), Err("limit")),
            ("regex_replace", json!(["x".repeat(100_000), "x", "y".repeat(1000)]), Err("MemoryError")),
        ]);
    }
}

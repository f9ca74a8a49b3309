//! Parts of documents by JSONPath, as the library that StackStorm uses reads it: `$.a`, `a[*].b`, `a[0]`, `a[1:3]`,
//! `$..b`, `'a b'`, `a,b`, `a|b`.

use super::call::FunctionError;
use crate::expression::Value;

/// How many parts one query may yield.
const MATCHES_MAX: usize = 100_000;

/// How many steps one query may have.
const STEPS_MAX: usize = 100;

#[derive(Debug, PartialEq)]
enum Step {
    /// These fields; none named means all of them.
    Fields(Vec<String>),
    /// One item.
    Item(i64),
    /// A range of items.
    Slice(Option<i64>, Option<i64>, Option<i64>),
    /// Everything below, and what is above it.
    Descend,
}

/// All parts that a query finds, in the document's order.
///
/// # Errors
/// What is wrong with the query, or that it finds more than [`MATCHES_MAX`].
pub(super) fn find(value: &Value, query: &str) -> Result<Vec<Value>, FunctionError> {
    let mut found = Vec::new();
    for branch in query.split('|') {
        let mut current = vec![value.clone()];
        for step in parse(branch.trim(), query)? {
            let mut next = Vec::new();
            for value in &current {
                apply(&step, value, &mut next);
                if next.len() > MATCHES_MAX {
                    let message = format!("'{query}' finds more than {MATCHES_MAX} parts");
                    return Err(FunctionError::of_value(message));
                }
            }
            current = next;
        }
        found.extend(current);
    }
    Ok(found)
}

fn apply(step: &Step, value: &Value, out: &mut Vec<Value>) {
    match (step, value) {
        (Step::Fields(names), Value::Map(map)) if names.is_empty() => out.extend(map.iter().map(|(_, v)| v.clone())),
        (Step::Fields(names), Value::Map(map)) => out.extend(names.iter().filter_map(|name| map.get(name)).cloned()),
        (Step::Item(index), Value::List(list)) => {
            let length = list.items().len();
            let place = if *index < 0 { length as i64 + index } else { *index };
            out.extend(usize::try_from(place).ok().and_then(|place| list.items().get(place)).cloned());
        }
        (Step::Slice(from, to, step), Value::List(list)) => {
            let length = list.items().len();
            let bound = |at: i64| if at < 0 { length.saturating_add_signed(at as isize) } else { at as usize };
            let (from, to) = (bound(from.unwrap_or(0)), bound(to.unwrap_or(length as i64)).min(length));
            let step = step.unwrap_or(1).max(1) as usize;
            out.extend((from..to).step_by(step).filter_map(|place| list.items().get(place)).cloned());
        }
        // `[*]` takes what is no list as a list of one.
        (Step::Slice(..), other) => out.push(other.clone()),
        (Step::Descend, value) => descend(value, out),
        _ => {}
    }
}

/// A value and everything below it, parents first.
fn descend(value: &Value, out: &mut Vec<Value>) {
    if out.len() > MATCHES_MAX {
        return;
    }
    match value {
        Value::Map(map) => {
            out.push(value.clone());
            map.iter().for_each(|(_, below)| descend(below, out));
        }
        Value::List(list) => {
            out.push(value.clone());
            list.items().iter().for_each(|below| descend(below, out));
        }
        _ => {}
    }
}

fn parse(text: &str, query: &str) -> Result<Vec<Step>, FunctionError> {
    let refused = |what: &str| FunctionError::new("Exception", format!("Parse error in JSONPath '{query}': {what}"));
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('$').unwrap_or(text);
    if text.is_empty() {
        return Err(refused("it is empty"));
    }
    while !rest.is_empty() {
        if steps.len() == STEPS_MAX {
            return Err(refused(&format!("more than {STEPS_MAX} steps")));
        }
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Descend);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']').ok_or_else(|| refused("`[` without `]`"))?;
            steps.push(bracketed(after[..end].trim()).ok_or_else(|| refused("what stands in brackets is no index"))?);
            rest = &after[end + 1..];
            continue;
        }
        let end = field_end(rest);
        let names = rest[..end].split(',').map(|name| name.trim().trim_matches(['\'', '"']).to_owned());
        let names: Vec<String> = names.collect();
        if names.iter().any(String::is_empty) || names.iter().any(|name| name.contains(['`', '(', ')', '@', '?'])) {
            return Err(refused("a field's name is expected"));
        }
        let all = names.iter().any(|name| name == "*");
        steps.push(Step::Fields(if all { Vec::new() } else { names }));
        rest = &rest[end..];
    }
    Ok(steps)
}

/// Where the names of fields end: at a dot or bracket outside quotes.
fn field_end(text: &str) -> usize {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '.' | '[') => return at,
            _ => {}
        }
    }
    text.len()
}

fn bracketed(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::Slice(None, None, None));
    }
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        return Some(Step::Fields(vec![text.strip_prefix(quote)?.strip_suffix(quote)?.to_owned()]));
    }
    if text.contains(':') {
        let mut bounds = text.split(':').map(|bound| match bound.trim() {
            "" => Some(None),
            number => number.parse().ok().map(Some),
        });
        let step = Step::Slice(bounds.next()??, bounds.next()??, bounds.next().unwrap_or(Some(None))?);
        return bounds.next().is_none().then_some(step);
    }
    text.parse().ok().map(Step::Item)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::expression::functions::tests::check;

    #[test]
    fn parts_are_found() {
        const NAME: &str = "jsonpath_query";
        let people = json!({"people": [
            {"first": "James", "last": "d"}, {"first": "Jacob", "last": "e"}, {"first": "Jayden"}, {"missing": "x"},
        ], "a b": 1});
        check(&[
            (NAME, json!([people, "people[*].first"]), Ok(json!(["James", "Jacob", "Jayden"]))),
            (NAME, json!([people, "$.people[0].first"]), Ok(json!(["James"]))),
            (NAME, json!([people, "people[-1]"]), Ok(json!([{"missing": "x"}]))),
            (NAME, json!([people, "people[1:3].first"]), Ok(json!(["Jacob", "Jayden"]))),
            (NAME, json!([people, "people[:2].first"]), Ok(json!(["James", "Jacob"]))),
            (NAME, json!([people, "$..first"]), Ok(json!(["James", "Jacob", "Jayden"]))),
            (NAME, json!([people, "people[0].*"]), Ok(json!(["James", "d"]))),
            (NAME, json!([people, "people[0].first,last"]), Ok(json!(["James", "d"]))),
            (NAME, json!([people, "'a b'"]), Ok(json!([1]))),
            (NAME, json!([people, "$['a b'] | people[1].last"]), Ok(json!([1, "e"]))),
            (NAME, json!([people, "$"]), Ok(json!([people]))),
            (NAME, json!([people, "nobody"]), Ok(json!(null))),
            (NAME, json!([people, "people[x]"]), Err("Parse error")),
            (NAME, json!([people, "people[0"]), Err("Parse error")),
            (NAME, json!([people, ""]), Err("Parse error")),
        ]);
    }

    #[test]
    fn a_query_that_finds_too_much_is_refused() {
        let list: Vec<u32> = (0..400).collect();
        let lists = json!(vec![list; 400]);
        check(&[("jsonpath_query", json!([lists, "[*][*]"]), Err("finds more than"))]);
    }
}

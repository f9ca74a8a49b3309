//! What `$ref` may do to the time that a schema's check takes.
//!
//! A check that follows references may double with each level of a value: two branches that lead back to the same schema
//! for the same part of the value are enough, and thirty levels of brackets fill any memory. So a schema may refer to
//! itself, as those of trees and lists do, where each part of a value is led back by one way only; and without such circles
//! its references may not unfold into more than so many schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::schema::{OF_NAMED_SCHEMAS, OF_SCHEMAS};

/// Most schemas that one unfolds into by its references.
const UNFOLDED_MAX: u64 = 10_000;
/// Most references in a schema.
const REFERENCES_MAX: usize = 1_000;

/// A schema that others refer to, or the root.
#[derive(Default)]
struct Target {
    references: Vec<Reference>,
    /// Schemas that stand in it.
    size: u64,
}

/// A `$ref`, by where it stands below its target.
struct Reference {
    way: Vec<String>,
    to: String,
}

/// Checks a schema.
///
/// # Errors
/// The path to the reference, and what is wrong with it.
pub(super) fn check(schema: &Value) -> Result<(), (String, String)> {
    let mut targets: BTreeMap<String, Target> = BTreeMap::new();
    let mut open = vec![String::new()];
    while let Some(at) = open.pop() {
        if targets.contains_key(&at) {
            continue;
        }
        let Some(node) = schema.pointer(&at) else {
            return Err((String::new(), format!("\"$ref\": \"#{at}\" leads to nothing")));
        };
        let mut target = Target::default();
        collect(node, &mut Vec::new(), &mut target)
            .map_err(|(way, message)| (format!("{at}{}", pointer(&way)), message))?;
        open.extend(target.references.iter().map(|reference| reference.to.clone()));
        targets.insert(at, target);
        if targets.values().map(|target| target.references.len()).sum::<usize>() > REFERENCES_MAX {
            return Err((String::new(), format!("more than {REFERENCES_MAX} uses of \"$ref\"")));
        }
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> = targets.keys().map(|at| (&**at, reachable(at, &targets))).collect();
    let is_circle = |from: &str, to: &str| reach[to].contains(from);
    for (at, target) in &targets {
        let back: Vec<_> = target.references.iter().filter(|reference| is_circle(at, &reference.to)).collect();
        for (index, one) in back.iter().enumerate() {
            if back[..index].iter().any(|other| may_meet(&one.way, &other.way)) {
                let message = "this \"$ref\" leads back to a schema to which another one leads back for the same part of \
                               a value: checking it could take for ever";
                return Err((format!("{at}{}/$ref", pointer(&one.way)), message.to_owned()));
            }
        }
    }
    let mut sizes = BTreeMap::new();
    match targets.keys().any(|at| unfolded(at, &targets, &is_circle, &mut sizes) > UNFOLDED_MAX) {
        true => Err((String::new(), format!("its uses of \"$ref\" unfold into more than {UNFOLDED_MAX} schemas"))),
        false => Ok(()),
    }
}

/// Notes the references of a schema and of those that stand in it.
fn collect(node: &Value, way: &mut Vec<String>, target: &mut Target) -> Result<(), (Vec<String>, String)> {
    target.size += 1;
    let Value::Object(entries) = node else { return Ok(()) };
    for (key, value) in entries {
        let key = key.as_str();
        match (key, value) {
            ("$ref", Value::String(reference)) => match followed(reference) {
                Some(to) => target.references.push(Reference { way: way.clone(), to }),
                None => {
                    return Err((
                        way.clone(),
                        format!("{reference:?} is not supported: a path, such as \"#/$defs/x\""),
                    ));
                }
            },
            ("$id", _) if !way.is_empty() => {
                return Err((way.clone(), "\"$id\" within a schema is not supported".to_owned()));
            }
            (_, Value::Object(named)) if OF_NAMED_SCHEMAS.contains(&key) => {
                for (name, schema) in named {
                    way.extend([key.to_owned(), name.clone()]);
                    // What is only named is looked at where something refers to it.
                    if !["$defs", "definitions"].contains(&key) {
                        collect(schema, way, target)?;
                    }
                    way.truncate(way.len() - 2);
                }
            }
            (_, Value::Array(schemas)) if OF_SCHEMAS.contains(&key) => {
                for (index, schema) in schemas.iter().enumerate() {
                    way.extend([key.to_owned(), index.to_string()]);
                    collect(schema, way, target)?;
                    way.truncate(way.len() - 2);
                }
            }
            _ if OF_SCHEMAS.contains(&key) => {
                way.push(key.to_owned());
                collect(value, way, target)?;
                way.pop();
            }
            _ => {}
        }
    }
    Ok(())
}

/// The pointer that a local reference is.
fn followed(reference: &str) -> Option<String> {
    let pointer = reference.strip_prefix('#')?;
    // What is written with percent signs is one of the few that nobody writes.
    ((pointer.is_empty() || pointer.starts_with('/')) && !pointer.contains('%')).then(|| pointer.to_owned())
}

/// Whether two references may be followed for the same part of a value. `properties` of two names are of two parts, and so
/// are those of an object and the items of a list.
fn may_meet(one: &[String], other: &[String]) -> bool {
    let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let (Some(left), Some(right)) = (one.get(at), other.get(at)) else { return true };
    if is_name_place(&one[..at]) {
        return one[at - 1] != "properties";
    }
    if at > 0 && one[at - 1] == "prefixItems" && !is_name_place(&one[..at - 1]) {
        return false;
    }
    let is_pair = |a: &str, b: &str| (left == a && right == b) || (left == b && right == a);
    if is_pair("properties", "additionalProperties") {
        return false;
    }
    match (first_step(&one[at..]), first_step(&other[at..])) {
        (Some(left), Some(right)) => left == right,
        _ => true,
    }
}

/// Whether what comes next is a name, not a keyword.
fn is_name_place(way: &[String]) -> bool {
    way.iter().fold(false, |is_name, step| !is_name && OF_NAMED_SCHEMAS.contains(&step.as_str()))
}

/// Whether the first step that a way takes into the value is one into an object, not a list; nothing if it takes none. It
/// begins at a keyword, or at a place in a list of schemas.
fn first_step(way: &[String]) -> Option<bool> {
    let mut steps = way.iter();
    while let Some(step) = steps.next() {
        match step.as_str() {
            "properties" | "patternProperties" | "additionalProperties" | "unevaluatedProperties" => return Some(true),
            "items" | "additionalItems" | "prefixItems" | "unevaluatedItems" | "contains" => return Some(false),
            named if OF_NAMED_SCHEMAS.contains(&named) => _ = steps.next(),
            _ => {}
        }
    }
    None
}

/// All schemas to which one leads, itself only by way of a circle.
fn reachable<'t>(from: &'t str, targets: &'t BTreeMap<String, Target>) -> BTreeSet<&'t str> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        for reference in targets.get(at).into_iter().flat_map(|target| &target.references) {
            if found.insert(&*reference.to) {
                open.push(&reference.to);
            }
        }
    }
    found
}

/// How many schemas one unfolds into, where circles are not gone through.
fn unfolded<'t>(
    at: &'t str,
    targets: &'t BTreeMap<String, Target>,
    is_circle: &impl Fn(&str, &str) -> bool,
    sizes: &mut BTreeMap<&'t str, u64>,
) -> u64 {
    if let Some(size) = sizes.get(at) {
        return *size;
    }
    let target = &targets[at];
    let mut size = target.size;
    for reference in target.references.iter().filter(|reference| !is_circle(at, &reference.to)) {
        size = size.saturating_add(unfolded(&reference.to, targets, is_circle, sizes));
    }
    sizes.insert(at, size);
    size
}

fn pointer(way: &[String]) -> String {
    way.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_may_refer_to_itself_by_one_way_for_each_part() {
        let good = [
            json!({"properties": {"children": {"items": {"$ref": "#"}}}}),
            json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}),
            json!({"properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}}}),
            json!({"anyOf": [{"type": "string"}, {"items": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}]}),
            json!({"properties": {"a": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}}),
            json!({"prefixItems": [{"$ref": "#"}, {"$ref": "#"}]}),
            json!({"$defs": {"x": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}}}),
            json!({"enum": [{"$ref": "#/nowhere"}]}),
        ];
        for schema in good {
            assert_eq!(check(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn what_could_double_with_each_level_is_refused_where_it_stands() {
        let two = json!([{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}, "minItems": 1}]);
        let defs = |second: &str| {
            json!({"$ref": "#/$defs/a", "$defs": {
                "a": {"anyOf": [{"properties": {"x": {"$ref": "#/$defs/b"}}}, {"properties": {"x": {"$ref": second}}}]},
                "b": {"$ref": "#/$defs/a"}}})
        };
        let bad = [
            (json!({"anyOf": two}), "/anyOf/1/items/$ref"),
            (json!({"allOf": two}), "/allOf/1/items/$ref"),
            (json!({"oneOf": two}), "/oneOf/1/items/$ref"),
            (json!({"if": {"items": {"$ref": "#"}}, "then": {"items": {"$ref": "#"}}}), "/then/items/$ref"),
            (json!({"items": {"$ref": "#"}, "contains": {"$ref": "#"}}), "/contains/$ref"),
            (
                json!({"properties": {"a": {"$ref": "#"}}, "patternProperties": {".": {"$ref": "#"}}}),
                "/patternProperties/./$ref",
            ),
            (
                json!({"properties": {"allOf": {"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}}}),
                "/properties/allOf/allOf/1/items/$ref",
            ),
            (
                json!({"patternProperties": {"items": {"$ref": "#"}, "properties": {"$ref": "#"}}}),
                "/patternProperties/properties/$ref",
            ),
            (defs("#/$defs/a"), "/$defs/a/anyOf/1/properties/x/$ref"),
            (defs("#/$defs/b"), "/$defs/a/anyOf/1/properties/x/$ref"),
        ];
        for (schema, at) in bad {
            let (path, message) = check(&schema).unwrap_err();
            assert!(path == at && message.contains("could take for ever"), "{schema}: {path}: {message}");
        }
    }

    #[test]
    fn references_that_unfold_into_too_much_are_refused() {
        let mut defs = serde_json::Map::new();
        for level in 0..40 {
            let next = format!("#/$defs/d{}", level + 1);
            defs.insert(format!("d{level}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
        }
        defs.insert("d40".to_owned(), json!({"type": "string"}));
        let (_, message) = check(&json!({"$ref": "#/$defs/d0", "$defs": defs})).unwrap_err();
        assert_eq!(message, "its uses of \"$ref\" unfold into more than 10000 schemas");
        assert!(check(&json!({"$ref": "#x"})).unwrap_err().1.contains("not supported"));
        assert!(check(&json!({"$ref": "#/$defs/x"})).unwrap_err().1.contains("leads to nothing"));
        assert!(check(&json!({"properties": {"a": {"$id": "x"}}})).unwrap_err().1.contains("not supported"));
    }
}

//! What a bound topic checks of a trigger's schema (DESIGN §4, `validate: paths`), and which numbers it
//! makes doubles. Full validation is somebody else's.

use cel::common::types::{CelDouble, CelList, CelMap, CelMapKey, CelString, Kind};
use cel::common::value::Val;
use serde_json::Value as Json;

use crate::event::ParsedEvent;
use crate::expr::Reads;
use crate::extract;
use crate::json::{Doubles, Keep};

/// The part of a trigger's JSON schema that matching needs: `type`, `required`, `properties`,
/// `additionalProperties` and `items`, at any depth. Other keywords are left to full validation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TriggerSchema {
    types: Option<Vec<String>>,
    required: Vec<Box<str>>,
    properties: Vec<(Box<str>, TriggerSchema)>,
    other_properties: Option<Box<TriggerSchema>>,
    items: Option<Box<TriggerSchema>>,
}

/// What an event has that its trigger's schema refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: expected {expected}, found {found}")]
pub struct SchemaViolation {
    /// JSON pointer into the event; empty for the event itself.
    pub path: String,
    /// What the schema asks for: names of types, or `a value`.
    pub expected: String,
    /// Type of what is there, or `nothing`.
    pub found: &'static str,
}

impl TriggerSchema {
    /// No schema: every event passes.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a JSON schema, which the caller has validated as one.
    pub fn compile(schema: &Json) -> Self {
        let names = |json: &Json| match json {
            Json::String(name) => Some(vec![name.clone()]),
            Json::Array(names) => Some(names.iter().filter_map(Json::as_str).map(str::to_owned).collect()),
            _ => None,
        };
        let below = |key: &str| schema.get(key).filter(|s| s.is_object()).map(|s| Box::new(Self::compile(s)));
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        let properties = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
        Self {
            types: schema.get("type").and_then(names),
            required: required.filter_map(Json::as_str).map(Into::into).collect(),
            properties: properties.map(|(name, s)| (name.as_str().into(), Self::compile(s))).collect(),
            other_properties: below("additionalProperties"),
            items: below("items"),
        }
    }

    /// The paths whose numbers are doubles.
    pub(crate) fn doubles(&self) -> Doubles {
        let is = |name: &str| self.types.iter().flatten().any(|t| t == name);
        let some = |schema: &TriggerSchema| Some(schema.doubles()).filter(|d| !d.is_empty());
        let other_fields = self.other_properties.as_deref().and_then(some);
        // A named member without doubles must be there if it is an exception to the others.
        let named = |schema: &TriggerSchema| some(schema).or_else(|| other_fields.as_ref().map(|_| Doubles::default()));
        Doubles {
            here: is("number") && !is("integer"),
            fields: self.properties.iter().filter_map(|(name, s)| Some((name.clone(), named(s)?))).collect(),
            other_fields: other_fields.clone().map(Box::new),
            items: self.items.as_deref().and_then(some).map(Box::new),
        }
    }

    /// The paths whose numbers are doubles, for an extractor.
    pub(crate) fn number_paths(&self) -> extract::Doubles {
        fn convert(doubles: &Doubles) -> extract::Doubles {
            let below = |d: &Option<Box<Doubles>>| d.as_deref().map(|d| Box::new(convert(d)));
            extract::Doubles {
                here: doubles.here,
                fields: doubles.fields.iter().map(|(name, d)| (name.clone(), convert(d))).collect(),
                other_fields: below(&doubles.other_fields),
                items: below(&doubles.items),
            }
        }
        convert(&self.doubles())
    }

    /// What to check for rules that read these paths.
    pub(crate) fn check(&self, reads: &Reads) -> SchemaCheck {
        let mut keep = Keep::default();
        let root = self.node(&mut Vec::new(), reads, &mut keep);
        SchemaCheck { root, keep }
    }

    fn node(&self, path: &mut Vec<Box<str>>, reads: &Reads, keep: &mut Keep) -> Node {
        let mut node = Node { types: self.types.clone().filter(|_| reads.touches(path)), ..Node::default() };
        for name in &self.required {
            path.push(name.clone());
            keep.add_presence(path);
            path.pop();
            node.required.push(name.clone());
        }
        for (name, schema) in &self.properties {
            path.push(name.clone());
            let below = schema.node(path, reads, keep);
            path.pop();
            if !below.is_empty() {
                node.properties.push((name.clone(), below));
            }
        }
        if let Some(items) = &self.items {
            // A name that no event can have: elements count as read where the whole array is.
            path.push("\u{0}".into());
            let below = items.node(path, reads, &mut Keep::default());
            path.pop();
            node.items = Some(Box::new(below)).filter(|n| !n.is_empty());
        }
        node
    }
}

/// A compiled check of the paths that one set of rules reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchemaCheck {
    root: Node,
    /// What the check needs to be built of an event.
    pub keep: Keep,
}

#[derive(Debug, Clone, Default)]
struct Node {
    types: Option<Vec<String>>,
    required: Vec<Box<str>>,
    properties: Vec<(Box<str>, Node)>,
    items: Option<Box<Node>>,
}

impl SchemaCheck {
    /// Checks an event that was built with at least `keep`.
    pub fn check(&self, event: &ParsedEvent<'_>) -> Result<(), SchemaViolation> {
        self.root.check(event.value(), &mut Vec::new())
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.types.is_none() && self.required.is_empty() && self.properties.is_empty() && self.items.is_none()
    }

    fn check<'n>(&'n self, value: &dyn Val, path: &mut Vec<&'n str>) -> Result<(), SchemaViolation> {
        if let Some(types) = &self.types
            && !types.iter().any(|t| is_of_type(value, t))
        {
            return violation(path, types.join(" or "), type_of(value));
        }
        if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
            for name in &self.required {
                if member(map, name).is_none() {
                    path.push(name);
                    return violation(path, "a value".into(), "nothing");
                }
            }
            for (name, node) in &self.properties {
                if let Some(value) = member(map, name) {
                    path.push(name);
                    node.check(value, path)?;
                    path.pop();
                }
            }
        }
        if let (Some(node), Some(list)) = (&self.items, value.downcast_ref::<CelList<'_>>()) {
            for element in list.inner() {
                path.push("*");
                node.check(element.as_ref(), path)?;
                path.pop();
            }
        }
        Ok(())
    }
}

fn member<'b>(map: &'b CelMap<'b>, name: &'b str) -> Option<&'b dyn Val> {
    map.inner().get(&CelMapKey::String(CelString::from(name))).map(|v| v.as_ref() as &dyn Val)
}

fn violation(path: &[&str], expected: String, found: &'static str) -> Result<(), SchemaViolation> {
    let path = path.iter().map(|p| format!("/{}", p.replace('~', "~0").replace('/', "~1"))).collect();
    Err(SchemaViolation { path, expected, found })
}

fn is_of_type(value: &dyn Val, name: &str) -> bool {
    match (name, type_of(value)) {
        ("number", found) => matches!(found, "number" | "integer"),
        ("integer", "number") => value.downcast_ref::<CelDouble>().is_some_and(|d| d.inner().fract() == 0.0),
        (name, found) => name == found,
    }
}

fn type_of(value: &dyn Val) -> &'static str {
    match value.get_type().kind() {
        Kind::NullType => "null",
        Kind::Boolean => "boolean",
        Kind::Int | Kind::UInt => "integer",
        Kind::Double => "number",
        Kind::String => "string",
        Kind::List => "array",
        _ => "object",
    }
}

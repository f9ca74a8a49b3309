//! The check of an event's slots: what the schema requires, and the types of what rules read.

use petrel_cel::{Paths, Slot, SlotId, Value};

use super::{SchemaViolation, TriggerSchema};

/// A compiled check for one set of paths.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchemaCheck {
    steps: Vec<Step>,
}

/// Steps stand in the order of the schema; the first that fails is told.
#[derive(Debug, Clone)]
enum Step {
    /// What stands there is of one of these types.
    Types(SlotId, Box<[String]>, String),
    /// If the first is an object, there is something at the second.
    Required(SlotId, SlotId, String),
    /// What stands there is read whole: all of it is checked.
    Whole(SlotId, Node, String),
}

/// What is checked of a value, and of what is in it.
#[derive(Debug, Clone, Default)]
struct Node {
    types: Option<Vec<String>>,
    required: Vec<Box<str>>,
    properties: Vec<(Box<str>, Node)>,
    items: Option<Box<Node>>,
}

impl TriggerSchema {
    /// What to check for rules that read these paths; what is required is added to them.
    pub(crate) fn check(&self, paths: &mut Paths) -> SchemaCheck {
        let read: Vec<bool> = paths.iter().map(|_| true).collect();
        let mut check = SchemaCheck::default();
        self.steps(SlotId::ROOT, "", &read, paths, &mut check.steps);
        check
    }

    /// `read` says which paths rules read, or read below.
    fn steps(&self, slot: SlotId, at: &str, read: &[bool], paths: &mut Paths, steps: &mut Vec<Step>) {
        let is_read = |slot: SlotId| read.get(slot.index()).is_some_and(|read| *read);
        if is_read(slot) && paths.get(slot).whole {
            let node = self.node();
            if !node.is_empty() {
                steps.push(Step::Whole(slot, node, at.to_owned()));
            }
            return;
        }
        // The root is on the way to every path, but without paths nobody reads it.
        if let Some(types) = self.types.as_ref().filter(|_| is_read(slot) && (slot != SlotId::ROOT || read.len() > 1)) {
            steps.push(Step::Types(slot, types.clone().into(), at.to_owned()));
        }
        for name in &self.required {
            let required = paths.child(slot, name);
            steps.push(Step::Required(slot, required, below(at, name)));
        }
        for (name, schema) in &self.properties {
            let is_known = paths.find(slot, name).is_some_and(is_read);
            if schema.requires() || (is_known && schema.has_types()) {
                let child = paths.child(slot, name);
                schema.steps(child, &below(at, name), read, paths, steps);
            }
        }
    }

    /// Whether it requires anything at or below.
    fn requires(&self) -> bool {
        !self.required.is_empty() || self.properties.iter().any(|(_, below)| below.requires())
    }

    /// Whether it says anything of types at or below.
    fn has_types(&self) -> bool {
        self.types.is_some() || self.items.is_some() || self.properties.iter().any(|(_, below)| below.has_types())
    }

    fn node(&self) -> Node {
        let properties = self.properties.iter().map(|(name, schema)| (name.clone(), schema.node()));
        Node {
            types: self.types.clone(),
            required: self.required.clone(),
            properties: properties.filter(|(_, node)| !node.is_empty()).collect(),
            items: self.items.as_deref().map(|items| Box::new(items.node())).filter(|node| !node.is_empty()),
        }
    }
}

impl SchemaCheck {
    /// Checks the slots of an event.
    pub fn run(&self, slots: &[Slot<'_>]) -> Result<(), SchemaViolation> {
        for step in &self.steps {
            match step {
                Step::Types(slot, types, at) => {
                    let found = slots[slot.index()];
                    if !matches!(found, Slot::Absent) && !types.iter().any(|name| is_of_type(found, name)) {
                        return violation(at, types.join(" or "), type_of(found));
                    }
                }
                Step::Required(parent, slot, at) => {
                    let object = matches!(slots[parent.index()], Slot::Object | Slot::Value(Value::Map(_)));
                    if object && matches!(slots[slot.index()], Slot::Absent) {
                        return violation(at, "a value".to_owned(), "nothing");
                    }
                }
                Step::Whole(slot, node, at) => {
                    if let Slot::Value(value) = slots[slot.index()] {
                        node.check(value, &mut at.clone())?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.types.is_none() && self.required.is_empty() && self.properties.is_empty() && self.items.is_none()
    }

    /// `at` is the value's JSON pointer, given back as it was.
    fn check(&self, value: Value<'_>, at: &mut String) -> Result<(), SchemaViolation> {
        if let Some(types) = &self.types
            && !types.iter().any(|name| is_of_type(Slot::Value(value), name))
        {
            return violation(at, types.join(" or "), type_of(Slot::Value(value)));
        }
        let length = at.len();
        match value {
            Value::Map(map) => {
                if let Some(name) = self.required.iter().find(|name| map.get(&Value::String(name)).is_none()) {
                    return violation(&below(at, name), "a value".to_owned(), "nothing");
                }
                for (name, node) in &self.properties {
                    if let Some(value) = map.get(&Value::String(name)) {
                        at.push_str(&below("", name));
                        node.check(value, at)?;
                        at.truncate(length);
                    }
                }
            }
            Value::List(list) => {
                if let Some(node) = &self.items {
                    at.push_str("/*");
                    list.iter().try_for_each(|element| node.check(element, at))?;
                    at.truncate(length);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn violation(at: &str, expected: String, found: &'static str) -> Result<(), SchemaViolation> {
    Err(SchemaViolation { path: at.to_owned(), expected, found })
}

fn is_of_type(found: Slot<'_>, name: &str) -> bool {
    match (name, found) {
        ("number", Slot::Value(Value::Int(_) | Value::Uint(_) | Value::Double(_))) => true,
        ("integer", Slot::Value(Value::Double(double))) => double.fract() == 0.0,
        (name, found) => name == type_of(found),
    }
}

fn type_of(found: Slot<'_>) -> &'static str {
    let Slot::Value(value) = found else { return "object" };
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::Uint(_) => "integer",
        Value::Double(_) => "number",
        Value::String(_) => "string",
        Value::List(_) => "array",
        _ => "object",
    }
}

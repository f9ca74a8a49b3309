//! What a trigger's schema asks of the slots (DESIGN §4, `validate: paths`): that what is required is
//! there, and the types of the paths that rules read. Full validation is somebody else's.

use petrel_cel::{Map, Paths, Slot, SlotId, Value};

use super::Reads;
use crate::schema::{SchemaViolation, TriggerSchema};

/// A compiled check: one look at a slot per path that the schema and the rules both name.
#[derive(Debug, Clone, Default)]
pub struct SchemaCheck {
    /// In the schema's order, an object before its members.
    checks: Box<[SlotCheck]>,
}

#[derive(Debug, Clone)]
struct SlotCheck {
    slot: SlotId,
    /// JSON pointer of the slot.
    path: Box<str>,
    expect: Expect,
}

#[derive(Debug, Clone)]
enum Expect {
    /// Of what is read in parts.
    Parts {
        types: Types,
        /// Slots that must not be absent, with their JSON pointers.
        required: Box<[(SlotId, Box<str>)]>,
    },
    /// Of what is read whole.
    Whole(Node),
}

/// The part of a schema that concerns a value that is read whole.
#[derive(Debug, Clone, Default)]
struct Node {
    types: Types,
    required: Box<[Box<str>]>,
    properties: Box<[(Box<str>, Node)]>,
    items: Option<Box<Node>>,
}

/// Types that a value may have.
#[derive(Debug, Clone, Default)]
struct Types {
    /// Bits of [`kinds`]; none if every type will do.
    kinds: Option<u8>,
    /// As the schema names them.
    names: Box<str>,
}

impl SchemaCheck {
    /// The check for a trigger of which rules read `reads`. Adds what else it has to see to `paths`, the
    /// paths of the slots that it will look at.
    pub fn new(schema: &TriggerSchema, reads: &Reads, paths: &mut Paths) -> Self {
        let mut checks = Vec::new();
        let read = reads.any(SlotId::ROOT).then_some(SlotId::ROOT);
        Compile { reads, paths, checks: &mut checks }.node(schema, read, &mut Vec::new());
        Self { checks: checks.into() }
    }

    /// Checks the slots of an event, which were filled by the paths that the check was made with.
    ///
    /// # Errors
    /// The first violation.
    #[inline]
    pub fn check(&self, slots: &[Slot<'_>]) -> Result<(), SchemaViolation> {
        self.checks.iter().try_for_each(|check| check.check(slots))
    }
}

struct Compile<'c> {
    reads: &'c Reads,
    paths: &'c mut Paths,
    checks: &'c mut Vec<SlotCheck>,
}

impl Compile<'_> {
    /// Adds the checks of the path `steps`, which is `read` among the paths that rules read.
    fn node<'s>(&mut self, schema: &'s TriggerSchema, read: Option<SlotId>, steps: &mut Vec<&'s str>) {
        if read.is_some_and(|id| self.reads.whole(id)) {
            let node = Node::new(schema);
            if !node.is_empty() {
                self.add(steps, Expect::Whole(node));
            }
            return;
        }
        let types = schema.types.as_deref().filter(|_| read.is_some()).map(Types::new).unwrap_or_default();
        let mut required = Vec::new();
        for name in &schema.required {
            steps.push(name);
            required.push((self.slot(steps), pointer(steps)));
            steps.pop();
        }
        if types.kinds.is_some() || !required.is_empty() {
            self.add(steps, Expect::Parts { types, required: required.into() });
        }
        for (name, below) in &schema.properties {
            steps.push(name);
            let read = read.and_then(|id| self.paths.find(id, name)).filter(|id| self.reads.any(*id));
            self.node(below, read, steps);
            steps.pop();
        }
    }

    fn add(&mut self, steps: &[&str], expect: Expect) {
        let check = SlotCheck { slot: self.slot(steps), path: pointer(steps), expect };
        self.checks.push(check);
    }

    fn slot(&mut self, steps: &[&str]) -> SlotId {
        steps.iter().fold(SlotId::ROOT, |id, step| self.paths.child(id, step))
    }
}

impl SlotCheck {
    #[inline]
    fn check(&self, slots: &[Slot<'_>]) -> Result<(), SchemaViolation> {
        let slot = slots.get(self.slot.index()).copied().unwrap_or_default();
        match (&self.expect, slot) {
            (_, Slot::Absent) => Ok(()),
            (Expect::Parts { types, required }, slot) => {
                let (kinds, found) = match slot {
                    Slot::Value(value) => kinds(value),
                    Slot::Object | Slot::Absent => (OBJECT, "object"),
                };
                types.check(kinds, || (self.path.to_string(), found))?;
                let absent = |id: &SlotId| slots.get(id.index()).is_none_or(|s| matches!(s, Slot::Absent));
                match required.iter().find(|(id, _)| kinds == OBJECT && absent(id)) {
                    Some((_, path)) => missing(path.to_string()),
                    None => Ok(()),
                }
            }
            (Expect::Whole(node), Slot::Value(value)) => node.check(value, &|| self.path.to_string()),
            // What is read whole is never left in parts.
            (Expect::Whole(_), Slot::Object) => Ok(()),
        }
    }
}

impl Node {
    fn new(schema: &TriggerSchema) -> Self {
        let below = |(name, schema): &(Box<str>, TriggerSchema)| (name.clone(), Self::new(schema));
        Self {
            types: schema.types.as_deref().map(Types::new).unwrap_or_default(),
            required: schema.required.clone().into(),
            properties: schema.properties.iter().map(below).filter(|(_, node)| !node.is_empty()).collect(),
            items: schema.items.as_deref().map(|s| Box::new(Self::new(s))).filter(|node| !node.is_empty()),
        }
    }

    fn is_empty(&self) -> bool {
        self.types.kinds.is_none() && self.required.is_empty() && self.properties.is_empty() && self.items.is_none()
    }

    /// `path` gives the value's JSON pointer, which is only needed for what does not fit.
    fn check(&self, value: Value<'_>, path: &dyn Fn() -> String) -> Result<(), SchemaViolation> {
        let (kinds, found) = kinds(value);
        self.types.check(kinds, || (path(), found))?;
        if let Value::Map(map) = value {
            for name in &self.required {
                if member(map, name).is_none() {
                    return missing(below(path, name));
                }
            }
            for (name, node) in &self.properties {
                if let Some(value) = member(map, name) {
                    node.check(value, &|| below(path, name))?;
                }
            }
        }
        if let (Some(node), Value::List(list)) = (&self.items, value) {
            for element in list.iter() {
                node.check(element, &|| below(path, "*"))?;
            }
        }
        Ok(())
    }
}

const NULL: u8 = 1;
const BOOLEAN: u8 = 1 << 1;
const INTEGER: u8 = 1 << 2;
const NUMBER: u8 = 1 << 3;
const STRING: u8 = 1 << 4;
const ARRAY: u8 = 1 << 5;
const OBJECT: u8 = 1 << 6;

impl Types {
    fn new(names: &[String]) -> Self {
        let kinds = names.iter().fold(0, |kinds, name| {
            kinds
                | match name.as_str() {
                    "null" => NULL,
                    "boolean" => BOOLEAN,
                    "integer" => INTEGER,
                    "number" => NUMBER | INTEGER,
                    "string" => STRING,
                    "array" => ARRAY,
                    "object" => OBJECT,
                    _ => 0,
                }
        });
        Self { kinds: Some(kinds), names: names.join(" or ").into() }
    }

    /// `at` gives the JSON pointer and the type of what was found.
    #[inline]
    fn check(&self, kinds: u8, at: impl FnOnce() -> (String, &'static str)) -> Result<(), SchemaViolation> {
        match self.kinds {
            Some(allowed) if allowed & kinds == 0 => {
                let (path, found) = at();
                Err(SchemaViolation { path, expected: self.names.to_string(), found })
            }
            _ => Ok(()),
        }
    }
}

/// The types that a value counts as, and the name of its own. An integer may be written with a fraction
/// of zero.
fn kinds(value: Value<'_>) -> (u8, &'static str) {
    match value {
        Value::Null => (NULL, "null"),
        Value::Bool(_) => (BOOLEAN, "boolean"),
        Value::Int(_) | Value::Uint(_) => (INTEGER, "integer"),
        Value::Double(double) if double.fract() == 0.0 => (NUMBER | INTEGER, "number"),
        Value::Double(_) => (NUMBER, "number"),
        Value::String(_) => (STRING, "string"),
        Value::List(_) => (ARRAY, "array"),
        _ => (OBJECT, "object"),
    }
}

/// The member of that name of a map whose keys are texts.
pub(super) fn member<'a>(map: Map<'a>, name: &str) -> Option<Value<'a>> {
    let Map::Values(entries) = map else { return None };
    let key = |entry: &(Value<'a>, Value<'a>)| match entry.0 {
        Value::String(key) => key,
        _ => "",
    };
    entries.binary_search_by(|entry| key(entry).cmp(name)).ok().map(|i| entries[i].1)
}

fn missing(path: String) -> Result<(), SchemaViolation> {
    Err(SchemaViolation { path, expected: "a value".into(), found: "nothing" })
}

fn pointer(steps: &[&str]) -> Box<str> {
    steps.iter().fold(String::new(), |path, step| below(&|| path.clone(), step)).into()
}

/// The JSON pointer one step below another.
fn below(path: &dyn Fn() -> String, step: &str) -> String {
    format!("{}/{}", path(), step.replace('~', "~0").replace('/', "~1"))
}

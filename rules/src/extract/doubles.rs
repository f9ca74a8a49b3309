//! Which numbers of an event are always doubles.

use std::collections::HashMap;

use crate::schema_check::TriggerSchema;

/// The paths whose numbers are doubles however they are written, because a schema says `type: number`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Doubles {
    /// Whether a number here is a double.
    pub here: bool,
    /// Named members of an object here.
    pub fields: HashMap<Box<str>, Doubles>,
    /// Members of an object here that are not in `fields`.
    pub other_fields: Option<Box<Doubles>>,
    /// Elements of an array here.
    pub items: Option<Box<Doubles>>,
}

impl Doubles {
    /// What a schema calls `number`, and not `integer` too.
    pub fn new(schema: &TriggerSchema) -> Self {
        let is = |name: &str| schema.types.iter().flatten().any(|t| t == name);
        let some = |schema: &TriggerSchema| Some(Self::new(schema)).filter(|d| !d.is_empty());
        let other_fields = schema.other_properties.as_deref().and_then(some);
        // A named member without doubles must be there if it is an exception to the others.
        let named = |schema: &TriggerSchema| some(schema).or_else(|| other_fields.as_ref().map(|_| Self::default()));
        let fields = schema.properties.iter().filter_map(|(name, s)| Some((name.clone(), named(s)?)));
        Self {
            here: is("number") && !is("integer"),
            fields: fields.collect(),
            items: schema.items.as_deref().and_then(some).map(Box::new),
            other_fields: other_fields.map(Box::new),
        }
    }

    /// What holds for the member of that name.
    pub fn field(&self, name: &str) -> Option<&Doubles> {
        self.fields.get(name).or(self.other_fields.as_deref())
    }

    /// Whether no number is meant.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

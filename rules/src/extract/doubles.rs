//! Which numbers of an event are always doubles.

use std::collections::HashMap;

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
    /// What holds for the member of that name.
    pub fn field(&self, name: &str) -> Option<&Doubles> {
        self.fields.get(name).or(self.other_fields.as_deref())
    }

    /// Whether no number is meant.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

//! What an extractor found at one path of an event.

use crate::value::Value;

/// What stands at a path. An extractor fills one slot per entry of [`Paths`](crate::Paths).
#[derive(Debug, Clone, Copy, Default)]
pub enum Slot<'a> {
    /// Nothing, or something above is missing or no object.
    #[default]
    Absent,
    /// An object that nobody reads whole: only the slots below it tell of its members.
    Object,
    /// A value. Where nobody reads the path itself, only its type is right (a list may be empty).
    Value(Value<'a>),
}

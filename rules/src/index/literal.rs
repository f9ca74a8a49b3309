//! What the index knows of a rule: conditions that must hold for it to match.
//!
//! A rule's *cover* is a list of [`Clause`]s. If the rule matches an event, every literal of at least one
//! clause holds for it. The reverse is not true: covers only propose, the rule's program decides.

use petrel_cel::SlotId;

/// A conjunction of necessary conditions; one without literals holds always.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clause {
    pub literals: Vec<Literal>,
}

/// A condition on the value at one path.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// It equals one of these keys: `x == k`, `x in [k, l]`. Sorted, without duplicates, at least one.
    OneOf(SlotId, Box<[Key]>),
    /// It is a list with an element, or a map with a key, that equals one of these: `'v' in x`,
    /// `x.exists(e, e == 'v')`. Sorted, without duplicates, at least one.
    HasOneOf(SlotId, Box<[Key]>),
    /// It is a number, and rounded to a double within these bounds, which are inclusive. An open side is
    /// an infinity. (`>` and `<` become `>=` and `<=`: the index proposes a little more.)
    Range(SlotId, f64, f64),
    /// It is a string that begins with this.
    Prefix(SlotId, Box<str>),
    /// It is a string that ends with this.
    Suffix(SlotId, Box<str>),
    /// It is a string that contains this, which is not empty.
    Substring(SlotId, Box<str>),
    /// It is there, whatever it is: [`petrel_cel::Slot::Object`] and null too.
    Present(SlotId),
    /// It is not there: [`petrel_cel::Slot::Absent`].
    Absent(SlotId),
}

impl Literal {
    /// The path that it is about.
    pub fn slot(&self) -> SlotId {
        match self {
            Self::OneOf(slot, _)
            | Self::HasOneOf(slot, _)
            | Self::Range(slot, ..)
            | Self::Prefix(slot, _)
            | Self::Suffix(slot, _)
            | Self::Substring(slot, _)
            | Self::Present(slot)
            | Self::Absent(slot) => *slot,
        }
    }
}

/// A value that equality is indexed by. Two values that the language calls equal have the same key; two
/// with the same key need not be equal (large integers).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Null.
    Null,
    /// A bool.
    Bool(bool),
    /// A number of any type, rounded to a double: its bits, with -0.0 as 0.0. Never NaN.
    Number(u64),
    /// A string.
    String(Box<str>),
}

impl Key {
    /// The key of a number; NaN, which equals nothing, has none.
    pub fn number(double: f64) -> Option<Self> {
        // Adding 0.0 makes 0.0 of -0.0.
        (!double.is_nan()).then(|| Self::Number((double + 0.0).to_bits()))
    }
}

//! Sets of types: what a sub-expression may be.

use std::fmt;

use super::hint::article;
use crate::owned::OwnedValue;
use crate::value::{Type, Value};

/// The types that a value may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u16);

const ALL: [Type; 16] = [
    Type::Null,
    Type::Bool,
    Type::Int,
    Type::Uint,
    Type::Double,
    Type::String,
    Type::Bytes,
    Type::List,
    Type::Map,
    Type::Timestamp,
    Type::Duration,
    Type::Type,
    Type::Optional,
    Type::Ip,
    Type::Cidr,
    Type::Semver,
];

impl Types {
    pub const NONE: Self = Self(0);
    pub const ANY: Self = Self(u16::MAX);
    pub const BOOL: Self = Self::of(Type::Bool);
    pub const INT: Self = Self::of(Type::Int);
    pub const STRING: Self = Self::of(Type::String);
    pub const LIST: Self = Self::of(Type::List);
    pub const MAP: Self = Self::of(Type::Map);
    pub const NUMBER: Self = Self::these(&[Type::Int, Type::Uint, Type::Double]);

    /// One type.
    pub const fn of(of: Type) -> Self {
        Self(1 << of as u16)
    }

    /// Some types.
    pub const fn these(types: &[Type]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < types.len() {
            set |= Self::of(types[at]).0;
            at += 1;
        }
        Self(set)
    }

    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn has(self, of: Type) -> bool {
        self.overlaps(Self::of(of))
    }

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub fn iter(self) -> impl Iterator<Item = Type> {
        ALL.into_iter().filter(move |t| self.has(*t))
    }

    /// The types that a value of these may be equal to: numbers equal numbers.
    pub fn equals(self) -> Self {
        if self.overlaps(Self::NUMBER) { self.or(Self::NUMBER) } else { self }
    }

    /// The type of a constant.
    pub fn of_value(value: &OwnedValue) -> Self {
        Self::of(value.value().type_of())
    }

    /// The types of what a constant is looked through for: a list's elements, a map's keys.
    pub fn inside(value: &OwnedValue) -> Self {
        let union = |set: Self, value: Value<'_>| set.or(Self::of(value.type_of()));
        match value.value() {
            Value::List(list) => list.iter().fold(Self::NONE, union),
            Value::Map(map) => map.iter().map(|(key, _)| key).fold(Self::NONE, union),
            _ => Self::ANY,
        }
    }
}

impl FromIterator<Type> for Types {
    fn from_iter<I: IntoIterator<Item = Type>>(types: I) -> Self {
        types.into_iter().fold(Self::NONE, |set, of| set.or(Self::of(of)))
    }
}

/// The type of that name, if it is one.
pub(super) fn type_named(name: &str) -> Option<Type> {
    ALL.into_iter().find(|t| t.name() == name)
}

/// All names of types.
pub(super) fn type_names() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().map(Type::name)
}

/// For people: `a string`, `null or an int`.
impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, of) in self.iter().enumerate() {
            let or = if at == 0 { "" } else { " or " };
            match of {
                Type::Null => write!(f, "{or}null")?,
                Type::Bytes => write!(f, "{or}bytes")?,
                Type::Timestamp => write!(f, "{or}a timestamp")?,
                Type::Duration => write!(f, "{or}a duration")?,
                Type::Optional => write!(f, "{or}an optional")?,
                Type::Ip => write!(f, "{or}an IP address")?,
                Type::Cidr => write!(f, "{or}a network")?,
                Type::Semver => write!(f, "{or}a version")?,
                _ => write!(f, "{or}{} {}", article(of.name()), of.name())?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

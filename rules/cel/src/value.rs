//! Values: small, `Copy`, borrowed from the event, the expression's constants or the [`Arena`](crate::Arena).

use core::net::IpAddr;

use crate::owned::OwnedValue;
use crate::time::{Duration, Timestamp};
use crate::tree::TextMap;
use crate::version::Version;

/// What an expression computes with. Numbers keep the type that they were written with; equality and
/// order are CEL's and live in `eval::compare`, which is why there is no `PartialEq`.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// JSON's null.
    Null,
    /// A bool.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer; of JSON only what does not fit an int.
    Uint(u64),
    /// A double.
    Double(f64),
    /// A string; sizes and positions count code points.
    String(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list.
    List(List<'a>),
    /// A map.
    Map(Map<'a>),
    /// An instant, years 1 to 9999.
    Timestamp(Timestamp),
    /// A span of time.
    Duration(Duration),
    /// A type.
    Type(Type),
    /// An optional value.
    Optional(Option<&'a Value<'a>>),
    /// An IP address.
    Ip(IpAddr),
    /// A network.
    Cidr(Cidr),
    /// A semantic version (semver.org 2.0.0).
    Semver(Version<'a>),
}

/// A network in CIDR notation, as it was written: host bits may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

/// A list, of which the elements were computed or are constants.
#[derive(Debug, Clone, Copy)]
pub enum List<'a> {
    /// Computed, or from the event.
    Values(&'a [Value<'a>]),
    /// Constants and what outlives events.
    Owned(&'a [OwnedValue]),
}

/// A map, its entries sorted by `eval::compare::key_order` and without equal keys.
#[derive(Debug, Clone, Copy)]
pub enum Map<'a> {
    /// Computed, or from the event.
    Values(&'a [(Value<'a>, Value<'a>)]),
    /// Constants and what outlives events.
    Owned(&'a [(OwnedValue, OwnedValue)]),
    /// The key-value store.
    Texts(&'a TextMap),
}

/// The types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// `null_type`
    Null,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `uint`
    Uint,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `list`
    List,
    /// `map`
    Map,
    /// `google.protobuf.Timestamp`
    Timestamp,
    /// `google.protobuf.Duration`
    Duration,
    /// `type`, the type of types.
    Type,
    /// `optional_type`
    Optional,
    /// `net.IP`
    Ip,
    /// `net.CIDR`
    Cidr,
    /// `semver`
    Semver,
}

impl Type {
    /// The type's name in the language.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::List => "list",
            Self::Map => "map",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::Type => "type",
            Self::Optional => "optional_type",
            Self::Ip => "net.IP",
            Self::Cidr => "net.CIDR",
            Self::Semver => "semver",
        }
    }
}

impl Value<'_> {
    /// The value's type.
    pub fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::List(_) => Type::List,
            Self::Map(_) => Type::Map,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Duration(_) => Type::Duration,
            Self::Type(_) => Type::Type,
            Self::Optional(_) => Type::Optional,
            Self::Ip(_) => Type::Ip,
            Self::Cidr(_) => Type::Cidr,
            Self::Semver(_) => Type::Semver,
        }
    }
}

impl<'a> List<'a> {
    /// Number of elements.
    pub fn len(self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Owned(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element of that number, from 0.
    pub fn get(self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Values(values) => values.get(index).copied(),
            Self::Owned(values) => values.get(index).map(OwnedValue::value),
        }
    }

    /// The elements in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Value<'a>> + ExactSizeIterator + Clone {
        // The bound was read from the list itself.
        (0..self.len()).map(move |i| self.get(i).unwrap_or(Value::Null))
    }
}

impl<'a> Map<'a> {
    /// Number of entries.
    pub fn len(self) -> usize {
        match self {
            Self::Values(entries) => entries.len(),
            Self::Owned(entries) => entries.len(),
            Self::Texts(entries) => entries.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The entry of that number, from 0, in the order of keys.
    pub fn entry(self, index: usize) -> Option<(Value<'a>, Value<'a>)> {
        match self {
            Self::Values(entries) => entries.get(index).copied(),
            Self::Owned(entries) => entries.get(index).map(|(key, value)| (key.value(), value.value())),
            Self::Texts(entries) => entries.entry(index),
        }
    }

    /// The entries in the order of their keys.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (Value<'a>, Value<'a>)> + ExactSizeIterator + Clone {
        // The bound was read from the map itself.
        (0..self.len()).map(move |i| self.entry(i).unwrap_or((Value::Null, Value::Null)))
    }
}

// Values are copied all the time: what makes them larger must be worth it.
const _: () = assert!(size_of::<Value<'_>>() <= 32);

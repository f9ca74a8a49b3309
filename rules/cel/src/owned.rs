//! Values that own what they hold: constants, the key-value store.

use core::net::IpAddr;

use crate::time::{Duration, Timestamp};
use crate::value::{Cidr, List, Map, Type, Value};
use crate::version::Version;

/// A value that borrows from nothing; [`OwnedValue::value`] looks at it as a [`Value`] without copying.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // As the variants of `Value`.
pub enum OwnedValue {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    Bytes(Box<[u8]>),
    List(Box<[OwnedValue]>),
    /// Sorted, without equal keys: make it with `OwnedValue::map`.
    Map(Box<[(OwnedValue, OwnedValue)]>),
    Timestamp(Timestamp),
    Duration(Duration),
    Type(Type),
    Ip(IpAddr),
    Cidr(Cidr),
    /// The text of a [`Version`].
    Semver(Box<str>),
}

impl OwnedValue {
    /// The value, borrowed.
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Int(int) => Value::Int(*int),
            Self::Uint(uint) => Value::Uint(*uint),
            Self::Double(double) => Value::Double(*double),
            Self::String(text) => Value::String(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::List(elements) => Value::List(List::Owned(elements)),
            Self::Map(entries) => Value::Map(Map::Owned(entries)),
            Self::Timestamp(timestamp) => Value::Timestamp(*timestamp),
            Self::Duration(duration) => Value::Duration(*duration),
            Self::Type(of) => Value::Type(*of),
            Self::Ip(ip) => Value::Ip(*ip),
            Self::Cidr(cidr) => Value::Cidr(*cidr),
            Self::Semver(version) => Value::Semver(Version::checked(version)),
        }
    }
}

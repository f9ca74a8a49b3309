//! Values that own what they hold: constants, the key-value store.

use core::net::IpAddr;

use crate::eval::compare;
use crate::time::{Duration, Timestamp};
use crate::value::{Cidr, List, Map, Type, Value};
use crate::version::Version;

/// A value that borrows from nothing; [`OwnedValue::value`] looks at it as a [`Value`] without copying.
#[derive(Debug, Clone)]
pub enum OwnedValue {
    /// JSON's null.
    Null,
    /// A bool.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A double.
    Double(f64),
    /// A string.
    String(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// A list.
    List(Box<[OwnedValue]>),
    /// Sorted, without equal keys: make it with `OwnedValue::map`.
    Map(Box<[(OwnedValue, OwnedValue)]>),
    /// An instant.
    Timestamp(Timestamp),
    /// A span of time.
    Duration(Duration),
    /// A type.
    Type(Type),
    /// An IP address.
    Ip(IpAddr),
    /// A network.
    Cidr(Cidr),
    /// The text of a [`Version`].
    Semver(Box<str>),
}

impl OwnedValue {
    /// A text.
    pub fn string(text: &str) -> Self {
        Self::String(text.into())
    }

    /// A list.
    pub fn list(elements: impl IntoIterator<Item = Self>) -> Self {
        Self::List(elements.into_iter().collect())
    }

    /// A map of these entries, in any order. `None` if two keys are equal, or one is neither a bool nor an
    /// integer nor a string.
    pub fn map(entries: impl IntoIterator<Item = (Self, Self)>) -> Option<Self> {
        let mut entries: Box<[_]> = entries.into_iter().collect();
        if !entries.iter().all(|(key, _)| compare::can_be_key(&key.value())) {
            return None;
        }
        entries.sort_unstable_by(|(a, _), (b, _)| compare::key_order(&a.value(), &b.value()));
        let unique = entries.windows(2).all(|pair| compare::key_order(&pair[0].0.value(), &pair[1].0.value()).is_ne());
        unique.then_some(Self::Map(entries))
    }

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

impl Value<'_> {
    /// A copy that borrows from nothing, of at most so many bytes. `None` if it is larger, or is or holds an
    /// optional, which cannot outlive an evaluation.
    pub fn to_owned_value(&self, bytes_max: usize) -> Option<OwnedValue> {
        let mut left = bytes_max;
        owned(self, &mut left)
    }
}

/// The bound counts every occurrence of what is in memory once: a list may hold another many times.
fn owned(value: &Value<'_>, left: &mut usize) -> Option<OwnedValue> {
    let mut pay = |bytes: usize| {
        *left = left.checked_sub(bytes)?;
        Some(())
    };
    pay(size_of::<OwnedValue>())?;
    Some(match value {
        Value::Null => OwnedValue::Null,
        Value::Bool(bool) => OwnedValue::Bool(*bool),
        Value::Int(int) => OwnedValue::Int(*int),
        Value::Uint(uint) => OwnedValue::Uint(*uint),
        Value::Double(double) => OwnedValue::Double(*double),
        Value::String(text) => {
            pay(text.len())?;
            OwnedValue::string(text)
        }
        Value::Bytes(bytes) => {
            pay(bytes.len())?;
            OwnedValue::Bytes((*bytes).into())
        }
        Value::List(list) => OwnedValue::List(list.iter().map(|value| owned(&value, left)).collect::<Option<_>>()?),
        // The entries are in order already.
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| Some((owned(&key, left)?, owned(&value, left)?)));
            OwnedValue::Map(entries.collect::<Option<_>>()?)
        }
        Value::Timestamp(timestamp) => OwnedValue::Timestamp(*timestamp),
        Value::Duration(duration) => OwnedValue::Duration(*duration),
        Value::Type(of) => OwnedValue::Type(*of),
        Value::Optional(_) => return None,
        Value::Ip(ip) => OwnedValue::Ip(*ip),
        Value::Cidr(cidr) => OwnedValue::Cidr(*cidr),
        Value::Semver(version) => {
            pay(version.as_str().len())?;
            OwnedValue::Semver(version.as_str().into())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::compare::equal;
    use crate::value::List;

    fn int(int: i64) -> OwnedValue {
        OwnedValue::Int(int)
    }

    #[test]
    fn maps_are_sorted_and_checked() {
        let text = OwnedValue::string;
        let map = OwnedValue::map([
            (text("b"), int(1)),
            (int(7), int(2)),
            (text("a"), int(3)),
            (OwnedValue::Bool(true), int(4)),
        ]);
        let Some(OwnedValue::Map(entries)) = map else { panic!("no map") };
        let values: Vec<_> = entries.iter().map(|(_, value)| value.value()).collect();
        let expected = [Value::Int(4), Value::Int(2), Value::Int(3), Value::Int(1)];
        assert!(equal(&Value::List(List::Values(&values)), &Value::List(List::Values(&expected))), "{values:?}");

        assert!(OwnedValue::map([]).is_some());
        assert!(OwnedValue::map([(int(1), int(1)), (OwnedValue::Uint(1), int(2))]).is_none());
        assert!(OwnedValue::map([(text("a"), int(1)), (text("a"), int(1))]).is_none());
        assert!(OwnedValue::map([(OwnedValue::Double(1.0), int(1))]).is_none());
        assert!(OwnedValue::map([(OwnedValue::Null, int(1))]).is_none());
    }

    #[test]
    fn copies_are_equal_and_bounded() {
        let inner = OwnedValue::map([(OwnedValue::string("k"), OwnedValue::Bytes([1, 2].into()))]);
        let value = OwnedValue::list([OwnedValue::Null, OwnedValue::Double(1.5), inner.expect("a map")]);
        let value = value.value();
        let copy = value.to_owned_value(1_000).expect("small enough");
        assert!(equal(&value, &copy.value()));
        assert!(value.to_owned_value(100).is_none());

        let none = [Value::Int(1), Value::Optional(None)];
        assert!(Value::List(List::Values(&none)).to_owned_value(1_000).is_none());

        // 2^60 elements, in sixty lists of two.
        let arena = crate::arena::Arena::new();
        let mut value = Value::Int(1);
        for _ in 0..60 {
            value = Value::List(List::Values(arena.slice(&[value, value])));
        }
        assert!(value.to_owned_value(1 << 20).is_none());
    }
}

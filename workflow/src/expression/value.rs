//! JSON values that share what they hold.

use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

/// A JSON value whose clones are cheap: strings, lists and maps are shared.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer or a double; `1` and `1.0` are different.
    Number(Number),
    /// Text.
    String(Arc<str>),
    /// A list.
    List(List),
    /// A map, in the order in which its keys were added.
    Map(Map),
}

/// A shared list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List(Arc<ListItems>);

/// A shared map.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map(Arc<MapEntries>);

/// How the engines see a list or map, each once it was asked for: it is converted once, however many expressions read it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub yaql: OnceLock<Box<petrel_yaql::Value>>,
    pub cel: OnceLock<Box<petrel_cel::OwnedValue>>,
}

/// What a list holds, as engines of expressions hold it.
#[derive(Debug, Default)]
pub(super) struct ListItems {
    items: Vec<Value>,
    pub seen: Seen,
}

/// What a map holds.
#[derive(Debug, Default)]
pub(super) struct MapEntries {
    entries: IndexMap<Arc<str>, Value>,
    pub seen: Seen,
}

impl PartialEq for ListItems {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

/// The order of entries does not count.
impl PartialEq for MapEntries {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl ListItems {
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

impl MapEntries {
    pub fn entries(&self) -> &IndexMap<Arc<str>, Value> {
        &self.entries
    }
}

impl List {
    /// The items.
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    pub(super) fn shared(&self) -> &Arc<ListItems> {
        &self.0
    }
}

impl Map {
    /// One entry by its key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.entries.get(key)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> {
        self.0.entries.iter()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    pub(super) fn shared(&self) -> &Arc<MapEntries> {
        &self.0
    }
}

impl From<Arc<ListItems>> for List {
    fn from(shared: Arc<ListItems>) -> Self {
        List(shared)
    }
}

impl From<Arc<MapEntries>> for Map {
    fn from(shared: Arc<MapEntries>) -> Self {
        Map(shared)
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> Self {
        List(Arc::new(ListItems { items, seen: Seen::default() }))
    }
}

impl From<IndexMap<Arc<str>, Value>> for Map {
    fn from(entries: IndexMap<Arc<str>, Value>) -> Self {
        Map(Arc::new(MapEntries { entries, seen: Seen::default() }))
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        List::from(items.into_iter().collect::<Vec<_>>())
    }
}

impl FromIterator<(Arc<str>, Value)> for Map {
    /// The last of equal keys wins.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(entries: I) -> Self {
        Map::from(entries.into_iter().collect::<IndexMap<_, _>>())
    }
}

impl Value {
    /// A string.
    pub fn text(text: impl Into<Arc<str>>) -> Value {
        Value::String(text.into())
    }

    /// An entry of a map; none of anything else.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(list) => Some(list.items()),
            _ => None,
        }
    }

    /// A map.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// An integer that fits 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether Python takes it as true: all but `null`, `false`, zero and what is empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::List(list) => !list.items().is_empty(),
            Value::Map(map) => !map.is_empty(),
        }
    }

    /// The same as serde_json has it; copies everything.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::String(text) => (**text).into(),
            Value::List(list) => list.items().iter().map(Value::to_json).collect(),
            Value::Map(map) => map.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect(),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Number(value.into())
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(number) => Value::Number(number),
            serde_json::Value::String(text) => Value::text(text),
            serde_json::Value::Array(items) => Value::List(items.into_iter().map(Value::from).collect()),
            serde_json::Value::Object(entries) => {
                Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => number.serialize(serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::List(list) => serializer.collect_seq(list.items()),
            Value::Map(map) => serializer.collect_map(map.iter().map(|(key, value)| (&**key, value))),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Builds a value from whatever a format offers.
struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // As serde_json: what JSON cannot write is `null`.
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = IndexMap::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            map.insert(key.into(), value);
        }
        Ok(Value::Map(map.into()))
    }
}

//! The key-value store as expressions see it.

use std::collections::BTreeMap;

use petrel_cel::{Arena, OwnedValue, Value};

use crate::extract::{InvalidJson, document};

/// A version of the key-value store: `kv.name`, or `kv["a/b"]` for a key that is no identifier.
#[derive(Debug)]
pub struct Kv {
    values: OwnedValue,
}

/// A value of the store that is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("value of `{key}` is no JSON")]
pub struct InvalidKv {
    /// Its key.
    pub key: String,
    /// What is wrong.
    #[source]
    pub source: InvalidJson,
}

impl Kv {
    /// A store without keys.
    pub fn empty() -> Self {
        Self { values: OwnedValue::Map(Box::default()) }
    }

    /// A store of these keys and values, the values as JSON text; the last of equal keys wins.
    ///
    /// # Errors
    /// The first value that is no JSON.
    pub fn new<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self, InvalidKv>
    where
        K: Into<String>,
        V: AsRef<[u8]>,
    {
        let mut arena = Arena::new();
        // In the order of a map of strings: by code point, as bytes are.
        let mut values = BTreeMap::new();
        for (key, value) in entries {
            let key = key.into();
            arena.reset();
            let value = match document(value.as_ref(), &arena) {
                // JSON holds nothing that cannot be owned.
                Ok(value) => value.to_owned_value(usize::MAX).unwrap_or(OwnedValue::Null),
                Err(source) => return Err(InvalidKv { key, source }),
            };
            values.insert(key, value);
        }
        let entries = values.into_iter().map(|(key, value)| (OwnedValue::String(key.into()), value));
        Ok(Self { values: OwnedValue::Map(entries.collect()) })
    }

    pub(crate) fn value(&self) -> Value<'_> {
        self.values.value()
    }
}

impl<'k> From<&'k Kv> for Value<'k> {
    fn from(kv: &'k Kv) -> Self {
        kv.value()
    }
}

impl Default for Kv {
    fn default() -> Self {
        Self::empty()
    }
}

//! The key-value store as expressions see it.

use petrel_cel::{Arena, Map, TextMap, Value};

use crate::extract::{InvalidJson, document};

/// A version of the key-value store: `kv.name`, or `kv["a/b"]` for a key that is no identifier.
///
/// Cheap to clone. A changed copy shares all but a few nodes with the original, however many keys there are.
#[derive(Debug, Clone, Default)]
pub struct Kv {
    values: TextMap,
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
    pub const fn empty() -> Self {
        Self { values: TextMap::new() }
    }

    /// A store of these keys and values, the values as JSON text; the last of equal keys wins.
    ///
    /// # Errors
    /// The first value that is no JSON.
    pub fn new<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self, InvalidKv>
    where
        K: AsRef<str>,
        V: AsRef<[u8]>,
    {
        entries.into_iter().try_fold(Self::empty(), |kv, (key, value)| kv.with(key.as_ref(), value.as_ref()))
    }

    /// A copy in which the key has this value, a JSON text.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn with(&self, key: &str, value: &[u8]) -> Result<Self, InvalidKv> {
        let arena = Arena::new();
        let value = document(value, &arena).map_err(|source| InvalidKv { key: key.to_owned(), source })?;
        // JSON holds nothing that cannot be owned.
        let value = value.to_owned_value(usize::MAX).unwrap_or(petrel_cel::OwnedValue::Null);
        Ok(Self { values: self.values.with(key, value) })
    }

    /// A copy without the key.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self { values: self.values.without(key) }
    }

    /// A copy in which the key has this value, a JSON text, or is not there.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn changed(&self, key: &str, value: Option<&str>) -> Result<Self, InvalidKv> {
        match value {
            Some(value) => self.with(key, value.as_bytes()),
            None => Ok(self.without(key)),
        }
    }

    /// How many parts of this version are not parts of the other: what a change has cost.
    pub fn parts_not_in(&self, other: &Self) -> usize {
        self.values.nodes_not_in(&other.values)
    }

    pub(crate) fn value(&self) -> Value<'_> {
        Value::Map(Map::Texts(&self.values))
    }
}

impl<'k> From<&'k Kv> for Value<'k> {
    fn from(kv: &'k Kv) -> Self {
        kv.value()
    }
}

//! The key-value store as expressions see it.

use std::collections::HashMap;

use cel::common::types::{CelMap, CelMapKey, CelString};
use cel::common::value::Val;

use crate::json::{self, InvalidJson};

/// A version of the key-value store: `kv.name`, or `kv["a/b"]` for a key that is no identifier.
#[derive(Debug)]
pub struct Kv {
    values: CelMap<'static>,
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
        Self { values: CelMap::from(HashMap::new()) }
    }

    /// A store of these keys and values, the values as JSON text.
    ///
    /// # Errors
    /// The first value that is no JSON.
    pub fn new<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self, InvalidKv>
    where
        K: Into<String>,
        V: AsRef<[u8]>,
    {
        let mut values: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::new();
        for (key, value) in entries {
            let key = key.into();
            match json::parse_owned(value.as_ref()) {
                Ok(value) => values.insert(CelMapKey::String(CelString::from(key)), value),
                Err(source) => return Err(InvalidKv { key, source }),
            };
        }
        Ok(Self { values: CelMap::from(values) })
    }

    pub(crate) fn value(&self) -> &dyn Val {
        &self.values
    }
}

impl Default for Kv {
    fn default() -> Self {
        Self::empty()
    }
}

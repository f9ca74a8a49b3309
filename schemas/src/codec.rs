//! Avro single-object encoding of the stored records, and decoding by fingerprint.

use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::rabin::Rabin;
use apache_avro::{Schema, from_avro_datum, from_value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::registry::SCHEMAS;

/// Marker of Avro's single-object encoding.
const MARKER: [u8; 2] = [0xC3, 0x01];
/// Marker and fingerprint.
const HEADER_BYTES: usize = 10;

/// A record type that is stored on a topic.
pub trait Stored: Serialize + DeserializeOwned {
    /// Name of its schema, as in `avsc/<name>.v<version>.avsc`.
    const NAME: &'static str;
}

/// Declares that a struct is the newest version of the schema of that name.
macro_rules! stored {
    ($type:ident, $name:literal) => {
        impl crate::codec::Stored for $type {
            const NAME: &'static str = $name;
        }
    };
}
pub(crate) use stored;

/// Why bytes are no record of the wanted kind. None of these goes away by trying again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes do not begin with the marker of single-object encoding.
    #[error("not an Avro single-object record ({bytes} bytes)")]
    NotARecord {
        /// How many bytes there were.
        bytes: usize,
    },
    /// Written by a schema that this release does not know, as a newer one may.
    #[error("unknown schema fingerprint {fingerprint:016x}; it may come from a newer release")]
    UnknownSchema {
        /// CRC-64-AVRO fingerprint in the record.
        fingerprint: u64,
    },
    /// A record of another kind.
    #[error("expected a record of kind {expected}, found {found}")]
    OtherKind {
        /// Name of the schema that the caller wanted.
        expected: &'static str,
        /// Name of the schema that wrote the record.
        found: &'static str,
    },
    /// The header is right and the datum is not.
    #[error("corrupt {kind} record: {detail}")]
    Corrupt {
        /// Name of the schema.
        kind: &'static str,
        /// What the Avro reader said.
        detail: String,
    },
}

impl DecodeError {
    /// Whether a newer release may have written the record: then whoever meets it waits, loudly, until its process
    /// is upgraded too or gives the partition away, and drops nothing. Any other error is a dead letter.
    pub fn may_be_newer(&self) -> bool {
        matches!(self, Self::UnknownSchema { .. })
    }
}

struct Known {
    name: &'static str,
    version: u32,
    fingerprint: u64,
    schema: Schema,
}

struct Registry {
    /// In the order of `SCHEMAS`.
    known: Vec<Known>,
    by_fingerprint: HashMap<u64, usize>,
    newest: HashMap<&'static str, usize>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    // A length prefix in a corrupt record must not allocate more than a record can hold.
    apache_avro::util::max_allocation_bytes(record_bytes_max());
    let mut registry = Registry { known: Vec::new(), by_fingerprint: HashMap::new(), newest: HashMap::new() };
    for (name, version, text) in SCHEMAS {
        // The schemas are part of the program; a test parses each of them.
        #[allow(clippy::expect_used)]
        let schema = Schema::parse_str(text).expect("a shipped schema parses");
        let fingerprint = fingerprint_of(&schema);
        let at = registry.known.len();
        registry.by_fingerprint.insert(fingerprint, at);
        let newest = registry.newest.entry(name).or_insert(at);
        if registry.known.get(*newest).is_some_and(|k| k.version < *version) {
            *newest = at;
        }
        registry.known.push(Known { name, version: *version, fingerprint, schema });
    }
    registry
});

/// Longest string or byte field of a stored record: 64 MiB.
const fn record_bytes_max() -> usize {
    64 << 20
}

fn fingerprint_of(schema: &Schema) -> u64 {
    let digest = schema.fingerprint::<Rabin>().bytes;
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(bytes)
}

fn newest(name: &'static str) -> &'static Known {
    // Every `Stored` type has its schema in the registry; a test walks all of them.
    let at = REGISTRY.newest.get(name).copied().unwrap_or_else(|| panic!("no schema named {name}"));
    &REGISTRY.known[at]
}

/// The bytes of a record, written by the newest version of its schema.
///
/// # Panics
/// If the struct does not conform to its schema; the golden tests rule that out for every type.
pub fn encode<T: Stored>(record: &T) -> Vec<u8> {
    let known = newest(T::NAME);
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&known.fingerprint.to_le_bytes());
    apache_avro::write_avro_datum_ref(&known.schema, record, &mut bytes)
        .unwrap_or_else(|e| panic!("{} does not conform to its schema: {e}", T::NAME));
    bytes
}

/// Name of the schema that wrote these bytes.
///
/// # Errors
/// [`DecodeError::NotARecord`] or [`DecodeError::UnknownSchema`].
pub fn kind_of(bytes: &[u8]) -> Result<&'static str, DecodeError> {
    writer_of(bytes).map(|k| k.name)
}

fn writer_of(bytes: &[u8]) -> Result<&'static Known, DecodeError> {
    if bytes.len() < HEADER_BYTES || bytes[..2] != MARKER {
        return Err(DecodeError::NotARecord { bytes: bytes.len() });
    }
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[2..HEADER_BYTES]);
    let fingerprint = u64::from_le_bytes(raw);
    match REGISTRY.by_fingerprint.get(&fingerprint) {
        Some(at) => Ok(&REGISTRY.known[*at]),
        None => Err(DecodeError::UnknownSchema { fingerprint }),
    }
}

/// Reads a record of this kind, whichever shipped version wrote it.
///
/// # Errors
/// See [`DecodeError`]; bytes behind the datum are an error too.
pub fn decode<T: Stored>(bytes: &[u8]) -> Result<T, DecodeError> {
    let writer = writer_of(bytes)?;
    if writer.name != T::NAME {
        return Err(DecodeError::OtherKind { expected: T::NAME, found: writer.name });
    }
    let corrupt = |detail: String| DecodeError::Corrupt { kind: T::NAME, detail };
    let reader = &newest(T::NAME).schema;
    let resolve = (writer.fingerprint != newest(T::NAME).fingerprint).then_some(reader);
    let mut datum = &bytes[HEADER_BYTES..];
    let value = from_avro_datum(&writer.schema, &mut datum, resolve).map_err(|e| corrupt(e.to_string()))?;
    if !datum.is_empty() {
        return Err(corrupt(format!("{} bytes behind the datum", datum.len())));
    }
    from_value(&value).map_err(|e| corrupt(e.to_string()))
}

/// Fingerprint that [`encode`] puts into records of this kind.
pub fn fingerprint<T: Stored>() -> u64 {
    newest(T::NAME).fingerprint
}

#[cfg(test)]
mod tests;

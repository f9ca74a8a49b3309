//! Avro single-object encoding of the stored records, and decoding by fingerprint.

use std::collections::HashMap;
use std::sync::OnceLock;

use apache_avro::rabin::Rabin;
use apache_avro::types::Value;
use apache_avro::{GenericSingleObjectReader, Schema, from_avro_datum, from_value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::format::NoSuchKind;
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

/// A version of a schema.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    #[cfg_attr(not(debug_assertions), expect(dead_code, reason = "the release that tests pretend counts on from it"))]
    pub(crate) version: u32,
    /// Number of the first format that writes it.
    since: u32,
    fingerprint: u64,
    pub(crate) schema: Schema,
    /// Reads what it wrote, with its names resolved once and not for each record.
    reader: GenericSingleObjectReader,
    /// The bytes of the fields that it has and the struct lacks; empty but in the release that tests pretend
    /// (`next.rs`).
    beyond: Vec<u8>,
}

impl Known {
    pub(crate) fn new(name: &'static str, version: u32, since: u32, schema: Schema, beyond: Vec<u8>) -> Self {
        let reader = GenericSingleObjectReader::new(schema.clone())
            .unwrap_or_else(|e| panic!("the names of a schema of {name} resolve: {e}"));
        Self { name, version, since, fingerprint: fingerprint_of(&schema), schema, reader, beyond }
    }
}

/// The schemas that a release knows.
#[derive(Default)]
pub(crate) struct Registry {
    known: Vec<Known>,
    by_fingerprint: HashMap<u64, usize>,
    /// Versions of each schema, oldest first.
    versions: HashMap<&'static str, Vec<usize>>,
    newest_format: u32,
}

static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// What this process's release knows.
pub(crate) fn registry() -> &'static Registry {
    REGISTRY.get_or_init(Registry::shipped)
}

/// Decides what this process's release knows; whether nothing had been decided before.
#[cfg(debug_assertions)]
pub(crate) fn be(release: Registry) -> bool {
    REGISTRY.set(release).is_ok()
}

impl Registry {
    /// What this release ships.
    pub(crate) fn shipped() -> Self {
        Self::of(SCHEMAS)
    }

    /// Of rows as in `registry.rs`, oldest version first.
    pub(crate) fn of(rows: &[(&'static str, u32, u32, &str)]) -> Self {
        // A length prefix in a corrupt record must not allocate more than a record can hold.
        apache_avro::util::max_allocation_bytes(record_bytes_max());
        let mut registry = Self::default();
        for (name, version, since, text) in rows {
            // The schemas are part of the program; a test parses each of them.
            #[allow(clippy::expect_used)]
            let schema = Schema::parse_str(text).expect("a shipped schema parses");
            registry.add(Known::new(name, *version, *since, schema, Vec::new()));
        }
        registry
    }

    pub(crate) fn add(&mut self, known: Known) {
        let at = self.known.len();
        self.by_fingerprint.insert(known.fingerprint, at);
        self.versions.entry(known.name).or_default().push(at);
        self.newest_format = self.newest_format.max(known.since);
        self.known.push(known);
    }

    pub(crate) fn newest_format(&self) -> u32 {
        self.newest_format
    }

    /// The newest version of each schema.
    #[cfg(debug_assertions)]
    pub(crate) fn newest_of_all(&self) -> impl Iterator<Item = &Known> {
        self.versions.values().filter_map(|versions| versions.last()).map(|at| &self.known[*at])
    }

    /// Versions of a schema, newest first.
    fn versions(&self, name: &str) -> impl Iterator<Item = &Known> {
        // Every `Stored` type has its schema in the registry; a test walks all of them.
        let versions = self.versions.get(name).unwrap_or_else(|| panic!("no schema named {name}"));
        versions.iter().rev().map(|at| &self.known[*at])
    }

    fn newest(&self, name: &str) -> &Known {
        let newest = self.versions(name).next();
        newest.unwrap_or_else(|| panic!("no schema named {name}"))
    }

    fn encode<T: Stored>(&self, record: &T) -> Vec<u8> {
        let newest = self.newest(T::NAME);
        // The struct has the fields of the newest version, but in the release that tests pretend.
        let shape = self.versions(T::NAME).find(|known| known.beyond.is_empty()).unwrap_or(newest);
        let mut bytes = begin(newest);
        apache_avro::write_avro_datum_ref(&shape.schema, record, &mut bytes)
            .unwrap_or_else(|e| panic!("{} does not conform to its schema: {e}", T::NAME));
        bytes.extend_from_slice(&newest.beyond);
        bytes
    }

    fn writer_of(&self, bytes: &[u8]) -> Result<&Known, DecodeError> {
        if bytes.len() < HEADER_BYTES || bytes[..2] != MARKER {
            return Err(DecodeError::NotARecord { bytes: bytes.len() });
        }
        let mut raw = [0; 8];
        raw.copy_from_slice(&bytes[2..HEADER_BYTES]);
        let fingerprint = u64::from_le_bytes(raw);
        match self.by_fingerprint.get(&fingerprint) {
            Some(at) => Ok(&self.known[*at]),
            None => Err(DecodeError::UnknownSchema { fingerprint }),
        }
    }

    fn decode<T: Stored>(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        let writer = self.writer_of(bytes)?;
        if writer.name != T::NAME {
            return Err(DecodeError::OtherKind { expected: T::NAME, found: writer.name });
        }
        let corrupt = |detail: String| DecodeError::Corrupt { kind: T::NAME, detail };
        let reader = self.newest(T::NAME);
        let mut rest = bytes;
        let mut value = writer.reader.read_value(&mut rest).map_err(|e| corrupt(e.to_string()))?;
        if writer.fingerprint != reader.fingerprint {
            value = value.resolve(&reader.schema).map_err(|e| corrupt(e.to_string()))?;
        }
        if !rest.is_empty() {
            return Err(corrupt(format!("{} bytes behind the datum", rest.len())));
        }
        from_value(&value).map_err(|e| corrupt(e.to_string()))
    }

    /// See [`crate::Format::rewrite`].
    pub(crate) fn rewrite(&self, bytes: &[u8], format: u32) -> Result<Option<Vec<u8>>, NoSuchKind> {
        if format >= self.newest_format {
            return Ok(None);
        }
        let Ok(writer) = self.writer_of(bytes) else { return Ok(None) };
        if writer.since <= format {
            return Ok(None);
        }
        let older = self.versions(writer.name).find(|known| known.since <= format);
        let older = older.ok_or(NoSuchKind { kind: writer.name, format })?;
        // Avro's own rule for a reader with an older schema: what that lacks is passed over.
        match from_avro_datum(&writer.schema, &mut &bytes[HEADER_BYTES..], Some(&older.schema)) {
            Ok(value) => {
                let mut rewritten = begin(older);
                rewritten.append(&mut written(&older.schema, value));
                Ok(Some(rewritten))
            }
            // Somebody else's bytes that begin like a record.
            Err(_) => Ok(None),
        }
    }
}

/// Marker and fingerprint.
fn begin(known: &Known) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&known.fingerprint.to_le_bytes());
    bytes
}

fn written(schema: &Schema, value: Value) -> Vec<u8> {
    apache_avro::to_avro_datum(schema, value).unwrap_or_else(|e| panic!("what was resolved to a schema fits it: {e}"))
}

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

/// The bytes of a record, written by the newest version of its schema. On its way to the log it becomes what the
/// format in force says ([`crate::Format::rewrite`]).
///
/// # Panics
/// If the struct does not conform to its schema; the golden tests rule that out for every type.
pub fn encode<T: Stored>(record: &T) -> Vec<u8> {
    registry().encode(record)
}

/// Name of the schema that wrote these bytes.
///
/// # Errors
/// [`DecodeError::NotARecord`] or [`DecodeError::UnknownSchema`].
pub fn kind_of(bytes: &[u8]) -> Result<&'static str, DecodeError> {
    registry().writer_of(bytes).map(|k| k.name)
}

/// Reads a record of this kind, whichever shipped version wrote it.
///
/// # Errors
/// See [`DecodeError`]; bytes behind the datum are an error too.
pub fn decode<T: Stored>(bytes: &[u8]) -> Result<T, DecodeError> {
    registry().decode(bytes)
}

/// Fingerprint that [`encode`] puts into records of this kind.
pub fn fingerprint<T: Stored>() -> u64 {
    registry().newest(T::NAME).fingerprint
}

#[cfg(test)]
mod tests;

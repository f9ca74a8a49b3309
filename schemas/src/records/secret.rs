//! Records: secrets.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// A secret, sealed, on `petrel.secrets`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecretSealed {
    /// What it is called; the record's key.
    pub name: String,
    /// Number of its value, from 1; grows with every value that it gets.
    pub version: i64,
    /// `AES-256-GCM`.
    pub cipher: String,
    /// Id of the master key that wraps its data key.
    pub master_key: String,
    /// Its data key, wrapped: nonce, key, tag.
    #[serde(with = "apache_avro::serde_avro_bytes")]
    pub wrapped_key: Vec<u8>,
    /// Its value under the data key: nonce, text, tag.
    #[serde(with = "apache_avro::serde_avro_bytes")]
    pub content: Vec<u8>,
    /// When that value was set, in milliseconds since the epoch.
    pub set_at_ms: i64,
    /// Who set it.
    pub set_by: String,
    /// From when on nobody opens it, in milliseconds since the epoch; none for one that stays.
    pub expires_at_ms: Option<i64>,
}

stored!(SecretSealed, "SecretSealed");

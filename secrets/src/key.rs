//! Master keys: they wrap the data keys of secrets, and nothing else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::digest::{Context, SHA256};
use zeroize::Zeroizing;

use crate::limits::KEY_BYTES;

/// Distinguishes an id from any other hash of a key.
const ID_OF: &[u8] = b"petrel master key 1";
/// Bytes of the hash that name a key.
const ID_BYTES: usize = 8;

/// Why a text is no master key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is something else.
    #[error("a master key is {KEY_BYTES} bytes in base64, as `openssl rand -base64 {KEY_BYTES}` writes them")]
    Malformed,
    /// It stands there twice.
    #[error("the master key {0} is given twice")]
    Twice(String),
}

/// A master key under its id.
#[derive(Clone)]
pub struct MasterKey {
    id: String,
    pub(crate) key: LessSafeKey,
}

impl MasterKey {
    /// A key as a file or variable holds it: base64, white space around it left out.
    ///
    /// # Errors
    /// [`KeyError::Malformed`]
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| KeyError::Malformed)?);
        let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| KeyError::Malformed)?;
        let mut hash = Context::new(&SHA256);
        hash.update(ID_OF);
        hash.update(bytes);
        let id = hash.finish().as_ref()[..ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, key: data_key(bytes)? })
    }

    /// What records name it by: a part of its hash, which says nothing about it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

pub(crate) fn data_key(bytes: &[u8; KEY_BYTES]) -> Result<LessSafeKey, KeyError> {
    UnboundKey::new(&AES_256_GCM, bytes).map(LessSafeKey::new).map_err(|_| KeyError::Malformed)
}

/// The master keys of a process: one that seals, and those that still open what was sealed before it.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    current: MasterKey,
    earlier: Vec<MasterKey>,
}

impl MasterKeys {
    /// The keys, by what they do.
    ///
    /// # Errors
    /// [`KeyError::Twice`]
    pub fn new(current: MasterKey, earlier: Vec<MasterKey>) -> Result<Self, KeyError> {
        let keys = Self { current, earlier };
        let mut ids: Vec<&str> = keys.all().map(MasterKey::id).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(KeyError::Twice(pair[0].to_owned())),
            None => Ok(keys),
        }
    }

    /// The key that seals.
    pub fn current(&self) -> &MasterKey {
        &self.current
    }

    /// A key by its id.
    pub fn get(&self, id: &str) -> Option<&MasterKey> {
        self.all().find(|key| key.id == id)
    }

    fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_thirty_two_bytes_in_base64() {
        let key = MasterKey::parse(&format!(" {}\n", STANDARD.encode([7; 32]))).unwrap();
        assert_eq!(key.id().len(), 16);
        assert_ne!(key.id(), MasterKey::parse(&STANDARD.encode([8; 32])).unwrap().id());
        for text in ["", "x", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33]), &"00".repeat(32)] {
            assert_eq!(MasterKey::parse(text).unwrap_err(), KeyError::Malformed, "{text}");
        }
        assert!(!format!("{key:?}").contains("7, 7"));
        let twice = MasterKeys::new(key.clone(), vec![key.clone()]).unwrap_err();
        assert_eq!(twice, KeyError::Twice(key.id().to_owned()));
    }
}

//! How a value is kept: under a data key of its own, which a master key wraps.
//!
//! Everything else that the record says is authenticated with both, so that nobody who can write to `petrel.secrets` can
//! put one secret's value under the name of another, or keep one for longer than it was given for. Another master key
//! needs nothing but the wrapping: the value stays as it is.

use petrel_schemas::SecretSealed;
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use crate::key::{MasterKey, MasterKeys, data_key};
use crate::limits::KEY_BYTES;
use crate::value::SecretValue;

/// Length of a nonce, in bytes.
pub const NONCE_BYTES: usize = NONCE_LEN;
/// How records of this shape name their cipher.
const CIPHER: &str = "AES-256-GCM";
/// Authenticated with a value, and with a key: neither passes for the other.
const OF_VALUE: &[u8] = b"petrel secret value 1";
const OF_KEY: &[u8] = b"petrel secret key 1";

/// Random bytes for one sealing; used for a second one, they give both away.
pub struct Fresh {
    /// The data key.
    pub data_key: Zeroizing<[u8; KEY_BYTES]>,
    /// For the value.
    pub value_nonce: [u8; NONCE_BYTES],
    /// For the data key.
    pub key_nonce: [u8; NONCE_BYTES],
}

/// Which secret it is, and who made it when.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Key on `petrel.secrets`.
    pub name: String,
    /// Its version, from 1.
    pub version: i64,
    /// When it is set, in milliseconds since the epoch.
    pub set_at_ms: i64,
    /// Who sets it.
    pub set_by: String,
    /// From when on nobody opens it any more, in milliseconds since the epoch.
    pub expires_at_ms: Option<i64>,
}

/// Why a secret cannot be opened. Each is a sentence about the secret that it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// This process has not got the key.
    #[error(
        "secret {name} is sealed with the master key {needed}, which this process has not got (secrets.master_key_file, \
         or secrets.earlier_master_key_files)"
    )]
    OtherKey {
        /// The secret.
        name: String,
        /// Id of the key.
        needed: String,
    },
    /// It was changed, moved to another name, or cut off.
    #[error("secret {name} cannot be opened: it was changed since it was sealed; set it again")]
    Damaged {
        /// The secret.
        name: String,
    },
    /// A newer release sealed it.
    #[error("secret {name} is sealed by {cipher}, which this release does not know")]
    OtherCipher {
        /// The secret.
        name: String,
        /// What it is sealed by.
        cipher: String,
    },
}

/// Seals a value.
pub fn seal(value: &SecretValue, origin: Origin, master: &MasterKey, fresh: &Fresh) -> SecretSealed {
    // Any thirty-two bytes are a key, and neither a value nor a key is near the cipher's limit.
    #[allow(clippy::expect_used)]
    let key = data_key(&fresh.data_key).expect("the length is right");
    let content = encrypt(&key, fresh.value_nonce, &bound_to(OF_VALUE, &origin, ""), value.expose().as_bytes());
    let bound = bound_to(OF_KEY, &origin, master.id());
    let wrapped_key = encrypt(&master.key, fresh.key_nonce, &bound, &fresh.data_key[..]);
    let Origin { name, version, set_at_ms, set_by, expires_at_ms } = origin;
    SecretSealed {
        name,
        version,
        cipher: CIPHER.to_owned(),
        master_key: master.id().to_owned(),
        wrapped_key,
        content,
        set_at_ms,
        set_by,
        expires_at_ms,
    }
}

/// Opens what is kept under a name.
///
/// # Errors
/// [`OpenError`]
pub fn open(sealed: &SecretSealed, name: &str, keys: &MasterKeys) -> Result<SecretValue, OpenError> {
    let damaged = || OpenError::Damaged { name: name.to_owned() };
    let key = unwrap(sealed, name, keys)?;
    let key = data_key(&key).map_err(|_| damaged())?;
    let bound = bound_to(OF_VALUE, &origin_of(sealed, name), "");
    let mut bytes = decrypt(&key, &bound, &sealed.content).ok_or_else(damaged)?;
    // What was sealed was text.
    String::from_utf8(std::mem::take(&mut *bytes)).map(SecretValue::opened).map_err(|_| damaged())
}

/// The same secret, its data key wrapped by the current master key; nothing if it is already.
///
/// # Errors
/// [`OpenError`]
pub fn rewrap(
    sealed: &SecretSealed,
    name: &str,
    keys: &MasterKeys,
    key_nonce: [u8; NONCE_BYTES],
) -> Result<Option<SecretSealed>, OpenError> {
    let master = keys.current();
    let key = unwrap(sealed, name, keys)?;
    if sealed.master_key == master.id() {
        return Ok(None);
    }
    let bound = bound_to(OF_KEY, &origin_of(sealed, name), master.id());
    let wrapped_key = encrypt(&master.key, key_nonce, &bound, &key[..]);
    Ok(Some(SecretSealed { wrapped_key, master_key: master.id().to_owned(), ..sealed.clone() }))
}

fn unwrap(sealed: &SecretSealed, name: &str, keys: &MasterKeys) -> Result<Zeroizing<[u8; KEY_BYTES]>, OpenError> {
    let name_of = || name.to_owned();
    // Whoever writes it again, under the name that it says, would write it elsewhere.
    if sealed.name != name {
        return Err(OpenError::Damaged { name: name_of() });
    }
    if sealed.cipher != CIPHER {
        return Err(OpenError::OtherCipher { name: name_of(), cipher: sealed.cipher.clone() });
    }
    let Some(master) = keys.get(&sealed.master_key) else {
        return Err(OpenError::OtherKey { name: name_of(), needed: sealed.master_key.clone() });
    };
    let bound = bound_to(OF_KEY, &origin_of(sealed, name), master.id());
    let key = decrypt(&master.key, &bound, &sealed.wrapped_key);
    let key = key.and_then(|key| <[u8; KEY_BYTES]>::try_from(key.as_slice()).ok());
    key.map(Zeroizing::new).ok_or_else(|| OpenError::Damaged { name: name_of() })
}

/// What a record says of its origin, under the name that it is kept under.
fn origin_of(sealed: &SecretSealed, name: &str) -> Origin {
    Origin {
        name: name.to_owned(),
        version: sealed.version,
        set_at_ms: sealed.set_at_ms,
        set_by: sealed.set_by.clone(),
        expires_at_ms: sealed.expires_at_ms,
    }
}

/// What is authenticated: no two of them are the same bytes.
fn bound_to(what: &[u8], origin: &Origin, master: &str) -> Vec<u8> {
    let Origin { name, version, set_at_ms, set_by, expires_at_ms } = origin;
    let mut bound = what.to_vec();
    for part in [name.as_bytes(), master.as_bytes(), set_by.as_bytes()] {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part);
    }
    bound.extend_from_slice(&version.to_be_bytes());
    bound.extend_from_slice(&set_at_ms.to_be_bytes());
    bound.push(u8::from(expires_at_ms.is_some()));
    bound.extend_from_slice(&expires_at_ms.unwrap_or(0).to_be_bytes());
    bound
}

/// The nonce, the text encrypted, the tag.
fn encrypt(key: &LessSafeKey, nonce: [u8; NONCE_BYTES], bound: &[u8], clear: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(NONCE_BYTES + clear.len() + key.algorithm().tag_len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(clear);
    let nonce = Nonce::assume_unique_for_key(nonce);
    // It fails for more than 64 GiB.
    #[allow(clippy::expect_used)]
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(bound), &mut sealed[NONCE_BYTES..])
        .expect("a secret is not that long");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

fn decrypt(key: &LessSafeKey, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let mut clear = Zeroizing::new(rest.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key.open_in_place(nonce, Aad::from(bound), &mut clear).ok()?.len();
    clear.truncate(length);
    Some(clear)
}

#[cfg(test)]
mod tests;

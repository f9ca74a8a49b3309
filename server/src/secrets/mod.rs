//! Secrets of a process: the master keys that it was given, what stands on `petrel.secrets`, and who changes it.
//!
//! `keys` reads the master keys, `vault` follows the topic and opens what it holds, `change` sets, rotates and deletes,
//! `door` seals what is given to a single execution. No value leaves this module but to a worker's attempt.

mod change;
mod door;
mod keys;
#[cfg(test)]
mod tests;
mod vault;

pub use change::Changes;
pub use door::Door;
pub use keys::load as load_keys;
pub use vault::Vault;

use petrel_secrets::{Fresh, NONCE_BYTES};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::api::ApiError;

/// Random bytes of the system.
fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| ApiError::unavailable("internal", "the system gives no random numbers"))
}

fn fresh() -> Result<Fresh, ApiError> {
    Ok(Fresh {
        data_key: Zeroizing::new(random()?),
        value_nonce: random::<NONCE_BYTES>()?,
        key_nonce: random::<NONCE_BYTES>()?,
    })
}

/// What is answered where a master key is needed and there is none.
fn no_key() -> ApiError {
    let message = "this server has no master key, so it can neither seal nor open secrets: make one with `openssl rand \
                   -base64 32`, and name its file in secrets.master_key_file of every process with the role `api` or \
                   `worker` (docs/SECRETS.md)";
    ApiError::unavailable("no_master_key", message)
}

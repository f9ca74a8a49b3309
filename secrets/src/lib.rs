//! Secrets: sealed where they are kept, known by name everywhere else, and masked in whatever an action writes.
//!
//! Reading order: `value` (what a secret may be), `key` (master keys), `sealed` (how a value is kept on
//! `petrel.secrets`), `parts` (what of a structured one is a secret
//! of its own), `mask` (how it is found again in output). What names a secret is
//! [`petrel_schemas::SecretRef`].
//!
//! Pure: no clock, no I/O, no random numbers. Keys and nonces are arguments ([`Fresh`]).

mod key;
pub mod limits;
mod mask;
mod parts;
mod sealed;
mod value;

pub use key::{KeyError, MasterKey, MasterKeys};
pub use mask::{MASK, Mask, MaskStream, OwnMaskStream};
pub use parts::{RefusedPart, parts};
pub use sealed::{Fresh, NONCE_BYTES, OpenError, Origin, open, rewrap, seal};
pub use value::{RefusedValue, SecretValue};

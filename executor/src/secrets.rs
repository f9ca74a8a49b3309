//! Where a worker gets the values of secrets from.

use std::future::Future;
use std::pin::Pin;

use petrel_secrets::SecretValue;

/// Answer to [`SecretSource::open`].
pub type Opening<'s> = Pin<Box<dyn Future<Output = Result<SecretValue, NoSecret>> + Send + 's>>;

/// Why a secret cannot be had; each is a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSecret {
    /// There is none of that name, or none any more.
    #[error("there is no secret {0}: `petrel secret set {0}` sets it")]
    Missing(String),
    /// What was given to an execution is gone.
    #[error("what was given to the execution for {0} is not kept any more: run the action again")]
    Gone(String),
    /// This process cannot open it.
    #[error("{0}")]
    Unusable(String),
    /// The topic of secrets is not read.
    #[error("the topic of secrets was not read to its end in time, so nobody knows whether there is a secret {0}")]
    Unread(String),
}

/// Opens secrets. Implemented by what the whole process shares.
pub trait SecretSource: Send + Sync {
    /// The value under a key of `petrel.secrets` ([`petrel_schemas::SecretRef::key`]). One that is not known is
    /// looked for up to the end that the topic has now.
    fn open<'s>(&'s self, key: &'s str, now_ms: i64) -> Opening<'s>;
}

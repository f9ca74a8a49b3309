//! Where a worker gets the values of secrets from.

use std::future::Future;
use std::pin::Pin;

use petrel_secrets::SecretValue;

/// Answer to [`SecretSource::open`].
pub type Opening<'s> = Pin<Box<dyn Future<Output = Result<Vec<SecretValue>, NoSecret>> + Send + 's>>;

/// Why a secret cannot be had; each is a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSecret {
    /// There is nothing under that key, or nothing any more.
    #[error("there is no secret {0}: `petrel secret set {0}` sets it")]
    Missing(String),
    /// What was given to an execution is gone.
    #[error("what was given to the execution for {0} is not kept any more: run the action again")]
    Gone(String),
    /// This process cannot open it.
    #[error("{0}")]
    Unusable(String),
    /// The topic of secrets is not read. It may be in a moment, and by another worker.
    #[error("the topic of secrets was not read to its end in time")]
    Unread,
}

/// Opens secrets. Implemented by what the whole process shares.
pub trait SecretSource: Send + Sync {
    /// The values under keys of `petrel.secrets` ([`petrel_schemas::SecretRef::key`]), in their order, or why the first
    /// of them that cannot be had cannot. What is not known is looked for up to the end that the topic has now, once for
    /// all of them. It waits for a while before it answers [`NoSecret::Unread`].
    fn open<'s>(&'s self, keys: &'s [String], now_ms: i64) -> Opening<'s>;
}

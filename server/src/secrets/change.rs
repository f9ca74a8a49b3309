//! Setting, rotating and deleting secrets. Each change compares what stands on the topic at its end and sets, as the
//! sole writer of a name, so that versions grow by one and two that change at once do not undo each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use petrel_bus::{Bus, Clock, Output, Record, SoleWriteError};
use petrel_schemas::{SecretChanged, SecretRef, SecretSealed, Topics, decode, encode};
use petrel_secrets::{MasterKeys, NONCE_BYTES, Origin, SecretValue, rewrap, seal};

use super::vault::{Kept, Vault};
use super::{fresh, no_key, random};
use crate::api::ApiError;
use crate::follow::read_whole;
use crate::format::{InForce, written};

/// Name of the sole writer.
const WRITER: &str = "secrets";

/// Changes the secrets of the log.
pub struct Changes {
    /// The log.
    pub bus: Arc<dyn Bus>,
    /// Names of the topics.
    pub topics: Topics,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The format in force.
    pub format: InForce,
    /// Where changes come back.
    pub vault: Arc<Vault>,
}

type Decided<T> = Result<(Vec<SecretSealed>, T), ApiError>;

/// What became of all secrets when the master key was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Sealed under the current master key now.
    pub moved: usize,
    /// Sealed under it before.
    pub unchanged: usize,
    /// Why others cannot be.
    pub problems: Vec<String>,
}

impl Changes {
    /// Gives a secret a value; its version. `must_exist` refuses a new one.
    ///
    /// # Errors
    /// `no_master_key`, `unknown_secret`, `secret_unchanged`, `secrets_moved`, or a log that cannot be written.
    pub async fn set(&self, name: &SecretRef, value: SecretValue, must_exist: bool, by: &str) -> Result<i64, ApiError> {
        let (key, keys, fresh) = (name.as_str().to_owned(), self.keys()?.clone(), fresh()?);
        let (set_at_ms, set_by) = (self.clock.now_ms(), by.to_owned());
        let decide = move |kept: &BTreeMap<String, Kept>| {
            let before = match kept.get(&key) {
                None if must_exist => return Err(unknown(&key)),
                None => None,
                Some(Ok(sealed)) => Some(sealed.clone()),
                Some(Err(why)) => return Err(unreadable(&key, why)),
            };
            if let Some(sealed) = before.as_ref().filter(|_| must_exist)
                && petrel_secrets::open(sealed, &key, &keys).is_ok_and(|before| before == value)
            {
                let message = format!("secret {key} has that value already: a rotation gives it another one");
                return Err(ApiError::new(StatusCode::CONFLICT, "secret_unchanged", message));
            }
            let version = before.map_or(0, |sealed| sealed.version) + 1;
            let origin = Origin { name: key.clone(), version, set_at_ms, set_by, expires_at_ms: None };
            Ok((vec![seal(&value, origin, keys.current(), &fresh)], version))
        };
        let (topics, by) = (self.topics.clone(), by.to_owned());
        let what = if must_exist { "rotated" } else { "set" };
        self.change(move |kept| {
            let (records, version) = decide(kept)?;
            Ok((outputs(&topics, records, what, &by, set_at_ms), version))
        })
        .await
    }

    /// Deletes a secret.
    ///
    /// # Errors
    /// `unknown_secret`, `secrets_moved`, or a log that cannot be written.
    pub async fn delete(&self, name: &SecretRef, by: &str) -> Result<(), ApiError> {
        let (key, topics, now_ms) = (name.as_str().to_owned(), self.topics.clone(), self.clock.now_ms());
        let changed_by = by.to_owned();
        self.change(move |kept| {
            let sealed = kept.get(&key).ok_or_else(|| unknown(&key))?;
            let version = sealed.as_ref().map_or(0, |sealed| sealed.version);
            let row =
                SecretChanged { version, change: "deleted".to_owned(), changed_at_ms: now_ms, changed_by, name: key };
            let tombstone = Output::to_partition(&topics.secrets(), 0, row.name.clone(), None);
            Ok((vec![tombstone, audited(&topics, &row)], ()))
        })
        .await
    }

    /// Seals everything under the current master key: the values stay as they are.
    ///
    /// # Errors
    /// `no_master_key`, `secrets_moved`, or a log that cannot be written.
    pub async fn rewrap(&self, by: &str) -> Result<Rewrapped, ApiError> {
        let (keys, topics, now_ms) = (self.keys()?.clone(), self.topics.clone(), self.clock.now_ms());
        let by = by.to_owned();
        self.change(move |kept| {
            let (records, done) = rewrap_all(kept, &keys)?;
            Ok((outputs(&topics, records, "sealed_anew", &by, now_ms), done))
        })
        .await
    }

    fn keys(&self) -> Result<&MasterKeys, ApiError> {
        self.vault.keys().ok_or_else(no_key)
    }

    /// Compares and sets, and waits until this process has seen it.
    async fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&BTreeMap<String, Kept>) -> Result<(Vec<Output>, T), ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (bus, topic, format) = (self.bus.clone(), self.topics.secrets(), self.format.clone());
        let changed = off_the_runtime(move || -> Result<T, ApiError> {
            let writer = bus.sole_writer(WRITER).map_err(|error| unavailable(&error))?;
            let kept = read(&*bus, &topic).map_err(|error| unavailable(&format!("{error:#}")))?;
            let (outputs, done) = decide(&kept)?;
            if !outputs.is_empty() {
                writer.write(written(&format, outputs)).map_err(refused)?;
            }
            Ok(done)
        });
        let done = changed.await??;
        match self.vault.read_to_end().await {
            true => Ok(done),
            false => {
                let message = "it is written, and this process has not seen it yet: its topic is not read";
                Err(ApiError::unavailable("secrets_behind", message))
            }
        }
    }
}

/// Calls to the log block.
pub(super) async fn off_the_runtime<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(call).await.map_err(|error| unavailable(&error))
}

fn rewrap_all(kept: &BTreeMap<String, Kept>, keys: &MasterKeys) -> Decided<Rewrapped> {
    let (mut records, mut done) = (Vec::new(), Rewrapped::default());
    for (key, sealed) in kept {
        let moved = match sealed {
            Ok(sealed) => rewrap(sealed, key, keys, random::<NONCE_BYTES>()?).map_err(|error| error.to_string()),
            Err(why) => Err(unreadable(key, why).message),
        };
        match moved {
            Ok(Some(moved)) => records.push(moved),
            Ok(None) => done.unchanged += 1,
            Err(why) => done.problems.push(why),
        }
    }
    done.moved = records.len();
    Ok((records, done))
}

/// The records, and a row of the audit trail for each but those of executions, which have rows of their own.
fn outputs(topics: &Topics, records: Vec<SecretSealed>, change: &str, by: &str, at_ms: i64) -> Vec<Output> {
    let mut outputs = Vec::new();
    for sealed in records {
        if SecretRef::execution_of_key(&sealed.name).is_none() {
            let row = SecretChanged {
                name: sealed.name.clone(),
                version: sealed.version,
                change: change.to_owned(),
                changed_at_ms: at_ms,
                changed_by: by.to_owned(),
            };
            outputs.push(audited(topics, &row));
        }
        outputs.push(Output::to_partition(&topics.secrets(), 0, sealed.name.clone(), Some(encode(&sealed))));
    }
    outputs
}

fn audited(topics: &Topics, row: &SecretChanged) -> Output {
    Output::keyed(&topics.audit(), row.name.as_str(), encode(row))
}

/// All secrets at the topic's end; blocks.
fn read(bus: &dyn Bus, topic: &str) -> anyhow::Result<BTreeMap<String, Kept>> {
    let mut kept = BTreeMap::new();
    read_whole(bus, topic, |_, record: Record<'_>| {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        match record.value.map(decode::<SecretSealed>) {
            None => drop(kept.remove(&key)),
            Some(sealed) => drop(kept.insert(key, sealed.map(Arc::new).map_err(|error| error.to_string()))),
        }
    })?;
    Ok(kept)
}

fn unknown(key: &str) -> ApiError {
    ApiError::not_found("unknown_secret", format!("there is no secret {key}; `petrel secret list` shows them"))
}

fn unreadable(key: &str, why: &str) -> ApiError {
    let message = format!("the record of secret {key} cannot be read, and may be of a newer release: {why}");
    ApiError::new(StatusCode::CONFLICT, "unreadable_secret", message)
}

pub(super) fn unavailable(error: &impl ToString) -> ApiError {
    ApiError::unavailable("log_unavailable", error.to_string())
}

pub(super) fn refused(error: SoleWriteError) -> ApiError {
    match error {
        SoleWriteError::Superseded => {
            let message = "another process changed secrets meanwhile, and nothing was written: try again";
            ApiError::new(StatusCode::CONFLICT, "secrets_moved", message)
        }
        SoleWriteError::OutcomeUnknown(_) => ApiError::unavailable("outcome_unknown", error.to_string()),
        SoleWriteError::NotWritten(_) => unavailable(&error),
    }
}

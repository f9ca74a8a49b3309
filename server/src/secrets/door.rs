//! What somebody gives to a single execution: a value for a parameter that holds a secret is sealed here, before the
//! request is written, and only its name goes on. It is kept until the execution is over, or expires.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use petrel_bus::{Bus, Clock, Output, PublishError, Publisher, SoleWriteError};
use petrel_execution::{ActionPlan, CompleteParameters, ParameterError};
use petrel_executor::NoSecret;
use petrel_schemas::{ExecutionId, SecretRef, Topics, encode};
use petrel_secrets::{Origin, SecretValue, parts, seal};
use serde_json::Value;
use tokio::sync::Mutex;

use super::change::{off_the_runtime, refused, unavailable};
use super::vault::Vault;
use super::{fresh, no_key, random};
use crate::api::ApiError;
use crate::format::{InForce, written};
use crate::live::LiveView;
use crate::stop::Stop;

/// How often to look for what nobody needs any more.
const SWEEP: Duration = Duration::from_millis(500);
/// Name of the sole writer. Nobody else writes these keys but who removes them, and who wraps their data keys anew.
const WRITER: &str = "secrets-of-executions";
/// How often to try where another process keeps something at the same time.
const TRIES: u32 = 8;
/// Longest pause before the second try, in milliseconds; before each further one it is as much longer.
const PAUSE_MS: u64 = 40;

/// Seals what is given to executions, and removes it when they are over.
#[derive(Clone)]
pub struct Door {
    /// The log.
    pub bus: Arc<dyn Bus>,
    /// What is kept.
    pub vault: Arc<Vault>,
    /// Removes it.
    pub publisher: Arc<dyn Publisher>,
    /// Names of the topics.
    pub topics: Topics,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The format in force.
    pub format: InForce,
    /// How long it is kept at most, in milliseconds.
    pub keep_ms: i64,
    /// One of this process at a time.
    pub turn: Arc<Mutex<()>>,
}

/// Parameters of which secrets are only named, and the values that are to be kept.
pub struct Given {
    /// The parameters.
    pub parameters: Value,
    values: Vec<(SecretRef, SecretValue)>,
}

impl Given {
    /// Names of the parameters whose values are sealed.
    pub fn sealed(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(secret, _)| secret.name())
    }
}

impl Door {
    /// Takes the values of secrets out of the parameters of a manual run. Those of `to_be_sealed` must be some.
    ///
    /// # Errors
    /// `invalid_parameters` with every reason, none of which tells a value; `no_master_key`.
    pub async fn take(
        &self,
        action: &str,
        plan: &ActionPlan,
        mut parameters: Value,
        to_be_sealed: &[String],
    ) -> Result<Given, ApiError> {
        let shown = to_be_sealed.iter().filter(|name| !plan.parameters.secrets().contains(name));
        let shown = shown.map(|name| format!("parameter {name:?} is not marked `secret: true`, so it would be shown"));
        let (mut values, mut reasons) = (Vec::new(), shown.collect::<Vec<_>>());
        for name in plan.parameters.secrets() {
            let Some(given) = parameters.get_mut(name) else { continue };
            if let Some(secret) = given.as_str().and_then(SecretRef::of_text) {
                reasons.extend(self.unusable(action, &secret).await);
                continue;
            }
            let value = sealable(&*plan.parameters, name, given);
            match (value, SecretRef::of_execution(name)) {
                (Ok(value), Some(secret)) => {
                    *given = Value::String(secret.text());
                    values.push((secret, value));
                }
                (Err(why), _) => reasons.push(why),
                (_, None) => reasons.push(format!("parameter {name:?} has no name for a secret")),
            }
        }
        if !reasons.is_empty() {
            let message = format!("the parameters do not fit {action}: {}", reasons.join("; "));
            let error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_parameters", message);
            return Err(error.with_details(reasons));
        }
        match values.is_empty() || self.vault.keys().is_some() {
            true => Ok(Given { parameters, values }),
            false => Err(no_key()),
        }
    }

    /// Why an execution must not use a secret that is named, or could not, as far as it is known now. Whoever may run an
    /// action may not therefore hand another pack's secrets to it.
    async fn unusable(&self, action: &str, secret: &SecretRef) -> Option<String> {
        if secret.is_of_execution() {
            return Some(format!("{secret} is what was given to another execution; give the value itself"));
        }
        let pack = action.split('.').next().unwrap_or_default();
        if !secret.may_be_named_in(pack) {
            return Some(format!(
                "{action} can be given the secrets of its pack, secret.{pack}.…, and those of everybody, secret.shared.…, \
                 not {secret}"
            ));
        }
        let is_kept = || self.vault.kept().contains_key(secret.as_str());
        let is_missing = !is_kept() && self.vault.read_to_end().await && !is_kept();
        is_missing.then(|| format!("there is no secret {secret}"))
    }

    /// Keeps the values for that execution. To be done before its request is written, and until then nobody else knows
    /// them. Of two that keep another value for one execution at once, in whichever processes, one is refused: each
    /// writes as the sole writer, after it has seen all that was written before.
    ///
    /// # Errors
    /// `idempotency_key_reused` if other values were given before; a log that cannot be written.
    pub async fn keep(&self, id: &ExecutionId, given: &Given, by: &str) -> Result<(), ApiError> {
        if given.values.is_empty() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        for tried in 1..=TRIES {
            match self.try_to_keep(id, given, by).await? {
                Ok(()) => return Ok(()),
                Err(SoleWriteError::Superseded) => {
                    let [random] = random::<1>()?;
                    let pause_ms = PAUSE_MS * u64::from(tried) * u64::from(random) / u64::from(u8::MAX);
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
                Err(other) => return Err(refused(other)),
            }
        }
        Err(refused(SoleWriteError::Superseded))
    }

    async fn try_to_keep(
        &self,
        id: &ExecutionId,
        given: &Given,
        by: &str,
    ) -> Result<Result<(), SoleWriteError>, ApiError> {
        let bus = self.bus.clone();
        let writer = off_the_runtime(move || bus.sole_writer(WRITER)).await?.map_err(|error| unavailable(&error))?;
        if !self.vault.read_to_end().await {
            return Err(ApiError::unavailable(
                "secrets_behind",
                "the topic of secrets was not read to its end in time",
            ));
        }
        let outputs = written(&self.format, self.sealed(id, given, by)?);
        if outputs.is_empty() {
            return Ok(Ok(()));
        }
        off_the_runtime(move || writer.write(outputs)).await
    }

    /// Records of the values that are not kept yet.
    fn sealed(&self, id: &ExecutionId, given: &Given, by: &str) -> Result<Vec<Output>, ApiError> {
        let now_ms = self.clock.now_ms();
        let mut outputs = Vec::new();
        for (secret, value) in &given.values {
            let key = secret.key(id.as_str());
            match self.vault.opened(&key, now_ms) {
                Some(Ok(before)) if before == *value => continue,
                Some(Ok(_)) => {
                    let message = format!(
                        "this idempotency key named execution {id}, to which another value was given for {:?}; a new \
                         request takes a new key",
                        secret.name()
                    );
                    return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message));
                }
                // Whether it is the same value is not known.
                Some(Err(NoSecret::Unusable(why))) => return Err(ApiError::unavailable("secret_unusable", why)),
                Some(Err(_)) | None => {}
            }
            let expires_at_ms = Some(now_ms.saturating_add(self.keep_ms));
            let set_by = by.to_owned();
            let origin = Origin { name: key.clone(), version: 1, set_at_ms: now_ms, set_by, expires_at_ms };
            let keys = self.vault.keys().ok_or_else(no_key)?;
            let sealed = seal(value, origin, keys.current(), &fresh()?);
            outputs.push(Output::to_partition(&self.topics.secrets(), 0, key, Some(encode(&sealed))));
        }
        Ok(outputs)
    }

    /// Removes what nobody needs any more, again and again until told to stop.
    pub async fn sweep(self, live: Arc<LiveView>, stop: Stop) {
        loop {
            if let Err(error) = self.sweep_once(&live).await {
                tracing::warn!(%error, "what was given to executions that are over cannot be removed yet");
            }
            tokio::select! { () = stop.wait() => return, () = tokio::time::sleep(SWEEP) => {} }
        }
    }

    /// Removes it, and waits until this process knows that it is gone: else it would be removed again.
    pub(super) async fn sweep_once(&self, live: &LiveView) -> Result<(), PublishError> {
        let tombstones = self.unneeded(live, self.clock.now_ms());
        if !tombstones.is_empty() {
            self.publisher.publish(tombstones).await?;
            self.vault.read_to_end().await;
        }
        Ok(())
    }

    /// Tombstones for what was given to executions that are over, and for what has expired.
    pub(super) fn unneeded(&self, live: &LiveView, now_ms: i64) -> Vec<Output> {
        let is_unneeded = |key: &str, expires_at_ms: Option<i64>| {
            let is_over = || SecretRef::execution_of_key(key).and_then(|id| live.get(id)).is_some_and(|e| e.is_over());
            expires_at_ms.is_some_and(|expires_ms| expires_ms <= now_ms) || is_over()
        };
        let kept = self.vault.kept();
        let unneeded = kept
            .iter()
            .filter(|(key, sealed)| sealed.as_ref().is_ok_and(|sealed| is_unneeded(key, sealed.expires_at_ms)));
        unneeded.map(|(key, _)| Output::to_partition(&self.topics.secrets(), 0, key.clone(), None)).collect()
    }
}

/// The value of a parameter as it is sealed, once it is known that a worker can use it and mask all of it.
fn sealable(parameters: &dyn CompleteParameters, name: &str, given: &Value) -> Result<SecretValue, String> {
    let refused = |error: ParameterError| error.reasons.join("; ");
    let told = |why: &dyn Display| format!("parameter {name:?}: {why}");
    let text = parameters.secret_text(name, given).map_err(refused)?;
    let used = parameters.secret_value(name, &text).map_err(refused)?;
    parts(&used).map_err(|why| told(&why))?;
    SecretValue::new(text).map_err(|why| told(&why))
}

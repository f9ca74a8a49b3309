//! Which format is in force: settled by the first process of an installation, raised when an upgrade is finished.
//!
//! It is an entry of the key-value store, so every process knows it before it writes its first record. Its writer
//! is a sole one that has read the log to its end: two that write at once, of two releases perhaps, cannot undo
//! each other. It never goes back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::http::StatusCode;
use petrel_bus::{Bus, Clock, Output, Record, SoleWriteError, Troubles};
use petrel_schemas::{Format, KvEntry, ProcessAlive, Topics, decode};

use crate::api::{ApiError, App};
use crate::follow::read_whole;
use crate::format::{self, FORMAT_KEY, Told};
use crate::presence;
use crate::world::World;

/// Name of the sole writer.
const WRITER: &str = "format";
/// First and longest pause before the format is settled again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Longest wait for a change of one's own to come back.
const ECHO_MAX: Duration = Duration::from_secs(30);

/// What raising the format needs.
pub struct Upgrade {
    /// The log.
    pub bus: Arc<dyn Bus>,
    /// Names of the topics.
    pub topics: Topics,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where the format comes back.
    pub world: Arc<World>,
    /// What keeps it from coming back.
    pub troubles: Troubles,
}

/// How things stand.
pub struct State {
    /// The format in force.
    pub format: Format,
    /// The processes that run, of this release or an older one.
    pub running: Vec<ProcessAlive>,
}

impl State {
    /// Whether there is nothing to finish.
    pub fn is_finished(&self) -> bool {
        self.format == Format::newest()
    }

    /// The processes that could not write this release's newest format, and would have to end.
    pub fn too_old(&self) -> impl Iterator<Item = &ProcessAlive> {
        let newest = i64::from(Format::newest().number());
        self.running.iter().filter(move |alive| i64::from(alive.format_newest) < newest)
    }
}

impl Upgrade {
    /// Waits until the log tells a format that this release can write. The first process of an installation that
    /// has the role `api` says so itself, with its newest; should that not be taken, or should another one that was
    /// faster have died over it, it looks and tries again.
    ///
    /// # Errors
    /// A sentence that says why this release cannot run on the log, and what to do.
    pub async fn settle(&self, may_begin: bool, app: &App) -> anyhow::Result<()> {
        let mut told = self.world.format_told();
        let mut pause = BACKOFF.0;
        loop {
            match &*told.borrow() {
                Some(Err(why)) => bail!("{why}"),
                Some(Ok(_)) => return Ok(()),
                None => {}
            }
            let what = match may_begin {
                true => app.waits("the format of the log is being settled", &self.troubles, self.begin()).await,
                false => "no process with the role `api` has begun this installation yet".to_owned(),
            };
            // Processes that hindered each other do not come again at the same instant.
            let share = 0.5 + self.clock.now_ms().rem_euclid(1_000) as f64 / 1_000.0;
            let news = tokio::time::timeout(pause.mul_f64(share), told.changed());
            match app.waits(&what, &self.troubles, news).await {
                Ok(changed) => changed.context("the log is not followed any more")?,
                Err(_) => pause = (pause * 2).min(BACKOFF.1),
            }
        }
    }

    /// Resolves with why this process has to end: a newer release took over.
    pub async fn refused(&self) -> String {
        let mut told = self.world.format_told();
        match told.wait_for(|told| matches!(told, Some(Err(_)))).await.as_deref() {
            Ok(Some(Err(why))) => why.clone(),
            // The sender lives as long as the world.
            _ => std::future::pending().await,
        }
    }

    /// Begins the installation with this release's newest format, unless it has begun; what is waited for then.
    async fn begin(&self) -> String {
        match self.set(Format::newest(), None, "petrel").await {
            Ok(()) => "the format of the log was settled, and comes back".to_owned(),
            // Somebody else began it meanwhile: what that one wrote is on its way, or was lost with it.
            Err(error) if error.status == StatusCode::CONFLICT => {
                "another process settles the format of the log".to_owned()
            }
            Err(error) => {
                tracing::warn!(error = error.message, "the format of the log cannot be settled, trying again");
                format!("the format of the log cannot be settled: {}", error.message)
            }
        }
    }

    /// How things stand.
    ///
    /// # Errors
    /// `log_unavailable`.
    pub async fn state(&self) -> Result<State, ApiError> {
        let (bus, topics, now_ms) = (self.bus.clone(), self.topics.clone(), self.clock.now_ms());
        let running = blocking(move || presence::running(&*bus, &topics, now_ms)).await?;
        Ok(State { format: self.world.format().get(), running: running.map_err(unavailable)? })
    }

    /// Puts this release's newest format into force; whether that changed anything. There is no way back.
    ///
    /// # Errors
    /// `older_release_runs` with those that would have to end; `format_moved` if somebody else changed it meanwhile;
    /// a log that cannot be written.
    pub async fn finish(&self, by: &str) -> Result<bool, ApiError> {
        let state = self.state().await?;
        if state.is_finished() {
            return Ok(false);
        }
        let newest = Format::newest();
        let of = |alive: &ProcessAlive| {
            format!("{}: release {}, writes format {} at most", alive.instance, alive.release, alive.format_newest)
        };
        let old: Vec<String> = state.too_old().map(of).collect();
        if !old.is_empty() {
            let message = format!(
                "processes of an older release run, and cannot go on in format {}: stop or upgrade them first; one \
                 that died counts for {} s",
                newest.number(),
                presence::ALIVE_MS / 1_000
            );
            return Err(ApiError::new(StatusCode::CONFLICT, "older_release_runs", message).with_details(old));
        }
        self.set(newest, Some(state.format), by).await?;
        let mut told = self.world.format_told();
        let seen = told.wait_for(|told| matches!(told, Some(Ok(format)) if *format == newest));
        match tokio::time::timeout(ECHO_MAX, seen).await {
            Ok(_) => Ok(true),
            Err(_) => {
                let message = format!("the upgrade is finished, and this process has not seen it within {ECHO_MAX:?}");
                Err(ApiError::unavailable("kv_behind", message))
            }
        }
    }

    /// Compares what the log tells with what is expected, and sets it.
    async fn set(&self, format: Format, expected: Option<Format>, by: &str) -> Result<(), ApiError> {
        let (bus, topic) = (self.bus.clone(), self.topics.kv());
        let updated_at_ms = self.clock.now_ms();
        let entry = KvEntry { value: format::value_of(format), updated_at_ms, updated_by: by.to_owned() };
        // Every release must be able to read this one.
        let value = Format::FIRST.encode(&entry).map_err(|error| unavailable(error.into()))?;
        let record = Output::to_partition(&topic, 0, FORMAT_KEY, Some(value));
        let written = blocking(move || -> anyhow::Result<Result<(), SoleWriteError>> {
            let writer = bus.sole_writer(WRITER)?;
            let now = read(&*bus, &topic)?;
            if now.as_ref().and_then(|told| told.as_ref().ok()) != expected.as_ref() || matches!(now, Some(Err(_))) {
                return Ok(Err(SoleWriteError::Superseded));
            }
            Ok(writer.write(vec![record]))
        });
        match written.await?.map_err(unavailable)? {
            Ok(()) => Ok(()),
            Err(SoleWriteError::Superseded) => {
                let message =
                    "another process changed the format of the log meanwhile; nothing was written by this one";
                Err(ApiError::new(StatusCode::CONFLICT, "format_moved", message))
            }
            Err(error) => Err(unavailable(error.into())),
        }
    }
}

/// What the log tells at its end; blocks.
fn read(bus: &dyn Bus, topic: &str) -> anyhow::Result<Option<Told>> {
    let mut told = None;
    let take = |_, record: Record<'_>| {
        if record.key == Some(FORMAT_KEY.as_bytes()) {
            let value = record.value.map(decode::<KvEntry>).transpose();
            told = match value {
                Ok(entry) => entry.map(|entry| format::told(&entry.value)),
                Err(error) => Some(Err(error.to_string())),
            };
        }
    };
    read_whole(bus, topic, take)?;
    Ok(told)
}

fn unavailable(error: anyhow::Error) -> ApiError {
    ApiError::unavailable("log_unavailable", format!("{error:#}"))
}

/// Calls that block happen off the runtime.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(call).await;
    done.map_err(|error| ApiError::unavailable("internal", format!("the call failed: {error}")))
}

#[cfg(test)]
mod tests;

//! The HTTP API. docs/API.md describes every route.

mod body;
mod config;
mod descendants;
mod error;
mod events;
mod executions;
pub mod explain;
mod gates;
mod guard;
mod health;
mod inquiries;
mod metrics;
mod output;
mod packs;
mod results;
mod secrets;
mod sql;
mod status;
mod stream;
mod switches;
mod tasks;
mod upgrade;
mod workers;
mod workflows;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use petrel_bus::{Bus, Clock, Publisher, StageStats, Troubles};
use petrel_executor::objects::Objects;
use petrel_ingest::admission::Admission;
use petrel_ingest::topics::TopicWriter;
use petrel_schemas::Topics;

pub use error::ApiError;
pub use guard::Guard;

use crate::apply::Applier;
use crate::config::Config;
use crate::follow;
use crate::gates::GatesView;
use crate::live::LiveView;
use crate::metrics::Exported;
use crate::output::OutputView;
use crate::secrets::{Changes, Door};
use crate::sql::Sql;
use crate::stop::Stop;
use crate::upgrade::Upgrade;
use crate::world::World;

/// How often to look what stands in the way of a start.
const LOOK: Duration = Duration::from_millis(200);

/// What the handlers share. The core is there once the log can be reached.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    core: OnceLock<Core>,
    waiting_for: std::sync::Mutex<String>,
}

/// Everything that handlers need of a process that is up.
pub struct Core {
    /// The configuration.
    pub config: Config,
    /// Name of the process.
    pub instance: String,
    /// Name of the bus, for people.
    pub bus_name: String,
    /// The log.
    pub bus: Arc<dyn Bus>,
    /// Names of Petrel's own topics.
    pub topics: Topics,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Writes what clients send.
    pub publisher: Arc<dyn Publisher>,
    /// Checks what clients send.
    pub admission: Admission,
    /// Takes records for topics; none on Kafka, where other producers write them.
    pub topic_writer: Option<TopicWriter>,
    /// Catalog and key-value store.
    pub world: Arc<World>,
    /// Live executions.
    pub live: Arc<LiveView>,
    /// What executions write.
    pub output: Arc<OutputView>,
    /// Told when the process ends.
    pub stop: Stop,
    /// The workers, as they were seen last.
    pub workers_seen: workers::Seen,
    /// Gates of policies.
    pub gates: Arc<GatesView>,
    /// Puts revisions into force.
    pub applier: Applier,
    /// The audit trail; none without the role `api`.
    pub sql: Option<Sql>,
    /// Changes secrets.
    pub secrets: Changes,
    /// The store of objects.
    pub objects: Arc<Objects>,
    /// Seals what is given to single executions.
    pub door: Door,
    /// Which format is in force, and finishing an upgrade.
    pub upgrade: Upgrade,
    /// The stages of this process.
    pub stages: Vec<(String, Arc<StageStats>)>,
    /// What is exported beside the stages' counters.
    pub exported: Exported,
}

impl App {
    /// An app that waits for `what`.
    pub fn waiting(what: &str) -> Self {
        Self(Arc::new(Inner { core: OnceLock::new(), waiting_for: std::sync::Mutex::new(what.to_owned()) }))
    }

    /// Says what the process waits for.
    pub fn wait_for(&self, what: String) {
        *self.0.waiting_for.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = what;
    }

    /// Waits, and says for what until it is over, and what stands in its way.
    pub async fn waits<T>(&self, what: &str, troubles: &Troubles, wait: impl Future<Output = T>) -> T {
        let mut wait = std::pin::pin!(wait);
        loop {
            let why = std::iter::once(what.to_owned()).chain(follow::lines(troubles));
            self.wait_for(why.collect::<Vec<_>>().join("; "));
            if let Ok(done) = tokio::time::timeout(LOOK, &mut wait).await {
                return done;
            }
        }
    }

    /// The process is up.
    pub fn up(&self, core: Core) {
        // Called once, by the process that made this app.
        let _ = self.0.core.set(core);
    }

    /// The core, if the process is up.
    pub fn started(&self) -> Result<&Core, ApiError> {
        self.0.core.get().ok_or_else(|| {
            let waiting = self.0.waiting_for.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            ApiError::unavailable("starting", format!("the server is starting: {waiting}"))
        })
    }

    /// The core of a process that has the role `api`.
    pub fn core(&self) -> Result<&Core, ApiError> {
        let core = self.started()?;
        core.sql().map(|_| core)
    }
}

impl Core {
    /// The audit trail.
    pub fn sql(&self) -> Result<&Sql, ApiError> {
        self.sql
            .as_ref()
            .ok_or_else(|| ApiError::not_found("no_api", "this process does not have the role `api`; ask one that has"))
    }

    /// Longest time for a client to send a body.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.config.api.request_timeout_ms)
    }
}

/// Who asks: sign-in comes later, so there is one user.
fn user() -> String {
    "api".to_owned()
}

/// All routes behind the guard.
pub fn router(app: App, guard: Guard) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/status", get(status::status))
        .route("/v1/events/{trigger}", post(events::event))
        .route("/v1/topics/{topic}", post(events::topic))
        .route("/v1/packs", get(packs::list))
        .route("/v1/packs/apply", post(packs::apply))
        .route("/v1/rules", get(packs::rules))
        .route("/v1/rules/{rule}/explain", post(explain::explain))
        .route("/v1/actions/{action}/run", post(executions::run))
        .route("/v1/executions", get(executions::list))
        .route("/v1/executions/{id}", get(executions::get))
        .route("/v1/executions/{id}/output", get(output::output))
        .route("/v1/executions/{id}/tasks", get(tasks::tasks))
        .route("/v1/executions/{id}/cancel", post(executions::cancel))
        .route("/v1/executions/{id}/pause", post(workflows::pause))
        .route("/v1/executions/{id}/resume", post(workflows::resume))
        .route("/v1/executions/{id}/rerun", post(workflows::rerun))
        .route("/v1/executions/{id}/decide", post(workflows::decide))
        .route("/v1/executions/{id}/result", get(results::get))
        .route("/v1/gates", get(gates::list))
        .route("/v1/gates/{gate}", get(gates::get))
        .route("/v1/gates/{gate}/open", post(gates::open))
        .route("/v1/gates/{gate}/shut", post(gates::shut))
        .route("/v1/inquiries", get(inquiries::list))
        .route("/v1/inquiries/{id}", get(inquiries::get))
        .route("/v1/inquiries/{id}/answer", post(inquiries::answer))
        .route("/v1/dispatch/pause", post(executions::pause))
        .route("/v1/dispatch/resume", post(executions::resume))
        .route("/v1/config/{pack}", get(config::get).post(config::change))
        .route("/v1/secrets", get(secrets::list))
        .route("/v1/secrets/rotate-master", post(secrets::rotate_master))
        .route("/v1/secrets/{name}", put(secrets::set).delete(secrets::delete))
        .route("/v1/secrets/{name}/rotate", post(secrets::rotate))
        .route("/v1/sql", post(sql::sql))
        .route("/v1/switches", get(switches::list))
        .route("/v1/switches/off", post(switches::off))
        .route("/v1/switches/on", post(switches::on))
        .route("/v1/workers", get(workers::list))
        .route("/v1/workers/{worker}/drain", post(workers::drain))
        .route("/v1/workers/{worker}/resume", post(workers::resume))
        .route("/v1/pools/{pool}/drain", post(workers::drain_pool))
        .route("/v1/pools/{pool}/resume", post(workers::resume_pool))
        .route("/v1/upgrade", get(upgrade::status))
        .route("/v1/upgrade/finish", post(upgrade::finish))
        .fallback(|| async { ApiError::not_found("no_such_route", "there is no such route; docs/API.md lists them") })
        .layer(from_fn_with_state(Arc::new(guard), guard::guard))
        .with_state(app)
}

/// Serves the API on a listener until `stop` resolves, then finishes the requests in flight.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: tokio::net::TcpListener, app: App, config: Config, stop: Stop) -> std::io::Result<()> {
    let address: SocketAddr = listener.local_addr()?;
    let guard = Guard::new(address, config.hosts, config.token);
    axum::serve(listener, router(app, guard)).with_graceful_shutdown(async move { stop.wait().await }).await
}

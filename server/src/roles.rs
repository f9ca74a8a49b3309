//! What each role starts, and how it ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use petrel_audit::SinkHandle;
use petrel_bus::{
    Bus, Clock, DriverOptions, GlobalsSource, Publisher, SessionOptions, Stage, StageHandle, StageStats, StateStores,
    Versioned, spawn_stage,
};
use petrel_execution::owner::Limits;
use petrel_execution::{Needs, cpu_milli};
use petrel_executor::gate::GateStage;
use petrel_executor::live::LiveOptions;
use petrel_executor::metrics::ExecutorMetrics;
use petrel_executor::objects::Objects;
use petrel_executor::owner::{OwnerHandle, OwnerOptions, OwnerService};
use petrel_executor::runner::{ContainerOptions, HttpOptions, PythonOptions, RunnerOptions, SshOptions};
use petrel_executor::supervise;
use petrel_executor::worker::{Neighbour, WorkerHandle, WorkerOptions, WorkerService};
use petrel_ingest::sensors::{SensorOptions, Sensors, SensorsHandle};
use petrel_ingest::timers::{TimerOptions, TimerStage};
use petrel_rules::{MatchCounters, MatchOptions, MatchStage};
use petrel_schemas::Topics;

use crate::cli::args::Role;
use crate::config::{self, Config, FileAccess};
use crate::engine::Engine;
use crate::metrics::Exported;
use crate::secrets::Vault;
use crate::world::{Globals, World};
use crate::{sink, sql};

/// What every role is built from.
pub struct Parts<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Name of the process.
    pub instance: &'a str,
    /// Names of the topics.
    pub topics: &'a Topics,
    /// The log.
    pub bus: &'a Arc<dyn Bus>,
    /// Where stages keep their state; none in a process whose roles have none.
    pub stores: Option<Arc<dyn StateStores>>,
    /// Identifies the log.
    pub cluster_id: String,
    /// The clock.
    pub clock: &'a Arc<dyn Clock>,
    /// Writes what no stage writes.
    pub publisher: &'a Arc<dyn Publisher>,
    /// Catalog and key-value store.
    pub world: &'a Arc<World>,
    /// Secrets.
    pub vault: &'a Arc<Vault>,
    /// The store of objects.
    pub objects: &'a Arc<Objects>,
}

/// The roles that run in this process, in the order in which they end.
#[derive(Default)]
pub struct Running {
    sensors: Option<SensorsHandle>,
    timers: Vec<StageHandle>,
    rules: Vec<StageHandle>,
    worker: Option<WorkerHandle>,
    owners: Option<OwnerHandle>,
    gates: Vec<StageHandle>,
    sink: Option<SinkHandle>,
    engine: Option<Engine>,
}

impl Running {
    /// Starts the roles. Each waits by itself for what is away.
    ///
    /// # Errors
    /// What cannot work however long one waits.
    pub async fn start(
        parts: &Parts<'_>,
        roles: &BTreeSet<Role>,
        ingest: &petrel_ingest::Metrics,
        exported: &mut Exported,
    ) -> anyhow::Result<Self> {
        let mut running = Self::default();
        let asks_sql = roles.contains(&Role::Audit) || roles.contains(&Role::Api);
        if asks_sql && parts.config.clickhouse.url.is_none() {
            running.engine = Some(Engine::start(parts.config).await?);
        }
        if roles.contains(&Role::Audit) {
            let endpoint = sql::endpoint(&parts.config.clickhouse, running.engine.as_ref())?;
            running.sink = Some(sink::start(parts, endpoint, exported));
        }
        let metrics = Arc::new(ExecutorMetrics::new(exported.registry()).context("metrics")?);
        if roles.contains(&Role::Worker) {
            let worker = parts.worker(metrics.clone())?;
            exported.services(worker.troubles().clone());
            running.worker = Some(worker);
        }
        if roles.contains(&Role::Executor) {
            let neighbour = running.worker.as_ref().map(|worker| worker.neighbour().clone());
            running.owners = Some(parts.owners(metrics, neighbour));
            running.gates = vec![parts.gates()];
        }
        if roles.contains(&Role::Rules) {
            running.rules = parts.rules(exported);
        }
        if roles.contains(&Role::Ingest) {
            running.timers = vec![parts.timers()];
            running.sensors = Some(parts.sensors(ingest.clone())?);
        }
        Ok(running)
    }

    /// Counters of all stages, by name and thread.
    pub fn stages(&self) -> Vec<(String, Arc<StageStats>)> {
        let named = |name: &str, stats: Vec<Arc<StageStats>>| -> Vec<(String, Arc<StageStats>)> {
            stats.into_iter().enumerate().map(|(n, stats)| (format!("{name}-{n}"), stats)).collect()
        };
        let of = |handles: &[StageHandle]| handles.iter().map(|h| h.stats().clone()).collect();
        let mut stages = named("match", of(&self.rules));
        stages.extend(named("timers", of(&self.timers)));
        stages.extend(named("owner", self.owners.as_ref().map(OwnerHandle::stats).unwrap_or_default()));
        stages.extend(named("gate", of(&self.gates)));
        stages.extend(named("claim", self.worker.iter().map(|w| w.stats().clone()).collect()));
        stages
    }

    /// The worker of this process.
    pub fn worker(&self) -> Option<&WorkerHandle> {
        self.worker.as_ref()
    }

    /// The embedded engine, if this process has one.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Ends every role: what makes new work first, what remembers it last.
    pub async fn shutdown(self) {
        let Self { sensors, timers, rules, worker, owners, gates, sink, engine } = self;
        let intake = move || {
            drop(sensors);
            timers.iter().chain(&rules).for_each(StageHandle::stop);
            timers.into_iter().chain(rules).for_each(StageHandle::join);
        };
        off_runtime("rules", intake).await;
        if let Some(worker) = worker {
            worker.shutdown().await;
        }
        off_runtime("owners", move || owners.map(OwnerHandle::shutdown)).await;
        let gates = move || {
            gates.iter().for_each(StageHandle::stop);
            gates.into_iter().for_each(StageHandle::join);
        };
        off_runtime("gates", gates).await;
        off_runtime("sink", move || sink.map(SinkHandle::join)).await;
        off_runtime("engine", move || engine.map(Engine::stop)).await;
    }
}

/// Joining threads blocks, which is not for the runtime's own.
async fn off_runtime<T: Send + 'static>(what: &str, call: impl FnOnce() -> T + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(call).await {
        tracing::error!(%error, what, "did not end in order");
    }
}

impl Parts<'_> {
    fn globals(&self) -> Arc<dyn GlobalsSource<Globals>> {
        self.world.clone()
    }

    pub(crate) fn driver(&self) -> DriverOptions {
        DriverOptions {
            commit_interval_ms: self.config.commit_interval_ms,
            output_bytes_max: self.config.record_bytes_max,
            stores: self.stores.clone(),
            positions: Some(self.topics.positions()),
            outgoing: Some(Arc::new(self.world.format().clone())),
            ..DriverOptions::default()
        }
    }

    fn stage<S: Stage + 'static>(
        &self,
        stage: S,
        thread: usize,
        globals: Arc<dyn GlobalsSource<S::Globals>>,
    ) -> StageHandle {
        let group = stage.spec().name.clone();
        let session = SessionOptions {
            group: format!("{}{group}", self.topics.prefix()).into(),
            member: format!("{}-{group}-{thread}", self.instance).into(),
            transactional: true,
        };
        spawn_stage(self.bus.clone(), stage, session, self.driver(), globals, self.clock.clone())
    }

    fn timers(&self) -> StageHandle {
        // It follows no globals, so it is never behind any.
        let nothing: Arc<dyn GlobalsSource<()>> = Arc::new(Versioned { version: u64::MAX, value: Arc::new(()) });
        self.stage(TimerStage::new(self.topics, TimerOptions::default()), 0, nothing)
    }

    fn gates(&self) -> StageHandle {
        self.stage(GateStage::new(self.topics.clone()), 0, self.globals())
    }

    fn rules(&self, exported: &mut Exported) -> Vec<StageHandle> {
        let options = MatchOptions {
            record_all_events: self.config.rules.record_all_events,
            criteria_error_rows_max: self.config.rules.criteria_error_rows_max,
            ..MatchOptions::new(self.cluster_id.clone(), self.topics.clone())
        };
        let counters = Arc::new(MatchCounters::default());
        exported.matches(counters.clone(), self.world.clone());
        let thread = |n| self.stage(MatchStage::new(options.clone(), counters.clone()), n, self.globals());
        (0..self.config.rules.threads).map(thread).collect()
    }

    fn owners(&self, metrics: Arc<ExecutorMetrics>, neighbour: Option<Neighbour>) -> OwnerHandle {
        let defaults = OwnerOptions::new(self.topics.clone(), self.config.task_partitions);
        let limits = Limits {
            pools: self.config.pools.iter().map(|pool| pool.as_str().into()).collect(),
            pool_labels: self.config.pool_labels.clone(),
            lease_ms: self.config.executor.lease_ms,
            request_dedup_ms: self.config.request_dedup_ms,
            lost_leases_max: i32::try_from(self.config.executor.lost_leases_max).unwrap_or(i32::MAX),
            schedule_to_start_ms: self.config.executor.schedule_to_start_ms,
            no_room_ms: self.config.executor.no_room_ms,
            rerun_within_ms: self.config.executor.rerun_within_ms,
            frozen_after_ms: self.config.executor.frozen_after_ms,
            ..defaults.limits
        };
        let options = OwnerOptions { limits, topics: defaults.topics, release_batch_max: defaults.release_batch_max };
        let service = OwnerService {
            options,
            driver: self.driver(),
            instance: self.instance.into(),
            threads: self.config.executor.threads,
            bus: self.bus.clone(),
            globals: self.globals(),
            clock: self.clock.clone(),
            metrics,
            neighbour,
        };
        service.run()
    }

    fn worker(&self, metrics: Arc<ExecutorMetrics>) -> anyhow::Result<WorkerHandle> {
        for missing in supervise::Ability::look().findings().iter().filter(|finding| !finding.is_given) {
            tracing::warn!("{}", missing.sentence);
        }
        let folder: PathBuf = self.config.data_dir.join("packs");
        let defaults = WorkerOptions::new(self.topics.clone(), self.instance.into(), folder);
        let python = &self.config.executor.python;
        let options = WorkerOptions {
            pool: self.config.worker.pool.as_str().into(),
            decline_ms: self.config.worker.decline_ms,
            slots: if self.config.worker.slots == 0 { defaults.slots } else { self.config.worker.slots },
            room: room_of(&self.config.worker, defaults.room),
            shutdown_grace_ms: self.config.worker.shutdown_grace_ms,
            container: match &self.config.executor.container.socket {
                Some(socket) => ContainerOptions { socket: socket.clone() },
                None => ContainerOptions::default(),
            },
            live: LiveOptions {
                attempt_bytes_max: self.config.worker.live_bytes_max,
                flush_ms: self.config.worker.live_flush_ms,
                ..LiveOptions::default()
            },
            runner: RunnerOptions {
                confines_files: self.config.executor.confine == FileAccess::Confined,
                kept: self.config.kept_from_actions(),
                ..RunnerOptions::default()
            },
            http: HttpOptions {
                guard: self.config.executor.http.guard()?,
                own: self.config.own_services(),
                ..HttpOptions::default()
            },
            ssh: SshOptions {
                known_hosts: self.config.executor.ssh.known_hosts.clone(),
                remembered: Some(self.config.data_dir.join("ssh_known_hosts")),
                agent: self.config.executor.ssh.agent.clone(),
                ..SshOptions::default()
            },
            python: PythonOptions {
                index_url: python.index_url.as_ref().map(|url| url.expose().to_owned()),
                find_links: python.find_links.clone(),
                environment_days_max: python.environment_days_max,
                idle_ms: python.idle_ms,
                zygotes_max: python.zygotes_max,
                ..defaults.python.clone()
            },
            ..defaults
        };
        let service = WorkerService {
            options,
            driver: DriverOptions { positions: Some(self.topics.worker_positions()), ..self.driver() },
            bus: self.bus.clone(),
            publisher: self.publisher.clone(),
            globals: self.globals(),
            secrets: self.vault.clone(),
            objects: self.objects.clone(),
            clock: self.clock.clone(),
            metrics,
        };
        Ok(service.run()?)
    }

    fn sensors(&self, metrics: petrel_ingest::Metrics) -> anyhow::Result<SensorsHandle> {
        let world = self.world.clone();
        let sensors = Sensors::new(
            SensorOptions::new(self.instance),
            Arc::new(move || world.triggers()),
            self.topics.triggers(),
            self.publisher.clone(),
            self.clock.clone(),
            metrics,
        );
        sensors.spawn().context("cannot start the sensors' thread")
    }
}

/// What a worker has for actions that say what they need: as the configuration says, or all of the machine.
fn room_of(worker: &config::Worker, machine: Needs) -> Needs {
    Needs {
        memory_bytes: if worker.memory_bytes == 0 { machine.memory_bytes } else { worker.memory_bytes },
        cpu_milli: cpu_milli(worker.cpus).unwrap_or(machine.cpu_milli),
    }
}

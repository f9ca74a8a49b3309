//! A process from its start to its end: `petrel up` and `petrel serve`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use petrel_bus::{Bus, BusError, Clock, Publisher, TopicSpec, Troubles};
use petrel_catalog::Retention;
use petrel_execution::Labels;
use petrel_executor::supervise::keep_secrets;
use petrel_ingest::admission::{Admission, AdmissionOptions};
use petrel_ingest::bindings::MissingTopic;
use petrel_ingest::topics::{TopicOptions, TopicWriter};
use petrel_schemas::{Cleanup, OwnTopic, Topics};

use crate::api::{self, App, Core};
use crate::apply::{Applier, What};
use crate::bus::{OpenBus, open};
use crate::cli::args::Role;
use crate::cli::output;
use crate::clock::SystemClock;
use crate::config::{Config, PoolSize};
use crate::follow::Follows;
use crate::format::{Formatted, InForce};
use crate::gates::GatesView;
use crate::live::LiveView;
use crate::metrics::Exported;
use crate::output::OutputView;
use crate::presence::{Presence, Present};
use crate::roles::{Parts, Running};
use crate::secrets::{self, Changes, Door, Vault};
use crate::sql::Sql;
use crate::stop::Stop;
use crate::upgrade::Upgrade;
use crate::world::{Needs, World};
use crate::{activity, instance, packs, sql, state, telemetry};

/// First and longest pause while the log cannot be reached.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What to run.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// Roles of the process.
    pub roles: BTreeSet<Role>,
    /// Whether to show live what happens.
    pub live: bool,
    /// Folder of packs to apply at the start.
    pub packs: Option<PathBuf>,
}

/// Runs until a signal ends it.
///
/// # Errors
/// What keeps the process from starting. Once it runs, it waits for what is away and goes on.
pub fn run(setup: Setup) -> anyhow::Result<()> {
    telemetry::init(&setup.config.log)?;
    keep_secrets().context("cannot keep other processes out of this one's memory")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start a runtime")?;
    let shutdown = Duration::from_millis(setup.config.shutdown_ms);
    let result = runtime.block_on(start(setup));
    // What is left (a request that still waits, say) does not keep the process.
    runtime.shutdown_timeout(shutdown);
    result
}

async fn start(setup: Setup) -> anyhow::Result<()> {
    let shutdown = Duration::from_millis(setup.config.shutdown_ms);
    let Setup { config, roles, live, packs } = setup;
    let stop = Stop::default();
    end_on_signals(stop.clone())?;
    let instance = instance::instance_id(config.instance_id.as_deref(), &config.data_dir)?;
    let listener = tokio::net::TcpListener::bind(config.listen).await;
    let listener =
        listener.with_context(|| format!("cannot listen on {}: is another Petrel running?", config.listen))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, %instance, roles = ?roles, "petrel starts");
    let app = App::waiting("opening the log");
    let serving = tokio::spawn(api::serve(listener, app.clone(), config.clone(), stop.clone()));

    let result = tokio::select! {
        started = up(&config, &instance, &roles, &app, &stop) => started.map(Some),
        () = stop.wait() => Ok(None),
    };
    let (running, present) = match result {
        Ok(Some(running)) => running,
        Ok(None) => return Ok(()),
        Err(error) => {
            stop.set();
            return Err(error);
        }
    };
    if let Err(error) = greet(&app, address, live, packs, &stop).await {
        tracing::error!(error = %format!("{error:#}"), "packs cannot be applied");
        output::error(&format!("{error:#}"));
    }
    let refusal = match app.started() {
        Ok(core) => tokio::select! { () = stop.wait() => None, why = core.upgrade.refused() => Some(why) },
        Err(_) => None,
    };
    if let Some(why) = &refusal {
        tracing::error!(why, "this release cannot go on");
        stop.set();
    }
    tracing::info!("petrel ends");
    running.shutdown().await;
    // Only now: a process that still runs actions reads and writes, and an upgrade is not finished over its head.
    present.ended().await;
    match tokio::time::timeout(shutdown, serving).await {
        Ok(served) => {
            if let Err(error) = served.context("the API failed")? {
                tracing::warn!(%error, "the API ended with an error");
            }
        }
        // Somebody who reads slowly keeps nobody's process.
        Err(_) => tracing::warn!("the API did not answer everybody in time"),
    }
    // What starts it again learns from its end that something has to be done.
    refusal.map_or(Ok(()), |why| Err(anyhow::anyhow!("{why}")))
}

/// Everything between the open port and the open doors.
async fn up(
    config: &Config,
    instance: &str,
    roles: &BTreeSet<Role>,
    app: &App,
    stop: &Stop,
) -> anyhow::Result<(Running, Present)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let topics = Topics::new(&config.topic_prefix, config.partitions, config.task_partitions);
    let OpenBus { bus, name: bus_name, is_local } = open(config, instance, &clock)?;
    ensure_topics(&bus, &topics, config, app).await?;

    let follows = Follows { bus: bus.clone(), clock: clock.clone(), stop: stop.clone(), troubles: Troubles::default() };
    let world = World::new(needs_of(roles));
    world.spawn(&follows, &topics);
    app.waits("reading the catalog", &follows.troubles, world.ready()).await;
    let upgrade = Upgrade {
        bus: bus.clone(),
        topics: topics.clone(),
        clock: clock.clone(),
        world: world.clone(),
        troubles: follows.troubles.clone(),
    };
    upgrade.settle(roles.contains(&Role::Api), app).await?;

    let vault = Vault::new(secrets::load_keys(&config.secrets)?, clock.clone());
    if roles.contains(&Role::Worker) || roles.contains(&Role::Api) {
        vault.spawn(&follows, &topics);
    }
    if !is_local && (roles.contains(&Role::Worker) || roles.contains(&Role::Api)) && config.objects.is_of_one_machine()
    {
        tracing::warn!(
            "large results are put into a folder of data_dir, where other machines do not find them: with several, set \
             objects.folder to one that they share, or objects.store to s3"
        );
    }
    let objects = Arc::new(config.objects.open(&config.data_dir, clock.clone())?);
    app.wait_for("starting the stages".into());
    let mut exported = Exported::default();
    exported.services(follows.troubles.clone());
    let publisher = publisher(&bus, instance, world.format()).await?;
    let cluster_id = blocking(&bus, |bus| bus.cluster_id()).await?;
    let stores = state::open_stores(config, roles, &bus, &topics, &cluster_id).await?;
    let parts = Parts {
        config,
        instance,
        topics: &topics,
        bus: &bus,
        stores,
        cluster_id,
        clock: &clock,
        publisher: &publisher,
        world: &world,
        vault: &vault,
        objects: &objects,
    };
    let ingest_metrics = petrel_ingest::Metrics::register(exported.registry()).context("metrics")?;
    let running = Running::start(&parts, roles, &ingest_metrics, &mut exported).await?;
    let gates = Arc::new(GatesView::new(config.api.live_gates_max));
    let live = Arc::new(LiveView::new(config.api.live_executions_max));
    let serves_api = roles.contains(&Role::Api);
    let output = Arc::new(OutputView::new(&config.api));
    if serves_api {
        live.spawn(&follows, topics.executions());
        output.spawn(&follows, topics.output());
        exported.queues(live.clone(), config.pools.clone(), clock.clone());
        gates.spawn(&follows, topics.gate_state());
    }
    let missing = match is_local {
        true => {
            MissingTopic::Create { partitions: config.local.topic_partitions, retention_ms: Some(config.retention_ms) }
        }
        false => MissingTopic::Refuse,
    };
    let triggers = {
        let world = world.clone();
        Arc::new(move || world.triggers())
    };
    let admission = AdmissionOptions {
        event_bytes_max: config.api.event_bytes_max,
        batch_events_max: config.api.batch_events_max,
        batch_bytes_max: config.api.batch_bytes_max,
        ..AdmissionOptions::default()
    };
    let sql = serves_api.then(|| sql::endpoint(&config.clickhouse, running.engine())).transpose()?;
    let sql = sql.map(|endpoint| Sql::new(endpoint, config));
    let presence = Presence {
        instance: instance.to_owned(),
        roles: roles.iter().map(|role| role.name().to_owned()).collect(),
        worker: running.worker().map(|worker| (config.worker.pool.clone(), worker.slots().clone())),
        format: world.format().clone(),
        topic: topics.processes(),
        publisher: publisher.clone(),
        clock: clock.clone(),
    };
    let present = presence.spawn();
    let door = Door {
        bus: bus.clone(),
        vault: vault.clone(),
        publisher: publisher.clone(),
        topics: topics.clone(),
        clock: clock.clone(),
        format: world.format().clone(),
        keep_ms: config.secrets.execution_keep_ms,
        turn: Arc::default(),
    };
    if serves_api {
        tokio::spawn(door.clone().sweep(live.clone(), stop.clone()));
    }
    let secrets = Changes {
        bus: bus.clone(),
        topics: topics.clone(),
        clock: clock.clone(),
        format: world.format().clone(),
        vault,
    };
    let core = Core {
        config: config.clone(),
        instance: instance.to_owned(),
        bus_name,
        bus: bus.clone(),
        topics: topics.clone(),
        clock: clock.clone(),
        publisher: publisher.clone(),
        admission: Admission::new(triggers, topics.triggers(), admission, ingest_metrics.clone()),
        topic_writer: is_local.then(|| TopicWriter::new(topics.clone(), TopicOptions::default(), ingest_metrics)),
        world: world.clone(),
        live,
        gates,
        output,
        stop: stop.clone(),
        workers_seen: Default::default(),
        applier: Applier::new(bus, topics, clock, world, retention_of(config), missing)
            .with_pools(pools_of(config), sizes_of(config)),
        sql,
        secrets,
        objects,
        door,
        upgrade,
        stages: running.stages(),
        exported,
    };
    app.up(core);
    Ok((running, present))
}

/// What no stage writes is written by this, in the format in force.
async fn publisher(bus: &Arc<dyn Bus>, instance: &str, format: &InForce) -> anyhow::Result<Arc<dyn Publisher>> {
    let name = instance.to_owned();
    let publisher = blocking(bus, move |bus| bus.publisher(&name)).await?;
    Ok(Arc::new(Formatted { publisher, format: format.clone() }))
}

/// The pools with their labels.
fn pools_of(config: &Config) -> Vec<(String, Labels)> {
    let labels = |pool: &String| config.pool_labels.get(pool).cloned().unwrap_or_default();
    config.pools.iter().map(|pool| (pool.clone(), labels(pool))).collect()
}

/// What the largest worker of a pool has, where that is said.
fn sizes_of(config: &Config) -> BTreeMap<String, petrel_execution::Needs> {
    let size = |size: &PoolSize| petrel_execution::Needs {
        memory_bytes: size.memory_bytes,
        cpu_milli: petrel_execution::cpu_milli(size.cpus).unwrap_or(u64::MAX),
    };
    config.pool_sizes.iter().map(|(pool, of)| (pool.clone(), size(of))).collect()
}

fn retention_of(config: &Config) -> Retention {
    Retention {
        revisions_max: config.catalog_revisions_max,
        revision_keep_ms: config.catalog_revision_keep_ms,
        bytes_max: config.catalog_bytes_max,
    }
}

/// How much of the revision in force these roles need.
fn needs_of(roles: &BTreeSet<Role>) -> Needs {
    let need = |role: &Role| match role {
        Role::Rules | Role::Api => Needs::Rules,
        Role::Ingest => Needs::Triggers,
        Role::Executor => Needs::Policies,
        Role::Worker | Role::Audit => Needs::Nothing,
    };
    roles.iter().map(need).max().unwrap_or(Needs::Nothing)
}

/// Creates Petrel's topics, waiting for a log that is away.
async fn ensure_topics(bus: &Arc<dyn Bus>, topics: &Topics, config: &Config, app: &App) -> anyhow::Result<()> {
    let output = topics.output();
    let retention_ms = |name: &str| if *name == *output { config.output_retention_ms } else { config.retention_ms };
    let spec = |topic: OwnTopic| TopicSpec {
        retention_ms: (topic.cleanup == Cleanup::Delete).then(|| retention_ms(&topic.name)),
        name: topic.name,
        partitions: topic.partitions,
        compacted: topic.cleanup == Cleanup::Compact,
        delete_retention_ms: (topic.cleanup == Cleanup::Compact).then_some(config.delete_retention_ms),
    };
    let pools: Vec<&str> = config.pools.iter().map(String::as_str).collect();
    let specs: Vec<TopicSpec> = topics.all(&pools).into_iter().map(spec).collect();
    let mut backoff = BACKOFF.0;
    loop {
        let specs = specs.clone();
        match blocking(bus, move |bus| bus.ensure_topics(&specs)).await {
            Ok(()) => return Ok(()),
            Err(BusError::Unavailable(why)) => {
                tracing::warn!(%why, "the log cannot be reached, trying again");
                app.wait_for(format!("the log cannot be reached: {why}"));
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF.1);
            }
            Err(other) => bail!(other),
        }
    }
}

/// Calls to the bus block, so they happen off the runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    bus: &Arc<dyn Bus>,
    call: impl FnOnce(&dyn Bus) -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    let bus = bus.clone();
    match tokio::task::spawn_blocking(move || call(&*bus)).await {
        Ok(result) => result,
        Err(error) => Err(BusError::Unavailable(format!("the call failed: {error}"))),
    }
}

/// Applies the packs of the command line, and says what to do next.
async fn greet(
    app: &App,
    address: std::net::SocketAddr,
    live: bool,
    packs: Option<PathBuf>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let Ok(core) = app.started() else { return Ok(()) };
    if live {
        output::line(&format!("Petrel is up on http://{address}, bus: {}", core.bus_name));
        activity::show(core.bus.clone(), &core.topics, &core.clock, stop, core.stages.clone());
    }
    if let Some(folder) = packs {
        let what = What::Packs { sources: packs::read(&[folder])?, prune: false };
        let applied = core.applier.apply(what, "petrel up").await;
        let applied = applied.map_err(|e| anyhow::anyhow!("{}\n{}", e.message, e.details.join("\n")))?;
        tracing::info!(revision = %applied.revision, changed = applied.changed, "packs applied");
    }
    if live {
        let flag = if address.port() == 7373 { String::new() } else { format!(" --api http://{address}") };
        output::line("Send an event of your own:");
        output::line(&format!(
            "  curl -s -H 'Content-Type: application/json' -d '{{\"host\":\"db-1\",\"mount\":\"/tmp\",\"used_pct\":95.0}}' http://{address}/v1/events/demo.alert"
        ));
        output::line("and see what became of it:");
        output::line(&format!(
            "  {} sql{flag} \"SELECT status, action, parameters FROM executions_latest WHERE trigger = 'demo.alert' ORDER BY requested_at DESC LIMIT 5\"",
            program()
        ));
    }
    Ok(())
}

/// This program as one would type it here.
fn program() -> String {
    let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("petrel"));
    let here = std::env::current_dir().unwrap_or_default();
    let shown = match exe.strip_prefix(&here) {
        Ok(inside) => PathBuf::from(".").join(inside),
        Err(_) => exe,
    };
    shown.display().to_string()
}

/// The first signal ends the process in order, the second at once.
fn end_on_signals(stop: Stop) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch signals")?;
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if stop.is_set() {
                std::process::exit(130);
            }
            stop.set();
        }
    });
    Ok(())
}

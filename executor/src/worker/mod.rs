//! Workers: they claim tasks of one pool, run them, and tell the owners.
//!
//! `stage` claims on a thread of its own, from what `inputs` and `slots` tell it (and `size` these), and ends at once what needs no slot;
//! `beside` takes what an owner in the same process starts, and `told` what that owner is told of its end; `attempt` runs what was claimed on the async runtime; `call`
//! is what they do; `drain` is what people want of a worker; `secrets` opens what they need and masks what they write; `large` puts large results away, and `referenced` fetches those that parameters name; `follower` reads the owners' orders into `attempts`. What they decide is in
//! [`petrel_execution::worker`].

mod attempt;
mod attempts;
mod beside;
mod call;
mod drain;
#[cfg(test)]
mod example;
mod follower;
mod inputs;
mod large;
mod options;
mod referenced;
mod report;
mod secrets;
mod size;
mod slots;
mod stage;
#[cfg(test)]
mod tests;
mod told;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use petrel_bus::{
    Bus, Clock, DriverOptions, GlobalsSource, Publisher, SessionOptions, StageHandle, StageStats, Troubles, spawn_stage,
};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::SecretSource;
use crate::live::LiveOutput;
use crate::metrics::ExecutorMetrics;
use crate::objects::Objects;
use crate::packs_cache::PacksCache;
use crate::runner::{KafkaRunner, Parts, Runners, WorkDirectories};
use crate::view::ExecutorView;
use attempt::Shared;
pub use attempts::Attempts;
pub(crate) use beside::BesideSource;
pub use beside::{Beside, Neighbour, OwnerInputs, Start};
pub use drain::Draining;
use follower::Follower;
use inputs::Inputs;
pub use inputs::WorkerInputs;
pub use options::WorkerOptions;
use report::Reporter;
pub use slots::{Slot, Slots};
use stage::STAGE;
pub use stage::{ClaimStage, Claimed};
pub use told::{Letter, Owner, Telling, Told};

/// Most records that the claim stage fetches at once: with its slots full it keeps what it cannot claim in memory.
const FETCH_RECORDS_MAX: usize = 512;

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Its folder for packs cannot be used.
    #[error("cannot use the folder for packs {directory}: {source}")]
    Packs {
        /// The folder.
        directory: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its folder for work directories cannot be used.
    #[error("cannot use the folder for work directories {directory}: {source}")]
    Work {
        /// The folder.
        directory: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// What a worker needs of its process.
pub struct WorkerService<G> {
    /// Settings.
    pub options: WorkerOptions,
    /// Settings of the claim stage's driver.
    pub driver: DriverOptions,
    /// The log.
    pub bus: Arc<dyn Bus>,
    /// Writes heartbeats and results.
    pub publisher: Arc<dyn Publisher>,
    /// The catalog.
    pub globals: Arc<dyn GlobalsSource<G>>,
    /// Opens the secrets of attempts.
    pub secrets: Arc<dyn SecretSource>,
    /// Takes results that are too large for the log.
    pub objects: Arc<Objects>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the process.
    pub metrics: Arc<ExecutorMetrics>,
}

impl<G: ExecutorView + 'static> WorkerService<G> {
    /// Starts the worker; it waits for a bus that cannot be reached. To be called on an async runtime.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn run(self) -> Result<WorkerHandle, WorkerError> {
        let Self { options, driver, bus, publisher, globals, secrets, objects, clock, metrics } = self;
        let packs = PacksCache::open(options.packs_directory.clone()).map_err(|source| WorkerError::Packs {
            directory: options.packs_directory.display().to_string(),
            source,
        })?;
        let grace = Duration::from_millis(options.runner.kill_grace_ms);
        let work = WorkDirectories::open_after(options.work_directory.clone(), grace)
            .map_err(|source| WorkerError::Work { directory: options.work_directory.display().to_string(), source })?;
        let (slots, attempts) =
            (Slots::with_room(options.slots, options.room), Arc::new(Attempts::new(options.instance.clone())));
        metrics.slots.add(i64::try_from(options.slots).unwrap_or(i64::MAX));
        let orders = options.topics.orders(&options.pool);
        let follower =
            Follower::start(bus.clone(), orders, attempts.clone(), clock.clone()).map_err(WorkerError::Thread)?;
        let (sender, claims) = mpsc::unbounded_channel();
        let neighbour = Neighbour {
            worker: options.instance.clone(),
            pool: options.pool.clone(),
            slots: slots.clone(),
            attempts: attempts.clone(),
            claims: sender.downgrade(),
        };
        let stage: ClaimStage<G> = ClaimStage::new(&options, slots.clone(), sender, metrics.clone());
        let stats = Arc::new(OnceLock::new());
        let draining = Draining::new(slots.clone(), attempts.clone());
        let draining = draining.follow(globals.clone(), options.reports(), clock.clone());
        let inputs = Inputs {
            view: globals,
            slots: slots.clone(),
            attempts: attempts.clone(),
            secrets: secrets.clone(),
            turn: Default::default(),
            partitions: options.topics.task_partitions(),
            stats: stats.clone(),
        };
        let fetch_records_max = driver.fetch_records_max.min(FETCH_RECORDS_MAX);
        let driver = DriverOptions { fetch_records_max, ..driver };
        let session = SessionOptions {
            group: format!("{}worker.{}", options.topics.prefix(), options.pool).into(),
            member: format!("{}-{STAGE}-{}", options.instance, options.pool).into(),
            transactional: true,
        };
        let results = options.topics.results();
        let kafka = KafkaRunner::new(publisher.clone(), options.topics.clone());
        let live = LiveOutput {
            options: options.live,
            publisher: publisher.clone(),
            clock: clock.clone(),
            topic: options.topics.output(),
        };
        let reporter = Reporter { publisher, clock: clock.clone(), results, reports: options.reports() };
        let parts = Parts {
            worker: options.instance.clone(),
            container: options.container.clone(),
            command: options.runner.clone(),
            http: options.http.clone(),
            python: options.python.clone(),
            ssh: options.ssh.clone(),
            work,
            kafka,
        };
        let runners = Runners::new(parts);
        runners.start();
        let sweeping = tokio::spawn(objects.clone().keep_clean());
        let packs = Arc::new(packs);
        let shared = Shared { runners, reporter, live, attempts: attempts.clone(), packs, secrets, objects, metrics };
        let pool = tokio::spawn(run_claims(claims, Arc::new(shared)));
        let stage = spawn_stage(bus, stage, session, driver, Arc::new(inputs), clock);
        stats.get_or_init(|| stage.stats().clone());
        let looking = [draining, sweeping];
        Ok(WorkerHandle { stage, follower, slots, attempts, pool, options, neighbour, looking })
    }
}

/// Runs what is claimed, until the stage is gone and everything has ended.
async fn run_claims(mut claims: mpsc::UnboundedReceiver<Claimed>, shared: Arc<Shared>) {
    let mut attempts = JoinSet::new();
    loop {
        tokio::select! {
            claimed = claims.recv() => match claimed {
                Some(claimed) => { attempts.spawn(attempt::run(shared.clone(), claimed)); }
                None => break,
            },
            Some(ended) = attempts.join_next() => log_panic(ended),
        }
    }
    while let Some(ended) = attempts.join_next().await {
        log_panic(ended);
    }
}

/// The lease of an attempt that panicked passes, and its owner decides.
fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    // With what words is not told: they may quote a secret of the attempt.
    if ended.is_err() {
        tracing::error!("an attempt ended by a panic");
    }
}

/// A running worker.
pub struct WorkerHandle {
    stage: StageHandle,
    follower: Follower,
    slots: Slots,
    attempts: Arc<Attempts>,
    pool: JoinHandle<()>,
    options: WorkerOptions,
    neighbour: Neighbour,
    /// Looks whether people want it to be drained, and removes objects that are over their time.
    looking: [JoinHandle<()>; 2],
}

impl WorkerHandle {
    /// Counters of the claim stage.
    pub fn stats(&self) -> &Arc<StageStats> {
        self.stage.stats()
    }

    /// What keeps it from hearing its owners' orders, and so from claiming anything.
    pub fn troubles(&self) -> &Troubles {
        self.follower.troubles()
    }

    /// How owners in this process reach it.
    pub fn neighbour(&self) -> &Neighbour {
        &self.neighbour
    }

    /// Its slots: how many there are and are taken, and whether it is drained.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Attempts that run now.
    pub fn busy(&self) -> usize {
        self.slots.busy()
    }

    /// Claims nothing more, gives back what has not begun, waits for what runs, ends what still runs after
    /// `shutdown_grace_ms`, and hands it over, so that another worker tries where the action allows.
    pub async fn shutdown(self) {
        let Self { stage, follower, slots, attempts, mut pool, options, neighbour: _, looking } = self;
        looking.iter().for_each(JoinHandle::abort);
        slots.close();
        attempts.drain();
        stage.stop();
        // With the stage, and the turns of owners beside it that are under way, go the senders of claims.
        let left = tokio::task::spawn_blocking(move || stage.join()).await;
        if let Err(error) = left {
            tracing::error!(%error, "the claim stage did not end in order");
        }
        let grace = Duration::from_millis(options.shutdown_grace_ms);
        if tokio::time::timeout(grace, &mut pool).await.is_err() {
            tracing::warn!(attempts = slots.busy(), "ending attempts that still run");
            attempts.end_all();
            let most_ms = options.runner.kill_grace_ms.saturating_add(options.shutdown_report_ms);
            if tokio::time::timeout(Duration::from_millis(most_ms), &mut pool).await.is_err() {
                tracing::error!(attempts = slots.busy(), "attempts left to their leases");
                pool.abort();
            }
        }
        if tokio::task::spawn_blocking(move || drop(follower)).await.is_err() {
            tracing::error!("the thread that follows the orders did not end in order");
        }
    }
}

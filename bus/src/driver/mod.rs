//! The loop that runs a stage over a session: poll, step, then commit outputs, state and offsets
//! atomically.
//!
//! Invariants:
//! - A step sees records of one partition, in order, each exactly once in a committed transaction.
//! - State, timers, outputs and offsets of the steps between two commits become durable together.
//! - The globals change between two steps, never within one.
//! - After anything that is not a clean commit, state is what the changelog says: undone in memory
//!   after an abort, restored from the log after a rebuild.

mod commit;
mod failure;
mod held;
mod membership;
mod poison;
mod positions;
mod progress;
mod refused;
mod silence;
mod state;
mod step;
mod tasks;
mod timers;
mod told;
mod topics;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clock::Clock;
use crate::globals::{GlobalsSource, Versioned};
use crate::halts::Halts;
use crate::outgoing::Outgoing;
use crate::panics::caught;
use crate::record::Output;
use crate::session::{Fetched, GroupEvent, Session, SessionError, TopicPartition};
use crate::stage::{Context, Facts, InputTopic, Stage};
use crate::stats::StageStats;
use crate::store::{StateStores, TimerKind};
use failure::Failure;
use held::Held;
pub use poison::{RECORD_PANICS_MAX, Suspects};
use step::Stepping;
use tasks::Tasks;
pub use timers::POISON_TIMER_DELAY_MS;
use topics::Look;

/// Limits and intervals of a driver, and where its state is.
#[derive(Debug, Clone)]
pub struct DriverOptions {
    /// Longest time between two commits under load, in milliseconds.
    pub commit_interval_ms: i64,
    /// Longest time until a commit of nothing but positions, in milliseconds: their records led to nothing, and lead to
    /// nothing once more after a crash.
    pub quiet_commit_interval_ms: i64,
    /// Outputs after which a transaction is committed at once, in bytes: all of it is in memory, several times.
    pub transaction_bytes_max: usize,
    /// Most records taken by one fetch.
    pub fetch_records_max: usize,
    /// Longest wait for records, in milliseconds: how late a change of the globals may be seen.
    pub idle_wait_ms: u64,
    /// Longest wait while a partition is blocked, in milliseconds.
    pub blocked_wait_ms: u64,
    /// A transaction that wrote something is committed once no record came for this long, in
    /// milliseconds; at once where the bus knows that it has handed out everything.
    pub idle_commit_ms: u64,
    /// Most timers given to one step.
    pub timers_max: usize,
    /// How much later a timer comes that has made the stage panic [`RECORD_PANICS_MAX`] times, in milliseconds.
    pub poison_timer_delay_ms: i64,
    /// Largest output, key and value, in bytes; a dead letter is written instead of a larger one.
    pub output_bytes_max: usize,
    /// How often a partition's store is told where its changelog ends, in milliseconds: what was written
    /// since then is read once more by the next restore. So often it is also found out whether a topic that is read
    /// was made anew, and whether a partition that was halted or not begun can be read.
    pub position_interval_ms: i64,
    /// Where committed state is between two sessions; without them it is in memory and restored as a
    /// whole.
    pub stores: Option<Arc<dyn StateStores>>,
    /// Compacted topic for the positions of stages that have no changelog to keep them in; without one a
    /// group that the log forgot begins anew.
    pub positions: Option<Arc<str>>,
    /// What values pass on their way to the log; without it they are written as the stage made them.
    pub outgoing: Option<Arc<dyn Outgoing>>,
}

impl Default for DriverOptions {
    fn default() -> Self {
        Self {
            commit_interval_ms: 100,
            quiet_commit_interval_ms: 1_000,
            transaction_bytes_max: 4 << 20,
            fetch_records_max: 4096,
            idle_wait_ms: 50,
            blocked_wait_ms: 5,
            idle_commit_ms: 2,
            timers_max: 1024,
            poison_timer_delay_ms: POISON_TIMER_DELAY_MS,
            output_bytes_max: 1_000_000,
            position_interval_ms: 30_000,
            stores: None,
            positions: None,
            outgoing: None,
        }
    }
}

/// Where a test may let the driver crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DriverPoint {
    /// Partitions were assigned, nothing is restored.
    Assigned,
    /// State is restored, fetching has not begun.
    Restored,
    /// A batch was stepped, nothing of it is sent.
    Stepped,
    /// Outputs are in the open transaction, changelog and offsets are not.
    Sent,
    /// Everything is in the transaction, the commit has not been asked for.
    BeforeCommit,
    /// The commit succeeded; neither the stores of the state nor the stage have been told.
    AfterCommit,
    /// Both have.
    Applied,
    /// Partitions are about to be given up.
    Revoking,
}

/// Why the driver stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// Drop the session, keep the stage, connect anew.
    #[error("session to be rebuilt: {0}")]
    Rebuild(String),
    /// An operator must act.
    #[error("{0}")]
    Halt(String),
    /// The stage panicked; what it said, and where. Everything since the last commit is undone as after an abort: the
    /// driver is kept, and goes on after a pause.
    #[error("the stage panicked: {0}")]
    Panicked(String),
    /// The test's hook said so.
    #[error("crashed at {0:?}, as asked")]
    Crashed(DriverPoint),
}

/// What one turn of the loop did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tick {
    /// Records taken.
    pub records: usize,
    /// Whether a transaction was committed.
    pub committed: bool,
}

type Hook = Box<dyn FnMut(DriverPoint) -> bool>;

/// Runs one stage over one session.
pub struct Driver<'s, S: Stage> {
    stage: Held<'s, S>,
    session: Box<dyn Session>,
    source: Arc<dyn GlobalsSource<S::Globals>>,
    clock: Arc<dyn Clock>,
    options: DriverOptions,
    stats: Arc<StageStats>,
    hook: Option<Hook>,
    globals: Versioned<S::Globals>,
    inputs: Vec<InputTopic>,
    tasks: Tasks,
    /// What is assigned and not begun; and why, for people.
    refused: BTreeMap<TopicPartition, String>,
    /// Those among these on which the log lets nobody begin.
    withheld: BTreeSet<TopicPartition>,
    /// Partition numbers of which that is all, for nobody knows what led to their state; and the reason, for people.
    adrift: BTreeMap<u32, String>,
    /// What the session told and is not done yet: an abort in between must not lose it.
    events: VecDeque<GroupEvent>,
    outputs: Vec<Output>,
    /// When the open work began, in milliseconds since the epoch; none while nothing is open.
    open_since_ms: Option<i64>,
    /// Bytes of outputs that the open transaction holds: somebody may be waiting for them.
    sent_bytes: usize,
    /// Records and timers that made the stage panic.
    suspects: Suspects,
    /// Whether the stage has panicked since the last commit.
    is_recovering: bool,
    look: Look,
    /// Topics that cannot be read; and why, for people.
    missing: BTreeMap<Arc<str>, String>,
    /// What could not be read on, though begun.
    halts: Halts,
}

impl<'s, S: Stage> Driver<'s, S> {
    /// A driver that has not subscribed yet.
    pub fn new(
        stage: &'s mut S,
        session: Box<dyn Session>,
        source: Arc<dyn GlobalsSource<S::Globals>>,
        clock: Arc<dyn Clock>,
        options: DriverOptions,
        stats: Arc<StageStats>,
    ) -> Self {
        Self::holding(Held::Lent(stage), session, source, clock, options, stats)
    }

    /// A driver that owns its stage until [`Driver::into_stage`].
    pub fn owning(
        stage: S,
        session: Box<dyn Session>,
        source: Arc<dyn GlobalsSource<S::Globals>>,
        clock: Arc<dyn Clock>,
        options: DriverOptions,
        stats: Arc<StageStats>,
    ) -> Self {
        Self::holding(Held::Own(stage), session, source, clock, options, stats)
    }

    /// Drops the session and gives the stage back, if the driver owns it.
    pub fn into_stage(self) -> Option<S> {
        match self.stage {
            Held::Own(stage) => Some(stage),
            Held::Lent(_) => None,
        }
    }

    fn holding(
        mut stage: Held<'s, S>,
        mut session: Box<dyn Session>,
        source: Arc<dyn GlobalsSource<S::Globals>>,
        clock: Arc<dyn Clock>,
        options: DriverOptions,
        stats: Arc<StageStats>,
    ) -> Self {
        // Whatever an earlier driver left open, by a panic outside of a step above all, was not committed.
        stage.aborted();
        session.tell_restores(stats.restores.clone());
        source.wake_with(session.waker());
        let (globals, look) = (source.current(), Look::begun(clock.now_ms()));
        // What an earlier session could not read, this one will tell again.
        stats.forget_halted(|_| true);
        stats.set_missing(Vec::new());
        stats.set_delayed(Vec::new());
        Self {
            stage,
            session,
            source,
            clock,
            options,
            stats,
            hook: None,
            globals,
            inputs: Vec::new(),
            tasks: Tasks::default(),
            refused: BTreeMap::new(),
            withheld: BTreeSet::new(),
            adrift: BTreeMap::new(),
            events: VecDeque::new(),
            outputs: Vec::new(),
            open_since_ms: None,
            sent_bytes: 0,
            suspects: Suspects::default(),
            is_recovering: false,
            look,
            missing: BTreeMap::new(),
            halts: Halts::default(),
        }
    }

    /// Asks `hook` at every point whether to crash there.
    pub fn crash_when(&mut self, hook: impl FnMut(DriverPoint) -> bool + 'static) {
        self.hook = Some(Box::new(hook));
    }

    /// One turn: globals, fetch, steps, timers, perhaps a commit.
    ///
    /// # Errors
    /// See [`DriverError`]; after one the driver is dropped, except for [`DriverError::Panicked`].
    pub fn tick(&mut self) -> Result<Tick, DriverError> {
        match self.turn() {
            Ok(tick) => Ok(tick),
            Err(Failure::Session(SessionError::Abort(why))) => {
                tracing::warn!(stage = %self.stage.spec().name, %why, "transaction aborted");
                self.abort().map(|()| Tick::default()).map_err(|f| self.failed(f))
            }
            Err(Failure::Panicked(said)) => Err(self.after_panic(said)),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// Commits what is open and leaves the group.
    ///
    /// # Errors
    /// See [`DriverError`].
    pub fn finish(mut self) -> Result<(), DriverError> {
        if let Err(failure) = self.commit_last() {
            return Err(self.failed(failure));
        }
        self.leave_all();
        self.session.close();
        Ok(())
    }

    /// Partition numbers that are assigned and restored.
    pub fn partitions(&self) -> Vec<u32> {
        self.tasks.partitions()
    }

    /// Whoever gets the partitions next tells of their timers.
    fn leave_all(&mut self) {
        self.refuse_told();
        self.stats.set_delayed(Vec::new());
        for partition in self.tasks.partitions() {
            self.stage.revoked(partition);
        }
    }

    fn failed(&mut self, failure: Failure) -> DriverError {
        self.stage.aborted();
        self.leave_all();
        match failure {
            Failure::Session(SessionError::Abort(why) | SessionError::Rebuild(why)) => DriverError::Rebuild(why),
            Failure::Session(SessionError::Halt(why)) => DriverError::Halt(why),
            Failure::Store(error) => {
                self.leave_after_store_failure();
                DriverError::Rebuild(error.to_string())
            }
            Failure::Panicked(said) => DriverError::Rebuild(format!("the stage panicked: {said}")),
            Failure::Crashed(point) => DriverError::Crashed(point),
        }
    }

    fn turn(&mut self) -> Result<Tick, Failure> {
        self.handle_events()?;
        self.look_at_topics_in_time()?;
        self.refresh_globals()?;
        self.take_told()?;
        let (fetched, mut records) = self.fetch_and_step()?;
        records += self.offer_backlogs()?;
        self.point(DriverPoint::Stepped)?;
        let settled = self.commit_before_timers()?;
        self.fire_timers()?;
        self.fire_silence_timers()?;
        self.fire_suspected()?;
        self.check_states()?;
        self.send_if_many()?;
        self.pause_blocked()?;
        self.stats.records.fetch_add(records as u64, Ordering::Relaxed);
        // What was lost must not be committed; what is to be given up is committed there.
        let committed = self.events.is_empty() && self.commit_if_due(fetched == 0)?;
        self.handle_events()?;
        Ok(Tick { records, committed: settled || committed })
    }

    fn handle_events(&mut self) -> Result<(), Failure> {
        while let Some(event) = self.events.pop_front() {
            self.group_event(event)?;
        }
        Ok(())
    }

    /// Takes the globals in force; another version may change the inputs, and is told to every partition.
    fn refresh_globals(&mut self) -> Result<(), Failure> {
        let current = self.source.current();
        if self.inputs.is_empty() || current.version != self.globals.version {
            let inputs = self.stage.inputs(&current.value);
            if inputs != self.inputs {
                // May abort: the change is taken up again in the next turn, for it is not noted yet.
                self.commit()?;
                // What is missing of the new ones is told anew.
                self.forget_missing(|_| true);
                self.session.subscribe(&inputs)?;
                self.inputs = inputs;
            }
        }
        self.globals = current;
        self.stats.globals_version.store(self.globals.version, Ordering::Relaxed);
        // Also a partition whose step about this change was undone by an abort, or that is new.
        for partition in self.tasks.behind(self.globals.version) {
            self.step(partition, |stage, context| stage.globals_changed(context))?;
            if let Some(task) = self.tasks.get_mut(partition) {
                task.globals = Some(self.globals.version);
            }
        }
        Ok(())
    }

    /// How many records were fetched, and how many of them the stage took.
    fn fetch_and_step(&mut self) -> Result<(usize, usize), Failure> {
        let (wait, max) = (self.wait(), self.options.fetch_records_max);
        let (mut fetched, mut taken, mut panicked) = (0, 0, None);
        let Self { stage, session, source, globals, tasks, outputs, clock, events, suspects, .. } = self;
        let mut each = |batches: &Fetched<'_>| {
            fetched = batches.len();
            // The fetch may have waited: no record is decided by globals that were replaced before it was written.
            globals.value = source.anew();
            let (stage, now_ms) = (&mut **stage, clock.now_ms());
            let mut stepping = Stepping { stage, globals: &globals.value, outputs, suspects, now_ms, panicked: None };
            for batch in batches.batches() {
                let at = TopicPartition { topic: batch.topic.clone(), partition: batch.partition };
                let Some(task) = tasks.get_mut(batch.partition) else { continue };
                taken += task.take(&mut stepping, &at, batch.records);
            }
            panicked = stepping.panicked;
        };
        events.extend(session.fetch(wait, max, &mut each)?);
        self.forget_read_again();
        panicked.map_or(Ok(()), |said| Err(Failure::Panicked(said)))?;
        if fetched > 0 {
            self.opened();
        }
        Ok((fetched, taken))
    }

    /// How long the next fetch may wait: hardly while somebody waits for what is open, not beyond the
    /// next timer.
    fn wait(&self) -> Duration {
        if self.open_since_ms.is_some() && self.is_awaited() {
            // A bus that cannot say that nothing is waiting is given a moment to bring more.
            let known_idle = !self.tasks.any_blocked() && self.session.all_caught_up();
            return Duration::from_millis(if known_idle { 0 } else { self.options.idle_commit_ms });
        }
        let mut wait = self.options.idle_wait_ms;
        if self.tasks.any_blocked() {
            wait = wait.min(self.options.blocked_wait_ms);
        }
        let due_ms = self.tasks.next_due_ms(TimerKind::Time).into_iter().chain(self.next_silence_ms()).min();
        if let Some(due_ms) = due_ms {
            wait = wait.min(u64::try_from(due_ms - self.clock.now_ms()).unwrap_or(0));
        }
        Duration::from_millis(wait)
    }

    /// Whether the open work is more than input that led to nothing.
    fn is_awaited(&self) -> bool {
        self.sent_bytes > 0 || !self.outputs.is_empty() || self.tasks.any_change()
    }

    /// Offers blocked records again; how many were taken.
    fn offer_backlogs(&mut self) -> Result<usize, Failure> {
        let Self { stage, globals, tasks, outputs, clock, suspects, .. } = self;
        let (stage, now_ms) = (&mut **stage, clock.now_ms());
        let mut stepping = Stepping { stage, globals: &globals.value, outputs, suspects, now_ms, panicked: None };
        let taken: usize = tasks.iter_mut().map(|task| task.offer_backlogs(&mut stepping)).sum();
        stepping.panicked.map_or(Ok(()), |said| Err(Failure::Panicked(said)))?;
        // A step may have written without having taken anything.
        if taken > 0 || !self.outputs.is_empty() {
            self.opened();
        }
        self.stats.set_blocked(self.tasks.blocked());
        Ok(taken)
    }

    /// A step that is not about records.
    fn step(&mut self, partition: u32, f: impl FnOnce(&mut S, &mut Context<'_, S::Globals>)) -> Result<(), Failure> {
        let now_ms = self.clock.now_ms();
        let Self { stage, globals, tasks, outputs, .. } = self;
        let Some(task) = tasks.get_mut(partition) else { return Ok(()) };
        let is_careful = self.is_recovering || self.suspects.timers.concern(partition);
        let facts = Facts { partition, now_ms, blocked_ms: 0, is_careful };
        let mut context = Context::new(facts, &*globals.value, &mut task.state, outputs);
        caught(|| f(stage, &mut context)).map_err(Failure::Panicked)?;
        task.touch();
        self.opened();
        Ok(())
    }

    fn opened(&mut self) {
        if self.open_since_ms.is_none() {
            self.open_since_ms = Some(self.clock.now_ms());
        }
    }

    /// Every topic's partition is paused and resumed once, as its backlog appears and is worked off.
    fn pause_blocked(&mut self) -> Result<(), Failure> {
        for progress in self.tasks.iter_mut().flat_map(|task| &mut task.progress) {
            let blocked = progress.is_blocked();
            if blocked == progress.paused {
                continue;
            }
            progress.paused = blocked;
            if blocked { self.session.pause(&progress.at)? } else { self.session.resume(&progress.at)? }
        }
        Ok(())
    }

    fn point(&mut self, point: DriverPoint) -> Result<(), Failure> {
        match &mut self.hook {
            Some(hook) => match hook(point) {
                true => Err(Failure::Crashed(point)),
                false => Ok(()),
            },
            None => Ok(()),
        }
    }
}

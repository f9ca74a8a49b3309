//! What is done with one server, one after the other.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use petrel_testkit::poll_until;

use super::On;
use super::feed;
use super::meters::{Memory, Used};
use super::server::Server;
use super::table::{Bar, Table};
use crate::kafka::Kafka;

/// Executions before anything is measured: the first ones meet cold caches, and a broker whose code is still
/// being compiled.
const WARM_UP: u64 = 5_000;
/// Silence after which a phase is given up.
const STALL: Duration = Duration::from_secs(120);
/// Events that are sent once more, to see whether their executions are remembered.
const AGAIN: u64 = 1_000;

/// Executions that have ended so.
pub(crate) const SUCCEEDED: &str = "petrel_execution_status_changes_total{status=\"succeeded\"";
const DELAYED: &str = "petrel_execution_status_changes_total{status=\"delayed\"";
const DUPLICATES: &str = "petrel_executor_duplicate_requests_total";

/// The measurements on one bus.
pub(crate) struct Run<'t> {
    bus: On,
    server: Server,
    table: &'t mut Table,
    /// Executions so far.
    total: u64,
}

impl<'t> Run<'t> {
    pub(crate) fn start(bus: On, kafka: Option<&Kafka>, table: &'t mut Table) -> Result<Self> {
        Ok(Self { bus, server: Server::start(kafka)?, table, total: 0 })
    }

    pub(crate) fn warm_up(&mut self) -> Result<()> {
        self.finish("warm-up", WARM_UP).map(drop)
    }

    /// From the first event until the last execution is over, and until the audit trail has all of it.
    pub(crate) fn rate(&mut self, count: u64) -> Result<()> {
        self.audited()?;
        Memory::forget_peak(self.server.pid()?)?;
        let used = Used::until_now(self.server.pid()?)?;
        let began = Instant::now();
        let took = self.finish("rate", count)?;
        self.row("executions, request to finished", count as f64 / took.as_secs_f64(), "/s", self.bus.rate_min_bar());
        self.audited()?;
        let (whole, used) = (began.elapsed(), Used::until_now(self.server.pid()?)?.since(used));
        self.row("the same until the audit trail has all", count as f64 / whole.as_secs_f64(), "/s", Bar::None);
        let us = |s: f64| s * 1e6 / count as f64;
        self.row("CPU of the server, an execution", us(used.server_s), "us", Bar::None);
        self.row("CPU of the engine, an execution", us(used.engine_s), "us", Bar::None);
        let rest = (used.machine_s - used.server_s - used.engine_s).max(0.0);
        self.row("CPU of all else (broker, clients), an execution", us(rest), "us", Bar::None);
        self.row("resident at most meanwhile", Memory::of(self.server.pid()?)?.peak, "MiB", Bar::None);
        Ok(())
    }

    /// So many wait for the end of a pause; the process is killed meanwhile.
    pub(crate) fn waiting(&mut self, count: u64) -> Result<()> {
        Memory::forget_peak(self.server.pid()?)?;
        self.server.cli(&["pause", "--reason", "measured"])?;
        let before = self.server.metric(DELAYED)?;
        let began = Instant::now();
        self.fed("waiting", count, DELAYED, before)?;
        self.row("executions, request to waiting", count as f64 / began.elapsed().as_secs_f64(), "/s", Bar::None);
        self.memory("while they wait")?;
        self.killed()?;
        let ready = self.server.begin()?;
        self.row("killed while they wait: ready after", ready.as_secs_f64(), "s", Bar::AtMost(30.0));
        self.memory("behind that start")?;
        let began = Instant::now();
        self.server.cli(&["resume"])?;
        self.until("run", count, SUCCEEDED, 0)?;
        self.total += count;
        self.row("released: finished", count as f64 / began.elapsed().as_secs_f64(), "/s", Bar::None);
        self.memory("while they run")
    }

    /// All that were, are remembered: with the cache of the owners' state, and without it. On Kafka a killed process
    /// stays in its groups until its session is over, so a restart is one in order.
    pub(crate) fn remembered(&mut self, count: u64) -> Result<()> {
        self.server.stop()?;
        let with = self.server.begin()?;
        self.row("all remembered, restart: ready after", with.as_secs_f64(), "s", Bar::AtMost(5.0));
        self.killed()?;
        let killed = self.server.begin()?;
        self.row("all remembered, killed: ready after", killed.as_secs_f64(), "s", Bar::AtMost(30.0));
        self.server.stop()?;
        self.server.lose_cache()?;
        let without = self.server.begin()?;
        self.row("all remembered, restart without cache: ready after", without.as_secs_f64(), "s", Bar::AtMost(60.0));
        self.memory("behind that start")?;
        let again = AGAIN.min(count);
        feed::send(self.server.http(), "waiting", again)?;
        self.until("duplicates", again, DUPLICATES, 0)
    }

    /// The audit trail tells of every execution, once, and of nothing else.
    pub(crate) fn verify(&mut self) -> Result<()> {
        self.audited()?;
        let letters = self.server.sql("SELECT count() FROM dead_letters")?;
        ensure!(letters == 0, "{letters} dead letters");
        let all = self.server.sql("SELECT uniqExact(execution_id) FROM executions")?;
        ensure!(all == self.total, "{all} executions in the audit trail instead of {}", self.total);
        println!("verified: {} executions succeeded, each once, without a dead letter", self.total);
        Ok(())
    }

    fn row(&mut self, what: &str, value: f64, unit: &'static str, bar: Bar) {
        self.table.add(self.bus.name(), what, value, unit, bar);
    }

    /// How long it takes until so many more are over.
    fn finish(&mut self, name: &str, count: u64) -> Result<Duration> {
        let before = self.server.metric(SUCCEEDED)?;
        let began = Instant::now();
        self.fed(name, count, SUCCEEDED, before)?;
        self.total += count;
        Ok(began.elapsed())
    }

    /// Sends events and waits for what they lead to.
    fn fed(&self, name: &str, count: u64, metric: &str, before: u64) -> Result<()> {
        std::thread::scope(|scope| {
            let feed = scope.spawn(|| feed::send(self.server.http(), name, count));
            self.until(name, count, metric, before)?;
            feed.join().map_err(|_| anyhow!("the feed panicked"))?
        })
    }

    fn until(&self, what: &str, count: u64, metric: &str, before: u64) -> Result<()> {
        let pid = self.server.pid()?;
        let found = || Ok(self.server.metric(metric)?.saturating_sub(before));
        let note = || Memory::of(pid).map_or_else(|_| String::new(), |m| format!("({:.0} MiB)", m.resident));
        feed::wait(what, count, STALL, found, note).map_err(|e| e.context(self.server.log_tail()))
    }

    /// Waits until the audit trail has every end.
    fn audited(&self) -> Result<()> {
        let ends = "SELECT uniqExact(execution_id) FROM executions WHERE status = 'succeeded'";
        feed::wait("ends in the audit trail", self.total, STALL, || self.server.sql(ends), String::new)
    }

    fn memory(&mut self, when: &str) -> Result<()> {
        let Memory { resident, peak } = Memory::of(self.server.pid()?)?;
        self.row(&format!("resident {when}"), resident, "MiB", Bar::AtMost(500.0));
        self.row(&format!("resident at most until {when}"), peak, "MiB", Bar::AtMost(500.0));
        Memory::forget_peak(self.server.pid()?)
    }

    /// `kill -9`; the engine, its child, sees it and ends by itself.
    fn killed(&mut self) -> Result<()> {
        let pid = self.server.pid()?;
        self.server.kill();
        let gone = poll_until(STALL, || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
        ensure!(gone.is_some(), "the server did not go");
        Ok(())
    }
}

impl On {
    fn rate_min_bar(self) -> Bar {
        Bar::AtLeast(self.rate_min())
    }
}

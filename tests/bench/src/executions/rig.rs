//! A server that is measured, and what every measurement of one does.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use petrel_testkit::poll_until;

use super::On;
use super::feed;
use super::meters::{Memory, Used};
use super::server::Server;
use super::table::{Bar, Table};

/// Silence after which a phase is given up.
const STALL: Duration = Duration::from_secs(120);

/// 500 MB, in MiB.
const RESIDENT_MIB_MAX: f64 = 477.0;

/// Executions that have ended so.
pub(crate) const SUCCEEDED: &str = "petrel_execution_status_changes_total{status=\"succeeded\"";
/// Executions that wait for something else than a worker.
pub(crate) const DELAYED: &str = "petrel_execution_status_changes_total{status=\"delayed\"";

/// Events that are sent at once, and what they lead to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load<'a> {
    /// What they are called where it is told how far they are; their ids are made of it.
    pub name: &'a str,
    /// Their trigger.
    pub trigger: &'a str,
    /// How many events.
    pub events: u64,
    /// Executions for each of them.
    pub executions: u64,
}

impl Load<'_> {
    /// How many executions they lead to.
    pub(crate) fn total(&self) -> u64 {
        self.events * self.executions
    }
}

/// The server on one bus, and the table that rows go to.
pub(crate) struct Rig<'t> {
    pub bus: On,
    pub server: Server,
    table: &'t mut Table,
    /// Executions that have succeeded so far.
    pub succeeded: u64,
}

impl<'t> Rig<'t> {
    pub(crate) fn new(bus: On, server: Server, table: &'t mut Table) -> Self {
        Self { bus, server, table, succeeded: 0 }
    }

    pub(crate) fn row(&mut self, what: &str, value: f64, unit: &'static str, bar: Bar) {
        self.table.add(self.bus.name(), what, value, unit, bar);
    }

    /// How long it takes until all of it is over.
    pub(crate) fn finish(&mut self, load: Load<'_>) -> Result<Duration> {
        let before = self.server.metric(SUCCEEDED)?;
        let began = Instant::now();
        self.fed(load, SUCCEEDED, before)?;
        self.succeeded += load.total();
        Ok(began.elapsed())
    }

    /// Sends events and waits until a metric has grown by what they lead to, or they are refused.
    pub(crate) fn fed(&self, load: Load<'_>, metric: &str, before: u64) -> Result<()> {
        let refused = Mutex::new(None);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Err(error) = feed::send_to(self.server.http(), load.trigger, load.name, load.events) {
                    *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            });
            let grown = || match refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(error) => Err(error),
                None => Ok(self.server.metric(metric)?.saturating_sub(before)),
            };
            self.wait(load.name, load.total(), grown)
        })
    }

    /// Waits until a metric has grown by so much.
    pub(crate) fn until(&self, what: &str, count: u64, metric: &str, before: u64) -> Result<()> {
        self.wait(what, count, || Ok(self.server.metric(metric)?.saturating_sub(before)))
    }

    fn wait(&self, what: &str, count: u64, found: impl Fn() -> Result<u64>) -> Result<()> {
        let pid = self.server.pid()?;
        let note = || Memory::of(pid).map_or_else(|_| String::new(), |m| format!("({:.0} MiB)", m.resident));
        feed::wait(what, count, STALL, found, note).map_err(|e| e.context(self.server.log_tail()))
    }

    /// Waits until a query counts so many.
    pub(crate) fn until_sql(&self, what: &str, count: u64, query: &str) -> Result<()> {
        feed::wait(what, count, STALL, || self.server.sql(query), String::new)
    }

    /// Waits until the audit trail has every end.
    pub(crate) fn audited(&self) -> Result<()> {
        let ends = "SELECT uniqExact(execution_id) FROM executions WHERE status = 'succeeded'";
        self.until_sql("ends in the audit trail", self.succeeded, ends)
    }

    /// CPU time of the server and its engine, and of the machine.
    pub(crate) fn used(&self) -> Result<Used> {
        Used::until_now(self.server.pid()?)
    }

    pub(crate) fn forget_peak(&self) -> Result<()> {
        Memory::forget_peak(self.server.pid()?)
    }

    /// The most that was resident since that was forgotten, in MiB.
    pub(crate) fn peak(&self) -> Result<f64> {
        Ok(Memory::of(self.server.pid()?)?.peak)
    }

    /// Rows of what is resident now, and was at most since the last time.
    pub(crate) fn memory(&mut self, when: &str) -> Result<()> {
        let Memory { resident, peak } = Memory::of(self.server.pid()?)?;
        self.row(&format!("resident {when}"), resident, "MiB", Bar::AtMost(RESIDENT_MIB_MAX));
        self.row(&format!("resident at most until {when}"), peak, "MiB", Bar::AtMost(RESIDENT_MIB_MAX));
        self.forget_peak()
    }

    /// `kill -9`; the engine, its child, sees it and ends by itself.
    pub(crate) fn killed(&mut self) -> Result<()> {
        let pid = self.server.pid()?;
        self.server.kill();
        let gone = poll_until(STALL, || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
        ensure!(gone.is_some(), "the server did not go");
        Ok(())
    }

    /// The audit trail tells of every execution, once, and of nothing else; `others` have not succeeded.
    pub(crate) fn verify(&self, others: u64) -> Result<()> {
        self.audited()?;
        let letters = self.server.sql("SELECT count() FROM dead_letters")?;
        ensure!(letters == 0, "{letters} dead letters");
        let wanted = self.succeeded + others;
        let all = self.server.sql("SELECT uniqExact(execution_id) FROM executions")?;
        ensure!(all == wanted, "{all} executions in the audit trail instead of {wanted}");
        println!("verified: {} executions succeeded, each once, without a dead letter", self.succeeded);
        Ok(())
    }
}

//! What is done with one server, one after the other.

use std::time::Instant;

use anyhow::Result;

use super::On;
use super::feed;
use super::rig::{DELAYED, Load, Rig, SUCCEEDED};
use super::server::{Server, TRIGGER};
use super::table::{Bar, Table};
use crate::kafka::Kafka;

/// Executions before anything is measured: the first ones meet cold caches, and a broker whose code is still
/// being compiled.
const WARM_UP: u64 = 5_000;
/// Events that are sent once more, to see whether their executions are remembered.
const AGAIN: u64 = 1_000;

const DUPLICATES: &str = "petrel_executor_duplicate_requests_total";

/// The measurements on one bus.
pub(crate) struct Run<'t>(Rig<'t>);

impl<'t> Run<'t> {
    pub(crate) fn start(bus: On, kafka: Option<&Kafka>, table: &'t mut Table) -> Result<Self> {
        Ok(Self(Rig::new(bus, Server::start(kafka)?, table)))
    }

    pub(crate) fn warm_up(&mut self) -> Result<()> {
        self.0.finish(load("warm-up", WARM_UP)).map(drop)
    }

    /// From the first event until the last execution is over, and until the audit trail has all of it.
    pub(crate) fn rate(&mut self, count: u64) -> Result<()> {
        let rig = &mut self.0;
        rig.audited()?;
        rig.forget_peak()?;
        let used = rig.used()?;
        let began = Instant::now();
        let took = rig.finish(load("rate", count))?;
        let least = Bar::AtLeast(rig.bus.rate_min());
        rig.row("executions, request to finished", count as f64 / took.as_secs_f64(), "/s", least);
        rig.audited()?;
        let (whole, used) = (began.elapsed(), rig.used()?.since(used));
        rig.row("the same until the audit trail has all", count as f64 / whole.as_secs_f64(), "/s", Bar::None);
        let us = |s: f64| s * 1e6 / count as f64;
        rig.row("CPU of the server, an execution", us(used.server_s), "us", Bar::None);
        rig.row("CPU of the engine, an execution", us(used.engine_s), "us", Bar::None);
        let rest = (used.machine_s - used.server_s - used.engine_s).max(0.0);
        rig.row("CPU of all else (broker, clients), an execution", us(rest), "us", Bar::None);
        let peak = rig.peak()?;
        rig.row("resident at most meanwhile", peak, "MiB", Bar::None);
        Ok(())
    }

    /// So many wait for the end of a pause; the process is killed meanwhile.
    pub(crate) fn waiting(&mut self, count: u64) -> Result<()> {
        let rig = &mut self.0;
        rig.forget_peak()?;
        rig.server.cli(&["pause", "--reason", "measured"])?;
        let before = rig.server.metric(DELAYED)?;
        let began = Instant::now();
        rig.fed(load("waiting", count), DELAYED, before)?;
        rig.row("executions, request to waiting", count as f64 / began.elapsed().as_secs_f64(), "/s", Bar::None);
        rig.memory("while they wait")?;
        rig.killed()?;
        let ready = rig.server.begin()?;
        rig.row("killed while they wait: ready after", ready.as_secs_f64(), "s", Bar::AtMost(30.0));
        rig.memory("behind that start")?;
        let began = Instant::now();
        rig.server.cli(&["resume"])?;
        rig.until("run", count, SUCCEEDED, 0)?;
        rig.succeeded += count;
        rig.row("released: finished", count as f64 / began.elapsed().as_secs_f64(), "/s", Bar::None);
        rig.memory("while they run")
    }

    /// All that were, are remembered: with the cache of the owners' state, and without it. On Kafka a killed process
    /// stays in its groups until its session is over, so a restart is one in order.
    pub(crate) fn remembered(&mut self, count: u64) -> Result<()> {
        let rig = &mut self.0;
        rig.server.stop()?;
        let with = rig.server.begin()?;
        rig.row("all remembered, restart: ready after", with.as_secs_f64(), "s", Bar::AtMost(5.0));
        rig.killed()?;
        let killed = rig.server.begin()?;
        rig.row("all remembered, killed: ready after", killed.as_secs_f64(), "s", Bar::AtMost(30.0));
        rig.server.stop()?;
        rig.server.lose_cache()?;
        let without = rig.server.begin()?;
        rig.row("all remembered, restart without cache: ready after", without.as_secs_f64(), "s", Bar::AtMost(60.0));
        rig.memory("behind that start")?;
        let again = AGAIN.min(count);
        feed::send(rig.server.http(), "waiting", again)?;
        rig.until("duplicates", again, DUPLICATES, 0)
    }

    /// The audit trail tells of every execution, once, and of nothing else.
    pub(crate) fn verify(&self) -> Result<()> {
        self.0.verify(0)
    }
}

/// Events that lead to one execution each.
fn load(name: &str, events: u64) -> Load<'_> {
    Load { name, trigger: TRIGGER, events, executions: 1 }
}

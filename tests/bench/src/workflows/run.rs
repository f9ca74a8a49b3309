//! What is done with one server, one after the other.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use petrel_testkit::petrel_binary;
use serde_json::Value;

use super::pack::{self, Flow, ITEMS, LONG_TASKS};
use crate::executions::On;
use crate::executions::rig::{DELAYED, Load, Rig, SUCCEEDED};
use crate::executions::server::{Server, TRIGGER};
use crate::executions::table::{Bar, Table};
use crate::kafka::Kafka;
use crate::ratio::spread;

/// Plain executions, and tasks of workflows, before anything is measured.
const WARM_UP: u64 = 5_000;
/// What a task of a workflow may cost: so much of the rate of plain executions of the same run.
const OF_PLAIN: f64 = 0.7;
/// Tasks that StackStorm carries out in a second, one after the other.
const STACKSTORM_TASKS_PER_S: f64 = 21.0;
/// Runs of the workflow with fewer items; the middle one is told.
const ITEMS_RUNS: u64 = 5;
/// Workflows that a server begins in a second at least, by which is decided how long the others wait for the last one.
const BEGUN_PER_S: u64 = 500;
/// How long they wait besides, in seconds.
const HELD_S: u64 = 10;
/// Sleeping workflows that are canceled, to see that they are there after a kill.
const SAMPLE: u64 = 100;

const CANCELED: &str = "petrel_execution_status_changes_total{status=\"canceled\"";

/// The measurements on one bus.
pub(super) struct Run<'t> {
    rig: Rig<'t>,
    /// Executions that have not succeeded, and are not to.
    others: u64,
}

impl<'t> Run<'t> {
    /// `parallel`: how many workflows are to be under way at the same time.
    pub(super) fn start(bus: On, kafka: Option<&Kafka>, parallel: u64, table: &'t mut Table) -> Result<Self> {
        let server = Server::start_with(&petrel_binary()?, &pack::files(HELD_S + parallel / BEGUN_PER_S), kafka)?;
        Ok(Self { rig: Rig::new(bus, server, table), others: 0 })
    }

    pub(super) fn warm_up(&mut self) -> Result<()> {
        self.plain("warm-up, plain", WARM_UP)?;
        self.workflows("warm-up, workflows", Flow::Many, WARM_UP / pack::TASKS).map(drop)
    }

    /// Plain executions and workflows in turn, so that both meet the same moods of the machine.
    pub(super) fn rate(&mut self, rounds: u64, count: u64) -> Result<()> {
        ensure!(rounds > 0 && count >= pack::TASKS, "at least one round, of at least {} tasks", pack::TASKS);
        let count = count - count % pack::TASKS;
        let (mut plain, mut tasks, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut plain_us, mut task_us) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            let one = self.plain(&format!("plain executions {round}"), count)?;
            let other = self.workflows(&format!("workflows {round}"), Flow::Many, count / pack::TASKS)?;
            ratios.push(other.per_s / one.per_s);
            plain.push(one.per_s);
            tasks.push(other.per_s);
            plain_us.push(one.server_us);
            task_us.push(other.server_us);
        }
        self.row("plain executions, request to finished", middle(&plain), "/s", Bar::None);
        self.row("tasks of workflows, request to finished", middle(&tasks), "/s", Bar::None);
        self.row("tasks over plain executions", middle(&ratios), "", Bar::AtLeast(OF_PLAIN));
        self.row("CPU of the server, a plain execution", middle(&plain_us), "us", Bar::None);
        self.row("CPU of the server, a task", middle(&task_us), "us", Bar::None);
        Ok(())
    }

    /// One workflow alone: each task waits for the end of the one before.
    pub(super) fn sequence(&mut self) -> Result<()> {
        let alone = self.workflows("one workflow", Flow::Long, 1)?;
        let what = format!("one workflow of {LONG_TASKS} tasks in a row");
        self.row(&what, alone.per_s, "/s", Bar::AtLeast(STACKSTORM_TASKS_PER_S));
        Ok(())
    }

    pub(super) fn items(&mut self) -> Result<()> {
        let [few, many] = ITEMS;
        let mut seconds = Vec::new();
        for run in 1..=ITEMS_RUNS {
            seconds.push(self.workflows(&format!("{few} items {run}"), Flow::Items(few), 1)?.seconds);
        }
        self.row(&format!("one workflow with {few} items"), middle(&seconds) * 1e3, "ms", Bar::None);
        let wide = self.workflows(&format!("{many} items"), Flow::Items(many), 1)?;
        self.row(&format!("one workflow with {many} items"), wide.seconds, "s", Bar::None);
        self.row(&format!("one workflow with {many} items, items"), wide.per_s, "/s", Bar::None);
        Ok(())
    }

    /// All have begun, and none has gone on, before the first one does.
    pub(super) fn parallel(&mut self, count: u64) -> Result<()> {
        let rig = &mut self.rig;
        rig.audited()?;
        rig.forget_peak()?;
        let (delayed, succeeded) = (rig.server.metric(DELAYED)?, rig.server.metric(SUCCEEDED)?);
        let trigger = Flow::Held.trigger();
        let began = Instant::now();
        rig.fed(Load { name: "begun", trigger: &trigger, events: count, executions: 1 }, DELAYED, delayed)?;
        rig.row("workflows begun", count as f64 / began.elapsed().as_secs_f64(), "/s", Bar::None);
        let early = rig.server.metric(SUCCEEDED)? - succeeded;
        ensure!(
            early == 0,
            "{early} tasks had ended before all workflows had begun: the machine is too slow for {count}"
        );
        rig.until("the first goes on", 1, SUCCEEDED, succeeded)?;
        let began = Instant::now();
        let all = count * (Flow::Held.children() + 1);
        rig.until("under way", all, SUCCEEDED, succeeded)?;
        rig.succeeded += all;
        let tasks = count * Flow::Held.children();
        let what = format!("{count} workflows at the same time, tasks");
        rig.row(&what, tasks as f64 / began.elapsed().as_secs_f64(), "/s", Bar::None);
        let peak = rig.peak()?;
        rig.row("resident at most meanwhile", peak, "MiB", Bar::None);
        Ok(())
    }

    /// So many wait for a day; the process is killed meanwhile, and they are still there.
    pub(super) fn asleep(&mut self, count: u64) -> Result<()> {
        let rig = &mut self.rig;
        rig.audited()?;
        rig.forget_peak()?;
        let before = rig.server.metric(DELAYED)?;
        let trigger = Flow::Asleep.trigger();
        let began = Instant::now();
        rig.fed(Load { name: "asleep", trigger: &trigger, events: count, executions: 1 }, DELAYED, before)?;
        let what = format!("{count} workflows fall asleep");
        rig.row(&what, count as f64 / began.elapsed().as_secs_f64(), "/s", Bar::None);
        rig.until_sql("asleep in the audit trail", count, ASLEEP)?;
        rig.memory("while they sleep")?;
        rig.killed()?;
        let ready = rig.server.begin()?;
        rig.row("killed while they sleep: ready after", ready.as_secs_f64(), "s", Bar::AtMost(60.0));
        rig.memory("behind that start")?;
        let sample = SAMPLE.min(count);
        let canceled = rig.server.metric(CANCELED)?;
        for id in ids(&rig.server.cli(&["sql", &format!("{SLEEPERS} LIMIT {sample}"), "--format", "json"])?)? {
            rig.server.cli(&["execution", "cancel", &id])?;
        }
        // Each with its task.
        rig.until("canceled of those that sleep", sample * 2, CANCELED, canceled)?;
        self.others += count * 2;
        Ok(())
    }

    /// The audit trail tells of every execution, once, and of nothing else.
    pub(super) fn verify(&self) -> Result<()> {
        self.rig.verify(self.others)
    }

    fn plain(&mut self, name: &str, count: u64) -> Result<Measured> {
        self.measured(Load { name, trigger: TRIGGER, events: count, executions: 1 }, count)
    }

    fn workflows(&mut self, name: &str, flow: Flow, count: u64) -> Result<Measured> {
        let (trigger, children) = (flow.trigger(), flow.children());
        self.measured(Load { name, trigger: &trigger, events: count, executions: children + 1 }, count * children)
    }

    /// From the first event until the last execution is over. The audit trail has what was before.
    fn measured(&mut self, load: Load<'_>, of: u64) -> Result<Measured> {
        self.rig.audited()?;
        let used = self.rig.used()?;
        let seconds = self.rig.finish(load)?.as_secs_f64();
        let server_us = self.rig.used()?.since(used).server_s * 1e6 / of as f64;
        Ok(Measured { seconds, per_s: of as f64 / seconds, server_us })
    }

    fn row(&mut self, what: &str, value: f64, unit: &'static str, bar: Bar) {
        self.rig.row(what, value, unit, bar);
    }
}

/// Workflows that sleep, as the audit trail knows them.
const ASLEEP: &str =
    "SELECT uniqExact(execution_id) FROM executions WHERE action = 'scale.asleep' AND status = 'running'";
const SLEEPERS: &str =
    "SELECT DISTINCT execution_id FROM executions WHERE action = 'scale.asleep' AND status = 'running'";

/// What executions or tasks took.
struct Measured {
    seconds: f64,
    per_s: f64,
    /// CPU time of the server for each, in microseconds.
    server_us: f64,
}

fn middle(values: &[f64]) -> f64 {
    spread(values).map_or(0.0, |(_, median, _)| median)
}

/// The ids in rows of JSON, one a line.
fn ids(rows: &str) -> Result<Vec<String>> {
    let id = |line: &str| -> Result<String> {
        let row: Value = serde_json::from_str(line).with_context(|| format!("no row: {line}"))?;
        Ok(row["execution_id"].as_str().context("no id")?.to_owned())
    };
    rows.lines().filter(|line| !line.trim().is_empty()).map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_rows() {
        assert_eq!(ids("{\"execution_id\":\"a\"}\n{\"execution_id\":\"b\"}\n\n").unwrap(), ["a", "b"]);
        assert!(ids("{}").is_err());
        assert!((middle(&[1.0, 9.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}

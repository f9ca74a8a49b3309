//! Cells C and D: stages on Petrel's own driver and Kafka bus.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result, bail, ensure};
use petrel_bus::{
    Batch, Bus, Context, DriverOptions, GlobalsSource, InputTopic, Output, SessionOptions, Stage, StageHandle,
    StageSpec, Start, Taken, TopicSpec, Versioned, spawn_stage,
};
use petrel_rules::{MatchCounters, MatchOptions, MatchStage};
use petrel_schemas::Topics;

use crate::alerts;
use crate::cell::{Cell, Way, Written};
use crate::clock::SystemClock;
use crate::kafka::{PARTITIONS, STALL};
use crate::plain::Echo;
use crate::timed::{Finished, Seen, TimedBus, TimedStage};
use crate::view::View;

/// What both stages run on.
pub(crate) struct Rig {
    pub bus: Arc<dyn Bus>,
    pub topic: String,
    pub events: u64,
    /// Matches among them, as the generator's oracle says.
    pub matches: u64,
    pub topics: Topics,
}

impl Rig {
    /// Makes Petrel's own topics that the match stage reads and writes.
    pub(crate) fn ensure_topics(&self) -> Result<()> {
        let topics = &self.topics;
        let spec = |name| TopicSpec {
            name,
            partitions: PARTITIONS as u32,
            compacted: false,
            retention_ms: Some(86_400_000),
            delete_retention_ms: None,
        };
        let own = [topics.triggers(), topics.requests(), topics.audit(), topics.dead_letters()];
        Ok(self.bus.ensure_topics(&own.map(spec))?)
    }

    /// C and E: the match stage with its rules. Fails unless it matched exactly what the oracle says.
    pub(crate) fn match_events(&self, way: Way, group: &str, round: usize) -> Result<Cell> {
        let rules = if way == Way::Many { alerts::MANY_RULES } else { alerts::RULES };
        let counters = Arc::new(MatchCounters::default());
        let options = MatchOptions::new(self.bus.cluster_id()?, self.topics.clone());
        let stage = MatchStage::new(options, counters.clone());
        let cell = self.run(stage, View::on(&self.topic, rules)?, group, way, round)?;
        let totals = counters.totals();
        check_counts(&totals, self.events, self.matches)?;
        let requests = cell.written.get(&*self.topics.requests()).map_or(0, |(records, _)| *records);
        ensure!(requests == self.matches, "{requests} requests were written for {} matches", self.matches);
        Ok(cell)
    }

    /// D: as many outputs as `like` through the same driver and bus, without a decision.
    pub(crate) fn drive(
        &self,
        group: &str,
        round: usize,
        like: &Written,
        to: &BTreeMap<String, String>,
    ) -> Result<Cell> {
        let to = to.iter().map(|(like, to)| (like.clone(), Arc::from(to.as_str()))).collect();
        let stage = EchoStage {
            spec: StageSpec {
                name: "echo".into(),
                changelog: None,
                silence: None,
                dead_letters: self.topic.as_str().into(),
            },
            topic: self.topic.as_str().into(),
            echo: Echo::new(like, self.events),
            to,
            failed: Arc::default(),
        };
        let failed = stage.failed.clone();
        let cell =
            self.run(stage, Arc::new(Versioned { version: 1, value: Arc::new(()) }), group, Way::Driver, round)?;
        let failed = failed.read().unwrap_or_else(PoisonError::into_inner).clone();
        ensure!(failed.is_none(), "the echo stage failed: {failed:?}");
        Ok(cell)
    }

    fn run<S: Stage + 'static>(
        &self,
        stage: S,
        globals: Arc<dyn GlobalsSource<S::Globals>>,
        group: &str,
        way: Way,
        round: usize,
    ) -> Result<Cell> {
        let seen = Arc::new(Seen::default());
        let (finished, when_finished) = channel();
        let stage = TimedStage::new(stage, &seen, &self.topic, self.events, finished);
        let bus = Arc::new(TimedBus { inner: self.bus.clone(), seen: seen.clone() });
        let session = SessionOptions { group: group.into(), member: format!("{group}-0").into(), transactional: true };
        // The last records may lead to nothing, and are waited for.
        let quiet_commit_interval_ms = DriverOptions::default().commit_interval_ms;
        let options = DriverOptions { quiet_commit_interval_ms, ..DriverOptions::default() };
        let handle = spawn_stage(bus, stage, session, options, globals, Arc::new(SystemClock));
        let finished = wait(&when_finished, &handle)?;
        let stats = handle.stats().clone();
        handle.join();
        let (aborts, rebuilds) = (stats.aborts.load(Ordering::Relaxed), stats.rebuilds.load(Ordering::Relaxed));
        ensure!(aborts == 0 && rebuilds == 0, "{aborts} aborts and {rebuilds} new sessions: the measurement is void");
        let Finished { cost, split, commits, commit_s } = finished;
        Ok(Cell { way, round, events: self.events, cost, commits, commit_s, written: seen.written(), split })
    }
}

/// Waits for the end, as long as records are taken.
fn wait(finished: &Receiver<Finished>, handle: &StageHandle) -> Result<Finished> {
    let mut taken = 0;
    loop {
        match finished.recv_timeout(STALL) {
            Ok(finished) => return Ok(finished),
            Err(RecvTimeoutError::Disconnected) => bail!("the stage's thread has ended"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = handle.stats().records.load(Ordering::Relaxed);
        ensure!(now > taken, "no record for {STALL:?} after {now}: {}", handle.stats().problems().join("; "));
        taken = now;
    }
}

/// Fails unless the stage decided every event as the oracle says.
fn check_counts(totals: &petrel_rules::MatchTotals, events: u64, matches: u64) -> Result<()> {
    ensure!(totals.events == events, "the stage saw {} events of {events}", totals.events);
    ensure!(
        totals.matches == matches && totals.events_matched == matches && totals.requests == matches,
        "wrong matches: {} in {} events with {} requests, where the generator says {matches}",
        totals.matches,
        totals.events_matched,
        totals.requests
    );
    ensure!(totals.errors.is_empty(), "criteria failed: {:?}", totals.errors);
    ensure!(totals.dead_letters.is_empty(), "dead letters: {:?}", totals.dead_letters);
    ensure!(totals.missing_fields == 0, "{} missing fields", totals.missing_fields);
    ensure!(matches == events / alerts::ONE_IN, "{matches} matches in {events} events are not one per cent");
    Ok(())
}

/// Writes what an [`Echo`] says.
struct EchoStage {
    spec: StageSpec,
    topic: Arc<str>,
    echo: Echo,
    to: BTreeMap<String, Arc<str>>,
    failed: Arc<RwLock<Option<String>>>,
}

impl EchoStage {
    fn take(&mut self, value: Option<&[u8]>, context: &mut Context<'_, ()>) -> Result<()> {
        let to = &self.to;
        self.echo.take(value.context("a record without a value")?, |topic, partition, key, value| {
            context.emit(Output::to_partition(&to[topic], u32::try_from(partition)?, key, Some(value.to_vec())));
            Ok(())
        })
    }
}

impl Stage for EchoStage {
    type Globals = ();

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, (): &()) -> Vec<InputTopic> {
        vec![InputTopic { name: self.topic.clone(), start: Start::Beginning, with: None }]
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, ()>) -> Taken {
        for record in batch.records {
            if let Err(error) = self.take(record.value, context) {
                *self.failed.write().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}"));
            }
        }
        Taken::All
    }
}

#[cfg(test)]
mod tests {
    use petrel_rules::MatchTotals;

    use super::*;

    #[test]
    fn wrong_counts_are_refused() {
        let right =
            MatchTotals { events: 1_000, events_matched: 10, matches: 10, requests: 10, ..MatchTotals::default() };
        assert!(check_counts(&right, 1_000, 10).is_ok());
        for (wrong, why) in [
            (MatchTotals { events: 999, ..right.clone() }, "saw 999 events"),
            (MatchTotals { matches: 11, ..right.clone() }, "wrong matches"),
            (MatchTotals { events_matched: 9, ..right.clone() }, "wrong matches"),
            (MatchTotals { requests: 9, ..right.clone() }, "wrong matches"),
            (MatchTotals { missing_fields: 1, ..right.clone() }, "missing fields"),
            (MatchTotals { dead_letters: [("malformed_json", 1)].into(), ..right.clone() }, "dead letters"),
            (MatchTotals { errors: [(("a.b".into(), "no_such_key"), 1)].into(), ..right.clone() }, "criteria failed"),
        ] {
            let error = check_counts(&wrong, 1_000, 10).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(check_counts(&right, 1_000, 11).is_err());
    }
}

//! What a process exports: the registry that the crates fill, the stages' counters, and problems.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use petrel_audit::SinkStats;
use petrel_bus::{BlockedPartition, Clock, StageStats, Troubles};
use petrel_rules::{MatchCounters, MatchTotals, RuleSetStats};
use prometheus::{Encoder, Registry, TextEncoder};

use crate::live::{LiveView, Queue};
use crate::world::World;
use crate::{follow, sink};

/// Executions that wait for a worker, by `pool` and `class`.
const QUEUE_LENGTH: &str = "petrel_queue_length";
/// For how long the oldest of them has waited, in seconds.
const QUEUE_AGE: &str = "petrel_queue_age_seconds";

/// What the audit sink is called among the stages.
pub const AUDIT: &str = "audit";

/// Metrics and problems of everything that is not a stage.
#[derive(Default)]
pub struct Exported {
    registry: Registry,
    matches: Option<(Arc<MatchCounters>, Arc<World>)>,
    sink: Option<Arc<SinkStats>>,
    troubles: Vec<Troubles>,
    queues: Option<QueueSource>,
}

/// Where the queues are known.
struct QueueSource {
    live: Arc<LiveView>,
    pools: Vec<String>,
    clock: Arc<dyn Clock>,
}

impl Exported {
    /// Where the crates register their metrics.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Adds the counters of the match stage, and what its rules are made of.
    pub fn matches(&mut self, counters: Arc<MatchCounters>, world: Arc<World>) {
        self.matches = Some((counters, world));
    }

    /// Adds the counters of the audit sink.
    pub fn sink(&mut self, stats: Arc<SinkStats>) {
        self.sink = Some(stats);
    }

    /// Adds what waits for workers, of these pools at least.
    pub fn queues(&mut self, live: Arc<LiveView>, pools: Vec<String>, clock: Arc<dyn Clock>) {
        self.queues = Some(QueueSource { live, pools, clock });
    }

    /// What waits for workers, and for how long the oldest has, in milliseconds; nothing where it is not known.
    pub fn waiting(&self) -> Vec<(Queue, i64)> {
        let of = |source: &QueueSource| {
            let now_ms = source.clock.now_ms();
            let age_ms = |queue: &Queue| queue.oldest_ms.map_or(0, |ms| now_ms.saturating_sub(ms).max(0));
            let queues = source.live.queues(&source.pools).into_iter();
            queues.map(|queue| (queue.clone(), age_ms(&queue))).collect()
        };
        self.queues.as_ref().map(of).unwrap_or_default()
    }

    /// Adds services of which what is wrong is told.
    pub fn services(&mut self, troubles: Troubles) {
        self.troubles.push(troubles);
    }

    /// What is wrong beside the problems of the stages and of the audit sink, for people; empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        self.troubles.iter().flat_map(follow::lines).collect()
    }

    /// The counters of the audit sink, if this process has one.
    pub fn audit(&self) -> Option<&SinkStats> {
        self.sink.as_deref()
    }

    /// What waits at which partition, by stage; the audit sink counts as one.
    pub fn blocked(&self, stages: &[(String, Arc<StageStats>)]) -> Vec<(String, Vec<BlockedPartition>)> {
        let of_stages = stages.iter().map(|(name, stats)| (name.clone(), stats.blocked()));
        let of_sink = self.sink.iter().map(|stats| (AUDIT.to_owned(), stats.blocked()));
        of_stages.chain(of_sink).collect()
    }

    /// Everything in Prometheus' text format, version 0.0.4.
    pub fn text(&self, stages: &[(String, Arc<StageStats>)]) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut bytes) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        for family in FAMILIES {
            family.write(&mut text, stages);
        }
        commit_histogram(&mut text, stages);
        blocked(&mut text, &self.blocked(stages));
        if self.queues.is_some() {
            queues(&mut text, &self.waiting());
        }
        if let Some((counters, world)) = &self.matches {
            match_totals(&mut text, &counters.totals());
            let (rules, compile) = world.rules();
            rule_gauges(&mut text, &rules, compile);
        }
        for (name, kind, help, value) in self.sink.iter().flat_map(sink::metrics) {
            head(&mut text, name, kind, help);
            let _ = writeln!(text, "{name} {value}");
        }
        text
    }
}

/// A metric of every stage.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&StageStats) -> f64,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "petrel_stage_records_total",
        kind: "counter",
        help: "Records taken.",
        value: |s| s.records.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_outputs_total",
        kind: "counter",
        help: "Records written, changelog included.",
        value: |s| s.outputs.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_commits_total",
        kind: "counter",
        help: "Committed transactions.",
        value: |s| s.commits.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_aborts_total",
        kind: "counter",
        help: "Aborted transactions.",
        value: |s| s.aborts.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_rebuilds_total",
        kind: "counter",
        help: "Sessions that were built anew.",
        value: |s| s.rebuilds.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_panics_total",
        kind: "counter",
        help: "Panics of the stage.",
        value: |s| s.panics.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_timers_moved_back_total",
        kind: "counter",
        help: "Timers that killed the stage and were moved back.",
        value: |s| s.timers_moved_back.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_lag_records",
        kind: "gauge",
        help: "Records not read yet; -1 while unknown.",
        value: |s| s.lag.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_partitions",
        kind: "gauge",
        help: "Partitions assigned.",
        value: |s| s.assigned.load(Relaxed) as f64,
    },
    Family {
        name: "petrel_stage_ready",
        kind: "gauge",
        help: "1 if the stage has its partitions and their state.",
        value: |s| f64::from(u8::from(s.ready.load(Relaxed) && s.restores.now().is_empty())),
    },
    Family {
        name: "petrel_stage_turn_began_seconds",
        kind: "gauge",
        help: "When the stage's thread began its latest turn, in seconds since the epoch: an old one hangs.",
        value: |s| s.turn_began_ms.load(Relaxed) as f64 / 1e3,
    },
];

impl Family {
    fn write(&self, text: &mut String, stages: &[(String, Arc<StageStats>)]) {
        head(text, self.name, self.kind, self.help);
        for (stage, stats) in stages {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}{{stage=\"{stage}\"}} {}", self.name, (self.value)(stats));
        }
    }
}

fn commit_histogram(text: &mut String, stages: &[(String, Arc<StageStats>)]) {
    const NAME: &str = "petrel_stage_commit_seconds";
    head(text, NAME, "histogram", "Time that a commit took.");
    for (stage, stats) in stages {
        for (bound_ms, count) in stats.commit_histogram() {
            let bound = bound_ms.map_or_else(|| "+Inf".to_owned(), |ms| (ms as f64 / 1000.0).to_string());
            let _ = writeln!(text, "{NAME}_bucket{{stage=\"{stage}\",le=\"{bound}\"}} {count}");
        }
        let seconds = stats.commit_us.load(Relaxed) as f64 / 1e6;
        let _ = writeln!(text, "{NAME}_sum{{stage=\"{stage}\"}} {seconds}");
        let _ = writeln!(text, "{NAME}_count{{stage=\"{stage}\"}} {}", stats.commits.load(Relaxed));
    }
}

/// Where a stage cannot go on, and since when: `time() - x` is for how long.
fn blocked(text: &mut String, stages: &[(String, Vec<BlockedPartition>)]) {
    const COUNT: &str = "petrel_stage_blocked_partitions";
    head(text, COUNT, "gauge", "Partitions whose next record cannot be taken yet.");
    for (stage, blocked) in stages {
        let _ = writeln!(text, "{COUNT}{{stage=\"{stage}\"}} {}", blocked.len());
    }
    const SINCE: &str = "petrel_stage_blocked_since_seconds";
    head(text, SINCE, "gauge", "Since when a partition is blocked, in seconds since the epoch.");
    for (stage, blocked) in stages {
        for blocked in blocked {
            let (topic, partition, since) = (&blocked.at.topic, blocked.at.partition, blocked.since_ms as f64 / 1e3);
            let _ = writeln!(text, "{SINCE}{{stage=\"{stage}\",topic=\"{topic}\",partition=\"{partition}\"}} {since}");
        }
    }
}

/// What waits for workers: something to scale pools by, also from nothing.
fn queues(text: &mut String, waiting: &[(Queue, i64)]) {
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&(Queue, i64)) -> f64| {
        head(text, name, "gauge", help);
        for queue in waiting {
            let (pool, class) = (&queue.0.pool, queue.0.class);
            let _ = writeln!(text, "{name}{{pool=\"{pool}\",class=\"{class}\"}} {}", value(queue));
        }
    };
    gauge(QUEUE_LENGTH, "Executions that wait for a worker.", &|(queue, _)| queue.length as f64);
    gauge(QUEUE_AGE, "For how long the oldest of them has waited.", &|(_, age_ms)| *age_ms as f64 / 1e3);
}

fn match_totals(text: &mut String, totals: &MatchTotals) {
    let plain = [
        ("petrel_events_total", "Events that some trigger saw.", totals.events),
        ("petrel_events_matched_total", "Pairs of event and trigger where a rule matched.", totals.events_matched),
        ("petrel_rule_matches_total", "Rules that matched an event.", totals.matches),
        ("petrel_requests_total", "Action requests.", totals.requests),
        (
            "petrel_criteria_missing_fields_total",
            "Criteria that did not match for lack of a field.",
            totals.missing_fields,
        ),
    ];
    for (name, help, value) in plain {
        head(text, name, "counter", help);
        let _ = writeln!(text, "{name} {value}");
    }
    const ERRORS: &str = "petrel_criteria_errors_total";
    head(text, ERRORS, "counter", "Errors in criteria and parameters.");
    for ((rule, code), count) in &totals.errors {
        let _ = writeln!(text, "{ERRORS}{{rule=\"{rule}\",code=\"{code}\"}} {count}");
    }
    const LETTERS: &str = "petrel_match_dead_letters_total";
    head(text, LETTERS, "counter", "Events that could not be decided.");
    for (reason, count) in &totals.dead_letters {
        let _ = writeln!(text, "{LETTERS}{{reason=\"{reason}\"}} {count}");
    }
}

fn rule_gauges(text: &mut String, rules: &RuleSetStats, compile: Duration) {
    let gauges = [
        ("petrel_rules", "Enabled rules.", rules.rules as f64),
        ("petrel_rules_always", "Rules that no index finds, which every event has to ask.", rules.always as f64),
        (
            "petrel_rules_quarantined",
            "Rules that used up their budget too often and are not asked any more.",
            rules.quarantined as f64,
        ),
        ("petrel_rules_index_bytes", "Memory of the index across rules.", rules.index_bytes as f64),
        ("petrel_rules_program_bytes", "Memory of compiled criteria.", rules.program_bytes as f64),
        ("petrel_revision_compile_seconds", "Time that compiling the revision took.", compile.as_secs_f64()),
    ];
    for (name, help, value) in gauges {
        head(text, name, "gauge", help);
        let _ = writeln!(text, "{name} {value}");
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_prometheus() {
        let stats = Arc::new(StageStats::default());
        stats.records.store(7, Relaxed);
        let text = Exported::default().text(&[("match-0".into(), stats)]);
        for wanted in [
            "# TYPE petrel_stage_records_total counter\npetrel_stage_records_total{stage=\"match-0\"} 7\n",
            "petrel_stage_lag_records{stage=\"match-0\"} 0\n",
            "petrel_stage_timers_moved_back_total{stage=\"match-0\"} 0\n",
            "petrel_stage_blocked_partitions{stage=\"match-0\"} 0\n",
            "petrel_stage_commit_seconds_bucket{stage=\"match-0\",le=\"0.001\"} 0\n",
            "petrel_stage_commit_seconds_bucket{stage=\"match-0\",le=\"+Inf\"} 0\n",
        ] {
            assert!(text.contains(wanted), "{wanted} not in\n{text}");
        }
    }

    #[test]
    fn the_rules_in_force_are_measured() {
        let mut exported = Exported::default();
        exported.matches(Arc::default(), World::new(crate::world::Needs::Rules));
        let text = exported.text(&[]);
        for wanted in ["# TYPE petrel_rules gauge\npetrel_rules 0\n", "petrel_rules_always 0\n"] {
            assert!(text.contains(wanted), "{wanted} not in\n{text}");
        }
    }
}

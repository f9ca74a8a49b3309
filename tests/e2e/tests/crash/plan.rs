//! How much is done, and to whom.

use std::time::Duration;

use petrel_e2e_tests::{Random, Size, count_from_env};

/// Workers of an installation on Kafka.
const WORKERS: usize = 4;
/// As many of them are never killed.
const SPARED: usize = 2;

/// What the environment says.
pub(super) struct Plan {
    /// `PETREL_E2E_EVENTS`: events to write; one in ten matches a rule.
    pub events: u64,
    /// `PETREL_E2E_KILLS`: how often a process is killed.
    pub kills: usize,
    /// `PETREL_E2E_SEED`: what decides whom.
    pub random: Random,
    /// `PETREL_E2E_SLOTS`: slots of all workers together.
    pub slots: usize,
    /// `PETREL_E2E_SLOW_MS`: how long one in twenty actions takes at most, in milliseconds.
    pub slow_ms: u64,
    /// `PETREL_E2E_LEASE_MS`: length of a lease, in milliseconds.
    pub lease_ms: u64,
    /// `PETREL_E2E_AWAY_SECONDS`: how long some workers are away after a kill.
    pub away: Duration,
    /// `PETREL_E2E_FOR_GOOD`: whether a process of every role dies for good at the end.
    pub for_good: bool,
    /// `PETREL_E2E_BROKERS`: how many brokers there are.
    pub brokers: usize,
    /// `PETREL_E2E_BROKER_KILLS`: how often one of them is killed, in turn.
    pub broker_kills: usize,
    /// `PETREL_E2E_WORKFLOWS`: workflows of the test that kills processes under them.
    pub workflows: u64,
    /// `PETREL_E2E_KILL_EVERY_SECONDS`: time from one of its kills to the next.
    pub every: Duration,
}

impl Plan {
    pub(super) fn from_env() -> Self {
        let seed = count_from_env("PETREL_E2E_SEED", 7) as u64;
        let plan = Self {
            events: count_from_env("PETREL_E2E_EVENTS", 3_000) as u64,
            kills: count_from_env("PETREL_E2E_KILLS", 6),
            random: Random::new(seed),
            slots: count_from_env("PETREL_E2E_SLOTS", 16),
            slow_ms: count_from_env("PETREL_E2E_SLOW_MS", 2_000) as u64,
            lease_ms: count_from_env("PETREL_E2E_LEASE_MS", 6_000) as u64,
            // Longer than a lease.
            away: Duration::from_secs(count_from_env("PETREL_E2E_AWAY_SECONDS", 8) as u64),
            for_good: count_from_env("PETREL_E2E_FOR_GOOD", 0) > 0,
            brokers: count_from_env("PETREL_E2E_BROKERS", 3),
            broker_kills: count_from_env("PETREL_E2E_BROKER_KILLS", 3),
            workflows: count_from_env("PETREL_E2E_WORKFLOWS", 60) as u64,
            every: Duration::from_secs(count_from_env("PETREL_E2E_KILL_EVERY_SECONDS", 3) as u64),
        };
        let Self { events, kills, slots, slow_ms, away, .. } = &plan;
        // Shown when the test fails, so that the run can be repeated.
        eprintln!("events {events}, kills {kills}, seed {seed}, slots {slots}, slow {slow_ms} ms, away {away:?}");
        plan
    }

    /// Events to write after each kill, the rest before the first.
    pub(super) fn chunk(&self) -> u64 {
        self.events / (self.kills as u64 + 1)
    }

    /// The installation on Kafka.
    pub(super) fn size(&self) -> Size {
        let slots = self.slots.div_ceil(WORKERS);
        Size {
            workers: WORKERS,
            slots,
            all_twice: self.for_good,
            ingest: 0,
            replication: 1,
            lease_ms: self.lease_ms,
            credentials: None,
        }
    }
}

/// Whether a process may be killed.
pub(super) fn may_be_killed(name: &str) -> bool {
    let spared = (WORKERS - SPARED + 1..=WORKERS).map(|n| format!("worker-{n}"));
    spared.into_iter().all(|spared| spared != name)
}

//! The metrics of owners and workers. Labels are bounded: statuses are a fixed list.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use petrel_execution::Status;
use petrel_execution::owner::{Counted, DeclineReason};

/// Status changes of executions, by `status`.
pub const STATUS_CHANGES: &str = "petrel_execution_status_changes_total";
/// Requests whose execution was known already.
pub const DUPLICATES: &str = "petrel_executor_duplicate_requests_total";
/// Reports about an attempt that is not the current one.
pub const STALE_REPORTS: &str = "petrel_executor_stale_reports_total";
/// Leases that passed without a word of the worker.
pub const LEASES_LOST: &str = "petrel_executor_leases_lost_total";
/// Tasks that a worker did not take, as their owners heard.
pub const DECLINES: &str = "petrel_executor_declines_total";
/// Attempts that a worker handed over because it shut down, as their owners heard.
pub const HAND_OVERS: &str = "petrel_executor_hand_overs_total";
/// Cancels of executions that are not known, or over.
pub const CANCELS_IN_VAIN: &str = "petrel_executor_cancels_in_vain_total";
/// What was asked of workflows that cannot do it as they stand, or of what is none.
pub const ASKED_IN_VAIN: &str = "petrel_executor_asked_in_vain_total";
/// Orders of people to gates that came too late.
pub const LATE_ORDERS: &str = "petrel_executor_late_gate_orders_total";
/// Answers of gates that nobody waited for.
pub const STALE_GRANTS: &str = "petrel_executor_stale_grants_total";
/// Children that ended without a parent that waits for them.
pub const ORPHANS: &str = "petrel_executor_orphans_total";
/// Records that owners and workers gave up.
pub const DEAD_LETTERS: &str = "petrel_executor_dead_letters_total";
/// From dispatch to claim.
pub const WAIT_TO_CLAIM: &str = "petrel_worker_wait_to_claim_seconds";
/// From the event's timestamp to the start of the action.
pub const EVENT_TO_ACTION_START: &str = "petrel_event_to_action_start_seconds";
/// Attempts that a worker may run at once.
pub const SLOTS: &str = "petrel_worker_slots";
/// Attempts that it runs now.
pub const SLOTS_BUSY: &str = "petrel_worker_slots_busy";
/// Tasks that this worker did not take, by `reason`.
pub const TASKS_DECLINED: &str = "petrel_worker_tasks_declined_total";
/// Attempts that ended at this worker.
pub const ATTEMPTS: &str = "petrel_worker_attempts_total";

/// Bounds of the histograms, in seconds: from a millisecond to ten minutes.
const BUCKETS_S: [f64; 16] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 180.0, 600.0];

/// Counters of all owners and workers of a process.
#[derive(Debug, Clone)]
pub struct ExecutorMetrics {
    status_changes: IntCounterVec,
    attempts: IntCounterVec,
    tasks_declined: IntCounterVec,
    duplicates: IntCounter,
    stale_reports: IntCounter,
    leases_lost: IntCounter,
    declines: IntCounter,
    hand_overs: IntCounter,
    cancels_in_vain: IntCounter,
    asked_in_vain: IntCounter,
    late_orders: IntCounter,
    stale_grants: IntCounter,
    orphans: IntCounter,
    pub(crate) dead_letters: IntCounter,
    pub(crate) slots: IntGauge,
    pub(crate) slots_busy: IntGauge,
    wait_to_claim: Histogram,
    event_to_action_start: Histogram,
}

impl ExecutorMetrics {
    /// Metrics, registered in `registry`; once for a process.
    ///
    /// # Errors
    /// If they are registered there already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let by = |label: &str, name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let histogram =
            |name: &str, help: &str| Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS_S.to_vec()));
        let metrics = Self {
            status_changes: by("status", STATUS_CHANGES, "Status changes of executions")?,
            attempts: by("status", ATTEMPTS, "Attempts that ended at this worker")?,
            tasks_declined: by("reason", TASKS_DECLINED, "Tasks that this worker did not take")?,
            duplicates: IntCounter::new(DUPLICATES, "Requests whose execution was known already")?,
            stale_reports: IntCounter::new(STALE_REPORTS, "Reports about an attempt that is not the current one")?,
            leases_lost: IntCounter::new(LEASES_LOST, "Leases that passed without a word of the worker")?,
            declines: IntCounter::new(DECLINES, "Tasks that a worker did not take")?,
            hand_overs: IntCounter::new(HAND_OVERS, "Attempts that a worker handed over because it shut down")?,
            cancels_in_vain: IntCounter::new(CANCELS_IN_VAIN, "Cancels of executions that are not known, or over")?,
            asked_in_vain: IntCounter::new(ASKED_IN_VAIN, "Asked of workflows that cannot do it as they stand")?,
            late_orders: IntCounter::new(LATE_ORDERS, "Orders of people to gates that came too late")?,
            stale_grants: IntCounter::new(STALE_GRANTS, "Answers of gates that nobody waited for")?,
            orphans: IntCounter::new(ORPHANS, "Children that ended without a parent that waits for them")?,
            dead_letters: IntCounter::new(DEAD_LETTERS, "Records that owners and workers gave up")?,
            slots: IntGauge::new(SLOTS, "Attempts that this worker may run at once")?,
            slots_busy: IntGauge::new(SLOTS_BUSY, "Attempts that this worker runs now")?,
            wait_to_claim: histogram(WAIT_TO_CLAIM, "From dispatch to claim")?,
            event_to_action_start: histogram(EVENT_TO_ACTION_START, "From an event's timestamp to its action's start")?,
        };
        registry.register(Box::new(metrics.status_changes.clone()))?;
        registry.register(Box::new(metrics.attempts.clone()))?;
        registry.register(Box::new(metrics.tasks_declined.clone()))?;
        let counters = [
            &metrics.duplicates,
            &metrics.stale_reports,
            &metrics.leases_lost,
            &metrics.declines,
            &metrics.hand_overs,
            &metrics.cancels_in_vain,
            &metrics.asked_in_vain,
            &metrics.late_orders,
            &metrics.stale_grants,
            &metrics.orphans,
            &metrics.dead_letters,
        ];
        for counter in counters {
            registry.register(Box::new(counter.clone()))?;
        }
        for gauge in [&metrics.slots, &metrics.slots_busy] {
            registry.register(Box::new(gauge.clone()))?;
        }
        for histogram in [&metrics.wait_to_claim, &metrics.event_to_action_start] {
            registry.register(Box::new(histogram.clone()))?;
        }
        Ok(metrics)
    }

    pub(crate) fn status_changes(&self, status: Status, count: u64) {
        self.status_changes.with_label_values(&[status.as_str()]).inc_by(count);
    }

    pub(crate) fn counted(&self, what: Counted, count: u64) {
        let counter = match what {
            Counted::Duplicate => &self.duplicates,
            Counted::Stale => &self.stale_reports,
            Counted::LeaseLost => &self.leases_lost,
            Counted::Declined => &self.declines,
            Counted::HandedOver => &self.hand_overs,
            Counted::CancelInVain => &self.cancels_in_vain,
            Counted::AskedInVain => &self.asked_in_vain,
            Counted::StaleGrant => &self.stale_grants,
            Counted::LateOrder => &self.late_orders,
            Counted::Orphan => &self.orphans,
        };
        counter.inc_by(count);
    }

    pub(crate) fn task_declined(&self, reason: DeclineReason) {
        self.tasks_declined.with_label_values(&[reason.as_str()]).inc();
    }

    pub(crate) fn attempt_ended(&self, status: &str) {
        self.attempts.with_label_values(&[status]).inc();
    }

    pub(crate) fn claimed(&self, waited_ms: i64) {
        self.wait_to_claim.observe(seconds(waited_ms));
    }

    pub(crate) fn action_started(&self, since_event_ms: i64) {
        self.event_to_action_start.observe(seconds(since_event_ms));
    }
}

/// Clocks of two machines may disagree: what seems negative was short.
fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1_000.0
}

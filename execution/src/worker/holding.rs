//! An attempt that a worker has claimed, from its claim to its end. Instants are of a clock that goes on while the
//! machine sleeps and that nobody sets, in milliseconds.

use petrel_schemas::Task;
use serde_json::Value;

use super::lease::{margin_ms, worker_lease_ms};
use super::orders::Remembered;
use crate::code;
use crate::delivery::Delivery;
use crate::outcome::{Outcome, Stream};
use crate::status::Status;
use crate::subject::Note;

/// How many leases an attempt waits for its owner's grant, with heartbeats that are acknowledged, until its worker
/// gives it back: the owner, or this worker's reading of the orders, may have a fault that others have not.
const GRANT_WAIT_LEASES: u64 = 4;

/// Why an attempt must not run, or run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its owner said so.
    Canceled,
    /// The worker shuts down.
    ShuttingDown,
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Now.
    Now,
    /// Its owner has not granted it yet.
    AwaitGrant,
    /// It must not.
    Never,
}

/// How a runner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// By itself.
    Exited,
    /// It did what it was to do.
    Succeeded,
    /// It did not do what it was to do; the code says why.
    Failed {
        /// Stable, see [`code`].
        code: &'static str,
        /// Whether the same action may well succeed if it is tried again.
        retriable: bool,
    },
    /// It could not be started; the code says why.
    NotStarted(&'static str),
    /// It ran for too long.
    Timeout,
    /// It was told to.
    Stopped,
    /// The lease passed.
    LeaseLost,
    /// Its worker lacks what it takes, or has no lease left for it: another one may have it, or this one later.
    GivenBack {
        /// Whether it has done anything.
        begun: bool,
    },
    /// Nothing is known about it.
    Unknown,
}

/// What a runner tells at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Exit {
    /// Why it ended.
    pub why: Why,
    /// Exit code, where there is one.
    pub return_code: Option<i32>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// Structured result.
    pub result: Option<Value>,
    /// How long it is asked to wait until it is tried again, in milliseconds, where it was told.
    pub retry_after_ms: Option<u64>,
    /// Whether something that wrote was ended in the middle of whatever it wrote, though it ended by itself.
    pub is_cut: bool,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
}

impl Exit {
    /// It ended so, and there is nothing else to tell.
    pub fn bare(why: Why, error: Option<String>) -> Self {
        Self {
            why,
            return_code: None,
            error,
            result: None,
            retry_after_ms: None,
            is_cut: false,
            stdout: Stream::default(),
            stderr: Stream::default(),
        }
    }
}

/// What the owner is told at the end.
#[derive(Debug, Clone, PartialEq)]
// It is short-lived: made, looked at once and written.
#[allow(clippy::large_enum_variant)]
pub enum Verdict {
    /// The attempt ended.
    Ended(Outcome),
    /// The attempt is given back.
    HandedOver {
        /// Whether the action had been started.
        begun: bool,
        /// Whether this worker lacks what it takes.
        lacks: bool,
        /// What it had written.
        stdout: Stream,
        /// What it had written.
        stderr: Stream,
    },
}

/// An attempt that this worker has claimed.
#[derive(Debug, Clone)]
pub struct Holding {
    delivery: Delivery,
    timeout_ms: i64,
    lease_ms: u64,
    margin_ms: u64,
    lease_deadline_ms: u64,
    /// Until when it waits for its owner's grant.
    grant_deadline_ms: u64,
    granted: bool,
    begun: bool,
    stop: Option<Stop>,
}

impl Holding {
    /// A claim that has committed. `claim_began_ms` lies before the claim was sent: the lease counts from there.
    /// What its owner said before is taken into account.
    pub fn new(task: &Task, claim_began_ms: u64, said: Remembered) -> Self {
        let lease_ms = worker_lease_ms(task.lease_ms);
        let mut holding = Self {
            // What a newer release may add is the stricter of the two.
            delivery: Delivery::parse(&task.delivery).unwrap_or(Delivery::AtMostOnce),
            timeout_ms: task.timeout_ms,
            lease_ms,
            margin_ms: margin_ms(task.lease_ms),
            lease_deadline_ms: claim_began_ms.saturating_add(lease_ms),
            grant_deadline_ms: claim_began_ms.saturating_add(lease_ms.saturating_mul(GRANT_WAIT_LEASES)),
            granted: false,
            begun: false,
            stop: None,
        };
        holding.order(said);
        holding
    }

    /// Until when something must have changed if it is still to begin.
    pub fn begin_by_ms(&self) -> u64 {
        match self.awaits_grant() {
            true => self.lease_deadline_ms.min(self.grant_deadline_ms),
            false => self.lease_deadline_ms,
        }
    }

    /// Until when it may go on, unless something that is sent is acknowledged.
    pub fn lease_deadline_ms(&self) -> u64 {
        self.lease_deadline_ms
    }

    /// How long after that its owner's lease lasts at least, in milliseconds: by its end nothing of it may run.
    pub fn margin_ms(&self) -> u64 {
        self.margin_ms
    }

    /// Something that was sent at that instant was acknowledged.
    pub fn acknowledged(&mut self, sent_ms: u64) {
        self.lease_deadline_ms = self.lease_deadline_ms.max(sent_ms.saturating_add(self.lease_ms));
    }

    /// Its owner says something.
    pub fn order(&mut self, said: Remembered) {
        self.granted |= said.grant;
        if said.cancel {
            self.stop = Some(Stop::Canceled);
        }
    }

    /// The worker begins to shut down: what has not begun is given back at once.
    pub fn drain(&mut self) {
        if !self.begun {
            self.end();
        }
    }

    /// The worker waits no longer: what runs is ended too.
    pub fn end(&mut self) {
        self.stop.get_or_insert(Stop::ShuttingDown);
    }

    /// Why it must not run, or run on.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Whether it waits for its owner to let it start.
    pub fn awaits_grant(&self) -> bool {
        self.delivery == Delivery::AtMostOnce && !self.granted && !self.begun
    }

    /// Whether it may begin.
    pub fn may_begin(&self, now_ms: u64) -> Begin {
        match () {
            () if self.stop.is_some() || now_ms >= self.begin_by_ms() => Begin::Never,
            () if self.awaits_grant() => Begin::AwaitGrant,
            () => Begin::Now,
        }
    }

    /// Begins it, if it may. From `Now` on, it has begun.
    pub fn begin(&mut self, now_ms: u64) -> Begin {
        let may = self.may_begin(now_ms);
        self.begun |= may == Begin::Now;
        may
    }

    /// What the owner is told of an attempt that has not begun, and now never will.
    pub fn not_begun(&self) -> Verdict {
        match self.stop {
            Some(Stop::Canceled) => Verdict::Ended(canceled(Stream::default(), Stream::default())),
            // Its lease passed before it could start, or its owner's grant did not come: nothing was done, and
            // it is as good as new to the next worker.
            Some(Stop::ShuttingDown) | None => {
                Verdict::HandedOver { begun: false, lacks: false, stdout: Stream::default(), stderr: Stream::default() }
            }
        }
    }

    /// What the owner is told when the runner has ended.
    pub fn ended(&self, exit: Exit) -> Verdict {
        let Exit { why, return_code, error, result, retry_after_ms, is_cut: _, stdout, stderr } = exit;
        // Of one that may have run, nobody knows how far it came: where it may run once, that is nothing to try again.
        let may_run_again = self.delivery == Delivery::AtLeastOnce;
        let (status, note, retriable) = match why {
            Why::Exited if return_code == Some(0) => (Status::Succeeded, Note::NONE, false),
            Why::Succeeded => (Status::Succeeded, Note::NONE, false),
            Why::Failed { code, retriable } => (Status::Failed, Note::of(Some(code.to_owned()), error), retriable),
            Why::Exited => {
                let code = if return_code.is_some() { code::EXIT_CODE } else { code::SIGNAL };
                (Status::Failed, Note::of(Some(code.to_owned()), error), true)
            }
            Why::NotStarted(code) => (Status::Failed, Note::of(Some(code.to_owned()), error), false),
            Why::Timeout => {
                let why = format!("ended after its time-out of {} ms", self.timeout_ms);
                (Status::Timeout, Note::new(code::RUN_TIMEOUT, why), may_run_again)
            }
            Why::Stopped => match self.stop {
                Some(Stop::ShuttingDown) => return Verdict::HandedOver { begun: true, lacks: false, stdout, stderr },
                _ => return Verdict::Ended(canceled(stdout, stderr)),
            },
            Why::GivenBack { begun } => match self.stop {
                Some(Stop::Canceled) => return Verdict::Ended(canceled(stdout, stderr)),
                _ => return Verdict::HandedOver { begun, lacks: self.stop.is_none(), stdout, stderr },
            },
            Why::LeaseLost => {
                let why = "ended because its lease passed unacknowledged";
                (Status::Abandoned, Note::new(code::LEASE_LOST, why), may_run_again)
            }
            Why::Unknown => (Status::Abandoned, Note::of(Some(code::SUPERVISOR_LOST.to_owned()), error), may_run_again),
        };
        let bare = Outcome::bare(status, note, retriable);
        Verdict::Ended(Outcome { return_code, result, retry_after_ms, stdout, stderr, ..bare })
    }
}

fn canceled(stdout: Stream, stderr: Stream) -> Outcome {
    Outcome { stdout, stderr, ..Outcome::bare(Status::Canceled, Note::new(code::CANCELED, "canceled"), false) }
}

#[cfg(test)]
mod tests;

//! Transactions of a publisher, one at a time, on a thread of their own: nobody else waits for one that takes long.
#![expect(clippy::disallowed_methods, reason = "how long a transaction has taken")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use petrel_bus::{PublishError, TopicPartition};

use crate::bus::Questions;
use crate::calls::{Calls, Place};
use crate::faults::Fault;
use crate::leaders::Leaders;
use crate::options::KafkaOptions;
use crate::transactions::{NotConnected, Transactions};
use crate::turns::{Company, Placed};

/// Pause after a producer could not be made.
const CONNECT_PAUSE: Duration = Duration::from_millis(200);
/// The same while the broker refuses it: each time twice as long as before, and no longer than this.
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What a lane tells its publisher.
pub(crate) struct Report {
    /// Its number.
    pub(crate) lane: usize,
    pub(crate) told: Told,
}

pub(crate) enum Told {
    /// It can write.
    Ready,
    /// It cannot, and tries again; why, for people.
    NotConnected(String),
    /// It has written or answered what it was given, but for these.
    Done(Vec<Placed>),
    /// Its thread is at its end: the last that it tells.
    Ended(Ended),
}

/// Why a lane's thread is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was told to.
    Closed,
    /// The broker does not let it write, and it is not the first.
    Refused,
    /// What it was given is answered as of unknown outcome.
    Panicked,
}

/// The publisher's side.
pub(crate) struct Lane {
    jobs: Option<Sender<Vec<Placed>>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) is_ready: bool,
    /// Why it cannot connect, as of its last try.
    pub(crate) not_connected: Option<String>,
    /// Since when it has been writing or connecting.
    pub(crate) since: Instant,
    /// What it writes to.
    pub(crate) places: HashSet<Place>,
}

impl Lane {
    /// Starts the thread, which connects by itself.
    pub(crate) fn spawn(
        number: usize,
        name: &str,
        options: &Arc<KafkaOptions>,
        questions: &Arc<Questions>,
        calls: &Arc<Calls>,
    ) -> std::io::Result<Self> {
        // The first has the publisher's own name.
        let name = if number == 0 { name.to_owned() } else { format!("{name}+{number}") };
        let (options, told, leaders) = (options.clone(), calls.clone(), Leaders::new(questions.clone()));
        Self::start(number, name.clone(), calls, move |given| {
            Work { number, name, options, calls: told, given, leaders, transactions: None }.run()
        })
    }

    /// Starts the thread with what it does with the jobs that it is given. Whatever ends it is reported.
    pub(crate) fn start(
        number: usize,
        name: String,
        calls: &Arc<Calls>,
        body: impl FnOnce(Receiver<Vec<Placed>>) -> Ended + Send + 'static,
    ) -> std::io::Result<Self> {
        let ((jobs, given), calls) = (channel(), calls.clone());
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let mut last = LastWord { number, calls, ended: Ended::Panicked };
            last.ended = body(given);
        })?;
        let (jobs, thread, since) = (Some(jobs), Some(thread), Instant::now());
        Ok(Self { jobs, thread, is_ready: false, not_connected: None, since, places: HashSet::new() })
    }

    /// Gives it calls for one transaction; hands them back if its thread is gone.
    pub(crate) fn give(&mut self, calls: Vec<Placed>) -> Result<(), Vec<Placed>> {
        let places = calls.iter().flat_map(Placed::places).collect();
        let Some(jobs) = &self.jobs else { return Err(calls) };
        jobs.send(calls).map_err(|refused| refused.0)?;
        (self.is_ready, self.since, self.places) = (false, Instant::now(), places);
        Ok(())
    }

    /// It ends by itself once it has written what it has.
    pub(crate) fn close(&mut self) {
        self.jobs = None;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.jobs.is_none()
    }

    pub(crate) fn is_writing(&self) -> bool {
        !self.places.is_empty()
    }

    pub(crate) fn is_slow(&self, after: Duration) -> bool {
        !self.is_ready && self.since.elapsed() >= after
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a publisher's transactions panicked");
        }
    }
}

/// Tells that the thread is at its end, also while it unwinds.
struct LastWord {
    number: usize,
    calls: Arc<Calls>,
    ended: Ended,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.calls.report(Report { lane: self.number, told: Told::Ended(self.ended) });
    }
}

/// The thread's side.
struct Work {
    number: usize,
    name: String,
    options: Arc<KafkaOptions>,
    calls: Arc<Calls>,
    given: Receiver<Vec<Placed>>,
    leaders: Leaders,
    transactions: Option<Transactions>,
}

impl Work {
    fn run(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.connect() {
                return ended;
            }
            self.tell(Told::Ready);
            let Ok(mut calls) = self.given.recv() else { return Ended::Closed };
            let mut left = self.leaders.take_out_unled(&mut calls);
            left.extend(self.write(calls));
            self.tell(Told::Done(left));
        }
    }

    /// Connected before the first call, which then is as fast as the next ones. A producer that was given up is
    /// followed by another at once: what it has left open hides what others write behind it.
    fn connect(&mut self) -> Result<(), Ended> {
        let mut pause = CONNECT_PAUSE;
        while self.transactions.is_none() {
            let NotConnected { why, is_refused } = match Transactions::connect(&self.options, &self.name) {
                Ok(transactions) => {
                    self.transactions = Some(transactions);
                    break;
                }
                Err(error) => error,
            };
            tracing::warn!(publisher = %self.name, %why, "not connected");
            self.tell(Told::NotConnected(why.to_string()));
            if is_refused && self.number > 0 {
                return Err(Ended::Refused);
            }
            // Nothing is given to a lane that is not ready.
            if let Err(RecvTimeoutError::Disconnected) = self.given.recv_timeout(pause) {
                return Err(Ended::Closed);
            }
            pause = pause_after(pause, is_refused);
        }
        Ok(())
    }

    fn tell(&self, told: Told) {
        self.calls.report(Report { lane: self.number, told });
    }

    /// Writes calls in one transaction; returns those that are better tried each by itself.
    fn write(&mut self, calls: Vec<Placed>) -> Vec<Placed> {
        // The look at the leaders may have taken long.
        let timeout = Duration::from_millis(self.options.publish_timeout_ms);
        let (late, mut calls): (Vec<Placed>, Vec<Placed>) = calls.into_iter().partition(|p| p.call.is_late(timeout));
        late.into_iter().for_each(|placed| placed.call.answer_late(timeout, placed.why.as_deref()));
        if calls.is_empty() {
            return calls;
        }
        match self.transaction(&calls) {
            Ok(offsets) => {
                let mut offsets = offsets.into_iter();
                for Placed { call, partitions, .. } in calls {
                    let written = call.outputs.iter().zip(partitions).map(|(output, partition)| {
                        (TopicPartition { topic: output.topic.clone(), partition }, offsets.next().flatten())
                    });
                    let written = written.collect();
                    call.answer(Ok(written));
                }
                Vec::new()
            }
            Err(Failed { error: PublishError::Unavailable(why), delivered }) if calls.len() > 1 => {
                tracing::debug!(publisher = %self.name, %why, calls = calls.len(), "a transaction is tried again");
                part(&mut calls, &delivered);
                calls
            }
            Err(Failed { error, .. }) => {
                tracing::warn!(publisher = %self.name, %error, calls = calls.len(), "records were not acknowledged");
                calls.into_iter().for_each(|placed| placed.call.answer(Err(error.clone())));
                Vec::new()
            }
        }
    }

    /// One transaction with everything in it; offsets in the order of the records.
    fn transaction(&mut self, calls: &[Placed]) -> Result<Vec<Option<i64>>, Failed> {
        let Some(transactions) = &mut self.transactions else {
            let error = PublishError::Unavailable("not connected".into());
            return Err(Failed { error, delivered: Vec::new() });
        };
        let records = calls.iter().flat_map(|placed| placed.call.outputs.iter().zip(&placed.partitions));
        let (count, mut refused) = (records.clone().count(), None);
        let timeout = Duration::from_millis(self.options.publish_timeout_ms);
        let prepared = transactions.begin().and_then(|()| {
            transactions.expect_deliveries();
            for (number, (output, partition)) in records.enumerate() {
                transactions.send(output, *partition, number).map_err(|not_sent| {
                    refused = not_sent.is_the_records().then_some(number);
                    not_sent.fault
                })?;
            }
            match patience(calls, timeout) {
                Some(patience) => transactions.deliver(patience),
                None => transactions.prepare(None),
            }
        });
        let (fault, sent) = match prepared {
            Err(fault) => (fault, false),
            Ok(()) => match transactions.finish() {
                Ok(()) => return Ok(transactions.delivered_offsets(count)),
                Err(fault) => (fault, true),
            },
        };
        // Before the abort takes back the others.
        let delivered = match refused {
            // It was not waited for the others.
            Some(refused) => (0..count).map(|number| number != refused).collect(),
            None => transactions.delivered_offsets(count).iter().map(Option::is_some).collect(),
        };
        let kept = matches!(fault, Fault::Abort(_)) && transactions.abort().is_ok();
        if !kept {
            self.transactions = None;
        }
        let why = fault.why().to_owned();
        let error = match sent && !matches!(fault, Fault::Abort(_)) {
            true => PublishError::OutcomeUnknown(why),
            false => PublishError::Unavailable(why),
        };
        Err(Failed { error, delivered })
    }
}

/// How long it is waited until the records of several calls are delivered, so that there is time left for another
/// transaction; none for a single one.
fn patience(calls: &[Placed], timeout: Duration) -> Option<Duration> {
    let [first, _, ..] = calls else { return None };
    let oldest = calls.iter().map(|placed| placed.call.since.elapsed()).max().unwrap_or_default();
    match first.company {
        Company::Any => Some(timeout / 4),
        Company::Again | Company::Alone => Some((timeout.saturating_sub(oldest) / 2).max(timeout / 8)),
    }
}

/// A transaction that was not committed, or nobody knows.
struct Failed {
    error: PublishError,
    /// Of each record in turn, whether it was delivered, or was not what failed.
    delivered: Vec<bool>,
}

/// Says with whom the calls of a failed transaction go next: those with a record that was not delivered by themselves, for
/// they spoilt it. If it is nobody's fault more than another's, all of them together once more, with half of the time
/// that is left: a cluster that is slow at everything would be slower still with a transaction for each call.
fn part(calls: &mut [Placed], delivered: &[bool]) {
    let mut records = delivered.iter().copied();
    let mut is_whole = |count: usize| (0..count).filter(|_| records.next().unwrap_or(false)).count() == count;
    let whole: Vec<bool> = calls.iter().map(|placed| is_whole(placed.partitions.len())).collect();
    let tells = delivered.contains(&true) && whole.contains(&false);
    for (placed, is_whole) in calls.iter_mut().zip(whole) {
        placed.company = match placed.company {
            company if tells && is_whole => company,
            Company::Any if !tells => Company::Again,
            _ => Company::Alone,
        };
    }
}

/// The pause after the next failure to connect. One that was waited for in vain has taken its time already.
fn pause_after(pause: Duration, is_refused: bool) -> Duration {
    if is_refused { (2 * pause).min(REFUSED_PAUSE_MAX) } else { CONNECT_PAUSE }
}

#[cfg(test)]
mod tests;

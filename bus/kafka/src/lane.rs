//! Transactions of a publisher, one at a time, on a thread of their own: nobody else waits for one that takes long.
#![expect(clippy::disallowed_methods, reason = "how long a transaction has taken")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use petrel_bus::{PublishError, TopicPartition};

use crate::bus::Questions;
use crate::calls::{Calls, Place};
use crate::faults::Fault;
use crate::leaders::Leaders;
use crate::options::KafkaOptions;
use crate::transactions::Transactions;
use crate::turns::Placed;

/// Pause after a producer could not be made.
const CONNECT_PAUSE: Duration = Duration::from_millis(200);

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
}

/// The publisher's side.
pub(crate) struct Lane {
    jobs: Option<Sender<Vec<Placed>>>,
    thread: Option<JoinHandle<()>>,
    pub(crate) is_ready: bool,
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
        let (jobs, given) = channel();
        let mut work = Work {
            number,
            // The first has the publisher's own name.
            name: if number == 0 { name.to_owned() } else { format!("{name}+{number}") },
            options: options.clone(),
            calls: calls.clone(),
            given,
            leaders: Leaders::new(questions.clone()),
            transactions: None,
        };
        let thread = std::thread::Builder::new().name(work.name.clone()).spawn(move || work.run())?;
        let (jobs, thread) = (Some(jobs), Some(thread));
        Ok(Self { jobs, thread, is_ready: false, since: Instant::now(), places: HashSet::new() })
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
    fn run(&mut self) {
        loop {
            // Connected before the first call, which then is as fast as the next ones. A producer that was given up
            // is followed by another at once: what it has left open hides what others write behind it.
            while self.transactions.is_none() {
                match Transactions::connect(&self.options, &self.name) {
                    Ok(transactions) => self.transactions = Some(transactions),
                    Err(why) => {
                        tracing::warn!(publisher = %self.name, %why, "not connected");
                        self.tell(Told::NotConnected(why.to_string()));
                        if matches!(self.given.try_recv(), Err(TryRecvError::Disconnected)) {
                            return;
                        }
                        std::thread::sleep(CONNECT_PAUSE);
                    }
                }
            }
            self.tell(Told::Ready);
            let Ok(mut calls) = self.given.recv() else { return };
            let mut left = self.leaders.take_out_unled(&mut calls);
            left.extend(self.write(calls));
            self.tell(Told::Done(left));
        }
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
            // One call may have spoilt it for the others.
            Err(PublishError::Unavailable(_)) if calls.len() > 1 => {
                calls.iter_mut().for_each(|placed| placed.is_alone = true);
                calls
            }
            Err(error) => {
                tracing::warn!(publisher = %self.name, %error, calls = calls.len(), "records were not acknowledged");
                calls.into_iter().for_each(|placed| placed.call.answer(Err(error.clone())));
                Vec::new()
            }
        }
    }

    /// One transaction with everything in it; offsets in the order of the records.
    fn transaction(&mut self, calls: &[Placed]) -> Result<Vec<Option<i64>>, PublishError> {
        let Some(transactions) = &mut self.transactions else {
            return Err(PublishError::Unavailable("not connected".into()));
        };
        let records = calls.iter().flat_map(|placed| placed.call.outputs.iter().zip(&placed.partitions));
        let count = records.clone().count();
        let prepared = transactions.begin().and_then(|()| {
            transactions.expect_deliveries();
            for (number, (output, partition)) in records.enumerate() {
                transactions.send(output, *partition, number)?;
            }
            match calls {
                [_] => transactions.prepare(None),
                // Those whose partitions take everything have time left for another one, without the others.
                _ => transactions.deliver(Duration::from_millis(self.options.publish_timeout_ms / 4)),
            }
        });
        let (fault, sent) = match prepared {
            Err(fault) => (fault, false),
            Ok(()) => match transactions.finish() {
                Ok(()) => return Ok(transactions.delivered_offsets(count)),
                Err(fault) => (fault, true),
            },
        };
        let kept = matches!(fault, Fault::Abort(_)) && transactions.abort().is_ok();
        if !kept {
            self.transactions = None;
        }
        let why = fault.why().to_owned();
        match sent && !matches!(fault, Fault::Abort(_)) {
            true => Err(PublishError::OutcomeUnknown(why)),
            false => Err(PublishError::Unavailable(why)),
        }
    }
}

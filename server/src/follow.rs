//! Following a topic on a thread: the catalog, the key-value store, the live view.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Bus, BusError, Clock, Failure, Life, Record, Service, ServiceThread, Tail, Trouble, Troubles};

use crate::stop::Stop;
use crate::world::rfc3339;

/// How long to wait for records before looking whether to stop.
const FOLLOW_WAIT: Duration = Duration::from_millis(100);

/// Longest wait for a topic to be read to its end, in looks of [`READ_WAIT`].
const LOOKS_MAX: u32 = 1_200;
/// Longest wait for records of one look.
const READ_WAIT: Duration = Duration::from_millis(50);

/// What every follower of a process needs.
#[derive(Clone)]
pub struct Follows {
    /// The log.
    pub bus: Arc<dyn Bus>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Ends them all.
    pub stop: Stop,
    /// Where a topic that cannot be followed is told until it is read again.
    pub troubles: Troubles,
}

impl Follows {
    /// Hands every record of the topic, from its beginning, to `each` (partition, record), on a thread of
    /// its own until `stop`; calls `caught_up` once everything that was there at the start was handed out.
    /// After a failure, such as a right that was taken away, it reads on with another tail. A record at which `each`
    /// panics is handed out again, too: whoever follows must know all of the topic.
    pub fn follow(
        &self,
        name: &str,
        topic: Arc<str>,
        each: impl FnMut(u32, Record<'_>) + Send + 'static,
        caught_up: impl FnOnce() + Send + 'static,
    ) {
        let mut caught_up = Some(caught_up);
        let look = move |tail: &mut dyn Tail| {
            if tail.caught_up()
                && let Some(caught_up) = caught_up.take()
            {
                caught_up();
            }
        };
        self.follow_and_look(name, topic, each, look);
    }

    /// As [`Follows::follow`]; calls `look` with the tail each time that it waited for records, at least ten times a
    /// second.
    pub fn follow_and_look(
        &self,
        name: &str,
        topic: Arc<str>,
        each: impl FnMut(u32, Record<'_>) + Send + 'static,
        look: impl FnMut(&mut dyn Tail) + Send + 'static,
    ) {
        self.start(name, topic, Begin::First, false, each, look);
    }

    /// As [`Follows::follow`], but of each partition only the latest records, so many, and what comes.
    pub fn follow_latest(
        &self,
        name: &str,
        topic: Arc<str>,
        records_max: i64,
        each: impl FnMut(u32, Record<'_>) + Send + 'static,
    ) {
        self.start(name, topic, Begin::Latest(records_max), false, each, |_| {});
    }

    /// As [`Follows::follow`], for a topic of which nobody waits for a single record, and many come: they are handed
    /// out a quarter of a second later, and together.
    pub fn follow_batched(&self, name: &str, topic: Arc<str>, each: impl FnMut(u32, Record<'_>) + Send + 'static) {
        self.start(name, topic, Begin::First, true, each, |_| {});
    }

    fn start(
        &self,
        name: &str,
        topic: Arc<str>,
        begin: Begin,
        batched: bool,
        each: impl FnMut(u32, Record<'_>) + Send + 'static,
        look: impl FnMut(&mut dyn Tail) + Send + 'static,
    ) {
        let follows = self.clone();
        let (tail, was_open, is_failing, next) = (None, false, false, Vec::new());
        let follower = Follower { follows, topic, begin, batched, each, look, tail, was_open, is_failing, next };
        match ServiceThread::start(name, self.clock.clone(), self.stop.signal(), follower) {
            // It ends with the process.
            Ok(thread) => thread.detach(),
            Err(error) => tracing::error!(%error, "no thread can be started"),
        }
    }
}

/// Hands out a topic from its beginning to the end that it has now; blocks.
///
/// # Errors
/// If it cannot be read, or not within a minute.
pub fn read_whole(bus: &dyn Bus, topic: &str, mut take: impl FnMut(u32, Record<'_>)) -> anyhow::Result<()> {
    let mut tail = bus.tail(topic)?;
    tail.mark()?;
    for _ in 0..LOOKS_MAX {
        tail.next(READ_WAIT, &mut take)?;
        if tail.passed_mark() {
            return Ok(());
        }
    }
    anyhow::bail!("{topic} was not read to its end within {:?}", READ_WAIT * LOOKS_MAX)
}

/// What is wrong, and since when, one a line.
pub fn lines(troubles: &Troubles) -> Vec<String> {
    let line = |trouble: Trouble| format!("{}, since {}", trouble.why, rfc3339(trouble.since_ms));
    troubles.now().into_iter().map(line).collect()
}

/// Where a follower begins.
#[derive(Debug, Clone, Copy)]
enum Begin {
    /// With the first record.
    First,
    /// With so many of the latest records of each partition.
    Latest(i64),
}

struct Follower<E, L> {
    follows: Follows,
    topic: Arc<str>,
    begin: Begin,
    batched: bool,
    each: E,
    look: L,
    /// Not there before the first life, nor after a failure or a panic.
    tail: Option<Box<dyn Tail>>,
    /// Whether there was a tail before.
    was_open: bool,
    /// Whether the last life has failed, and nothing was read since.
    is_failing: bool,
    /// The offset behind the last record of each partition that was handed out.
    next: Vec<i64>,
}

impl<E, L> Service for Follower<E, L>
where
    E: FnMut(u32, Record<'_>) + Send + 'static,
    L: FnMut(&mut dyn Tail) + Send + 'static,
{
    fn live(&mut self, life: &Life<'_>) -> Result<(), String> {
        while !life.is_over() {
            if self.turn().map_err(|error| error.to_string())? {
                life.went_well();
                if std::mem::take(&mut self.is_failing) {
                    self.follows.troubles.end(&self.topic);
                    tracing::info!(topic = &*self.topic, "the topic is followed again");
                }
            }
        }
        Ok(())
    }

    fn failed(&mut self, failure: &Failure, _: u64) {
        self.is_failing = true;
        let why = format!("{} cannot be followed: {failure}", self.topic);
        self.follows.troubles.begin(&self.topic, why, self.follows.clock.now_ms());
    }
}

impl<E: FnMut(u32, Record<'_>), L: FnMut(&mut dyn Tail)> Follower<E, L> {
    /// Reads once; whether the topic is read.
    fn turn(&mut self) -> Result<bool, BusError> {
        // A failure or a panic in between leaves no tail: whatever it had read ahead is read again.
        let mut tail = match self.tail.take() {
            Some(tail) => tail,
            None => self.open()?,
        };
        let Self { each, next, .. } = self;
        tail.next(FOLLOW_WAIT, &mut |partition, record| {
            let behind = record.offset + 1;
            each(partition, record);
            let at = partition as usize;
            next.resize(next.len().max(at + 1), 0);
            next[at] = behind;
        })?;
        (self.look)(&mut *tail);
        Ok(self.tail.insert(tail).is_reading())
    }

    fn open(&mut self) -> Result<Box<dyn Tail>, BusError> {
        let bus = &self.follows.bus;
        if let (false, Begin::Latest(records_max)) = (self.was_open, self.begin) {
            self.next = bus.end_offsets(&self.topic)?.iter().map(|end| (end - records_max).max(0)).collect();
        }
        let mut tail = match self.batched {
            true => bus.tail_batched(&self.topic, &self.next)?,
            false => bus.tail_from(&self.topic, &self.next)?,
        };
        if self.was_open {
            // Whoever waits for the end that was marked before waits for this one, which is not earlier.
            tail.mark()?;
        }
        self.was_open = true;
        Ok(tail)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use petrel_bus::sim::{SimBus, SimClock, SimOptions};
    use petrel_bus::{Output, Publisher, TopicSpec};

    use super::*;

    /// Nobody waits that long unless something is lost.
    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn a_follower_that_panics_reads_on_with_the_record_it_panicked_at() {
        let clock = SimClock::at(1_700_000_000_000);
        let bus = SimBus::new(clock.clone(), SimOptions::default());
        let topic: Arc<str> = "topic".into();
        let (partitions, compacted) = (1, false);
        let spec =
            TopicSpec { name: topic.clone(), partitions, compacted, retention_ms: None, delete_retention_ms: None };
        bus.ensure_topics(&[spec]).unwrap();
        let outputs = (0..4).map(|n| Output::keyed(&topic, "key", vec![n])).collect();
        bus.publish(outputs).wait().unwrap();
        let (stop, troubles) = (Stop::default(), Troubles::default());
        let follows = Follows { bus: Arc::new(bus), clock, stop: stop.clone(), troubles: troubles.clone() };
        let ((seen, sees), (caught_up, catches_up)) = (channel(), channel());
        let mut panics = 2;
        let each = move |partition, record: Record<'_>| {
            if record.offset == 1 && panics > 0 {
                panics -= 1;
                panic!("as told");
            }
            // The test may have ended.
            let _ = seen.send((partition, record.offset));
        };
        let tell = move || caught_up.send(()).unwrap_or_default();
        follows.follow("test", topic, each, tell);
        for offset in 0..4 {
            assert_eq!(sees.recv_timeout(LIMIT).unwrap(), (0, offset));
        }
        catches_up.recv_timeout(LIMIT).unwrap();
        stop.set();
    }
}

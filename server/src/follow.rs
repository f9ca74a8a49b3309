//! Following a topic on a thread: the catalog, the key-value store, the live view.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Bus, BusError, Clock, Life, Record, Service, ServiceThread, Tail};

use crate::stop::Stop;

/// How long to wait for records before looking whether to stop.
const FOLLOW_WAIT: Duration = Duration::from_millis(100);

/// Hands every record of the topic, from its beginning, to `each` (partition, record), on a thread of
/// its own until `stop`; calls `caught_up` once everything that was there at the start was handed out.
/// After a failure it reads on; a tail that cannot be opened is tried again. A record at which `each` panics is
/// handed out again, too: whoever follows must know all of the topic.
pub fn follow(
    name: &str,
    bus: Arc<dyn Bus>,
    topic: Arc<str>,
    clock: Arc<dyn Clock>,
    stop: Stop,
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
    follow_and_look(name, bus, topic, clock, stop, each, look);
}

/// As [`follow`]; calls `look` with the tail each time that it waited for records, at least ten times a second.
pub fn follow_and_look(
    name: &str,
    bus: Arc<dyn Bus>,
    topic: Arc<str>,
    clock: Arc<dyn Clock>,
    stop: Stop,
    each: impl FnMut(u32, Record<'_>) + Send + 'static,
    look: impl FnMut(&mut dyn Tail) + Send + 'static,
) {
    let follower = Follower { bus, topic, each, look, tail: None, next: Vec::new() };
    match ServiceThread::start(name, clock, stop.signal(), follower) {
        // It ends with the process.
        Ok(thread) => thread.detach(),
        Err(error) => tracing::error!(%error, "no thread can be started"),
    }
}

struct Follower<E, L> {
    bus: Arc<dyn Bus>,
    topic: Arc<str>,
    each: E,
    look: L,
    /// Not there before the first life, nor after a panic.
    tail: Option<Box<dyn Tail>>,
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
            self.turn().map_err(|error| format!("{} cannot be followed: {error}", self.topic))?;
            life.went_well();
        }
        Ok(())
    }
}

impl<E: FnMut(u32, Record<'_>), L: FnMut(&mut dyn Tail)> Follower<E, L> {
    fn turn(&mut self) -> Result<(), BusError> {
        // A panic in between leaves no tail: whatever it had read ahead is read again.
        let mut tail = match self.tail.take() {
            Some(tail) => tail,
            None if self.next.is_empty() => self.bus.tail(&self.topic)?,
            None => {
                let mut tail = self.bus.tail_from(&self.topic, &self.next)?;
                // Whoever waits for the end that was marked before waits for this one, which is not earlier.
                tail.mark()?;
                tail
            }
        };
        let Self { each, next, .. } = self;
        let read = tail.next(FOLLOW_WAIT, &mut |partition, record| {
            let behind = record.offset + 1;
            each(partition, record);
            let at = partition as usize;
            next.resize(next.len().max(at + 1), 0);
            next[at] = behind;
        });
        (self.look)(&mut *tail);
        self.tail = Some(tail);
        read
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
        let (stop, (seen, sees), (caught_up, catches_up)) = (Stop::default(), channel(), channel());
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
        follow("test", Arc::new(bus), topic, clock, stop.clone(), each, tell);
        for offset in 0..4 {
            assert_eq!(sees.recv_timeout(LIMIT).unwrap(), (0, offset));
        }
        catches_up.recv_timeout(LIMIT).unwrap();
        stop.set();
    }
}

//! Following a topic on a thread: the catalog, the key-value store, the live view.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Bus, BusError, Clock, Record, Tail};

use crate::stop::Stop;

/// How long to wait for records before looking whether to stop.
const FOLLOW_WAIT: Duration = Duration::from_millis(100);
/// First and longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Hands every record of the topic, from its beginning, to `each` (partition, record), on a thread of
/// its own until `stop`; calls `caught_up` once everything that was there at the start was handed out.
/// After a failure it reads on; a tail that cannot be opened is tried again.
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
    let follower = Follower { bus, topic, clock, stop };
    let thread = std::thread::Builder::new().name(name.to_owned());
    if let Err(error) = thread.spawn(move || follower.run(each, look)) {
        tracing::error!(%error, "no thread can be started");
    }
}

struct Follower {
    bus: Arc<dyn Bus>,
    topic: Arc<str>,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

impl Follower {
    fn run(&self, mut each: impl FnMut(u32, Record<'_>), mut look: impl FnMut(&mut dyn Tail)) {
        let mut tail: Option<Box<dyn Tail>> = None;
        let mut backoff = BACKOFF.0;
        while !self.stop.is_set() {
            match self.turn(&mut tail, &mut each) {
                Ok(()) => backoff = BACKOFF.0,
                Err(error) => {
                    tracing::warn!(topic = %self.topic, %error, "topic cannot be followed, trying again");
                    self.clock.sleep(backoff);
                    backoff = (backoff * 2).min(BACKOFF.1);
                }
            }
            if let Some(tail) = &mut tail {
                look(&mut **tail);
            }
        }
    }

    fn turn(&self, tail: &mut Option<Box<dyn Tail>>, each: &mut impl FnMut(u32, Record<'_>)) -> Result<(), BusError> {
        if tail.is_none() {
            *tail = Some(self.bus.tail(&self.topic)?);
        }
        match tail {
            Some(tail) => tail.next(FOLLOW_WAIT, &mut |partition, record| each(partition, record)),
            None => Ok(()),
        }
    }
}

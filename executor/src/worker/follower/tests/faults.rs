//! A log whose reading panics, fails, or tells nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use petrel_bus::sim::{SimBus, SimClock, SimOptions};
use petrel_bus::{Output, OwnedRecord, Session, SessionOptions, Tail};

use super::*;

#[derive(Clone)]
struct FaultyBus(Arc<Faults>);

struct Faults {
    inner: SimBus,
    /// Whether it panics behind the next record that it hands out.
    panics: AtomicBool,
    is_away: AtomicBool,
    /// Whether anything was heard of the topic.
    is_heard: AtomicBool,
    /// How often it was read without a fault.
    reads: AtomicUsize,
    /// Offsets that were handed out, with their partitions.
    handed_out: Mutex<Vec<(u32, i64)>>,
}

struct FaultyTail {
    inner: Box<dyn Tail>,
    faults: Arc<Faults>,
}

impl Tail for FaultyTail {
    fn next(&mut self, wait: Duration, each: &mut dyn FnMut(u32, Record<'_>)) -> Result<(), BusError> {
        if self.faults.is_away.load(Ordering::SeqCst) {
            return Err(BusError::Unavailable("away".to_owned()));
        }
        let mut records: Vec<(u32, OwnedRecord)> = Vec::new();
        self.inner.next(wait, &mut |partition, record| records.push((partition, record.to_owned())))?;
        for (partition, record) in records {
            self.faults.handed_out.lock().unwrap().push((partition, record.offset));
            each(partition, record.as_record());
            assert!(!self.faults.panics.swap(false, Ordering::SeqCst), "as told");
        }
        self.faults.reads.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn caught_up(&self) -> bool {
        self.inner.caught_up()
    }

    fn mark(&mut self) -> Result<(), BusError> {
        self.inner.mark()
    }

    fn passed_mark(&self) -> bool {
        self.inner.passed_mark()
    }

    fn is_reading(&self) -> bool {
        self.faults.is_heard.load(Ordering::SeqCst)
    }
}

impl Bus for FaultyBus {
    fn cluster_id(&self) -> Result<String, BusError> {
        self.0.inner.cluster_id()
    }

    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.0.inner.ensure_topics(topics)
    }

    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        self.0.inner.partitions(topic)
    }

    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.0.inner.end_offsets(topic)
    }

    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.0.inner.beginning_offsets(topic)
    }

    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError> {
        self.0.inner.offsets_at(topic, time_ms)
    }

    fn publisher(&self, name: &str) -> Result<Arc<dyn Publisher>, BusError> {
        self.0.inner.publisher(name)
    }

    fn tail(&self, topic: &str) -> Result<Box<dyn Tail>, BusError> {
        self.tail_from(topic, &self.beginning_offsets(topic)?)
    }

    fn tail_from(&self, topic: &str, offsets: &[i64]) -> Result<Box<dyn Tail>, BusError> {
        let inner = self.0.inner.tail_from(topic, offsets)?;
        Ok(Box::new(FaultyTail { inner, faults: self.0.clone() }))
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>, BusError> {
        self.0.inner.session(options)
    }
}

/// A follower of a log with these faults.
fn rig(is_away: bool, is_heard: bool) -> (Rig, Arc<Faults>) {
    let clock = SimClock::at(NOW_MS);
    let inner = SimBus::new(clock.clone(), SimOptions::default());
    let faults = Arc::new(Faults {
        inner: inner.clone(),
        panics: AtomicBool::new(false),
        is_away: AtomicBool::new(is_away),
        is_heard: AtomicBool::new(is_heard),
        reads: AtomicUsize::new(0),
        handed_out: Mutex::default(),
    });
    (Rig::over(inner, Arc::new(FaultyBus(faults.clone())), clock), faults)
}

/// What is told of the topic.
fn told(rig: &Rig) -> Vec<String> {
    rig.follower.troubles().now().into_iter().map(|trouble| trouble.why).collect()
}

#[tokio::test]
async fn after_a_panic_it_goes_on_behind_the_order_that_it_met_and_misses_none() {
    let (rig, faults) = rig(false, true);
    rig.until("following", |rig| rig.attempts.is_following()).await;
    let [met, behind] = ["a", "b"].map(|execution| rig.attempts.hold(&task(execution), 0));
    faults.panics.store(true, Ordering::SeqCst);
    let order = |execution: &str| {
        let order = Order { execution_id: execution.to_owned(), ..cancel() };
        Output::to_partition(&rig.topic, 0, "key", Some(encode(&order)))
    };
    rig.bus.publish(vec![order("a"), order("b")]).wait().unwrap();
    rig.until("the one behind it", |_| behind.borrow().stop() == Some(Stop::Canceled)).await;
    assert_eq!(met.borrow().stop(), Some(Stop::Canceled));
    assert_eq!(*faults.handed_out.lock().unwrap(), [(0, 0), (0, 1)], "each of them once");
    rig.until("following", |rig| rig.attempts.is_following() && told(rig).is_empty()).await;
}

#[tokio::test]
async fn a_topic_that_was_not_read_yet_is_told_and_nothing_is_claimed() {
    let (rig, faults) = rig(false, false);
    rig.until("told", |rig| !told(rig).is_empty()).await;
    rig.until("asked", |_| faults.reads.load(Ordering::SeqCst) > 1).await;
    assert_eq!(told(&rig), ["petrel.orders.default has not been read yet"]);
    assert!(!rig.attempts.is_following());
    faults.is_heard.store(true, Ordering::SeqCst);
    rig.until("following", |rig| rig.attempts.is_following() && told(rig).is_empty()).await;
}

#[tokio::test]
async fn why_a_topic_could_not_be_followed_is_told_until_it_is_read() {
    let (rig, faults) = rig(true, false);
    rig.until("told", |rig| told(rig).iter().any(|why| why.contains("cannot be followed"))).await;
    faults.is_away.store(false, Ordering::SeqCst);
    rig.until("asked", |_| faults.reads.load(Ordering::SeqCst) > 1).await;
    let why = "petrel.orders.default cannot be followed: the log cannot be reached: away";
    assert_eq!((told(&rig), rig.attempts.is_following()), (vec![why.to_owned()], false));
    faults.is_heard.store(true, Ordering::SeqCst);
    rig.until("following", |rig| rig.attempts.is_following() && told(rig).is_empty()).await;
}

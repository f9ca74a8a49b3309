use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// How a life goes.
type LifeOf = fn(&Life<'_>) -> Result<(), String>;

/// A clock that keeps the pauses.
#[derive(Default)]
struct Pauses(Mutex<Vec<u64>>);

impl Clock for Pauses {
    fn now_ms(&self) -> i64 {
        0
    }

    fn sleep(&self, time: Duration) {
        self.0.lock().unwrap().push(u64::try_from(time.as_millis()).unwrap());
    }
}

/// Does in each life what it is told, and tells how lives ended.
struct Told {
    lives: Receiver<LifeOf>,
    ends: Sender<(Failure, u64)>,
}

impl Service for Told {
    fn live(&mut self, life: &Life<'_>) -> Result<(), String> {
        // Once nobody tells it any more, it has nothing to do.
        self.lives.recv().map_or(Ok(()), |what| what(life))
    }

    fn failed(&mut self, failure: &Failure, pause_ms: u64) {
        self.ends.send((failure.clone(), pause_ms)).unwrap();
    }
}

fn started(clock: Arc<Pauses>) -> (ServiceThread, Sender<LifeOf>, Receiver<(Failure, u64)>) {
    let ((live, lives), (ends, ended)) = (channel(), channel());
    let thread = ServiceThread::start("told", clock, StopSignal::default(), Told { lives, ends }).unwrap();
    (thread, live, ended)
}

#[test]
fn a_life_that_fails_or_panics_is_followed_by_another_after_a_growing_pause() {
    let clock = Arc::new(Pauses::default());
    let (thread, live, ended) = started(clock.clone());
    live.send(|_| Err("away".into())).unwrap();
    assert_eq!(ended.recv().unwrap(), (Failure::Error("away".into()), 100));
    live.send(|_| panic!("number {}", 7)).unwrap();
    let (failure, pause_ms) = ended.recv().unwrap();
    let Failure::Panic(said) = &failure else { panic!("{failure:?}") };
    assert!(said.starts_with("number 7 (") && pause_ms == 200, "{said} {pause_ms}");
    for expected_ms in [400, 800, 1_600, 3_200, 5_000, 5_000] {
        live.send(|_| Err("away".into())).unwrap();
        assert_eq!(ended.recv().unwrap().1, expected_ms);
    }
    // What goes well for once begins anew.
    live.send(|life| {
        life.went_well();
        Err("away again".into())
    })
    .unwrap();
    assert_eq!(ended.recv().unwrap(), (Failure::Error("away again".into()), 100));
    assert!(thread.is_alive());
    drop(live);
    thread.join();
    let pauses = clock.0.lock().unwrap();
    assert!(pauses.iter().all(|ms| *ms <= STOP_POLL_MS), "a stop signal is seen soon");
    // The stop may come in the middle of the last one.
    let before_the_last_ms: u64 = 100 + 200 + 400 + 800 + 1_600 + 3_200 + 5_000 + 5_000;
    assert!((before_the_last_ms..=before_the_last_ms + 100).contains(&pauses.iter().sum::<u64>()), "{pauses:?}");
}

#[test]
fn it_ends_when_it_is_told_to_and_not_before() {
    let (thread, live, ended) = started(Arc::default());
    live.send(|life| {
        while !life.is_over() {
            std::thread::yield_now();
        }
        Ok(())
    })
    .unwrap();
    assert!(thread.is_alive());
    // Waits for the thread.
    drop(thread);
    assert_eq!(ended.try_recv().ok(), None);
    assert!(ended.recv().is_err(), "the service is gone");
}

/// Panics also when it is told of its failure.
struct Hopeless(Sender<()>);

impl Service for Hopeless {
    fn live(&mut self, _: &Life<'_>) -> Result<(), String> {
        self.0.send(()).unwrap();
        panic!("a life");
    }

    fn failed(&mut self, _: &Failure, _: u64) {
        panic!("the end of a life");
    }
}

#[test]
fn one_that_panics_when_it_is_told_of_its_failure_is_started_again_all_the_same() {
    let (lived, lives) = channel();
    let thread = ServiceThread::start("hopeless", Arc::<Pauses>::default(), StopSignal::default(), Hopeless(lived));
    let thread = thread.unwrap();
    for _ in 0..3 {
        lives.recv().unwrap();
    }
    thread.join();
}

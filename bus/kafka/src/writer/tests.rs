use std::sync::mpsc::channel;

use petrel_bus::{Receipt, receipt};
use rdkafka::mocking::MockCluster;

use super::*;
use crate::lane::{Ended, Lane, Report, Told};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A writer that knows a topic of two partitions, and of which the test runs each step. Nobody is at its address, if it
/// has none.
fn writer(bootstrap: Option<String>, change: impl FnOnce(&mut KafkaOptions)) -> Writer {
    let mut options = KafkaOptions::new(bootstrap.unwrap_or("127.0.0.1:1".into()), "test");
    (options.init_timeout_ms, options.request_timeout_ms) = (500, 500);
    change(&mut options);
    let questions = Arc::new(Questions::new(&options).unwrap());
    let mut writer = Writer::new("publisher-p".into(), Arc::new(options), questions, Arc::default());
    writer.partitions.insert("t".into(), 2);
    writer
}

fn call(topic: &str) -> (Call, Receipt) {
    let (acknowledge, receipt) = receipt();
    let output = |partition| Output::to_partition(&Arc::from(topic), partition, "", None);
    (Call::new(vec![output(0), output(1)], acknowledge), receipt)
}

impl Writer {
    /// Lets a call of two records wait, and looks.
    fn given(&mut self) -> Receipt {
        let (call, receipt) = call("t");
        self.take(call);
        self.look();
        receipt
    }

    /// Looks until something is so.
    fn look_until(&mut self, is_so: impl Fn(&mut Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            self.calls.next(None, Some(LOOK_EVERY), false);
            self.take_reports();
            self.look();
            assert!(began.elapsed() < PATIENCE, "it never is so; lanes {:?}", self.lanes.numbers());
        }
    }

    /// Puts a lane there that does this.
    fn put(
        &mut self,
        number: usize,
        body: impl FnOnce(std::sync::mpsc::Receiver<Vec<Placed>>) -> Ended + Send + 'static,
    ) {
        let lane = Lane::start(number, format!("lane {number}"), &self.calls, body).unwrap();
        self.lanes.put(number, lane);
    }

    fn tell(&mut self, lane: usize, told: Told) {
        self.calls.report(Report { lane, told });
        self.take_reports();
    }

    /// A lane has been busy for long.
    fn slow_down(&mut self, number: usize) {
        self.lanes.at(number).since = Instant::now() - 2 * SLOW_AFTER;
    }
}

/// Whoever waits for its name does nothing else.
fn connecting(given: std::sync::mpsc::Receiver<Vec<Placed>>) -> Ended {
    assert!(given.recv().is_err());
    Ended::Closed
}

#[test]
fn another_lane_is_opened_when_the_first_never_gets_its_name() {
    let mut writer = writer(None, |options| options.transaction_timeout_ms = 3_600_000);
    writer.put(0, connecting);
    writer.slow_down(0);
    let waiting = writer.given();
    // What an earlier process left may still end well.
    assert_eq!(writer.lanes.numbers(), [0]);
    writer.options = Arc::new(KafkaOptions { transaction_timeout_ms: 0, ..KafkaOptions::clone(&writer.options) });
    writer.look();
    assert_eq!(writer.lanes.numbers(), [0, 1]);
    drop(waiting);
}

#[test]
fn a_lane_that_cannot_connect_answers_no_call_while_another_one_writes() {
    let mut writer = writer(None, |_| {});
    let (go, gone) = channel::<()>();
    let calls = writer.calls.clone();
    writer.put(0, move |given| {
        for group in given {
            gone.recv().unwrap();
            group.into_iter().for_each(|placed| placed.call.answer(Ok(Vec::new())));
            calls.report(Report { lane: 0, told: Told::Done(Vec::new()) });
            calls.report(Report { lane: 0, told: Told::Ready });
        }
        Ended::Closed
    });
    writer.put(1, connecting);
    writer.lanes.at(0).is_ready = true;
    writer.tell(1, Told::NotConnected("denied".into()));
    let written = writer.given();
    assert!(writer.lanes.is_writing());
    let behind = writer.given();
    writer.calls.close();
    writer.look();
    assert!(!writer.turns.is_empty(), "what waits is answered, though the first lane writes");
    (0..2).for_each(|_| go.send(()).unwrap());
    writer.look_until(|writer| writer.turns.is_empty() && !writer.lanes.is_writing());
    assert_eq!((written.wait(), behind.wait()), (Ok(Vec::new()), Ok(Vec::new())));
}

#[test]
fn nobody_who_closes_it_waits_when_no_lane_can_connect() {
    let mut writer = writer(None, |_| {});
    writer.put(0, connecting);
    writer.tell(0, Told::NotConnected("nobody is there".into()));
    let waiting = writer.given();
    assert!(!writer.turns.is_empty());
    writer.calls.close();
    writer.look();
    assert_eq!(waiting.wait(), Err(PublishError::Unavailable("nobody is there".into())));
}

#[test]
fn no_lane_follows_for_a_while_one_that_was_refused() {
    let mut writer = writer(None, |options| options.transaction_timeout_ms = 0);
    writer.put(0, connecting);
    writer.slow_down(0);
    writer.put(1, |_| Ended::Refused);
    let waiting = writer.given();
    writer.look_until(|writer| writer.lanes.numbers() == [0]);
    writer.look();
    assert_eq!(writer.lanes.numbers(), [0]);
    assert!(!writer.lanes.may_open_more());
    drop(waiting);
}

#[test]
fn a_lane_that_panics_leaves_no_call_without_an_answer_and_is_followed_by_another() {
    let mut writer = writer(None, |_| {});
    writer.put(0, |given| {
        let _given = given.recv();
        panic!("as a test wants it");
    });
    writer.lanes.at(0).is_ready = true;
    let lost = writer.given();
    assert!(writer.lanes.is_writing());
    assert!(matches!(lost.wait(), Err(PublishError::OutcomeUnknown(_))));
    writer.look_until(|writer| writer.lanes.numbers().is_empty());
    assert!(!writer.lanes.is_writing());
    let waiting = writer.given();
    writer.look_until(|writer| writer.lanes.numbers() == [0]);
    // It ends, and with it the test.
    writer.calls.close();
    writer.run();
    assert!(matches!(waiting.wait(), Err(PublishError::Unavailable(_))));
}

#[test]
fn ids_that_an_earlier_process_may_have_left_are_taken_once_and_given_up() {
    let cluster = MockCluster::new(1).unwrap();
    let mut writer = writer(Some(cluster.bootstrap_servers()), |options| options.init_timeout_ms = 15_000);
    writer.lanes.open_first();
    writer.look_until(|writer| writer.lanes.has_name());
    assert_eq!(writer.lanes.numbers(), [0, 1, 2, 3]);
    assert_eq!(writer.lanes.free(), Some(0));
    writer.look_until(|writer| writer.lanes.numbers() == [0]);
    assert!(writer.lanes.may_open_more());
    // The first is given up and takes its name again.
    writer.tell(0, Told::Ready);
    assert_eq!(writer.lanes.numbers(), [0]);
}

#[test]
fn a_lane_that_only_takes_its_id_stays_if_it_is_wanted() {
    let mut writer = writer(None, |_| {});
    writer.put(0, connecting);
    writer.tell(0, Told::Ready);
    writer.lanes.at(0).is_ready = false;
    writer.slow_down(0);
    let waiting = writer.given();
    assert_eq!(writer.lanes.numbers(), [0, 1, 2, 3]);
    writer.tell(3, Told::Ready);
    assert_eq!(writer.lanes.free(), Some(3));
    drop(waiting);
}

#[test]
fn an_error_about_a_topic_is_not_asked_for_again_at_once_and_late_calls_are_not_placed() {
    let mut writer = writer(None, |options| options.request_timeout_ms = 900);
    let (first, answer) = call("elsewhere");
    writer.take(first);
    let error = answer.wait().unwrap_err();
    assert!(matches!(error, PublishError::Unavailable(_)), "{error}");
    // The question that is asked once more takes all its time.
    let began = Instant::now();
    let (second, answer) = call("elsewhere");
    writer.take(second);
    assert_eq!(answer.wait(), Err(error));
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    writer.limits.timeout = Duration::ZERO;
    let (late, answer) = call("nowhere");
    writer.take(late);
    let error = answer.wait().unwrap_err().to_string();
    assert!(error.contains("not written within 0 ms"), "{error}");
}

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use petrel_bus::{Receipt, receipt};
use petrel_execution::worker::{Remembered, Verdict};
use petrel_execution::{Outcome, Stream};
use petrel_schemas::{Heartbeat, TaskResult, decode};
use serde_json::json;

use super::super::told::{Letter, Told};
use super::*;

struct NoTime;

impl Clock for NoTime {
    fn now_ms(&self) -> i64 {
        7
    }

    fn sleep(&self, _: Duration) {}
}

type Answers = Vec<Result<(), PublishError>>;

/// Answers each call with the next of its answers, the last one for ever, and keeps what it was given.
struct Scripted {
    answers: Mutex<Answers>,
    calls: Mutex<Vec<(Vec<u8>, u64)>>,
    delay: Duration,
}

impl Publisher for Scripted {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        let value = outputs.into_iter().next().and_then(|o| o.value).unwrap();
        self.calls.lock().unwrap().push((value, boot_ms()));
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        let (acknowledge, receipt) = receipt();
        let delay = self.delay;
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // The caller may have given up.
            let _ = acknowledge.send(answer.map(|()| Vec::new()));
        });
        receipt
    }
}

fn reporter(answers: Answers, delay_ms: u64) -> (Reporter, Arc<Scripted>) {
    let delay = Duration::from_millis(delay_ms);
    let publisher = Arc::new(Scripted { answers: Mutex::new(answers), calls: Mutex::default(), delay });
    let reporter = Reporter {
        publisher: publisher.clone(),
        clock: Arc::new(NoTime),
        results: "petrel.results".into(),
        reports: Reports { worker: "w1".into(), pool: "default".into() },
    };
    (reporter, publisher)
}

fn task(lease_ms: i64) -> Task {
    Task {
        execution_id: "e".to_owned(),
        root_execution_id: "r".to_owned(),
        event_id: None,
        event_at_ms: None,
        rule: None,
        action: "demo.x".to_owned(),
        revision: "v".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 1,
        delivery: "at_most_once".to_owned(),
        timeout_ms: 1,
        lease_ms,
        dispatched_at_ms: 0,
        start_by_ms: 1,
        declines: 0,
    }
}

fn held(task: &Task) -> watch::Sender<Holding> {
    watch::Sender::new(Holding::new(task, 0, Remembered::default()))
}

fn ended(reporter: &Reporter, stdout: Vec<u8>) -> Final {
    let stdout = Stream::whole(stdout);
    let outcome = Outcome { stdout, ..Outcome::succeeded(json!(null)) };
    reporter.reports.end(&task(1), Verdict::Ended(outcome), Some(1), 7)
}

fn results(publisher: &Scripted) -> Vec<TaskResult> {
    publisher.calls.lock().unwrap().iter().map(|(value, _)| decode(value).unwrap()).collect()
}

#[tokio::test]
async fn a_lease_is_extended_from_the_sending_of_what_was_acknowledged() {
    let (reporter, publisher) = reporter(vec![Ok(())], 200);
    let task = task(300);
    let held = held(&task);
    let mut changes = held.subscribe();
    tokio::select! {
        never = reporter.heartbeats(&task, &held) => match never {},
        changed = changes.changed() => changed.unwrap(),
    }
    let (value, sent_ms) = publisher.calls.lock().unwrap()[0].clone();
    // Acknowledged 200 ms later, and yet: a tenth less than the lease, from the sending at the latest.
    let deadline_ms = held.borrow().lease_deadline_ms();
    assert!(deadline_ms <= sent_ms + 270 && deadline_ms > 270, "{deadline_ms} for {sent_ms}");
    let heartbeat: Heartbeat = decode(&value).unwrap();
    assert!(heartbeat.awaits_grant && heartbeat.pool == "default", "{heartbeat:?}");
}

#[tokio::test]
async fn nothing_is_extended_by_what_was_not_acknowledged() {
    let (reporter, publisher) = reporter(vec![Err(PublishError::OutcomeUnknown("cut".to_owned()))], 0);
    let task = task(30);
    let held = held(&task);
    let three = async {
        while publisher.calls.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        never = reporter.heartbeats(&task, &held) => match never {},
        () = three => {}
    }
    assert_eq!(held.borrow().lease_deadline_ms(), 27);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_was_not_acknowledged_is_soon_sent_again() {
    let away = || Err(PublishError::Unavailable("away".to_owned()));
    let (reporter, publisher) = reporter(vec![away(), away(), Ok(())], 0);
    let task = task(30_000);
    let (held, began) = (held(&task), tokio::time::Instant::now());
    let mut changes = held.subscribe();
    tokio::select! {
        never = reporter.heartbeats(&task, &held) => match never {},
        changed = changes.changed() => changed.unwrap(),
    }
    assert_eq!(publisher.calls.lock().unwrap().len(), 3);
    // The first after 4.5 s, as ever, and two more half a second apart.
    assert!((5_500..5_600).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_end_is_sent_until_it_is_acknowledged() {
    let away = || Err(PublishError::Unavailable("away".to_owned()));
    let unknown = Err(PublishError::OutcomeUnknown("cut".to_owned()));
    let (reporter, publisher) = reporter(vec![away(), unknown, away(), Ok(())], 0);
    reporter.end(&task(1), ended(&reporter, b"out".to_vec()), None).await;
    let sent = results(&publisher);
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|r| *r == sent[0]));
    assert_eq!((&*sent[0].status, &*sent[0].stdout, sent[0].ended_at_ms), ("succeeded", "out", 7));
}

/// Tells an end to the owner of partition 3, who does this about the letter; what was published.
async fn told(bytes_max: usize, stdout: &[u8], answer: fn(&Letter)) -> (usize, Vec<TaskResult>) {
    let (reporter, publisher) = reporter(vec![Ok(())], 0);
    let (told, seen) = (Told::new(bytes_max), Arc::new(AtomicUsize::new(0)));
    let (sees, woken) = (seen.clone(), told.clone());
    told.wake_with(Arc::new(move || {
        for letter in woken.waiting() {
            assert_eq!(letter.partition, 3);
            sees.fetch_add(1, Ordering::SeqCst);
            answer(&letter);
        }
    }));
    reporter.end(&task(1), ended(&reporter, stdout.to_vec()), Some(told.owner(3))).await;
    assert!(told.waiting().is_empty(), "nobody waits any more");
    (seen.load(Ordering::SeqCst), results(&publisher))
}

#[tokio::test(start_paused = true)]
async fn an_owner_beside_is_told_first_and_the_log_what_it_does_not_take() {
    let (seen, published) = told(1_000_000, b"out", Letter::committed).await;
    assert_eq!((seen, published.len()), (1, 0));
    let (seen, published) = told(1_000_000, b"out", Letter::refuse).await;
    assert_eq!((seen, published.len()), (1, 1));
    // It is not answered in time.
    let (seen, published) = told(1_000_000, b"out", |_| {}).await;
    assert_eq!((seen, published.len()), (1, 1));
    let (seen, published) = told(1_000_000, &[b'x'; 65 << 10], Letter::committed).await;
    assert_eq!((seen, published[0].stdout.len()), (0, 65 << 10));
    // What a small log would not take of the owner, it refuses of the worker, which shortens it.
    let (seen, published) = told(100, &[b'x'; 60], Letter::committed).await;
    assert_eq!((seen, published.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_owner_is_woken_where_somebody_waits_for_the_end() {
    let (told, woken) = (Told::new(1_000_000), Arc::new(AtomicUsize::new(0)));
    let wakes = woken.clone();
    told.wake_with(Arc::new(move || {
        wakes.fetch_add(1, Ordering::SeqCst);
    }));
    let by_hand = Task { root_execution_id: "e".to_owned(), ..task(1) };
    let by_a_rule = Task { event_id: Some("event".to_owned()), ..by_hand.clone() };
    let child = Task { root_execution_id: "r".to_owned(), ..by_a_rule.clone() };
    for (task, wakes) in [(by_hand, 1), (by_a_rule, 1), (child, 2)] {
        // Nobody answers: it is told, and then published.
        let (reporter, publisher) = reporter(vec![Ok(())], 0);
        reporter.end(&task, ended(&reporter, b"out".to_vec()), Some(told.owner(3))).await;
        assert_eq!((woken.load(Ordering::SeqCst), results(&publisher).len()), (wakes, 1), "{task:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_too_large_loses_output_and_not_its_status() {
    let too_large = || Err(PublishError::TooLarge { bytes: 9, limit_bytes: 3 });
    let (reporter, publisher) = reporter(vec![too_large(), too_large(), Ok(())], 0);
    reporter.end(&task(1), ended(&reporter, vec![b'x'; 64]), None).await;
    let kept: Vec<(usize, bool)> = results(&publisher).iter().map(|r| (r.stdout.len(), r.stdout_truncated)).collect();
    assert_eq!(kept, [(64, false), (16, true), (8, true)]);
    let ends: Vec<(usize, i64)> =
        results(&publisher).iter().map(|r| (r.stdout_tail.len(), r.stdout_omitted_bytes)).collect();
    assert_eq!(ends, [(0, 0), (16, 32), (8, 48)]);
}

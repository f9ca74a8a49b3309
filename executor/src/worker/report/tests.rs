use std::sync::Mutex;

use petrel_bus::{Receipt, receipt};
use petrel_schemas::decode;

use super::*;
use crate::supervise::Why;

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
        worker: "w1".into(),
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
        delivery: "at_least_once".to_owned(),
        timeout_ms: 1,
        lease_ms,
        dispatched_at_ms: 0,
    }
}

fn ended(stdout: Vec<u8>) -> Ended {
    let outcome = Outcome { stdout, ..Outcome::without_report(Some(Why::Exited), String::new()) };
    Ended { status: Status::Succeeded, started_at_ms: Some(1), outcome }
}

fn results(publisher: &Scripted) -> Vec<TaskResult> {
    publisher.calls.lock().unwrap().iter().map(|(value, _)| decode(value).unwrap()).collect()
}

#[tokio::test]
async fn a_lease_is_extended_from_the_sending_of_what_was_acknowledged() {
    let (reporter, publisher) = reporter(vec![Ok(())], 200);
    let (director, mut directives) = watch::channel(Directive { lease_deadline_ms: 0, cancel: false });
    let task = task(300);
    tokio::select! {
        never = reporter.heartbeats(&task, &director) => match never {},
        changed = directives.changed() => changed.unwrap(),
    }
    let sent_ms = publisher.calls.lock().unwrap()[0].1;
    // Acknowledged 200 ms later, and yet: a tenth less than the lease, from the sending at the latest.
    let deadline_ms = directives.borrow().lease_deadline_ms;
    assert!(deadline_ms <= sent_ms + 270, "{deadline_ms} for {sent_ms}");
}

#[tokio::test]
async fn nothing_is_extended_by_what_was_not_acknowledged() {
    let (reporter, publisher) = reporter(vec![Err(PublishError::OutcomeUnknown("cut".to_owned()))], 0);
    let (director, directives) = watch::channel(Directive { lease_deadline_ms: 5, cancel: false });
    let task = task(30);
    let three = async {
        while publisher.calls.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        never = reporter.heartbeats(&task, &director) => match never {},
        () = three => {}
    }
    assert_eq!(directives.borrow().lease_deadline_ms, 5);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_sent_until_it_is_acknowledged() {
    let away = || Err(PublishError::Unavailable("away".to_owned()));
    let unknown = Err(PublishError::OutcomeUnknown("cut".to_owned()));
    let (reporter, publisher) = reporter(vec![away(), unknown, away(), Ok(())], 0);
    reporter.result(&task(1), ended(b"out".to_vec())).await;
    let sent = results(&publisher);
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|r| *r == sent[0]));
    assert_eq!((&*sent[0].status, &*sent[0].stdout, sent[0].ended_at_ms), ("succeeded", "out", 7));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_too_large_loses_output_and_not_its_status() {
    let too_large = || Err(PublishError::TooLarge { bytes: 9, limit_bytes: 3 });
    let (reporter, publisher) = reporter(vec![too_large(), too_large(), Ok(())], 0);
    reporter.result(&task(1), ended(vec![b'x'; 64])).await;
    let kept: Vec<(usize, bool)> = results(&publisher).iter().map(|r| (r.stdout.len(), r.stdout_truncated)).collect();
    assert_eq!(kept, [(64, false), (32, true), (16, true)]);
}

#[test]
fn bytes_that_are_no_text_stay_within_the_limit() {
    let (text, cut) = text(&vec![0xFF; STREAM_BYTES_MAX]);
    assert!(cut && text.len() <= STREAM_BYTES_MAX && text.chars().all(|c| c == '\u{FFFD}'));
}

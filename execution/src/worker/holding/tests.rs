use super::*;

fn holding(delivery: &str, said: Remembered) -> Holding {
    let task = Task {
        execution_id: "e".to_owned(),
        root_execution_id: "e".to_owned(),
        action: "demo.x".to_owned(),
        revision: "r".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 1,
        token: 1,
        delivery: delivery.to_owned(),
        timeout_ms: 500,
        lease_ms: 1_000,
        start_by_ms: 10,
        ..Task::default()
    };
    Holding::new(&task, 100, said)
}

const NOTHING: Remembered = Remembered { cancel: false, grant: false };
const CANCEL: Remembered = Remembered { cancel: true, grant: false };
const GRANT: Remembered = Remembered { cancel: false, grant: true };

/// `succeeded`, or `handed over, begun`.
fn told(verdict: Verdict) -> String {
    match verdict {
        Verdict::Ended(outcome) => match outcome.note.code {
            Some(code) => format!("{} {code}", outcome.status.as_str()),
            None => outcome.status.as_str().to_owned(),
        },
        Verdict::HandedOver { begun, lacks, .. } => {
            let lacks = if lacks { ", for want" } else { "" };
            format!("handed over, {}{lacks}", if begun { "begun" } else { "not begun" })
        }
    }
}

/// What may have run is worth another try only where it may run again.
#[test]
fn nothing_of_what_runs_at_most_once_is_to_be_tried_again_by_itself() {
    for (delivery, expected) in [("at_least_once", true), ("at_most_once", false)] {
        for why in [Why::Timeout, Why::LeaseLost, Why::Unknown] {
            let Verdict::Ended(outcome) = holding(delivery, GRANT).ended(Exit::bare(why, None)) else {
                panic!("{why:?} is no end")
            };
            assert_eq!(outcome.retriable, expected, "{delivery}: {why:?}");
        }
    }
}

#[test]
fn how_long_a_server_wants_to_be_left_alone_is_told() {
    let why = Why::Failed { code: "http_status", retriable: true };
    let exit = Exit { retry_after_ms: Some(7), ..Exit::bare(why, None) };
    let Verdict::Ended(outcome) = holding("at_least_once", NOTHING).ended(exit) else { panic!() };
    assert_eq!(outcome.retry_after_ms, Some(7));
}

#[test]
fn at_least_once_begins_with_its_claim_and_at_most_once_with_its_grant() {
    assert_eq!(holding("at_least_once", NOTHING).begin(100), Begin::Now);
    assert_eq!(holding("at_most_once", GRANT).begin(100), Begin::Now);
    for strict in ["at_most_once", "of a newer release"] {
        let mut once = holding(strict, NOTHING);
        assert!(once.awaits_grant());
        assert_eq!(once.begin(100), Begin::AwaitGrant);
        once.order(GRANT);
        assert_eq!((once.awaits_grant(), once.begin(100)), (false, Begin::Now));
    }
}

#[test]
fn what_is_canceled_before_its_begin_is_not_started() {
    for delivery in ["at_least_once", "at_most_once"] {
        let mut early = holding(delivery, CANCEL);
        assert_eq!(early.begin(100), Begin::Never);
        assert_eq!(told(early.not_begun()), "canceled canceled");
        let mut both = holding(delivery, GRANT);
        both.order(CANCEL);
        assert_eq!(both.begin(100), Begin::Never);
    }
}

#[test]
fn a_lease_counts_from_before_the_claim_and_from_the_sending_of_what_was_acknowledged() {
    let mut silent = holding("at_least_once", NOTHING);
    assert_eq!(silent.lease_deadline_ms(), 1_000);
    assert_eq!(silent.begin(1_000), Begin::Never);
    // At most once or not: what never began is as good as new.
    assert_eq!(told(silent.not_begun()), "handed over, not begun");
    let mut heard = holding("at_least_once", NOTHING);
    heard.acknowledged(400);
    heard.acknowledged(300);
    assert_eq!(heard.lease_deadline_ms(), 1_300);
    assert_eq!(heard.begin(1_299), Begin::Now);
}

#[test]
fn a_grant_that_does_not_come_is_not_waited_for_for_ever() {
    let mut once = holding("at_most_once", NOTHING);
    // Four leases of 900 ms, from the claim on.
    let until_ms = 100 + 4 * 900;
    for sent_ms in (400..until_ms).step_by(300) {
        assert_eq!(once.begin(sent_ms), Begin::AwaitGrant, "at {sent_ms}");
        once.acknowledged(sent_ms);
    }
    assert_eq!((once.begin_by_ms(), once.begin(until_ms)), (until_ms, Begin::Never));
    assert_eq!(told(once.not_begun()), "handed over, not begun");
    // Granted in time it has no such limit any more.
    let mut granted = holding("at_most_once", GRANT);
    granted.acknowledged(until_ms);
    assert_eq!(granted.begin(until_ms), Begin::Now);
}

#[test]
fn a_shutdown_gives_back_what_has_not_begun_and_lets_the_rest_end_until_it_waits_no_longer() {
    let mut waiting = holding("at_most_once", NOTHING);
    waiting.drain();
    waiting.order(GRANT);
    assert_eq!(waiting.begin(100), Begin::Never);
    assert_eq!(told(waiting.not_begun()), "handed over, not begun");

    let mut running = holding("at_least_once", NOTHING);
    assert_eq!(running.begin(100), Begin::Now);
    running.drain();
    assert_eq!(running.stop(), None);
    running.end();
    assert_eq!(running.stop(), Some(Stop::ShuttingDown));
    assert_eq!(told(running.ended(Exit::bare(Why::Stopped, None))), "handed over, begun");
    // It was faster.
    let exited = Exit { return_code: Some(0), ..Exit::bare(Why::Exited, None) };
    assert_eq!(told(running.ended(exited)), "succeeded");

    let mut canceled = holding("at_least_once", NOTHING);
    canceled.begin(100);
    canceled.order(CANCEL);
    canceled.end();
    for why in [Why::Stopped, Why::GivenBack { begun: false }] {
        assert_eq!(told(canceled.ended(Exit::bare(why, None))), "canceled canceled");
    }
}

#[test]
fn what_a_worker_lacks_is_no_end() {
    let mut held = holding("at_most_once", GRANT);
    assert_eq!(held.begin(100), Begin::Now);
    let exit = |begun| Exit::bare(Why::GivenBack { begun }, Some("no descriptors".to_owned()));
    assert_eq!(told(held.ended(exit(false))), "handed over, not begun, for want");
    assert_eq!(told(held.ended(exit(true))), "handed over, begun, for want");
    held.order(CANCEL);
    assert_eq!(told(held.ended(exit(false))), "canceled canceled");
}

#[test]
fn every_end_has_its_status_and_its_code() {
    let mut holding = holding("at_least_once", NOTHING);
    holding.begin(100);
    let exit = |why, return_code| Exit { return_code, ..Exit::bare(why, Some("why".to_owned())) };
    let cases = [
        (exit(Why::Exited, Some(0)), "succeeded", false),
        (exit(Why::Exited, Some(3)), "failed exit_code", true),
        (exit(Why::Exited, None), "failed signal", true),
        (exit(Why::NotStarted(code::NOT_STARTED), None), "failed not_started", false),
        (exit(Why::Timeout, None), "timeout run_timeout", true),
        (exit(Why::LeaseLost, None), "abandoned lease_lost", true),
        (exit(Why::Unknown, None), "abandoned supervisor_lost", true),
    ];
    for (exit, expected, retriable) in cases {
        let verdict = holding.ended(exit.clone());
        let Verdict::Ended(outcome) = &verdict else { panic!("{verdict:?}") };
        assert_eq!(outcome.retriable, retriable, "{exit:?}");
        assert_eq!(told(verdict), expected);
    }
}

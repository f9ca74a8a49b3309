use super::*;
use crate::outcome::Stream;
use crate::status::Status;
use crate::subject::Note;
use petrel_schemas::ObjectRef;
use serde_json::json;

fn task() -> Task {
    Task {
        execution_id: "e.1".to_owned(),
        root_execution_id: "e".to_owned(),
        event_id: None,
        event_at_ms: None,
        rule: None,
        action: "demo.x".to_owned(),
        revision: "r".to_owned(),
        parameters: "{}".to_owned(),
        attempt: 2,
        token: 5,
        delivery: "at_least_once".to_owned(),
        timeout_ms: 500,
        lease_ms: 1_000,
        dispatched_at_ms: 0,
        start_by_ms: 10,
        declines: 0,
    }
}

fn reports() -> Reports {
    Reports { worker: "w".into(), pool: "gpu".into() }
}

fn stream(bytes: &[u8]) -> Stream {
    Stream::whole(bytes.to_vec())
}

#[test]
fn an_outcome_becomes_a_result() {
    let outcome = Outcome {
        return_code: Some(3),
        result: Some(json!({"a": [1]})),
        stdout: stream(b"out"),
        retry_after_ms: Some(u64::MAX),
        ..Outcome::bare(Status::Failed, Note::new("exit_code", "bad"), true)
    };
    let Final::Result(result) = reports().end(&task(), Verdict::Ended(outcome), Some(7), 9) else { panic!() };
    assert_eq!((&*result.execution_id, &*result.root_execution_id, result.attempt, result.token), ("e.1", "e", 2, 5));
    assert_eq!((&*result.status, result.code.as_deref(), result.return_code), ("failed", Some("exit_code"), Some(3)));
    assert_eq!((result.result.as_deref(), &*result.stdout, result.retriable), (Some("{\"a\":[1]}"), "out", true));
    assert_eq!((result.started_at_ms, result.ended_at_ms, &*result.worker), (Some(7), 9, "w"));
    assert_eq!(result.retry_after_ms, Some(i64::MAX));
    assert_eq!(petrel_schemas::decode::<TaskResult>(&Final::Result(result.clone()).encode()), Ok(result));
}

#[test]
fn what_is_too_long_is_cut_or_left_out() {
    let outcome = Outcome {
        stdout: stream(&vec![0xFF; STREAM_BYTES_MAX]),
        stderr: stream(b"err"),
        ..Outcome::succeeded(json!("x".repeat(RESULT_BYTES_MAX)))
    };
    let mut end = reports().end(&task(), Verdict::Ended(outcome), None, 9);
    {
        let Final::Result(result) = &end else { panic!() };
        assert!(
            result.stdout.len() + result.stdout_tail.len() <= STREAM_BYTES_MAX
                && result.stdout.chars().all(|c| c == '\u{FFFD}')
        );
        assert!(result.stdout_truncated && !result.stderr_truncated && result.result.is_none());
        assert_eq!((result.code.as_deref(), &*result.status), (Some("result_too_large"), "succeeded"));
    }
    let before = end.encode().len();
    assert!(end.shorten() && end.encode().len() < before * 2 / 3);
    let mut times = 0;
    while end.shorten() {
        times += 1;
    }
    let Final::Result(result) = &end else { panic!() };
    assert!(times < 32 && result.stdout.is_empty() && result.stderr_truncated && result.status == "succeeded");
}

#[test]
fn a_result_that_the_log_does_not_take_is_left_out_and_that_is_said() {
    let outcome = Outcome::succeeded(json!({"n": 1}));
    let mut end = reports().end(&task(), Verdict::Ended(outcome), None, 9);
    assert!(end.shorten());
    let Final::Result(result) = &end else { panic!() };
    assert_eq!((result.code.as_deref(), result.result.as_deref()), (Some("result_too_large"), None));
    assert!(result.error.as_deref().is_some_and(|why| why.contains("7 bytes")));
}

#[test]
fn a_result_that_is_elsewhere_is_told_with_what_was_taken_of_it() {
    let object = ObjectRef {
        store: "files".to_owned(),
        sha256: "0".repeat(64),
        bytes: 100_000,
        media_type: "application/json".to_owned(),
    };
    let extracted = json!({"id": 7}).as_object().cloned();
    let outcome = Outcome {
        extracted,
        result_object: Some(object.clone()),
        ..Outcome::bare(Status::Succeeded, Note::NONE, false)
    };
    let mut end = reports().end(&task(), Verdict::Ended(outcome), None, 9);
    let Final::Result(told) = &end else { panic!() };
    assert_eq!((told.extracted.as_deref(), told.result.as_deref()), (Some("{\"id\":7}"), None));
    assert_eq!(told.result_object.as_deref().and_then(ObjectRef::parse), Some(object.clone()));
    // Where the log does not take it, it has failed: others count on what was taken. The reference stays.
    assert!(end.shorten());
    let Final::Result(told) = &end else { panic!() };
    assert_eq!((told.extracted.as_deref(), told.code.as_deref()), (None, Some("result_too_large")));
    assert_eq!((&*told.status, told.retriable), ("failed", false));
    assert_eq!(told.result_object.as_deref().and_then(ObjectRef::parse), Some(object));
}

#[test]
fn what_is_given_back_keeps_its_output() {
    let verdict = Verdict::HandedOver { begun: true, lacks: true, stdout: stream(b"part"), stderr: Stream::default() };
    let Final::HandedOver(gave) = reports().end(&task(), verdict, None, 9) else { panic!() };
    assert!(gave.lacks);
    assert_eq!((gave.begun, &*gave.stdout, gave.token, gave.handed_over_at_ms), (true, "part", 5, 9));
    let heartbeat = reports().heartbeat(&task(), true, 4);
    assert_eq!((heartbeat.awaits_grant, &*heartbeat.pool, heartbeat.token), (true, "gpu", 5));
    let declined = reports().declined(&task(), DeclineReason::Late, 4);
    assert_eq!((&*declined.reason, declined.attempt), ("late", 2));
    let claim = reports().claim(&task(), 4);
    assert_eq!((&*claim.pool, &*claim.worker, claim.token), ("gpu", "w", 5));
}

use petrel_execution::worker::Verdict;
use petrel_secrets::SecretValue;
use serde_json::json;

use super::super::limited::tests::holding;
use super::*;

const TOKEN: &str = "Zq7kV-9xR2mBwT";

fn mask() -> Mask {
    Mask::new([&SecretValue::new(TOKEN.to_owned()).unwrap()])
}

#[test]
fn an_error_is_masked_before_it_is_cut() {
    let holding = holding(60_000);
    for before in 4_080..4_100 {
        let error = format!("{}{TOKEN}", "x".repeat(before));
        let exit = Exit::bare(Why::NotStarted(code::NOT_STARTED), Some(error));
        let Verdict::Ended(outcome) = holding.ended(mask_all(exit, &mask())) else { panic!("it is given back") };
        let error = outcome.note.error.unwrap();
        assert!(!error.contains('Z') && error.trim_start_matches('x').chars().all(|c| c == '*'), "{error}");
    }
}

#[test]
fn whatever_is_stopped_may_have_been_in_the_middle_of_a_secret() {
    let ends = [
        (Why::Exited, Some(0), false),
        (Why::Exited, Some(7), false),
        (Why::Exited, None, true),
        (Why::Succeeded, None, false),
        (Why::Failed { code: "", retriable: true }, None, false),
        (Why::GivenBack { begun: true }, None, true),
        (Why::Timeout, None, true),
        (Why::Stopped, None, true),
        (Why::LeaseLost, None, true),
        (Why::Unknown, None, true),
    ];
    // What it left behind was ended in the middle of whatever that wrote.
    let failed = Why::Failed { code: "", retriable: false };
    let left_behind = [Why::Exited, Why::Succeeded, failed].map(|why| (why, Some(0), true, true));
    let ends = ends.map(|(why, return_code, is_cut)| (why, return_code, false, is_cut));
    for (why, return_code, left_others, is_cut) in ends.into_iter().chain(left_behind) {
        let stream = Stream::whole(b"it is Zq7kV-9".to_vec());
        let exit =
            Exit { return_code, is_cut: left_others, stdout: stream.clone(), stderr: stream, ..Exit::bare(why, None) };
        let exit = Exit { result: Some(json!(["it is Zq7kV-9"])), ..exit };
        let Exit { stdout, stderr, result, .. } = mask_all(exit, &mask());
        let wanted = if is_cut { "it is ********" } else { "it is Zq7kV-9" };
        if left_others {
            assert_eq!(result, Some(json!([wanted])), "{why:?}");
        }
        for stream in [stdout, stderr] {
            assert_eq!((&*String::from_utf8_lossy(&stream.bytes), stream.truncated), (wanted, false), "{why:?}");
        }
    }
}

/// The runner `fail` cuts its own text, before anybody can mask it.
#[tokio::test]
async fn of_what_ends_at_once_both_the_text_and_the_result_are_masked() {
    let mask = Arc::new(mask());
    for before in 4_070..4_100 {
        let note = Note::new(code::TOLD_TO_FAIL, format!("{}{TOKEN}", "x".repeat(before)));
        let outcome = masked_outcome(Outcome::bare(Status::Failed, note, false), &mask).await;
        let error = outcome.note.error.unwrap();
        assert!(!error.contains('Z') && error.trim_start_matches('x').chars().all(|c| c == '*'), "{error}");
        assert!(error.len() <= ERROR_BYTES_MAX);
    }
    let said = Outcome::succeeded(json!({ "message": format!("it is {TOKEN}") }));
    let said = masked_outcome(said, &mask).await;
    assert_eq!((said.status, said.result), (Status::Succeeded, Some(json!({ "message": "it is ********" }))));
    let short = Outcome::bare(Status::Failed, Note::new(code::TOLD_TO_FAIL, "it is Zq7kV"), false);
    assert_eq!(masked_outcome(short, &mask).await.note.error.as_deref(), Some("it is Zq7kV"), "nothing was cut");
}

/// What an expression says of itself is cut before anybody can mask it.
#[tokio::test]
async fn of_what_cannot_be_rendered_no_beginning_of_a_secret_is_told() {
    let mask = Arc::new(mask());
    let told = masked_text(format!("demo.x: it is {TOKEN}, and {}", &TOKEN[..6]), &mask).await;
    assert_eq!(told, "demo.x: it is ********, and ********");
    assert_eq!(masked_text("plain".to_owned(), &Arc::new(Mask::NOTHING)).await, "plain");
}

#[tokio::test]
async fn an_injected_event_holds_no_secret() {
    let mask = Arc::new(mask());
    let payload = json!({ "note": format!("it is {TOKEN}"), "n": 1 }).to_string();
    let event = Injected { trigger: "disk.alert".to_owned(), payload };
    let outcome = Outcome { events: vec![event], ..Outcome::succeeded(json!(null)) };
    let masked = masked_outcome(outcome, &mask).await;
    assert_eq!(masked.events[0].payload, "{\"note\":\"it is ********\",\"n\":1}");
    assert_eq!(masked.events[0].trigger, "disk.alert");
}

//! Workflows that have gathered much.

use petrel_execution::Status;
use petrel_execution::workflow::Standing;
use serde_json::json;

use super::host::{Host, begin, begin_native, workflow};
use crate::limits::{Limits, PUBLISHED_BYTES_MAX};

#[test]
fn how_much_has_been_gathered_is_known_to_whoever_goes_on() {
    let mut host = begin(
        "tasks:\n  many: {with: {items: \"x in <% range(2) %>\"}, action: x, next: [{publish: [{r: <% result() %>}], do: \
         b}]}\n  b: {action: x}\n",
    );
    let text = || json!("y".repeat(10_000));
    let begun = host.conduct.gathered_bytes();
    let gathered = |host: &mut Host| {
        let bytes = host.conduct.gathered_bytes();
        host.restore();
        assert_eq!(host.conduct.gathered_bytes(), bytes);
        bytes - begun
    };
    assert!(begun > 0, "it begins with what is known of its execution");
    assert_eq!(host.labels(100).len(), 2);
    host.end(1, Status::Succeeded, text());
    assert!((10_000..10_100).contains(&gathered(&mut host)));
    host.end(2, Status::Succeeded, text());
    assert!((20_000..20_100).contains(&gathered(&mut host)), "what items resulted in is published, and nothing else");
}

#[test]
fn what_a_workflow_begins_with_is_over_the_limit_before_anything_starts() {
    let limits = Limits { published_bytes_max: 2_000, ..Limits::default() };
    let text = "input: [v]\ntasks:\n  a: {action: x}\n";
    let mut host = Host::begin(workflow(text).with_limits(limits), &json!({"v": "y".repeat(2_000)}));
    assert!(host.labels(100).is_empty());
    let Standing::Over { status, note, .. } = host.standing() else { panic!("not over") };
    let why = note.error.unwrap_or_default();
    assert!(status == Status::Failed && why.ends_with("the limit PUBLISHED_BYTES_MAX is 2000."), "{status:?} {why}");
}

#[test]
fn a_piece_of_megabytes_is_stored_whole_and_once() {
    let mut host = begin_native(
        "tasks:\n  a: {action: x, next: [{on: succeeded, publish: [{v: <% result() %>}], do: b}]}\n  b: {action: x, next: \
         [{do: c}]}\n  c: {action: x}\n",
    );
    host.labels(100);
    host.end(1, Status::Succeeded, json!("y".repeat(PUBLISHED_BYTES_MAX / 2)));
    let large = |host: &mut Host| -> Vec<String> {
        let changed = host.store().into_iter();
        changed.filter(|key| host.stored.get(key).is_some_and(|value| value.len() > 100_000)).collect()
    };
    assert_eq!(large(&mut host), ["context/1"]);
    host.labels(100);
    host.end(2, Status::Succeeded, json!(null));
    assert_eq!((host.labels(100).len(), large(&mut host)), (1, vec![]), "what does not change is not written again");
}

#[test]
fn what_is_far_too_much_for_an_action_fails_its_task_without_a_child() {
    let mut host = begin(
        "vars: [{t: <% 'x' * 3000000 %>}]\ntasks:\n  a: {action: x, input: {t: <% ctx(t) %>}, next: [{when: <% failed() %>, do: \
         b}]}\n  b: {action: x}\n",
    );
    assert_eq!(host.labels(100), [(1, "b".to_owned())], "the task has failed as any other");
    host.end(1, Status::Succeeded, json!(null));
    let Standing::Over { status, result, .. } = host.standing() else { panic!("not over") };
    let error = &result["errors"][0];
    assert_eq!((status, &error["task_id"]), (Status::Succeeded, &json!("a")));
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with("the limit PARAMETERS_BYTES_MAX is 262144."), "{message}");
}

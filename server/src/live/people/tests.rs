use petrel_schemas::ExecutionState;
use serde_json::json;

use super::*;
use crate::live::testkit::{child, ended, live, state};

fn question(n: u32) -> ExecutionState {
    let parameters = json!({ "question": "Evacuate vm-3?" }).to_string();
    ExecutionState { started_at_ms: Some(40), parameters, ..child(n, 1, "ask", "pending") }
}

fn since(people: &People, id: &str) -> Option<(Wanted, i64)> {
    people.get(id).map(|waiting| (waiting.wanted, waiting.since_ms))
}

#[test]
fn a_question_waits_since_it_was_asked_until_it_has_ended() {
    let mut people = People::default();
    let asked = question(1);
    let id = asked.execution_id.clone();
    people.take(&live(ExecutionState { status: "delayed".to_owned(), ..asked.clone() }), 30);
    assert_eq!(since(&people, &id), None);
    people.take(&live(asked.clone()), 50);
    // Written again, which asks nothing anew.
    people.take(&live(ExecutionState { started_at_ms: Some(70), ..asked.clone() }), 70);
    assert_eq!(since(&people, &id), Some((Wanted::Answer, 40)));
    assert!(people.bytes > BYTES_OF_ONE);
    people.take(&ended(asked, "succeeded"), 90);
    assert_eq!((since(&people, &id), people.bytes), (None, 0));
}

#[test]
fn what_waits_for_its_questions_or_was_paused_by_somebody_is_no_inquiry() {
    let mut people = People::default();
    let workflow = ExecutionState { children_open: 1, ..state(1, "pending") };
    for state in [workflow, state(2, "paused"), state(3, "running"), state(4, "pausing")] {
        assert_eq!(wanted(&state), None, "{}", state.status);
        people.take(&live(state), 50);
    }
    assert!(people.list(|_| true).is_empty());
}

#[test]
fn what_there_is_no_room_for_is_told_to_be_missing() {
    let mut people = People::default();
    for n in 0..WAITING_MAX as u32 {
        let waiting = Waiting { wanted: Wanted::Answer, since_ms: 0, state: question(0), bytes: 0 };
        people.by_id.insert(n.to_string(), waiting);
    }
    assert!(people.is_complete());
    people.take(&live(question(1)), 0);
    assert!(!people.is_complete() && people.get(&question(1).execution_id).is_none());

    let mut people = People { bytes: WAITING_BYTES_MAX - BYTES_OF_ONE, ..People::default() };
    people.take(&live(question(1)), 0);
    assert!(!people.is_complete() && people.by_id.is_empty());
}

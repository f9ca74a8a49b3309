//! Questions.

use super::rehearsal::{Rehearsal, SECOND, rehearse};
use super::*;

const QUESTION: &str = "vars: [{vm: web1}]\noutput: [{said: <% ctx().get(said) %>}]\ntasks:\n  ask:\n    approve:\n      \
                        question: Evacuate <% ctx(vm) %>?\n      schema: {type: boolean}\n      expires: 1h\n      DEFAULT\n      \
                        notify: {action: mail, input: {about: <% ctx(vm) %>}}\n      remind: {every: 20m, action: call}\n    \
                        next:\n      - on: succeeded\n        publish: [{said: <% result() %>}]\n        do: done\n      - on: \
                        timeout\n        do: late\n  other: {action: x}\n  done: {action: x}\n  late: {action: x}\n";

const MINUTE: i64 = 60 * SECOND;

fn without_default() -> String {
    QUESTION.replace("      DEFAULT\n", "")
}

fn ask(one: &mut Rehearsal) {
    one.end("ask", Status::Pending);
}

fn notices(one: &mut Rehearsal) -> Vec<String> {
    let notices = one.step(|conductor| conductor.take_notices(usize::MAX));
    notices.iter().map(|one| format!("{} {} {}", one.task, one.action.to_json(), one.input.to_json())).collect()
}

#[test]
fn a_question_waits_for_its_answer_while_other_tasks_run() {
    rehearse(&without_default(), |one| {
        let next = one.next();
        let asked = Ask {
            question: Value::text("Evacuate web1?"),
            schema: serde_json::json!({"type": "boolean"}).into(),
            expires_ms: Some(60 * MINUTE),
            default: None,
        };
        assert_eq!((&*next.id, next.actions.len(), next.ask), ("ask", 0, Some(asked)));
        ask(one);
        assert_eq!((one.status(), one.offered()), (Status::Running, vec!["other".to_owned()]));
        one.run("other", serde_json::Value::Null);
        assert_eq!((one.status(), one.task("ask")), (Status::Running, Some(Status::Pending)));
        one.tell("ask", Status::Succeeded, serde_json::json!(true));
        assert_eq!((one.offered(), one.conductor.due_ms()), (vec!["done".to_owned()], None));
        one.run("done", serde_json::Value::Null);
        assert_eq!((one.status(), one.output()), (Status::Succeeded, serde_json::json!({"said": true})));
    });
}

#[test]
fn people_are_told_once_and_reminded_until_they_answer() {
    rehearse(&without_default(), |one| {
        ask(one);
        let told = "ask \"mail\" {\"about\":\"web1\"}";
        assert_eq!((notices(one), notices(one)), (vec![told.to_owned()], vec![]));
        for turn in 1..3 {
            assert_eq!(one.conductor.due_ms(), Some(20 * turn * MINUTE));
            one.at(20 * turn * MINUTE);
            assert_eq!(notices(one), ["ask \"call\" null"]);
        }
        one.tell("ask", Status::Succeeded, serde_json::json!(false));
        one.at(59 * MINUTE);
        assert_eq!((notices(one), one.conductor.due_ms()), (vec![], None));
    });
}

#[test]
fn reminders_that_were_missed_are_not_made_up_for() {
    rehearse(&without_default().replace("expires: 1h", "expires: 9h"), |one| {
        ask(one);
        notices(one);
        one.at(119 * MINUTE);
        assert_eq!((notices(one).len(), one.conductor.due_ms()), (1, Some(139 * MINUTE)));
    });
}

#[test]
fn a_question_that_expires_times_out() {
    rehearse(&without_default(), |one| {
        ask(one);
        one.at(60 * MINUTE);
        assert_eq!((one.task("ask"), one.stops()), (Some(Status::Timeout), vec!["ask|0".to_owned()]));
        assert_eq!(one.errors(), ["TaskTimeout: Nobody has answered the question before it expired."]);
        assert_eq!(one.offered(), ["late", "other"]);
        one.tell("ask", Status::Succeeded, serde_json::json!(true));
        assert_eq!(one.task("ask"), Some(Status::Timeout));
    });
}

#[test]
fn a_question_that_expires_has_its_default_as_its_answer() {
    rehearse(&QUESTION.replace("DEFAULT", "default: {keep: <% ctx(vm) %>}"), |one| {
        ask(one);
        one.at(60 * MINUTE);
        assert_eq!((one.task("ask"), one.stops()), (Some(Status::Succeeded), vec!["ask|0".to_owned()]));
        assert_eq!((one.offered(), one.errors()), (vec!["done".to_owned(), "other".to_owned()], vec![]));
        assert_eq!(one.conductor.log().count(), 1);
        one.run("done", serde_json::Value::Null);
        one.run("other", serde_json::Value::Null);
        assert_eq!((one.status(), one.output()), (Status::Succeeded, serde_json::json!({"said": {"keep": "web1"}})));
    });
}

#[test]
fn a_pause_does_not_wait_for_an_answer_and_takes_it() {
    rehearse(&without_default(), |one| {
        ask(one);
        one.begin("other");
        one.at(10 * MINUTE);
        one.request(Status::Pausing);
        assert_eq!(one.status(), Status::Pausing);
        one.end("other", Status::Succeeded);
        assert_eq!((one.status(), one.conductor.due_ms()), (Status::Paused, None));
        one.at(300 * MINUTE);
        one.tell("ask", Status::Succeeded, serde_json::json!(true));
        assert_eq!((one.status(), one.offered()), (Status::Paused, vec![]));
        one.request(Status::Resuming);
        assert_eq!(one.offered(), ["done"]);
    });
}

#[test]
fn a_workflow_that_goes_on_still_waits_for_its_answer() {
    rehearse(&without_default(), |one| {
        ask(one);
        one.run("other", serde_json::Value::Null);
        one.at(10 * MINUTE);
        one.request(Status::Paused);
        one.at(300 * MINUTE);
        one.request(Status::Running);
        assert_eq!((one.status(), one.conductor.due_ms()), (Status::Running, Some(310 * MINUTE)));
        one.tell("ask", Status::Succeeded, serde_json::json!(true));
        assert_eq!(one.offered(), ["done"]);
    });
}

#[test]
fn a_question_is_withdrawn_when_its_workflow_is_canceled_or_fails() {
    rehearse(&without_default(), |one| {
        ask(one);
        one.begin("other");
        one.request(Status::Canceling);
        assert_eq!((one.status(), one.task("ask")), (Status::Canceling, Some(Status::Canceled)));
        assert_eq!(one.stops(), ["ask|0"]);
        one.end("other", Status::Canceled);
        assert_eq!(one.status(), Status::Canceled);
    });
    rehearse(&without_default(), |one| {
        ask(one);
        one.begin("other");
        one.end("other", Status::Failed);
        assert_eq!((one.status(), one.stops()), (Status::Failed, vec!["ask|0".to_owned()]));
        // With a rerun it is asked again.
        one.step(|conductor| conductor.rerun(&[]).unwrap());
        assert_eq!(one.offered(), ["ask", "other"]);
        ask(one);
        assert_eq!(one.task("ask"), Some(Status::Pending));
    });
}

#[test]
fn a_question_of_a_canceled_workflow_is_withdrawn_at_once() {
    rehearse(&without_default(), |one| {
        one.begin("other");
        one.offered();
        one.request(Status::Canceling);
        ask(one);
        assert_eq!((one.status(), one.task("ask"), one.stops().len()), (Status::Canceling, Some(Status::Canceled), 1));
    });
}

#[test]
fn a_freeze_leaves_questions_open() {
    rehearse(&format!("on_error: pause\n{}", without_default()), |one| {
        ask(one);
        one.begin("other");
        one.end("other", Status::Failed);
        assert_eq!((one.status(), one.conductor.frozen().unwrap().open), (Status::Paused, vec![("ask".into(), 0)]));
        one.tell("ask", Status::Failed, serde_json::Value::Null);
        assert_eq!(one.conductor.frozen().unwrap().tasks.len(), 2);
    });
}

#[test]
fn a_mistake_in_what_tells_people_is_found_before_anybody_is_asked() {
    for (good, bad, message) in [
        ("<% ctx(vm) %>}}", "<% ctx(vm) + 1 %>}}", "YaqlEvaluationException"),
        ("every: 20m", "every: <% 1 %>", "LimitExceeded: Reminders come every 1000 ms, the limit REMINDER_MS_MIN"),
        ("expires: 1h", "expires: <% ctx(vm) %>", "ValueError: The question expires: \"web1\" is no length of time"),
    ] {
        rehearse(&without_default().replace(good, bad), |one| {
            assert_eq!((one.offered(), one.status()), (vec![], Status::Failed));
            assert!(one.errors()[0].contains(message), "{:?}", one.errors());
        });
    }
}

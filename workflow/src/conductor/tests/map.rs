//! Items of which some may fail.

use super::rehearsal::{Rehearsal, SECOND, rehearse, rehearse_with};
use super::*;

/// Six items, two at a time, of which one may fail.
const SIX: &str = "output: [{all: <% ctx().get(all) %>}]\ntasks:\n  a:\n    map: {items: <% range(6) %>, as: n, concurrency: \
                   2, failures_max: 1}\n    action: x\n    input: {n: <% item(n) %>}\n    next: [{on: succeeded, publish: [{all: \
                   <% result() %>}], do: noop}]\n";

fn begin(one: &mut Rehearsal, items: std::ops::Range<usize>) {
    for item in items {
        one.item("a", item, Status::Running, serde_json::Value::Null);
    }
}

fn end(one: &mut Rehearsal, item: usize, status: Status) {
    let ends = one.conductor.ends_with("a", 0, item, status);
    let all = serde_json::json!(["r0", "r1", "r2", "r3", "r4", "r5"]);
    one.item("a", item, status, if ends { all } else { serde_json::Value::Null });
}

#[test]
fn it_succeeds_when_no_more_fail_than_may() {
    rehearse(SIX, |one| {
        for item in [0, 2, 4] {
            assert_eq!(one.offered(), [format!("a[{item},{}]", item + 1)]);
            begin(one, item..item + 2);
            end(one, item, Status::Succeeded);
            end(one, item + 1, if item == 2 { Status::Failed } else { Status::Succeeded });
        }
        assert_eq!((one.status(), one.errors()), (Status::Succeeded, vec![]));
        let results = serde_json::json!({"results": ["r0", "r1", "r2", null, "r4", "r5"], "failures": [3]});
        assert_eq!(one.output(), serde_json::json!({"all": results}));
        let warned: Vec<_> = one.conductor.log().map(|entry| (entry.level, entry.task_id.as_deref())).collect();
        assert_eq!(warned, [(Level::Warn, Some("a"))]);
    });
}

#[test]
fn the_last_item_may_be_the_one_that_fails() {
    rehearse(SIX, |one| {
        for item in [0, 2, 4] {
            one.offered();
            begin(one, item..item + 2);
            end(one, item, Status::Succeeded);
            end(one, item + 1, if item == 4 { Status::Timeout } else { Status::Succeeded });
        }
        assert_eq!((one.status(), one.task("a")), (Status::Succeeded, Some(Status::Succeeded)));
    });
}

#[test]
fn no_other_item_begins_when_more_have_failed_than_may() {
    rehearse(SIX, |one| {
        one.offered();
        begin(one, 0..2);
        end(one, 0, Status::Failed);
        assert_eq!(one.offered(), ["a[2]"]);
        begin(one, 2..3);
        end(one, 1, Status::Failed);
        assert_eq!((one.offered(), one.task("a")), (vec![], Some(Status::Running)));
        end(one, 2, Status::Succeeded);
        assert_eq!((one.task("a"), one.status(), one.errors().len()), (Some(Status::Failed), Status::Failed, 1));
        // A rerun is of those that failed, or never began.
        one.step(|conductor| conductor.rerun(&[]).unwrap());
        assert_eq!(one.offered(), ["a[0,1]"]);
        for items in [0..2, 3..5, 5..6] {
            one.offered();
            begin(one, items.clone());
            items.for_each(|item| end(one, item, Status::Succeeded));
        }
        assert_eq!((one.status(), one.output()["all"]["failures"].clone()), (Status::Succeeded, serde_json::json!([])));
    });
}

#[test]
fn items_are_rendered_and_offered_in_chunks() {
    let text = "tasks:\n  a: {map: {items: <% range(250) %>, chunk: CHUNK}, action: x, input: {n: <% item() %>}}\n";
    for (chunk, sizes) in [("100", vec![100, 100, 50]), ("<% 200 %>", vec![200, 50])] {
        rehearse(&text.replace("CHUNK", chunk), |one| {
            let mut begun = 0;
            for size in &sizes {
                let next = one.next();
                assert_eq!((next.actions.len(), next.items_count), (*size, Some(250)));
                assert_eq!(next.actions[0].input.to_json(), serde_json::json!({"n": begun}));
                begin(one, begun..begun + size);
                begun += size;
            }
            assert_eq!(one.offered(), Vec::<String>::new());
        });
    }
}

#[test]
fn failures_may_be_a_share_or_an_expression() {
    let text =
        "input: [most]\ntasks:\n  a: {map: {items: <% range(40) %>, failures_max: <% ctx(most) %>}, action: x}\n";
    for (most, may) in [(serde_json::json!("5%"), 2), (serde_json::json!(3), 3), (serde_json::json!(null), 0)] {
        rehearse_with(text, Limits::default(), serde_json::json!({"most": most}), |one| {
            one.offered();
            begin(one, 0..40);
            for item in 0..40 {
                end(one, item, if item < may { Status::Failed } else { Status::Succeeded });
            }
            assert_eq!(one.status(), Status::Succeeded, "{most}");
        });
        rehearse_with(text, Limits::default(), serde_json::json!({"most": most}), |one| {
            one.offered();
            begin(one, 0..40);
            for item in 0..40 {
                end(one, item, if item <= may { Status::Failed } else { Status::Succeeded });
            }
            assert_eq!(one.status(), Status::Failed, "{most}");
        });
    }
    rehearse_with(text, Limits::default(), serde_json::json!({"most": "many"}), |one| {
        assert_eq!((one.offered(), one.status()), (vec![], Status::Failed));
        assert!(one.errors()[0].starts_with("ValueError: The items of the task: \"many\" is no number of failures"));
    });
}

#[test]
fn a_list_without_items_has_no_results() {
    rehearse(&SIX.replace("<% range(6) %>", "[]"), |one| {
        assert_eq!(one.next().items_count, Some(0));
        one.run("a", serde_json::Value::Null);
        assert_eq!(one.output(), serde_json::json!({"all": {"results": [], "failures": []}}));
    });
}

#[test]
fn an_item_that_is_a_list_has_one_name() {
    rehearse("tasks:\n  a: {map: {items: [[1, 2]], as: pair}, action: x, input: {p: <% item(pair) %>}}\n", |one| {
        assert_eq!(one.next().actions[0].input.to_json(), serde_json::json!({"p": [1, 2]}));
    });
}

#[test]
fn what_was_stopped_in_time_or_froze_says_which_items_are_done() {
    rehearse(
        &format!("on_error: pause\n{}", SIX.replace("action: x", "action: x\n    timeout: 10s\n    undo: {action: u}")),
        |one| {
            one.offered();
            begin(one, 0..2);
            end(one, 0, Status::Succeeded);
            one.at(10 * SECOND);
            let frozen = one.conductor.frozen().unwrap().tasks;
            let items = FrozenItems { done: vec![0], failed: vec![1], not_begun: vec![2, 3, 4, 5] };
            assert_eq!(frozen[0].items.as_ref(), Some(&items));
            one.step(|conductor| conductor.decide(Decision::Rollback).unwrap());
            assert_eq!(one.offered(), ["undo/0/a"]);
        },
    );
}

//! Limits, pieces and refusals. What tasks lead to is held by recorded behaviour, in `tests/vectors`; what native
//! workflows do beyond that, by the modules here.

use std::collections::BTreeMap;

use super::*;
use crate::expression::Dialect;

mod ask;
mod cost;
mod ending;
mod freeze;
mod large;
mod map;
mod random;
mod rehearsal;
mod time;

fn definition(text: &str) -> Arc<Definition> {
    Arc::new(Definition::read(&format!("version: 1.0\n{text}"), Dialect::Orquesta).unwrap())
}

fn start_with(text: &str, limits: Limits, inputs: serde_json::Value) -> Conductor {
    let inputs = Value::from(inputs).as_map().cloned().unwrap_or_default();
    let start = Start { inputs, ..Start::default() };
    let mut conductor = Conductor::start(definition(text), limits, start).unwrap();
    conductor.request(Status::Running).unwrap();
    conductor
}

fn start(text: &str) -> Conductor {
    start_with(text, Limits::default(), serde_json::json!({}))
}

fn tell(conductor: &mut Conductor, task: &str, status: Status, result: serde_json::Value) {
    conductor.update(task, 0, Event::Action { status, result: result.into() }).unwrap();
}

fn run(conductor: &mut Conductor, task: &str, result: serde_json::Value) {
    tell(conductor, task, Status::Running, serde_json::Value::Null);
    tell(conductor, task, Status::Succeeded, result);
}

fn item(conductor: &mut Conductor, task: &str, item: usize, status: Status) {
    let event = Event::Item { item, status, result: Value::Null, accumulated: Value::Null };
    conductor.update(task, 0, event).unwrap();
}

fn offered(conductor: &mut Conductor) -> Vec<String> {
    conductor.next_tasks().iter().map(|task| task.id.to_string()).collect()
}

fn messages(conductor: &Conductor) -> Vec<&str> {
    conductor.errors().map(|entry| entry.message.as_str()).collect()
}

/// Pieces as whoever keeps the state has them.
#[derive(Default)]
struct Store(BTreeMap<String, String>);

impl Store {
    /// Takes what has changed, and says how many pieces that were.
    fn take(&mut self, conductor: &mut Conductor) -> usize {
        let changes = conductor.take_changes();
        let count = changes.len();
        self.put(changes);
        count
    }

    fn put(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change.value {
                Some(value) => self.0.insert(change.key, value),
                None => self.0.remove(&change.key),
            };
        }
    }

    fn pieces(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

const CYCLE: &str = "tasks:\n  a: {action: x, next: [{do: b}]}\n  b: {action: x, next: [{do: b}]}\n";

#[test]
fn a_cycle_without_an_end_comes_to_the_limit() {
    let mut conductor = start_with(CYCLE, Limits { runs_max: 5, ..Limits::default() }, serde_json::json!({}));
    run(&mut conductor, "a", serde_json::Value::Null);
    let mut turns = 0;
    while offered(&mut conductor) == ["b"] {
        run(&mut conductor, "b", serde_json::Value::Null);
        turns += 1;
    }
    assert_eq!((turns, conductor.status()), (4, Status::Failed));
    let message = "LimitExceeded: The tasks of the workflow have begun 5 times, the limit RUNS_MAX is 5.";
    assert_eq!(messages(&conductor), [message]);
    assert_eq!(conductor.errors().next().unwrap().task_id.as_deref(), Some("b"));
}

#[test]
fn what_is_published_has_a_limit() {
    let limits = Limits { published_bytes_max: 100, ..Limits::default() };
    let text = "tasks:\n  a: {action: x, next: [{publish: [{v: <% result() %>}], do: b}]}\n  b: {action: x}\n";
    let mut small = start_with(text, limits, serde_json::json!({}));
    run(&mut small, "a", serde_json::json!("y".repeat(50)));
    assert_eq!(offered(&mut small), ["b"]);
    let mut large = start_with(text, limits, serde_json::json!({}));
    run(&mut large, "a", serde_json::json!("y".repeat(150)));
    assert_eq!((large.status(), offered(&mut large)), (Status::Failed, Vec::new()));
    assert!(messages(&large)[0].contains("the limit PUBLISHED_BYTES_MAX is 100"), "{:?}", messages(&large));
}

#[test]
fn items_have_a_limit() {
    let limits = Limits { items_max: 3, ..Limits::default() };
    let text = "input: [n]\ntasks:\n  a: {with: \"x in <% range(ctx(n)) %>\", action: x}\n";
    let mut few = start_with(text, limits, serde_json::json!({"n": 3}));
    assert_eq!(few.next_tasks()[0].actions.len(), 3);
    let mut many = start_with(text, limits, serde_json::json!({"n": 4}));
    assert!(many.next_tasks().is_empty());
    assert_eq!(messages(&many), ["LimitExceeded: The task \"a\" has 4 items, the limit ITEMS_MAX is 3."]);
}

#[test]
fn workflows_start_each_other_only_so_deep() {
    let start = |depth| {
        let start = Start { depth, ..Start::default() };
        Conductor::start(definition(CYCLE), Limits { subworkflow_depth_max: 2, ..Limits::default() }, start)
    };
    assert!(start(2).is_ok());
    assert_eq!(start(3).err(), Some(ConductorError::TooDeep { depth: 3, limit: 2 }));
}

#[test]
fn data_is_never_evaluated() {
    let text = "input: [a]\nvars: [{b: <% ctx(a) %>}]\noutput: [{a: <% ctx(a) %>}, {c: <% ctx(c) %>}]\ntasks:\n  \
                t: {action: x, input: {v: <% ctx(b) %>}, next: [{publish: [{c: <% result() %>}]}]}\n";
    let data = "<% 1 + 1 %> {{ 1 + 1 }}";
    let mut conductor = start_with(text, Limits::default(), serde_json::json!({"a": data}));
    let tasks = conductor.next_tasks();
    assert_eq!(tasks[0].actions[0].input.to_json(), serde_json::json!({"v": data}));
    run(&mut conductor, "t", serde_json::json!(data));
    conductor.render_output();
    assert_eq!(conductor.output().unwrap().to_json(), serde_json::json!({"a": data, "c": data}));
}

/// A chain of tasks that publish.
fn chain(tasks: usize) -> String {
    let mut text = "vars: [{n: 0}]\ntasks:\n".to_owned();
    for task in 0..tasks {
        text += &format!("  t{task}: {{action: x, next: [{{publish: [{{n: <% result() %>}}], do: t{}}}]}}\n", task + 1);
    }
    text + &format!("  t{tasks}: {{action: x}}\n")
}

#[test]
fn an_event_changes_as_few_pieces_in_a_large_workflow_as_in_a_small_one() {
    let most = |tasks: usize| {
        let mut conductor = start(&chain(tasks));
        let mut store = Store::default();
        store.take(&mut conductor);
        let mut most = 0;
        for task in 0..=tasks {
            assert_eq!(offered(&mut conductor), [format!("t{task}")]);
            run(&mut conductor, &format!("t{task}"), serde_json::json!(task));
            most = most.max(store.take(&mut conductor));
        }
        assert_eq!(conductor.status(), Status::Succeeded);
        most
    };
    assert_eq!(most(10), most(300));
}

#[test]
fn what_is_staged_and_begins_before_it_is_stored_is_not_stored() {
    let mut conductor = start(&chain(2));
    let mut store = Store::default();
    run(&mut conductor, "t0", serde_json::json!(0));
    store.take(&mut conductor);
    tell(&mut conductor, "t1", Status::Running, serde_json::Value::Null);
    assert!(conductor.take_changes().iter().any(|change| change.key == "staged/1" && change.value.is_none()));
    tell(&mut conductor, "t1", Status::Succeeded, serde_json::json!(1));
    offered(&mut conductor);
    tell(&mut conductor, "t2", Status::Running, serde_json::Value::Null);
    let keys: Vec<_> = conductor.take_changes().into_iter().map(|change| change.key).collect();
    assert_eq!(keys, ["workflow", "context/2", "run/1", "run/2"]);
}

#[test]
fn an_item_changes_the_piece_of_its_chunk_alone() {
    let mut conductor =
        start("tasks:\n  a: {with: \"x in <% range(1000) %>\", action: x, input: {x: <% item(x) %>}}\n");
    let mut store = Store::default();
    assert_eq!(conductor.next_tasks()[0].actions.len(), 1000);
    item(&mut conductor, "a", 0, Status::Running);
    store.take(&mut conductor);
    item(&mut conductor, "a", 700, Status::Running);
    let changed: Vec<_> = conductor.take_changes().into_iter().map(|change| change.key).collect();
    assert!(
        changed.contains(&"items/0/2".to_owned()) && changed.iter().all(|key| !key.starts_with("items/0/0")),
        "{changed:?}"
    );
    // A letter for each item of the chunk, and the quotation marks.
    assert_eq!(store.0["items/0/0"].len(), 258);
}

/// One task, so many behind it, and one that joins them.
fn fan(tasks: usize) -> String {
    let names: Vec<_> = (0..tasks).map(|task| format!("t{task}")).collect();
    let mut text = format!("tasks:\n  a: {{action: x, next: [{{do: [{}]}}]}}\n", names.join(", "));
    for name in names {
        text += &format!("  {name}: {{action: x, next: [{{do: z}}]}}\n");
    }
    text + "  z: {join: all, action: x}\n"
}

/// A fork of so many tasks that have all arrived at their join, its pieces, and the most bytes that one arrival changed.
fn arrived(tasks: usize) -> (Conductor, Store, usize) {
    let mut conductor = start(&fan(tasks));
    offered(&mut conductor);
    run(&mut conductor, "a", serde_json::Value::Null);
    assert_eq!(offered(&mut conductor).len(), tasks);
    let (mut store, mut most) = (Store::default(), 0);
    store.take(&mut conductor);
    for task in (0..tasks).rev() {
        run(&mut conductor, &format!("t{task}"), serde_json::Value::Null);
        let changes = conductor.take_changes();
        most = most.max(changes.iter().map(|change| change.value.as_ref().map_or(0, String::len)).sum());
        store.put(changes);
    }
    (conductor, store, most)
}

#[test]
fn what_arrives_at_a_join_is_written_with_few_others() {
    let (few, many) = (arrived(20).2, arrived(300).2);
    assert!(many < few + few / 4, "{many} bytes at most behind 300 tasks, {few} behind 20");
}

#[test]
fn a_join_is_restored_with_all_that_led_to_it_in_order() {
    let (mut conductor, store, _) = arrived(20);
    let restore = |pieces: &Store| Conductor::restore(definition(&fan(20)), Limits::default(), pieces.pieces());
    let mut restored = restore(&store).unwrap();
    for conductor in [&mut conductor, &mut restored] {
        assert_eq!(offered(conductor), ["z"]);
        tell(conductor, "z", Status::Running, serde_json::Value::Null);
    }
    let changes = conductor.take_changes();
    assert_eq!(changes, restored.take_changes());
    let gone = |key: &str| changes.iter().any(|change| change.key.starts_with(key) && change.value.is_none());
    assert!(gone("staged/") && gone("led/"), "{changes:?}");
    let mut part = store;
    part.0.retain(|key, _| !(key.starts_with("led/") && key.ends_with("/2")));
    let missing = restore(&part).err().map(|error| error.to_string()).unwrap();
    assert!(missing.starts_with("the piece led/") && missing.ends_with("is missing"), "{missing}");
}

#[test]
fn what_is_restored_goes_on_as_if_nothing_had_been() {
    let text = "vars: [{n: 0}]\noutput: [{n: <% ctx(n) %>}]\ntasks:\n  a: {action: x, next: [{publish: [{n: 1}], do: [b, \
                each]}]}\n  b: {action: x, retry: {count: 2}, next: [{do: z}]}\n  each: {with: \"x in <% range(3) %>\", \
                action: x, next: [{publish: [{n: 2}], do: z}]}\n  z: {join: all, action: x n=<% ctx(n) %>}\n";
    let events: [(&str, Option<usize>, Status); 12] = [
        ("a", None, Status::Running),
        ("a", None, Status::Succeeded),
        ("b", None, Status::Running),
        ("each", Some(0), Status::Running),
        ("b", None, Status::Failed),
        ("b", None, Status::Running),
        ("each", Some(1), Status::Running),
        ("each", Some(0), Status::Succeeded),
        ("b", None, Status::Succeeded),
        ("each", Some(2), Status::Running),
        ("each", Some(1), Status::Succeeded),
        ("each", Some(2), Status::Succeeded),
    ];
    let go = |restoring: bool| {
        let mut conductor = start(text);
        let mut store = Store::default();
        let mut seen = Vec::new();
        for (task, number, status) in events {
            seen.push(format!(
                "{:?}",
                conductor.next_tasks().iter().map(|task| (&task.id, &task.actions)).collect::<Vec<_>>()
            ));
            match number {
                Some(number) => item(&mut conductor, task, number, status),
                None => tell(&mut conductor, task, status, serde_json::Value::Null),
            }
            if restoring {
                store.take(&mut conductor);
                let definition = Arc::clone(conductor.definition());
                conductor = Conductor::restore(definition, Limits::default(), store.pieces()).unwrap();
            }
        }
        seen.push(format!("{:?}", offered(&mut conductor)));
        run(&mut conductor, "z", serde_json::Value::Null);
        conductor.render_output();
        (seen, conductor.status(), conductor.output().map(Value::to_json), conductor.task_runs().collect::<Vec<_>>())
    };
    assert_eq!(go(false), go(true));
    assert_eq!(go(true).1, Status::Succeeded);
}

#[test]
fn pieces_that_make_no_state_are_refused() {
    let mut conductor = start(CYCLE);
    run(&mut conductor, "a", serde_json::Value::Null);
    let mut store = Store::default();
    store.take(&mut conductor);
    let restore = |pieces: &BTreeMap<String, String>, text: &str| {
        let pieces = pieces.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        Conductor::restore(definition(text), Limits::default(), pieces).err().map(|error| error.to_string())
    };
    assert_eq!(restore(&store.0, CYCLE), None);
    let with = |key: &str, value: Option<&str>| {
        let mut pieces = store.0.clone();
        match value {
            Some(value) => pieces.insert(key.to_owned(), value.to_owned()),
            None => pieces.remove(key),
        };
        restore(&pieces, CYCLE).unwrap()
    };
    assert_eq!(with("nothing/1", Some("1")), "nothing/1 is no piece of a workflow's state");
    assert_eq!(with("workflow", None), "the piece workflow of a workflow's state is missing");
    assert!(with("run/0", Some("{")).starts_with("the piece run/0 of a workflow's state cannot be read"));
    let other = "tasks:\n  z: {action: x}\n";
    assert_eq!(restore(&store.0, other).unwrap(), "the workflow has no task a: it was begun with another definition");
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut conductor =
        start("tasks:\n  a: {action: x, next: [{do: b}]}\n  b: {with: \"x in <% range(2) %>\", action: x}\n");
    let mut store = Store::default();
    let action = |status| Event::Action { status, result: Value::Null };
    let of_item = |item| Event::Item { item, status: Status::Running, result: Value::Null, accumulated: Value::Null };
    store.take(&mut conductor);
    for (task, event, message) in [
        ("c", action(Status::Running), "Task \"c\" does not exist."),
        ("b", action(Status::Running), "Task \"b\" is not staged or has not started yet."),
        (
            "a",
            action(Status::Succeeded),
            "The task \"a\" has not begun: its first status is requested, scheduled, delayed, running or pending, not succeeded.",
        ),
        ("a", of_item(0), "The item 0 of the task \"a\" is not offered."),
    ] {
        assert_eq!(conductor.update(task, 0, event).unwrap_err().to_string(), message);
    }
    run(&mut conductor, "a", serde_json::Value::Null);
    conductor.next_tasks();
    store.take(&mut conductor);
    assert!(matches!(conductor.update("b", 0, of_item(2)), Err(ConductorError::NoSuchItem { item: 2, .. })));
    assert_eq!(conductor.take_changes(), []);
}

#[test]
fn the_event_that_ends_a_task_with_items_is_told_beforehand() {
    let mut conductor = start("tasks:\n  a: {with: \"x in <% range(2) %>\", action: x}\n");
    conductor.next_tasks();
    item(&mut conductor, "a", 0, Status::Running);
    item(&mut conductor, "a", 1, Status::Running);
    assert!(!conductor.ends_with("a", 0, 0, Status::Succeeded));
    item(&mut conductor, "a", 0, Status::Succeeded);
    assert!(conductor.ends_with("a", 0, 1, Status::Succeeded) && conductor.ends_with("a", 0, 1, Status::Failed));
    assert!(!conductor.ends_with("a", 0, 1, Status::Running));
}

#[test]
fn a_workflow_without_native_keys_stores_nothing_of_them() {
    for dialect in [Dialect::Orquesta, Dialect::Native] {
        let definition = Definition::read(&format!("version: 1.0\n{}", chain(3)), dialect).unwrap();
        let start = Start { now_ms: Some(0), ..Start::default() };
        let mut conductor = Conductor::start(Arc::new(definition), Limits::default(), start).unwrap();
        conductor.request(Status::Running).unwrap();
        let mut store = Store::default();
        for task in ["t0", "t1", "t2"] {
            offered(&mut conductor);
            run(&mut conductor, task, serde_json::json!(1));
            conductor.time_passed().unwrap();
            store.take(&mut conductor);
        }
        tell(&mut conductor, "t3", Status::Running, serde_json::Value::Null);
        tell(&mut conductor, "t3", Status::Failed, serde_json::Value::Null);
        store.take(&mut conductor);
        assert_eq!((conductor.status(), conductor.due_ms(), conductor.take_stops()), (Status::Failed, None, vec![]));
        assert!(
            store.0.keys().all(|key| !key.starts_with("native") && !key.starts_with("undo")),
            "{:?}",
            store.0.keys()
        );
        let native = ["due_ms", "remind_ms", "stopped", "took_too_long", "failures_max"];
        assert!(store.0.values().all(|value| native.iter().all(|field| !value.contains(field))), "{:?}", store.0);
    }
}

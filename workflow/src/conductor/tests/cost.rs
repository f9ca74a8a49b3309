//! What is written and what is offered follows what has changed, not how large the workflow is.

use super::*;

fn keys(conductor: &mut Conductor) -> Vec<String> {
    conductor.take_changes().into_iter().map(|change| change.key).collect()
}

#[test]
fn the_workflow_is_written_when_it_has_changed_itself() {
    let mut conductor =
        start("tasks:\n  a: {action: x, next: [{do: b}]}\n  b: {action: x, next: [{do: c}]}\n  c: {action: x}\n");
    run(&mut conductor, "a", serde_json::Value::Null);
    assert_eq!(keys(&mut conductor), ["workflow", "context/0", "route/0", "run/0", "staged/1"]);
    tell(&mut conductor, "b", Status::Running, serde_json::Value::Null);
    assert_eq!(keys(&mut conductor), ["run/1", "staged/1"]);
    tell(&mut conductor, "b", Status::Succeeded, serde_json::Value::Null);
    assert_eq!(keys(&mut conductor), ["run/1", "staged/2"]);
    run(&mut conductor, "c", serde_json::Value::Null);
    assert_eq!(keys(&mut conductor), ["workflow", "run/2", "staged/2"]);
}

#[test]
fn what_arrives_at_a_large_join_is_written_alone_with_its_chunk() {
    let mut conductor = start(&fan(30));
    offered(&mut conductor);
    run(&mut conductor, "a", serde_json::Value::Null);
    for (place, task) in (0..30_u32).rev().enumerate() {
        let task = format!("t{task}");
        tell(&mut conductor, &task, Status::Running, serde_json::Value::Null);
        conductor.take_changes();
        tell(&mut conductor, &task, Status::Succeeded, serde_json::Value::Null);
        let changed = keys(&mut conductor);
        let led: Vec<_> = changed.iter().filter(|key| key.starts_with("led/")).map(String::as_str).collect();
        let staged = changed.iter().find(|key| key.starts_with("staged/")).map(|key| key.replace("staged/", "led/"));
        let chunks: Vec<String> = match place {
            0..8 => vec![],
            8 => vec!["0".to_owned(), "1".to_owned()],
            _ => vec![(place / 8).to_string()],
        };
        let chunks: Vec<String> =
            chunks.iter().map(|chunk| format!("{}/{chunk}", staged.as_deref().unwrap())).collect();
        assert_eq!(led, chunks, "at {place}");
    }
}

#[test]
fn a_join_whose_first_arrivals_were_stored_with_it_is_restored_and_stored_anew() {
    let (_, mut store, _) = arrived(20);
    let key = store.0.keys().find(|key| key.starts_with("led/") && key.ends_with("/0")).unwrap().clone();
    let first = store.0.remove(&key).unwrap();
    let staged = key.replace("led/", "staged/").replace("/0", "");
    let with_first = store.0[&staged].replace("\"before\":[]", &format!("\"before\":{first}"));
    assert_ne!(with_first, store.0[&staged]);
    store.0.insert(staged.clone(), with_first);
    let restore = |store: &Store| Conductor::restore(definition(&fan(20)), Limits::default(), store.pieces()).unwrap();
    let mut conductor = restore(&store);
    let mut changed = Store::default();
    changed.take(&mut conductor);
    assert_eq!((changed.0.len(), &changed.0[&key]), (2, &first));
    store.0.extend(changed.0);
    let mut conductor = restore(&store);
    tell(&mut conductor, "z", Status::Running, serde_json::Value::Null);
    let run = conductor.take_changes().into_iter().find(|change| change.key.starts_with("run/")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&run.value.unwrap()).unwrap();
    assert_eq!((run["before"].as_array().unwrap().len(), &run["before"][0][0]), (20, &serde_json::json!("t19__t0")));
}

#[test]
fn what_is_over_a_limit_is_offered_later_and_told_of() {
    let mut conductor = start(&fan(5));
    run(&mut conductor, "a", serde_json::Value::Null);
    let names = |tasks: &[NextTask]| tasks.iter().map(|task| task.id.to_string()).collect::<Vec<_>>();
    for _ in 0..2 {
        let (tasks, more) = conductor.offer_at_most(2);
        assert_eq!((names(&tasks), more), (vec!["t0".to_owned(), "t1".to_owned()], true));
    }
    let (tasks, more) = conductor.offer_at_most(0);
    assert_eq!((tasks.len(), more), (0, true));
    for task in ["t0", "t1", "t2"] {
        tell(&mut conductor, task, Status::Running, serde_json::Value::Null);
    }
    let (tasks, more) = conductor.offer_at_most(2);
    assert_eq!((names(&tasks), more), (vec!["t3".to_owned(), "t4".to_owned()], false));
}

use super::*;
use crate::expression::Dialect;

fn definition(text: &str) -> Definition {
    Definition::read(&format!("version: 1.0\n{text}"), Dialect::Orquesta).unwrap()
}

#[test]
fn transitions_are_sorted_by_target_and_numbered_for_each() {
    let definition = definition(
        "tasks:\n  a:\n    next:\n      - do: [c, b]\n      - do: b\n      - do: [b, fail, c]\n  b: {action: x}\n  c: {action: x}\n",
    );
    let a = definition.task(definition.task_index("a").unwrap());
    let ids: Vec<_> = a.next.iter().map(|one| (&*one.id, one.entry)).collect();
    assert_eq!(ids, [("b__t0", 0), ("b__t1", 1), ("b__t2", 2), ("c__t0", 0), ("c__t1", 2), ("fail__t0", 2)]);
    let names: Vec<_> = definition.task_names().map(|name| &**name).collect();
    assert_eq!(names, ["a", "b", "c", "fail"]);
    assert!(definition.task(1).split && definition.task(2).split && !definition.task(3).split);
}

#[test]
fn joins_count_the_tasks_that_lead_to_them() {
    let definition = definition(
        "tasks:\n  a: {next: [{do: [b, c]}]}\n  b: {next: [{do: j}, {do: j}]}\n  c: {next: [{do: j}]}\n  j: {join: all, action: x}\n",
    );
    let j = definition.task(definition.task_index("j").unwrap());
    assert_eq!(j.join, Some(Join { needed: 2, inbound: 2, told: true }));
    assert_eq!(definition.task(1).joins, [3]);
}

#[test]
fn what_cannot_be_run_is_located() {
    let error =
        Definition::read("version: 1.0\ntasks:\n  a:\n    next:\n      - do: gone\n", Dialect::Orquesta).unwrap_err();
    assert_eq!(error.to_string(), "5:9: tasks.a.next[0].do: The task \"gone\" is not defined.");
}

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

#[test]
fn what_tasks_have_in_common_is_compiled_once() {
    let tasks: Vec<String> = (0..3)
        .map(|task| {
            format!(
                "  t{task}:\n    action: core.echo\n    input: {{message: <% ctx(v) %>, n: {task}}}\n    next: [{{when: <% \
                 succeeded() %>, publish: [{{v: <% result() %>}}], do: end}}]\n"
            )
        })
        .collect();
    let definition = definition(&format!("vars: [{{v: 1}}]\ntasks:\n{}  end: {{join: all}}\n", tasks.concat()));
    let at = |text: &str| text.as_ptr();
    let of = |task: &str| {
        let task = definition.task(definition.task_index(task).unwrap());
        let (entry, source) = (&task.entries[0], |template: &Template| at(template.source().as_str().unwrap()));
        let (name, value) = &entry.publish[0];
        [source(&task.action), source(entry.when.as_ref().unwrap()), at(name), source(value)]
    };
    assert_eq!((of("t1"), of("t2")), (of("t0"), of("t0")));
    // What differs in anything is another one.
    let inputs: Vec<_> = (0..3).map(|task| definition.task(task + 1).input.source().to_json().to_string()).collect();
    assert_eq!(inputs[2], "{\"message\":\"<% ctx(v) %>\",\"n\":2}");
    assert_ne!(inputs[0], inputs[1]);
}

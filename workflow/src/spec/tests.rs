use super::*;

fn read(text: &str) -> Result<WorkflowSpec, SpecError> {
    WorkflowSpec::read(text, Dialect::Orquesta)
}

#[test]
fn short_forms_are_written_out() {
    let spec = read(
        "version: 1.0\ntasks:\n  a:\n    with: x in <% ctx(xs) %>\n    action: core.echo message=<% item(x) %> n=1\n    \
         next:\n      - publish: y=<% result() %> z=1\n        do: b, c\n      - when: <% failed() %>\n",
    )
    .unwrap();
    let task = &spec.tasks["a"];
    assert_eq!(task.action, Value::text("core.echo"));
    assert_eq!(task.input.to_json(), serde_json::json!({"message": "<% item(x) %>", "n": 1}));
    assert_eq!(task.with.as_ref().unwrap().items, Value::text("x in <% ctx(xs) %>"));
    assert_eq!(task.next[0].publish.to_json(), serde_json::json!([{"y": "<% result() %>"}, {"z": 1}]));
    assert_eq!(spec.next_of("a"), [("b", 0), ("c", 0), ("continue", 1)]);
}

#[test]
fn what_is_no_workflow_is_located() {
    for (text, line, message) in [
        ("", 1, "Workflow definition is empty."),
        ("just text", 1, "Unable to convert workflow definition into dict."),
        ("tasks: {a: {action: b}}", 1, "Version of the workflow definition is not provided."),
        ("version: 2\ntasks: {a: {action: b}}", 1, "Workflow definition is not the supported version \"1.0\"."),
        ("version: 1.0", 1, "Workflow definition contains no workflow."),
        ("version: 1.0\ntasks:\n  a: 5", 3, "tasks.a must be a mapping that is not empty, found 5"),
        (
            "version: 1.0\ntasks:\n  a b:\n    action: x",
            3,
            "the name of the task \"a b\" must be made of letters, digits and _",
        ),
        ("version: 1.0\ntasks:\n  a:\n    action: x=1", 4, "the action's name is missing before its parameters"),
        ("version: 1.0\ntasks:\n  a:\n    next:\n    - do: 5", 5, "tasks.a.next[0].do must name tasks, found 5"),
        ("version: 1.0\ntasks:\n  a:\n    next: x", 4, "tasks.a.next must be a list, found 'x'"),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!((error.at.line, error.message.as_str()), (line, message), "{text}");
    }
}

#[test]
fn too_many_tasks_name_the_limit() {
    let mut text = "version: 1.0\ntasks:\n".to_owned();
    for number in 0..=crate::limits::TASKS_MAX {
        text += &format!("  t{number}: {{action: a}}\n");
    }
    assert!(read(&text).unwrap_err().message.contains("the limit TASKS_MAX is 10000"));
}

#[test]
fn a_task_with_too_long_a_name_names_the_limit() {
    let named = |bytes: usize| read(&format!("version: 1.0\ntasks:\n  {}:\n    action: a\n", "t".repeat(bytes)));
    assert!(named(crate::limits::TASK_NAME_BYTES_MAX).is_ok());
    let error = named(crate::limits::TASK_NAME_BYTES_MAX + 1).unwrap_err();
    let message = "the name of a task has 257 bytes, the limit TASK_NAME_BYTES_MAX is 256";
    assert_eq!((error.at.line, error.message.as_str()), (3, message));
}

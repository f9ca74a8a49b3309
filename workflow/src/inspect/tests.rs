use super::*;
use crate::expression::Dialect;

/// The findings of a workflow as `kind line path: message`.
fn found(text: &str) -> Vec<String> {
    found_in(text, Dialect::Orquesta)
}

fn found_in(text: &str, dialect: Dialect) -> Vec<String> {
    let spec = WorkflowSpec::read(text, dialect).unwrap();
    let inspection = inspect(&spec, &[]);
    let line = |(kind, finding): (&str, &Finding)| {
        format!("{kind} {} {}: {}", finding.at.line, finding.spec_path, finding.message)
    };
    inspection.findings().map(line).collect()
}

#[test]
fn what_breaks_the_schema_is_located() {
    let text = "version: 1.0\ntasks:\n  a:\n    action: ''\n    extra: 1\n    join: All\n    next:\n      - when: 5\n";
    assert_eq!(
        found(text),
        [
            "syntax 5 tasks.a: Additional properties are not allowed ('extra' was unexpected)".replace("5 ", "3 "),
            "syntax 6 tasks.a.join: 'All' is not valid under any of the given schemas".to_owned(),
            "syntax 4 tasks.a.action: '' should be non-empty".to_owned(),
            "syntax 8 tasks.a.next[0].when: 5 is not of type 'string'".to_owned(),
        ]
    );
}

#[test]
fn tasks_that_are_not_there_or_misnamed_are_found() {
    let text = "version: 1.0\ntasks:\n  noop:\n    action: x\n  a:\n    action: x\n    next:\n      - do: [noop, b]\n";
    assert_eq!(
        found(text),
        [
            "semantics 3 tasks.noop: The task name \"noop\" is reserved with special function.",
            "semantics 8 tasks.a.next[0].do: The task \"b\" is not defined.",
        ]
    );
    let cycle = "version: 1.0\ntasks:\n  a:\n    next: [{do: a}]\n";
    assert!(found(cycle)[0].contains("Unable to identify any tasks to start the workflow"));
}

#[test]
fn a_join_that_can_never_be_met_is_found() {
    let text = "version: 1.0\ntasks:\n  a:\n    next: [{do: c}]\n  b:\n    next: [{do: c}]\n  c:\n    join: 3\n    action: x\n";
    assert_eq!(
        found(text),
        ["joins 8 tasks.c.join: The join task \"c\" waits for 3 tasks, but only 2 lead to it: it can never be met."]
    );
}

#[test]
fn a_join_behind_different_splits_is_ambiguous() {
    let text = "version: 1.0\ntasks:\n  a:\n    next: [{do: s}]\n  b:\n    next: [{do: [s, j]}]\n  s:\n    next: [{do: j}]\n  \
                j:\n    join: all\n    action: x\n";
    let found = found(text);
    assert!(
        found.len() == 1 && found[0].starts_with("semantics 9 tasks.j: The join task \"j\" is unreachable"),
        "{found:?}"
    );
}

#[test]
fn more_ways_than_can_be_inspected_name_the_limit() {
    // Each layer publishes something different on its two ways, and nothing joins them.
    let mut text = "version: 1.0\ntasks:\n".to_owned();
    for layer in 0..24 {
        let next = layer + 1;
        for side in ["a", "b"] {
            text += &format!(
                "  {side}{layer}:\n    next:\n      - publish: {side}{layer}=1\n        do: a{next}\n      - publish: \
                 {side}x{layer}=1\n        do: b{next}\n"
            );
        }
    }
    text += "  a24: {action: x}\n  b24: {action: x}\n";
    assert!(found(&text).iter().any(|line| line.contains("INSPECTION_STEPS_MAX")));
}

/// What is found in a native workflow of one task `a`, whose keys are these, and these of the workflow.
fn found_natively(workflow: &str, task: &str) -> Vec<String> {
    let text = format!("version: 1.0\ntasks:\n  a:\n    action: x\n{task}\n  b: {{action: x}}\n{workflow}\n");
    found_in(&text, Dialect::Native)
}

#[test]
fn native_keys_are_unknown_to_orquesta() {
    let text = "version: 1.0\ntimeout: 1h\ntasks:\n  a: {action: x, timeout: 1h, next: [{on: failed, do: noop}]}\n";
    let unexpected = found(text);
    for (line, key) in [(1, "timeout"), (4, "timeout"), (4, "True")] {
        let told = format!("('{key}' was unexpected)");
        assert!(
            unexpected.iter().any(|one| one.starts_with(&format!("syntax {line} ")) && one.contains(&told)),
            "{unexpected:?}"
        );
    }
    assert_eq!(found_in(text, Dialect::Native), Vec::<String>::new());
    for key in ["on_error: fail", "rollback: never", "on_freeze: {notify: {action: x}}", "finally: [{action: x}]"] {
        let told = format!("('{}' was unexpected)", key.split(':').next().unwrap());
        let found = found(&format!("version: 1.0\ntasks: {{a: {{action: x}}}}\n{key}\n"));
        assert!(found.len() == 1 && found[0].contains(&told), "{found:?}");
    }
    for key in ["on_error: fail", "approve: {question: q}", "undo: {action: y}", "map: {items: [1]}"] {
        let told = format!("('{}' was unexpected)", key.split(':').next().unwrap());
        let found = found(&format!("version: 1.0\ntasks: {{a: {{action: x, {key}}}}}\n"));
        assert!(found.len() == 1 && found[0].contains(&told), "{found:?}");
    }
}

#[test]
fn native_keys_are_judged() {
    for (workflow, task, expected) in [
        ("timeout: soon", "", "syntax 7 timeout: \"soon\" is no length of time"),
        ("", "    timeout: 0", "syntax 5 tasks.a.timeout: 0 is not above zero"),
        ("", "    timeout: [1]", "syntax 5 tasks.a.timeout: [1] is no length of time"),
        ("", "    timeout: 4000d", "syntax 5 tasks.a.timeout: \"4000d\" is longer than the limit DURATION_MS_MAX"),
        ("rollback: always", "", "syntax 7 rollback: \"always\" is not one of on_fail, on_cancel, never"),
        ("finally: {action: x}", "", "syntax 7 finally: {\"action\":\"x\"} is no list of actions"),
        ("finally: [{input: {}}]", "", "syntax 7 finally[0]: `action` names the action that runs"),
        ("finally: [gone]", "", "syntax 7 finally[0]: The task \"gone\" is not defined."),
        ("finally: [b]", "    next: [{do: b}]", "syntax 7 finally[0]: The task \"b\" is one that \"a\" leads to"),
        ("  c: {action: x, delay: 1}\nfinally: [c]", "", "syntax 7 tasks.c.delay: `delay` has no meaning for a task"),
        ("finally: [{action: x, input: {v: <% ctx(gone) %>}}]", "", "context 7 finally[0]: Variable \"gone\" is"),
        ("", "    undo: x", "syntax 5 tasks.a.undo: \"x\" is no mapping of action, input"),
        ("", "    undo: {action: y, input: {v: <% ctx(gone) %>}}", "context 5 tasks.a.undo: Variable \"gone\" is"),
        ("", "    map: {chunk: 5}", "syntax 5 tasks.a.map.items: `items` is a list, or an expression"),
        ("", "    map: {items: [1], as: a-b}", "syntax 5 tasks.a.map.as: `as` is the name of an item"),
        ("", "    map: {items: [1], chunk: 0}", "syntax 5 tasks.a.map.chunk: 0 is no chunk"),
        ("", "    map: {items: [1], concurrency: 0}", "syntax 5 tasks.a.map.concurrency: `concurrency` is how many"),
        ("", "    map: {items: [1], failures_max: 5p}", "syntax 5 tasks.a.map.failures_max: \"5p\" is no number of"),
        ("", "    map: {items: [1], more: 1}", "syntax 5 tasks.a.map.more: `more` is not one of items"),
        ("", "    map: {items: <% ctx(gone) %>}", "context 5 tasks.a.map.items: Variable \"gone\" is"),
        ("", "    with: <% [1] %>\n    map: {items: [1]}", "syntax 6 tasks.a.map: `map` and `with` both name items"),
        ("on_freeze: {notify: {action: p}}", "", "syntax 7 on_freeze: nothing freezes this workflow"),
        ("on_freeze: 5", "    on_error: pause", "syntax 7 on_freeze: 5 is no mapping of notify, remind"),
        ("on_freeze: {}", "    on_error: pause", "syntax 7 on_freeze: `on_freeze` calls somebody with"),
        (
            "on_error: pause\non_freeze: {call: 1, notify: {action: p}}",
            "",
            "syntax 8 on_freeze.call: `call` is not one of",
        ),
        (
            "on_error: pause\non_freeze: {notify: {input: {}}}",
            "",
            "syntax 8 on_freeze.notify: `action` names the action",
        ),
        (
            "on_error: pause\non_freeze: {remind: {every: 5s, action: p}}",
            "",
            "syntax 8 on_freeze.remind.every: \"5s\" is shorter than the limit REMINDER_MS_MIN",
        ),
        (
            "on_error: pause\non_freeze: {notify: {action: p, input: {v: <% ctx(gone) %>}}}",
            "",
            "context 8 on_freeze.notify: Variable \"gone\" is",
        ),
        ("on_error: pause\non_freeze: {notify: {action: p, input: {v: <% 1 + %>}}}", "", "expressions 8 on_freeze: "),
        ("", "    with: x in [1]", "syntax 5 tasks.a.with"),
        ("on_error: stop", "", "syntax 7 on_error: \"stop\" is not one of fail, pause"),
        ("", "    on_error: [pause]", "syntax 5 tasks.a.on_error: [\"pause\"] is not one of fail, pause"),
        ("", "    approve: {question: ok}", "syntax 4 tasks.a.action: `action` has no meaning for a task that asks"),
        ("", "    timeout: <% 1 + %>", "expressions 5 tasks.a.timeout: "),
        ("", "    timeout: <% ctx(gone) %>", "context 5 tasks.a.timeout: Variable \"gone\" is referenced before"),
        ("timeout: <% ctx(gone) %>", "", "context 7 timeout: Variable \"gone\" is referenced before"),
        (
            "",
            "    next:\n      - on: late\n        do: b",
            "syntax 6 tasks.a.next[0].True: \"late\" is not one of succeeded",
        ),
        (
            "",
            "    next:\n      - on: failed\n        when: <% failed() %>\n        do: b",
            "syntax 6 tasks.a.next[0].True: `on` and `when` are both conditions",
        ),
    ] {
        let found = found_natively(workflow, task);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{task} {workflow}: {found:?}");
    }
}

#[test]
fn questions_are_judged() {
    let whole = "{question: 'Really, {{ ctx().n }}?', schema: {type: boolean}, expires: 1h, default: false, notify: \
                 {action: mail, input: {n: <% ctx(n) %>}}, remind: {every: 10m, action: mail}}";
    for (approve, expected) in [
        (whole, None),
        ("yes", Some("syntax 5 tasks.a.approve: true is no mapping of question")),
        ("{schema: {}}", Some("syntax 5 tasks.a.approve: `question` is the text that people are asked")),
        ("{question: x, else: 1}", Some("syntax 5 tasks.a.approve.else: `else` is not one of question")),
        ("{question: x, who: me}", Some("syntax 5 tasks.a.approve.who: `who` is not supported in this version")),
        (
            "{question: x, two_persons: yes}",
            Some("syntax 5 tasks.a.approve.two_persons: `two_persons` is not supported"),
        ),
        ("{question: x, not_requester: yes}", Some("syntax 5 tasks.a.approve.not_requester: `not_requester` is not")),
        ("{question: x, schema: 1}", Some("syntax 5 tasks.a.approve.schema: `schema` is a JSON schema")),
        (
            "{question: x, schema: {type: bool}}",
            Some("syntax 5 tasks.a.approve.schema: `schema` is no schema of an answer: "),
        ),
        ("{question: x, schema: {type: '<% ctx(n) %>'}}", None),
        ("{question: x, expires: soon}", Some("syntax 5 tasks.a.approve.expires: \"soon\" is no length of time")),
        ("{question: x, default: 1}", Some("syntax 5 tasks.a.approve.default: `default` is the answer when")),
        ("{question: x, notify: {input: {}}}", Some("syntax 5 tasks.a.approve.notify: `action` names the action")),
        ("{question: x, notify: {action: m, input: 1}}", Some("syntax 5 tasks.a.approve.notify.input: `input` is a")),
        ("{question: x, remind: {action: m}}", Some("syntax 5 tasks.a.approve.remind: `every` is the time between")),
        (
            "{question: x, remind: {every: 1s, action: m}}",
            Some("syntax 5 tasks.a.approve.remind.every: \"1s\" is shorter"),
        ),
        ("{question: <% 1 + %>}", Some("expressions 5 tasks.a.approve.question: ")),
        ("{question: <% ctx(gone) %>}", Some("context 5 tasks.a.approve.question: Variable \"gone\" is referenced")),
    ] {
        let text = format!("version: 1.0\nvars: [{{n: 1}}]\ntasks:\n  a:\n    approve: {approve}\n");
        let found = found_in(&text, Dialect::Native);
        match expected {
            None => assert_eq!(found, Vec::<String>::new()),
            Some(expected) => assert!(found.len() == 1 && found[0].starts_with(expected), "{approve}: {found:?}"),
        }
    }
}

#[test]
fn what_calls_people_about_a_freeze_sees_it_and_items_may_be_of_cel() {
    let freeze = "on_error: pause\non_freeze: {notify: {action: p, input: {v: <% ctx(frozen) %>, w: \"${ctx.frozen.tasks}\"}}, \
                  remind: {every: 1h, action: p}}";
    assert_eq!(found_natively(freeze, ""), Vec::<String>::new());
    for items in
        ["x in ${[1, 2]}", "x, y in ${[[1, 2]]}", "${[1, 2].filter(x, x in [1])}", "x in <% [1] %>", "{{ [1] }}"]
    {
        assert_eq!(found_natively("", &format!("    with: \"{items}\"")), Vec::<String>::new(), "{items}");
    }
}

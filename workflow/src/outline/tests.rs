use super::*;

const TEXT: &str = "version: 1.0
input:
  - host
  - older: 7d
  - who: <% ctx().st2.user %>
tasks:
  find:
    action: disk.find host=<% ctx().host %>
    next:
      - when: <% succeeded() %>
        publish: [{files: <% result() %>}]
        do: clean
      - when: <% failed() %>
        do: fail
  clean:
    with: file in <% ctx().files %>
    action: disk.clean
    input:
      file: <% item(file) %>
      age: 7d
    next:
      - do: [check, report]
  check:
    action: <% ctx().host %>
    next:
      - when: '<% result() = \"again\" %>'
        do: clean
  report:
    join: all
output:
  - files: <% ctx().files %>
";

fn outline() -> Outline {
    WorkflowSpec::read(TEXT, Dialect::Orquesta).unwrap().outline()
}

#[test]
fn tasks_know_how_they_stand() {
    let outline = outline();
    let stands = |task: &Task| {
        let flags = [(task.is_start, "start"), (task.is_split, "split"), (task.is_cyclic, "cycle")];
        let words: Vec<_> = flags.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
        format!("{}:{} {} {}", task.name, task.at.line, words.join(" "), task.join.clone().unwrap_or_default())
    };
    let found: Vec<_> = outline.tasks.iter().map(stands).collect();
    assert_eq!(found, ["find:7 start ", "clean:15 cycle ", "check:23 cycle ", "report:28  all"]);
    assert_eq!(outline.cycles, [vec![Arc::from("clean"), Arc::from("check")]]);
    let inputs: Vec<_> = outline
        .inputs
        .iter()
        .map(|input| (&*input.name, input.default.is_some(), input.is_evaluated, input.at.line))
        .collect();
    assert_eq!(inputs, [("host", false, false, 3), ("older", true, false, 4), ("who", true, true, 5)]);
}

#[test]
fn calls_are_told_with_what_is_constant_in_them() {
    let calls = WorkflowSpec::read(TEXT, Dialect::Orquesta).unwrap().calls();
    let shown = |call: &Call| {
        let arguments = match &call.input {
            Input::Arguments(arguments) => arguments
                .iter()
                .map(|one| format!("{}@{}{}", one.name, one.at.line, if one.is_evaluated { "?" } else { "" }))
                .collect(),
            Input::Evaluated => vec!["?".to_owned()],
        };
        format!("{} {}@{}: {}", call.task, call.action, call.at.line, arguments.join(" "))
    };
    let found: Vec<_> = calls.iter().map(shown).collect();
    assert_eq!(found, ["find disk.find@8: host@8?", "clean disk.clean@17: file@19? age@20"]);
}

#[test]
fn a_graph_is_drawn_in_every_form() {
    let outline = outline();
    assert_eq!(
        text(&outline),
        "find: disk.find  (start)
  <% succeeded() %> → clean  (publishes files)
  <% failed() %> → fail
clean: disk.clean  (for each of file in <% ctx().files %>; cycle)
  always → check, report
check: <% ctx().host %>  (cycle)
  <% result() = \"again\" %> → clean
report  (join all)
"
    );
    assert_eq!(
        dot(&outline),
        r#"digraph workflow {
  node [shape=box];
  "find" [label="find\ndisk.find"];
  "clean" [label="clean\ndisk.clean\nfor each of file in <% ctx().files %>\ncycle"];
  "check" [label="check\n<% ctx().host %>\ncycle"];
  "report" [label="report\njoin all"];
  "fail" [shape=ellipse];
  "find" -> "clean" [label="<% succeeded() %>"];
  "find" -> "fail" [label="<% failed() %>"];
  "clean" -> "check";
  "clean" -> "report";
  "check" -> "clean" [label="<% result() = \"again\" %>"];
}
"#
    );
    assert_eq!(
        mermaid(&outline),
        r##"flowchart TD
  t0["find<br>disk.find"]
  t1["clean<br>disk.clean<br>for each of file in #lt;% ctx().files %#gt;<br>cycle"]
  t2["check<br>#lt;% ctx().host %#gt;<br>cycle"]
  t3["report<br>join all"]
  t4(["fail"])
  t0 -->|"#lt;% succeeded() %#gt;"| t1
  t0 -->|"#lt;% failed() %#gt;"| t4
  t1 --> t2
  t1 --> t3
  t2 -->|"#lt;% result() = #quot;again#quot; %#gt;"| t1
"##
    );
    let json = json(&outline);
    assert_eq!(json["tasks"][0]["next"][0]["do"], serde_json::json!(["clean"]));
    assert_eq!(json["inputs"][1], serde_json::json!({"name": "older", "required": false, "default": "7d"}));
    assert_eq!(json["cycles"], serde_json::json!([["clean", "check"]]));
}

#[test]
fn what_undoes_calls_people_and_ends_a_workflow_is_called_as_well() {
    let text = "version: 1.0
on_error: pause
tasks:
  ask:
    approve:
      question: Really?
      notify: {action: chat.post, input: {text: now}}
      remind:
        every: 1h
        action: chat.again
  work:
    action: vm.create
    undo: {action: vm.delete, input: {id: 1}}
  unlock: {action: lock.release}
on_freeze:
  notify: {action: page.call}
  remind: {every: 1h, action: <% ctx().who %>}
finally:
  - unlock
  - action: mail.send
";
    let calls = WorkflowSpec::read(text, Dialect::Native).unwrap().calls();
    let shown = |call: &Call| {
        let arguments = match &call.input {
            Input::Arguments(arguments) => arguments.len().to_string(),
            Input::Evaluated => "?".to_owned(),
        };
        format!(
            "{} {}@{} {arguments}{}",
            call.task,
            call.action,
            call.at.line,
            if call.is_question { " asks" } else { "" }
        )
    };
    assert_eq!(
        calls.iter().map(shown).collect::<Vec<_>>(),
        [
            "ask core.ask@5 ? asks",
            "ask chat.post@7 1",
            "ask chat.again@10 0",
            "work vm.create@12 0",
            "work vm.delete@13 1",
            "unlock lock.release@14 0",
            "on_freeze page.call@16 0",
            "finally[1] mail.send@20 0",
        ]
    );
}

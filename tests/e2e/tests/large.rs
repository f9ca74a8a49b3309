//! Workflows that gather a lot: more than a record of the log holds, and more than they may.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use petrel_e2e_tests::{Cli, HOLD, Single, write_pack};
use petrel_testkit::wait_until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// A variable of three megabytes, another one while a task holds, and both in what comes behind that.
const KEEP: &str = "\
version: 1.0
input: [dir]
vars:
  - text: <% \"x\" * 3000000 %>
tasks:
  first: { action: large.nothing, next: [{ publish: [more: '<% ctx(text) + \"y\" %>'], do: held }] }
  held: { action: large.hold, input: { dir: <% ctx(dir) %> }, next: [{ do: below }] }
  below: { action: large.below, next: [{ publish: [given: '<% result().output.text %>'], do: last }] }
  last: { action: large.nothing }
output:
  - text: <% ctx(text).len() %>
  - more: <% ctx(more).len() %>
  - given: <% ctx(given).len() %>
";
/// It results in more than stands in a row.
const BELOW: &str = "\
version: 1.0
tasks:
  only: { action: large.nothing }
output:
  - text: <% \"z\" * 100000 %>
";
/// Each turn publishes twice as much.
const BLOAT: &str = "\
version: 1.0
vars:
  - text: <% \"x\" * 1000000 %>
tasks:
  begin: { action: large.nothing, next: [{ do: grow }] }
  grow: { action: large.nothing, next: [{ publish: [text: '<% ctx(text) + ctx(text) %>'], do: grow }] }
";
const GIVE: &str = "\
version: 1.0
tasks:
  give: { action: large.page, input: { at: nowhere, text: '<% \"x\" * 300000 %>' } }
";
/// Somebody is called with more than an action may be given.
const CALL: &str = "\
version: 1.0
on_error: pause
input: [at]
vars:
  - text: <% \"x\" * 1000000 %>
on_freeze:
  notify: { action: large.page, input: { at: <% ctx(at) %>, text: <% ctx().frozen.variables.text %> } }
tasks:
  bad: { action: large.bad }
";
const PAGE: &str = "\
name: page
runner: shell
script: printf '%s' \"$text\" > \"$at.new\" && mv \"$at.new\" \"$at\"
env: { text: \"${parameters.text}\", at: \"${parameters.at}\" }
parameters: { text: { type: string, required: true }, at: { type: string, required: true } }
";

fn start(dir: &Path) -> Result<Single> {
    let petrel = Single::start(dir, &[])?;
    let action =
        |name: &str, runner: &str| format!("name: {name}\nrunner: {runner}\nworkflow: workflows/{name}.yaml\n");
    let needs = |name: &str| format!("parameters: {{ {name}: {{ type: string, required: true }} }}\n");
    let files = [
        ("pack.yaml", "name: large\nversion: 1.0.0\n"),
        ("actions/nothing.yaml", "name: nothing\nrunner: noop\n"),
        ("actions/bad.yaml", "name: bad\nrunner: fail\nmessage: it burns\n"),
        ("actions/hold.yaml", HOLD),
        ("actions/page.yaml", PAGE),
        ("actions/keep.yaml", &(action("keep", "orquesta") + &needs("dir"))),
        ("actions/below.yaml", &action("below", "orquesta")),
        ("actions/bloat.yaml", &action("bloat", "orquesta")),
        ("actions/give.yaml", &action("give", "orquesta")),
        ("actions/call.yaml", &(action("call", "workflow") + &needs("at"))),
        ("workflows/keep.yaml", KEEP),
        ("workflows/below.yaml", BELOW),
        ("workflows/bloat.yaml", BLOAT),
        ("workflows/give.yaml", GIVE),
        ("workflows/call.yaml", CALL),
    ];
    petrel.cli().run(&["pack", "apply", &write_pack(dir, "large", &files)?.display().to_string()])?;
    Ok(petrel)
}

fn run(cli: &Cli, action: &str, parameters: &[&str]) -> Result<String> {
    let answer = cli.json(&[&["action", "run", action], parameters].concat())?;
    Ok(answer["execution_id"].as_str().context("no id")?.to_owned())
}

fn shown(cli: &Cli, id: &str) -> Value {
    cli.json(&["execution", "get", id]).unwrap_or_default()
}

fn result_of(shown: &Value) -> Value {
    match &shown["result"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    }
}

/// Waits until it has that status and is shown with a result.
fn ends(cli: &Cli, id: &str, status: &str) -> Value {
    wait_until(&format!("it has {status}"), SOON, || {
        let shown = shown(cli, id);
        shown["status"] == status && !result_of(&shown).is_null()
    });
    shown(cli, id)
}

#[test]
fn a_workflow_keeps_more_than_a_record_holds_over_a_kill() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let cli = petrel.cli().clone();
    let at = dir.path().join("marks");
    fs::create_dir(&at)?;
    let id = run(&cli, "large.keep", &[&format!("dir={}", at.display())])?;
    wait_until("the second task holds", SOON, || {
        let tasks = shown(&cli, &id)["descendants"].clone();
        tasks.as_array().is_some_and(|tasks| tasks.iter().any(|t| t["task"] == "held" && t["status"] == "running"))
    });
    petrel.process().crash()?;
    fs::write(at.join("go"), "")?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    // The lease of what held has to pass first.
    wait_until("it has ended", Duration::from_secs(180), || shown(&cli, &id)["status"] == "succeeded");
    let ended = ends(&cli, &id, "succeeded");
    let wanted = json!({ "output": { "text": 3_000_000, "more": 3_000_001, "given": 100_000 } });
    assert_eq!(result_of(&ended), wanted, "{ended}");
    Ok(())
}

#[test]
fn what_goes_over_a_limit_names_it_and_nothing_else_stops() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    let at = dir.path().join("called");
    let calls = run(cli, "large.call", &[&format!("at={}", at.display())])?;
    for (action, task, limit) in
        [("large.bloat", "grow", "PUBLISHED_BYTES_MAX"), ("large.give", "give", "PARAMETERS_BYTES_MAX")]
    {
        let ended = ends(cli, &run(cli, action, &[])?, "failed");
        let error = result_of(&ended)["errors"][0].clone();
        assert_eq!(error["task_id"], task, "{ended}");
        assert!(error.to_string().contains(limit), "{action}: {error}");
    }
    wait_until("somebody is called", SOON, || at.exists());
    let text = fs::read_to_string(&at)?;
    assert!(text.starts_with("xxxx") && text.ends_with("… (cut: all of it has 1000000 bytes)"), "{} bytes", text.len());
    assert_eq!(shown(cli, &calls)["status"], "paused");
    Ok(())
}

//! Workflows that wait for a person: questions and freezes, as people see, answer and decide them on the command line, over
//! a kill, and with who did it in SQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Single, WorkflowPack, ends, output_of, run_workflow, shown};
use petrel_testkit::wait_until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
/// The server answers that what is asked cannot be.
const REFUSED: i32 = 4;
const USAGE: i32 = 2;

/// Asks, and says what the answer was.
const ASKS: &str = "\
version: 1.0
input: [vm]
vars: [went: null]
tasks:
  ask:
    approve:
      question: Evacuate <% ctx(vm) %>?
      schema:
        type: object
        required: [go]
        properties: { go: { type: boolean }, why: { type: string } }
        additionalProperties: false
      expires: 1h
    next: [{ when: <% succeeded() %>, publish: [went: <% result() %>], do: noop }]
output: [went: <% ctx(went) %>]
";
/// Nobody answers in time.
const EXPIRES: &str = "\
version: 1.0
vars: [went: null]
tasks:
  ask:
    approve:
      question: Anybody there?
      schema: { type: object, properties: { go: { type: boolean } } }
      expires: 2s
      default: { go: false }
    next: [{ when: <% succeeded() %>, publish: [went: <% result() %>], do: noop }]
output: [went: <% ctx(went) %>]
";
/// Its second task fails for every word but `good`.
const FREEZES: &str = "\
version: 1.0
on_error: pause
input: [dir, word]
vars: [checked: null]
tasks:
  make:
    action: people.mark
    input: { dir: <% ctx(dir) %>, name: made }
    undo: { action: people.mark, input: { dir: <% ctx(dir) %>, name: undone } }
    next: [{ on: succeeded, do: check }]
  check:
    action: people.check
    input: { word: <% ctx(word) %> }
    next: [{ on: succeeded, publish: [checked: <% result().stdout %>], do: last }]
  last:
    action: people.mark
    input: { dir: <% ctx(dir) %>, name: last }
output: [checked: <% ctx(checked) %>]
";
/// Its second task fails until its file is there.
const FAILS: &str = "\
version: 1.0
input: [dir]
tasks:
  first: { action: people.mark, input: { dir: <% ctx(dir) %>, name: first }, next: [{ when: '<% succeeded() %>', do: there }] }
  there: { action: people.there, input: { dir: <% ctx(dir) %> }, next: [{ when: '<% succeeded() %>', do: last }] }
  last: { action: people.mark, input: { dir: <% ctx(dir) %>, name: last } }
";

const CHECK: &str = "\
name: check
runner: shell
script: printf '%s\\n' \"$word\" && [ \"$word\" = good ]
env: { word: \"${parameters.word}\" }
parameters: { word: { type: string, required: true } }
";
const THERE: &str = "\
name: there
runner: shell
script: '[ -e \"$dir/go\" ]'
env: { dir: \"${parameters.dir}\" }
parameters: { dir: { type: string, required: true } }
";

fn start(dir: &Path) -> Result<Single> {
    let workflows = [("asks", ASKS), ("expires", EXPIRES), ("freezes", FREEZES), ("fails", FAILS)];
    let files = [("actions/check.yaml", CHECK), ("actions/there.yaml", THERE)];
    WorkflowPack { name: "people", runner: "workflow", workflows: &workflows, files: &files }.start(dir)
}

/// The inquiry of a workflow, once it has one of that kind.
fn inquiry(cli: &Cli, workflow: &str, kind: &str) -> Result<Value> {
    let mut found = Value::Null;
    wait_until(&format!("{workflow} waits for a person"), SOON, || {
        let listed = cli.json(&["inquiry", "list", "--workflow", workflow, "--kind", kind]).unwrap_or_default();
        found = listed["inquiries"][0].clone();
        !found.is_null()
    });
    cli.json(&["inquiry", "show", found["inquiry_id"].as_str().context("no id")?])
}

/// What a command that fails says.
fn refused(cli: &Cli, code: i32, words: &[&str]) -> Result<String> {
    let output = cli.output(words)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(code), "{words:?}: {} {said}", output.status);
    Ok(said)
}

/// Whether the audit trail has a row of an execution that says these words.
fn is_told(cli: &Cli, id: &str, words: &[&str]) {
    let says = words.iter().map(|word| format!(" AND positionCaseInsensitive(error, '{word}') > 0"));
    let query = format!("SELECT count() FROM executions WHERE execution_id = '{id}'{}", says.collect::<String>());
    wait_until(&format!("SQL says {words:?} of {id}"), SOON, || cli.number(&query).is_ok_and(|rows| rows >= 1));
}

fn marks(dir: &Path, name: &str) -> usize {
    fs::read_to_string(dir.join(name)).map_or(0, |marks| marks.lines().count())
}

fn marks_of(dir: &Path, name: &str) -> Result<(PathBuf, String)> {
    let dir = dir.join(name);
    fs::create_dir(&dir)?;
    let parameter = format!("dir={}", dir.display());
    Ok((dir, parameter))
}

#[test]
fn a_question_is_answered_once_and_as_its_schema_says() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    let id = run_workflow(cli, "people.asks", &["vm=vm-3"])?;
    let asked = inquiry(cli, &id, "question")?;
    let question = asked["inquiry_id"].as_str().context("no id")?;
    assert_eq!(asked["question"], "Evacuate vm-3?", "{asked}");
    assert_eq!(asked["schema"]["required"], json!(["go"]), "{asked}");
    assert!(
        asked["until"].as_str().is_some_and(|until| asked["since"].as_str().is_some_and(|since| since < until)),
        "{asked}"
    );
    assert_eq!(asked["workflow"], json!({ "execution_id": id, "action": "people.asks", "task": "ask" }));
    assert_eq!(shown(cli, &id)["status"], "pending");
    let table = cli.run(&["inquiry", "list"])?;
    assert!(table.contains(question) && table.contains("people.asks") && table.contains("Evacuate vm-3?"), "{table}");

    let wrong = refused(cli, REFUSED, &["inquiry", "answer", question, "--json", r#"{"go": "perhaps", "more": 1}"#])?;
    assert!(wrong.contains("/go") && wrong.contains("more"), "{wrong}");
    let none = refused(cli, USAGE, &["inquiry", "answer", question])?;
    assert!(none.contains("additionalProperties"), "{none}");
    let no_question = refused(cli, REFUSED, &["inquiry", "answer", &id, "--json", "{}"])?;
    assert!(no_question.contains("asks nothing"), "{no_question}");
    assert_eq!(shown(cli, question)["status"], "pending");

    cli.run(&["inquiry", "answer", question, "go=yes", "why=17"])?;
    let ended = ends(cli, &id, "succeeded");
    assert_eq!(output_of(&ended)?, json!({ "went": { "go": true, "why": "17" } }), "{ended}");
    ends(cli, question, "succeeded");
    is_told(cli, question, &["answered by api"]);

    let again = refused(cli, REFUSED, &["inquiry", "answer", question, "go=no"])?;
    assert!(again.contains("was answered at") && again.contains("by api"), "{again}");
    let closed = cli.json(&["inquiry", "show", question])?;
    assert_eq!((&closed["status"], &closed["answer"]["go"]), (&json!("answered"), &json!(true)), "{closed}");
    assert_eq!(cli.json(&["inquiry", "list"])?["inquiries"], json!([]));
    Ok(())
}

#[test]
fn a_question_that_nobody_answers_has_its_default() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    let id = run_workflow(cli, "people.expires", &[])?;
    let ended = ends(cli, &id, "succeeded");
    assert_eq!(output_of(&ended)?, json!({ "went": { "go": false } }), "{ended}");
    let question = ended["descendants"][0]["execution_id"].as_str().context("no question")?;
    let late = refused(cli, REFUSED, &["inquiry", "answer", question, "go=true"])?;
    assert!(late.contains("withdrawn") || late.contains("expired"), "{late}");
    Ok(())
}

#[test]
fn a_frozen_workflow_does_what_a_person_decides() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    let freeze = |name: &str| -> Result<(String, PathBuf)> {
        let (at, parameter) = marks_of(dir.path(), name)?;
        let id = run_workflow(cli, "people.freezes", &[&parameter, "word=bad"])?;
        let asked = inquiry(cli, &id, "freeze")?;
        assert_eq!(asked["frozen"]["tasks"][0]["task"], "check", "{asked}");
        assert_eq!(asked["frozen"]["variables"]["word"], "bad", "{asked}");
        assert_eq!(asked["executions"][0]["task"], "check", "{asked}");
        let decisions: Vec<&str> =
            asked["decisions"].as_array().into_iter().flatten().filter_map(|one| one["decision"].as_str()).collect();
        assert_eq!(decisions, ["retry", "skip", "resume", "rollback"]);
        Ok((id, at))
    };

    let (id, at) = freeze("retried")?;
    assert_eq!(shown(cli, &id)["status"], "paused");
    let table = cli.run(&["execution", "get", &id])?;
    assert!(table.contains(&format!("petrel workflow retry {id} --task check")), "{table}");
    let wrong = refused(cli, REFUSED, &["workflow", "retry", &id, "--task", "chek"])?;
    assert!(wrong.contains("did you mean \"check\""), "{wrong}");
    let running = refused(cli, REFUSED, &["workflow", "rerun", &id])?;
    assert!(running.contains("it is frozen"), "{running}");
    cli.run(&["workflow", "retry", &id, "--task", "check", "--input", "word=good"])?;
    let ended = ends(cli, &id, "succeeded");
    assert_eq!(output_of(&ended)?, json!({ "checked": "good" }), "{ended}");
    assert_eq!((marks(&at, "made"), marks(&at, "last"), marks(&at, "undone")), (1, 1, 0));
    is_told(cli, &id, &["retry", "check", "api"]);

    let (id, at) = freeze("skipped")?;
    cli.run(&["workflow", "skip", &id, "--task", "check", "--result", r#"{"stdout": "by hand"}"#])?;
    let ended = ends(cli, &id, "succeeded");
    assert_eq!(output_of(&ended)?, json!({ "checked": "by hand" }), "{ended}");
    assert_eq!(marks(&at, "last"), 1);
    is_told(cli, &id, &["skip", "check", "api"]);

    let (id, at) = freeze("rolled_back")?;
    cli.run(&["workflow", "rollback", &id])?;
    ends(cli, &id, "failed");
    assert_eq!((marks(&at, "made"), marks(&at, "last"), marks(&at, "undone")), (1, 0, 1));
    is_told(cli, &id, &["rollback", "api"]);

    let (id, at) = freeze("resumed")?;
    cli.run(&["workflow", "resume", &id, "--set", "checked=by-hand"])?;
    let ended = ends(cli, &id, "succeeded");
    assert_eq!(output_of(&ended)?, json!({ "checked": "by-hand" }), "{ended}");
    assert_eq!(marks(&at, "last"), 0);
    let over = refused(cli, REFUSED, &["workflow", "rollback", &id])?;
    assert!(over.contains("is over"), "{over}");
    Ok(())
}

#[test]
fn a_workflow_that_failed_runs_again_from_the_task_that_failed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    let (at, parameter) = marks_of(dir.path(), "marks")?;
    let id = run_workflow(cli, "people.fails", &[&parameter])?;
    ends(cli, &id, "failed");
    fs::write(at.join("go"), "")?;
    cli.run(&["workflow", "rerun", &id])?;
    ends(cli, &id, "succeeded");
    assert_eq!((marks(&at, "first"), marks(&at, "last")), (1, 1));
    is_told(cli, &id, &["rerun", "api"]);
    // Once more, from a task that had succeeded.
    cli.run(&["workflow", "rerun", &id, "--task", "last"])?;
    wait_until("the last task has run again", SOON, || marks(&at, "last") == 2);
    ends(cli, &id, "succeeded");
    assert_eq!(marks(&at, "first"), 1);
    Ok(())
}

#[test]
fn what_waits_for_a_person_outlives_a_kill() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let cli = petrel.cli().clone();
    let (at, parameter) = marks_of(dir.path(), "marks")?;
    let asks = run_workflow(&cli, "people.asks", &["vm=vm-1"])?;
    let freezes = run_workflow(&cli, "people.freezes", &[&parameter, "word=bad"])?;
    let question = inquiry(&cli, &asks, "question")?;
    let frozen = inquiry(&cli, &freezes, "freeze")?;
    petrel.process().crash()?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let after = inquiry(&cli, &asks, "question")?;
    for name in ["question", "since", "until"] {
        assert_eq!(after[name], question[name], "{name}");
    }
    assert_eq!(inquiry(&cli, &freezes, "freeze")?["frozen"], frozen["frozen"]);
    let id = question["inquiry_id"].as_str().context("no id")?;
    cli.run(&["inquiry", "answer", id, "go=false"])?;
    cli.run(&["workflow", "retry", &freezes, "--task", "check", "--input", "word=good"])?;
    assert_eq!(output_of(&ends(&cli, &asks, "succeeded"))?, json!({ "went": { "go": false } }));
    ends(&cli, &freezes, "succeeded");
    assert_eq!((marks(&at, "made"), marks(&at, "last")), (1, 1));
    let twice =
        "SELECT count() FROM (SELECT execution_id, sequence FROM executions GROUP BY ALL HAVING uniqExact(status) > 1)";
    assert_eq!(cli.number(twice)?, 0);
    Ok(())
}

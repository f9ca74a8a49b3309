//! Workflows as their users run them: from the pack to the output, over a kill, with every transition in SQL.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, HOLD, Single, WorkflowPack, ends, get_with, output_of, run_workflow, shown};
use petrel_testkit::wait_until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

/// Items, a fork, a join, a workflow below it, and what one task publishes for another.
const HEAL: &str = "\
version: 1.0
input: [hosts]
vars: [said: null, left: null]
tasks:
  each:
    with: { items: host in <% ctx(hosts) %>, concurrency: 2 }
    action: flow.say
    input: { word: <% item(host) %> }
    next:
      - when: <% succeeded() %>
        publish: [said: '<% result().select($.stdout) %>']
        do: [left, right]
  left:
    action: flow.say
    input: { word: left }
    next: [{ when: '<% succeeded() %>', publish: [left: <% result().stdout %>], do: both }]
  right:
    action: flow.below
    input: { word: right }
    next: [{ when: '<% succeeded() %>', publish: [right: <% result().output.word %>], do: both }]
  both:
    join: all
    action: flow.nothing
output:
  - said: <% ctx(said) %>
  - left: <% ctx(left) %>
  - right: <% ctx(right) %>
";
const BELOW: &str = "\
version: 1.0
input: [word]
tasks:
  only:
    action: flow.say
    input: { word: <% ctx(word) %> }
    next: [{ when: '<% succeeded() %>', publish: [word: '<% result().stdout.toUpper() %>'] }]
output: [word: <% ctx(word) %>]
";
/// The second one holds until its file is there.
const CHAIN: &str = "\
version: 1.0
input: [dir]
tasks:
  first: { action: flow.mark, input: { dir: <% ctx(dir) %>, name: first }, next: [{ when: '<% succeeded() %>', do: held }] }
  held: { action: flow.hold, input: { dir: <% ctx(dir) %> }, next: [{ when: '<% succeeded() %>', do: last }] }
  last: { action: flow.mark, input: { dir: <% ctx(dir) %>, name: last } }
";
/// One fails, and nobody handles it.
const BREAKS: &str = "\
version: 1.0
tasks:
  good: { action: flow.nothing }
  bad: { action: flow.bad }
";

/// What it is given would be the name of a secret, were it not data.
const LEAK: &str = "\
version: 1.0
input: [word]
tasks:
  only: { action: flow.login, input: { token: <% ctx(word) %> } }
";
const LOGIN: &str = "\
name: login
runner: shell
script: echo \"$token\"
env: { token: \"${parameters.token}\" }
parameters: { token: { type: string, secret: true } }
";

const SAY: &str = "\
name: say
runner: shell
script: printf '%s\\n' \"$word\"
env: { word: \"${parameters.word}\" }
parameters: { word: { type: string, required: true } }
";

fn start(dir: &Path) -> Result<Single> {
    let workflows = [("heal", HEAL), ("below", BELOW), ("chain", CHAIN), ("breaks", BREAKS), ("leak", LEAK)];
    let files = [
        ("actions/say.yaml", SAY),
        ("actions/hold.yaml", HOLD),
        ("actions/nothing.yaml", "name: nothing\nrunner: noop\n"),
        ("actions/bad.yaml", "name: bad\nrunner: fail\nmessage: it burns\n"),
        ("actions/login.yaml", LOGIN),
    ];
    WorkflowPack { name: "flow", runner: "orquesta", workflows: &workflows, files: &files }.start(dir)
}

/// The tasks of what a workflow has started, as its tree shows them.
fn tasks_of(shown: &Value) -> Vec<&str> {
    let descendants = shown["descendants"].as_array().map_or(&[][..], Vec::as_slice);
    descendants.iter().filter_map(|one| one["task"].as_str()).collect()
}

#[test]
fn a_workflow_runs_its_tasks_and_its_result_is_its_output() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    let id = run_workflow(cli, "flow.heal", &["hosts=[\"db-1\", \"db-2\", \"db-3\"]"])?;
    let ended = ends(cli, &id, "succeeded");
    let wanted = json!({ "said": ["db-1", "db-2", "db-3"], "left": "left", "right": "RIGHT" });
    assert_eq!(output_of(&ended)?, wanted, "{ended}");
    let mut tree = tasks_of(&ended);
    tree.sort_unstable();
    assert_eq!(tree, ["both", "each[0]", "each[1]", "each[2]", "left", "only", "right"]);

    let rows = format!(
        "SELECT task, parent_execution_id != '' AS below FROM executions_latest WHERE root_execution_id = '{id}' \
         AND status = 'succeeded' ORDER BY task"
    );
    let wanted = ["", "both", "each[0]", "each[1]", "each[2]", "left", "only", "right"];
    let wanted: Vec<Value> =
        wanted.iter().map(|task| json!({ "task": task, "below": u8::from(!task.is_empty()) })).collect();
    wait_until("all of it is in SQL", SOON, || cli.sql(&rows).is_ok_and(|rows| rows == wanted));
    let moves = format!(
        "SELECT toUInt32(count()) AS n, toUInt32(uniqExact(run, change)) AS each, toUInt32(countIf(status = 'succeeded')) AS done \
         FROM workflow_tasks WHERE root_execution_id = '{id}' AND execution_id = '{id}'"
    );
    wait_until("so are its tasks", SOON, || cli.sql(&moves).is_ok_and(|told| told[0]["done"] == 4));
    let told = cli.sql(&moves)?;
    let n = told[0]["n"].as_u64().context("no count")?;
    assert!(n >= 8 && told[0]["each"] == n && told[0]["done"] == 4, "{told:?}");
    stream_of_tasks(cli, &id, n)?;
    let table = cli.run(&["execution", "get", &id])?;
    assert!(table.contains("each[2]") && table.contains("flow.below"), "{table}");

    let followed = cli.output(&["workflow", "run", "flow.breaks", "--follow"])?;
    let (lines, notes) = (String::from_utf8_lossy(&followed.stdout), String::from_utf8_lossy(&followed.stderr));
    let has = |task: &str, status: &str| lines.lines().any(|line| line.contains(task) && line.ends_with(status));
    assert!(has("bad", "running") && has("bad", "failed") && notes.ends_with(" says why]\n"), "{lines}{notes}");
    assert_eq!(followed.status.code(), Some(1));
    let broken = notes.lines().find_map(|line| line.strip_prefix("[execution ")?.strip_suffix(']'));
    let broken = broken.context("no id")?.to_owned();
    let ended = ends(cli, &broken, "failed");
    assert_eq!(ended["code"], "workflow_failed", "{ended}");
    assert!(ended["result"].to_string().contains("it burns"), "{ended}");

    let leaks = run_workflow(cli, "flow.leak", &["word=${secret.flow.token}"])?;
    let ended = ends(cli, &leaks, "failed");
    assert!(ended["result"].to_string().contains("was made of data"), "{ended}");
    Ok(())
}

/// All that its tasks came to is told from the beginning, or from what is known on, once each, and then the end.
fn stream_of_tasks(cli: &Cli, id: &str, moves: u64) -> Result<()> {
    let url = format!("{}/v1/executions/{id}/tasks", cli.api());
    let told = |headers: &[(&str, &str)]| -> Result<Vec<(String, Value)>> {
        let answer = get_with(&url, &[&[("accept", "text/event-stream")], headers].concat())?;
        ensure!(answer.status == 200, "{answer:?}");
        let events = answer.body.split("\n\n").filter(|event| event.contains("data: "));
        let event = |event: &str| -> Result<(String, Value)> {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let data = serde_json::from_str(field("data: ").context("no data")?)?;
            Ok((field("event: ").context("no name")?.to_owned(), data))
        };
        events.map(event).collect()
    };
    let all = told(&[])?;
    let (end, tasks) = all.split_last().context("no events")?;
    assert_eq!((&*end.0, &end.1["status"], tasks.len() as u64), ("end", &json!("succeeded"), moves), "{all:?}");
    let of = |task: &str| {
        let of = tasks.iter().filter(|(name, moved)| name == "task" && moved["task"] == task);
        of.map(|(_, moved)| moved["status"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (of("left"), of("both").last().map(String::as_str)),
        (vec!["running".into(), "succeeded".into()], Some("succeeded"))
    );
    let known = tasks[2].1["id"].as_str().context("no id")?;
    assert_eq!(told(&[("last-event-id", known)])?, all[3..]);
    let page = cli.run(&["workflow", "tail", id])?;
    assert_eq!(page.lines().count() as u64, moves, "{page}");
    Ok(())
}

#[test]
fn a_workflow_goes_on_after_a_kill_and_runs_nothing_twice_that_has_ended() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let cli = petrel.cli().clone();
    let at = dir.path().join("marks");
    fs::create_dir(&at)?;
    let id = run_workflow(&cli, "flow.chain", &[&format!("dir={}", at.display())])?;
    wait_until("the second task holds", SOON, || {
        shown(&cli, &id)["descendants"]
            .as_array()
            .is_some_and(|tasks| tasks.iter().any(|t| t["task"] == "held" && t["status"] == "running"))
    });
    petrel.process().crash()?;
    fs::write(at.join("go"), "")?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let waits_long = Duration::from_secs(180);
    wait_until("it has ended", waits_long, || shown(&cli, &id)["status"] == "succeeded");
    for name in ["first", "last"] {
        let marks = fs::read_to_string(at.join(name))?;
        assert_eq!(marks.lines().count(), 1, "{name}: {marks}");
    }
    let twice =
        "SELECT count() FROM (SELECT execution_id, sequence FROM executions GROUP BY ALL HAVING uniqExact(status) > 1)";
    assert_eq!(cli.number(twice)?, 0);
    Ok(())
}

#[test]
fn a_workflow_that_is_canceled_ends_what_it_has_started() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let petrel = start(dir.path())?;
    let cli = petrel.cli();
    let at = dir.path().join("marks");
    fs::create_dir(&at)?;
    let id = run_workflow(cli, "flow.chain", &[&format!("dir={}", at.display())])?;
    let holds = |status: &str| {
        let tasks = shown(cli, &id)["descendants"].clone();
        tasks.as_array().is_some_and(|tasks| tasks.iter().any(|t| t["task"] == "held" && t["status"] == status))
    };
    wait_until("the second task holds", SOON, || holds("running"));
    cli.run(&["execution", "cancel", &id])?;
    ends(cli, &id, "canceled");
    assert!(holds("canceled"));
    assert!(!at.join("last").exists());
    Ok(())
}

#[test]
fn a_workflow_rests_when_it_is_asked_to_and_goes_on_over_a_restart() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = start(dir.path())?;
    let cli = petrel.cli().clone();
    let at = dir.path().join("marks");
    fs::create_dir(&at)?;
    let id = run_workflow(&cli, "flow.chain", &[&format!("dir={}", at.display())])?;
    let held = |cli: &Cli| {
        let tasks = shown(cli, &id)["descendants"].clone();
        tasks.as_array().is_some_and(|tasks| tasks.iter().any(|t| t["task"] == "held" && t["status"] == "running"))
    };
    wait_until("the second task holds", SOON, || held(&cli));
    cli.run(&["workflow", "pause", &id])?;
    wait_until("it is to rest", SOON, || shown(&cli, &id)["status"] == "pausing");
    fs::write(at.join("go"), "")?;
    wait_until("it rests", SOON, || shown(&cli, &id)["status"] == "paused");
    petrel.down()?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    assert_eq!(shown(&cli, &id)["status"], "paused");
    assert!(!at.join("last").exists());
    // What had ended before the start is not in the live view any more.
    wait_until("the tree is whole", SOON, || tasks_of(&shown(&cli, &id)) == ["first", "held"]);
    cli.run(&["workflow", "resume", &id])?;
    ends(&cli, &id, "succeeded");
    assert_eq!(fs::read_to_string(at.join("last"))?.lines().count(), 1);
    let over = cli.output(&["workflow", "pause", &id])?;
    assert!(!over.status.success() && String::from_utf8_lossy(&over.stderr).contains("is over"), "{over:?}");
    Ok(())
}

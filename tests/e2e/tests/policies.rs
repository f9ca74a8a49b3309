//! What owners decide of policies by themselves, through the command line: switches, windows, deadlines and retries.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use petrel_e2e_tests::{Cli, Single, write_pack};
use petrel_testkit::wait_until;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

const OK: &str = "name: ok\nrunner: command\ncommand: [\"true\"]\n";
const OTHER: &str = "name: other\nrunner: command\ncommand: [\"true\"]\n";
const LATE: &str = "name: late\nrunner: command\ncommand: [sleep, \"600\"]\npolicies: { deadline: 2s }\n";
/// It says how often it was begun.
const POLLS: &str = "\
name: polls
runner: command
command: [./polls.sh, \"${parameters.file}\"]
parameters: { file: { type: string, required: true } }
output: { format: json }
retry: { times: 5, delay: 50ms, when: result.runs < 3 }
";
const POLLS_SH: &str = "#!/bin/sh\necho >> \"$1\"\necho \"{\\\"runs\\\": $(wc -l < \"$1\")}\"\n";

fn run(cli: &Cli, action: &str, parameters: &[&str]) -> Result<String> {
    let answer = cli.json(&[&["action", "run", action], parameters].concat())?;
    Ok(answer["execution_id"].as_str().context("no id")?.to_owned())
}

fn shown(cli: &Cli, id: &str) -> Value {
    cli.json(&["execution", "get", id]).unwrap_or_default()
}

fn is(cli: &Cli, id: &str, status: &str, code: &Value) -> bool {
    let shown = shown(cli, id);
    shown["status"] == status && (code.is_null() || shown["code"] == *code)
}

fn apply(cli: &Cli, dir: &Path, closed_at: u64) -> Result<()> {
    let hour = |from: u64| format!("{:02}:00", from % 24);
    let window = format!("{{ from: \"{}\", to: \"{}\" }}", hour(closed_at + 12), hour(closed_at + 13));
    let shut = format!("name: shut\nrunner: noop\npolicies: {{ windows: {{ time_zone: UTC, open: [{window}] }} }}\n");
    let never = "name: never\nrunner: noop\npolicies:\n  windows: { time_zone: UTC, closed: [{ from: 2020-01-01, to: \
                 2999-01-01 }] }\n";
    let files = [
        ("pack.yaml", "name: safe\nversion: 1.0.0\n"),
        ("actions/ok.yaml", OK),
        ("actions/other.yaml", OTHER),
        ("actions/late.yaml", LATE),
        ("actions/polls.yaml", POLLS),
        ("actions/polls.sh", POLLS_SH),
        ("actions/shut.yaml", &shut),
        ("actions/never.yaml", never),
    ];
    cli.run(&["pack", "apply", &write_pack(dir, "safe", &files)?.display().to_string()])?;
    Ok(())
}

/// What is misspelt is not taken for switched off; what an older revision has, whose executions may wait, is.
fn switches_of_what_is_not_in_force(cli: &Cli, dir: &Path) -> Result<()> {
    let off = |scope: &[&str]| cli.output(&[&["switch", "off", "--reason", "x"], scope].concat());
    let told = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let unknown = off(&["--action", "safe.okk"])?;
    let wanted = "has action safe.okk, did you mean \"safe.ok\"? With";
    assert!(!unknown.status.success() && told(&unknown).contains(wanted), "{unknown:?}");
    let forced = off(&["--action", "safe.okk", "--force"])?;
    assert!(forced.status.success() && told(&forced).contains("stops nothing that there is"), "{forced:?}");

    let files = [("pack.yaml", "name: gone\nversion: 1.0.0\n"), ("actions/ok.yaml", OK)];
    cli.run(&["pack", "apply", &write_pack(&dir.join("first"), "gone", &files)?.display().to_string()])?;
    let files = [("pack.yaml", "name: gone\nversion: 2.0.0\n"), ("actions/other.yaml", OTHER)];
    cli.run(&["pack", "apply", &write_pack(&dir.join("second"), "gone", &files)?.display().to_string()])?;
    let older = off(&["--action", "gone.ok"])?;
    assert!(older.status.success() && told(&older).contains("executions of older revisions"), "{older:?}");
    let in_force = off(&["--action", "gone.other"])?;
    assert!(in_force.status.success() && told(&in_force).is_empty(), "{in_force:?}");
    for action in ["safe.okk", "gone.ok", "gone.other"] {
        cli.run(&["switch", "on", "--action", action])?;
    }
    Ok(())
}

#[test]
fn people_switch_off_what_must_not_start_and_see_what_waits_for_what() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut petrel = Single::prepare(dir.path(), &[], &[])?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let hour = cli.sql("SELECT toHour(now('UTC')) AS hour")?;
    apply(&cli, dir.path(), hour[0]["hour"].as_u64().context("no hour")?)?;

    cli.run(&["switch", "off", "--action", "safe.ok", "--reason", "it burns"])?;
    let waits = run(&cli, "safe.ok", &[])?;
    let other = run(&cli, "safe.other", &[])?;
    wait_until("another action runs", SOON, || is(&cli, &other, "succeeded", &Value::Null));
    wait_until("what is off waits", SOON, || is(&cli, &waits, "delayed", &json!("action_off")));
    assert_eq!(shown(&cli, &waits)["waits_for"], "a switch: api has switched action safe.ok off: it burns");
    let listed = cli.json(&["switch", "list"])?;
    assert_eq!((&listed[0]["scope"], &listed[0]["reason"]), (&json!("action/safe.ok"), &json!("it burns")));
    cli.run(&["switch", "on", "--action", "safe.ok"])?;
    wait_until("it runs", SOON, || is(&cli, &waits, "succeeded", &Value::Null));
    assert_eq!(cli.json(&["switch", "list"])?, json!([]));

    // It holds over a restart, and ends by itself.
    cli.run(&["switch", "off", "--everything", "--for", "20s", "--reason", "the network is down"])?;
    let paused = run(&cli, "safe.ok", &[])?;
    wait_until("everything waits", SOON, || is(&cli, &paused, "delayed", &json!("everything_off")));
    petrel.down()?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    wait_until("its time has come", SOON, || is(&cli, &paused, "succeeded", &Value::Null));

    cli.run(&["switch", "off", "--pack", "safe", "--drop", "--reason", "it is wrong"])?;
    let dropped = run(&cli, "safe.ok", &[])?;
    wait_until("it is dropped", SOON, || is(&cli, &dropped, "failed", &json!("pack_off")));
    let row = format!("SELECT error FROM executions_latest WHERE execution_id = '{dropped}'");
    let wanted = [json!({"error": "api has switched pack safe off: it is wrong"})];
    wait_until("it is in SQL", SOON, || cli.sql(&row).is_ok_and(|rows| rows == wanted));
    cli.run(&["switch", "on", "--pack", "safe"])?;
    switches_of_what_is_not_in_force(&cli, dir.path())?;

    let shut = run(&cli, "safe.shut", &[])?;
    wait_until("it waits for its window", SOON, || is(&cli, &shut, "delayed", &json!("window")));
    let waits_for = shown(&cli, &shut)["waits_for"].as_str().unwrap_or_default().to_owned();
    assert!(waits_for.starts_with("a window, until 20") && waits_for.contains("safe.action:shut"), "{waits_for}");
    let never = run(&cli, "safe.never", &[])?;
    wait_until("it never opens", SOON, || is(&cli, &never, "failed", &json!("window_closed")));

    let late = run(&cli, "safe.late", &[])?;
    wait_until("its deadline ends it", SOON, || is(&cli, &late, "timeout", &json!("deadline")));
    let file = format!("file={}", dir.path().join("runs").display());
    let polls = run(&cli, "safe.polls", &[&file])?;
    wait_until("it asks until it is done", SOON, || is(&cli, &polls, "succeeded", &Value::Null));
    let latest = format!("SELECT attempt, result FROM executions_latest WHERE execution_id = '{polls}'");
    let wanted = [json!({"attempt": 3, "result": "{\"runs\":3}"})];
    wait_until("its attempts are in SQL", SOON, || cli.sql(&latest).is_ok_and(|rows| rows == wanted));
    petrel.down()
}

/// It lies before a worker that has no slot when the switch comes, and that has one while it is off.
#[test]
fn what_is_scheduled_does_not_start_while_it_is_switched_off() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // Nothing is declined for want of a slot, which would ask the switch, too.
    let environment = [("PETREL_WORKER__SLOTS", "1"), ("PETREL_WORKER__DECLINE_MS", "600000")];
    let mut petrel = Single::prepare(dir.path(), &[], &environment)?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let file = dir.path().join("began");
    let began = format!("name: began\nrunner: shell\nscript: touch {}\n", file.display());
    let files = [
        ("pack.yaml", "name: busy\nversion: 1.0.0\n"),
        ("actions/long.yaml", "name: long\nrunner: command\ncommand: [sleep, \"600\"]\n"),
        ("actions/began.yaml", &began),
        ("actions/ok.yaml", OK),
    ];
    cli.run(&["pack", "apply", &write_pack(dir.path(), "busy", &files)?.display().to_string()])?;
    let blocked = |what: &str| -> Result<(String, String)> {
        let long = run(&cli, "busy.long", &[])?;
        wait_until("the slot is taken", SOON, || is(&cli, &long, "running", &Value::Null));
        let waits = run(&cli, what, &[])?;
        wait_until("it waits for a slot", SOON, || is(&cli, &waits, "scheduled", &Value::Null));
        Ok((long, waits))
    };
    let (long, waits) = blocked("busy.began")?;
    cli.run(&["switch", "off", "--action", "busy.began", "--reason", "it burns"])?;
    cli.run(&["execution", "cancel", &long])?;
    wait_until("it is held", SOON, || is(&cli, &waits, "delayed", &json!("action_off")));
    assert_eq!(shown(&cli, &waits)["waits_for"], "a switch: api has switched action busy.began off: it burns");
    assert!(!file.exists(), "it was started");
    cli.run(&["switch", "on", "--action", "busy.began"])?;
    wait_until("it runs", SOON, || is(&cli, &waits, "succeeded", &Value::Null));
    assert!(file.exists());

    let (long, dropped) = blocked("busy.ok")?;
    cli.run(&["switch", "off", "--pack", "busy", "--drop", "--reason", "it is wrong"])?;
    cli.run(&["execution", "cancel", &long])?;
    wait_until("it is dropped", SOON, || is(&cli, &dropped, "failed", &json!("pack_off")));
    petrel.down()
}
